//! Every dead letter of the ledger is on its topic at least once with all that its record had,
//! across outages, kills and restarts; and a topic that takes nothing holds up nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

mod common;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use common::service::Service;
use common::{Deployment, Site, TOPIC, assert_sound, until};
use ledgerline::input::broker::{BrokerFault, BrokerRequest, EmbeddedBroker};
use ledgerline::input::producer::{GatedProducer, Outgoing, Sent};
use ledgerline::ledger::embedded::open_read_only;
use ledgerline::ledger::{DeadLetter, LedgerReader};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

const PARTITIONS: u16 = 2;
const REPAIR: &str = "repair";
const REPAIR_PARTITIONS: u16 = 3;
const POLL: Duration = Duration::from_millis(100);

/// A copy as it came from the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Copy {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Copy {
    fn of(message: &BorrowedMessage<'_>) -> Self {
        let header = |header: rdkafka::message::Header<'_, &[u8]>| {
            (header.key.to_owned(), header.value.map(<[u8]>::to_vec))
        };
        Self {
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: message.headers().unwrap().iter().map(header).collect(),
        }
    }

    /// The expected copy of a letter.
    fn expected((block, letter): &(u64, DeadLetter)) -> Self {
        let texts = [
            ("ledgerline-record", format!("{}/{}", letter.partition, letter.offset)),
            ("ledgerline-cause", letter.rejection.cause.name().to_owned()),
            ("ledgerline-place", letter.rejection.place.clone()),
            ("ledgerline-message", letter.rejection.message.clone()),
            ("ledgerline-block", block.to_string()),
            ("ledgerline-value-bytes", letter.value_len.to_string()),
            ("ledgerline-value-sha256", letter.digest.to_string()),
            ("ledgerline-timestamp", letter.timestamp_ms.unwrap().to_string()),
        ];
        let mut headers = letter.headers.clone();
        headers.extend(texts.map(|(name, text)| (name.to_owned(), Some(text.into_bytes()))));
        Self { key: letter.key.clone(), value: letter.value.clone(), headers }
    }

    fn record(&self) -> String {
        let (_, value) = self.headers.iter().find(|(name, _)| name == "ledgerline-record").unwrap();
        String::from_utf8(value.clone().unwrap()).unwrap()
    }
}

/// A reader of the topic from its beginning.
struct Repair {
    consumer: BaseConsumer,
    /// Every copy so far, by record.
    copies: BTreeMap<String, Vec<Copy>>,
}

