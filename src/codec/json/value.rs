//! A JSON value that is cheap to create, copy and drop.
//!
//! Texts and numbers of up to 24 bytes stand in the value itself, and an object is one sorted list:
//! a value costs one allocation for each array and object, not two for each member.

use std::fmt;

use compact_str::CompactString;

use super::{Map, NUMBER_NAME, Number, eight};
use crate::limits::MAX_JSON_DEPTH;

/// A string: up to 24 bytes of it need no allocation.
pub type Text = CompactString;

/// Any JSON value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Value {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number in the digits it was sent in.
    Number(Number),
    /// A string.
    String(Text),
    /// An array.
    Array(Vec<Value>),
    /// An object.
    Object(Map),
}

impl Value {
    /// The fields of an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&Map> {
        match self {
            Self::Object(map) => Some(map),
            _ => None,
        }
    }

    /// The elements of an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&Vec<Self>> {
        match self {
            Self::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// A string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// `true` or `false`.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// A number.
    #[must_use]
    pub fn as_number(&self) -> Option<&Number> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    /// As [`Number::as_i64`].
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number()?.as_i64()
    }

    /// As [`Number::as_u64`].
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        self.as_number()?.as_u64()
    }

    /// As [`Number::as_f64`].
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        self.as_number()?.as_f64()
    }

    /// True if it is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// A field of an object.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.as_object()?.get(name)
    }

    /// Appends the canonical bytes: compact JSON, names sorted, the escapes of `serde_json`.
    pub fn write_to(&self, bytes: &mut Vec<u8>) {
        // Without bounds nothing is refused.
        let _ = self.write::<false>(usize::MAX, bytes);
    }

    /// The same where [`super::parse`] takes the bytes back. What was read is so, what was computed or
    /// put together need not be.
    ///
    /// # Errors
    ///
    /// Why it would not; some bytes are appended nevertheless.
    pub fn write_readable(&self, bytes: &mut Vec<u8>) -> Result<(), Unreadable> {
        self.write::<true>(MAX_JSON_DEPTH, bytes)
    }

    pub(super) fn write<const READABLE: bool>(
        &self,
        depth_left: usize,
        bytes: &mut Vec<u8>,
    ) -> Result<(), Unreadable> {
        match self {
            Self::Null => bytes.extend_from_slice(b"null"),
            Self::Bool(true) => bytes.extend_from_slice(b"true"),
            Self::Bool(false) => bytes.extend_from_slice(b"false"),
            Self::Number(number) => bytes.extend_from_slice(number.as_str().as_bytes()),
            Self::String(text) => write_text(text, bytes),
            Self::Array(elements) => {
                let depth_left = depth_left.checked_sub(1).ok_or(Unreadable::TooDeep)?;
                let mut separator = b'[';
                for element in elements {
                    bytes.push(separator);
                    separator = b',';
                    element.write::<READABLE>(depth_left, bytes)?;
                }
                end(separator, b"[]", bytes);
            }
            Self::Object(map) => map.write::<READABLE>(depth_left, bytes)?,
        }
        Ok(())
    }

    /// The canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write_to(&mut bytes);
        bytes
    }
}

/// Why no reader takes the bytes of a value back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Nested deeper than [`MAX_JSON_DEPTH`].
    #[error("nested deeper than {MAX_JSON_DEPTH}")]
    TooDeep,
    /// An object has the name that `serde_json` keeps for itself.
    #[error("an object has the reserved name `{NUMBER_NAME}`")]
    ReservedName,
}

/// Closes an array or object; one that had no element is opened first.
pub(super) fn end(separator: u8, both: &[u8; 2], bytes: &mut Vec<u8>) {
    if separator == b',' {
        bytes.push(both[1]);
    } else {
        bytes.extend_from_slice(both);
    }
}

/// Appends a string as JSON writes it.
pub(crate) fn write_text(text: &str, bytes: &mut Vec<u8>) {
    if is_plain(text.as_bytes()) {
        bytes.reserve(text.len() + 2);
        bytes.push(b'"');
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(b'"');
    } else {
        // Writing to memory does not fail.
        let _ = serde_json::to_writer(bytes, text);
    }
}

/// True if no byte of a string is escaped.
fn is_plain(text: &[u8]) -> bool {
    let escaped = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word);
        eight::below(word, b' ') | eight::equal(word, b'"') | eight::equal(word, b'\\')
    };
    match text.last_chunk() {
        Some(last) => {
            let words = text.as_chunks().0;
            words.iter().fold(escaped(last), |all, word| all | escaped(word)) == 0
        }
        None => text.iter().all(|byte| *byte >= b' ' && *byte != b'"' && *byte != b'\\'),
    }
}

/// The value of an absent member.
pub(super) static ABSENT: Value = Value::Null;

/// The field of an object; `null` where there is none.
impl std::ops::Index<&str> for Value {
    type Output = Value;

    fn index(&self, name: &str) -> &Value {
        self.get(name).unwrap_or(&ABSENT)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every part of it was a string.
        f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<Number> for Value {
    fn from(number: Number) -> Self {
        Self::Number(number)
    }
}

impl From<Vec<Value>> for Value {
    fn from(elements: Vec<Value>) -> Self {
        Self::Array(elements)
    }
}

impl FromIterator<Value> for Value {
    fn from_iter<I: IntoIterator<Item = Value>>(elements: I) -> Self {
        Self::Array(elements.into_iter().collect())
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Object(map)
    }
}
