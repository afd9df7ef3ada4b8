//! From a record to an event: limits, strict JSON, identity. Pure: the same record and
//! configuration give the same event or the same rejection.

use std::path::Path;

use crate::codec::json::{self, JsonErrorKind, Value};
use crate::event::identity::{self, IdentityForm, Way};
use crate::event::ways::{self, Found, Identity, refused};
use crate::event::{
    Cause, Device, Event, EventInfo, Record, RecordDigests, Rejection, cloudevents,
};
use crate::fault::Fault;
use crate::limits::{
    MAX_HEADER_BYTES, MAX_HEADERS, MAX_IDENTITY_BYTES, MAX_KEY_BYTES, MAX_RECORD_BYTES,
};

/// A source marks what is no record at all with this header: the record's value holds the original
/// bytes, the header says what is wrong. It is dead-lettered with [`Cause::Envelope`].
pub const BAD_ENVELOPE_HEADER: &str = "ledgerline-bad-envelope";

/// Makes events of records.
#[derive(Debug, Clone)]
pub struct Decoder {
    ways: Vec<Way>,
}

impl Default for Decoder {
    /// The decoder of `identity: [auto]`.
    fn default() -> Self {
        Self { ways: identity::auto() }
    }
}

impl Decoder {
    /// A decoder for this configuration, or every fault in it; `file` is where the form stood.
    pub fn new(form: &IdentityForm, file: &Path) -> Result<Self, Vec<Fault>> {
        Ok(Self { ways: identity::check(form, file)? })
    }

    /// Makes an event of a record, or says why it cannot be one.
    ///
    /// The causes are [`Cause::Empty`], [`Cause::TooLarge`], [`Cause::NotUtf8`], [`Cause::NotJson`],
    /// [`Cause::DuplicateKey`], [`Cause::TooDeep`], [`Cause::Number`], [`Cause::Identity`] and
    /// [`Cause::Envelope`].
    pub fn decode(&self, record: &Record<'_>) -> Result<Event, Rejection> {
        let value = check_sizes(record)?;
        let mut body = parse_body(value, "")?;
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
        let mut event_only: Option<EventInfo> = None;
        for way in &self.ways {
            match look(way, record, body)? {
                Found::Known(identity) if identity.device.id.is_empty() && !way.is_plain() => {
                    return Err(refused("$.device.id", "the device id is empty"));
                }
                Found::Known(mut identity) => {
                    if let Some(info) = event_only {
                        identity.info.event_type = info.event_type;
                        identity.info.format = info.format;
                    }
                    return Ok(identity);
                }
                Found::EventOnly(info) => event_only = event_only.or(Some(info)),
                Found::Not(_) => {}
            }
        }
        Err(self.unknown(record, body))
    }

    /// Says of each way why it is not the record's. Only on the way to the dead letters.
    fn unknown(&self, record: &Record<'_>, body: &mut Value) -> Rejection {
        let mut message = String::from("no configured way identifies the device");
        for way in &self.ways {
            let reason = match look(way, record, body) {
                Ok(Found::Not(reason)) => reason,
                Ok(Found::EventOnly(_)) => "the topic names no device",
                Ok(Found::Known(_)) | Err(_) => continue,
            };
            message.push_str("; ");
            message.push_str(way.name());
            message.push_str(": ");
            message.push_str(reason);
        }
        refused("", message)
    }
}

fn look(way: &Way, record: &Record<'_>, body: &mut Value) -> Result<Found, Rejection> {
    match way {
        Way::PlatformKey => ways::platform_key(record),
        Way::TypeIdKey => ways::type_id_key(record, body),
        Way::MqttKey => ways::mqtt_key(record),
        Way::MqttHeader(name) => ways::mqtt_header(record, name),
        Way::CloudEvents => cloudevents::cloudevent(record, body),
        Way::Paths(paths) => ways::by_paths(paths, record, body),
        Way::Plain => Ok(Found::Known(Identity {
            info: EventInfo { format: ways::JSON, ..EventInfo::default() },
            ..Identity::default()
        })),
    }
}

/// Holds the limits of a record and gives its value.
fn check_sizes<'a>(record: &Record<'a>) -> Result<&'a [u8], Rejection> {
    let too_large = |place: &str, what: &str, bytes: usize, limit: usize| {
        let message = format!("the {what} has {bytes} bytes, the limit is {limit}");
        Err(Rejection::new(Cause::TooLarge, place, message))
    };
    for (index, (name, value)) in record.headers.iter().enumerate() {
        if name == BAD_ENVELOPE_HEADER {
            let message = String::from_utf8_lossy(value.unwrap_or_default());
            return Err(Rejection::new(Cause::Envelope, "", message));
        }
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
        None => Err(Rejection::new(Cause::Empty, "", "the record has no value (a tombstone)")),
        Some([]) => Err(Rejection::new(Cause::Empty, "", "the value has no bytes")),
        Some(value) if value.len() > MAX_RECORD_BYTES => {
            too_large("", "value", value.len(), MAX_RECORD_BYTES)
        }
        Some(value) => Ok(value),
    }
}

/// Parses strict JSON; `whose` ends the place where it is not the record's value itself.
pub(super) fn parse_body(bytes: &[u8], whose: &str) -> Result<Value, Rejection> {
    json::parse(bytes).map_err(|error| {
        let cause = match error.kind {
            JsonErrorKind::NotUtf8 => Cause::NotUtf8,
            JsonErrorKind::Syntax => Cause::NotJson,
            JsonErrorKind::DuplicateKey => Cause::DuplicateKey,
            JsonErrorKind::TooDeep => Cause::TooDeep,
            JsonErrorKind::Number => Cause::Number,
        };
        let place = format!("line {}, column {}{whose}", error.line, error.column);
        Rejection::new(cause, place, error.message)
    })
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
        })
    }

    /// Organisation, type, id, event type, format, time, payload.
    fn told(event: &Event) -> (String, Value) {
        let Device { org, device_type, id } = &event.device;
        let EventInfo { event_type, format, time_ms } = &event.info;
        let time = time_ms.and_then(crate::event::time::format).unwrap_or_default();
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
            ("[paths: {type: t, id: $.device.id}]", "1:23", "neither with `$.payload`"),
            ("[paths: {type: t, id: '$.payload[*]'}]", "1:23", "a quoted name or an index"),
            ("[paths: {type: t, id: $.payload.i, time: noon}]", "1:42", "the same for every event"),
        ];
        for (identity, place, expected) in table {
            let form = yaml::parse::<IdentityForm>(Path::new("c.yaml"), identity).unwrap();
            let faults = Decoder::new(&form[0], Path::new("c.yaml")).unwrap_err();
            assert_eq!(faults.len(), 1, "{identity}");
            let text = faults[0].to_string();
            assert!(text.starts_with(&format!("c.yaml:{place}: error: ")), "{text}");
            assert!(text.contains(expected), "{text}");
        }
        for identity in ["auto", "[paths: {id: $.payload.i}]", "[paths: {type: t, id: i, x: y}]"] {
            assert!(yaml::parse::<IdentityForm>(Path::new("c.yaml"), identity).is_err());
        }
    }

    #[test]
    fn an_unknown_record_says_why_of_each_way() {
        let rejection =
            decode("[platform_key, mqtt_topic: key]", Some("?"), &[], "{}").unwrap_err();
        assert_eq!(
            rejection.message,
            "no configured way identifies the device; platform_key: the key is no JSON object; \
             mqtt_topic: the topic does not begin with `iot-2/`"
        );
        assert_eq!(rejection.cause, Cause::Identity);
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
