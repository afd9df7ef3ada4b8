//! Rejections: why a record or an event is not taken, and where in it the fault is.
//!
//! Nothing here depends on a body format. A rejection is stored in the ledger with its record: numbers
//! of causes, the texts of places and messages are part of it.

use std::borrow::Cow;
use std::fmt;

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

/// The causes of dead letters. Ledgers store their numbers, which are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum Cause {
    /// The record's value has no bytes. A null value (a tombstone) is an event without payload.
    Empty = 1,
    /// Value, key or header is over its byte limit, or there are too many headers.
    TooLarge = 2,
    /// The body is not UTF-8.
    NotUtf8 = 3,
    /// The body's format is JSON, and the body is not.
    NotJson = 4,
    /// An object of the body has a name twice.
    DuplicateKey = 5,
    /// The body is nested too deeply.
    TooDeep = 6,
    /// A number cannot be kept exactly.
    Number = 7,
    /// Key, headers or envelope are not what the identity configuration expects.
    Identity = 8,
    /// A line of the source file is not a record, or the source could not read all of a record.
    Envelope = 9,
    /// The body is not in its format, where that is another than JSON.
    Malformed = 10,
    /// A required field is absent.
    MissingField = 20,
    /// A field has another type than declared and no exact conversion.
    FieldType = 21,
    /// A lookup table has no such entry.
    Lookup = 22,
    /// A CEL expression failed.
    Expression = 23,
    /// `for_each` did not select an array, or gave too many outputs.
    ForEach = 24,
    /// The payload is over its byte limit.
    PayloadTooLarge = 25,
    /// The record takes more steps, or selects more values, than its mappings may.
    Limit = 26,
}

impl Cause {
    /// Every cause, in the order of their numbers.
    pub const ALL: [Self; 17] = [
        Self::Empty,
        Self::TooLarge,
        Self::NotUtf8,
        Self::NotJson,
        Self::DuplicateKey,
        Self::TooDeep,
        Self::Number,
        Self::Identity,
        Self::Envelope,
        Self::Malformed,
        Self::MissingField,
        Self::FieldType,
        Self::Lookup,
        Self::Expression,
        Self::ForEach,
        Self::PayloadTooLarge,
        Self::Limit,
    ];

    /// The number that the ledger stores.
    #[must_use]
    pub fn code(self) -> u16 {
        self as u16
    }

    /// The cause with this number.
    #[must_use]
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.code() == code)
    }

    /// The name in metrics, JSON and mapping tests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLarge => "too_large",
            Self::NotUtf8 => "not_utf8",
            Self::NotJson => "not_json",
            Self::DuplicateKey => "duplicate_key",
            Self::TooDeep => "too_deep",
            Self::Number => "number",
            Self::Identity => "identity",
            Self::Envelope => "envelope",
            Self::Malformed => "malformed",
            Self::MissingField => "missing_field",
            Self::FieldType => "field_type",
            Self::Lookup => "lookup",
            Self::Expression => "expression",
            Self::ForEach => "for_each",
            Self::PayloadTooLarge => "payload_too_large",
            Self::Limit => "limit",
        }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
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
