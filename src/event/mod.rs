//! Device events: position, device, time and body.
//!
//! A record becomes an event in three steps. Each sees only what it needs:
//!
//! 1. **Envelope**: position, key, headers and the broker's timestamp, within their limits. Nothing of
//!    the body is read.
//! 2. **Decision**: envelope and configuration decide the body's format, and which identity method
//!    applies as far as the envelope alone can say.
//! 3. **Body**: the format decodes the value into the one [`Value`] that mappings see. Identity methods
//!    that look into the body are asked last.
//!
//! Nothing here reads the network or asks the time.

pub mod body;
mod decoder;
mod digest;
mod envelope;
mod identity;
mod position;
mod rejection;
mod stream;
pub mod time;

pub use body::{BodyForm, BodyFormat, Compression, Format, Framing};
pub use decoder::Decoder;
pub use digest::RecordDigests;
pub(crate) use envelope::Envelope;
pub use identity::{
    ExpressionsForm, FullTimeForm, FullTopicForm, IdentityForm, MethodForm, PathsForm, TimeForm,
    TopicForm, TopicKey,
};
pub use position::{PositionError, SourcePartition, SourcePosition, is_topic};
pub use rejection::{BodyPart, Cause, Rejection, RejectionPlace};
pub use stream::{StreamNames, StreamPrefix};

use crate::codec::json::{Text, Value};
use time::SentTime;

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
    /// Payload format as the sender names it, such as `json`; else the name of the body's format.
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
