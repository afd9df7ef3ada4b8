//! Blocks and their contents.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use schemars::JsonSchema;
use serde::Serialize;

use crate::codec::Digest;
use crate::ledger::{Block, Entry, Progress, SubmissionSeal};
use crate::query::views::{DefinitionView, TransactionSummary, time_text};
use crate::verify::Step;

/// A block in a list.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BlockSummary {
    /// Number, from 0.
    pub number: u64,
    /// Hash of its header.
    pub hash: Digest,
    /// Creation time.
    pub time: String,
    /// Number of its first entry.
    pub first_entry: u64,
    /// Number of its entries.
    pub entry_count: usize,
    /// Leaves of the tree with it: all entries so far, and one for each block of format 2.
    pub tree_size: u64,
    /// Its transactions that are valid.
    pub valid: usize,
    /// Its transactions that are not.
    pub invalid: usize,
    /// Its mappings, contracts and keys.
    pub definitions: usize,
    /// Records that no mapping matched.
    pub filtered: u64,
    /// Records that could not become a transaction.
    pub dead_letters: usize,
}

impl BlockSummary {
    /// Of a block.
    #[must_use]
    pub fn new(block: &Block) -> Self {
        let is = |entry: &Entry, valid| match entry {
            Entry::Transaction { verdict, .. } => verdict.is_valid() == valid,
            Entry::Definition(_) => false,
        };
        let count = |valid| block.entries.iter().filter(|entry| is(entry, valid)).count();
        Self {
            number: block.header.number,
            hash: block.header.hash(),
            time: time_text(block.header.time_ms),
            first_entry: block.header.first_entry,
            entry_count: block.entries.len(),
            tree_size: block.header.tree_size(),
            valid: count(true),
            invalid: count(false),
            definitions: block.entries.iter().filter_map(Entry::definition).count(),
            filtered: block.records.filtered.iter().map(|filtered| filtered.count()).sum(),
            dead_letters: block.records.dead_letters.len(),
        }
    }
}

/// A block with its header, records and a page of its entries.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BlockView {
    /// As in a list.
    #[serde(flatten)]
    pub summary: BlockSummary,
    /// Hash of the block before.
    pub previous: Digest,
    /// Format of the block: from 2 on, the tree has a leaf over header and seal of each block.
    pub format: &'static str,
    /// Root of the tree with its entries, without its own leaf.
    pub entries_root: Digest,
    /// Chained digest over all verdicts and writes so far.
    pub effects: Digest,
    /// Digest over its records.
    pub records: Digest,
    /// Public key that sealed it.
    pub signer: String,
    /// Its signature over the block's hash.
    pub signature: String,
    /// The signed checkpoint at its size.
    pub checkpoint: String,
    /// Progress in each partition.
    pub progress: Vec<ProgressView>,
    /// Signatures over its transactions.
    pub submissions: Vec<SubmissionView>,
    /// Its entries, in order.
    pub entries: Vec<EntryView>,
    /// The first entry that is not on this page, to be given as `from`; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

impl BlockView {
    /// A block with at most `limit` of its entries, from the entry `from` on.
    #[must_use]
    pub fn new(block: &Block, from: u64, limit: usize) -> Self {
        let header = &block.header;
        let mut entries = block.numbered_entries().filter(|(number, _)| *number >= from).peekable();
        let page =
            entries.by_ref().take(limit).map(|(number, entry)| EntryView::new(number, entry));
        Self {
            summary: BlockSummary::new(block),
            previous: header.previous,
            format: header.format.text(),
            entries_root: header.entries_root,
            effects: header.effects,
            records: header.records,
            signer: block.seal.signer.to_string(),
            signature: BASE64_STANDARD.encode(block.seal.signature),
            checkpoint: block.checkpoint.to_string(),
            progress: block.records.progress.iter().map(ProgressView::new).collect(),
            submissions: block.records.submissions.iter().map(SubmissionView::new).collect(),
            entries: page.collect(),
            next: entries.next().map(|(number, _)| number),
        }
    }
}

/// A block's progress in one partition.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProgressView {
    /// Topic, epoch and partition, such as `telemetry/3`.
    pub partition: String,
    /// Next offset before the block.
    pub from: u64,
    /// Next offset after it.
    pub next: u64,
    /// Records in between.
    pub records: u64,
    /// Offset of the last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_offset: Option<u64>,
    /// SHA-256 over key, headers, timestamp and value of the last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_digest: Option<Digest>,
}

impl ProgressView {
    fn new(progress: &Progress) -> Self {
        Self {
            partition: progress.partition.to_string(),
            from: progress.from,
            next: progress.next,
            records: progress.records,
            last_offset: progress.last.map(|last| last.offset),
            last_digest: progress.last.map(|last| last.digest),
        }
    }
}

/// A signature over some of a block's transactions.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SubmissionView {
    /// Public key.
    pub signer: String,
    /// Root of the tree over the transactions.
    pub root: Digest,
    /// Ed25519 signature.
    pub signature: String,
    /// Number of transactions; submissions follow each other.
    pub transactions: u64,
}

impl SubmissionView {
    fn new(seal: &SubmissionSeal) -> Self {
        Self {
            signer: seal.signer.to_string(),
            root: seal.root,
            signature: BASE64_STANDARD.encode(seal.signature),
            transactions: seal.count,
        }
    }
}

/// One entry of a block.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum EntryView {
    /// A transaction.
    Transaction(TransactionSummary),
    /// A mapping, contract, key or the ledger itself.
    Definition(DefinitionView),
}

impl EntryView {
    fn new(index: u64, entry: &Entry) -> Self {
        match entry {
            Entry::Transaction { transaction, verdict, writes } => {
                Self::Transaction(TransactionSummary::new(index, transaction, (verdict, writes)))
            }
            Entry::Definition(definition) => {
                Self::Definition(DefinitionView::new(index, definition, false))
            }
        }
    }
}

/// One step of a block's verification.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StepView {
    /// The subject of the check.
    pub what: &'static str,
    /// True if it holds.
    pub holds: bool,
    /// The computed value, or the problem.
    pub found: String,
}

impl From<Step> for StepView {
    fn from(step: Step) -> Self {
        let Step { what, holds, found } = step;
        Self { what, holds, found }
    }
}
