//! `CloudEvents` 1.0 in its Kafka binding: attributes in headers (binary mode) or in the value
//! (structured mode). The content type declares the body's format.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::methods::{Found, Identity, header_place, refused, sent_time};
use crate::codec::json::{Text, Value};
use crate::event::envelope::HEADERS;
use crate::event::{BodyPart, Cause, Device, Envelope, Format, Rejection, RejectionPlace};

const STRUCTURED: &str = "application/cloudevents+json";
const FAMILY: &str = "application/cloudevents";
const WHOLE: RejectionPlace = RejectionPlace::Record;

/// Finds either mode. A record that has the marks of an event and lacks its parts is refused.
pub(super) fn cloudevent(
    envelope: &Envelope<'_>,
    body: Option<&mut Value>,
) -> Result<Found, Rejection> {
    let content_type = header(envelope, "content-type")?.unwrap_or_default();
    let media_type = media_type(content_type);
    if media_type.eq_ignore_ascii_case(STRUCTURED) {
        return body.map_or(Ok(Found::NeedsBody), |body| structured(envelope, body));
    }
    if starts_with_ignoring_case(media_type, FAMILY) {
        let message = format!(
            "content type `{media_type}` is not supported; single events are, in `{STRUCTURED}`"
        );
        return Err(refused(header_place("content-type"), message));
    }
    if is_binary(envelope) {
        return binary(envelope, media_type);
    }
    Ok(Found::not("neither `ce_` headers nor content type `application/cloudevents+json`"))
}

/// The format of the record's value that the envelope of a `CloudEvent` declares.
pub(super) fn declared_format(envelope: &Envelope<'_>) -> Option<Format> {
    let media_type = media_type(header(envelope, "content-type").ok()??);
    if media_type.eq_ignore_ascii_case(STRUCTURED) {
        return Some(Format::JSON);
    }
    is_binary(envelope).then(|| Format::of_media_type(media_type)).flatten()
}

fn is_binary(envelope: &Envelope<'_>) -> bool {
    let marked = |name: &str| envelope.headers.get_ignoring_case(name).is_some();
    marked("ce_specversion") || marked("ce_id") || marked("ce_type")
}

/// A content type without its parameters.
fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

fn binary(envelope: &Envelope<'_>, media_type: &str) -> Result<Found, Rejection> {
    let required = |name: &str| {
        header(envelope, name)?.filter(|text| !text.is_empty()).ok_or_else(|| {
            refused(HEADERS, format!("header `{name}` of the CloudEvent is missing"))
        })
    };
    check_version(
        required("ce_specversion")?,
        RejectionPlace::path("$.kafka.headers.ce_specversion"),
    )?;
    required("ce_id")?;
    let (event_type, source) = (required("ce_type")?, required("ce_source")?);
    let format = format_of(media_type)?;
    let time = header(envelope, "ce_time")?;
    Ok(Found::Known(Identity {
        device: device_of(source, header(envelope, "ce_subject")?),
        event_type: event_type.into(),
        format: format.map(|format| Text::new(format.name())),
        time: sent_time(envelope, time, RejectionPlace::path("$.kafka.headers.ce_time"))?,
        body_format: format,
        payload: None,
    }))
}

fn structured(envelope: &Envelope<'_>, body: &mut Value) -> Result<Found, Rejection> {
    let Value::Object(event) = body else {
        return Err(refused(WHOLE, "a structured CloudEvent is a JSON object"));
    };
    let text = |name: &str| match event.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(refused(WHOLE, format!("`{name}` of the CloudEvent is not a string"))),
    };
    let required = |name: &str| {
        text(name)?
            .filter(|text| !text.is_empty())
            .ok_or_else(|| refused(WHOLE, format!("`{name}` of the CloudEvent is missing")))
    };
    check_version(required("specversion")?, WHOLE)?;
    required("id")?;
    let (event_type, source) = (required("type")?, required("source")?);
    let format = format_of(media_type(text("datacontenttype")?.unwrap_or_default()))?;
    let format = format.unwrap_or(Format::JSON);
    let mut identity = Identity {
        device: device_of(source, text("subject")?),
        event_type: event_type.into(),
        format: Some(Text::new(format.name())),
        time: sent_time(envelope, text("time")?, WHOLE)?,
        ..Identity::default()
    };
    let payload = match (event.contains_key("data"), text("data_base64")?) {
        (true, Some(_)) => {
            return Err(refused(WHOLE, "`data` and `data_base64` are mutually exclusive"));
        }
        (false, Some(encoded)) => decoded(encoded, format)?,
        (_, None) => match event.remove("data") {
            Some(data) => payload_of(data, format)?,
            None => Value::Null,
        },
    };
    identity.payload = Some(payload);
    Ok(Found::Known(identity))
}

/// The payload in `data`: JSON as it is; another format is in the text of a string.
fn payload_of(data: Value, format: Format) -> Result<Value, Rejection> {
    match data {
        data if format == Format::JSON => Ok(data),
        Value::String(text) => format.decode(text.as_bytes()),
        _ => {
            let name = format.name();
            let message =
                format!("`data` of the CloudEvent is not a string, and its format is {name}");
            Err(refused(WHOLE, message))
        }
    }
}

fn decoded(encoded: &str, format: Format) -> Result<Value, Rejection> {
    let bytes = BASE64
        .decode(encoded)
        .map_err(|error| refused(WHOLE, format!("`data_base64` is not valid base64: {error}")))?;
    format.decode(&bytes).map_err(|rejection| rejection.within(BodyPart::CloudEventData))
}

fn check_version(version: &str, place: RejectionPlace) -> Result<(), Rejection> {
    if version == "1.0" {
        return Ok(());
    }
    Err(refused(
        place,
        format!("CloudEvents version `{version}` is not supported; supported is `1.0`"),
    ))
}

/// The format of a media type; `None` where it is empty. Data in another format cannot be mapped.
fn format_of(media_type: &str) -> Result<Option<Format>, Rejection> {
    if media_type.is_empty() {
        return Ok(None);
    }
    Format::of_media_type(media_type).map(Some).ok_or_else(|| {
        let message = format!("the data's content type is `{media_type}`, which is not read");
        Rejection::of_record(Cause::NotJson, message)
    })
}

/// The last three parts of source and subject: organisation, device type, device id.
fn device_of(source: &str, subject: Option<&str>) -> Device {
    let path = source.split_once("://").map_or(source, |(_, rest)| rest);
    let separator = if source.starts_with("urn:") { ':' } else { '/' };
    let parts = path.split(separator).filter(|part| !part.is_empty());
    let mut last_three = [""; 3];
    for part in parts.chain(subject.filter(|subject| !subject.is_empty())) {
        last_three.rotate_left(1);
        last_three[2] = part;
    }
    let [org, device_type, id] = last_three.map(Text::new);
    Device { org, device_type, id }
}

fn header<'a>(envelope: &Envelope<'a>, name: &str) -> Result<Option<&'a str>, Rejection> {
    let Some(value) = envelope.headers.get_ignoring_case(name) else { return Ok(None) };
    std::str::from_utf8(value)
        .map(Some)
        .map_err(|error| refused(header_place(name), format!("not UTF-8: {error}")))
}

fn starts_with_ignoring_case(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}
