//! The part `$.kafka` of an event: the record around the value.

use crate::codec::json::{Map, Value};
use crate::event::{Event, Headers, Record, SourcePartition};

/// A record's surroundings, as mappings and the identity configuration see them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    partition: &'a SourcePartition,
    offset: u64,
    timestamp_ms: Option<i64>,
    key: Option<&'a [u8]>,
    headers: Headers<'a>,
}

impl<'a> From<&Record<'a>> for Surroundings<'a> {
    fn from(record: &Record<'a>) -> Self {
        let Record { partition, offset, timestamp_ms, key, headers, .. } = *record;
        Self { partition, offset, timestamp_ms, key, headers }
    }
}

impl<'a> From<&'a Event> for Surroundings<'a> {
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

impl Surroundings<'_> {
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
