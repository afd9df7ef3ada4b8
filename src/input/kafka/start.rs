//! The start of a partition: the ledger's position, checked against broker and group.

use crate::event::SourcePartition;
use crate::input::kafka::form::Start;
use crate::input::{InputError, LastTaken};

/// The known offsets of a newly assigned partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    /// The offset the ledger needs next.
    pub(super) next: Option<u64>,
    /// The group's committed offset.
    pub(super) committed: Option<u64>,
    /// Earliest offset that the broker has.
    pub(super) low: u64,
    /// Offset after the last record.
    pub(super) high: u64,
    /// The offset that the stream epoch before needed next, where there was one.
    pub(super) former: Option<u64>,
    /// The configured start offset of a new stream epoch.
    pub(super) continues: Option<u64>,
    /// True if the partition was created after the first start.
    pub(super) is_younger: bool,
    /// The end of the partition when this process first noticed it, before it was assigned.
    pub(super) noticed: Option<u64>,
}

/// A partition that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Beginning {
    pub(super) partition: SourcePartition,
    /// The offset to begin at, unless this process has read further.
    pub(super) first: u64,
    /// Offset after the partition's last record.
    pub(super) end: u64,
    /// True if the ledger has no position of it.
    pub(super) is_new: bool,
    /// The record in front of it to compare, where the topic still has it.
    pub(super) last: Option<LastTaken>,
}

impl Known {
    /// True if the topic ends before the ledger's position: for good, or for a moment after the
    /// restart of a broker.
    pub(super) fn is_behind(&self) -> bool {
        self.next.is_some_and(|next| self.high < next)
    }

    /// The start offset of a new stream epoch that continues without a configured offset: the end
    /// of the previous epoch, or the closest offset in the topic.
    pub(super) fn closest(&self) -> Option<u64> {
        self.former.map(|former| former.min(self.high).max(self.low))
    }
}

