//! A device event: position, sender, time and body.
//!
//! Nothing here reads the network or asks the time.

mod body;
mod cloudevents;
mod decoder;
mod digest;
mod identity;
mod kafka;
mod key;
mod position;
mod stream;
mod template;
pub mod time;
mod ways;

pub use body::{BodyForm, Compression, Framing};
pub use decoder::Decoder;
pub use digest::RecordDigests;
pub use identity::{
    ExpressionsForm, FullTimeForm, FullTopicForm, IdentityForm, PathsForm, TimeForm, TopicForm,
    TopicKey, WayForm,
};
pub(crate) use kafka::Surroundings;
pub use position::{PositionError, SourcePartition, SourcePosition, is_topic};
pub use stream::{StreamNames, StreamPrefix};

use crate::codec::json::{Text, Value};
use time::SentTime;

/// The format of what says none.
const JSON: Text = Text::const_new("json");

/// One record as the source gives it. Borrows from the batch that it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Topic, epoch and partition.
    pub partition: &'a SourcePartition,
    /// Kafka offset.
    pub offset: u64,
    /// The broker's timestamp in milliseconds since 1970, where there is one.
    pub timestamp_ms: Option<i64>,
    /// Record key, exactly as received.
    pub key: Option<&'a [u8]>,
    /// Record value, exactly as received; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Headers in the framing of [`Headers`].
    pub headers: Headers<'a>,
    /// The part of the record that the source could not read, if any: the record is dead-lettered
    /// with [`Cause::Envelope`] and this message. Never contains bytes written by a sender.
    pub damage: Option<&'a str>,
}

/// The headers of one record: names and optional values, in the order they were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Headers<'a> {
    bytes: &'a [u8],
}

impl<'a> Headers<'a> {
    /// Headers from the bytes that a batch of records keeps.
    #[must_use]
    pub fn from_encoded(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The bytes that [`Headers::from_encoded`] takes.
    #[must_use]
    pub fn as_encoded(&self) -> &'a [u8] {
        self.bytes
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> + use<'a> {
        let mut reader = crate::codec::Reader::new(self.bytes);
        std::iter::from_fn(move || {
            let name = reader.text("header name").ok()?;
            let value = reader.option("header value", |r| r.bytes("header value")).ok()?;
            Some((name, value))
        })
    }

    /// Value of the last header with this name. Names are case-sensitive, as in Kafka.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.iter().filter(|(other, _)| *other == name).last().and_then(|(_, value)| value)
    }

    /// The same for names of a standard, which senders write in upper and in lower case: ASCII letters
    /// are compared without case.
    #[must_use]
    pub fn get_ignoring_case(&self, name: &str) -> Option<&'a [u8]> {
        let named = self.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        named.last().and_then(|(_, value)| value)
    }
}

/// The sender of an event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Device {
    /// Organisation or tenant; empty where the source knows none.
    pub org: Text,
    /// Device type.
    pub device_type: Text,
    /// Device id within its type.
    pub id: Text,
}

impl Device {
    /// Its name in transactions.
    #[must_use]
    pub fn name(&self) -> DeviceName {
        DeviceName { device_type: self.device_type.clone(), id: self.id.clone() }
    }
}

/// A device as a transaction names it; both parts are empty where the source knows no device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceName {
    /// Device type.
    pub device_type: Text,
    /// Device id within its type.
    pub id: Text,
}

impl DeviceName {
    /// A device of a type.
    pub fn new(device_type: impl Into<Text>, id: impl Into<Text>) -> Self {
        Self { device_type: device_type.into(), id: id.into() }
    }

    /// True if no device is known.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.device_type.is_empty() && self.id.is_empty()
    }
}

/// For people to read, `type:id`. Not for comparing: `a:b` of type `machine` reads like `b` of type
/// `machine:a`.
impl std::fmt::Display for DeviceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.is_unknown() {
            true => Ok(()),
            false => write!(f, "{}:{}", self.device_type, self.id),
        }
    }
}

