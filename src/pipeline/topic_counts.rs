//! Counts of records by topic, and of events from the future, in this process.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::{SourcePartition, SourcePosition};
use crate::ledger::{Block, Entry};

/// Records of one topic.
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

/// Adds the records of a block. Topics are few: those that the source was ever told to read.
pub(super) fn add(counts: &mut BTreeMap<Arc<str>, TopicCounts>, block: &Block) {
    let mut read: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let is_read = |partition: &SourcePartition| !partition.is_calls();
    let records = &block.records;
    for progress in records.progress.iter().filter(|progress| is_read(&progress.partition)) {
        read.entry(&progress.partition.topic).or_default().0 += progress.records;
    }
    for filtered in records.filtered.iter().filter(|filtered| is_read(&filtered.partition)) {
        read.entry(&filtered.partition.topic).or_default().1 += filtered.count();
    }
    for (topic, (records, filtered)) in read {
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

/// The newest time of a block's events up to `latest_ms`; those behind it are counted.
pub(super) fn newest_event(
    block: &Block,
    latest_ms: i64,
    future: impl Fn(u64, FutureEvent),
) -> Option<i64> {
    let (mut newest, mut count, mut last) = (None, 0, None);
    for transaction in block.entries.iter().filter_map(Entry::transaction) {
        // A person may tell of any time.
        if transaction.id.partition.is_calls() {
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
