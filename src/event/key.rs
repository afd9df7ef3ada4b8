//! The key of the platform's own records: JSON with device, event and time.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::event::time::{SentTime, TimeReader};
use crate::event::ways::{Found, Identity, KEY, bad_time, refused};
use crate::event::{Device, EventInfo, JSON, Record, Rejection};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PlatformKey {
    org_id: Option<Part>,
    device_type: Option<Part>,
    device_id: Option<Part>,
    event_type: Option<Part>,
    format: Option<Part>,
    timestamp: Option<Part>,
}

/// A value of the key.
enum Part {
    Text(String),
    Integer(String),
    Other,
}

impl Part {
    /// The text that identifies: a string, or an integer's digits.
    fn identifying(self) -> Option<String> {
        match self {
            Self::Text(text) | Self::Integer(text) => Some(text),
            Self::Other => None,
        }
    }
}

/// The platform's key. Its other fields are left alone. A key that is other JSON belongs to another
/// method.
pub(super) fn platform_key(record: &Record<'_>) -> Result<Found, Rejection> {
    let Some(key) = record.key.filter(|key| key.first() == Some(&b'{')) else {
        return Ok(Found::not("the key is not a JSON object"));
    };
    let key: PlatformKey = serde_json::from_slice(key).map_err(|error| match error.is_data() {
        true => refused(KEY, format!("the key: {error}")),
        false => refused(KEY, format!("the key begins with `{{` and is not JSON: {error}")),
    })?;
    let (device_type, id) = match (key.device_type, key.device_id) {
        (Some(device_type), Some(id)) => (device_type.identifying(), id.identifying()),
        (None, None) => return Ok(Found::not("the key has neither `deviceType` nor `deviceId`")),
        (None, Some(_)) => return Ok(Found::not("the key has no `deviceType`")),
        (Some(_), None) => return Ok(Found::not("the key has no `deviceId`")),
    };
    let Some(device_type) = device_type else {
        return Ok(Found::not("`deviceType` of the key is neither a string nor an integer"));
    };
    let Some(id) = id else {
        return Ok(Found::not("`deviceId` of the key is neither a string nor an integer"));
    };
    let info = EventInfo {
        event_type: optional(key.event_type, "eventType")?.unwrap_or_default().into(),
        format: optional(key.format, "format")?.map_or(JSON, Into::into),
        ..EventInfo::default()
    };
    let org = optional(key.org_id, "orgId")?.unwrap_or_default().into();
    let time = time(record, key.timestamp)?;
    let device = Device { org, device_type: device_type.into(), id: id.into() };
    Ok(Found::Known(Identity { device, info: info.at(time), payload: None }))
}

fn optional(part: Option<Part>, name: &str) -> Result<Option<String>, Rejection> {
    let Some(part) = part else { return Ok(None) };
    let refuse = || refused(KEY, format!("`{name}` of the key is neither a string nor an integer"));
    part.identifying().map(Some).ok_or_else(refuse)
}

fn time(record: &Record<'_>, part: Option<Part>) -> Result<Option<SentTime>, Rejection> {
    let (reader, record_ms) = (TimeReader::default(), record.timestamp_ms);
    let read = match part {
        None => return Ok(None),
        Some(Part::Text(text)) => reader.text(&text, record_ms),
        Some(Part::Integer(number)) => reader.number(&number, record_ms),
        Some(Part::Other) => {
            return Err(refused(KEY, "`timestamp` of the key is neither a string nor an integer"));
        }
    };
    read.map(Some).map_err(|error| bad_time(KEY, &error))
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PartVisitor)
    }
}

struct PartVisitor;

impl<'de> Visitor<'de> for PartVisitor {
    type Value = Part;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Part, E> {
        Ok(Part::Text(text.to_owned()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Part, E> {
        Ok(Part::Integer(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Part, E> {
        Ok(Part::Integer(number.to_string()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Part, E> {
        Ok(Part::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Part, E> {
        Ok(Part::Other)
    }

    fn visit_unit<E>(self) -> Result<Part, E> {
        Ok(Part::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Part, A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Part::Other)
    }

    // Also numbers that are no 64-bit integer.
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Part, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Part::Other)
    }
}
