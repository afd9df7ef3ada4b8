//! Digests of a record: whoever holds the record can find it again in the ledger, and tell whether
//! anything of it was changed.

use crate::codec::{Digest, Writer};
use crate::event::Record;

/// Domain tag of the record digest, so that it cannot be mistaken for the digest of anything else.
const DOMAIN: &[u8] = b"ledgerline/record/v1\n";

/// The two digests of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordDigests {
    /// SHA-256 over key, headers, timestamp and value: everything that the record's event is made
    /// of. Its input is the domain tag `ledgerline/record/v1` and a line feed, then in canonical
    /// bytes the broker's timestamp (option, signed integer), the key (option, bytes), the headers
    /// (bytes: of each its name as text and its value as option of bytes, in the order received),
    /// and the digest of the value (option, 32 bytes; absent for a tombstone).
    pub record: Digest,
    /// SHA-256 of the value as received, which `sha256sum` gives too; of no bytes for a tombstone.
    pub value: Digest,
}

impl RecordDigests {
    /// Digests a record. Its position is not part of it: the transaction id holds that.
    #[must_use]
    pub fn of(record: &Record<'_>) -> Self {
        let value = record.value.map(Digest::of);
        let key_bytes = record.key.map_or(0, <[u8]>::len);
        let headers = record.headers.as_encoded();
        let room = DOMAIN.len() + key_bytes + headers.len() + USUAL_OTHER_BYTES;
        let mut writer = Writer::onto(Vec::with_capacity(room));
        writer.raw(DOMAIN);
        writer.option(record.timestamp_ms, Writer::int);
        writer.option(record.key, Writer::bytes);
        writer.bytes(headers);
        writer.option(value.as_ref(), Writer::digest);
        let record = Digest::of(&writer.into_bytes());
        Self { record, value: value.unwrap_or_else(|| Digest::of(&[])) }
    }
}

/// Room for timestamp, lengths and the digest of the value.
const USUAL_OTHER_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Headers, SourcePartition};

    fn digest(
        timestamp_ms: Option<i64>,
        key: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
        value: Option<&[u8]>,
    ) -> RecordDigests {
        let partition = SourcePartition::new("t", 0);
        let mut writer = Writer::new();
        for (name, value) in headers {
            writer.text(name);
            writer.option(*value, Writer::bytes);
        }
        let headers = writer.into_bytes();
        let headers = Headers::from_encoded(&headers);
        let (offset, damage) = (3, None);
        let record =
            Record { partition: &partition, offset, timestamp_ms, key, value, headers, damage };
        RecordDigests::of(&record)
    }

    #[test]
    fn the_documented_input_gives_the_digest() {
        let found = digest(Some(5), Some(b"k"), &[("h", Some(b"v"))], Some(b"{}"));
        assert_eq!(found.value, Digest::of(b"{}"));
        let mut input = b"ledgerline/record/v1\n".to_vec();
        input.extend([1, 10]); // 5 in zigzag
        input.extend([1, 1, b'k']);
        input.extend([5, 1, b'h', 1, 1, b'v']);
        input.push(1);
        input.extend(Digest::of(b"{}").0);
        assert_eq!(found.record, Digest::of(&input));
    }

    #[test]
    fn every_part_of_a_record_changes_its_digest() {
        let (k, v) = (Some(b"k".as_slice()), Some(b"v".as_slice()));
        let variants = [
            digest(Some(5), k, &[("h", v)], v),
            digest(Some(6), k, &[("h", v)], v),
            digest(None, k, &[("h", v)], v),
            digest(Some(5), None, &[("h", v)], v),
            digest(Some(5), Some(b""), &[("h", v)], v),
            digest(Some(5), k, &[], v),
            digest(Some(5), k, &[("h", None)], v),
            digest(Some(5), k, &[("h", v), ("h", v)], v),
            digest(Some(5), k, &[("h", v)], None),
            digest(Some(5), k, &[("h", v)], Some(b"")),
        ];
        let distinct: std::collections::BTreeSet<_> =
            variants.iter().map(|digests| digests.record).collect();
        assert_eq!(distinct.len(), variants.len());
    }
}
