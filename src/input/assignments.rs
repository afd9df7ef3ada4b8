//! Positions and assignments of partitions: the offset that each needs next, and whether this process
//! owns it.
//!
//! Shared between the inputs, which learn of assignments, and the write loop, which accepts batches. A
//! batch of an assignment that has ended is stale and is dropped here: the partition's next owner
//! begins at the position that is kept here, so nothing is lost.
//!
//! A handle of an input with a stream prefix takes and gives the input's own topic names.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::event::SourcePartition;
use crate::input::StreamPrefix;

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
    shared: Arc<Shared>,
    prefix: StreamPrefix,
}

/// State behind all handles, by names of streams.
#[derive(Debug, Default)]
struct Shared {
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
        let shared = Shared { inner: Mutex::new(inner), read_before };
        Self { shared: Arc::new(shared), prefix: StreamPrefix::default() }
    }

    /// A handle for an input whose streams are named by its topics with this prefix.
    #[must_use]
    pub fn with_prefix(&self, prefix: StreamPrefix) -> Self {
        Self { shared: Arc::clone(&self.shared), prefix }
    }

    /// The offset a partition needs next, where the ledger or this process has read it before.
    #[must_use]
    pub fn next(&self, partition: &SourcePartition) -> Option<u64> {
        let stream = self.prefix.stream(partition);
        self.lock().partitions.get(&*stream).and_then(|state| state.next)
    }

    /// True if the ledger had records of a topic, at this epoch, when this process started.
    #[must_use]
    pub fn was_read_before(&self, topic: &str, epoch: u32) -> bool {
        let is_same = |name: &str| self.prefix.topic(name) == Some(topic);
        self.shared.read_before.iter().any(|(name, of)| is_same(name) && *of == epoch)
    }

    /// The offset where a partition would have begun when it was first noticed, before it was ours.
    #[must_use]
    pub fn noticed_at(&self, partition: &SourcePartition) -> Option<u64> {
        let stream = self.prefix.stream(partition);
        self.lock().partitions.get(&*stream).and_then(|state| state.first)
    }

    /// The newest stream epoch before a partition's own that was read, and the offset that it needs
    /// next.
    #[must_use]
    pub fn former(&self, partition: &SourcePartition) -> Option<(SourcePartition, u64)> {
        let partition = &*self.prefix.stream(partition);
        let inner = self.lock();
        let first = SourcePartition { epoch: 0, ..partition.clone() };
        let is_same = |one: &SourcePartition| {
            one.topic == partition.topic && one.partition == partition.partition
        };
        let former = inner.partitions.range(first..partition.clone()).rev();
        let mut former = former.filter(|(one, _)| is_same(one) && one.epoch < partition.epoch);
        former.find_map(|(one, state)| Some((self.prefix.partition(one)?, state.next?)))
    }

    /// A partition is ours from here on. Returns its generation and the offset to seek to, which is
    /// `first` only where nothing was read before.
    pub fn assign(&self, partition: &SourcePartition, first: u64) -> (Generation, u64) {
        let mut inner = self.lock();
        inner.generation.0 += 1;
        let generation = inner.generation;
        let stream = self.prefix.stream(partition).into_owned();
        let state = inner.partitions.entry(stream).or_default();
        state.assigned = Some(generation);
        (generation, *state.next.get_or_insert(first))
    }

    /// A partition is no longer ours: batches of it that are still on their way become stale.
    pub fn revoke(&self, partition: &SourcePartition) {
        if let Some(state) = self.lock().partitions.get_mut(&*self.prefix.stream(partition)) {
            state.assigned = None;
        }
    }

    /// Partitions of a topic, at its epoch, that are ours.
    #[must_use]
    pub fn assigned(&self, topic: &str, epoch: u32) -> Vec<u32> {
        let inner = self.lock();
        let is_ours = |(partition, state): &(&SourcePartition, &State)| {
            state.assigned.is_some()
                && partition.epoch == epoch
                && self.prefix.topic(&partition.topic) == Some(topic)
        };
        inner.partitions.iter().filter(is_ours).map(|(partition, _)| partition.partition).collect()
    }

    /// Notes a partition that exists, whoever reads it, and the offset where it would begin, so that
    /// its lag is known.
    pub fn discover(&self, partition: &SourcePartition, first: Option<u64>) {
        let mut inner = self.lock();
        let stream = self.prefix.stream(partition).into_owned();
        let state = inner.partitions.entry(stream).or_default();
        state.first = state.first.or(first);
    }

    /// Notes where a partition ends, for lag.
    pub fn set_end(&self, partition: &SourcePartition, end: u64) {
        if let Some(state) = self.lock().partitions.get_mut(&*self.prefix.stream(partition)) {
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
        let stream = self.prefix.stream(partition);
        let Some(state) = inner.partitions.get_mut(&*stream) else { return Accepted::Stale };
        if state.assigned != Some(generation) || state.next != Some(positions.start) {
            return Accepted::Stale;
        }
        state.next = Some(positions.end);
        Accepted::Next
    }

    /// Every partition that was ever seen, of those with the prefix of this handle.
    #[must_use]
    pub fn status(&self) -> Vec<PartitionStatus> {
        let inner = self.lock();
        let status = |(partition, state): (&SourcePartition, &State)| {
            Some(PartitionStatus {
                partition: self.prefix.partition(partition)?,
                next: state.next,
                assigned: state.assigned.is_some(),
                end: state.end,
                first: state.first,
            })
        };
        inner.partitions.iter().filter_map(status).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change is one assignment of plain values, so a panic elsewhere leaves it whole.
        self.shared.inner.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn a_handle_with_a_prefix_speaks_of_topics() {
        let stream = SourcePartition { epoch: 1, ..SourcePartition::new("b.t", 0) };
        let topic = SourcePartition { epoch: 1, ..SourcePartition::new("t", 0) };
        let all = Assignments::new([(stream.clone(), 5), (SourcePartition::new("t", 0), 9)]);
        let handle = all.with_prefix("b.".parse().unwrap());
        assert_eq!(handle.next(&topic), Some(5));
        assert!(handle.was_read_before("t", 1) && !handle.was_read_before("t", 0));
        let later = SourcePartition { epoch: 3, ..topic.clone() };
        assert_eq!(handle.former(&later), Some((topic.clone(), 5)));
        let (generation, _) = handle.assign(&topic, 0);
        handle.set_end(&topic, 8);
        assert_eq!(handle.assigned("t", 1), [0]);
        let status = handle.status();
        assert_eq!((status.len(), &status[0].partition, status[0].end), (1, &topic, Some(8)));
        assert_eq!(all.status().len(), 2);
        assert_eq!(all.accept(&stream, generation, 5..6), Accepted::Next);
        handle.revoke(&topic);
        assert_eq!(all.accept(&stream, generation, 6..7), Accepted::Stale);
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
