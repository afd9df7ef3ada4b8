//! Rejections: why a record or an event is not taken, and where in it the fault is.
//!
//! Nothing here depends on a body format. A rejection is stored in the ledger with its record: numbers
//! of causes, the texts of places and messages are part of it.

use std::borrow::Cow;
use std::fmt;

use crate::codec::coded;

/// Why a record or an event is not taken. The record goes to the dead letters with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cause}: {message}{}", in_parentheses(place))]
pub struct Rejection {
    /// Which rule, for counting.
    pub cause: Cause,
    /// Where in the record.
    pub place: RejectionPlace,
    /// What is wrong and what was expected; at most [`crate::limits::MAX_DETAIL_BYTES`].
    pub message: String,
}

fn in_parentheses(place: &RejectionPlace) -> String {
    match place.is_record() {
        true => String::new(),
        false => format!(" (at {place})"),
    }
}

impl Rejection {
    /// A rejection; the message is cut to its limit.
    pub fn new(cause: Cause, place: impl Into<RejectionPlace>, message: impl AsRef<str>) -> Self {
        let message = crate::limits::truncated(message.as_ref(), crate::limits::MAX_DETAIL_BYTES);
        Self { cause, place: place.into(), message: message.to_owned() }
    }

    /// A rejection of the record as a whole.
    pub fn of_record(cause: Cause, message: impl AsRef<str>) -> Self {
        Self::new(cause, RejectionPlace::Record, message)
    }

    /// The same, of a mapping that took the event and could not be carried out.
    #[must_use]
    pub fn of_mapping(self, mapping: &str) -> Self {
        let message = format!("{OF_MAPPING}{mapping}`: {}", self.message);
        Self::new(self.cause, self.place, message)
    }

    /// The mapping that took the event, where one did.
    #[must_use]
    pub fn mapping(&self) -> Option<&str> {
        // No name of a mapping has a backtick in it.
        self.message.strip_prefix(OF_MAPPING)?.split_once("`: ").map(|(mapping, _)| mapping)
    }

    /// The same, of bytes that are the given part of the record's value.
    #[must_use]
    pub(super) fn within(self, part: BodyPart) -> Self {
        Self { place: self.place.within(part), ..self }
    }
}

/// The beginning of the message of a mapping's rejection, before the mapping's name.
const OF_MAPPING: &str = "mapping `";

/// The place of a fault in a record. Its text (`Display`) is what the ledger stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RejectionPlace {
    /// The record as a whole; an empty text.
    Record,
    /// A JSONPath into the event as mappings see it, such as `$.payload.d.t` or `$.kafka.key`.
    Path(Cow<'static, str>),
    /// A place in a body that is text, such as `line 2, column 5`.
    Text {
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
        /// What is counted in.
        part: BodyPart,
    },
    /// A place in a body that is not text, such as `byte 17`.
    Byte {
        /// Offset, from 0.
        offset: usize,
        /// What is counted in.
        part: BodyPart,
    },
}

/// The bytes that a place in a body is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyPart {
    /// The record's value as received.
    Value,
    /// The value after decompression.
    Decompressed,
    /// What follows the frame.
    BehindFrame,
    /// The payload in base64 within the value, as the platform's sample connector sends it.
    WrappedPayload,
    /// `data_base64` of a structured `CloudEvent`.
    CloudEventData,
}

impl BodyPart {
    const ALL: [Self; 5] = [
        Self::Value,
        Self::Decompressed,
        Self::BehindFrame,
        Self::WrappedPayload,
        Self::CloudEventData,
    ];

    /// The end of a place's text.
    fn suffix(self) -> &'static str {
        match self {
            Self::Value => "",
            Self::Decompressed => " of the decompressed value",
            Self::BehindFrame => " behind the frame",
            Self::WrappedPayload => " of the payload in base64",
            Self::CloudEventData => " of `data_base64`",
        }
    }
}

impl RejectionPlace {
    /// A fixed JSONPath.
    pub(crate) const fn path(path: &'static str) -> Self {
        Self::Path(Cow::Borrowed(path))
    }

    /// Whether it is the record as a whole.
    #[must_use]
    pub fn is_record(&self) -> bool {
        matches!(self, Self::Record)
    }

    /// About how many bytes it takes besides its own size.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        match self {
            Self::Path(path) => path.len(),
            Self::Record | Self::Text { .. } | Self::Byte { .. } => 0,
        }
    }

    fn within(self, part: BodyPart) -> Self {
        match self {
            Self::Text { line, column, .. } => Self::Text { line, column, part },
            Self::Byte { offset, .. } => Self::Byte { offset, part },
            Self::Record | Self::Path(_) => self,
        }
    }

    /// The place in a body that a text means, in any spelling of its numbers.
    fn in_body(text: &str) -> Option<Self> {
        let number = |text: &str| text.parse::<usize>().ok();
        let (counted, part) = BodyPart::ALL
            .into_iter()
            .rev()
            .find_map(|part| text.strip_suffix(part.suffix()).map(|counted| (counted, part)))?;
        if let Some(offset) = counted.strip_prefix("byte ") {
            return Some(Self::Byte { offset: number(offset)?, part });
        }
        let (line, column) = counted.strip_prefix("line ")?.split_once(", column ")?;
        Some(Self::Text { line: number(line)?, column: number(column)?, part })
    }
}

