//! Methods of identification beside the platform's key: `type:id`, MQTT topics, configured paths and
//! expressions.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::budget::Budget;
use crate::codec::json::{Map, Text, Value};
use crate::event::identity::path::{Selected, SingularPath};
use crate::event::identity::{Expressions, Paths, Selector, Time, Topic, TopicPlace};
use crate::event::template::EventParts;
use crate::event::time::{SentTime, TimeError, TimeReader};
use crate::event::{
    Cause, Device, EventInfo, JSON, Record, Rejection, Surroundings, body as value_body,
};
use crate::expression::{EvaluationError, Expression};
use crate::jsonpath::path_of_names;

/// The result of one method.
pub(super) enum Found {
    /// Device and event are known.
    Known(Identity),
    /// The event is known and a later way must tell the device.
    EventOnly(EventParts),
    /// The record is not of this way, and why.
    Not(Cow<'static, str>),
}

/// The identity of an event.
#[derive(Default)]
pub(super) struct Identity {
    pub(super) device: Device,
    pub(super) info: EventInfo,
    /// The payload, where it is not the whole body.
    pub(super) payload: Option<Value>,
}

impl Found {
    /// A record that is not of the way, for a fixed reason.
    pub(super) fn not(reason: &'static str) -> Self {
        Self::Not(Cow::Borrowed(reason))
    }
}

pub(super) const KEY: &str = "$.kafka.key";

/// A rejection because of the identity.
pub(super) fn refused(place: &str, message: impl AsRef<str>) -> Rejection {
    Rejection::new(Cause::Identity, place, message)
}

/// A time in text of which nothing is configured.
pub(super) fn sent_time(
    record: &Record<'_>,
    text: Option<&str>,
    place: &str,
) -> Result<Option<SentTime>, Rejection> {
    let read = |text| TimeReader::default().text(text, record.timestamp_ms);
    text.map(read).transpose().map_err(|error| bad_time(place, &error))
}

pub(super) fn bad_time(place: &str, error: &TimeError) -> Rejection {
    refused(place, error.to_string())
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
        // What is there must be a string, or null where it may be absent.
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
        return Ok(Found::not("the key is not `type:id`"));
    };
    let Some(wrapped) = Wrapped::of(body) else {
        return Ok(Found::not("the value lacks the strings `typeId`, `deviceId` and `payload`"));
    };
    if (wrapped.type_id, wrapped.device_id) != (key_type, key_id) {
        let message = format!(
            "the key names device `{key_type}:{key_id}`, the value `{}:{}`",
            wrapped.type_id, wrapped.device_id
        );
        return Err(refused(KEY, message));
    }
    let bytes = BASE64
        .decode(wrapped.payload)
        .map_err(|error| refused("$.payload.payload", format!("not valid base64: {error}")))?;
    let payload = value_body::parse(&bytes, " of the payload in base64")?;
    let info = EventInfo {
        event_type: wrapped.event_id.unwrap_or_default().into(),
        format: wrapped.format.map_or(JSON, Text::new),
        ..EventInfo::default()
    };
    let info = info.at(sent_time(record, wrapped.timestamp, "$.payload.timestamp")?);
    let device = Device { org: Text::default(), device_type: key_type.into(), id: key_id.into() };
    Ok(Found::Known(Identity { device, info, payload: Some(payload) }))
}