/// The offset to begin at, or why that cannot be.
pub(super) fn first_offset(
    partition: &SourcePartition,
    known: Known,
    start: Start,
) -> Result<u64, InputError> {
    let Known { next, committed, low, high, former, continues, is_younger, noticed } = known;
    let taken = |committed: u64, expected: u64| InputError::TakenByAnotherLedger {
        partition: partition.clone(),
        committed,
        expected,
    };
    let Some(expected) = next.or(continues) else {
        // Of a topic that was made again, the group may still have the former one's offset.
        let of_former = |committed: u64| {
            partition.epoch > 0 && former.is_some_and(|former| committed <= former)
        };
        let committed = committed.filter(|committed| partition.epoch == 0 || *committed <= high);
        return match (start, committed) {
            (Start::Earliest, Some(committed)) if committed > low && !of_former(committed) => {
                Err(taken(committed, low))
            }
            (Start::Earliest, _) => Ok(low),
            // The group keeps the place of the first start; retention may have passed it since.
            (Start::Latest, Some(committed)) if committed <= high => Ok(committed.max(low)),
            // All of its records came after the first start.
            (Start::Latest, None) if is_younger => Ok(low),
            (Start::Latest, _) => Ok(noticed.unwrap_or(high).max(low).min(high)),
        };
    };
    // What the ledger has. The group may still have the offset of the epoch before: it is rewritten
    // some time after the first block of the new epoch.
    let held = former.unwrap_or(0).max(expected);
    let is_lost = |committed: u64| next.is_none() && committed > high;
    if let Some(committed) = committed.filter(|at| *at > held && !is_lost(*at)) {
        return Err(taken(committed, held));
    }
    let partition = partition.clone();
    if low > expected {
        return Err(InputError::LostByRetention { partition, expected, earliest: low });
    }
    if high < expected {
        return Err(InputError::TopicShrank { partition, expected, end: high });
    }
    Ok(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Known = Known {
        next: None,
        committed: None,
        low: 0,
        high: 0,
        former: None,
        continues: None,
        is_younger: false,
        noticed: None,
    };

    fn check_known(known: Known, epoch: u32, start: Start) -> String {
        let partition = SourcePartition { epoch, ..SourcePartition::new("t", 0) };
        match first_offset(&partition, known, start) {
            Ok(first) => first.to_string(),
            Err(InputError::TakenByAnotherLedger { .. }) => "taken".to_owned(),
            Err(InputError::LostByRetention { .. }) => "lost".to_owned(),
            Err(InputError::TopicShrank { .. }) => "shrank".to_owned(),
            Err(other) => panic!("{other}"),
        }
    }

    fn check(known: (Option<u64>, Option<u64>, u64, u64), epoch: u32, start: Start) -> String {
        let (next, committed, low, high) = known;
        check_known(Known { next, committed, low, high, ..NOTHING }, epoch, start)
    }

    #[test]
    fn the_ledger_says_where_unless_the_world_contradicts() {
        let table = [
            ((Some(50), None, 0, 100), "50"),
            ((Some(50), Some(50), 0, 100), "50"),
            ((Some(50), Some(40), 0, 100), "50"),
            ((Some(50), Some(51), 0, 100), "taken"),
            ((Some(50), None, 50, 100), "50"),
            ((Some(50), None, 51, 100), "lost"),
            ((Some(100), None, 0, 100), "100"),
            ((Some(101), None, 0, 100), "shrank"),
            ((Some(0), None, 0, 0), "0"),
        ];
        for (known, expected) in table {
            for start in [Start::Earliest, Start::Latest] {
                assert_eq!(check(known, 0, start), expected, "{known:?} {start:?}");
            }
        }
    }

    #[test]
    fn a_first_start_begins_as_configured() {
        let table = [
            ((None, None, 7, 100), 0, "7", "100"),
            ((None, Some(7), 7, 100), 0, "7", "7"),
            ((None, Some(3), 7, 100), 0, "7", "7"),
            ((None, Some(60), 7, 100), 0, "taken", "60"),
            ((None, Some(200), 7, 100), 0, "taken", "100"),
            ((None, Some(200), 7, 100), 1, "7", "100"),
            ((None, None, 0, 0), 0, "0", "0"),
        ];
        for (known, epoch, earliest, latest) in table {
            assert_eq!(check(known, epoch, Start::Earliest), earliest, "{known:?}");
            assert_eq!(check(known, epoch, Start::Latest), latest, "{known:?}");
        }
    }

    #[test]
    fn the_latest_is_the_latest_at_the_first_start() {
        // Committed, whether it is younger, the end when it was noticed.
        let table = [
            (None, false, None, "100"),
            (None, true, None, "7"),
            (None, true, Some(60), "7"),
            (Some(60), true, None, "60"),
            // Another member of the group had it when this process started.
            (None, false, Some(60), "60"),
            (Some(70), false, Some(60), "70"),
            (None, false, Some(3), "7"),
            (None, false, Some(200), "100"),
        ];
        for (committed, is_younger, noticed, expected) in table {
            let known = Known { committed, low: 7, high: 100, is_younger, noticed, ..NOTHING };
            assert_eq!(check_known(known, 0, Start::Latest), expected, "{known:?}");
            assert_eq!(check_known(Known { committed: None, ..known }, 0, Start::Earliest), "7");
        }
    }

    #[test]
    fn the_group_may_still_have_the_offset_of_the_epoch_before() {
        // Next, committed, former.
        let table = [
            ((Some(60), Some(90), Some(90)), "60"),
            ((Some(60), Some(50), Some(90)), "60"),
            ((Some(60), Some(91), Some(90)), "taken"),
            ((Some(60), Some(61), Some(40)), "taken"),
            ((Some(60), Some(61), None), "taken"),
            // The group has not committed in the new epoch, which is shorter than the former one.
            ((Some(60), Some(5_000), Some(5_000)), "60"),
        ];
        for ((next, committed, former), expected) in table {
            let known = Known { next, committed, high: 100, former, ..NOTHING };
            for start in [Start::Earliest, Start::Latest] {
                assert_eq!(check_known(known, 1, start), expected, "{known:?}");
            }
        }
    }

    #[test]
    fn a_new_epoch_begins_anew_or_goes_on() {
        // Committed, low, high, former, continues.
        let table = [
            // Made again and grown past the position: the group has the former topic's offset.
            ((Some(50), 0, 100, Some(50), None), "0"),
            ((Some(40), 0, 100, Some(50), None), "0"),
            ((Some(51), 0, 100, Some(50), None), "taken"),
            ((None, 0, 100, Some(50), None), "0"),
            // A lost tail: goes on at the offset that is named.
            ((Some(50), 0, 100, Some(50), Some(45)), "45"),
            ((Some(50), 0, 47, Some(50), Some(45)), "45"),
            ((Some(51), 0, 100, Some(50), Some(45)), "taken"),
            ((None, 0, 40, Some(50), Some(45)), "shrank"),
            ((None, 46, 100, Some(50), Some(45)), "lost"),
            // Records lost by retention: goes on behind them.
            ((Some(50), 70, 100, Some(50), Some(70)), "70"),
        ];
        for ((committed, low, high, former, continues), expected) in table {
            let known = Known { committed, low, high, former, continues, ..NOTHING };
            assert_eq!(check_known(known, 1, Start::Earliest), expected, "{known:?}");
        }
    }

    #[test]
    fn an_epoch_goes_on_at_the_closest_offset() {
        let closest = |former, low, high| Known { low, high, former, ..NOTHING }.closest();
        assert_eq!(closest(Some(50), 0, 100), Some(50));
        assert_eq!(closest(Some(50), 70, 100), Some(70));
        assert_eq!(closest(Some(50), 0, 40), Some(40));
        assert_eq!(closest(None, 0, 40), None);
    }
}
