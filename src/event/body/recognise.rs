//! Formats that are not read and can be recognised. "Not JSON" alone helps nobody.

use super::compression::GZIP;
use super::framing::{Framed, Framing};

/// The first bytes of formats that are not read, and their names.
const FORMATS: [(&[u8], &str); 11] = [
    (b"\x28\xb5\x2f\xfd", "compressed with zstd, which is not read"),
    (b"\x04\x22\x4d\x18", "compressed with LZ4, which is not read"),
    (b"\x82SNAPPY\0", "compressed with Snappy, which is not read"),
    (b"\x78\x9c", "compressed with zlib, which is not read"),
    (b"PK\x03\x04", "a ZIP archive, which is not read"),
    (b"Obj\x01", "an Avro container file, which is not read"),
    (b"PAR1", "a Parquet file, which is not read"),
    (b"\xd9\xd9\xf7", "CBOR, which is not read"),
    (b"\xac\xed\0\x05", "a serialized Java object, which is not read"),
    (b"H4sI", "gzip data in base64, which is not read"),
    (b"<", "XML or HTML, which is not read"),
];

/// The packing of a text that cannot be read as it is, with a hint.
pub(super) fn packed_text(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(GZIP) {
        return Some("the value is gzip-compressed; `source.body: { compression: gzip }` reads it");
    }
    let is_utf_16 = match *bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
        [a, 0, b, 0, ..] | [0, a, 0, b, ..] => a.is_ascii() && b.is_ascii() && a > 0 && b > 0,
        _ => false,
    };
    is_utf_16.then_some("the value is UTF-16 text, which is not read; UTF-8 is")
}

/// The format of bytes that are not JSON, where it can be recognised, and what helps.
pub(super) fn recognised(bytes: &[u8]) -> Option<String> {
    if let Some(message) = packed_text(bytes) {
        return Some(message.to_owned());
    }
    let text = bytes.trim_ascii_start();
    let known = |(start, _): &&(&[u8], &str)| bytes.starts_with(start) || text.starts_with(start);
    if let Some((_, name)) = FORMATS.iter().find(known) {
        return Some(format!("the value is {name}"));
    }
    if let Some(Framed { schema_id: id, body }) = Framing::Confluent.split(bytes) {
        return Some(match body.trim_ascii_start().first() {
            Some(b'{' | b'[' | b'"') => format!(
                "the value has Confluent schema-registry framing, schema id {id}; \
                 `source.body: {{ framing: confluent }}` reads the JSON behind it"
            ),
            _ => format!(
                "the value has Confluent schema-registry framing, schema id {id}, and what follows \
                 is not JSON; Avro and Protobuf are not read"
            ),
        });
    }
    if bytes.len() > 18 && bytes[0] == 3 && matches!(bytes[1], 0 | 5) {
        return Some(
            "the value has AWS Glue schema-registry framing, which is not read".to_owned(),
        );
    }
    is_separated(text).then(|| {
        "the value looks like comma-separated values (CSV), not JSON; \
         `source.body: { format: text }` reads it as one string"
            .to_owned()
    })
}

/// True if the first line has several cells and does not begin like a JSON text.
fn is_separated(text: &[u8]) -> bool {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let begins_cell = line.first().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let is_plain = !line.iter().any(|byte| matches!(byte, b'{' | b'[' | b'=' | b':'));
    let separators = |separator: u8| line.iter().filter(|byte| **byte == separator).count();
    begins_cell && is_plain && (separators(b',') > 1 || separators(b';') > 1)
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::gzip;
    use crate::event::Cause;

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
            let rejection = Format::JSON.decode(value).unwrap_err();
            assert!(rejection.message.contains(expected), "{rejection}");
            assert_eq!(rejection.cause, Cause::NotJson, "{rejection}");
        }
    }
}
