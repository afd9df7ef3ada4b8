//! Counts of records by topic, and of events from the future, in this process.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::SourcePosition;
use crate::ledger::Records;
use crate::transaction::Transaction;

/// Records of one topic that went through mappings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TopicCounts {
    /// Records that came into the ledger.
    pub records: u64,
    /// The newest of them in a row that no mapping matched, to whole blocks.
    pub filtered_in_a_row: u64,
}

/// Events that are dated ahead of this machine's clock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FutureEvents {
    /// Number of their transactions.
    pub count: u64,
    /// The last one that came.
    pub last: Option<FutureEvent>,
}

/// An event that is dated ahead of this machine's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FutureEvent {
    /// Its time, in milliseconds since 1970.
    pub time_ms: i64,
    /// Its device.
    pub device: String,
    /// Its transaction.
    pub id: SourcePosition,
}

/// Adds the records of a block. Topics are few: those that inputs were ever told to read.
pub(super) fn add<'a>(
    counts: &mut BTreeMap<Arc<str>, TopicCounts>,
    records: &Records,
    transactions: impl Iterator<Item = &'a Transaction>,
) {
    let mut read: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for progress in &records.progress {
        read.entry(&progress.partition.topic).or_default().0 += progress.records;
    }
    for filtered in &records.filtered {
        read.entry(&filtered.partition.topic).or_default().1 += filtered.count();
    }
    for transaction in transactions {
        // A manual call is a record that no mapping saw.
        if !transaction.is_mapped()
            && let Some((records, _)) = read.get_mut(&*transaction.id.partition.topic)
        {
            *records = records.saturating_sub(1);
        }
    }
    for (topic, (records, filtered)) in read.into_iter().filter(|(_, (records, _))| *records > 0) {
        if !counts.contains_key(topic) {
            counts.insert(topic.into(), TopicCounts::default());
        }
        let Some(known) = counts.get_mut(topic) else { continue };
        known.records += records;
        known.filtered_in_a_row = match filtered >= records {
            true => known.filtered_in_a_row + filtered,
            false => 0,
        };
    }
}

/// The newest time of events up to `latest_ms`; those after it are counted.
pub(super) fn newest_event<'a>(
    transactions: impl Iterator<Item = &'a Transaction>,
    latest_ms: i64,
    future: impl Fn(u64, FutureEvent),
) -> Option<i64> {
    let (mut newest, mut count, mut last) = (None, 0, None);
    for transaction in transactions {
        // A person may report any time.
        if !transaction.is_mapped() {
            continue;
        }
        if transaction.time_ms > latest_ms {
            (count, last) = (count + 1, Some(transaction));
        } else {
            newest = newest.max(Some(transaction.time_ms));
        }
    }
    if let Some(last) = last {
        let (time_ms, device, id) = (last.time_ms, last.device.to_string(), last.id.clone());
        future(count, FutureEvent { time_ms, device, id });
    }
    newest
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::call::{Arguments, Function, Payload};
    use crate::codec::Digest;
    use crate::codec::json::json;
    use crate::event::{DeviceName, RecordDigests, SourcePartition};
    use crate::ledger::{Filtered, Progress};

    /// Records of a topic that a block read, and how many of them no mapping matched.
    fn records(topic: &str, count: u64, filtered: u64) -> Records {
        let partition = SourcePartition::new(topic, 0);
        let progress = Progress {
            partition: partition.clone(),
            from: 0,
            next: count,
            records: count,
            last: None,
        };
        let filtered = Filtered { partition, runs: vec![(0, filtered)] };
        Records { progress: vec![progress], filtered: vec![filtered], ..Records::default() }
    }

    #[test]
    fn records_that_are_filtered_in_a_row_are_counted_by_topic() {
        let mut counts = BTreeMap::new();
        for (topic, count, filtered, in_a_row) in [
            ("t", 10, 10, 10),
            ("u", 5, 4, 0),
            ("t", 1, 1, 11),
            ("u", 7, 7, 7),
            ("t", 9, 8, 0),
            ("t", 2, 2, 2),
        ] {
            add(&mut counts, &records(topic, count, filtered), std::iter::empty());
            assert_eq!(counts[topic].filtered_in_a_row, in_a_row, "{topic}");
        }
        assert_eq!((counts["t"].records, counts["u"].records), (22, 12));
        let call = transaction(SourcePartition::calls(), 0);
        add(&mut counts, &records(&call.id.partition.topic, 1, 0), std::iter::once(&call));
        assert_eq!(counts.len(), 2, "no mapping saw a manual call");
    }

    /// A manual call, or the transaction of a mapping.
    fn transaction(partition: SourcePartition, time_ms: i64) -> Transaction {
        let mapping = if partition.is_calls() { Digest::default() } else { Digest::of(b"mapping") };
        let payload = Payload {
            contract: "c".into(),
            function: Function::Update,
            arguments: Arguments::from_value(json!({})).unwrap(),
            mapping,
        };
        let id = SourcePosition { partition, offset: 7, output: 0 };
        let digests = RecordDigests { record: Digest::default(), value: Digest::default() };
        Transaction::new(id, (time_ms, DeviceName::new("x", "1")), digests, payload)
    }

    #[test]
    fn events_from_the_future_are_counted_and_say_nothing_of_freshness() {
        let event = |time_ms| transaction(SourcePartition::new("t", 0), time_ms);
        let call = transaction(SourcePartition::calls(), i64::MAX);
        let table: [(&[i64], Option<i64>, Option<i64>); 6] = [
            (&[], None, None),
            (&[1, 3, 2], Some(3), None),
            (&[100], Some(100), None),
            (&[101, 5], Some(5), Some(101)),
            (&[i64::MAX, 101, 5, i64::MIN], Some(5), Some(101)),
            (&[200], None, Some(200)),
        ];
        for (times, newest, last) in table {
            let events: Vec<_> = times.iter().map(|time_ms| event(*time_ms)).collect();
            let told = Cell::new(None);
            let found = newest_event(events.iter().chain([&call]), 100, |count, last| {
                assert_eq!(
                    (last.device.as_str(), last.id.to_string().as_str()),
                    ("x:1", "t/0/7/0")
                );
                told.set(Some((count, last.time_ms)));
            });
            assert_eq!(found, newest, "{times:?}");
            let count = times.iter().filter(|time_ms| **time_ms > 100).count() as u64;
            assert_eq!(told.get(), last.map(|last| (count, last)), "{times:?}");
        }
    }
}
