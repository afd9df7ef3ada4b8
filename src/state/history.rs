//! Looking back along the log: the history of an asset, recent changes, searches for transactions
//! and dead letters. No index of its own: every write names the version that it replaced.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use crate::ledger::{Block, DeadLetter, Entry, LedgerError, LedgerReader, StoredWrite};
use crate::limits::{MAX_SCANNED_BLOCKS, MAX_SCANNED_ENTRIES};
use crate::transaction::Transaction;

/// One entry with its place.
#[derive(Debug, Clone)]
pub struct Found {
    /// The block that holds it.
    pub block: Arc<Block>,
    /// Number of the entry.
    pub number: u64,
}

impl Found {
    /// The entry.
    #[must_use]
    pub fn entry(&self) -> Option<&Entry> {
        self.block.entry(self.number)
    }

    /// The transaction, where it is one.
    #[must_use]
    pub fn transaction(&self) -> Option<&Arc<Transaction>> {
        self.entry().and_then(Entry::transaction)
    }

    /// The entry's write of an asset.
    #[must_use]
    pub fn write_of(&self, contract: &str, key: &str) -> Option<&StoredWrite> {
        match self.entry()? {
            Entry::Transaction { transaction, writes, .. }
                if &*transaction.contract == contract =>
            {
                writes.iter().find(|write| &*write.key == key)
            }
            _ => None,
        }
    }
}

/// The entry with this number.
pub fn entry(ledger: &dyn LedgerReader, number: u64) -> Result<Option<Found>, LedgerError> {
    let Some(block) = ledger.block_of_entry(number) else { return Ok(None) };
    Ok(Some(Found { block: ledger.block(block)?, number }))
}

/// The transaction with this id.
pub fn transaction(
    ledger: &dyn LedgerReader,
    id: &crate::event::SourcePosition,
) -> Result<Option<Found>, LedgerError> {
    let Some(number) = ledger.block_of_record(&id.partition, id.offset) else { return Ok(None) };
    let block = ledger.block(number)?;
    let is_it = |entry: &Entry| entry.transaction().is_some_and(|found| found.id == *id);
    let number = block.numbered_entries().find(|(_, entry)| is_it(entry)).map(|(number, _)| number);
    Ok(number.map(|number| Found { block, number }))
}

/// The changes of an asset, newest first, from the entry `newest` on back. The second value is the
/// entry to go on from.
pub fn of_asset(
    ledger: &dyn LedgerReader,
    (contract, key): (&str, &str),
    newest: u64,
    limit: usize,
) -> Result<(Vec<Found>, Option<u64>), LedgerError> {
    let mut changes = Vec::new();
    let mut next = Some(newest);
    while let Some(number) = next {
        if changes.len() == limit {
            return Ok((changes, Some(number)));
        }
        let Some(found) = entry(ledger, number)? else { break };
        let Some(write) = found.write_of(contract, key) else { break };
        // A version is older than the one that replaced it, so this ends.
        next = write.replaced.filter(|replaced| *replaced < number);
        changes.push(found);
    }
    Ok((changes, None))
}

/// Number of the first block that was made at a time or later; the height where there is none. Times
/// of blocks never go back.
pub fn first_block_since(ledger: &dyn LedgerReader, time_ms: i64) -> Result<u64, LedgerError> {
    let (mut earlier, mut end) = (0, ledger.head().height);
    while earlier < end {
        let middle = earlier + (end - earlier) / 2;
        match ledger.block(middle)?.header.time_ms < time_ms {
            true => earlier = middle + 1,
            false => end = middle,
        }
    }
    Ok(end)
}

/// Entries of a range, newest first, that a filter takes. At most `limit`, out of at most
/// [`MAX_SCANNED_BLOCKS`] blocks and about [`MAX_SCANNED_ENTRIES`] entries. The second value is
/// where to go on: the end of the range that is left.
pub fn search(
    ledger: &dyn LedgerReader,
    range: Range<u64>,
    limit: usize,
    mut takes: impl FnMut(&Entry) -> bool,
) -> Result<(Vec<Found>, Option<u64>), LedgerError> {
    let end = range.end.min(ledger.head().entries);
    let mut found = Vec::new();
    let (mut scanned, mut entries) = (0, 0);
    let mut number = end.checked_sub(1).and_then(|entry| ledger.block_of_entry(entry));
    while let Some(at) = number {
        let block = ledger.block(at)?;
        if block.header.entries_end <= range.start {
            break;
        }
        if scanned == MAX_SCANNED_BLOCKS || entries >= MAX_SCANNED_ENTRIES {
            return Ok((found, Some(block.header.entries_end)));
        }
        scanned += 1;
        entries += block.entries.len();
        let is_within = |(number, _): &(u64, &Entry)| (range.start..end).contains(number);
        let within: Vec<_> = block.numbered_entries().filter(is_within).collect();
        for (number, entry) in within.into_iter().rev() {
            if found.len() == limit {
                return Ok((found, Some(number + 1)));
            }
            if takes(entry) {
                found.push(Found { block: block.clone(), number });
            }
        }
        number = at.checked_sub(1);
    }
    Ok((found, None))
}

