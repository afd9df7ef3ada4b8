//! The envelope of a record: everything but its value. It is checked, and asked for identity and format,
//! before anything of the body is read.

use crate::codec::json::{Map, Value};
use crate::event::{Cause, Event, Headers, Record, Rejection, RejectionPlace, SourcePartition};
use crate::limits::{MAX_HEADER_BYTES, MAX_HEADERS, MAX_KEY_BYTES, MAX_RECORD_BYTES};

/// The envelope of a record. Mappings and the identity configuration see it as `$.kafka`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Envelope<'a> {
    pub(in crate::event) partition: &'a SourcePartition,
    pub(in crate::event) offset: u64,
    /// The broker's timestamp in milliseconds since 1970.
    pub(in crate::event) timestamp_ms: Option<i64>,
    pub(in crate::event) key: Option<&'a [u8]>,
    pub(in crate::event) headers: Headers<'a>,
}

impl<'a> From<&Record<'a>> for Envelope<'a> {
    fn from(record: &Record<'a>) -> Self {
        let Record { partition, offset, timestamp_ms, key, headers, .. } = *record;
        Self { partition, offset, timestamp_ms, key, headers }
    }
}

impl<'a> From<&'a Event> for Envelope<'a> {
    fn from(event: &'a Event) -> Self {
        Self {
            partition: &event.partition,
            offset: event.offset,
            timestamp_ms: event.timestamp_ms,
            key: event.key.as_deref(),
            headers: event.headers(),
        }
    }
}

impl Envelope<'_> {
    /// Names of the members.
    pub(crate) const MEMBERS: [&'static str; 6] =
        ["topic", "partition", "offset", "timestamp", "key", "headers"];

    /// The broker's timestamp in an expression.
    pub(crate) const TIMESTAMP: &'static str = "kafka.timestamp";

    /// The value of a member; `None` where the record does not have it, and for a key that is not
    /// UTF-8.
    pub(crate) fn member(&self, name: &str) -> Option<Value> {
        match name {
            "topic" => Some(Value::from(&*self.partition.topic)),
            "partition" => Some(self.partition.partition.into()),
            "offset" => Some(self.offset.into()),
            "timestamp" => self.timestamp_ms.map(Value::from),
            "key" => std::str::from_utf8(self.key?).ok().map(Value::from),
            "headers" => Some(Value::Object(self.headers())),
            _ => None,
        }
    }

    /// Headers by name: of repeated ones the last. A last value that is absent or not UTF-8 makes the
    /// header absent.
    fn headers(&self) -> Map {
        let mut headers = Map::new();
        for (name, value) in self.headers.iter() {
            match value.map(std::str::from_utf8) {
                Some(Ok(value)) => {
                    headers.insert(name.to_owned(), value.into());
                }
                Some(Err(_)) | None => {
                    headers.remove(name);
                }
            }
        }
        headers
    }
}

/// Holds a record to its limits. Of the value only the length is looked at.
pub(super) fn check_limits(record: &Record<'_>) -> Result<(), Rejection> {
    let too_large = |place: RejectionPlace, what: &str, bytes: usize, limit: usize| {
        let message = format!("the {what} has {bytes} bytes, the limit is {limit}");
        Err(Rejection::new(Cause::TooLarge, place, message))
    };
    if let Some(damage) = record.damage {
        return Err(Rejection::of_record(Cause::Envelope, damage));
    }
    for (index, (name, value)) in record.headers.iter().enumerate() {
        if index == MAX_HEADERS {
            let message = format!("the record has more than {MAX_HEADERS} headers");
            return Err(Rejection::new(Cause::TooLarge, HEADERS, message));
        }
        let bytes = name.len() + value.map_or(0, <[u8]>::len);
        if bytes > MAX_HEADER_BYTES {
            return too_large(HEADERS, "header", bytes, MAX_HEADER_BYTES);
        }
    }
    if let Some(key) = record.key.filter(|key| key.len() > MAX_KEY_BYTES) {
        return too_large(KEY, "key", key.len(), MAX_KEY_BYTES);
    }
    match record.value {
        Some([]) => {
            let message = "the value has no bytes; a tombstone is a record with a null value";
            Err(Rejection::of_record(Cause::Empty, message))
        }
        Some(value) if value.len() > MAX_RECORD_BYTES => {
            too_large(RejectionPlace::Record, "value", value.len(), MAX_RECORD_BYTES)
        }
        Some(_) | None => Ok(()),
    }
}

/// The place of a record's key.
pub(super) const KEY: RejectionPlace = RejectionPlace::path("$.kafka.key");

/// The place of a record's headers.
pub(super) const HEADERS: RejectionPlace = RejectionPlace::path("$.kafka.headers");
