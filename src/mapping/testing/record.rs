//! From a test's form to its event: the record that it stands for, read as in the pipeline.

use super::super::Mapping;
use super::super::form::{BytesForm, EventForm, KafkaForm, RecordForm, TestForm};
use super::TestInputs;
use crate::codec::Writer;
use crate::codec::json::{Text, Value};
use crate::codec::yaml::Located;
use crate::diagnostic::Place;
use crate::event::time::{SentTime, TimeReader};
use crate::event::{
    BodyForm, Decoder, Device, Event, EventInfo, Headers, IdentityForm, MethodForm, Record,
    Rejection, SourcePartition,
};

/// Topic of a test's event where neither the test nor the mapping names one.
const TOPIC: &str = "test";

/// The record of a test, to be tried elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Name of the test.
    pub test: String,
    /// Topic.
    pub topic: String,
    /// Key, where there is one.
    pub key: Option<Vec<u8>>,
    /// Headers.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The broker's timestamp in milliseconds since 1970, where there is one.
    pub timestamp_ms: Option<i64>,
    /// Value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
}

/// The events of a mapping's tests as records.
pub(in crate::mapping) fn examples(mapping: &Mapping) -> impl Iterator<Item = Example> {
    // Bytes that cannot be read do not get past `check`.
    let own = |form: &Located<BytesForm>| form.value.bytes().unwrap_or_default();
    mapping.tests.iter().filter_map(move |test| {
        let (kafka, key, value) = match (&test.value.event, &test.value.record) {
            (Some(form), _) => {
                let payload = form.payload.as_ref();
                let value = match &form.value {
                    Some(value) => Some(own(value)),
                    None => payload.map(|payload| payload.value.0.to_string().into_bytes()),
                };
                let platform = || platform_key(mapping, form).into_bytes();
                let key = form.kafka.key.as_ref().map_or_else(platform, own);
                (&form.kafka, Some(key), value)
            }
            (None, Some(form)) => {
                (&form.kafka, form.kafka.key.as_ref().map(own), form.value.as_ref().map(own))
            }
            (None, None) => return None,
        };
        Some(Example {
            test: test.value.name.clone(),
            topic: partition(mapping, kafka).topic.to_string(),
            key,
            headers: kafka.headers.iter().map(|(name, value)| (name.clone(), own(value))).collect(),
            timestamp_ms: kafka.timestamp,
            value,
        })
    })
}

/// A record key that names device and event, for an event in parts.
fn platform_key(mapping: &Mapping, form: &EventForm) -> String {
    let or = |given: &Option<String>, fallback: Option<&str>| {
        given.as_deref().or(fallback).unwrap_or("example").to_owned()
    };
    let time = form.event.time.as_ref().map(|time| time.value.clone());
    let mut key = serde_json::json!({
        "deviceType": or(&form.device.device_type, mapping.device_type.as_deref()),
        "deviceId": or(&form.device.id, None),
        "eventType": or(&form.event.event_type, mapping.event_type.as_deref()),
    });
    let optional = [("orgId", form.device.org.clone()), ("timestamp", time)];
    for (name, value) in optional {
        if let (Some(value), Some(key)) = (value, key.as_object_mut()) {
            key.insert(name.to_owned(), value.into());
        }
    }
    key.to_string()
}

/// A test's event, and what it was read with.
pub(super) struct Read {
    pub(super) event: Result<Event, Rejection>,
    /// The identity methods and body format that the record was read with, for failures.
    pub(super) with: Option<String>,
}

/// The event of a test.
///
/// # Errors
///
/// A test that cannot be run.
pub(super) fn read(
    mapping: &Mapping,
    test: &TestForm,
    inputs: &TestInputs,
) -> Result<Read, String> {
    match (&test.event, &test.record) {
        (Some(event), None) => event_of(mapping, test, event, inputs),
        (None, Some(record)) => event_of_record(mapping, test, record, inputs),
        _ => Err("the test needs one of `event` and `record`".to_owned()),
    }
}

