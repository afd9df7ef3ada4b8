//! Strict JSON: what a device sent is kept exactly or refused, never bent.
//!
//! Numbers keep the text they were sent in (`serde_json` with `arbitrary_precision`). Objects are
//! sorted by key, so that serialising a value gives its canonical bytes.

use serde_json::Value;

/// Why a text is not taken as JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (line {line}, column {column})")]
pub struct JsonError {
    /// Which rule is broken.
    pub kind: JsonErrorKind,
    /// What is wrong, without the place.
    pub message: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in bytes, from 1.
    pub column: usize,
    /// Byte offset of the place in the text.
    pub offset: usize,
}

/// The rules a text may break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonErrorKind {
    /// Not UTF-8.
    NotUtf8,
    /// Not the grammar of RFC 8259; also a byte order mark, `NaN`, a lone surrogate.
    Syntax,
    /// A name stands twice in one object.
    DuplicateKey,
    /// Nested deeper than [`crate::limits::MAX_JSON_DEPTH`].
    TooDeep,
    /// A number that is longer than [`crate::limits::MAX_NUMBER_BYTES`] or beyond f64's range.
    Number,
}

/// Parses one JSON text.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    let _ = bytes;
    unimplemented!()
}
