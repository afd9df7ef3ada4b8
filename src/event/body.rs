//! From a record's value to its body: frames and compression by option, then strict JSON. What is no
//! JSON is named where it can be recognised, since "not JSON" alone helps nobody.

use std::borrow::Cow;
use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::codec::json::{self, JsonErrorKind, Value};
use crate::event::{Cause, Rejection};
use crate::limits::MAX_DECOMPRESSED_BYTES;

/// Encoding of the body in a record's value, if it is not plain JSON. A value without the frame or
/// the compression is read as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BodyForm {
    /// The frame in front of the JSON.
    pub framing: Option<Framing>,
    /// The compression of the value.
    pub compression: Option<Compression>,
}

/// A frame in front of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// Confluent's schema registry: a zero byte and four bytes of a schema's id. The rest must be
    /// JSON, as its JSON Schema serializer writes it.
    Confluent,
}

/// A compression of a whole value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// gzip (RFC 1952).
    Gzip,
}

/// Bytes of Confluent's frame.
const CONFLUENT_BYTES: usize = 5;
const GZIP: &[u8] = b"\x1f\x8b";

/// The body of a value: compression first, then the frame.
pub(super) fn read(form: BodyForm, value: &[u8]) -> Result<Value, Rejection> {
    if form == BodyForm::default() {
        return parse(value, "");
    }
    let (mut bytes, mut whose) = (Cow::Borrowed(value), "");
    if form.compression.is_some() && bytes.starts_with(GZIP) {
        bytes = Cow::Owned(decompressed(&bytes)?);
        whose = " of the decompressed value";
    }
    let frame = form.framing.and_then(|_| confluent_id(&bytes));
    match frame {
        None => parse(&bytes, whose),
        Some(id) => parse(&bytes[CONFLUENT_BYTES..], " behind the frame").map_err(|rejection| {
            let message = format!(
                "{}; the frame names schema id {id}: Avro and Protobuf are not supported, only JSON is",
                rejection.message
            );
            Rejection::new(rejection.cause, rejection.place, message)
        }),
    }
}

fn decompressed(value: &[u8]) -> Result<Vec<u8>, Rejection> {
    let mut bytes = Vec::new();
    let most = MAX_DECOMPRESSED_BYTES as u64 + 1;
    MultiGzDecoder::new(value).take(most).read_to_end(&mut bytes).map_err(|error| {
        Rejection::new(Cause::NotJson, "", format!("the gzip data is corrupt: {error}"))
    })?;
    if bytes.len() > MAX_DECOMPRESSED_BYTES {
        let message = format!(
            "the decompressed value has more than {MAX_DECOMPRESSED_BYTES} bytes, the limit"
        );
        return Err(Rejection::new(Cause::TooLarge, "", message));
    }
    Ok(bytes)
}

/// The schema's id in Confluent's frame. No JSON text begins with a zero byte.
fn confluent_id(bytes: &[u8]) -> Option<u32> {
    let (frame, _) = bytes.split_first_chunk::<CONFLUENT_BYTES>()?;
    let [0, id @ ..] = *frame else { return None };
    Some(u32::from_be_bytes(id))
}

/// Parses strict JSON; `whose` ends the place where it is not the record's value itself.
pub(super) fn parse(bytes: &[u8], whose: &str) -> Result<Value, Rejection> {
    json::parse(bytes).map_err(|error| {
        let place = format!("line {}, column {}{whose}", error.line, error.column);
        if let Some(format) = recognised(bytes) {
            return Rejection::new(Cause::NotJson, place, format);
        }
        let cause = match error.kind {
            JsonErrorKind::NotUtf8 => Cause::NotUtf8,
            JsonErrorKind::Syntax => Cause::NotJson,
            JsonErrorKind::DuplicateKey => Cause::DuplicateKey,
            JsonErrorKind::TooDeep => Cause::TooDeep,
            JsonErrorKind::Number => Cause::Number,
        };
        Rejection::new(cause, place, error.message)
    })
}

