//! Body formats: from a record's value to the one [`Value`] that mappings see.
//!
//! The format is decided before the body is read, from the record's envelope and the configuration
//! (`source.body`). Reading removes the compression, then the frame; the format decodes the rest.
//!
//! To add a format, write a file beside `text.rs` with a type that implements [`BodyFormat`], and name
//! it in [`Format::ALL`]. Configuration, JSON Schema, mapping tests and `CloudEvents` content types
//! follow from there.

mod compression;
mod framing;
mod json;
mod recognise;
mod text;

pub use compression::Compression;
pub use framing::Framing;

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, Error as _};

use crate::codec::json::Value;
use crate::diagnostic::did_you_mean;
use crate::event::{BodyPart, Cause, Rejection};

/// A format of bodies.
pub trait BodyFormat: Sync {
    /// The name in the configuration and in mapping tests: lower-case letters, digits and `_`. It is
    /// also the event's format (`$.event.format`) where the sender names none.
    fn name(&self) -> &'static str;

    /// True if a media type, in lower case and without parameters, means this format.
    fn has_media_type(&self, media_type: &str) -> bool;

    /// Decodes a body.
    ///
    /// An implementation MUST give the same value for the same bytes on every machine, MUST NOT panic,
    /// and MUST bound what it takes: nesting by [`MAX_JSON_DEPTH`](crate::limits::MAX_JSON_DEPTH), numbers
    /// by [`MAX_NUMBER_BYTES`](crate::limits::MAX_NUMBER_BYTES), memory by a constant times the body's
    /// bytes. It names the place of a fault in the bytes that it is given.
    fn decode(&self, body: &[u8]) -> Result<Value, Rejection>;

    /// The cause of bytes that are not in this format.
    fn malformed(&self) -> Cause {
        Cause::Malformed
    }
}

/// One of the body formats.
#[derive(Clone, Copy)]
pub struct Format(&'static dyn BodyFormat);

impl Format {
    /// JSON, the default.
    pub const JSON: Self = Self(&json::Json);

    /// Every format that a configuration can name.
    pub const ALL: &'static [Self] = &[Self::JSON, Self(&text::PlainText)];

    /// A format that a configuration cannot name.
    #[must_use]
    pub const fn new(format: &'static dyn BodyFormat) -> Self {
        Self(format)
    }

    /// The format with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|format| format.name() == name)
    }

    /// The format that a media type means, such as `text/plain`.
    #[must_use]
    pub fn of_media_type(media_type: &str) -> Option<Self> {
        let lower = media_type.to_ascii_lowercase();
        Self::ALL.iter().copied().find(|format| format.0.has_media_type(&lower))
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Decodes bytes that are neither compressed nor framed.
    pub fn decode(self, body: &[u8]) -> Result<Value, Rejection> {
        self.0.decode(body)
    }

    fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().map(|format| format.name())
    }
}

impl Default for Format {
    fn default() -> Self {
        Self::JSON
    }
}

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Format {}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| {
            let help = did_you_mean(&name, Self::names());
            D::Error::custom(format!("`{name}` is not a body format; {help}"))
        })
    }
}

impl JsonSchema for Format {
    fn schema_name() -> Cow<'static, str> {
        "Format".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "description": "A format of bodies.",
            "type": "string",
            "enum": Self::names().collect::<Vec<_>>(),
        })
    }
}

/// The form of a record's value. A value without the frame or the compression is read as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BodyForm {
    /// The format of the body, `json` where absent. The content type of a `CloudEvent` goes before it.
    #[serde(default)]
    pub format: Format,
    /// The frame in front of the body.
    pub framing: Option<Framing>,
    /// The compression of the value.
    pub compression: Option<Compression>,
}

