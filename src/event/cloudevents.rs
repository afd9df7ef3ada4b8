//! `CloudEvents` 1.0 in its Kafka binding: attributes in headers (binary mode) or in the value
//! (structured mode).

use crate::codec::json::{Text, Value};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::event::ways::{Found, Identity, refused, sent_time};
use crate::event::{Cause, Device, EventInfo, JSON, Record, Rejection, body as value_body};

const STRUCTURED: &str = "application/cloudevents+json";
const FAMILY: &str = "application/cloudevents";

/// Finds either mode. A record that only has the marks of an event and lacks its parts is refused.
pub(super) fn cloudevent(record: &Record<'_>, body: &mut Value) -> Result<Found, Rejection> {
    let content_type = header(record, "content-type")?.unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case(STRUCTURED) {
        return structured(record, body);
    }
    if starts_with_ignoring_case(media_type, FAMILY) {
        let message = format!(
            "content type `{media_type}` is not supported; use single events in `{STRUCTURED}`"
        );
        return Err(refused("$.kafka.headers['content-type']", message));
    }
    let marked = |name: &str| record.headers.get_ignoring_case(name).is_some();
    if marked("ce_specversion") || marked("ce_id") || marked("ce_type") {
        return binary(record, media_type);
    }
    Ok(Found::not("neither `ce_` headers nor the content type `application/cloudevents+json`"))
}

fn binary(record: &Record<'_>, media_type: &str) -> Result<Found, Rejection> {
    let required = |name: &str| {
        header(record, name)?.filter(|text| !text.is_empty()).ok_or_else(|| {
            refused("$.kafka.headers", format!("header `{name}` of the CloudEvent is missing"))
        })
    };
    check_version(required("ce_specversion")?, "$.kafka.headers.ce_specversion")?;
    required("ce_id")?;
    let (event_type, source) = (required("ce_type")?, required("ce_source")?);
    let info = EventInfo {
        event_type: event_type.into(),
        format: format_of(media_type)?,
        ..EventInfo::default()
    };
    let info = info.at(sent_time(record, header(record, "ce_time")?, "$.kafka.headers.ce_time")?);
    let device = device_of(source, header(record, "ce_subject")?);
    Ok(Found::Known(Identity { device, info, payload: None }))
}

fn structured(record: &Record<'_>, body: &mut Value) -> Result<Found, Rejection> {
    let Value::Object(event) = body else {
        return Err(refused("", "a structured CloudEvent is a JSON object"));
    };
    let text = |name: &str| match event.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(refused("", format!("`{name}` of the CloudEvent is not a string"))),
    };
    let required = |name: &str| {
        text(name)?
            .filter(|text| !text.is_empty())
            .ok_or_else(|| refused("", format!("`{name}` of the CloudEvent is missing")))
    };
    check_version(required("specversion")?, "")?;
    required("id")?;
    let (event_type, source) = (required("type")?, required("source")?);
    let content_type = text("datacontenttype")?.unwrap_or_default();
    let info = EventInfo {
        event_type: event_type.into(),
        format: format_of(content_type.split(';').next().unwrap_or_default().trim())?,
        ..EventInfo::default()
    };
    let info = info.at(sent_time(record, text("time")?, "")?);
    let device = device_of(source, text("subject")?);
    let payload = match (event.contains_key("data"), text("data_base64")?) {
        (true, Some(_)) => {
            return Err(refused("", "`data` and `data_base64` are mutually exclusive"));
        }
        (false, Some(encoded)) => decoded(encoded)?,
        (_, None) => event.remove("data").unwrap_or(Value::Null),
    };
    Ok(Found::Known(Identity { device, info, payload: Some(payload) }))
}

fn decoded(encoded: &str) -> Result<Value, Rejection> {
    let bytes = BASE64
        .decode(encoded)
        .map_err(|error| refused("", format!("`data_base64` is not valid base64: {error}")))?;
    value_body::parse(&bytes, " of `data_base64`")
}

fn check_version(version: &str, place: &str) -> Result<(), Rejection> {
    if version == "1.0" {
        return Ok(());
    }
    Err(refused(place, format!("CloudEvents version `{version}` is not supported, only `1.0` is")))
}

/// `json` for a JSON media type and where none is told; anything else cannot be mapped.
fn format_of(media_type: &str) -> Result<Text, Rejection> {
    let lower = media_type.to_ascii_lowercase();
    if lower.is_empty() || lower.ends_with("/json") || lower.ends_with("+json") {
        return Ok(JSON);
    }
    let message = format!("the data's content type is `{media_type}`; only JSON can be mapped");
    Err(Rejection::new(Cause::NotJson, "", message))
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

fn header<'a>(record: &Record<'a>, name: &str) -> Result<Option<&'a str>, Rejection> {
    let Some(value) = record.headers.get_ignoring_case(name) else { return Ok(None) };
    std::str::from_utf8(value).map(Some).map_err(|error| {
        refused(&format!("$.kafka.headers['{name}']"), format!("not UTF-8: {error}"))
    })
}

fn starts_with_ignoring_case(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}