impl fmt::Display for RejectionPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record => Ok(()),
            Self::Path(path) => f.write_str(path),
            Self::Text { line, column, part } => {
                write!(f, "line {line}, column {column}{}", part.suffix())
            }
            Self::Byte { offset, part } => write!(f, "byte {offset}{}", part.suffix()),
        }
    }
}

/// A place from its text, as the ledger stores it. Every text gives the same text again: one that is
/// not exactly a place in a body is kept as a path.
impl From<String> for RejectionPlace {
    fn from(text: String) -> Self {
        if text.is_empty() {
            return Self::Record;
        }
        match Self::in_body(&text).filter(|place| place.to_string() == text) {
            Some(place) => place,
            None => Self::Path(Cow::Owned(text)),
        }
    }
}

impl From<&str> for RejectionPlace {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

coded! {
    /// The causes of dead letters. Ledgers store their numbers, which are never reused.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Cause: u16 {
        /// The record's value has no bytes. A null value (a tombstone) is an event without payload.
        Empty = 1 => "empty",
        /// Value, key or header is over its byte limit, or there are too many headers.
        TooLarge = 2 => "too_large",
        /// The body is not UTF-8.
        NotUtf8 = 3 => "not_utf8",
        /// The body's format is JSON, and the body is not.
        NotJson = 4 => "not_json",
        /// An object of the body has a name twice.
        DuplicateKey = 5 => "duplicate_key",
        /// The body is nested too deeply.
        TooDeep = 6 => "too_deep",
        /// A number cannot be kept exactly.
        Number = 7 => "number",
        /// Key, headers or envelope are not what the identity configuration expects.
        Identity = 8 => "identity",
        /// A line of the source file is not a record, or the source could not read all of a record.
        Envelope = 9 => "envelope",
        /// The body is not in its format, where that is another than JSON.
        Malformed = 10 => "malformed",
        /// A required field is absent.
        MissingField = 20 => "missing_field",
        /// A field has another type than declared and no exact conversion.
        FieldType = 21 => "field_type",
        /// A lookup table has no such entry.
        Lookup = 22 => "lookup",
        /// A CEL expression failed.
        Expression = 23 => "expression",
        /// `for_each` did not select an array, or gave too many outputs.
        ForEach = 24 => "for_each",
        /// The payload is over its byte limit.
        PayloadTooLarge = 25 => "payload_too_large",
        /// The record takes more steps, or selects more values, than its mappings may.
        Limit = 26 => "limit",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn places_are_told_by_their_text() {
        for (text, place) in [
            ("", RejectionPlace::Record),
            ("$.kafka.key", RejectionPlace::path("$.kafka.key")),
            (
                "line 2, column 5",
                RejectionPlace::Text { line: 2, column: 5, part: BodyPart::Value },
            ),
            (
                "line 1, column 1 behind the frame",
                RejectionPlace::Text { line: 1, column: 1, part: BodyPart::BehindFrame },
            ),
            ("byte 17", RejectionPlace::Byte { offset: 17, part: BodyPart::Value }),
            (
                "byte 0 of the decompressed value",
                RejectionPlace::Byte { offset: 0, part: BodyPart::Decompressed },
            ),
            // Not as this program writes it.
            ("line 02, column 5", RejectionPlace::path("line 02, column 5")),
            ("byte 17 of something", RejectionPlace::path("byte 17 of something")),
        ] {
            assert_eq!(RejectionPlace::from(text), place, "{text}");
            assert_eq!(place.to_string(), text);
        }
    }

    #[test]
    fn numbers_of_causes_are_distinct_and_lead_back() {
        for cause in Cause::ALL {
            assert_eq!(Cause::from_code(cause.code()), Some(cause));
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back_from_the_ledger(
            text in "(line |byte )?[0-9]{0,3}(, column [+]?[0-9]{1,2})?( behind the frame|.{0,8})",
        ) {
            prop_assert_eq!(RejectionPlace::from(text.as_str()).to_string(), text);
        }

        #[test]
        fn any_place_comes_back_from_its_text(
            line in any::<usize>(),
            column in any::<usize>(),
            part in proptest::sample::select(BodyPart::ALL.to_vec()),
        ) {
            for place in [
                RejectionPlace::Text { line, column, part },
                RejectionPlace::Byte { offset: line, part },
            ] {
                prop_assert_eq!(RejectionPlace::from(place.to_string()), place);
            }
        }
    }
}
