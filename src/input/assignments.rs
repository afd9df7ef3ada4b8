//! The assigned partitions, their generation, and the next offset of each.
//!
//! Shared between the source, which is told of assignments by the group, and the write loop, which
//! takes batches in. A batch of an assignment that has ended is stale and is dropped here: whoever
//! owns the partition next starts at the position that is kept here, so nothing is lost by it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::event::SourcePartition;

/// Counts assignments, so that work of an old one is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Generation(pub u64);

/// The result of offering a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It is next: the caller must bring it to the ledger.
    Next,
    /// Its assignment has ended: drop it.
    Stale,
}

/// Positions and assignments of every partition.
#[derive(Debug, Default)]
pub struct Assignments {
    inner: Mutex<Inner>,
    /// Topics, each at its epoch, of which the ledger had records when this process started.
    read_before: BTreeSet<(Arc<str>, u32)>,
}

#[derive(Debug, Default)]
struct Inner {
    generation: Generation,
    partitions: BTreeMap<SourcePartition, State>,
}

#[derive(Debug, Default, Clone, Copy)]
struct State {
    /// Next offset to accept; `None` until a first start has found where to begin.
    next: Option<u64>,
    /// The assignment, while it is ours.
    assigned: Option<Generation>,
    /// Offset after the last record of the partition, as the source last heard.
    end: Option<u64>,
    /// Offset where it would begin, as long as nothing of it was read.
    first: Option<u64>,
}

/// One partition for status and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionStatus {
    /// Topic, epoch and partition.
    pub partition: SourcePartition,
    /// Next offset to take in.
    pub next: Option<u64>,
    /// True if this instance owns it now.
    pub assigned: bool,
    /// Offset after the partition's last record, where known.
    pub end: Option<u64>,
    /// Offset where a partition would begin of which nothing was read, where known.
    pub first: Option<u64>,
}

impl Assignments {
    /// Starts from the ledger's own progress.
    #[must_use]
    pub fn new(progress: impl IntoIterator<Item = (SourcePartition, u64)>) -> Self {
        let state = |next| State { next: Some(next), ..State::default() };
        let partitions = progress.into_iter().map(|(partition, next)| (partition, state(next)));
        let inner = Inner { partitions: partitions.collect(), ..Inner::default() };
        let topic = |partition: &SourcePartition| (partition.topic.clone(), partition.epoch);
        let read_before = inner.partitions.keys().map(topic).collect();
        Self { inner: Mutex::new(inner), read_before }
    }

    /// The offset a partition needs next, where the ledger or this process has read it before.
    #[must_use]
    pub fn next(&self, partition: &SourcePartition) -> Option<u64> {
        self.lock().partitions.get(partition).and_then(|state| state.next)
    }

    /// True if the ledger had records of a topic, at this epoch, when this process started.
    #[must_use]
    pub fn was_read_before(&self, topic: &str, epoch: u32) -> bool {
        self.read_before.iter().any(|(name, of)| &**name == topic && *of == epoch)
    }

    /// The offset where a partition would have begun when it was first noticed, before it was ours.
    #[must_use]
    pub fn noticed_at(&self, partition: &SourcePartition) -> Option<u64> {
        self.lock().partitions.get(partition).and_then(|state| state.first)
    }

    /// The newest stream epoch before a partition's own that was read, and the offset that it needs
    /// next.
    #[must_use]
    pub fn former(&self, partition: &SourcePartition) -> Option<(SourcePartition, u64)> {
        let inner = self.lock();
        let first = SourcePartition { epoch: 0, ..partition.clone() };
        let is_same = |one: &SourcePartition| {
            one.topic == partition.topic && one.partition == partition.partition
        };
        let former = inner.partitions.range(first..partition.clone()).rev();
        let mut former = former.filter(|(one, _)| is_same(one) && one.epoch < partition.epoch);
        former.find_map(|(one, state)| Some((one.clone(), state.next?)))
    }

    /// A partition is ours from here on. Returns its generation and the offset to seek to, which is
    /// `first` only where nothing was read before.
    pub fn assign(&self, partition: &SourcePartition, first: u64) -> (Generation, u64) {
        let mut inner = self.lock();
        inner.generation.0 += 1;
        let generation = inner.generation;
        let state = inner.partitions.entry(partition.clone()).or_default();
        state.assigned = Some(generation);
        (generation, *state.next.get_or_insert(first))
    }

    /// A partition is no longer ours: batches of it that are still on their way become stale.
    pub fn revoke(&self, partition: &SourcePartition) {
        if let Some(state) = self.lock().partitions.get_mut(partition) {
            state.assigned = None;
        }
    }

