//! End to end: every record on Kafka ends in exactly one disposition in a ledger that verifies,
//! with a broker outage and a rebalance in the middle.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

mod common;

use common::records::{Fate, fates, produce};
use common::service::Service;
use common::{Site, TOPIC, assert_sound, kafka, reading, records, succeed};
use ledgerline::input::broker::EmbeddedBroker;
use ledgerline::input::producer::GatedProducer;
use serde_json::Value;

const PARTITIONS: u16 = 4;
const GROUP: &str = "ledger";

/// A broker that goes away and comes back.
fn outage(broker: &EmbeddedBroker, service: &mut Service) {
    broker.down().unwrap();
    let (_, reason) = service
        .until("not ready", |service| service.get("/readyz").filter(|(code, _)| *code == 503));
    assert!(reason.to_string().contains("no Kafka broker is reachable"), "{reason}");
    assert_eq!(service.get("/healthz").unwrap().0, 200, "it is well all the same");
    broker.up().unwrap();
    service.until("ready", |service| service.get("/readyz").filter(|(code, _)| *code == 200));
}

/// Another member takes partitions over, and leaves again.
fn rebalance(broker: &EmbeddedBroker, service: &mut Service, while_shared: impl FnOnce()) {
    let rival = kafka::rival(broker, GROUP);
    let shared = |status: &Value| kafka::assigned(status) < usize::from(PARTITIONS);
    service.until_status("partitions given back", shared);
    while_shared();
    drop(rival);
    let whole = |status: &Value| kafka::assigned(status) == usize::from(PARTITIONS);
    service.until_status("every partition again", whole);
}

#[test]
fn every_record_has_one_place_in_the_ledger() {
    let broker = EmbeddedBroker::start(1).unwrap();
    broker.create_topic(TOPIC, PARTITIONS).unwrap();
    let site = Site::new();
    let deployment = site.configure_kafka("ledger", &broker, GROUP);

    let mut service = Service::start(&deployment);
    service.until_running();
    let mut producer = GatedProducer::new(broker.bootstrap()).unwrap();
    produce(&mut producer, PARTITIONS, 0..600);
    drop(producer);
    service.until_status("the first records", |status| {
        status["records"]["read"].as_u64().unwrap() > 100
    });
    outage(&broker, &mut service);
    let mut producer = GatedProducer::new(broker.bootstrap()).unwrap();
    produce(&mut producer, PARTITIONS, 600..700);
    service.until_durable(usize::from(PARTITIONS), 700);
    rebalance(&broker, &mut service, || produce(&mut producer, PARTITIONS, 700..900));
    produce(&mut producer, PARTITIONS, 900..1_000);
    let status = service.until_durable(usize::from(PARTITIONS), 1_000);
    assert_throughput(&service.get("/api/v1/throughput").unwrap().1, &status);
    let ended = service.end();

    assert_sound(&deployment.ledger);
    let contents = reading::read(&deployment.ledger);
    assert_eq!(contents.fates, fates(PARTITIONS, 1_000));
    assert_eq!(reading::state(&deployment.ledger), records::state(PARTITIONS, 1_000));
    let committed = kafka::committed(&broker, GROUP, PARTITIONS);
    assert_eq!(committed, [Some(1_000); 4], "{}", ended.log);
    assert_counts(&status);
    assert_export(&deployment.ledger);
}

/// The endpoint counted what the records are.
fn assert_counts(status: &Value) {
    let all = fates(PARTITIONS, 1_000);
    let count =
        |is: fn(&Fate) -> u64| all.values().flatten().map(|(_, fate)| is(fate)).sum::<u64>();
    let records = &status["records"];
    assert_eq!(records["read"], 4_000);
    assert_eq!(records["filtered"], count(|fate| u64::from(*fate == Fate::Filtered)));
    assert_eq!(records["dead_lettered"], count(|fate| u64::from(*fate == Fate::DeadLettered)));
    let transactions = records["valid"].as_u64().unwrap() + records["invalid"].as_u64().unwrap();
    let committed = |fate: &Fate| match fate {
        Fate::Committed(count) => u64::from(*count),
        Fate::Filtered | Fate::DeadLettered => 0,
    };
    assert_eq!(transactions, count(committed));
    assert!(records["invalid_reasons"]["rejected"].as_u64().unwrap() > 0, "{records}");
}

