//! Gathers records into one batch a partition. Shared by the sources.

use std::collections::VecDeque;

use crate::event::SourcePartition;
use crate::limits::{MAX_BATCH_BYTES, MAX_BATCH_RECORDS};
use crate::source::{Batch, BatchBuilder, Generation, SourceError};

/// One record on its way into a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) offset: u64,
    pub(super) timestamp_ms: Option<i64>,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    /// What could not be read of it.
    pub(super) damage: Option<&'a str>,
}

/// Open batches of the partitions that are ours, and full ones that wait to be taken.
#[derive(Debug, Default)]
pub(super) struct Collector {
    lanes: Vec<Lane>,
    /// The lane of the last record: records come in runs of one partition.
    last: usize,
    records: usize,
    bytes: usize,
    ready: VecDeque<Batch>,
}

#[derive(Debug)]
struct Lane {
    partition: SourcePartition,
    generation: Generation,
    next: u64,
    open: Option<BatchBuilder>,
}

impl Collector {
    /// Records of this partition are ours from `next` on.
    pub(super) fn assign(&mut self, partition: SourcePartition, assigned: (Generation, u64)) {
        let (generation, next) = assigned;
        self.revoke(&partition);
        self.lanes.push(Lane { partition, generation, next, open: None });
    }

    /// Drops what was gathered of this partition: whoever owns it next reads it again.
    pub(super) fn revoke(&mut self, partition: &SourcePartition) {
        self.lanes.retain(|lane| lane.partition != *partition);
        self.ready.retain(|batch| batch.partition != *partition);
        self.last = 0;
    }

    /// Finds a partition that is ours, by topic and number.
    pub(super) fn find(&mut self, topic: &str, partition: u32) -> Option<usize> {
        let is =
            |lane: &Lane| lane.partition.partition == partition && *lane.partition.topic == *topic;
        if !self.lanes.get(self.last).is_some_and(is) {
            self.last = self.lanes.iter().position(is)?;
        }
        Some(self.last)
    }

    /// The partitions that are ours, each with the offset that comes next.
    pub(super) fn positions(&self) -> Vec<(SourcePartition, u64)> {
        self.lanes.iter().map(|lane| (lane.partition.clone(), lane.next)).collect()
    }

    /// The offset that comes next in a lane that [`Collector::find`] found.
    pub(super) fn next(&self, lane: usize) -> Option<u64> {
        self.lanes.get(lane).map(|lane| lane.next)
    }

    /// Adds a record to a lane that [`Collector::find`] found.
    pub(super) fn push<'h>(
        &mut self,
        lane: usize,
        record: Parts<'_>,
        headers: impl Iterator<Item = (&'h str, Option<&'h [u8]>)>,
    ) -> Result<(), SourceError> {
        let Some(lane) = self.lanes.get_mut(lane) else { return Ok(()) };
        if record.offset < lane.next {
            return Err(SourceError::OutOfOrder {
                partition: lane.partition.clone(),
                offset: record.offset,
                previous: lane.next.saturating_sub(1),
            });
        }
        let builder = lane.open.get_or_insert_with(|| {
            BatchBuilder::new(lane.partition.clone(), lane.generation, lane.next)
        });
        let before = builder.byte_len();
        builder.push(record.offset, record.timestamp_ms, record.key, record.value, headers);
        if let Some(damage) = record.damage {
            builder.mark_damaged(damage);
        }
        lane.next = builder.next();
        self.records += 1;
        self.bytes += builder.byte_len() - before;
        Ok(())
    }

    /// Whether one round has gathered enough.
    pub(super) fn is_full(&self) -> bool {
        self.records >= MAX_BATCH_RECORDS || self.bytes >= MAX_BATCH_BYTES
    }

    /// Closes every open batch.
    pub(super) fn flush(&mut self) {
        self.ready.extend(
            self.lanes.iter_mut().filter_map(|lane| lane.open.take()).map(BatchBuilder::build),
        );
        (self.records, self.bytes) = (0, 0);
    }

    /// The oldest closed batch.
    pub(super) fn take(&mut self) -> Option<Batch> {
        self.ready.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(offset: u64) -> Parts<'static> {
        Parts { offset, timestamp_ms: None, key: None, value: Some(b"v"), damage: None }
    }

    fn push(collector: &mut Collector, partition: u32, offset: u64) -> Result<(), SourceError> {
        let lane = collector.find("t", partition).unwrap();
        collector.push(lane, parts(offset), std::iter::empty())
    }

    #[test]
    fn records_are_gathered_by_partition() {
        let mut collector = Collector::default();
        for partition in 0..2 {
            collector.assign(SourcePartition::new("t", partition), (Generation(1), 10));
        }
        for (partition, offset) in [(0, 10), (1, 12), (0, 11), (1, 13)] {
            push(&mut collector, partition, offset).unwrap();
        }
        assert!(collector.take().is_none(), "nothing is closed yet");
        collector.flush();
        let ranges: Vec<_> = std::iter::from_fn(|| collector.take())
            .map(|batch| (batch.partition.partition, batch.from, batch.next, batch.len()))
            .collect();
        assert_eq!(ranges, [(0, 10, 12, 2), (1, 10, 14, 2)]);
        push(&mut collector, 0, 12).unwrap();
        assert!(matches!(
            push(&mut collector, 0, 12),
            Err(SourceError::OutOfOrder { offset: 12, previous: 12, .. })
        ));
        assert_eq!(collector.find("t", 2), None);
    }

    #[test]
    fn what_is_revoked_is_dropped() {
        let mut collector = Collector::default();
        let partition = SourcePartition::new("t", 0);
        collector.assign(partition.clone(), (Generation(1), 0));
        push(&mut collector, 0, 0).unwrap();
        collector.flush();
        push(&mut collector, 0, 1).unwrap();
        collector.revoke(&partition);
        collector.assign(partition, (Generation(2), 0));
        collector.flush();
        assert!(collector.take().is_none());
        push(&mut collector, 0, 0).unwrap();
    }

    #[test]
    fn a_round_is_bounded() {
        let mut collector = Collector::default();
        collector.assign(SourcePartition::new("t", 0), (Generation(1), 0));
        let mut offset = 0;
        while !collector.is_full() {
            push(&mut collector, 0, offset).unwrap();
            offset += 1;
        }
        assert_eq!(offset, MAX_BATCH_RECORDS as u64);
        collector.flush();
        assert!(!collector.is_full());
    }
}
