//! Every record once: progress without gap or repeat, one disposition for each record, versions
//! that follow one another.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::codec::Digest;
use crate::event::{SourcePartition, SourcePosition};
use crate::ledger::{Block, DefinitionKind, Entry, Progress, StoredWrite};
use crate::state::{Fingerprint, Member, Totals};
use crate::transaction::Transaction;
use crate::verify::Problems;

/// Follows the records and versions of a log.
#[derive(Default)]
pub struct Accounting {
    /// Transactions so far.
    pub transactions: u64,
    /// Records so far.
    pub records: u64,
    /// What became of them.
    pub totals: Totals,
    next: BTreeMap<SourcePartition, u64>,
    mappings: BTreeSet<Digest>,
    versions: HashMap<Arc<str>, Versions>,
    fingerprint: Fingerprint,
}

/// The newest version of each key.
type Versions = HashMap<Box<str>, (u64, Member)>;

/// What one block says of one partition.
#[derive(Default)]
struct Accounted {
    offsets: BTreeSet<u64>,
    newest: Option<SourcePosition>,
}

impl Accounting {
    /// Over every asset that the log has written so far.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Takes in a block.
    pub fn block(&mut self, block: &Block, problems: &mut Problems<'_>) {
        self.totals.add(block);
        let mut accounted: BTreeMap<SourcePartition, Accounted> = BTreeMap::new();
        for (index, entry) in block.indexed_entries() {
            match entry {
                Entry::Definition(definition) => {
                    if definition.kind == DefinitionKind::Mapping {
                        self.mappings.insert(definition.digest());
                    }
                }
                Entry::Transaction { transaction, verdict, writes } => {
                    self.transactions += 1;
                    let known = self.mappings.contains(&transaction.mapping_digest);
                    problems.check(known, "a transaction's mapping was not recorded before it");
                    problems.check(
                        verdict.is_valid() || writes.is_empty(),
                        "an invalid transaction has written",
                    );
                    position(transaction, &mut accounted, problems);
                    for write in writes {
                        self.write(index, transaction, write, problems);
                    }
                }
            }
        }
        dispositions(block, &mut accounted, problems);
        for progress in &block.records.progress {
            let found = accounted.remove(&progress.partition).unwrap_or_default();
            self.progress(progress, &found, problems);
        }
        problems.check(accounted.is_empty(), "it holds records of a partition without progress");
    }

    fn progress(&mut self, progress: &Progress, found: &Accounted, problems: &mut Problems<'_>) {
        let Progress { partition, from, next, records } = progress;
        if let Some(expected) = self.next.insert(partition.clone(), *next)
            && expected != *from
        {
            let what = if *from < expected { "repeats records" } else { "leaves a gap" };
            problems
                .add(format!("it {what} of {partition}: it begins at {from}, {expected} is next"));
        }
        let within = found.offsets.iter().all(|offset| (from..next).contains(&offset));
        problems.check(within, "it holds a record outside its progress");
        if found.offsets.len() as u64 != *records {
            let count = found.offsets.len();
            problems
                .add(format!("it read {records} records of {partition} and accounts for {count}"));
        }
        self.records += records;
    }

    fn write(
        &mut self,
        index: u64,
        transaction: &Transaction,
        write: &StoredWrite,
        problems: &mut Problems<'_>,
    ) {
        let contract = &transaction.contract;
        let member = Member::new(contract, &write.key, index, write.value.as_ref());
        self.fingerprint.add(&member);
        let versions = self.versions.entry(contract.clone()).or_default();
        let before = versions.insert(write.key.clone(), (index, member));
        if let Some((_, member)) = &before {
            self.fingerprint.remove(member);
        }
        if before.map(|(version, _)| version) != write.replaced {
            problems.add(format!(
                "entry {index} names another version of `{}` than the one it replaced",
                write.key.escape_debug()
            ));
        }
    }
}

fn position(
    transaction: &Transaction,
    accounted: &mut BTreeMap<SourcePartition, Accounted>,
    problems: &mut Problems<'_>,
) {
    let id = &transaction.id;
    if !accounted.contains_key(&id.partition) {
        accounted.insert(id.partition.clone(), Accounted::default());
    }
    let Some(partition) = accounted.get_mut(&id.partition) else { return };
    partition.offsets.insert(id.offset);
    let expected = match &partition.newest {
        Some(newest) if newest.offset == id.offset => newest.output + 1,
        Some(newest) if newest.offset > id.offset => {
            problems.add(format!("{id} comes after {newest}"));
            id.output
        }
        _ => 0,
    };
    if id.output != expected {
        problems.add(format!("{id} stands where output {expected} of its record should"));
    }
    partition.newest = Some(id.clone());
}

/// Adds records that gave no transaction. Filtered ones stand in runs, which may be long, so only
/// their ends are looked at one by one.
fn dispositions(
    block: &Block,
    accounted: &mut BTreeMap<SourcePartition, Accounted>,
    problems: &mut Problems<'_>,
) {
    let filtered = block.records.filtered.iter().flat_map(|filtered| {
        let limit = block.records.progress.iter().map(|progress| progress.records).sum::<u64>();
        let runs = filtered.runs.iter();
        runs.flat_map(move |(first, count)| {
            (*first..first.saturating_add(*count))
                .take(usize::try_from(limit).unwrap_or(usize::MAX))
        })
        .map(|offset| (&filtered.partition, offset))
    });
    let letters =
        block.records.dead_letters.iter().map(|letter| (&letter.partition, letter.offset));
    for (partition, offset) in filtered.chain(letters) {
        let accounted = accounted.entry(partition.clone()).or_default();
        if !accounted.offsets.insert(offset) {
            problems.add(format!("{partition}/{offset} has two dispositions"));
        }
    }
}
