//! The tests in a mapping's file, run on the real evaluation.

use std::path::Path;

use crate::codec::json::{Text, Value};
use similar::TextDiff;

use super::form::{EventForm, ExpectForm, KafkaForm, RecordForm, RejectedForm, TestForm};
use super::{Mapping, Outcome, evaluate_all};
use crate::budget::Budget;
use crate::codec::yaml::{Exact, Located};
use crate::codec::{Writer, json, number};
use crate::diagnostic::{Diagnostic, TestResult, did_you_mean};
use crate::event::time::{SentTime, TimeReader};
use crate::event::{
    Cause, Decoder, Device, Event, EventInfo, Headers, Record, RecordDigests, Rejection,
    SourcePartition,
};

/// Topic of a test's event where neither the test nor the mapping names one.
const TOPIC: &str = "test";

/// Runs all tests of a mapping, in the order of the file.
pub(super) fn run(mapping: &Mapping) -> Vec<TestResult> {
    let tests = mapping.tests.iter();
    let results = tests.map(|test| TestResult {
        file: mapping.file.clone(),
        place: test.place,
        definition: mapping.name.to_string(),
        test: test.value.name.clone(),
        failure: failure(mapping, &test.value),
    });
    results.collect()
}

/// The event of a test as a record, to be tried elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Name of the test.
    pub test: String,
    /// Topic.
    pub topic: String,
    /// Key, where there is one.
    pub key: Option<String>,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The broker's timestamp in milliseconds since 1970, where there is one.
    pub timestamp_ms: Option<i64>,
    /// Value; `None` is a tombstone.
    pub value: Option<String>,
}

/// The events of a mapping's tests as records.
pub(super) fn examples(mapping: &Mapping) -> impl Iterator<Item = Example> {
    mapping.tests.iter().filter_map(|test| {
        let (kafka, key, value) = match (&test.value.event, &test.value.record) {
            (Some(form), _) => {
                let value = form.payload.as_ref().map(|payload| payload.value.0.to_string());
                let key = form.kafka.key.clone().unwrap_or_else(|| platform_key(mapping, form));
                (&form.kafka, Some(key), value)
            }
            (None, Some(form)) => (&form.kafka, form.kafka.key.clone(), form.value.clone()),
            (None, None) => return None,
        };
        let headers = kafka.headers.iter().map(|(name, value)| (name.clone(), value.clone()));
        Some(Example {
            test: test.value.name.clone(),
            topic: partition(mapping, kafka).topic.to_string(),
            key,
            headers: headers.collect(),
            timestamp_ms: kafka.timestamp,
            value,
        })
    })
}

/// A record key that tells device and event, for an event that says them apart from any record.
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

/// Errors in tests that prevent running them.
pub(super) fn diagnostics(file: &Path, tests: &[Located<TestForm>]) -> Vec<Diagnostic> {
    tests.iter().filter_map(|test| diagnostic(file, test)).collect()
}

fn diagnostic(file: &Path, test: &Located<TestForm>) -> Option<Diagnostic> {
    let form = &test.value;
    if form.event.is_some() == form.record.is_some() {
        let message = format!("the test `{}` has no event", form.name);
        return Some(
            Diagnostic::error(file, test.place, message).help("one of `event` and `record`"),
        );
    }
    let time = form.event.as_ref().and_then(|event| event.event.time.as_ref());
    if let Some(Err(error)) = time.map(|time| event_time(&time.value)) {
        let place = time.map_or(test.place, |time| time.place);
        return Some(Diagnostic::error(file, place, error));
    }
    let ExpectForm::Rejected(RejectedForm { cause, .. }) = &form.expect.value else { return None };
    let known = Cause::ALL.map(Cause::name);
    if known.contains(&cause.value.as_str()) {
        return None;
    }
    let message = format!("there is no cause `{}`", cause.value);
    Some(Diagnostic::error(file, cause.place, message).help(did_you_mean(&cause.value, known)))
}

/// The difference from the expected result of the test.
fn failure(mapping: &Mapping, test: &TestForm) -> Option<String> {
    let outcome = match (&test.event, &test.record) {
        (Some(event), None) => match event_of(mapping, event) {
            Ok(event) => evaluate_all(std::slice::from_ref(mapping), &event, &Budget::new()),
            Err(message) => return Some(message),
        },
        (None, Some(record)) => outcome_of_record(mapping, record),
        _ => return Some("the test needs one of `event` and `record`".to_owned()),
    };
    match (&test.expect.value, &outcome) {
        (ExpectForm::Payloads(expected), _) => payload_difference(expected, &outcome),
        (ExpectForm::Filtered, Outcome::NotMatched) => None,
        (ExpectForm::Filtered, _) => Some(format!("expected: filtered\ngot: {}", shown(&outcome))),
        (ExpectForm::Rejected(expected), outcome) => rejection_difference(expected, outcome),
    }
}

