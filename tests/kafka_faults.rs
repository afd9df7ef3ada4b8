//! Kafka faults: stalls, other members, new leaders, failed requests, outages, recreated topics.
//! Nothing is lost or duplicated, and the log says what happened.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

mod common;

use std::time::Duration;

use common::records::{fates, produce};
use common::service::Service;
use common::{Deployment, Random, Site, TOPIC, assert_sound, kafka, reading, records, until};
use ledgerline::input::broker::{BrokerFault, BrokerRequest, EmbeddedBroker};
use ledgerline::input::producer::GatedProducer;
use rdkafka::consumer::Consumer;

const PARTITIONS: u16 = 4;
const GROUP: &str = "ledger";
const BROKERS: u8 = 3;

fn brokers(count: u8) -> EmbeddedBroker {
    let broker = EmbeddedBroker::start(count).unwrap();
    broker.create_topic(TOPIC, PARTITIONS).unwrap();
    broker
}

fn write(broker: &EmbeddedBroker, numbers: std::ops::Range<u64>) {
    let mut producer = GatedProducer::new(broker.bootstrap()).unwrap();
    produce(&mut producer, PARTITIONS, numbers);
}

/// A deployment whose client may stall for as short a time as the broker lets it.
fn impatient(site: &Site, broker: &EmbeddedBroker) -> Deployment {
    let properties = "{ session.timeout.ms: 4000, heartbeat.interval.ms: 400, \
                      max.poll.interval.ms: 6000, socket.timeout.ms: 10000, \
                      group.instance.id: '' }";
    let brokers = broker.bootstrap();
    let source = format!(
        "kafka: {{ brokers: '{brokers}', group: {GROUP}, topics: [{TOPIC}], properties: {properties} }}"
    );
    site.configure("ledger", &source)
}

fn assert_whole(deployment: &Deployment, count: u64) {
    assert_sound(&deployment.ledger);
    assert_eq!(reading::read(&deployment.ledger).fates, fates(PARTITIONS, count));
    assert_eq!(reading::state(&deployment.ledger), records::state(PARTITIONS, count));
}

#[test]
fn a_stall_longer_than_the_poll_interval() {
    let broker = brokers(1);
    let site = Site::new();
    let deployment = impatient(&site, &broker);
    let mut service = Service::start(&deployment);
    write(&broker, 0..200);
    service.until_durable(usize::from(PARTITIONS), 200);
    write(&broker, 200..400);
    service.signal("STOP");
    // The group takes the stalled member for dead once both of its times are over.
    let rival = kafka::member(&broker, GROUP);
    rival.subscribe(&[TOPIC]).unwrap();
    until("every partition for the other member", || {
        rival.poll(Duration::from_millis(50));
        (rival.assignment().unwrap().count() == usize::from(PARTITIONS)).then_some(())
    });
    service.signal("CONT");
    service.until_logged("partitions revoked");
    drop(rival);
    write(&broker, 400..600);
    service.until_durable(usize::from(PARTITIONS), 600);
    let ended = service.end();
    assert!(ended.log.contains("\"lost\":true"), "it says so: {}", ended.log);
    assert_whole(&deployment, 600);
}

#[test]
fn leaders_change_and_requests_fail_while_records_stream_in() {
    let mut random = Random::new();
    let broker = brokers(BROKERS);
    let site = Site::new();
    let deployment = site.configure_kafka("ledger", &broker, GROUP);
    let mut service = Service::start(&deployment);
    service.until_running();
    let rounds = 20;
    for round in 0..rounds {
        let partition = u16::try_from(random.below(u64::from(PARTITIONS))).unwrap();
        let leader = u8::try_from(random.below(u64::from(BROKERS))).unwrap() + 1;
        broker.set_leader(TOPIC, partition, Some(leader)).unwrap();
        let (request, fault) = match random.below(5) {
            0 => (BrokerRequest::Fetch, BrokerFault::NotLeader),
            1 => (BrokerRequest::Fetch, BrokerFault::Disconnect),
            2 => (BrokerRequest::OffsetCommit, BrokerFault::IllegalGeneration),
            3 => (BrokerRequest::Heartbeat, BrokerFault::IllegalGeneration),
            _ => (BrokerRequest::ListOffsets, BrokerFault::TimedOut),
        };
        println!("round {round}: broker {leader} leads {partition}; {request:?} fails: {fault:?}");
        broker.fail(request, fault, 1).unwrap();
        write(&broker, round * 50..(round + 1) * 50);
    }
    service.until_durable(usize::from(PARTITIONS), rounds * 50);
    service.end();
    assert_whole(&deployment, rounds * 50);
}

#[test]
fn brokers_that_are_away_again_and_again() {
    let broker = brokers(1);
    let site = Site::new();
    let deployment = site.configure_kafka("ledger", &broker, GROUP);
    let mut service = Service::start(&deployment);
    for round in 0..3 {
        write(&broker, round * 100..(round + 1) * 100);
        broker.down().unwrap();
        service.until_status("without a broker", |status| status["ready"] == false);
        broker.up().unwrap();
        service.until_durable(usize::from(PARTITIONS), (round + 1) * 100);
    }
    let ended = service.end();
    assert!(ended.log.contains("no broker is reachable"), "it says so: {}", ended.log);
    assert_whole(&deployment, 300);
}

