//! Every record once: progress without gap or repeat, one disposition for each record, versions
//! that follow one another.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::codec::Digest;
use crate::event::{SourcePartition, SourcePosition};
use crate::ledger::{Block, DefinitionKind, Entry, Progress, StoredWrite};
use crate::state::{ActiveAlerts, Fingerprint, Member, Totals, member};
use crate::transaction::Transaction;
use crate::verify::Problems;

/// Follows the records and versions of a log.
#[derive(Default)]
pub struct Accounting {
    /// Transactions so far.
    pub transactions: u64,
    /// Records so far.
    pub records: u64,
    /// The dispositions of the records.
    pub totals: Totals,
    /// Active alerts, and since when.
    pub alerts: ActiveAlerts,
    next: BTreeMap<SourcePartition, u64>,
    mappings: BTreeSet<Digest>,
    /// Name and newest version of each contract.
    contracts: BTreeMap<String, u32>,
    versions: HashMap<Arc<str>, Versions>,
    fingerprint: Fingerprint,
}

/// The newest version of each key.
type Versions = HashMap<Arc<str>, (u64, Member)>;

/// One block's account of one partition.
#[derive(Default)]
struct Accounted {
    /// Records with a transaction or a dead letter.
    offsets: BTreeSet<u64>,
    /// Filtered records: first offset, and the one behind the last. They may be many, so they are
    /// never looked at one by one.
    runs: Vec<(u64, u64)>,
    newest: Option<SourcePosition>,
}

impl Accounted {
    fn count(&self) -> u64 {
        let lengths = self.runs.iter().map(|(first, end)| end - first);
        lengths.fold(self.offsets.len() as u64, u64::saturating_add)
    }

    /// Offset of the last record.
    fn greatest(&self) -> Option<u64> {
        let of_runs = self.runs.iter().filter(|(first, end)| first < end).map(|(_, end)| end - 1);
        of_runs.chain(self.offsets.last().copied()).max()
    }

    fn is_within(&self, from: u64, next: u64) -> bool {
        self.offsets.iter().all(|offset| (from..next).contains(offset))
            && self.runs.iter().all(|(first, end)| from <= *first && *end <= next)
    }

    /// A record with two dispositions.
    fn doubled(&mut self) -> Option<u64> {
        self.runs.sort_unstable();
        let among_runs = self.runs.windows(2).find(|pair| pair[1].0 < pair[0].1);
        let with_others = || {
            self.runs.iter().find_map(|(first, end)| self.offsets.range(first..end).next().copied())
        };
        among_runs.map(|pair| pair[1].0).or_else(with_others)
    }
}

impl Accounting {
    /// Over every asset that the log has written so far.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Contract, key and newest member of each asset that was written by this entry or a later one.
    pub fn written_since(&self, entry: u64) -> impl Iterator<Item = (&str, &str, &Member)> {
        self.versions.iter().flat_map(move |(contract, versions)| {
            let newest = versions.iter().filter(move |(_, (version, _))| *version >= entry);
            newest.map(move |(key, (_, member))| (&**contract, &**key, member))
        })
    }