    /// Partitions of a topic, at its epoch, that are ours.
    #[must_use]
    pub fn assigned(&self, topic: &str, epoch: u32) -> Vec<u32> {
        let inner = self.lock();
        let is_ours = |(partition, state): &(&SourcePartition, &State)| {
            state.assigned.is_some() && &*partition.topic == topic && partition.epoch == epoch
        };
        inner.partitions.iter().filter(is_ours).map(|(partition, _)| partition.partition).collect()
    }

    /// Notes a partition that exists, whoever reads it, and the offset where it would begin, so that
    /// its lag is known.
    pub fn discover(&self, partition: &SourcePartition, first: Option<u64>) {
        let mut inner = self.lock();
        let state = inner.partitions.entry(partition.clone()).or_default();
        state.first = state.first.or(first);
    }

    /// Notes where a partition ends, for lag.
    pub fn set_end(&self, partition: &SourcePartition, end: u64) {
        if let Some(state) = self.lock().partitions.get_mut(partition) {
            state.end = Some(end);
        }
    }

    /// Takes records from one position to another in, if they are of the present assignment and are
    /// the ones that are next.
    pub fn accept(
        &self,
        partition: &SourcePartition,
        generation: Generation,
        positions: Range<u64>,
    ) -> Accepted {
        let mut inner = self.lock();
        let Some(state) = inner.partitions.get_mut(partition) else { return Accepted::Stale };
        if state.assigned != Some(generation) || state.next != Some(positions.start) {
            return Accepted::Stale;
        }
        state.next = Some(positions.end);
        Accepted::Next
    }

    /// Every partition that was ever seen.
    #[must_use]
    pub fn status(&self) -> Vec<PartitionStatus> {
        let inner = self.lock();
        let status = |(partition, state): (&SourcePartition, &State)| PartitionStatus {
            partition: partition.clone(),
            next: state.next,
            assigned: state.assigned.is_some(),
            end: state.end,
            first: state.first,
        };
        inner.partitions.iter().map(status).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change is one assignment of plain values, so a panic elsewhere leaves it whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_before_is_found() {
        let partition = |topic: &str, epoch, number| SourcePartition {
            epoch,
            ..SourcePartition::new(topic, number)
        };
        let read =
            [("a", 0, 0, 5), ("t", 0, 0, 10), ("t", 2, 0, 20), ("t", 2, 1, 7), ("u", 0, 0, 9)];
        let read = read.map(|(topic, epoch, number, next)| (partition(topic, epoch, number), next));
        let assignments = Assignments::new(read);
        let former = |epoch, number| {
            let found = assignments.former(&partition("t", epoch, number));
            found.map(|(former, next)| (former.epoch, next))
        };
        assert_eq!(former(0, 0), None);
        assert_eq!(former(1, 0), Some((0, 10)));
        assert_eq!(former(2, 0), Some((0, 10)));
        assert_eq!(former(3, 0), Some((2, 20)));
        assert_eq!(former(3, 1), Some((2, 7)));
        assert_eq!(former(3, 2), None);
    }

    #[test]
    fn what_the_ledger_read_before_is_told_from_what_this_process_reads() {
        let at_epoch = SourcePartition { epoch: 1, ..SourcePartition::new("t", 0) };
        let assignments = Assignments::new([(at_epoch, 5)]);
        assignments.assign(&SourcePartition::new("u", 0), 0);
        let read: Vec<_> = [("t", 0), ("t", 1), ("u", 0)]
            .into_iter()
            .filter(|(topic, epoch)| assignments.was_read_before(topic, *epoch))
            .collect();
        assert_eq!(read, [("t", 1)]);
    }

    #[test]
    fn a_batch_of_an_old_assignment_is_stale() {
        let partition = SourcePartition::new("t", 0);
        let assignments = Assignments::default();
        let accept = |generation, range| assignments.accept(&partition, generation, range);
        let (first, start) = assignments.assign(&partition, 3);
        assert_eq!(start, 3);
        assert_eq!(accept(first, 3..6), Accepted::Next);
        assert_eq!(accept(first, 3..6), Accepted::Stale, "the same batch again");
        assignments.revoke(&partition);
        assert_eq!(accept(first, 6..7), Accepted::Stale);
        let (second, start) = assignments.assign(&partition, 0);
        assert_eq!(start, 6, "goes on behind what was accepted");
        assert_eq!(accept(first, 6..7), Accepted::Stale);
        assert_eq!(accept(second, 6..7), Accepted::Next);
    }
}