impl BodyForm {
    /// Reads the body of a value: compression first, then the frame, then the format.
    pub fn read(self, value: &[u8]) -> Result<Value, Rejection> {
        if self.framing.is_none() && self.compression.is_none() {
            return self.format.decode(value);
        }
        let unpacked = match self.compression {
            Some(compression) => compression.unpacked(value, self.format)?,
            None => None,
        };
        let (bytes, part) = match &unpacked {
            Some(bytes) => (bytes.as_slice(), BodyPart::Decompressed),
            None => (value, BodyPart::Value),
        };
        match self.framing.and_then(|framing| framing.split(bytes)) {
            None => self.format.decode(bytes).map_err(|rejection| rejection.within(part)),
            Some(framed) => self.format.decode(framed.body).map_err(|rejection| {
                let Rejection { cause, place, message } = rejection.within(BodyPart::BehindFrame);
                let format = self.format.name();
                let message = format!(
                    "{message}; the frame names schema id {}, and the body is read as `{format}`",
                    framed.schema_id
                );
                Rejection::new(cause, place, message)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::compression::GZIP;
    use super::*;
    use crate::codec::json::json;
    use crate::limits::MAX_DECOMPRESSED_BYTES;
    use flate2::Compression as Level;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use std::io::Write as _;

    /// gzip data of these bytes.
    pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Level::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    const PLAIN: BodyForm = BodyForm { format: Format::JSON, framing: None, compression: None };
    const CONFLUENT: BodyForm = BodyForm { framing: Some(Framing::Confluent), ..PLAIN };
    const COMPRESSED: BodyForm = BodyForm { compression: Some(Compression::Gzip), ..PLAIN };
    const BOTH: BodyForm = BodyForm { framing: Some(Framing::Confluent), ..COMPRESSED };

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
            assert_eq!(form.read(value), Ok(json!({"a": 1})), "{form:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_has_its_cause() {
        let bomb = gzip(&vec![b' '; MAX_DECOMPRESSED_BYTES + 1]);
        let packed = gzip(br#"{"a":1}"#);
        let table: [(BodyForm, &[u8], Cause, &str); 7] = [
            (COMPRESSED, &bomb, Cause::TooLarge, "decompressed value has more than"),
            (COMPRESSED, &packed[..packed.len() - 3], Cause::NotJson, "damaged"),
            (COMPRESSED, b"\x1f\x8b", Cause::NotJson, "damaged"),
            (COMPRESSED, &gzip(b"{"), Cause::NotJson, "ends inside an object"),
            (CONFLUENT, b"\0\0\0\0\x07\x02\x06abc", Cause::NotJson, "schema id 7"),
            (CONFLUENT, b"\0\0\0\0\x07", Cause::NotJson, "schema id 7"),
            (CONFLUENT, b"\0\0\0", Cause::NotJson, ""),
        ];
        for (form, value, cause, message) in table {
            let rejection = form.read(value).unwrap_err();
            assert_eq!(rejection.cause, cause, "{rejection}");
            assert!(rejection.message.contains(message), "{rejection}");
        }
        assert!(bomb.len() < 10_000, "{}", bomb.len());
    }

    #[test]
    fn a_fault_is_placed_in_the_bytes_that_the_format_reads() {
        let text = BodyForm { format: Format::named("text").unwrap(), ..BOTH };
        for (form, value, place) in [
            (PLAIN, b"{\"a\":?".to_vec(), "line 1, column 6"),
            (COMPRESSED, gzip(b"{\"a\":?"), "line 1, column 6 of the decompressed value"),
            (BOTH, gzip(b"\0\0\0\0\x07{\"a\":?"), "line 1, column 6 behind the frame"),
            (text, b"abc\xff".to_vec(), "byte 3"),
            (text, gzip(b"abc\xff"), "byte 3 of the decompressed value"),
            (text, b"\0\0\0\0\x07\xff".to_vec(), "byte 0 behind the frame"),
        ] {
            assert_eq!(form.read(&value).unwrap_err().place.to_string(), place, "{form:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(
            start in proptest::sample::select(vec![&b""[..], GZIP, b"\0\0\0\0\x07", b"{\"a\":"]),
            rest in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            for form in [PLAIN, CONFLUENT, COMPRESSED, BOTH] {
                let _ = form.read(&[start, &rest].concat());
            }
        }
    }
}