/// An event from its parts; what is not said comes from the mapping's `match`.
fn event_of(mapping: &Mapping, form: &EventForm) -> Result<Event, String> {
    let payload = form.payload.as_ref().map_or(Value::Null, |payload| payload.value.0.clone());
    let bytes = payload.to_string().into_bytes();
    // The same bounds as for a record: a test cannot promise what a record is refused for.
    let payload = json::parse(&bytes).map_err(|error| format!("the payload: {error}"))?;
    let time = form.event.time.as_ref().map(|text| event_time(&text.value)).transpose()?;
    let or = |given: &Option<String>, fallback: Option<&str>| {
        given.as_deref().or(fallback).unwrap_or_default().into()
    };
    let (partition, headers) = (partition(mapping, &form.kafka), headers(&form.kafka));
    let record = Record {
        partition: &partition,
        offset: form.kafka.offset,
        timestamp_ms: form.kafka.timestamp,
        key: form.kafka.key.as_ref().map(String::as_bytes),
        value: Some(&bytes),
        headers: Headers::from_encoded(&headers),
        damage: None,
    };
    let digests = RecordDigests::of(&record);
    Ok(Event {
        partition,
        offset: form.kafka.offset,
        timestamp_ms: form.kafka.timestamp,
        key: form.kafka.key.as_ref().map(|key| key.clone().into_bytes()),
        header_bytes: headers,
        device: Device {
            org: or(&form.device.org, None),
            device_type: or(&form.device.device_type, mapping.device_type.as_deref()),
            id: or(&form.device.id, None),
        },
        info: EventInfo {
            event_type: or(&form.event.event_type, mapping.event_type.as_deref()),
            format: or(&form.event.format, Some("json")),
            time_ms: time.map(SentTime::ms).or(form.kafka.timestamp),
            time_below_ms_ns: time.map_or(0, SentTime::below_ms_ns),
        },
        payload,
        digests,
    })
}

/// The time of a test's event: a timestamp in text.
fn event_time(text: &str) -> Result<SentTime, String> {
    TimeReader::default().text(text, None).map_err(|error| error.to_string())
}

fn outcome_of_record(mapping: &Mapping, form: &RecordForm) -> Outcome {
    let partition = partition(mapping, &form.kafka);
    let headers = headers(&form.kafka);
    let record = Record {
        partition: &partition,
        offset: form.kafka.offset,
        timestamp_ms: form.kafka.timestamp,
        key: form.kafka.key.as_ref().map(String::as_bytes),
        value: form.value.as_ref().map(String::as_bytes),
        headers: Headers::from_encoded(&headers),
        damage: None,
    };
    match Decoder::default().decode(&record) {
        Ok(event) => evaluate_all(std::slice::from_ref(mapping), &event, &Budget::new()),
        Err(rejection) => Outcome::Rejected(rejection),
    }
}

fn partition(mapping: &Mapping, form: &KafkaForm) -> SourcePartition {
    let topic = form.topic.as_deref().or(mapping.topics.as_deref()).unwrap_or(TOPIC);
    SourcePartition::new(topic, form.partition)
}

fn headers(form: &KafkaForm) -> Vec<u8> {
    let mut writer = Writer::new();
    for (name, value) in &form.headers {
        writer.text(name);
        writer.option(Some(value), |writer, value| writer.text(value));
    }
    writer.into_bytes()
}

fn payload_difference(expected: &[Exact], outcome: &Outcome) -> Option<String> {
    let expected: Value = expected.iter().map(|arguments| arguments.0.clone()).collect();
    let Outcome::Mapped(payloads) = outcome else {
        return Some(format!("expected payloads: {}\ngot: {}", pretty(&expected), shown(outcome)));
    };
    let given: Value = payloads.iter().map(|payload| payload.arguments.value().clone()).collect();
    if is_equal(&expected, &given) {
        return None;
    }
    let (expected, given) = (pretty(&expected), pretty(&given));
    let difference = TextDiff::from_lines(expected.as_str(), given.as_str());
    Some(difference.unified_diff().header("expected", "given").to_string())
}

fn rejection_difference(expected: &RejectedForm, outcome: &Outcome) -> Option<String> {
    let cause = &expected.cause.value;
    let wanted = match &expected.path {
        Some(path) => format!("rejected, {cause} at {path}"),
        None => format!("rejected, {cause}"),
    };
    if let Outcome::Rejected(Rejection { cause: given, place, .. }) = outcome
        && given.name() == cause
        && expected.path.as_ref().is_none_or(|path| path == place)
    {
        return None;
    }
    Some(format!("expected: {wanted}\ngot: {}", shown(outcome)))
}

fn shown(outcome: &Outcome) -> String {
    match outcome {
        Outcome::NotMatched => "filtered".to_owned(),
        Outcome::Rejected(rejection) => {
            format!("rejected, {} at {}: {}", rejection.cause, rejection.place, rejection.message)
        }
        Outcome::Mapped(payloads) => {
            let arguments = payloads.iter().map(|payload| payload.arguments.value().clone());
            format!("payloads: {}", pretty(&arguments.collect()))
        }
    }
}

fn pretty(value: &Value) -> String {
    // A value always has a string.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

/// Equality with numbers by value.
fn is_equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => number::compare(left, right).is_eq(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| is_equal(l, r))
        }
        (Value::Object(left), Value::Object(right)) => {
            let same = |((name, left), (other, right)): ((&Text, &Value), (&Text, &Value))| {
                name == other && is_equal(left, right)
            };
            left.len() == right.len() && left.iter().zip(right).all(same)
        }
        (left, right) => left == right,
    }
}
