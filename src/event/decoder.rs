//! From a record to an event: limits, strict JSON, identity. Pure: the same record and
//! configuration give the same event or the same rejection.

use std::borrow::Cow;
use std::path::Path;

use crate::budget::Budget;
use crate::codec::json::Value;
use crate::diagnostic::Diagnostic;
use crate::event::body::{self, BodyForm};
use crate::event::identity::{self, IdentityForm, Way};
use crate::event::template::EventParts;
use crate::event::ways::{self, Found, Identity, refused};
use crate::event::{
    Cause, Device, Event, EventInfo, JSON, Record, RecordDigests, Rejection, cloudevents, key,
};
use crate::limits::{
    MAX_HEADER_BYTES, MAX_HEADERS, MAX_IDENTITY_BYTES, MAX_KEY_BYTES, MAX_RECORD_BYTES,
};

/// Makes events of records.
#[derive(Debug, Clone)]
pub struct Decoder {
    ways: Vec<Way>,
    body: BodyForm,
}

impl Default for Decoder {
    /// The decoder of `identity: [auto]`.
    fn default() -> Self {
        Self { ways: identity::auto(), body: BodyForm::default() }
    }
}

impl Decoder {
    /// A decoder for this configuration, or every fault in it; `file` is where the form stood.
    pub fn new(form: &IdentityForm, file: &Path) -> Result<Self, Vec<Diagnostic>> {
        Ok(Self { ways: identity::check(form, file)?, body: BodyForm::default() })
    }

    /// Warnings about a form that [`Decoder::new`] takes.
    #[must_use]
    pub fn warnings(form: &IdentityForm, file: &Path) -> Vec<Diagnostic> {
        identity::warnings(form, file)
    }

    /// The device types that events can have, empty for none; `None` where any are possible.
    #[must_use]
    pub fn device_types(&self) -> Option<Vec<&str>> {
        self.ways.iter().map(Way::device_types).collect::<Option<Vec<_>>>().map(|all| all.concat())
    }

    /// The event types that events can have, empty for none; `None` where any are possible.
    #[must_use]
    pub fn event_types(&self) -> Option<Vec<&str>> {
        self.ways.iter().map(Way::event_types).collect::<Option<Vec<_>>>().map(|all| all.concat())
    }

    /// The same for values that hold their body in this way.
    #[must_use]
    pub fn with_body(self, body: BodyForm) -> Self {
        Self { body, ..self }
    }

    /// Makes an event of a record, or says why it cannot be one.
    ///
    /// The causes are [`Cause::Empty`], [`Cause::TooLarge`], [`Cause::NotUtf8`], [`Cause::NotJson`],
    /// [`Cause::DuplicateKey`], [`Cause::TooDeep`], [`Cause::Number`], [`Cause::Identity`] and
    /// [`Cause::Envelope`].
    pub fn decode(&self, record: &Record<'_>) -> Result<Event, Rejection> {
        check_sizes(record)?;
        let mut body = match record.value {
            Some(value) => body::read(self.body, value)?,
            None => Value::Null,
        };
        let Identity { device, mut info, payload } = self.identify(record, &mut body)?;
        check_identity(&device, &info)?;
        info.time_ms = info.time_ms.or(record.timestamp_ms);
        Ok(Event {
            partition: record.partition.clone(),
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            key: record.key.map(<[u8]>::to_vec),
            header_bytes: record.headers.as_encoded().to_vec(),
            device,
            info,
            payload: payload.unwrap_or(body),
            digests: RecordDigests::of(record),
        })
    }

    fn identify(&self, record: &Record<'_>, body: &mut Value) -> Result<Identity, Rejection> {
        let mut of_topics = EventParts::default();
        let budget = Budget::new();
        // What expressions say is kept: to evaluate them again would cost as much again.
        let mut reasons = Vec::new();
        for way in &self.ways {
            match look(way, record, body, &budget)? {
                Found::Known(identity) if identity.device.id.is_empty() && !way.is_plain() => {
                    return Err(refused("$.device.id", "the device id is empty"));
                }
                Found::Known(mut identity) => {
                    of_topics.replace_in(&mut identity.info);
                    return Ok(identity);
                }
                Found::EventOnly(parts) => of_topics = of_topics.or(parts),
                Found::Not(reason) if way.is_evaluated() => reasons.push(reason),
                Found::Not(_) => {}
            }
        }
        Err(self.unknown(record, body, reasons))
    }