/// An MQTT topic.
pub(super) fn mqtt_topic(
    topic: &Topic,
    record: &Record<'_>,
    body: &Value,
) -> Result<Found, Rejection> {
    let selected;
    let (bytes, place) = match &topic.place {
        TopicPlace::Key => match record.key {
            Some(key) => (key, Cow::Borrowed(KEY)),
            None => return Ok(Found::not("the record has no key")),
        },
        TopicPlace::Header(name) => match record.headers.get(name) {
            Some(header) => (header, Cow::Owned(format!("$.kafka.headers['{name}']"))),
            None => return Ok(Found::not("there is no such header")),
        },
        TopicPlace::AutoHeader(name) => match record.headers.get_ignoring_case(name) {
            Some(header) => (header, Cow::Owned(format!("$.kafka.headers['{name}']"))),
            None => return Ok(Found::not("there is no such header")),
        },
        TopicPlace::Path(path) => match path.select(record, body) {
            Some(Selected::Text(text)) => {
                selected = text;
                (selected.as_bytes(), Cow::Borrowed(path.text()))
            }
            _ => return Ok(Found::not("the path of the topic does not select a string")),
        },
    };
    match &topic.template {
        None => platform_topic(bytes, &place),
        Some(template) => {
            let Ok(text) = std::str::from_utf8(bytes) else {
                return Ok(Found::not("the topic is not UTF-8"));
            };
            let Some(parts) = template.read(text) else {
                let reason = format!("the topic does not match the template `{}`", template.text());
                return Ok(Found::Not(reason.into()));
            };
            if template.has_id() {
                let mut info = EventInfo { format: JSON, ..EventInfo::default() };
                parts.event.replace_in(&mut info);
                return Ok(Found::Known(Identity { device: parts.device, info, payload: None }));
            }
            Ok(Found::EventOnly(parts.event))
        }
    }
}

fn platform_topic(topic: &[u8], place: &str) -> Result<Found, Rejection> {
    let Some(levels) = topic.strip_prefix(b"iot-2/") else {
        return Ok(Found::not("the topic does not start with `iot-2/`"));
    };
    let levels = std::str::from_utf8(levels)
        .map_err(|error| refused(place, format!("the MQTT topic is not UTF-8: {error}")))?;
    let mut parts = levels.split('/');
    let parts: [&str; 8] = std::array::from_fn(|_| parts.next().unwrap_or_default());
    let count = levels.split('/').count();
    match (count, parts) {
        (8, ["type", device_type, "id", id, "evt", event_type, "fmt", format]) => {
            let device =
                Device { org: Text::default(), device_type: device_type.into(), id: id.into() };
            let info = EventInfo {
                event_type: event_type.into(),
                format: format.into(),
                ..EventInfo::default()
            };
            Ok(Found::Known(Identity { device, info, payload: None }))
        }
        (4, ["evt", event_type, "fmt", format, ..]) => {
            let (event_type, format) = (Some(event_type.into()), Some(format.into()));
            Ok(Found::EventOnly(EventParts { event_type, format }))
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
        return Ok(Found::not("the path of `id` selects nothing"));
    };
    let Some(device_type) = text_of(&paths.device_type, record, body)? else {
        return Ok(Found::not("the path of `type` selects nothing"));
    };
    let optional = |selector: &Option<Selector>| match selector {
        Some(selector) => text_of(selector, record, body),
        None => Ok(None),
    };
    let info = EventInfo {
        event_type: optional(&paths.event)?.unwrap_or_default(),
        format: optional(&paths.format)?.unwrap_or(JSON),
        ..EventInfo::default()
    };
    let time = paths.time.as_ref().map_or(Ok(None), |time| time_at(time, record, body))?;
    let device = Device { org: optional(&paths.org)?.unwrap_or_default(), device_type, id };
    Ok(Found::Known(Identity { device, info: info.at(time), payload: None }))
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
        Some(Selected::Decimal(_)) => {
            let message =
                "an identity is a string or an integer, not a number with a fraction or exponent";
            Err(refused(path.text(), message))
        }
        Some(Selected::Other(what)) => {
            Err(refused(path.text(), format!("an identity is a string or an integer, not {what}")))
        }
    }
}