/// The beginnings of formats that are no JSON text, and their names.
const FORMATS: [(&[u8], &str); 13] = [
    (b"\x28\xb5\x2f\xfd", "compressed with zstd, which is not supported"),
    (b"\x04\x22\x4d\x18", "compressed with LZ4, which is not supported"),
    (b"\x82SNAPPY\0", "compressed with Snappy, which is not supported"),
    (b"\x78\x9c", "compressed with zlib, which is not supported"),
    (b"PK\x03\x04", "a ZIP archive, which is not supported"),
    (b"Obj\x01", "an Avro container file, which is not supported"),
    (b"PAR1", "a Parquet file, which is not supported"),
    (b"\xd9\xd9\xf7", "CBOR, which is not supported"),
    (b"\xac\xed\0\x05", "a serialized Java object, which is not supported"),
    (b"\xff\xfe", "UTF-16 text; JSON must be UTF-8 (RFC 8259, section 8.1)"),
    (b"\xfe\xff", "UTF-16 text; JSON must be UTF-8 (RFC 8259, section 8.1)"),
    (b"H4sI", "gzip data in base64, which is not supported"),
    (b"<", "XML or HTML, which is not supported"),
];

/// The format of bytes that are no JSON, where it can be recognised.
fn recognised(bytes: &[u8]) -> Option<String> {
    if bytes.starts_with(GZIP) {
        return Some(
            "the value is gzip-compressed; `source.body: { compression: gzip }` reads it"
                .to_owned(),
        );
    }
    let text = bytes.trim_ascii_start();
    let known = |(start, _): &&(&[u8], &str)| bytes.starts_with(start) || text.starts_with(start);
    if let Some((_, name)) = FORMATS.iter().find(known) {
        return Some(format!("the value is {name}"));
    }
    if let [a, 0, b, 0, ..] | [0, a, 0, b, ..] = *bytes
        && a.is_ascii()
        && a > 0
        && b > 0
    {
        return Some(
            "the value is UTF-16 text; JSON must be UTF-8 (RFC 8259, section 8.1)".to_owned(),
        );
    }
    if let Some(id) = confluent_id(bytes) {
        let json = bytes[CONFLUENT_BYTES..].trim_ascii_start();
        return Some(match json.first() {
            Some(b'{' | b'[' | b'"') => format!(
                "the value has Confluent schema-registry framing, schema id {id}; \
                 `source.body: {{ framing: confluent }}` reads the JSON after it"
            ),
            _ => format!(
                "the value has Confluent schema-registry framing, schema id {id}, and what follows \
                 is not JSON; Avro and Protobuf are not supported"
            ),
        });
    }
    if bytes.len() > 18 && bytes[0] == 3 && matches!(bytes[1], 0 | 5) {
        return Some(
            "the value has AWS Glue schema-registry framing, which is not supported".to_owned(),
        );
    }
    is_separated(text).then(|| {
        "the value looks like comma-separated values (CSV); only JSON is supported".to_owned()
    })
}