/// The metadata of an event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventInfo {
    /// Event type, such as `status`.
    pub event_type: Text,
    /// Payload format, such as `json`.
    pub format: Text,
    /// Time of the event, in milliseconds since 1970: from the event itself, else the broker's
    /// timestamp.
    pub time_ms: Option<i64>,
    /// Nanoseconds of that time below its millisecond, 0 to 999,999: kept for mappings, which see them
    /// in `$.event.time`. A transaction's time is the millisecond.
    pub time_below_ms_ns: u32,
}

impl EventInfo {
    /// Time of the event, as text; `None` if it is unknown or outside the years 0 to 9999.
    #[must_use]
    pub fn time_text(&self) -> Option<String> {
        SentTime::new(self.time_ms?, self.time_below_ms_ns).map(SentTime::text)
    }

    /// The same with the time that the sender wrote, if any.
    fn at(self, time: Option<SentTime>) -> Self {
        Self {
            time_ms: time.map(SentTime::ms),
            time_below_ms_ns: time.map_or(0, SentTime::below_ms_ns),
            ..self
        }
    }
}

/// Why a record or an event is not taken. The record goes to the dead letters with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cause}: {message}{}", if place.is_empty() { String::new() } else { format!(" (at {place})") })]
pub struct Rejection {
    /// The kind of error, for metrics.
    pub cause: Cause,
    /// JSONPath into the event's document, or line and column in the body; empty for the whole record.
    pub place: String,
    /// The error, and the expected input; at most [`crate::limits::MAX_DETAIL_BYTES`].
    pub message: String,
}

impl Rejection {
    /// A rejection; the message is cut to its limit.
    pub fn new(cause: Cause, place: impl Into<String>, message: impl AsRef<str>) -> Self {
        let message = crate::limits::truncated(message.as_ref(), crate::limits::MAX_DETAIL_BYTES);
        Self { cause, place: place.into(), message: message.to_owned() }
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
}

/// The start of a message about a mapping's rejection, before the mapping's name.
const OF_MAPPING: &str = "mapping `";

/// The causes of dead letters. Numbers stand in ledgers and are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum Cause {
    /// The record's value has no bytes. A null value (a tombstone) is an event without payload.
    Empty = 1,
    /// Value, key or header is over its byte limit, or there are too many headers.
    TooLarge = 2,
    /// The body is not UTF-8.
    NotUtf8 = 3,
    /// The body is not JSON.
    NotJson = 4,
    /// A name stands twice in one object of the body.
    DuplicateKey = 5,
    /// The body is nested too deeply.
    TooDeep = 6,
    /// A number cannot be kept exactly.
    Number = 7,
    /// Key, headers or envelope are not what the identity configuration expects.
    Identity = 8,
    /// A line of the source file is not a record, or the source could not read all of a record.
    Envelope = 9,
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
    pub const ALL: [Self; 16] = [
        Self::Empty,
        Self::TooLarge,
        Self::NotUtf8,
        Self::NotJson,
        Self::DuplicateKey,
        Self::TooDeep,
        Self::Number,
        Self::Identity,
        Self::Envelope,
        Self::MissingField,
        Self::FieldType,
        Self::Lookup,
        Self::Expression,
        Self::ForEach,
        Self::PayloadTooLarge,
        Self::Limit,
    ];

    /// The number that stands in the ledger.
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

/// One event, ready to be mapped.
#[derive(Debug)]
pub struct Event {
    /// Topic, epoch and partition.
    pub partition: SourcePartition,
    /// Kafka offset.
    pub offset: u64,
    /// The broker's timestamp in milliseconds since 1970, where there is one.
    pub timestamp_ms: Option<i64>,
    /// Record key, exactly as received.
    pub key: Option<Vec<u8>>,
    /// Record headers in the framing of [`Headers`]; read them by [`Event::headers`].
    pub header_bytes: Vec<u8>,
    /// The sender.
    pub device: Device,
    /// Its metadata.
    pub info: EventInfo,
    /// The body; null where the record has no value (a tombstone).
    pub payload: Value,
    /// Digests of the record it was made from.
    pub digests: RecordDigests,
}

impl Event {
    /// The record's headers.
    #[must_use]
    pub fn headers(&self) -> Headers<'_> {
        Headers::from_encoded(&self.header_bytes)
    }
}