/// An event from its parts; what is not given comes from the mapping's `match`.
fn event_of(
    mapping: &Mapping,
    test: &TestForm,
    form: &EventForm,
    inputs: &TestInputs,
) -> Result<Read, String> {
    let partition = partition(mapping, &form.kafka);
    let input = inputs.of_stream(&partition.topic);
    let body = match (&form.value, &test.body) {
        (None, _) => BodyForm::default(),
        (Some(_), Some(body)) => body.value,
        (Some(_), None) => input.map(|input| input.decoder.body()).unwrap_or_default(),
    };
    let time = form.event.time.as_ref().map(|text| event_time(&text.value)).transpose()?;
    // The same bounds as for a record: a test cannot promise what a record is refused for.
    let plain = IdentityForm(vec![Located { value: MethodForm::Plain, place: Place::START }]);
    let plain = decoder(&plain, mapping)?.with_body(body);
    let value = match &form.value {
        Some(value) => value.value.bytes()?,
        None => form.payload.as_ref().map_or(&Value::Null, |json| &json.value.0).to_bytes(),
    };
    let event = match OwnRecord::of(partition, &form.kafka, Some(value))?.decode(&plain) {
        Ok(event) => event,
        Err(rejection) if form.value.is_none() => return Err(format!("the payload: {rejection}")),
        Err(rejection) => return Ok(Read { event: Err(rejection), with: None }),
    };
    let or = |given: &Option<String>, fallback: Option<&str>| {
        given.as_deref().or(fallback).unwrap_or_default().into()
    };
    let info = EventInfo {
        event_type: or(&form.event.event_type, mapping.event_type.as_deref()),
        format: form.event.format.as_deref().map_or(event.info.format, Text::new),
        time_ms: time.map(SentTime::ms).or(form.kafka.timestamp),
        time_below_ms_ns: time.map_or(0, SentTime::below_ms_ns),
    };
    let device = Device {
        org: or(&form.device.org, None),
        device_type: or(&form.device.device_type, mapping.device_type.as_deref()),
        id: or(&form.device.id, None),
    };
    Ok(Read { event: Ok(Event { device, info, ..event }), with: None })
}

/// The event of a record, read as the test, else the configuration says.
fn event_of_record(
    mapping: &Mapping,
    test: &TestForm,
    form: &RecordForm,
    inputs: &TestInputs,
) -> Result<Read, String> {
    let partition = partition(mapping, &form.kafka);
    let input = inputs.of_stream(&partition.topic);
    let configured = input.map(|input| input.decoder.as_ref().clone()).unwrap_or_default();
    let body = test.body.as_ref().map_or(configured.body(), |body| body.value);
    let (decoder, origin) = match (&test.identity, input) {
        (Some(form), _) => (decoder(&form.value, mapping)?, "`identity` of the test".to_owned()),
        (None, Some(input)) => (configured, format!("`identity` of {}", input.name)),
        (None, None) => {
            (configured, "`identity: [auto]`; `--config` names a configuration".to_owned())
        }
    };
    let value = form.value.as_ref().map(|value| value.value.bytes()).transpose()?;
    let record = OwnRecord::of(partition, &form.kafka, value)?;
    let event = record.decode(&decoder.with_body(body));
    let with =
        format!("the body was read as `{}`, the device found by {origin}", body.format.name());
    Ok(Read { event, with: Some(with) })
}

fn decoder(form: &IdentityForm, mapping: &Mapping) -> Result<Decoder, String> {
    Decoder::new(form, &mapping.file).map_err(|found| {
        found.first().map_or_else(String::new, |diagnostic| diagnostic.message.clone())
    })
}

/// The time of a test's event: a timestamp in text.
pub(super) fn event_time(text: &str) -> Result<SentTime, String> {
    TimeReader::default().text(text, None).map_err(|error| error.to_string())
}

/// A record with bytes of its own.
struct OwnRecord {
    partition: SourcePartition,
    offset: u64,
    timestamp_ms: Option<i64>,
    key: Option<Vec<u8>>,
    headers: Vec<u8>,
    value: Option<Vec<u8>>,
}

impl OwnRecord {
    fn of(
        partition: SourcePartition,
        kafka: &KafkaForm,
        value: Option<Vec<u8>>,
    ) -> Result<Self, String> {
        let mut headers = Writer::new();
        for (name, value) in &kafka.headers {
            headers.text(name);
            headers.option(Some(value.value.bytes()?), |writer, value| writer.bytes(&value));
        }
        Ok(Self {
            partition,
            offset: kafka.offset,
            timestamp_ms: kafka.timestamp,
            key: kafka.key.as_ref().map(|key| key.value.bytes()).transpose()?,
            headers: headers.into_bytes(),
            value,
        })
    }

    fn decode(&self, decoder: &Decoder) -> Result<Event, Rejection> {
        decoder.decode(&Record {
            partition: &self.partition,
            offset: self.offset,
            timestamp_ms: self.timestamp_ms,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: Headers::from_encoded(&self.headers),
            damage: None,
        })
    }
}

fn partition(mapping: &Mapping, form: &KafkaForm) -> SourcePartition {
    let topic = form.topic.as_deref().or(mapping.topics.as_deref()).unwrap_or(TOPIC);
    SourcePartition::new(topic, form.partition)
}
