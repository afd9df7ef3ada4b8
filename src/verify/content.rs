//! Errors of a block by itself, independent of earlier blocks: digests that do not match their
//! data, values that are not in canonical form. Needs no other block, so blocks can be checked on
//! all processors.

use std::collections::BTreeSet;

use crate::codec::Digest;
use crate::codec::json::is_compact;
use crate::contract::Asset;
use crate::event::SourcePartition;
use crate::ledger::block::records_digest;
use crate::ledger::keys::{LEDGER_ROLE, SUBMITTER_ROLE, key_of};
use crate::ledger::{
    Block, DeadLetter, Definition, DefinitionKind, Entry, Filtered, LastRecord, StoredWrite,
};
use crate::limits::MAX_DEAD_LETTER_BYTES;
use crate::transaction::{Transaction, call_digest};
use crate::verify::MAX_LISTED_PROBLEMS;

/// Errors of one block, in words; a long list is cut.
pub type Faults = Vec<String>;

/// Gathers what is wrong.
#[derive(Default)]
struct Found(Faults);

impl Found {
    fn check(&mut self, holds: bool, text: impl FnOnce() -> String) {
        if !holds && self.0.len() <= MAX_LISTED_PROBLEMS {
            self.0.push(text());
        }
    }
}

/// Finds the errors of a block by itself.
pub fn faults(block: &Block) -> Faults {
    let (records, mut found) = (&block.records, Found::default());
    let fits = records_digest(records, block.header.format) == block.header.records;
    found.check(fits, || "its records do not match its seal".to_owned());
    partitions(block, &mut found);
    records.filtered.iter().for_each(|filtered| runs(filtered, &mut found));
    records.dead_letters.iter().for_each(|letter| dead_letter(letter, &mut found));
    let mut before = None;
    for entry in &block.entries {
        match entry {
            Entry::Definition(definition) => self::definition(definition, &mut found),
            Entry::Transaction { transaction, writes, .. } => {
                self::transaction(transaction, before, &mut found);
                writes.iter().for_each(|write| self::write(transaction, write, &mut found));
                before = Some(&**transaction);
            }
        }
    }
    last_records(block, &mut found);
    found.0
}

/// Each partition once, and manual calls in the one that is theirs.
fn partitions(block: &Block, found: &mut Found) {
    let records = &block.records;
    let calls = SourcePartition::calls();
    let mut once = |partitions: &mut dyn Iterator<Item = &SourcePartition>, what: &str| {
        let mut seen = BTreeSet::new();
        for partition in partitions {
            let is_new = seen.insert(partition);
            found.check(is_new, || format!("its {what} names {partition} more than once"));
            let is_known = !partition.is_calls() || *partition == calls;
            found.check(is_known, || format!("{partition} is not the partition of manual calls"));
        }
    };
    once(&mut records.progress.iter().map(|progress| &progress.partition), "progress");
    once(&mut records.filtered.iter().map(|filtered| &filtered.partition), "filtered records");
    let of_filtered = records.filtered.iter().map(|filtered| &filtered.partition);
    let of_letters = records.dead_letters.iter().map(|letter| &letter.partition);
    let is_call = of_filtered.chain(of_letters).any(SourcePartition::is_calls);
    found.check(!is_call, || "it has a manual call that is not a transaction".to_owned());
}

fn runs(filtered: &Filtered, found: &mut Found) {
    let mut behind = 0;
    for (first, count) in &filtered.runs {
        let rises = *count > 0 && *first >= behind;
        behind = first.saturating_add(*count);
        found.check(rises, || {
            let partition = &filtered.partition;
            format!("a run of filtered records of {partition} is empty or does not rise: {first}")
        });
    }
}