    /// Says of each way why it is not the record's. Only on the way to the dead letters.
    fn unknown(
        &self,
        record: &Record<'_>,
        body: &mut Value,
        evaluated: Vec<Cow<'static, str>>,
    ) -> Rejection {
        let mut message = String::from("no configured method identifies the device");
        let (budget, mut evaluated) = (Budget::new(), evaluated.into_iter());
        for way in &self.ways {
            let reason = match way.is_evaluated() {
                true => evaluated.next(),
                false => match look(way, record, body, &budget) {
                    Ok(Found::Not(reason)) => Some(reason),
                    Ok(Found::EventOnly(_)) => Some("the topic does not name a device".into()),
                    Ok(Found::Known(_)) | Err(_) => None,
                },
            };
            let Some(reason) = reason else { continue };
            let hint = match header_in_another_case(way, record) {
                Some(name) => {
                    format!("; there is a header `{name}`, but header names are case-sensitive")
                }
                None => String::new(),
            };
            for text in ["; ", way.name(), ": ", &reason, &hint] {
                message.push_str(text);
            }
        }
        refused("", message)
    }
}

/// A header of the record whose name differs in case alone from one that a way reads and that is
/// absent.
fn header_in_another_case<'a>(way: &Way, record: &Record<'a>) -> Option<&'a str> {
    way.headers().into_iter().filter(|wanted| record.headers.get(wanted).is_none()).find_map(
        |wanted| {
            let mut names = record.headers.iter().map(|(name, _)| name);
            names.find(|name| *name != wanted && name.eq_ignore_ascii_case(wanted))
        },
    )
}

/// Asks one way. All that are asked for one record share a budget.
fn look(
    way: &Way,
    record: &Record<'_>,
    body: &mut Value,
    budget: &Budget,
) -> Result<Found, Rejection> {
    match way {
        Way::PlatformKey => key::platform_key(record),
        Way::TypeIdKey => ways::type_id_key(record, body),
        Way::MqttTopic(topic) => ways::mqtt_topic(topic, record, body),
        Way::CloudEvents => cloudevents::cloudevent(record, body),
        Way::Paths(paths) => ways::by_paths(paths, record, body),
        Way::Expressions(expressions) => ways::by_expressions(expressions, record, body, budget),
        Way::Plain => Ok(Found::Known(Identity {
            info: EventInfo { format: JSON, ..EventInfo::default() },
            ..Identity::default()
        })),
    }
}

/// Holds the limits of a record.
fn check_sizes(record: &Record<'_>) -> Result<(), Rejection> {
    let too_large = |place: &str, what: &str, bytes: usize, limit: usize| {
        let message = format!("the {what} has {bytes} bytes, the limit is {limit}");
        Err(Rejection::new(Cause::TooLarge, place, message))
    };
    if let Some(damage) = record.damage {
        return Err(Rejection::new(Cause::Envelope, "", damage));
    }
    for (index, (name, value)) in record.headers.iter().enumerate() {
        if index == MAX_HEADERS {
            let message = format!("the record has more than {MAX_HEADERS} headers");
            return Err(Rejection::new(Cause::TooLarge, "$.kafka.headers", message));
        }
        let bytes = name.len() + value.map_or(0, <[u8]>::len);
        if bytes > MAX_HEADER_BYTES {
            return too_large("$.kafka.headers", "header", bytes, MAX_HEADER_BYTES);
        }
    }
    if let Some(key) = record.key.filter(|key| key.len() > MAX_KEY_BYTES) {
        return too_large("$.kafka.key", "key", key.len(), MAX_KEY_BYTES);
    }
    match record.value {
        Some([]) => {
            let message = "the value is empty; an empty value is neither JSON nor null (a \
                           tombstone)";
            Err(Rejection::new(Cause::Empty, "", message))
        }
        Some(value) if value.len() > MAX_RECORD_BYTES => {
            too_large("", "value", value.len(), MAX_RECORD_BYTES)
        }
        Some(_) | None => Ok(()),
    }
}

