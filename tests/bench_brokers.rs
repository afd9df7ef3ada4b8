//! `ledgerline bench --brokers` fills the topic of brokers outside with what it lacks, once, and
//! measures the whole way from there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

mod common;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use common::{assert_sound, program, succeed};
use ledgerline::fleet::{Message, Steady};
use ledgerline::input::broker::EmbeddedBroker;
use ledgerline::input::producer::{GatedProducer, Outgoing, Sent};
use serde_json::Value;

const TOPIC: &str = "ledgerline-bench";
const EVENTS: &str = "1000";
/// Measured records, and a twentieth of them for the warm-up.
const RECORDS: u64 = 1_050;
/// Records already in the topic.
const SOME: u64 = 40;

fn write_some(broker: &EmbeddedBroker) {
    let mut producer = GatedProducer::new(broker.bootstrap()).unwrap();
    let (mut steady, mut message) = (Steady::new(10), Message::default());
    for _ in 0..SOME {
        steady.next(0, &mut message);
        let record = Outgoing {
            topic: message.topic,
            partition: message.partition(3),
            key: Some(&message.key),
            value: message.value.as_deref(),
            headers: &[],
            timestamp_ms: message.timestamp_ms,
        };
        assert_eq!(producer.offer(&record, |_, _| 0).unwrap(), Sent::Taken);
    }
    producer.flush(Duration::from_secs(60)).unwrap();
}

#[test]
fn a_named_broker_is_filled_once_and_read() {
    let broker = EmbeddedBroker::start(1).unwrap();
    broker.create_topic(TOPIC, 3).unwrap();
    let held = || GatedProducer::new(broker.bootstrap()).unwrap().held(TOPIC).unwrap();
    write_some(&broker);
    assert_eq!(held(), SOME);
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().to_str().unwrap();
    let measure = ["bench", "--events", EVENTS, "--devices", "10", "--json"];
    let place =
        ["--brokers", broker.bootstrap(), "-X", "client.id=bench", "--directory", directory];
    let arguments = [&measure[..], &place[..]].concat();

    let report: Value = serde_json::from_str(&succeed(&arguments)).unwrap();
    assert_eq!(report["brokers"], broker.bootstrap());
    assert_eq!(report["partitions"], 3);
    assert_eq!(report["receipt_at_half_rate_ms"], Value::Null);
    for rate in ["whole_way", "consume", "consume_and_parse", "consume_and_decode"] {
        assert!(report[rate].as_f64().unwrap() > 0.0, "{report}");
    }
    assert_sound(&folder.path().join("whole/ledger"));
    let config = folder.path().join("whole/ledgerline.yaml");
    assert!(std::fs::read_to_string(&config).unwrap().contains(r#"client.id: "bench""#));
    assert_eq!(std::fs::metadata(&config).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(held(), RECORDS);

    let again = program(&arguments);
    assert_eq!(again.status.code(), Some(64));
    let told = String::from_utf8(again.stderr).unwrap();
    assert!(told.contains("has a ledger of an earlier run"), "{told}");
}
