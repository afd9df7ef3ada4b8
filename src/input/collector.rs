//! Gathers records into one batch a partition. Shared by the sources.

use std::collections::VecDeque;

use crate::codec::Digest;
use crate::event::{RecordDigests, SourcePartition};
use crate::input::{Batch, BatchBuilder, Generation, InputError, LastTaken};
use crate::limits::{MAX_BATCH_BYTES, MAX_BATCH_RECORDS};

/// One record on its way into a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) offset: u64,
    pub(super) timestamp_ms: Option<i64>,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    /// The part of it that could not be read.
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
    /// A record in front of the first one, to be compared with what the ledger took.
    before: Option<Before>,
}

#[derive(Debug)]
struct Before {
    last: LastTaken,
    is_compared: bool,
}

impl Collector {
    /// Records of this partition are ours from `next` on.
    pub(super) fn assign(&mut self, partition: SourcePartition, assigned: (Generation, u64)) {
        let (generation, next) = assigned;
        self.revoke(&partition);
        self.lanes.push(Lane { partition, generation, next, open: None, before: None });
    }

    /// Records of a partition that is ours come from this one on: it is compared, and those up to the
    /// position are dropped.
    pub(super) fn compare_from(&mut self, partition: &SourcePartition, last: LastTaken) {
        let lane = self.lanes.iter_mut().find(|lane| lane.partition == *partition);
        if let Some(lane) = lane.filter(|lane| last.offset < lane.next) {
            lane.before = Some(Before { last, is_compared: false });
        }
    }

