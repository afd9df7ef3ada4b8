//! Where a partition begins: the ledger's position, held against what the broker and the group say.

use crate::event::SourcePartition;
use crate::source::SourceError;
use crate::source::kafka::form::Start;

/// What is known of a partition when it becomes ours.
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
}

/// The offset to begin at, or why that cannot be.
pub(super) fn first_offset(
    partition: &SourcePartition,
    known: Known,
    start: Start,
) -> Result<u64, SourceError> {
    let Known { next, committed, low, high } = known;
    let taken = |committed: u64, expected: u64| SourceError::TakenByAnotherLedger {
        partition: partition.clone(),
        committed,
        expected,
    };
    let Some(expected) = next else {
        // Of a topic that was made again, the group may still have the former one's offset.
        let committed = committed.filter(|committed| partition.epoch == 0 || *committed <= high);
        return match (start, committed) {
            (Start::Earliest, Some(committed)) if committed > low => Err(taken(committed, low)),
            (Start::Earliest, _) => Ok(low),
            (Start::Latest, Some(committed)) if (low..=high).contains(&committed) => Ok(committed),
            (Start::Latest, _) => Ok(high),
        };
    };
    if let Some(committed) = committed.filter(|committed| *committed > expected) {
        return Err(taken(committed, expected));
    }
    let partition = partition.clone();
    if low > expected {
        return Err(SourceError::LostByRetention { partition, expected, earliest: low });
    }
    if high < expected {
        return Err(SourceError::TopicShrank { partition, expected, end: high });
    }
    Ok(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(known: (Option<u64>, Option<u64>, u64, u64), epoch: u32, start: Start) -> String {
        let (next, committed, low, high) = known;
        let partition = SourcePartition { epoch, ..SourcePartition::new("t", 0) };
        match first_offset(&partition, Known { next, committed, low, high }, start) {
            Ok(first) => first.to_string(),
            Err(SourceError::TakenByAnotherLedger { .. }) => "taken".to_owned(),
            Err(SourceError::LostByRetention { .. }) => "lost".to_owned(),
            Err(SourceError::TopicShrank { .. }) => "shrank".to_owned(),
            Err(other) => panic!("{other}"),
        }
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
            ((None, Some(3), 7, 100), 0, "7", "100"),
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
}
