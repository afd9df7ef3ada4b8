//! The methods that read MQTT topics, configured paths and expressions, and what every method gives.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::path::{Selected, SingularPath};
use super::template::EventParts;
use super::{Expressions, Paths, Selector, Time, Topic, TopicPlace};
use crate::budget::Budget;
use crate::codec::json::{Map, Text, Value};
use crate::event::envelope::KEY;
use crate::event::time::{SentTime, TimeError, TimeReader};
use crate::event::{BodyPart, Cause, Device, Envelope, Format, Rejection, RejectionPlace};
use crate::expression::{EvaluationError, Expression};
use crate::jsonpath::path_of_names;

/// The result of one method.
pub(super) enum Found {
    /// Device and event are known.
    Known(Identity),
    /// The event is known; a later method must give the device.
    EventOnly(EventParts),
    /// The method applies only if the body says so, and has not seen it.
    NeedsBody,
    /// The method does not apply, and why.
    Not(Cow<'static, str>),
}

/// Device and event of an envelope.
#[derive(Default)]
pub(in crate::event) struct Identity {
    pub(in crate::event) device: Device,
    pub(in crate::event) event_type: Text,
    /// The payload's format as the sender names it.
    pub(in crate::event) format: Option<Text>,
    /// The time that the sender wrote.
    pub(in crate::event) time: Option<SentTime>,
    /// The format of the record's value, where the envelope declares it.
    pub(in crate::event) body_format: Option<Format>,
    /// The payload, where it is not the whole body.
    pub(in crate::event) payload: Option<Value>,
}

impl Found {
    /// A method that does not apply, for a fixed reason.
    pub(super) fn not(reason: &'static str) -> Self {
        Self::Not(Cow::Borrowed(reason))
    }
}

/// A rejection because of the identity.
pub(super) fn refused(place: impl Into<RejectionPlace>, message: impl AsRef<str>) -> Rejection {
    Rejection::new(Cause::Identity, place, message)
}

/// A time in text, for which nothing is configured.
pub(super) fn sent_time(
    envelope: &Envelope<'_>,
    text: Option<&str>,
    place: RejectionPlace,
) -> Result<Option<SentTime>, Rejection> {
    let read = |text| TimeReader::default().text(text, envelope.timestamp_ms);
    text.map(read).transpose().map_err(|error| bad_time(place, &error))
}

pub(super) fn bad_time(place: impl Into<RejectionPlace>, error: &TimeError) -> Rejection {
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
pub(super) fn type_id_key(
    envelope: &Envelope<'_>,
    body: Option<&Value>,
) -> Result<Found, Rejection> {
    let key = envelope.key.and_then(|key| std::str::from_utf8(key).ok());
    let Some((key_type, key_id)) = key.and_then(|key| key.split_once(':')) else {
        return Ok(Found::not("the key is not `type:id`"));
    };
    let Some(body) = body else { return Ok(Found::NeedsBody) };
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
    let bytes = BASE64.decode(wrapped.payload).map_err(|error| {
        refused(RejectionPlace::path("$.payload.payload"), format!("not valid base64: {error}"))
    })?;
    let payload = Format::JSON.decode(&bytes);
    let payload = payload.map_err(|rejection| rejection.within(BodyPart::WrappedPayload))?;
    let place = RejectionPlace::path("$.payload.timestamp");
    Ok(Found::Known(Identity {
        device: Device { org: Text::default(), device_type: key_type.into(), id: key_id.into() },
        event_type: wrapped.event_id.unwrap_or_default().into(),
        format: wrapped.format.map(Text::new),
        time: sent_time(envelope, wrapped.timestamp, place)?,
        payload: Some(payload),
        ..Identity::default()
    }))
}

/// An MQTT topic.
pub(super) fn mqtt_topic(
    topic: &Topic,
    envelope: &Envelope<'_>,
    body: Option<&Value>,
) -> Result<Found, Rejection> {
    let selected;
    let (bytes, place) = match &topic.place {
        TopicPlace::Key => match envelope.key {
            Some(key) => (key, TopicSource::Key),
            None => return Ok(Found::not("there is no key")),
        },
        TopicPlace::Header(name) => match envelope.headers.get(name) {
            Some(header) => (header, TopicSource::Header(name)),
            None => return Ok(Found::not("there is no such header")),
        },
        TopicPlace::AutoHeader(name) => match envelope.headers.get_ignoring_case(name) {
            Some(header) => (header, TopicSource::Header(name)),
            None => return Ok(Found::not("there is no such header")),
        },
        TopicPlace::Path(path) if path.is_in_body() && body.is_none() => {
            return Ok(Found::NeedsBody);
        }
        TopicPlace::Path(path) => match path.select(envelope, body.unwrap_or(&Value::Null)) {
            Some(Selected::Text(text)) => {
                selected = text;
                (selected.as_bytes(), TopicSource::Path(path.text()))
            }
            _ => return Ok(Found::not("the path of the topic does not select a string")),
        },
    };
    match &topic.template {
        None => platform_topic(bytes, place),
        Some(template) => {
            let Ok(text) = std::str::from_utf8(bytes) else {
                return Ok(Found::not("the topic is not UTF-8"));
            };
            let Some(parts) = template.read(text) else {
                let reason = format!("the topic does not match the template `{}`", template.text());
                return Ok(Found::Not(reason.into()));
            };
            if template.has_id() {
                let mut identity = Identity { device: parts.device, ..Identity::default() };
                parts.event.replace_in(&mut identity);
                return Ok(Found::Known(identity));
            }
            Ok(Found::EventOnly(parts.event))
        }
    }
}

/// The place of a topic, for rejections.
#[derive(Clone, Copy)]
enum TopicSource<'a> {
    Key,
    Header(&'a str),
    Path(&'a str),
}

impl From<TopicSource<'_>> for RejectionPlace {
    fn from(source: TopicSource<'_>) -> Self {
        match source {
            TopicSource::Key => KEY,
            TopicSource::Header(name) => header_place(name),
            TopicSource::Path(path) => Self::from(path),
        }
    }
}

/// The place of a header.
pub(super) fn header_place(name: &str) -> RejectionPlace {
    RejectionPlace::from(format!("$.kafka.headers['{name}']"))
}

fn platform_topic(topic: &[u8], place: TopicSource<'_>) -> Result<Found, Rejection> {
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
            Ok(Found::Known(Identity {
                device,
                event_type: event_type.into(),
                format: Some(format.into()),
                ..Identity::default()
            }))
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
    envelope: &Envelope<'_>,
    body: Option<&Value>,
) -> Result<Found, Rejection> {
    if paths.reads_body && body.is_none() {
        return Ok(Found::NeedsBody);
    }
    let body = body.unwrap_or(&Value::Null);
    let Some(id) = text_of(&paths.id, envelope, body)? else {
        return Ok(Found::not("the path of `id` selects nothing"));
    };
    let Some(device_type) = text_of(&paths.device_type, envelope, body)? else {
        return Ok(Found::not("the path of `type` selects nothing"));
    };
    let optional = |selector: &Option<Selector>| match selector {
        Some(selector) => text_of(selector, envelope, body),
        None => Ok(None),
    };
    Ok(Found::Known(Identity {
        event_type: optional(&paths.event)?.unwrap_or_default(),
        format: optional(&paths.format)?,
        time: paths.time.as_ref().map_or(Ok(None), |time| time_at(time, envelope, body))?,
        device: Device { org: optional(&paths.org)?.unwrap_or_default(), device_type, id },
        ..Identity::default()
    }))
}

fn text_of(
    selector: &Selector,
    envelope: &Envelope<'_>,
    body: &Value,
) -> Result<Option<Text>, Rejection> {
    let path = match selector {
        Selector::Text(text) => return Ok(Some(text.into())),
        Selector::Path(path) => path,
    };
    match path.select(envelope, body) {
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
    envelope: &Envelope<'_>,
    body: &Value,
) -> Result<Option<SentTime>, Rejection> {
    let place = time.from.text();
    let read = match time.from.select(envelope, body) {
        None => return Ok(None),
        Some(Selected::Text(text)) => time.reader.text(&text, envelope.timestamp_ms),
        Some(Selected::Integer(number) | Selected::Decimal(number)) => {
            time.reader.number(&number, envelope.timestamp_ms)
        }
        Some(Selected::Other(what)) => Err(TimeError::Type(what)),
    };
    read.map(Some).map_err(|error| bad_time(place, &error))
}

/// Configured expressions.
pub(super) fn by_expressions(
    expressions: &Expressions,
    envelope: &Envelope<'_>,
    body: Option<&Value>,
    budget: &Budget,
) -> Result<Found, Rejection> {
    if expressions.reads_body && body.is_none() {
        return Ok(Found::NeedsBody);
    }
    let body = body.unwrap_or(&Value::Null);
    let members = Envelope::MEMBERS.into_iter();
    let members = members.filter(|name| expressions.reads.contains(name));
    let kafka: Map =
        members.filter_map(|name| Some((name.to_owned(), envelope.member(name)?))).collect();
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
    let event_type = optional(&expressions.event)?.unwrap_or_default();
    let format = optional(&expressions.format)?;
    let time = match &expressions.time {
        None => None,
        Some(Time { from, reader }) => match evaluated(from, &variables, budget)? {
            None => None,
            Some(value) => {
                let read = reader.value(&value, envelope.timestamp_ms);
                Some(read.map_err(|error| bad_time(place_of(from, None), &error))?)
            }
        },
    };
    let device = Device { org: optional(&expressions.org)?.unwrap_or_default(), device_type, id };
    Ok(Found::Known(Identity { device, event_type, format, time, ..Identity::default() }))
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
    Err(refused(place_of(expression, None), message))
}

/// The path that an expression's value or failure is about, where that is known.
fn place_of(expression: &Expression, error: Option<&EvaluationError>) -> String {
    expression.path_at_fault(error).map_or_else(String::new, path_of_names)
}
