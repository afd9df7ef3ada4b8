//! Definitions, and records that gave no transaction.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use schemars::JsonSchema;
use serde::Serialize;

use crate::codec::Digest;
use crate::event::SourcePartition;
use crate::fault::TestResult;
use crate::ledger::{Block, DeadLetter, Definition};
use crate::monitor::views::time_text;

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
    /// Index of its entry: it holds from the next one on.
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

/// What a test came to that stands in a definition's own text.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TestView {
    /// Its name.
    pub test: String,
    /// Whether it holds.
    pub holds: bool,
    /// What differs, as lines for people; absent where it holds.
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
    /// When the block was made.
    pub time: String,
    /// Name of the cause.
    pub cause: &'static str,
    /// JSONPath, or line and column; empty for the whole record.
    pub place: String,
    /// What is wrong.
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

/// A record in text: topic, partition and offset.
#[must_use]
pub fn record_id(partition: &SourcePartition, offset: u64) -> String {
    format!("{partition}/{offset}")
}