fn time_at(
    time: &Time<SingularPath>,
    record: &Record<'_>,
    body: &Value,
) -> Result<Option<SentTime>, Rejection> {
    let place = time.from.text();
    let read = match time.from.select(record, body) {
        None => return Ok(None),
        Some(Selected::Text(text)) => time.reader.text(&text, record.timestamp_ms),
        Some(Selected::Integer(number) | Selected::Decimal(number)) => {
            time.reader.number(&number, record.timestamp_ms)
        }
        Some(Selected::Other(what)) => Err(TimeError::Type(what)),
    };
    read.map(Some).map_err(|error| bad_time(place, &error))
}

/// Configured expressions.
pub(super) fn by_expressions(
    expressions: &Expressions,
    record: &Record<'_>,
    body: &Value,
    budget: &Budget,
) -> Result<Found, Rejection> {
    let surroundings = Surroundings::from(record);
    let members = Surroundings::MEMBERS.into_iter();
    let members = members.filter(|name| expressions.reads.contains(name));
    let kafka: Map =
        members.filter_map(|name| Some((name.to_owned(), surroundings.member(name)?))).collect();
    let kafka = Value::Object(kafka);
    let variables = [("payload", body), ("kafka", &kafka)];
    let required = |expression: &Expression| identifying(expression, &variables, budget);
    let optional = |expression: &Option<Expression>| match expression {
        Some(expression) => identifying(expression, &variables, budget),
        None => Ok(None),
    };
    let Some(id) = required(&expressions.id)? else {
        return Ok(Found::not("the expression of `id` has no result"));
    };
    let Some(device_type) = required(&expressions.device_type)? else {
        return Ok(Found::not("the expression of `type` has no result"));
    };
    let info = EventInfo {
        event_type: optional(&expressions.event)?.unwrap_or_default(),
        format: optional(&expressions.format)?.unwrap_or(JSON),
        ..EventInfo::default()
    };
    let time = match &expressions.time {
        None => None,
        Some(Time { from, reader }) => match evaluated(from, &variables, budget)? {
            None => None,
            Some(value) => {
                let read = reader.value(&value, record.timestamp_ms);
                Some(read.map_err(|error| bad_time(&place_of(from, None), &error))?)
            }
        },
    };
    let device = Device { org: optional(&expressions.org)?.unwrap_or_default(), device_type, id };
    Ok(Found::Known(Identity { device, info: info.at(time), payload: None }))
}

/// An expression's value; `None` for null, and where it misses a field.
fn evaluated(
    expression: &Expression,
    variables: &[(&str, &Value)],
    budget: &Budget,
) -> Result<Option<Value>, Rejection> {
    match expression.evaluate_within(variables, budget) {
        Ok(Value::Null) | Err(EvaluationError::Missing(_)) => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(error) => {
            let cause = match error {
                EvaluationError::Exhausted(_) => Cause::Limit,
                EvaluationError::Missing(_) | EvaluationError::Failed(_) => Cause::Identity,
            };
            let message = format!("the expression `{}` failed: {error}", expression.source());
            Err(Rejection::new(cause, place_of(expression, Some(&error)), message))
        }
    }
}

fn identifying(
    expression: &Expression,
    variables: &[(&str, &Value)],
    budget: &Budget,
) -> Result<Option<Text>, Rejection> {
    let what = match evaluated(expression, variables, budget)? {
        None => return Ok(None),
        Some(Value::String(text)) => return Ok(Some(text)),
        Some(Value::Number(number)) if number.is_integer() => {
            return Ok(Some(number.as_str().into()));
        }
        Some(Value::Number(_)) => "a number with a fraction or exponent",
        Some(Value::Bool(_)) => "a boolean",
        Some(Value::Array(_)) => "an array",
        Some(Value::Null | Value::Object(_)) => "an object",
    };
    let message = format!(
        "the expression `{}` returns {what}; an identity is a string or an integer",
        expression.source()
    );
    Err(refused(&place_of(expression, None), message))
}

/// The path that an expression's value or failure is about, where it can be told.
fn place_of(expression: &Expression, error: Option<&EvaluationError>) -> String {
    expression.path_at_fault(error).map_or_else(String::new, path_of_names)
}