    /// Goes on from an offset behind which a partition has no record: gives a batch without records
    /// that says so. Does nothing where records have been gathered since.
    pub(super) fn pass_over(&mut self, lane: usize, from: u64, to: u64) {
        let Some(lane) = self.lanes.get_mut(lane) else { return };
        if lane.open.is_none() && lane.next == from && from < to {
            let builder = BatchBuilder::new(lane.partition.clone(), lane.generation, from);
            let mut batch = builder.build();
            batch.next = to;
            self.ready.push_back(batch);
            lane.next = to;
        }
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

    /// The partitions that are ours, each with the offset that it is to be fetched from: that of the
    /// record to compare, where that has not come.
    pub(super) fn fetch_positions(&self) -> Vec<(SourcePartition, u64)> {
        let from = |lane: &Lane| match &lane.before {
            Some(Before { last, is_compared: false }) => last.offset,
            _ => lane.next,
        };
        self.lanes.iter().map(|lane| (lane.partition.clone(), from(lane))).collect()
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
    ) -> Result<(), InputError> {
        let Some(lane) = self.lanes.get_mut(lane) else { return Ok(()) };
        if record.offset < lane.next {
            return lane.compare(record, headers);
        }
        let builder = match &mut lane.open {
            Some(builder) => builder,
            None => {
                lane.end_comparison();
                let (partition, generation) = (lane.partition.clone(), lane.generation);
                lane.open.insert(BatchBuilder::new(partition, generation, lane.next))
            }
        };
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

    /// The number of assigned partitions.
    pub(super) fn len(&self) -> usize {
        self.lanes.len()
    }

    /// True if one round has gathered enough.
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

/// Digest of a record, as the ledger keeps it of the last one of a partition.
pub(super) fn record_digest<'h>(
    record: Parts<'_>,
    headers: impl Iterator<Item = (&'h str, Option<&'h [u8]>)>,
) -> Digest {
    let Parts { offset, timestamp_ms, key, value, damage: _ } = record;
    // The position is not digested.
    let mut builder = BatchBuilder::new(SourcePartition::new("", 0), Generation(0), offset);
    builder.push(offset, timestamp_ms, key, value, headers);
    let batch = builder.build();
    let digest = batch.records().next().map(|record| RecordDigests::of(&record).record);
    digest.unwrap_or_default()
}

impl Lane {
    /// Compares a record in front of the position, where it is the one that the ledger took last.
    fn compare<'h>(
        &mut self,
        record: Parts<'_>,
        headers: impl Iterator<Item = (&'h str, Option<&'h [u8]>)>,
    ) -> Result<(), InputError> {
        let partition = self.partition.clone();
        let Some(Before { last, is_compared }) = &mut self.before else {
            let previous = self.next.saturating_sub(1);
            return Err(InputError::OutOfOrder { partition, offset: record.offset, previous });
        };
        if record.offset != last.offset {
            return Ok(());
        }
        *is_compared = true;
        let (offset, found, taken) = (record.offset, record_digest(record, headers), last.digest);
        match found == taken {
            true => Ok(()),
            false => Err(InputError::RecordChanged { partition, offset, found, taken }),
        }
    }

    /// Records from the position on come now, so one in front of it can no longer come.
    fn end_comparison(&mut self) {
        if let Some(Before { last, is_compared: false }) = self.before.take() {
            tracing::info!(
                "{}: the record at offset {} was removed from the topic, so it cannot be compared \
                 with the one in the ledger",
                self.partition,
                last.offset
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(offset: u64) -> Parts<'static> {
        Parts { offset, timestamp_ms: None, key: None, value: Some(b"v"), damage: None }
    }

    fn push(collector: &mut Collector, partition: u32, offset: u64) -> Result<(), InputError> {
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
            Err(InputError::OutOfOrder { offset: 12, previous: 12, .. })
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

    /// The digest that a ledger has of a record of these tests.
    fn digest(partition: &SourcePartition, offset: u64) -> crate::codec::Digest {
        let mut builder = BatchBuilder::new(partition.clone(), Generation(0), offset);
        builder.push(offset, None, None, Some(b"v"), std::iter::empty());
        let batch = builder.build();
        let record = batch.records().next().unwrap();
        RecordDigests::of(&record).record
    }

    /// A lane that needs offset 10 and compares offset 8.
    fn comparing(digest: crate::codec::Digest) -> Collector {
        let mut collector = Collector::default();
        let partition = SourcePartition::new("t", 0);
        collector.assign(partition.clone(), (Generation(1), 10));
        collector.compare_from(&partition, LastTaken { offset: 8, digest });
        collector
    }

    #[test]
    fn the_record_before_the_position_is_compared_and_dropped() {
        let same = digest(&SourcePartition::new("t", 0), 8);
        let mut collector = comparing(same);
        let from = |collector: &Collector| collector.fetch_positions()[0].1;
        assert_eq!(from(&collector), 8);
        for (offset, next) in [(8, 10), (9, 10), (10, 11), (11, 12)] {
            push(&mut collector, 0, offset).unwrap();
            assert_eq!(from(&collector), next);
        }
        collector.flush();
        let batch = collector.take().unwrap();
        assert_eq!((batch.from, batch.next, batch.len()), (10, 12, 2));
        assert!(matches!(push(&mut collector, 0, 9), Err(InputError::OutOfOrder { .. })));
        // The record was compacted: what comes cannot tell.
        let mut collector = comparing(same);
        for offset in [9, 10] {
            push(&mut collector, 0, offset).unwrap();
        }
        assert!(matches!(push(&mut collector, 0, 8), Err(InputError::OutOfOrder { .. })));
    }

    #[test]
    fn another_record_before_the_position_ends_the_source() {
        let other = digest(&SourcePartition::new("t", 0), 8).0.map(|byte| !byte);
        let mut collector = comparing(crate::codec::Digest(other));
        let error = push(&mut collector, 0, 8).unwrap_err();
        assert!(matches!(error, InputError::RecordChanged { offset: 8, .. }), "{error}");
        let text = error.to_string();
        for part in ["t/0: the record at offset 8", "epochs: { t: 1 }", "continue_at: { 0: 8 }"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        collector.flush();
        assert!(collector.take().is_none());
    }

    #[test]
    fn an_end_without_records_is_a_batch_without_records() {
        let mut collector = Collector::default();
        collector.assign(SourcePartition::new("t", 0), (Generation(1), 10));
        let lane = collector.find("t", 0).unwrap();
        push(&mut collector, 0, 10).unwrap();
        collector.pass_over(lane, 11, 14);
        collector.flush();
        assert_eq!(collector.take().map(|batch| (batch.from, batch.next)), Some((10, 11)));
        assert!(collector.take().is_none(), "records were being gathered");
        collector.pass_over(lane, 10, 14);
        assert!(collector.take().is_none(), "a record has come since");
        collector.pass_over(lane, 11, 14);
        let batch = collector.take().unwrap();
        assert_eq!((batch.from, batch.next, batch.len()), (11, 14, 0));
        assert_eq!(collector.next(lane), Some(14));
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