/// Mappings and contracts made what there is, and mappings rejected what they said.
fn assert_throughput(throughput: &Value, status: &Value) {
    let sum = |kind: &str, field: &str| -> u64 {
        let of_kind = throughput.as_array().unwrap().iter().filter(|of| of["kind"] == kind);
        of_kind.map(|of| of[field].as_u64().unwrap()).sum()
    };
    let records = &status["records"];
    for kind in ["mapping", "contract"] {
        assert_eq!(records["valid"], sum(kind, "valid"), "{kind}: {throughput}");
        assert_eq!(records["invalid"], sum(kind, "invalid"), "{kind}: {throughput}");
    }
    // Null values reach the mapping, which requires a field that they do not have; the other dead
    // letters come to no mapping.
    assert_eq!(
        records["dead_letters"]["missing_field"],
        sum("mapping", "rejected"),
        "{throughput}"
    );
}

/// The exported lines are the entries, in order, each transaction once.
fn assert_export(ledger: &std::path::Path) {
    let text = succeed(&["export", ledger.to_str().unwrap()]);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // Indices rise; where a block ended, its own leaf stands in between.
    for pair in lines.windows(2) {
        let [before, entry] = [&pair[0], &pair[1]].map(|line| line["entry"].as_u64().unwrap());
        assert!(before < entry, "{before} and {entry}");
    }
    let ids = |partition: u16| {
        let prefix = format!("{TOPIC}/{partition}/");
        let of = move |line: &Value| {
            let id = line["id"].as_str()?.strip_prefix(&prefix)?;
            let (offset, output) = id.split_once('/')?;
            Some((offset.parse::<u64>().unwrap(), output.parse::<u32>().unwrap()))
        };
        lines.iter().filter_map(of).collect::<Vec<_>>()
    };
    for (partition, fates) in (0..).zip(fates(PARTITIONS, 1_000).into_values()) {
        let expected = fates.iter().flat_map(|(offset, fate)| match fate {
            Fate::Committed(count) => (0..*count).map(|output| (*offset, output)).collect(),
            Fate::Filtered | Fate::DeadLettered => Vec::new(),
        });
        assert_eq!(ids(partition), expected.collect::<Vec<_>>(), "partition {partition}");
    }
}

#[test]
fn every_transaction_may_have_a_signature_of_its_own() {
    let broker = EmbeddedBroker::start(1).unwrap();
    broker.create_topic(TOPIC, PARTITIONS).unwrap();
    let site = Site::new();
    let deployment = site.configure_kafka("ledger", &broker, GROUP);
    let text = std::fs::read_to_string(&deployment.config).unwrap();
    let text = text.replace("submission: {", "submission: { sign_each: true,");
    std::fs::write(
        &deployment.config,
        text.replace("max_transactions: 5", "max_transactions: 500"),
    )
    .unwrap();
    let mut producer = GatedProducer::new(broker.bootstrap()).unwrap();
    produce(&mut producer, PARTITIONS, 0..200);
    let mut service = Service::start(&deployment);
    service.until_durable(usize::from(PARTITIONS), 200);
    service.end();

    assert_sound(&deployment.ledger);
    assert_eq!(reading::read(&deployment.ledger).fates, fates(PARTITIONS, 200));
    let blocks = reading::blocks(&deployment.ledger);
    let seals = blocks.iter().flat_map(|block| &block.records.submissions);
    assert!(seals.clone().all(|seal| seal.count == 1), "one transaction a signature");
    let transactions = blocks.iter().flat_map(|block| &block.entries);
    let count = transactions.filter(|entry| entry.transaction().is_some()).count();
    assert_eq!(seals.count(), count);
    assert!(blocks.len() < count, "and yet several a block");
}

#[test]
fn every_record_counts_once_in_the_times_to_receipts() {
    let site = Site::new();
    std::fs::write(site.path().join("records.jsonl"), records::lines(1, 0..200)).unwrap();
    let deployment = site.configure("ledger", "file: { path: records.jsonl }");
    let config = ledgerline::config::load(&deployment.config).config.unwrap();
    let opened = ledgerline::app::open(config, &mut |_, _, _| {}).unwrap();
    let status = opened.status.clone();
    opened.start().unwrap().wait().unwrap();
    assert_eq!(status.receipts().counts.iter().sum::<u64>(), 200);
}
