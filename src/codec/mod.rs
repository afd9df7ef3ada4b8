//! The canonical encoding of everything that is hashed, signed and stored.
//!
//! Integers are LEB128 varints, texts and byte strings have a varint length in front. There is one
//! encoding of each value: a reader refuses a varint that is longer than it must be. Nothing here
//! knows what the bytes mean.

pub mod json;
pub mod number;
pub mod yaml;

use std::fmt;

use sha2::{Digest as _, Sha256};

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of several pieces after one another.
    #[must_use]
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Hexadecimal digits.
impl schemars::JsonSchema for Digest {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Digest".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "SHA-256.",
            "type": "string",
            "pattern": "^[0-9a-f]{64}$"
        })
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A digest of pieces that come one after the other.
#[derive(Debug, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// The next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The digest of all pieces.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// Why bytes are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end inside a value.
    #[error("the bytes end inside {0}")]
    Truncated(&'static str),
    /// A value that no writer of this program gives.
    #[error("{0} is not in the canonical encoding")]
    Malformed(&'static str),
    /// Bytes left over after the last value.
    #[error("{0} bytes follow the last value")]
    TrailingBytes(usize),
    /// Few bytes that would take very much memory.
    #[error("{0} would take more memory than any valid value")]
    TooMuch(&'static str),
}

/// Appends canonical values to a buffer.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on behind bytes that are there already, so that a buffer can be used again.
    #[must_use]
    pub fn onto(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// The written bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Number of bytes so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// True if nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes written since a length.
    #[must_use]
    pub fn since(&self, start: usize) -> &[u8] {
        &self.bytes[start..]
    }

    /// One byte.
    pub fn byte(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// An unsigned integer.
    pub fn uint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.bytes.push(value.to_le_bytes()[0]);
    }

    /// A signed integer, zigzag.
    pub fn int(&mut self, value: i64) {
        self.uint(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    /// Bytes whose length the reader knows.
    pub fn raw(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
    }

    /// Bytes with their length in front.
    pub fn bytes(&mut self, value: &[u8]) {
        self.uint(value.len() as u64);
        self.raw(value);
    }

    /// A string with its length in front.
    pub fn text(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    /// A digest.
    pub fn digest(&mut self, value: &Digest) {
        self.raw(&value.0);
    }

    /// Absent as 0, present as 1 and the value.
    pub fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        match value {
            None => self.byte(0),
            Some(value) => {
                self.byte(1);
                write(self, value);
            }
        }
    }
}

/// Reads canonical values from bytes that it borrows.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    /// Bytes of memory that the values may still take.
    room: usize,
}

/// Bytes that one allocation takes besides its content.
pub const ALLOCATION_BYTES: usize = 16;

impl<'a> Reader<'a> {
    /// A reader over these bytes.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self::within(bytes, usize::MAX)
    }

    /// A reader whose values may take so many bytes of memory.
    #[must_use]
    pub fn within(bytes: &'a [u8], room: usize) -> Self {
        Self { bytes, room }
    }

    /// Bytes of memory that the values may still take.
    #[must_use]
    pub fn room(&self) -> usize {
        self.room
    }

    /// Counts memory that values are about to take: so many of so many bytes.
    pub fn charge(
        &mut self,
        count: usize,
        bytes_each: usize,
        what: &'static str,
    ) -> Result<(), DecodeError> {
        let left = self.room.checked_sub(count.saturating_mul(bytes_each));
        self.room = left.ok_or(DecodeError::TooMuch(what))?;
        Ok(())
    }

    /// Bytes not read yet.
    #[must_use]
    pub fn remaining(&self) -> &'a [u8] {
        self.bytes
    }

    /// One byte.
    pub fn byte(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        Ok(self.raw(1, what)?[0])
    }

    /// An unsigned integer; refuses an encoding that is longer than need be.
    pub fn uint(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(what)?;
            let part = u64::from(byte & 0x7f);
            if (part << shift) >> shift != part || (shift > 0 && byte == 0) {
                return Err(DecodeError::Malformed(what));
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::Malformed(what))
    }

    /// A signed integer.
    pub fn int(&mut self, what: &'static str) -> Result<i64, DecodeError> {
        let value = self.uint(what)?;
        Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
    }

    /// An unsigned integer that must fit.
    pub fn small<T: TryFrom<u64>>(&mut self, what: &'static str) -> Result<T, DecodeError> {
        T::try_from(self.uint(what)?).map_err(|_| DecodeError::Malformed(what))
    }

    /// A number of items that follow. At least one byte an item must be left, so that a damaged
    /// count cannot ask for memory.
    pub fn count(&mut self, what: &'static str) -> Result<usize, DecodeError> {
        let count = self.small::<usize>(what)?;
        if count > self.bytes.len() {
            return Err(DecodeError::Truncated(what));
        }
        Ok(count)
    }

    /// As many bytes.
    pub fn raw(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let (value, rest) = self.bytes.split_at_checked(len).ok_or(DecodeError::Truncated(what))?;
        self.bytes = rest;
        Ok(value)
    }

    /// Bytes with their length in front.
    pub fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let len = self.small(what)?;
        self.raw(len, what)
    }

    /// A string with its length in front.
    pub fn text(&mut self, what: &'static str) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes(what)?).map_err(|_| DecodeError::Malformed(what))
    }

    /// Bytes with their length in front, which the value keeps a copy of.
    pub fn kept_bytes(&mut self, what: &'static str) -> Result<Vec<u8>, DecodeError> {
        let bytes = self.bytes(what)?;
        self.charge(1, bytes.len() + ALLOCATION_BYTES, what)?;
        Ok(bytes.to_vec())
    }

    /// A string with its length in front, which the value keeps a copy of.
    pub fn kept_text<T: From<&'a str>>(&mut self, what: &'static str) -> Result<T, DecodeError> {
        let text = self.text(what)?;
        self.charge(1, text.len() + ALLOCATION_BYTES, what)?;
        Ok(text.into())
    }

    /// A digest.
    pub fn digest(&mut self, what: &'static str) -> Result<Digest, DecodeError> {
        self.array(what).map(Digest)
    }

    /// As many bytes as the array holds.
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        self.raw(N, what)?.try_into().map_err(|_| DecodeError::Truncated(what))
    }

    /// An optional value.
    pub fn option<T>(
        &mut self,
        what: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        match self.byte(what)? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(DecodeError::Malformed(what)),
        }
    }

    /// Refuses bytes behind the last value.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.bytes.len() {
            0 => Ok(()),
            left => Err(DecodeError::TrailingBytes(left)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_come_back(unsigned: u64, signed: i64) {
            let mut writer = Writer::new();
            writer.uint(unsigned);
            writer.int(signed);
            let bytes = writer.into_bytes();
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.uint("unsigned").unwrap(), unsigned);
            prop_assert_eq!(reader.int("signed").unwrap(), signed);
            prop_assert!(reader.finish().is_ok());
        }

        #[test]
        fn one_encoding_of_each_integer(bytes in proptest::collection::vec(any::<u8>(), 1..11)) {
            let mut reader = Reader::new(&bytes);
            if let Ok(value) = reader.uint("value") {
                let used = bytes.len() - reader.remaining().len();
                let mut writer = Writer::new();
                writer.uint(value);
                prop_assert_eq!(writer.into_bytes(), &bytes[..used]);
            }
        }
    }

    #[test]
    fn a_count_cannot_ask_for_memory() {
        let mut writer = Writer::new();
        writer.uint(u64::MAX);
        let bytes = writer.into_bytes();
        assert!(Reader::new(&bytes).count("items").is_err());
        assert!(Reader::new(&bytes).bytes("text").is_err());
    }

    #[test]
    fn values_take_no_more_memory_than_they_may() {
        let mut reader = Reader::within(b"\x03abc\x03abc", 3 + ALLOCATION_BYTES + 5);
        assert_eq!(reader.kept_text::<String>("text").unwrap(), "abc");
        assert_eq!(reader.room(), 5);
        assert_eq!(reader.kept_bytes("bytes"), Err(DecodeError::TooMuch("bytes")));
        assert!(Reader::within(b"", 10).charge(usize::MAX, 2, "items").is_err());
        assert!(Reader::within(b"", 10).charge(5, 2, "items").is_ok());
    }
}
