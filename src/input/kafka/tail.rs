//! The end of a partition behind its last record: the marks of transactions, records of aborted
//! ones, gaps of compaction. They take offsets that never come as records, so neither the lag nor the
//! ledger's position would reach the end by records alone.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::statistics::Partition;

use crate::event::SourcePartition;
use crate::limits::KAFKA_TAIL_WAIT;

/// Partitions that were read to their end, with offsets behind the last record.
#[derive(Debug, Default)]
pub(super) struct Tails(BTreeMap<SourcePartition, Tail>);

#[derive(Debug, PartialEq, Eq)]
struct Tail {
    /// Position after the last record.
    next: u64,
    /// Position after everything that was fetched.
    reached: u64,
    /// Time of the first observation.
    since: Duration,
}

/// A partition's position after everything that was fetched and handed on, where that is its end.
pub(super) fn reached_end(statistics: &Partition) -> Option<u64> {
    // Marks of transactions are handed on in the library only. The gaps of compaction are not, but
    // nothing of the partition is on its way where the queue is empty.
    let is_all_taken = statistics.fetchq_cnt == 0 && statistics.fetch_state == "active";
    let fetched = if is_all_taken { statistics.next_offset } else { -1 };
    let reached = u64::try_from(statistics.app_offset.max(fetched)).ok()?;
    let end = u64::try_from(statistics.hi_offset).ok()?;
    (reached >= end).then_some(reached)
}

impl Tails {
    /// Notes what one look at a partition found: the position after its last record, and where it
    /// was read to its end. Gives the end to go on from once it has been the same for
    /// [`KAFKA_TAIL_WAIT`]: a busy partition has no such end, and a start does not need one.
    pub(super) fn observe(
        &mut self,
        partition: &SourcePartition,
        next: u64,
        reached: Option<u64>,
        now: Duration,
    ) -> Option<u64> {
        let Some(reached) = reached.filter(|reached| *reached > next) else {
            self.0.remove(partition);
            return None;
        };
        let tail = Tail { next, reached, since: now };
        let seen = self.0.entry(partition.clone()).or_insert(Tail { ..tail });
        if (seen.next, seen.reached) != (next, reached) {
            *seen = tail;
            return None;
        }
        let is_quiet = now.saturating_sub(seen.since) >= KAFKA_TAIL_WAIT;
        is_quiet.then(|| {
            self.0.remove(partition);
            reached
        })
    }

    /// Forgets a partition that is no longer read, or from another position.
    pub(super) fn forget(&mut self, partition: &SourcePartition) {
        self.0.remove(partition);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics(app: i64, next: i64, high: i64, queued: i64) -> Partition {
        Partition {
            app_offset: app,
            next_offset: next,
            hi_offset: high,
            fetchq_cnt: queued,
            fetch_state: "active".to_owned(),
            ..Partition::default()
        }
    }

    #[test]
    fn the_end_is_reached_once_all_before_it_was_handed_on() {
        let table = [
            ((10, 10, 10, 0), Some(10), "all read"),
            ((9, 10, 10, 1), None, "a record waits in the queue"),
            ((9, 10, 10, 0), Some(10), "a compacted end"),
            ((11, 10, 10, 0), Some(11), "a mark came after the end was told"),
            ((5, 5, 10, 0), None, "more is to be fetched"),
            ((-1001, -1001, 10, 0), None, "nothing was fetched yet"),
            ((-1001, 10, 10, 0), Some(10), "only marks were fetched"),
            ((10, 10, -1001, 0), None, "the end is not known"),
        ];
        for ((app, next, high, queued), expected, what) in table {
            assert_eq!(reached_end(&statistics(app, next, high, queued)), expected, "{what}");
        }
        let stopped = Partition { fetch_state: "stopped".into(), ..statistics(9, 10, 10, 0) };
        assert_eq!(reached_end(&stopped), None);
    }

    #[test]
    fn only_a_quiet_end_is_gone_on_from() {
        let partition = SourcePartition::new("t", 0);
        let mut tails = Tails::default();
        let mut at = |next, reached, seconds| {
            tails.observe(&partition, next, reached, Duration::from_secs(seconds))
        };
        let wait = KAFKA_TAIL_WAIT.as_secs();
        assert_eq!(at(10, Some(12), 0), None);
        assert_eq!(at(10, Some(12), wait - 1), None, "not yet");
        assert_eq!(at(10, Some(13), wait), None, "another mark: it begins anew");
        assert_eq!(at(10, Some(13), 2 * wait - 1), None);
        assert_eq!(at(10, None, 2 * wait), None, "a record came");
        assert_eq!(at(11, Some(13), 2 * wait), None);
        assert_eq!(at(11, Some(13), 3 * wait), Some(13));
        assert_eq!(at(13, Some(13), 4 * wait), None, "nothing is behind");
        assert_eq!(at(13, Some(13), 5 * wait), None);
    }
}
