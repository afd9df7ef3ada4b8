//! Definitions, and records that produced no transaction.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use schemars::JsonSchema;
use serde::Serialize;

use crate::codec::Digest;
use crate::diagnostic::TestResult;
use crate::event::SourcePartition;
use crate::ledger::{Block, DeadLetter, Definition};
use crate::query::views::{TransactionSummary, time_text};

/// A mapping, contract or key that is recorded in the ledger.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DefinitionView {
    /// `mapping`, `contract`, `key`, `key_end` or `ledger`.
    pub definition: &'static str,
    /// Its name.
    pub name: String,
    /// Its version; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// SHA-256 of its text.
    pub digest: Digest,
    /// Number of its entry: it holds from the next one on.
    pub entry: u64,
    /// Its text, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl DefinitionView {
    /// Of a definition, with or without its text.
    #[must_use]
    pub fn new(entry: u64, definition: &Definition, with_text: bool) -> Self {
        Self {
            definition: definition.kind.name(),
            name: definition.name.clone(),
            version: Some(definition.version).filter(|version| *version > 0),
            digest: definition.digest(),
            entry,
            text: with_text.then(|| definition.text.to_string()),
        }
    }
}

/// The result of one of a definition's own tests.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TestView {
    /// Its name.
    pub test: String,
    /// True if it holds.
    pub holds: bool,
    /// The differences, as lines for people; absent if the test passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

impl From<TestResult> for TestView {
    fn from(result: TestResult) -> Self {
        let TestResult { test, failure, .. } = result;
        Self { test, holds: failure.is_none(), failure }
    }
}

/// Bytes of a device.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BytesView {
    /// The bytes.
    pub base64: String,
    /// The same as text, where they are UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl BytesView {
    fn new(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).ok().map(str::to_owned);
        Self { base64: BASE64_STANDARD.encode(bytes), text }
    }
}

/// A dead letter in a list.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeadLetterSummary {
    /// Its record: topic, partition and offset, such as `telemetry/3/4812311`.
    pub id: String,
    /// Number of its block.
    pub block: u64,
    /// Creation time of the block.
    pub time: String,
    /// Name of the cause.
    pub cause: &'static str,
    /// JSONPath, or line and column; empty for the whole record.
    pub place: String,
    /// The error message.
    pub message: String,
}

impl DeadLetterSummary {
    /// Of a letter of a block.
    #[must_use]
    pub fn new(block: &Block, letter: &DeadLetter) -> Self {
        Self {
            id: record_id(&letter.partition, letter.offset),
            block: block.header.number,
            time: time_text(block.header.time_ms),
            cause: letter.rejection.cause.name(),
            place: letter.rejection.place.clone(),
            message: letter.rejection.message.clone(),
        }
    }
}

/// A dead letter with all that is needed to try its record again.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeadLetterView {
    /// As in a list.
    #[serde(flatten)]
    pub summary: DeadLetterSummary,
    /// The broker's timestamp.
    pub timestamp: Option<String>,
    /// Record key.
    pub key: Option<BytesView>,
    /// Record value, or its beginning.
    pub value: Option<BytesView>,
    /// Length of the whole value in bytes.
    pub value_bytes: u64,
    /// SHA-256 of the whole value.
    pub digest: Digest,
    /// Headers in order.
    pub headers: Vec<HeaderView>,
}

/// One header of a record.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HeaderView {
    /// Name.
    pub name: String,
    /// Value.
    pub value: Option<BytesView>,
}

impl DeadLetterView {
    /// Of a letter of a block.
    #[must_use]
    pub fn new(block: &Block, letter: &DeadLetter) -> Self {
        let bytes = |bytes: &Option<Vec<u8>>| bytes.as_deref().map(BytesView::new);
        let header = |(name, value): &(String, Option<Vec<u8>>)| HeaderView {
            name: name.clone(),
            value: bytes(value),
        };
        Self {
            summary: DeadLetterSummary::new(block, letter),
            timestamp: letter.timestamp_ms.map(time_text),
            key: bytes(&letter.key),
            value: bytes(&letter.value),
            value_bytes: letter.value_len,
            digest: letter.digest,
            headers: letter.headers.iter().map(header).collect(),
        }
    }
}

/// The disposition of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecordOutcome {
    /// It gave transactions, valid or not.
    Committed,
    /// No mapping matched it.
    Filtered,
    /// It could not become a transaction.
    DeadLetter,
    /// The source had no such record when it was read there: a marker of a transaction, or compacted
    /// away.
    Gap,
    /// It stands before the first offset that was read.
    Skipped,
    /// It has not been read yet.
    NotReached,
}

/// A record and its disposition.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RecordView {
    /// The record: topic, partition and offset, such as `telemetry/3/4812311`.
    pub id: String,
    /// Its disposition.
    pub outcome: RecordOutcome,
    /// Number of the block that accounts for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block: Option<u64>,
    /// Creation time of that block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Its transactions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transactions: Vec<TransactionSummary>,
    /// Its dead letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<DeadLetterSummary>,
    /// The first offset of its partition that was read, where the record was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    /// The next offset of its partition to be read, where the record was not. Absent as well where
    /// the partition was never read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

impl RecordView {
    /// A record with this outcome, of which nothing more is known.
    #[must_use]
    pub fn new(id: String, outcome: RecordOutcome) -> Self {
        let (transactions, dead_letter) = (Vec::new(), None);
        let (block, time, first, next) = (None, None, None, None);
        Self { id, outcome, block, time, transactions, dead_letter, first, next }
    }
}

/// Records of a partition, one behind the other, that no mapping matched.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FilteredView {
    /// Topic, epoch and partition, such as `telemetry/3`.
    pub partition: String,
    /// Offset of the first.
    pub first: u64,
    /// Offset of the last.
    pub last: u64,
    /// The number of records.
    pub records: u64,
    /// Number of the first block that accounts for them.
    pub block: u64,
    /// Number of the last one.
    pub last_block: u64,
}

impl FilteredView {
    /// A run of a block: first offset and number of records.
    #[must_use]
    pub fn new(partition: &SourcePartition, (first, count): (u64, u64), block: u64) -> Self {
        Self {
            partition: partition.to_string(),
            first,
            last: first.saturating_add(count.saturating_sub(1)),
            records: count,
            block,
            last_block: block,
        }
    }

    /// Adds the run directly behind it.
    pub fn extend(&mut self, next: &Self) {
        self.last = next.last;
        self.records = self.records.saturating_add(next.records);
        self.last_block = next.last_block;
    }
}

/// A record in text: topic, partition and offset.
#[must_use]
pub fn record_id(partition: &SourcePartition, offset: u64) -> String {
    format!("{partition}/{offset}")
}