    /// Takes in a block; `members` are those of its writes, in order.
    pub fn block(&mut self, block: &Block, members: Vec<Member>, problems: &mut Problems<'_>) {
        let mut members = members.into_iter();
        self.totals.add(block);
        let mut accounted: BTreeMap<SourcePartition, Accounted> = BTreeMap::new();
        for (index, entry) in block.numbered_entries() {
            match entry {
                Entry::Definition(definition) => match definition.kind {
                    DefinitionKind::Mapping => _ = self.mappings.insert(definition.digest()),
                    DefinitionKind::Contract => {
                        let before =
                            self.contracts.insert(definition.name.clone(), definition.version);
                        problems.check(
                            before.is_none_or(|before| before < definition.version),
                            "a contract's version is not higher than the previous one",
                        );
                    }
                    DefinitionKind::Ledger | DefinitionKind::Key | DefinitionKind::KeyEnd => {}
                },
                Entry::Transaction { transaction, verdict, writes } => {
                    self.transactions += 1;
                    // What a manual call says of itself needs no other block.
                    let known = transaction.id.partition.is_calls()
                        || self.mappings.contains(&transaction.mapping_digest);
                    problems.check(known, "a transaction's mapping was not recorded before it");
                    let known = self.contracts.contains_key(&*transaction.contract);
                    problems.check(
                        known || !verdict.is_valid(),
                        "a valid transaction's contract was not recorded before it",
                    );
                    problems.check(
                        verdict.is_valid() || writes.is_empty(),
                        "an invalid transaction has writes",
                    );
                    position(transaction, &mut accounted, problems);
                    for (write, member) in writes.iter().zip(&mut members) {
                        self.write(index, transaction, (write, member), problems);
                    }
                }
            }
        }
        dispositions(block, &mut accounted, problems);
        for progress in &block.records.progress {
            let found = accounted.remove(&progress.partition).unwrap_or_default();
            self.progress(progress, &found, problems);
        }
        problems.check(accounted.is_empty(), "it has records of a partition without progress");
    }

    fn progress(&mut self, progress: &Progress, found: &Accounted, problems: &mut Problems<'_>) {
        let Progress { partition, from, next, records, last } = progress;
        if let Some(expected) = self.next.insert(partition.clone(), *next)
            && expected != *from
        {
            let what = if *from < expected { "repeats records" } else { "leaves a gap" };
            problems
                .add(format!("it {what} of {partition}: it begins at {from}, expected {expected}"));
        }
        problems.check(from <= next, "its progress goes backwards");
        problems.check(found.is_within(*from, *next), "it has a record outside its progress");
        let is_last = last.is_none_or(|last| found.greatest() == Some(last.offset));
        problems.check(is_last, "its progress names a last record that it does not contain");
        let count = found.count();
        if count != *records {
            problems
                .add(format!("it read {records} records of {partition} and accounts for {count}"));
        }
        self.records = self.records.saturating_add(*records);
    }

    fn write(
        &mut self,
        index: u64,
        transaction: &Transaction,
        (write, member): (&StoredWrite, Member),
        problems: &mut Problems<'_>,
    ) {
        let contract = &transaction.contract;
        self.alerts.take_in(contract, &write.key, write.value.as_deref(), transaction.time_ms);
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

/// Contribution of each write of a block to the state's fingerprint. Needs no other block.
pub fn members(block: &Block) -> Vec<Member> {
    let mut members = Vec::new();
    for (index, entry) in block.numbered_entries() {
        let Entry::Transaction { transaction, writes, .. } = entry else { continue };
        let member_of = |write: &StoredWrite| {
            member(&transaction.contract, &write.key, index, write.value.as_ref())
        };
        members.extend(writes.iter().map(member_of));
    }
    members
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
        Some(newest) if newest.offset == id.offset => newest.output.saturating_add(1),
        Some(newest) if newest.offset > id.offset => {
            problems.add(format!("{id} comes after {newest}"));
            id.output
        }
        _ => 0,
    };
    if id.output != expected {
        problems.add(format!("{id} is in the place of output {expected} of its record"));
    }
    partition.newest = Some(id.clone());
}

/// Adds records that gave no transaction.
fn dispositions(
    block: &Block,
    accounted: &mut BTreeMap<SourcePartition, Accounted>,
    problems: &mut Problems<'_>,
) {
    for letter in &block.records.dead_letters {
        let partition = &letter.partition;
        if !accounted.entry(partition.clone()).or_default().offsets.insert(letter.offset) {
            problems.add(format!("{partition}/{} has two dispositions", letter.offset));
        }
    }
    for filtered in &block.records.filtered {
        let found = accounted.entry(filtered.partition.clone()).or_default();
        let run = |(first, count): &(u64, u64)| (*first, first.saturating_add(*count));
        found.runs.extend(filtered.runs.iter().map(run));
    }
    for (partition, found) in accounted {
        if let Some(offset) = found.doubled() {
            problems.add(format!("{partition}/{offset} has two dispositions"));
        }
    }
}
