//! The ways of IBM's platform and its bridges: key JSON, `type:id`, MQTT topics; and configured paths.

use crate::codec::json::{Text, Value};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;

use crate::event::identity::{Paths, Selector};
use crate::event::path::{Selected, SingularPath};
use crate::event::{Cause, Device, EventInfo, Record, Rejection, decoder, time};

/// What one way finds.
pub(super) enum Found {
    /// Device and event are known.
    Known(Identity),
    /// The event is known and a later way must tell the device.
    EventOnly(EventInfo),
    /// The record is not of this way, and why.
    Not(&'static str),
}

/// What is known of an event.
#[derive(Default)]
pub(super) struct Identity {
    pub(super) device: Device,
    pub(super) info: EventInfo,
    /// The payload, where it is not the whole body.
    pub(super) payload: Option<Value>,
}

/// The format of what says none.
pub(super) const JSON: Text = Text::const_new("json");

const KEY: &str = "$.kafka.key";

/// A rejection because of the identity.
pub(super) fn refused(place: &str, message: impl AsRef<str>) -> Rejection {
    Rejection::new(Cause::Identity, place, message)
}

/// A timestamp that the sender wrote.
pub(super) fn sent_time(text: Option<&str>, place: &str) -> Result<Option<i64>, Rejection> {
    text.map(time::parse).transpose().map_err(|error| refused(place, error.to_string()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PlatformKey {
    org_id: Option<String>,
    device_type: Option<String>,
    device_id: Option<String>,
    event_type: Option<String>,
    format: Option<String>,
    timestamp: Option<String>,
}

/// The platform's key. Its other fields are left alone.
pub(super) fn platform_key(record: &Record<'_>) -> Result<Found, Rejection> {
    let Some(key) = record.key.filter(|key| key.first() == Some(&b'{')) else {
        return Ok(Found::Not("the key is no JSON object"));
    };
    let key: PlatformKey = serde_json::from_slice(key)
        .map_err(|error| refused(KEY, format!("the key begins like JSON and is not: {error}")))?;
    let (device_type, id) = match (key.device_type, key.device_id) {
        (Some(device_type), Some(id)) => (device_type, id),
        (None, None) => return Ok(Found::Not("the key has neither `deviceType` nor `deviceId`")),
        (None, Some(_)) => return Err(refused(KEY, "the key has no `deviceType`")),
        (Some(_), None) => return Err(refused(KEY, "the key has no `deviceId`")),
    };
    let time_ms = sent_time(key.timestamp.as_deref(), KEY)?;
    let info = EventInfo {
        event_type: key.event_type.unwrap_or_default().into(),
        format: key.format.map_or(JSON, Text::from),
        time_ms,
    };
    let org = key.org_id.unwrap_or_default().into();
    let device = Device { org, device_type: device_type.into(), id: id.into() };
    Ok(Found::Known(Identity { device, info, payload: None }))
}

struct Wrapped<'a> {
    type_id: &'a str,
    device_id: &'a str,
    event_id: Option<&'a str>,
    format: Option<&'a str>,
    timestamp: Option<&'a str>,
    payload: &'a str,
}

impl<'a> Wrapped<'a> {
    fn of(body: &'a Value) -> Option<Self> {
        let text = |name: &str| body.get(name)?.as_str();
        // What is there must be a text, or null where it may be absent.
        let optional = |name: &str| match body.get(name) {
            None | Some(Value::Null) => Some(None),
            Some(value) => value.as_str().map(Some),
        };
        Some(Self {
            type_id: text("typeId")?,
            device_id: text("deviceId")?,
            event_id: optional("eventId")?,
            format: optional("format")?,
            timestamp: optional("timestamp")?,
            payload: text("payload")?,
        })
    }
}

/// The platform's sample connector: key `type:id`, the payload in base64 within the value.
pub(super) fn type_id_key(record: &Record<'_>, body: &Value) -> Result<Found, Rejection> {
    let key = record.key.and_then(|key| std::str::from_utf8(key).ok());
    let Some((key_type, key_id)) = key.and_then(|key| key.split_once(':')) else {
        return Ok(Found::Not("the key is not `type:id`"));
    };
    let Some(wrapped) = Wrapped::of(body) else {
        return Ok(Found::Not("the value has no texts `typeId`, `deviceId` and `payload`"));
    };
    if (wrapped.type_id, wrapped.device_id) != (key_type, key_id) {
        let message = format!(
            "the key says device `{key_type}:{key_id}`, the value `{}:{}`",
            wrapped.type_id, wrapped.device_id
        );
        return Err(refused(KEY, message));
    }
    let bytes = BASE64
        .decode(wrapped.payload)
        .map_err(|error| refused("$.payload.payload", format!("no base64: {error}")))?;
    let payload = decoder::parse_body(&bytes, " of the payload in base64")?;
    let info = EventInfo {
        event_type: wrapped.event_id.unwrap_or_default().into(),
        format: wrapped.format.map_or(JSON, Text::new),
        time_ms: sent_time(wrapped.timestamp, "$.payload.timestamp")?,
    };
    let device = Device { org: Text::default(), device_type: key_type.into(), id: key_id.into() };
    Ok(Found::Known(Identity { device, info, payload: Some(payload) }))
}

/// An MQTT topic in the key.
pub(super) fn mqtt_key(record: &Record<'_>) -> Result<Found, Rejection> {
    match record.key {
        Some(key) => mqtt_topic(key, KEY),
        None => Ok(Found::Not("there is no key")),
    }
}

/// An MQTT topic in a header.
pub(super) fn mqtt_header(record: &Record<'_>, name: &str) -> Result<Found, Rejection> {
    match record.headers.get(name) {
        Some(topic) => mqtt_topic(topic, &format!("$.kafka.headers['{name}']")),
        None => Ok(Found::Not("there is no such header")),
    }
}

fn mqtt_topic(topic: &[u8], place: &str) -> Result<Found, Rejection> {
    let Some(levels) = topic.strip_prefix(b"iot-2/") else {
        return Ok(Found::Not("the topic does not begin with `iot-2/`"));
    };
    let levels = std::str::from_utf8(levels)
        .map_err(|error| refused(place, format!("the MQTT topic is not UTF-8: {error}")))?;
    let info = |event_type: &str, format: &str| EventInfo {
        event_type: event_type.into(),
        format: format.into(),
        time_ms: None,
    };
    let mut parts = levels.split('/');
    let parts: [&str; 8] = std::array::from_fn(|_| parts.next().unwrap_or_default());
    let count = levels.split('/').count();
    match (count, parts) {
        (8, ["type", device_type, "id", id, "evt", event_type, "fmt", format]) => {
            let device =
                Device { org: Text::default(), device_type: device_type.into(), id: id.into() };
            let info = info(event_type, format);
            Ok(Found::Known(Identity { device, info, payload: None }))
        }
        (4, ["evt", event_type, "fmt", format, ..]) => {
            Ok(Found::EventOnly(info(event_type, format)))
        }
        _ => Err(refused(
            place,
            format!(
                "the MQTT topic `iot-2/{levels}` is neither `iot-2/type/…/id/…/evt/…/fmt/…` nor `iot-2/evt/…/fmt/…`"
            ),
        )),
    }
}

/// Configured paths.
pub(super) fn by_paths(
    paths: &Paths,
    record: &Record<'_>,
    body: &Value,
) -> Result<Found, Rejection> {
    let Some(id) = text_of(&paths.id, record, body)? else {
        return Ok(Found::Not("the path of `id` selects nothing"));
    };
    let Some(device_type) = text_of(&paths.device_type, record, body)? else {
        return Ok(Found::Not("the path of `type` selects nothing"));
    };
    let optional = |selector: &Option<Selector>| match selector {
        Some(selector) => text_of(selector, record, body),
        None => Ok(None),
    };
    let info = EventInfo {
        event_type: optional(&paths.event)?.unwrap_or_default(),
        format: optional(&paths.format)?.unwrap_or(JSON),
        time_ms: paths.time.as_ref().map_or(Ok(None), |path| time_of(path, record, body))?,
    };
    let device = Device { org: optional(&paths.org)?.unwrap_or_default(), device_type, id };
    Ok(Found::Known(Identity { device, info, payload: None }))
}

fn text_of(
    selector: &Selector,
    record: &Record<'_>,
    body: &Value,
) -> Result<Option<Text>, Rejection> {
    let path = match selector {
        Selector::Text(text) => return Ok(Some(text.into())),
        Selector::Path(path) => path,
    };
    match path.select(record, body) {
        None => Ok(None),
        Some(Selected::Text(text) | Selected::Integer(text)) => Ok(Some(text.into())),
        Some(Selected::Other(what)) => {
            Err(refused(path.text(), format!("a text or an integer identifies, not {what}")))
        }
    }
}

fn time_of(
    path: &SingularPath,
    record: &Record<'_>,
    body: &Value,
) -> Result<Option<i64>, Rejection> {
    match path.select(record, body) {
        None => Ok(None),
        Some(Selected::Text(text)) => sent_time(Some(&text), path.text()),
        Some(Selected::Integer(number)) => number.parse().map(Some).map_err(|_| {
            refused(path.text(), format!("{number} is beyond any time in milliseconds"))
        }),
        Some(Selected::Other(what)) => {
            let message = format!("{what} is no time; a timestamp or milliseconds since 1970 is");
            Err(refused(path.text(), message))
        }
    }
}