fn check_identity(device: &Device, info: &EventInfo) -> Result<(), Rejection> {
    let parts = [
        ("$.device.org", &device.org),
        ("$.device.type", &device.device_type),
        ("$.device.id", &device.id),
        ("$.event.type", &info.event_type),
        ("$.event.format", &info.format),
    ];
    for (place, part) in parts {
        if part.len() > MAX_IDENTITY_BYTES {
            let message = format!("{} bytes, the limit is {MAX_IDENTITY_BYTES}", part.len());
            return Err(refused(place, message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::json::json;
    use crate::codec::yaml;
    use crate::event::{Headers, SourcePartition};
    use proptest::prelude::*;

    type HeaderList<'a> = &'a [(&'a str, &'a str)];

    fn decoder(identity: &str) -> Decoder {
        let file = Path::new("ledgerline.yaml");
        let form = yaml::parse::<IdentityForm>(file, identity).unwrap();
        Decoder::new(&form[0], file).unwrap()
    }

    fn encoded(headers: HeaderList<'_>) -> Vec<u8> {
        let mut writer = crate::codec::Writer::new();
        for (name, value) in headers {
            writer.text(name);
            writer.option(Some(value), |w, value| w.bytes(value.as_bytes()));
        }
        writer.into_bytes()
    }

    fn decode(
        identity: &str,
        key: Option<&str>,
        headers: HeaderList<'_>,
        value: &str,
    ) -> Result<Event, Rejection> {
        let partition = SourcePartition::new("t", 0);
        let headers = encoded(headers);
        decoder(identity).decode(&Record {
            partition: &partition,
            offset: 5,
            timestamp_ms: Some(7),
            key: key.map(str::as_bytes),
            value: Some(value.as_bytes()),
            headers: Headers::from_encoded(&headers),
            damage: None,
        })
    }

    /// Organisation, type, id, event type, format, time, payload.
    fn told(event: &Event) -> (String, Value) {
        let Device { org, device_type, id } = &event.device;
        let EventInfo { event_type, format, .. } = &event.info;
        let time = event.info.time_text().unwrap_or_default();
        (format!("{org}|{device_type}|{id}|{event_type}|{format}|{time}"), event.payload.clone())
    }

    const PLATFORM_KEY: &str = r#"{"orgId":"9zdck8","deviceType":"nrsim_device","deviceId":"dev1","eventType":"myevent","format":"json","timestamp":"2017-01-04T13:11:33.601+02"}"#;
    const BROKER_TIME: &str = "1970-01-01T00:00:00.007Z";

    #[test]
    fn the_platform_tells_in_its_key() {
        let value = r#"{"d":{"temp":21.5,"humidity":40}}"#;
        for identity in ["[auto]", "[platform_key]"] {
            let event = decode(identity, Some(PLATFORM_KEY), &[], value).unwrap();
            let (identity, payload) = told(&event);
            assert_eq!(identity, "9zdck8|nrsim_device|dev1|myevent|json|2017-01-04T11:11:33.601Z");
            assert_eq!(payload, json!({"d": {"temp": 21.5, "humidity": 40}}));
            assert_eq!(event.key.as_deref(), Some(PLATFORM_KEY.as_bytes()));
            assert_eq!(event.digests.value, crate::codec::Digest::of(value.as_bytes()));
            assert_eq!((event.offset, event.timestamp_ms), (5, Some(7)));
        }
    }

    #[test]
    fn the_sample_connector_wraps_the_payload() {
        // {"d":{"temp":21}}
        let value = r#"{"typeId":"sensor","deviceId":"s1","eventId":"status","format":"json","timestamp":"2017-01-04T11:11:33.601Z","payload":"eyJkIjp7InRlbXAiOjIxfX0="}"#;
        for identity in ["[auto]", "[type_id_key]"] {
            let event = decode(identity, Some("sensor:s1"), &[], value).unwrap();
            let (identity, payload) = told(&event);
            assert_eq!(identity, "|sensor|s1|status|json|2017-01-04T11:11:33.601Z");
            assert_eq!(payload, json!({"d": {"temp": 21}}));
        }
    }

    #[test]
    fn an_mqtt_topic_tells_in_key_or_header() {
        let topic = "iot-2/type/GasMonitor/id/16010001/evt/status/fmt/json";
        let expected = format!("|GasMonitor|16010001|status|json|{BROKER_TIME}");
        let value = r#"{"gasValue":168}"#;
        let key = |identity| decode(identity, Some(topic), &[], value).unwrap();
        let header = |identity, name| decode(identity, None, &[(name, topic)], value).unwrap();
        let events = [
            key("[auto]"),
            key("[mqtt_topic: key]"),
            header("[auto]", "mqtt-topic"),
            header("[auto]", "MQTT.Topic"),
            header("[mqtt_topic: {header: source}]", "source"),
        ];
        for event in events {
            assert_eq!(told(&event), (expected.clone(), json!({"gasValue": 168})));
        }
    }

    #[test]
    fn a_device_topic_leaves_the_device_to_a_later_way() {
        let topic = Some("iot-2/evt/status/fmt/json");
        let identity = "[mqtt_topic: key, paths: {type: gas, id: $.payload.serial, event: x}]";
        let event = decode(identity, topic, &[], r#"{"serial":12345678901234567890}"#).unwrap();
        let expected = format!("|gas|12345678901234567890|status|json|{BROKER_TIME}");
        assert_eq!(told(&event).0, expected);
        let event = decode("[auto]", topic, &[], "{}").unwrap();
        assert_eq!(told(&event).0, format!("|||status|json|{BROKER_TIME}"));
    }

    #[test]
    fn paths_tell_where_configured() {
        let identity = "
- paths:
    org: $.kafka.headers['tenant']
    type: $.kafka.topic
    id: $.payload.meta.ids[0]
    event: $.payload.kind
    format: $.payload.absent
    time: $.payload.at";
        let body = |at: &str| format!(r#"{{"meta":{{"ids":["a-7"]}},"kind":"door","at":{at}}}"#);
        for at in ["1483528293601", r#""2017-01-04T13:11:33.601+02""#] {
            let event = decode(identity, None, &[("tenant", "acme")], &body(at)).unwrap();
            assert_eq!(told(&event).0, "acme|t|a-7|door|json|2017-01-04T11:11:33.601Z");
        }
        let event = decode(identity, None, &[], &body("null")).unwrap();
        assert_eq!(told(&event).0, format!("|t|a-7|door|json|{BROKER_TIME}"));
    }

    #[test]
    fn a_key_of_other_json_leaves_the_record_to_the_next_method() {
        let value = r#"{"id":"d9"}"#;
        let paths = "[auto, paths: {type: t, id: $.payload.id}]";
        for key in [
            r#"{"deviceId":"d1"}"#,
            r#"{"deviceType":"d1"}"#,
            r#"{"deviceType":["d1"],"deviceId":"d1"}"#,
            r#"{"deviceType":"d1","deviceId":{"a":1}}"#,
            r#"{"deviceType":"d1","deviceId":null}"#,
            r#"{"deviceType":"d1","deviceId":1.5}"#,
            r#"{"id":7}"#,
            "{}",
            "\"d5\"",
            "17",
            "a:b",
        ] {
            let event = decode("[auto]", Some(key), &[], value).unwrap();
            assert_eq!(told(&event).0, format!("||||json|{BROKER_TIME}"), "{key}");
            let event = decode(paths, Some(key), &[], value).unwrap();
            assert_eq!(told(&event).0, format!("|t|d9||json|{BROKER_TIME}"), "{key}");
        }
        let key = r#"{"deviceType":"t","deviceId":17,"timestamp":1483528293601}"#;
        let event = decode("[auto]", Some(key), &[], value).unwrap();
        assert_eq!(told(&event).0, "|t|17||json|2017-01-04T11:11:33.601Z");
    }

    #[test]
    fn a_template_reads_any_mqtt_topic() {
        let topic = "factory/hall1/line3/press7/state";
        let payload = format!(r#"{{"topic":"{topic}"}}"#);
        let template = "template: 'factory/{hall}/{type}/{id}/{event}'";
        for (place, key, headers) in [
            ("", Some(topic), &[][..]),
            (", header: topic", None, &[("topic", topic)][..]),
            (", path: $.payload.topic", None, &[][..]),
        ] {
            let identity = format!("[mqtt_topic: {{{template}{place}}}, plain]");
            let event = decode(&identity, key, headers, &payload).unwrap();
            assert_eq!(told(&event).0, format!("|line3|press7|state|json|{BROKER_TIME}"));
            let event = decode(&identity, Some("other"), &[("topic", "other")], "{}").unwrap();
            assert_eq!(told(&event).0, format!("||||json|{BROKER_TIME}"));
        }
        let rejection =
            decode(&format!("[mqtt_topic: {{{template}}}]"), Some("a/b"), &[], "{}").unwrap_err();
        assert!(rejection.message.contains("does not match the template `factory/"), "{rejection}");
        let identity = "[mqtt_topic: {template: '{event}/#'}, paths: {type: t, id: x}]";
        let event = decode(identity, Some("state/1"), &[], "{}").unwrap();
        assert_eq!(told(&event).0, format!("|t|x|state|json|{BROKER_TIME}"));
    }

    #[test]
    fn expressions_tell_the_identity() {
        let identity = r#"
- expression:
    org: kafka.headers.tenant
    type: 'payload.name.split("-")[0]'
    id: 'payload.name.split("-")[1]'
    event: 'payload.alarm ? "alarm" : "status"'
    time: { expression: payload.at, unit: s }
- plain"#;
        let headers = [("tenant", "acme"), ("tenant", "blue")];
        let value = r#"{"name":"pump-7","alarm":true,"at":1483528293.601}"#;
        let event = decode(identity, None, &headers, value).unwrap();
        assert_eq!(told(&event).0, "blue|pump|7|alarm|json|2017-01-04T11:11:33.601Z");
        // What an expression misses leaves the record to the next method.
        let event = decode(identity, None, &[], "{}").unwrap();
        assert_eq!(told(&event).0, format!("||||json|{BROKER_TIME}"));
        let key =
            "[expression: {type: '\"t\"', id: kafka.key, time: kafka.timestamp * 1000000000}]";
        let event = decode(key, Some("k"), &[], "null");
        assert!(event.unwrap_err().message.contains("option `unit`"));
        for (id, message) in [
            ("payload", "returns an object"),
            ("1.5", "fraction"),
            ("payload.a / 0", "failed"),
            ("payload.a + 'x'", "failed"),
        ] {
            let identity = format!("[expression: {{type: '\"t\"', id: \"{id}\"}}]");
            let rejection = decode(&identity, None, &[], r#"{"a":1}"#).unwrap_err();
            assert_eq!(rejection.cause, Cause::Identity, "{rejection}");
            assert!(rejection.message.contains(message), "{rejection}");
        }
        let missing = decode("[expression: {type: '\"t\"', id: payload.x}]", None, &[], "{}");
        assert!(missing.unwrap_err().message.contains("the expression of `id` has no result"));
    }

    #[test]
    fn the_last_of_repeated_headers_counts() {
        let topic = |id: &str| format!("iot-2/type/t/id/{id}/evt/e/fmt/json");
        let (first, last) = (topic("first"), topic("last"));
        let headers = [("mqtt-topic", first.as_str()), ("MQTT-Topic", &last), ("other", &first)];
        let event = decode("[auto]", None, &headers, "{}").unwrap();
        assert_eq!(told(&event).0, format!("|t|last|e|json|{BROKER_TIME}"));
    }

    #[test]
    fn configured_headers_are_case_sensitive() {
        let topic = "f/press/7";
        for way in [
            "mqtt_topic: {header: source, template: 'f/{type}/{id}'}",
            "mqtt_topic: {path: \"$.kafka.headers['source']\", template: 'f/{type}/{id}'}",
            "paths: {type: t, id: \"$.kafka.headers['source']\"}",
            "expression: {type: '\"t\"', id: kafka.headers.source}",
        ] {
            let identity = format!("[{way}]");
            assert!(decode(&identity, None, &[("source", topic)], "{}").is_ok(), "{way}");
            let others = [("other", "x"), ("Source", topic)];
            let rejection = decode(&identity, None, &others, "{}").unwrap_err();
            let hint = "there is a header `Source`, but header names are case-sensitive";
            assert!(rejection.message.contains(hint), "{way}: {rejection}");
            let both = [("source", topic), ("Source", "?")];
            assert!(decode(&identity, None, &both, "{}").is_ok(), "{way}");
            let none = decode(&identity, None, &[("other", "x")], "{}").unwrap_err();
            assert!(!none.message.contains("case"), "{way}: {none}");
        }
    }

    #[test]
    fn a_topic_replaces_only_what_it_names() {
        let paths = "paths: {type: t, id: $.payload.id, event: $.payload.kind, \
                     format: $.payload.fmt}";
        let value = r#"{"id":"d","kind":"door","fmt":"xml"}"#;
        for (template, topic, expected) in [
            ("f/{event}", "f/state", "|t|d|state|xml"),
            ("f/{event}/{format}", "f/state/csv", "|t|d|state|csv"),
            // A topic that does not fit, or has no id, leaves the record to the next method.
            ("f/{event}", "f/state/1", "|t|d|door|xml"),
            ("f/{type}/{id}", "f/a/", "|t|d|door|xml"),
        ] {
            let identity = format!("[mqtt_topic: {{template: '{template}'}}, {paths}]");
            let event = decode(&identity, Some(topic), &[], value).unwrap();
            assert_eq!(told(&event).0, format!("{expected}|{BROKER_TIME}"), "{template} {topic}");
        }
        // Of two topics the first counts, for each part.
        let identity = format!(
            "[mqtt_topic: {{template: '{{event}}/+'}}, \
              mqtt_topic: {{header: h, template: '+/{{event}}/{{format}}'}}, {paths}]"
        );
        let event = decode(&identity, Some("a/b"), &[("h", "x/c/csv")], value).unwrap();
        assert_eq!(told(&event).0, format!("|t|d|a|csv|{BROKER_TIME}"));
    }

    #[test]
    fn a_topic_that_is_not_utf_8_leaves_the_record_to_the_next_method() {
        let partition = SourcePartition::new("t", 0);
        let record = Record {
            partition: &partition,
            offset: 5,
            timestamp_ms: Some(7),
            key: Some(b"\xff"),
            value: Some(b"{}"),
            headers: Headers::default(),
            damage: None,
        };
        for template in ["{id}", "{event}", "+/{id}"] {
            let way = format!("mqtt_topic: {{template: '{template}'}}");
            let rejection = decoder(&format!("[{way}]")).decode(&record).unwrap_err();
            assert!(rejection.message.contains("the topic is not UTF-8"), "{rejection}");
            let event = decoder(&format!("[{way}, plain]")).decode(&record).unwrap();
            assert_eq!(told(&event).0, format!("||||json|{BROKER_TIME}"));
        }
    }

    #[test]
    fn times_are_read_alike_everywhere() {
        let read = |identity: &str, at: &str| {
            let value = format!(r#"{{"at":{at}}}"#);
            decode(identity, None, &[], &value).map(|event| event.info.time_text().unwrap())
        };
        let paths = |time: &str| format!("[paths: {{type: t, id: x, time: {time}}}]");
        for (time, at, expected) in [
            ("$.payload.at", "1767225600000", "2026-01-01T00:00:00.000Z"),
            ("$.kafka.timestamp", "null", "1970-01-01T00:00:00.007Z"),
            ("$.payload.at", "\"1767225600000\"", "2026-01-01T00:00:00.000Z"),
            (
                "$.payload.at",
                "\"2026-01-01T00:00:00.123456789Z\"",
                "2026-01-01T00:00:00.123456789Z",
            ),
            ("{path: $.payload.at, unit: s}", "1767225600.25", "2026-01-01T00:00:00.250Z"),
            ("{path: $.payload.at, unit: ns}", "1767225600000000000", "2026-01-01T00:00:00.000Z"),
            (
                "{path: $.payload.at, zone: Europe/Berlin}",
                "\"2026-07-01 02:00:00\"",
                "2026-07-01T00:00:00.000Z",
            ),
        ] {
            assert_eq!(read(&paths(time), at).unwrap(), expected, "{time} {at}");
        }
        // The broker's timestamp is in milliseconds, however implausible.
        for way in ["paths: {type: t, id: x,", "expression: {type: '\"t\"', id: '\"x\"',"] {
            let source = if way.starts_with("paths") { "path: $." } else { "expression: " };
            let short = source.split(": ").nth(1).unwrap();
            for (time, expected) in [
                (format!("{short}kafka.timestamp"), "1970-01-01T00:00:00.007Z"),
                (format!("{{{source}kafka.timestamp}}"), "1970-01-01T00:00:00.007Z"),
                (format!("{{{source}kafka.timestamp, zone: UTC}}"), "1970-01-01T00:00:00.007Z"),
                (format!("{{{source}kafka.timestamp, unit: s}}"), "1970-01-01T00:00:07.000Z"),
            ] {
                let identity = format!("[{way} time: {time}}}]");
                assert_eq!(read(&identity, "null").unwrap(), expected, "{identity}");
            }
        }
        for (at, expected) in [
            ("1767225600", "the option `unit`"),
            ("1767225600000000000", "the option `unit`"),
            ("\"2026-07-01 02:00:00\"", "`zone: Europe/Berlin`"),
            ("true", "a boolean is not a time"),
        ] {
            let rejection = read(&paths("$.payload.at"), at).unwrap_err();
            assert_eq!((rejection.cause, &*rejection.place), (Cause::Identity, "$.payload.at"));
            assert!(rejection.message.contains(expected), "{rejection}");
        }
    }

    #[test]
    fn a_null_value_is_an_event_without_payload() {
        let partition = SourcePartition::new("t", 0);
        let record = Record {
            partition: &partition,
            offset: 0,
            timestamp_ms: Some(7),
            key: Some(PLATFORM_KEY.as_bytes()),
            value: None,
            headers: Headers::default(),
            damage: None,
        };
        let event = Decoder::default().decode(&record).unwrap();
        assert_eq!((event.device.id.as_str(), &event.payload), ("dev1", &Value::Null));
        let rejection = Decoder::default().decode(&Record { value: Some(b""), ..record });
        assert_eq!(rejection.unwrap_err().cause, Cause::Empty);
        let damaged = Record { damage: Some("cut"), value: Some(b"{}"), ..record };
        let rejection = Decoder::default().decode(&damaged).unwrap_err();
        assert_eq!((rejection.cause, rejection.message.as_str()), (Cause::Envelope, "cut"));
    }

    /// The scenarios of the CloudEvents conformance suite for Kafka.
    #[test]
    fn the_official_cloudevents_scenarios() {
        let structured = r#"{"specversion":"1.0","type":"com.example.someevent","time":"2018-04-05T03:56:24Z","id":"1234-1234-1234","source":"/mycontext/subcontext","datacontenttype":"application/json","data":{"message":"Hello World!"}}"#;
        let binary = [
            ("ce_specversion", "1.0"),
            ("ce_id", "1234-1234-1234"),
            ("ce_type", "com.example.someevent"),
            ("ce_source", "/mycontext/subcontext"),
            ("ce_time", "2018-04-05T03:56:24Z"),
            ("content-type", "application/json"),
        ];
        let scenarios: [(HeaderList<'_>, &str); 4] = [
            (&binary, r#"{"message": "Hello World!"}"#),
            (&[("content-type", "application/cloudevents+json")], structured),
            (&[("content-type", "application/cloudevents+json; charset=utf-8")], structured),
            (&[("Content-Type", "Application/CloudEvents+JSON;charset=UTF-8")], structured),
        ];
        for identity in ["[auto]", "[cloudevents]"] {
            for (headers, value) in scenarios {
                let (identity, payload) = told(&decode(identity, None, headers, value).unwrap());
                let device = "|mycontext|subcontext|com.example.someevent|json";
                assert_eq!(identity, format!("{device}|2018-04-05T03:56:24.000Z"));
                assert_eq!(payload, json!({"message": "Hello World!"}));
            }
        }
    }

    #[test]
    fn source_and_subject_name_the_device() {
        let table = [
            ("/plant1/press/7", "", "plant1|press|7"),
            ("/plant1/press", "7", "plant1|press|7"),
            ("urn:plant1:press:7", "", "plant1|press|7"),
            ("https://example.com/eu/plant1/press", "a/b", "plant1|press|a/b"),
            ("press-7", "", "||press-7"),
        ];
        for (source, subject, expected) in table {
            let value = json!({"specversion": "1.0", "id": "1", "type": "t", "source": source,
                "subject": subject, "data_base64": "MQ=="});
            let headers = [("content-type", "application/cloudevents+json")];
            let event = decode("[auto]", None, &headers, &value.to_string()).unwrap();
            assert_eq!(told(&event), (format!("{expected}|t|json|{BROKER_TIME}"), json!(1)));
        }
    }

    #[test]
    fn faults_of_the_configuration_have_their_place() {
        let table = [
            ("[]", "1:1", "`identity` is empty"),
            ("[auto, platform_key, plain, type_id_key]", "1:29", "never tried"),
            ("[paths: {type: t, id: $.device.id}]", "1:23", "neither `$.payload`"),
            ("[paths: {type: t, id: '$.payload[*]'}]", "1:23", "more than one value"),
            ("[paths: {type: t, id: $.payload.i, time: noon}]", "1:42", "the same for every event"),
            ("[paths: {type: t, id: i, time: {unit: s}}]", "1:32", "needs a `path`"),
            (
                "[paths: {type: t, id: i, time: {path: $.payload.t, zone: X}}]",
                "1:58",
                "no time zone",
            ),
            ("[mqtt_topic: {template: 'a/b'}]", "1:25", "neither `{id}` nor `{event}`"),
            ("[mqtt_topic: {header: a, path: $.payload.t}]", "1:2", "not both"),
            ("[mqtt_topic: {path: $.device.t}]", "1:21", "neither `$.payload`"),
            ("[expression: {type: '\"t\"', id: device.id}]", "1:32", "no variable `device`"),
            ("[expression: {type: '\"t\"', id: kafka.kee}]", "1:32", "no `kafka.kee`"),
            ("[expression: {type: '\"t\"', id: 'f('}]", "1:32", ""),
            ("[expression: {type: a, id: kafka.key}]", "1:21", "no variable `a`"),
            (
                "[expression: {type: kafka.key, id: kafka.key, time: {path: $.payload.t}}]",
                "1:53",
                "needs an `expression`",
            ),
        ];
        for (identity, place, expected) in table {
            let form = yaml::parse::<IdentityForm>(Path::new("c.yaml"), identity).unwrap();
            let diagnostics = Decoder::new(&form[0], Path::new("c.yaml")).unwrap_err();
            assert_eq!(diagnostics.len(), 1, "{identity}");
            let text = diagnostics[0].to_string();
            assert!(text.starts_with(&format!("c.yaml:{place}: error: ")), "{text}");
            assert!(text.contains(expected), "{text}");
        }
        for identity in [
            "auto",
            "[paths: {id: $.payload.i}]",
            "[paths: {type: t, id: i, x: y}]",
            "[paths: {type: t, id: i, time: {path: $.payload.t, unit: minutes}}]",
            "[mqtt_topic: header]",
            "[mqtt_topic: {place: key}]",
            "[expression: {id: kafka.key}]",
        ] {
            assert!(yaml::parse::<IdentityForm>(Path::new("c.yaml"), identity).is_err());
        }
    }

    #[test]
    fn the_schema_describes_the_identity() {
        let schema = schemars::schema_for!(IdentityForm).to_value();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let file = Path::new("c.yaml");
        for (identity, valid) in [
            ("[auto]", true),
            ("[platform_key, mqtt_topic: key, plain]", true),
            ("[mqtt_topic: {header: topic}]", true),
            ("[mqtt_topic: {template: '{id}', path: $.payload.t}]", true),
            ("[paths: {type: t, id: i, time: $.payload.t}]", true),
            ("[paths: {type: t, id: i, time: {path: $.payload.t, unit: s, zone: UTC}}]", true),
            ("[expression: {type: a, id: b, time: {expression: c, ambiguous: later}}]", true),
            ("[mqtt_topic: header]", false),
            ("[mqtt_topic: null]", false),
            ("[paths: {type: t}]", false),
            ("[expression: {type: t, id: i, time: {unit: h}}]", false),
        ] {
            let value = yaml::parse::<serde_json::Value>(file, identity).unwrap().remove(0);
            assert_eq!(validator.is_valid(&value), valid, "{identity}");
            assert_eq!(yaml::parse::<IdentityForm>(file, identity).is_ok(), valid, "{identity}");
        }
    }

    #[test]
    fn an_unknown_record_says_why_of_each_way() {
        let rejection =
            decode("[platform_key, mqtt_topic: key]", Some("?"), &[], "{}").unwrap_err();
        assert_eq!(
            rejection.message,
            "no configured method identifies the device; platform_key: the key is not a JSON object; \
             mqtt_topic: the topic does not start with `iot-2/`"
        );
        assert_eq!(rejection.cause, Cause::Identity);
        // Also of those that were evaluated, in the order of the ways.
        let identity = "[expression: {type: payload.x, id: '\"a\"'}, paths: {type: t, id: $.payload.y}, \
                        expression: {type: '\"t\"', id: payload.x}]";
        let rejection = decode(identity, None, &[], "{}").unwrap_err();
        assert_eq!(
            rejection.message,
            "no configured method identifies the device; expression: the expression of `type` has \
             no result; paths: the path of `id` selects nothing; expression: the expression of `id` \
             has no result"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(
            key in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40)),
            value in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..80)),
            headers in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let partition = SourcePartition::new("t", 0);
            let record = Record {
                partition: &partition,
                offset: 0,
                timestamp_ms: None,
                key: key.as_deref(),
                value: value.as_deref(),
                headers: Headers::from_encoded(&headers),
                damage: None,
            };
            let _ = Decoder::default().decode(&record);
        }

        #[test]
        fn texts_near_the_real_forms_are_judged(
            key in r#"(\{"deviceType":"a","deviceId":"[ab]?"[,}]|iot-2/[a-z/]{0,20}|[a-z]:[a-z])"#,
            content_type in r"(application/cloudevents(\+json)?|ce_type)",
            value in r#"\{"(id|typeId|payload|data)":["0-9a-z{}]{0,12}\}"#,
        ) {
            let headers = [("content-type", content_type.as_str())];
            let _ = decode("[auto]", Some(&key), &headers, &value);
        }
    }
}