/// Cursor of a search for newest changes: the writes of this entry from this index on, then earlier
/// entries.
pub type ChangeCursor = (u64, usize);

/// An entry's write of an asset with this key.
pub type FoundChange = (Found, Arc<str>);

/// The newest change of each asset from a place on, newest first: at most `limit`, out of at most
/// [`MAX_SCANNED_BLOCKS`] blocks and about [`MAX_SCANNED_ENTRIES`] entries. `is_newest` says whether an
/// asset was not changed behind an entry. The second value is where to go on.
pub fn recent_assets<E: From<LedgerError>>(
    ledger: &dyn LedgerReader,
    from: Option<ChangeCursor>,
    limit: usize,
    mut is_newest: impl FnMut(&str, &str, u64) -> Result<bool, E>,
) -> Result<(Vec<FoundChange>, Option<ChangeCursor>), E> {
    let (first, skip) = from.unwrap_or((u64::MAX, 0));
    let end = ledger.head().entries.min(first.saturating_add(1));
    let mut number = end.checked_sub(1).and_then(|entry| ledger.block_of_entry(entry));
    // What is known of an asset need not be asked for again.
    let mut seen = BTreeSet::new();
    let mut recent = Vec::new();
    let (mut scanned, mut entries) = (0, 0);
    while let Some(at) = number {
        let block = ledger.block(at)?;
        if scanned == MAX_SCANNED_BLOCKS || entries >= MAX_SCANNED_ENTRIES {
            return Ok((recent, block.header.entries_end.checked_sub(1).map(|last| (last, 0))));
        }
        scanned += 1;
        entries += block.entries.len();
        let before: Vec<_> = block.numbered_entries().filter(|(number, _)| *number < end).collect();
        for (number, entry) in before.into_iter().rev() {
            let Entry::Transaction { transaction, writes, .. } = entry else { continue };
            let skip = if number == first { skip } else { 0 };
            for (place, write) in writes.iter().enumerate().skip(skip) {
                if recent.len() == limit {
                    return Ok((recent, Some((number, place))));
                }
                let contract = &transaction.contract;
                if seen.insert((contract.clone(), write.key.clone()))
                    && is_newest(contract, &write.key, number)?
                {
                    recent.push((Found { block: block.clone(), number }, write.key.clone()));
                }
            }
        }
        number = at.checked_sub(1);
    }
    Ok((recent, None))
}

/// A dead letter and its place among those of its block.
#[derive(Debug, Clone)]
pub struct FoundLetter {
    /// The block that holds it.
    pub block: Arc<Block>,
    /// Place in the block's list.
    pub at: usize,
}

impl FoundLetter {
    /// The letter.
    #[must_use]
    pub fn letter(&self) -> Option<&DeadLetter> {
        self.block.records.dead_letters.get(self.at)
    }
}

/// Cursor of a search for dead letters: before this index in this block.
pub type LetterCursor = (u64, usize);

/// Dead letters before a place that a filter takes, newest first: at most `limit`, out of at most
/// [`MAX_SCANNED_BLOCKS`] blocks that have any. The second value is where to go on.
pub fn dead_letters(
    ledger: &dyn LedgerReader,
    before: Option<LetterCursor>,
    limit: usize,
    takes: impl Fn(&DeadLetter) -> bool,
) -> Result<(Vec<FoundLetter>, Option<LetterCursor>), LedgerError> {
    let (newest, end) = before.unwrap_or((u64::MAX, usize::MAX));
    let mut letters = Vec::new();
    let most = usize::try_from(MAX_SCANNED_BLOCKS).unwrap_or(usize::MAX);
    for (scanned, number) in
        (0..).zip(ledger.blocks_with_dead_letters(newest.saturating_add(1), most + 1))
    {
        if scanned == most {
            return Ok((letters, Some((number, usize::MAX))));
        }
        let block = ledger.block(number)?;
        let count = block.records.dead_letters.len();
        let end = if number == newest { count.min(end) } else { count };
        for at in (0..end).rev() {
            if letters.len() == limit {
                return Ok((letters, Some((number, at + 1))));
            }
            if takes(&block.records.dead_letters[at]) {
                letters.push(FoundLetter { block: block.clone(), at });
            }
        }
    }
    Ok((letters, None))
}