#[test]
fn a_topic_that_was_made_again_is_refused_until_it_has_an_epoch() {
    let site = Site::new();
    let before = brokers(1);
    let deployment = site.configure_kafka("ledger", &before, GROUP);
    let mut service = Service::start(&deployment);
    write(&before, 0..100);
    service.until_durable(usize::from(PARTITIONS), 100);
    service.end();
    drop(before);

    let again = brokers(1);
    write(&again, 0..30);
    let deployment = site.configure_kafka("ledger", &again, GROUP);
    let ended = Service::start(&deployment).wait();
    assert_ne!(ended.code, Some(0), "{}", ended.log);
    for told in ["telemetry", "epoch", "100", "30"] {
        assert!(ended.log.contains(told), "`{told}` helps: {}", ended.log);
    }
    assert_whole(&deployment, 100);

    let text = std::fs::read_to_string(&deployment.config).unwrap();
    let topics = format!("topics: [{TOPIC}]");
    let text = text.replace(&topics, &format!("{topics}, epochs: {{ {TOPIC}: 1 }}"));
    std::fs::write(&deployment.config, text).unwrap();
    let mut service = Service::start(&deployment);
    let records = (100 + 30) * u64::from(PARTITIONS);
    service.until_status("the new topic's records", |status| status["records"]["read"] == records);
    service.end();
    assert_sound(&deployment.ledger);
    assert_eq!(reading::count(&deployment.ledger) as u64, records);
}

#[test]
fn a_topic_that_was_made_again_and_grew_past_the_position_is_refused_until_it_has_an_epoch() {
    let site = Site::new();
    let before = brokers(1);
    let deployment = site.configure_kafka("ledger", &before, GROUP);
    let mut service = Service::start(&deployment);
    write(&before, 0..100);
    service.until_durable(usize::from(PARTITIONS), 100);
    service.end();
    drop(before);

    // The new topic is longer, and its records are others.
    let again = brokers(1);
    write(&again, 500..700);
    let deployment = site.configure_kafka("ledger", &again, GROUP);
    let ended = Service::start(&deployment).wait();
    assert_eq!(ended.code, Some(65), "{}", ended.log);
    for told in ["the record at offset 99", "record digest", "recreated", "continue_at"] {
        assert!(ended.log.contains(told), "`{told}` helps: {}", ended.log);
    }
    assert_whole(&deployment, 100);

    let text = std::fs::read_to_string(&deployment.config).unwrap();
    let topics = format!("topics: [{TOPIC}]");
    let text = text.replace(&topics, &format!("{topics}, epochs: {{ {TOPIC}: 1 }}"));
    std::fs::write(&deployment.config, text).unwrap();
    let mut service = Service::start(&deployment);
    let records = (100 + 200) * u64::from(PARTITIONS);
    service.until_status("the new topic's records", |status| status["records"]["read"] == records);
    service.end();
    assert_sound(&deployment.ledger);
    assert_eq!(reading::count(&deployment.ledger) as u64, records);
}

#[test]
fn a_lost_end_is_gone_on_from_in_a_new_epoch_and_recorded() {
    let site = Site::new();
    let before = brokers(1);
    let deployment = site.configure_kafka("ledger", &before, GROUP);
    let mut service = Service::start(&deployment);
    write(&before, 0..100);
    service.until_durable(usize::from(PARTITIONS), 100);
    service.end();
    drop(before);

    // Partition 0 lost its records from offset 90 on and has others there; the rest is as it was.
    let after = brokers(1);
    write(&after, 0..90);
    let mut producer = GatedProducer::new(after.bootstrap()).unwrap();
    records::produce_to(&mut producer, 1..PARTITIONS, 90..120);
    records::produce_to(&mut producer, 0..1, 200..230);
    let deployment = site.configure_kafka("ledger", &after, GROUP);
    let ended = Service::start(&deployment).wait();
    assert_eq!(ended.code, Some(65), "{}", ended.log);
    assert!(ended.log.contains(&format!("{TOPIC}/0: the record at offset 99")), "{}", ended.log);

    let text = std::fs::read_to_string(&deployment.config).unwrap();
    let topics = format!("topics: [{TOPIC}]");
    let epochs = format!("epochs: {{ {TOPIC}: {{ epoch: 1, continue_at: {{ 0: 90 }} }} }}");
    std::fs::write(&deployment.config, text.replace(&topics, &format!("{topics}, {epochs}")))
        .unwrap();
    let mut service = Service::start(&deployment);
    let partitions = u64::from(PARTITIONS);
    let records = 100 * partitions + 30 + 20 * (partitions - 1);
    service.until_status("what came since", |status| status["records"]["read"] == records);
    service.end();
    assert_sound(&deployment.ledger);
    assert_eq!(reading::count(&deployment.ledger) as u64, records);
}
