//! Records of every kind, what must become of each, and what they leave behind.
//!
//! A record follows from its partition and its number there, so every run has the same ones.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::time::Duration;

use ledgerline::input::producer::{GatedProducer, Outgoing, Sent};
use serde_json::json;

use super::{TOPIC, until};

/// The expected disposition of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// So many transactions.
    Committed(u32),
    Filtered,
    DeadLettered,
}

/// One record.
#[derive(Debug, Clone)]
pub struct Sample {
    pub partition: u16,
    pub offset: u64,
    pub key: String,
    pub value: Option<String>,
    pub timestamp_ms: i64,
    pub fate: Fate,
    device: String,
    temperatures: Vec<f64>,
}

/// Temperatures above this are rejected by the contract.
const IMPOSSIBLE: f64 = 999.0;

/// The nth record of a partition. Every device keeps to one partition.
pub fn sample(partition: u16, n: u64) -> Sample {
    let device = format!("machine-{partition}-{}", n % 3);
    let reading = f64::from(u32::try_from(n * 7 % 120).unwrap());
    let (event, temperatures, fate) = match n % 16 {
        3 => ("heartbeat", Vec::new(), Fate::Filtered),
        7 | 12 => ("reading", Vec::new(), Fate::DeadLettered),
        11 => ("burst", vec![reading, reading + 0.5, 105.25], Fate::Committed(3)),
        13 => ("reading", vec![IMPOSSIBLE], Fate::Committed(1)),
        _ => ("reading", vec![reading], Fate::Committed(1)),
    };
    let body = match event {
        "burst" => json!({ "temperatures": temperatures }),
        _ => json!({ "temperature": temperatures.first() }),
    };
    let value = match n % 16 {
        7 => Some(format!("rubbish {n}")),
        12 => None,
        _ => Some(json!({ "d": body, "ts": "2026-01-31T12:00:00.000Z" }).to_string()),
    };
    let key = json!({
        "orgId": "plant1",
        "deviceType": "press",
        "deviceId": device,
        "eventType": event,
        "format": "json",
        "timestamp": "2026-01-31T12:00:00.000Z",
    });
    let timestamp_ms = 1_769_860_800_000 + i64::try_from(n).unwrap();
    let key = key.to_string();
    Sample { partition, offset: n, key, value, timestamp_ms, fate, device, temperatures }
}

/// Writes these records of each partition to the broker, and waits until it has them. A few at a
/// time: what is written together is read together and stands in one block.
pub fn produce(producer: &mut GatedProducer, partitions: u16, numbers: Range<u64>) {
    produce_to(producer, 0..partitions, numbers);
}

/// The same for some of the partitions.
pub fn produce_to(producer: &mut GatedProducer, partitions: Range<u16>, numbers: Range<u64>) {
    producer.flush(Duration::from_secs(60)).unwrap();
    for first in numbers.clone().step_by(10) {
        let few = first..numbers.end.min(first + 10);
        let count = u64::try_from(partitions.len()).unwrap();
        let written = producer.written() + count * (few.end - few.start);
        offer(producer, partitions.clone(), few);
        until("records written to the broker", || {
            producer.wait(Duration::from_millis(10));
            (producer.written() == written).then_some(())
        });
    }
}

fn offer(producer: &mut GatedProducer, partitions: Range<u16>, numbers: Range<u64>) {
    for n in numbers {
        for partition in partitions.clone() {
            let sample = sample(partition, n);
            let record = Outgoing {
                topic: TOPIC,
                partition,
                key: Some(sample.key.as_bytes()),
                value: sample.value.as_deref().map(str::as_bytes),
                headers: &[],
                timestamp_ms: sample.timestamp_ms,
            };
            while producer.offer(&record, |_, _| u64::MAX).unwrap() == Sent::Held {
                producer.wait(Duration::from_millis(1));
            }
        }
    }
}

/// The same records as a file of JSON lines.
pub fn lines(partitions: u16, numbers: Range<u64>) -> String {
    let mut text = String::new();
    for n in numbers {
        for partition in 0..partitions {
            let Sample { offset, timestamp_ms, key, value, .. } = sample(partition, n);
            let line = json!({
                "topic": TOPIC, "partition": partition, "offset": offset, "tstype": "create",
                "ts": timestamp_ms, "key": key, "payload": value,
            });
            writeln!(text, "{line}").unwrap();
        }
    }
    text
}

/// The expected dispositions of the first `count` records of each partition.
pub fn fates(partitions: u16, count: u64) -> BTreeMap<String, Vec<(u64, Fate)>> {
    let of = |partition| (0..count).map(|n| (n, sample(partition, n).fate)).collect();
    (0..partitions).map(|partition| (format!("{TOPIC}/{partition}"), of(partition))).collect()
}

/// State of each device after the first `count` records of each partition: the last temperature, and
/// how many there were.
pub fn state(partitions: u16, count: u64) -> BTreeMap<String, (f64, u64)> {
    let mut state = BTreeMap::new();
    for partition in 0..partitions {
        for sample in (0..count).map(|n| sample(partition, n)) {
            if sample.fate == Fate::DeadLettered {
                continue;
            }
            for temperature in sample.temperatures.iter().filter(|t| **t < IMPOSSIBLE) {
                let (last, readings) = state.entry(sample.device.clone()).or_insert((0.0, 0));
                (*last, *readings) = (*temperature, *readings + 1);
            }
        }
    }
    state
}