impl Repair {
    fn new(broker: &EmbeddedBroker) -> Self {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", broker.bootstrap())
            .set("group.id", "repair")
            .set("enable.auto.commit", "false")
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        for partition in 0..REPAIR_PARTITIONS {
            list.add_partition_offset(REPAIR, i32::from(partition), Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        Self { consumer, copies: BTreeMap::new() }
    }

    fn take(&mut self) {
        while let Some(Ok(message)) = self.consumer.poll(POLL) {
            let copy = Copy::of(&message);
            self.copies.entry(copy.record()).or_default().push(copy);
        }
    }

    fn count(&self) -> usize {
        self.copies.values().map(Vec::len).sum()
    }

    /// Waits for a copy of every letter of the ledger.
    fn until_complete(&mut self, ledger: &Path) {
        let expected: BTreeMap<_, _> = letters(ledger)
            .iter()
            .map(|letter| (Copy::expected(letter).record(), Copy::expected(letter)))
            .collect();
        assert!(!expected.is_empty());
        until("a copy of every dead letter", || {
            self.take();
            (self.copies.len() >= expected.len()).then_some(())
        });
        assert_eq!(self.copies.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        for (record, copies) in &self.copies {
            copies.iter().for_each(|copy| assert_eq!(copy, &expected[record], "{record}"));
        }
    }
}

/// Every dead letter of a ledger with its block.
fn letters(ledger: &Path) -> Vec<(u64, DeadLetter)> {
    let reader = open_read_only(ledger, &mut |_, _| {}).unwrap();
    let of = |number| {
        let letters = reader.block(number).unwrap().records.dead_letters.clone();
        letters.into_iter().map(move |letter| (number, letter))
    };
    (0..reader.head().height).flat_map(of).collect()
}

struct Scene {
    broker: EmbeddedBroker,
    producer: GatedProducer,
    deployment: Deployment,
    repair: Repair,
    sent: u64,
    _site: Site,
}

impl Scene {
    fn new() -> Self {
        let broker = EmbeddedBroker::start(1).unwrap();
        broker.create_topic(TOPIC, PARTITIONS).unwrap();
        broker.create_topic(REPAIR, REPAIR_PARTITIONS).unwrap();
        let site = Site::new();
        let deployment = site.configure_kafka("ledger", &broker, "ledger");
        let mut config = std::fs::OpenOptions::new().append(true).open(&deployment.config).unwrap();
        writeln!(config, "dead_letters: {{ topic: {REPAIR} }}").unwrap();
        Self {
            producer: GatedProducer::new(broker.bootstrap()).unwrap(),
            repair: Repair::new(&broker),
            broker,
            deployment,
            sent: 0,
            _site: site,
        }
    }

    /// Offers so many more records of each partition: good ones, and two of three that are rejected.
    fn offer(&mut self, count: u64) {
        for n in self.sent..self.sent + count {
            for partition in 0..PARTITIONS {
                offer(&mut self.producer, partition, n);
            }
        }
        self.sent += count;
    }

    /// The same, and waits until the broker has them.
    fn produce(&mut self, count: u64) {
        self.offer(count);
        self.producer.flush(Duration::from_secs(60)).unwrap();
    }

    fn until_durable(&self, service: &mut Service) {
        service.until_durable(usize::from(PARTITIONS), self.sent);
    }

    /// Nothing was lost: not in the ledger, not on the topic.
    fn assert_whole(&mut self) {
        assert_sound(&self.deployment.ledger);
        let rejected = (0..self.sent).filter(|n| n % 3 != 0).count();
        let found = letters(&self.deployment.ledger);
        assert_eq!(found.len(), rejected * usize::from(PARTITIONS));
        self.repair.until_complete(&self.deployment.ledger);
    }
}

/// The nth record of a partition; every third is fit for the mapping.
fn offer(producer: &mut GatedProducer, partition: u16, n: u64) {
    let key = format!(
        r#"{{"orgId":"o","deviceType":"press","deviceId":"m-{n}","eventType":"reading","format":"json","timestamp":"2026-01-31T12:00:00.000Z"}}"#
    );
    let long = format!("no JSON {}", "x".repeat(100_000));
    let number = n.to_string();
    let headers: [(&str, &[u8]); 3] =
        [("number", number.as_bytes()), ("twice", b"1"), ("twice", b"\xff\x00")];
    let (key, value, headers): (Option<&[u8]>, Option<&[u8]>, &[_]) = match n % 12 {
        1 => (Some(key.as_bytes()), Some(b"rubbish"), &headers),
        2 => (Some(key.as_bytes()), None, &headers[..1]),
        4 => (None, Some(b"{]"), &headers),
        5 => (Some(b"?"), Some(b"\xff\xff"), &[]),
        7 => (Some(key.as_bytes()), Some(br#"{"d":{"temperature":"warm"}}"#), &[]),
        8 => (Some(key.as_bytes()), Some(long.as_bytes()), &headers),
        10 | 11 => (Some(key.as_bytes()), Some(b"[1"), &headers[1..]),
        _ => (Some(key.as_bytes()), Some(br#"{"d":{"temperature":20.5}}"#), &headers[..1]),
    };
    let timestamp_ms = 1_769_860_800_000 + i64::try_from(n).unwrap();
    let record = Outgoing { topic: TOPIC, partition, key, value, headers, timestamp_ms };
    while producer.offer(&record, |_, _| u64::MAX).unwrap() == Sent::Held {
        producer.wait(Duration::from_millis(1));
    }
}

#[test]
fn each_letter_comes_once_across_orderly_restarts() {
    let mut scene = Scene::new();
    for _ in 0..3 {
        let mut service = Service::start(&scene.deployment);
        scene.produce(48);
        scene.until_durable(&mut service);
        service.end();
        scene.assert_whole();
        assert_eq!(scene.repair.count(), scene.repair.copies.len(), "a copy came twice");
    }
    let causes: std::collections::BTreeSet<_> =
        letters(&scene.deployment.ledger).iter().map(|(_, l)| l.rejection.cause.name()).collect();
    assert!(causes.len() >= 4, "{causes:?}");
}

#[test]
fn an_outage_delays_letters_and_loses_none() {
    let mut scene = Scene::new();
    let mut service = Service::start(&scene.deployment);
    scene.produce(30);
    service.until_status("the first letters", |status| {
        status["records"]["dead_lettered"].as_u64().unwrap() > 0
    });
    scene.broker.down().unwrap();
    service.until("not ready", |service| service.get("/readyz").filter(|(code, _)| *code == 503));
    scene.offer(30);
    scene.broker.up().unwrap();
    scene.produce(30);
    scene.until_durable(&mut service);
    // Without an end in order: the follower went on by itself.
    scene.repair.until_complete(&scene.deployment.ledger);
    service.end();
    scene.assert_whole();
}

#[test]
fn letters_that_wait_while_the_program_is_killed_go_out_later() {
    let mut scene = Scene::new();
    for partition in 0..REPAIR_PARTITIONS {
        scene.broker.set_leader(REPAIR, partition, None).unwrap();
    }
    for round in 0..3 {
        let mut service = Service::start(&scene.deployment);
        scene.produce(24);
        scene.until_durable(&mut service);
        match round {
            0 => drop(service.kill()),
            // With no leader to take the letters, a stop ends in time and says what is left.
            1 => {
                let log = service.end().log;
                assert!(log.contains("the next start sends them"), "{log}");
            }
            _ => {
                scene.repair.take();
                assert_eq!(scene.repair.count(), 0);
                for partition in 0..REPAIR_PARTITIONS {
                    scene.broker.set_leader(REPAIR, partition, Some(1)).unwrap();
                }
                scene.repair.until_complete(&scene.deployment.ledger);
                service.end();
            }
        }
    }
    scene.assert_whole();
}

#[test]
fn a_refused_topic_holds_up_nothing_and_is_tried_again() {
    let mut scene = Scene::new();
    scene.produce(24);
    // Nobody else writes to the broker until these are used up.
    scene.broker.fail(BrokerRequest::Produce, BrokerFault::Forbidden, 1).unwrap();
    let mut service = Service::start(&scene.deployment);
    scene.until_durable(&mut service);
    service.until_logged("follower `dead-letter-topic` is held up");
    service.until_logged("follower `dead-letter-topic` goes on");
    assert!(service.log().contains("TopicAuthorizationFailed"), "{}", service.log());
    scene.produce(24);
    scene.until_durable(&mut service);
    service.end();
    scene.assert_whole();
}

#[test]
fn an_absent_topic_holds_up_nothing_and_may_come_later() {
    let mut scene = Scene::new();
    let config = std::fs::read_to_string(&scene.deployment.config).unwrap();
    let quick = "properties: { topic.metadata.propagation.max.ms: 100, ";
    let config = config.replace("properties: { ", quick);
    std::fs::write(&scene.deployment.config, config).unwrap();
    scene.broker.set_absent(REPAIR, true).unwrap();
    let mut service = Service::start(&scene.deployment);
    scene.produce(24);
    scene.until_durable(&mut service);
    service.until_logged("follower `dead-letter-topic` is held up");
    assert_eq!(service.get("/readyz").unwrap().0, 200, "ingestion continues");
    service.until("a finding", |service| {
        let (_, findings) = service.get("/api/v1/findings")?;
        let codes = findings.as_array()?.iter().map(|finding| &finding["code"]);
        codes.into_iter().any(|code| code == "dead_letter_topic_behind").then_some(())
    });
    scene.broker.set_absent(REPAIR, false).unwrap();
    service.until_logged("follower `dead-letter-topic` goes on");
    let status = service.status().unwrap();
    assert!(status["dead_letter_topic"]["held"].is_null(), "{status}");
    service.end();
    scene.assert_whole();
}

#[test]
fn a_place_of_another_topic_or_ledger_is_not_gone_on_from() {
    let mut scene = Scene::new();
    let mut service = Service::start(&scene.deployment);
    scene.produce(24);
    scene.until_durable(&mut service);
    service.end();
    scene.assert_whole();
    let place = scene.deployment.ledger.join("dead-letter-topic.next");
    let good = std::fs::read_to_string(&place).unwrap();
    let words: Vec<_> = good.split_whitespace().collect();
    let places = [
        format!("{} {} other\n", words[0], words[1]),
        format!("{} {} {REPAIR}\n", words[0], "0".repeat(64)),
        format!("1000000 {} {REPAIR}\n", words[1]),
        "rubbish".to_owned(),
        String::new(),
    ];
    let all = scene.repair.count();
    for (round, text) in (2..).zip(places) {
        std::fs::write(&place, &text).unwrap();
        let mut service = Service::start(&scene.deployment);
        service.until_running();
        until("every letter again", || {
            scene.repair.take();
            (scene.repair.count() >= round * all).then_some(())
        });
        let log = service.end().log;
        assert_eq!(log.contains("every dead letter is sent"), !text.is_empty(), "{log}");
        assert_eq!(std::fs::read_to_string(&place).unwrap(), good);
        scene.assert_whole();
    }
}