/// True if the first line has several cells and begins like no JSON text.
fn is_separated(text: &[u8]) -> bool {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let begins_cell = line.first().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let is_plain = !line.iter().any(|byte| matches!(byte, b'{' | b'[' | b'=' | b':'));
    let separators = |separator: u8| line.iter().filter(|byte| **byte == separator).count();
    begins_cell && is_plain && (separators(b',') > 1 || separators(b';') > 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::json::json;
    use flate2::Compression as Level;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use std::io::Write as _;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Level::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    const PLAIN: BodyForm = BodyForm { framing: None, compression: None };
    const CONFLUENT: BodyForm = BodyForm { framing: Some(Framing::Confluent), compression: None };
    const COMPRESSED: BodyForm = BodyForm { framing: None, compression: Some(Compression::Gzip) };
    const BOTH: BodyForm =
        BodyForm { framing: Some(Framing::Confluent), compression: Some(Compression::Gzip) };

    #[test]
    fn frames_and_compression_are_read_by_option() {
        let (bare, framed) = (br#"{"a":1}"#.as_slice(), b"\0\0\0\0\x07{\"a\":1}".as_slice());
        let (packed, both) = (gzip(bare), gzip(framed));
        let two = [gzip(b"{\"a\":"), gzip(b"1}")].concat();
        for (form, value) in [
            (PLAIN, bare),
            (CONFLUENT, bare),
            (CONFLUENT, framed),
            (COMPRESSED, bare),
            (COMPRESSED, &packed),
            (COMPRESSED, &two),
            (BOTH, &both),
            (BOTH, &packed),
            (BOTH, framed),
        ] {
            assert_eq!(read(form, value), Ok(json!({"a": 1})), "{form:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_has_its_cause() {
        let bomb = gzip(&vec![b' '; MAX_DECOMPRESSED_BYTES + 1]);
        let packed = gzip(br#"{"a":1}"#);
        let table: [(BodyForm, &[u8], Cause, &str); 7] = [
            (COMPRESSED, &bomb, Cause::TooLarge, "decompressed value has more than"),
            (COMPRESSED, &packed[..packed.len() - 3], Cause::NotJson, "corrupt"),
            (COMPRESSED, b"\x1f\x8b", Cause::NotJson, "corrupt"),
            (COMPRESSED, &gzip(b"{"), Cause::NotJson, "ends inside an object"),
            (CONFLUENT, b"\0\0\0\0\x07\x02\x06abc", Cause::NotJson, "schema id 7"),
            (CONFLUENT, b"\0\0\0\0\x07", Cause::NotJson, "schema id 7"),
            (CONFLUENT, b"\0\0\0", Cause::NotJson, ""),
        ];
        for (form, value, cause, message) in table {
            let rejection = read(form, value).unwrap_err();
            assert_eq!(rejection.cause, cause, "{rejection}");
            assert!(rejection.message.contains(message), "{rejection}");
        }
        assert!(bomb.len() < 10_000, "{}", bomb.len());
    }

    #[test]
    fn formats_are_named() {
        let packed = gzip(b"{}");
        let table: [(&[u8], &str); 19] = [
            (&packed, "gzip-compressed; `source.body: { compression: gzip }`"),
            (b"\0\0\0\0\x07{\"a\":1}", "Confluent schema-registry framing, schema id 7; `source"),
            (b"\0\0\x01\0\0\x02\x06abc", "schema id 65536, and what follows is not JSON"),
            (b"\x03\0aaaaaaaaaaaaaaaa{}{}", "AWS Glue"),
            (b"\xff\xfe{\0}\0", "UTF-16"),
            (b"\xfe\xff\0{\0}", "UTF-16"),
            (b"{\0\"\0a\0", "UTF-16"),
            (b"\0{\0\"\0a", "UTF-16"),
            (b"Obj\x01\x04", "Avro container"),
            (b"<?xml version='1.0'?>", "XML"),
            (b"\n <html>", "XML or HTML"),
            (b"\x28\xb5\x2f\xfd\0", "zstd"),
            (b"time,temp,door\n1,2,3\n", "comma-separated"),
            (b"7;21,5;closed", "comma-separated"),
            (b"{\"t\":NaN}", "`NaN` is not JSON (RFC 8259)"),
            (b"{\"t\":nan}", "`nan` is not JSON (RFC 8259)"),
            (b"{\"t\":-Infinity}", "`-Infinity` is not JSON (RFC 8259)"),
            (b"{\"a\":1}\n{\"a\":2}\n", "more than one JSON document"),
            (b"\xef\xbb\xbf{}", "byte order mark"),
        ];
        for (value, expected) in table {
            let rejection = read(PLAIN, value).unwrap_err();
            assert!(rejection.message.contains(expected), "{rejection}");
            assert_eq!(rejection.cause, Cause::NotJson, "{rejection}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(
            start in proptest::sample::select(vec![&b""[..], GZIP, b"\0\0\0\0\x07", b"{\"a\":"]),
            rest in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            for form in [PLAIN, CONFLUENT, COMPRESSED, BOTH] {
                let _ = read(form, &[start, &rest].concat());
            }
        }
    }
}