fn dead_letter(letter: &DeadLetter, found: &mut Found) {
    let place = || format!("the dead letter {}/{}", letter.partition, letter.offset);
    let value = letter.value.as_deref().unwrap_or_default();
    let kept = letter.value_len.min(MAX_DEAD_LETTER_BYTES as u64);
    let of_headers = letter.headers.iter();
    let of_headers =
        of_headers.map(|(name, value)| name.len() + value.as_ref().map_or(0, Vec::len));
    let is_cut_right = value.len() as u64 == kept
        && of_headers.sum::<usize>() <= MAX_DEAD_LETTER_BYTES
        && letter.key.as_ref().is_none_or(|key| key.len() <= MAX_DEAD_LETTER_BYTES);
    found.check(is_cut_right, || {
        format!("{} keeps more or less of its record than required", place())
    });
    let is_whole = letter.value_len <= MAX_DEAD_LETTER_BYTES as u64;
    let fits = !is_whole || Digest::of(value) == letter.digest;
    found.check(fits, || format!("{} does not have the digest of its value", place()));
}

fn definition(definition: &Definition, found: &mut Found) {
    let Definition { kind, name, version, text } = definition;
    let is_versioned = *kind == DefinitionKind::Contract;
    found.check(is_versioned || *version == 0, || {
        format!("the {} `{}` has a version", kind.name(), name.escape_debug())
    });
    if matches!(kind, DefinitionKind::Key | DefinitionKind::KeyEnd) {
        let is_role = [LEDGER_ROLE, SUBMITTER_ROLE].contains(&name.as_str());
        found.check(is_role, || format!("there is no role `{}` of keys", name.escape_debug()));
        let is_key = key_of(definition).is_some_and(|key| key.to_string() == **text);
        found.check(is_key, || {
            format!("`{}` is not a key in lower-case hexadecimal", text.escape_debug())
        });
    }
}

fn transaction(transaction: &Transaction, before: Option<&Transaction>, found: &mut Found) {
    let id = &transaction.id;
    if id.partition.is_calls() {
        let says_who = transaction.caller().is_some();
        found.check(says_who, || "a manual call does not say who made it".to_owned());
        found.check(id.partition == SourcePartition::calls() && id.output == 0, || {
            format!("{id} is not a position of a manual call")
        });
        let asked = call_digest(transaction);
        let fits = transaction.value_digest == asked
            && transaction.record_digest.is_none_or(|digest| digest == asked);
        found.check(fits, || format!("{id} does not have the digest of its request"));
    }
    if let Some(before) = before.filter(|_| id.output > 0)
        && (before.id.offset, &before.id.partition) == (id.offset, &id.partition)
    {
        let digests = |of: &Transaction| (of.record_digest, of.value_digest);
        let same = digests(before) == digests(transaction);
        found.check(same, || format!("{id} has other digests than {} of its record", before.id));
    }
    let is_json = is_compact(transaction.arguments.bytes());
    found.check(is_json, || format!("the arguments of {id} are not compact JSON"));
}

fn write(transaction: &Transaction, write: &StoredWrite, found: &mut Found) {
    let is_asset = write.value.as_deref().is_none_or(Asset::is_well_formed);
    found.check(is_asset, || {
        let key = write.key.escape_debug();
        format!("{} writes a state of `{key}` that is not a valid asset state", transaction.id)
    });
}

/// The digest of a partition's last record is that of the record, where the block holds it.
fn last_records(block: &Block, found: &mut Found) {
    let of_progress = block.records.progress.iter();
    let mut last: Vec<(LastRecord, &SourcePartition)> =
        of_progress.filter_map(|progress| Some((progress.last?, &progress.partition))).collect();
    last.sort_unstable_by_key(|(last, _)| last.offset);
    let mut look = |offset: u64, partition: &SourcePartition, digest: Option<Digest>| {
        let Some(digest) = digest else { return };
        let from = last.partition_point(|(last, _)| last.offset < offset);
        let same_offset = last[from..].iter().take_while(|(last, _)| last.offset == offset);
        for (last, _) in same_offset.filter(|(_, of)| *of == partition) {
            found.check(last.digest == digest, || {
                format!("the last record of {partition} does not have the digest of {offset}")
            });
        }
    };
    for transaction in block.entries.iter().filter_map(Entry::transaction) {
        let id = &transaction.id;
        look(id.offset, &id.partition, transaction.record_digest);
    }
    for letter in &block.records.dead_letters {
        look(letter.offset, &letter.partition, letter.record_digest);
    }
}
