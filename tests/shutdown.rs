//! A signal ends the program in order, the next start goes on where it ended, and neither a second
//! process on a ledger nor a second ledger in a group gets in the way of the first.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

mod common;

use common::records::{fates, produce};
use common::service::Service;
use common::{Deployment, Site, TOPIC, kafka, reading, records, succeed};
use ledgerline::input::broker::EmbeddedBroker;
use ledgerline::input::producer::GatedProducer;

const PARTITIONS: u16 = 2;

fn start_broker() -> (EmbeddedBroker, GatedProducer) {
    let broker = EmbeddedBroker::start(1).unwrap();
    broker.create_topic(TOPIC, PARTITIONS).unwrap();
    let producer = GatedProducer::new(broker.bootstrap()).unwrap();
    (broker, producer)
}

/// A signal amid the work, and a second start that does the rest.
fn drains_and_goes_on(signal: &str) {
    let (broker, mut producer) = start_broker();
    let site = Site::new();
    let deployment = site.configure_kafka("ledger", &broker, "ledger");
    produce(&mut producer, PARTITIONS, 0..500);
    let mut service = Service::start(&deployment);
    service.until_status("the first records", |status| {
        status["records"]["read"].as_u64().is_some_and(|read| read > 0)
    });
    service.signal(signal);
    let ended = service.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let told = format!("\"signal\":\"SIG{signal}\"");
    assert!(ended.log.contains(&told), "{}", ended.log);

    // What was taken in is in the ledger, in the state, and committed to the group.
    let report = succeed(&["verify", deployment.ledger.to_str().unwrap()]);
    let blocks = report.lines().find_map(|line| line.strip_prefix("blocks")).unwrap().trim();
    let saved = format!("holds what the first {} blocks wrote", blocks.replace(',', ""));
    assert!(report.contains(&saved), "{report}");
    let contents = reading::read(&deployment.ledger);
    let next = |partition| {
        let fates = contents.fates.get(&format!("{TOPIC}/{partition}"));
        fates.map(|fates| u64::try_from(fates.len()).unwrap())
    };
    let durable: Vec<_> = (0..PARTITIONS).map(next).collect();
    assert_eq!(kafka::committed(&broker, "ledger", PARTITIONS), durable, "{}", ended.log);

    produce(&mut producer, PARTITIONS, 500..600);
    let mut service = Service::start(&deployment);
    service.until_durable(usize::from(PARTITIONS), 600);
    service.end();
    assert_eq!(reading::read(&deployment.ledger).fates, fates(PARTITIONS, 600));
    assert_eq!(reading::state(&deployment.ledger), records::state(PARTITIONS, 600));
}

#[test]
fn sigterm_drains_and_the_next_start_goes_on() {
    drains_and_goes_on("TERM");
}

#[test]
fn sigint_drains_and_the_next_start_goes_on() {
    drains_and_goes_on("INT");
}

#[test]
fn a_second_process_on_a_ledger_is_refused() {
    let (broker, mut producer) = start_broker();
    let site = Site::new();
    let deployment = site.configure_kafka("ledger", &broker, "ledger");
    let mut first = Service::start(&deployment);
    first.until_running();
    let second = Service::start(&deployment).wait();
    assert_eq!(second.code, Some(75), "{}", second.log);
    let told = "is in use by another process; a ledger has one writer";
    assert!(second.log.contains(told), "{}", second.log);
    assert!(second.log.contains(deployment.ledger.to_str().unwrap()), "{}", second.log);
    // The first noticed nothing.
    produce(&mut producer, PARTITIONS, 0..100);
    first.until_durable(usize::from(PARTITIONS), 100);
    first.end();
    assert_eq!(reading::read(&deployment.ledger).fates, fates(PARTITIONS, 100));
}

#[test]
fn a_second_ledger_in_a_group_is_refused() {
    let (broker, mut producer) = start_broker();
    let site = Site::new();
    produce(&mut producer, PARTITIONS, 0..100);
    let mut first = Service::start(&site.configure_kafka("first", &broker, "shared"));
    first.until_durable(usize::from(PARTITIONS), 100);
    first.end();

    let second = site.configure_kafka("second", &broker, "shared");
    let refused = Service::start(&second).wait();
    assert_eq!(refused.code, Some(65), "{}", refused.log);
    let told = "the consumer group has committed offset 100, but this ledger only holds records \
                below 0: another ledger consumed them; use that ledger, or another `group`";
    assert!(refused.log.contains(told), "{}", refused.log);
    assert_eq!(reading::count(&second.ledger), 0, "it took nothing in");

    // What the message says helps.
    let second = site.configure_kafka("second", &broker, "another");
    let mut service = Service::start(&second);
    service.until_durable(usize::from(PARTITIONS), 100);
    service.end();
    assert_eq!(reading::read(&second.ledger).fates, fates(PARTITIONS, 100));
}

/// True if a process catches the signal of a number.
fn catches(process: u32, signal: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() >> (signal - 1) & 1 == 1
}

#[test]
fn a_signal_ends_a_start_in_order() {
    for (name, number) in [("TERM", 15), ("INT", 2)] {
        let site = Site::new();
        // Nobody writes to this configuration, so the start waits.
        let config = site.path().join("waiting.yaml");
        let made = std::process::Command::new("mkfifo").arg(&config).status().unwrap();
        assert!(made.success());
        let deployment = Deployment { config, ledger: site.path().join("ledger") };
        let mut service = Service::start(&deployment);
        service.until("a handler", |service| catches(service.id(), number).then_some(()));
        service.signal(name);
        let ended = service.wait();
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        assert!(ended.log.contains(&format!("\"signal\":\"SIG{name}\"")), "{}", ended.log);
        assert!(ended.log.contains("stopped before it was running"), "{}", ended.log);
    }
}
