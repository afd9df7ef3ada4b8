//! Queries for records: the disposition of one, and the ones that no mapping matched.

use std::collections::BTreeMap;

use crate::event::{SourcePartition, SourcePosition};
use crate::ledger::{Block, Entry, LedgerReader};
use crate::query::views::{
    DeadLetterSummary, FilteredView, RecordOutcome, RecordView, TransactionSummary, record_id,
    time_text,
};
use crate::query::{LogQueries, QueryError};

/// A filter for filtered records.
#[derive(Debug, Clone, Default)]
pub struct FilteredFilter {
    /// Only of this topic, in any of its epochs.
    pub topic: Option<String>,
    /// Only of this partition.
    pub partition: Option<u32>,
}

impl FilteredFilter {
    fn takes(&self, partition: &SourcePartition) -> bool {
        self.topic.as_ref().is_none_or(|topic| **topic == *partition.topic)
            && self.partition.is_none_or(|number| number == partition.partition)
    }
}

impl LogQueries {
    /// The disposition of a record.
    pub fn record(
        &self,
        partition: &SourcePartition,
        offset: u64,
    ) -> Result<RecordView, QueryError> {
        let outcome = |outcome| RecordView::new(record_id(partition, offset), outcome);
        let Some(number) = self.ledger.block_of_record(partition, offset) else {
            let next = self.ledger.next_offset(partition);
            let mut view = outcome(match next {
                Some(next) if offset < next => RecordOutcome::Skipped,
                _ => RecordOutcome::NotReached,
            });
            (view.first, view.next) = (self.ledger.first_offset(partition), next);
            return Ok(view);
        };
        let block = self.ledger.block(number)?;
        let mut view = outcome(RecordOutcome::Gap);
        view.block = Some(number);
        view.time = Some(time_text(block.header.time_ms));
        let mut letters = block.records.dead_letters.iter();
        if let Some(letter) = letters.find(|l| l.partition == *partition && l.offset == offset) {
            view.outcome = RecordOutcome::DeadLetter;
            view.dead_letter = Some(DeadLetterSummary::new(&block, letter));
        }
        if is_filtered(&block, partition, offset) {
            view.outcome = RecordOutcome::Filtered;
        }
        view.transactions = transactions_of(&block, partition, offset);
        if !view.transactions.is_empty() {
            view.outcome = RecordOutcome::Committed;
        }
        Ok(view)
    }

    /// Runs of records that no mapping matched, in the order of the log. A run ends where another
    /// record follows. `take` is given each; with `false` it wants no more.
    pub fn filtered<E: From<QueryError>>(
        &self,
        filter: &FilteredFilter,
        mut take: impl FnMut(FilteredView) -> Result<bool, E>,
    ) -> Result<(), E> {
        let ledger_error = |error| E::from(QueryError::Ledger(error));
        let mut open: BTreeMap<SourcePartition, FilteredView> = BTreeMap::new();
        for number in 0..self.ledger.head().height {
            let block = self.ledger.block(number).map_err(ledger_error)?;
            let of_block = &block.records.filtered;
            for filtered in of_block.iter().filter(|one| filter.takes(&one.partition)) {
                for (first, count) in &filtered.runs {
                    let run = FilteredView::new(&filtered.partition, (*first, *count), number);
                    let Some(before) = open.get_mut(&filtered.partition) else {
                        open.insert(filtered.partition.clone(), run);
                        continue;
                    };
                    if before.last.checked_add(1) == Some(run.first) {
                        before.extend(&run);
                    } else if !take(std::mem::replace(before, run))? {
                        return Ok(());
                    }
                }
            }
        }
        for run in open.into_values() {
            if !take(run)? {
                break;
            }
        }
        Ok(())
    }
}

/// True if a block counts a record among those that no mapping matched.
pub(super) fn is_filtered(block: &Block, partition: &SourcePartition, offset: u64) -> bool {
    let mut of_partition = block.records.filtered.iter().filter(|one| one.partition == *partition);
    let holds = |(first, count): &(u64, u64)| {
        offset.checked_sub(*first).is_some_and(|behind| behind < *count)
    };
    of_partition.any(|filtered| filtered.runs.iter().any(holds))
}

fn transactions_of(
    block: &Block,
    partition: &SourcePartition,
    offset: u64,
) -> Vec<TransactionSummary> {
    let is_of = |id: &SourcePosition| id.partition == *partition && id.offset == offset;
    let view = |(index, entry): (u64, &Entry)| match entry {
        Entry::Transaction { transaction, verdict, writes } if is_of(&transaction.id) => {
            Some(TransactionSummary::new(index, transaction, (verdict, writes)))
        }
        Entry::Transaction { .. } | Entry::Definition(_) => None,
    };
    block.numbered_entries().filter_map(view).collect()
}
