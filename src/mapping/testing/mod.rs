//! The tests in a mapping's file, run on the real decoding and evaluation.

mod check;
mod record;

use std::sync::Arc;

use similar::TextDiff;

use super::form::{ExpectForm, RejectedForm, TestForm};
use super::{Mapping, Outcome, evaluate_all};
use crate::budget::Budget;
use crate::codec::json::{Text, Value};
use crate::codec::number;
use crate::codec::yaml::Exact;
use crate::diagnostic::TestResult;
use crate::event::StreamNames;
use crate::event::{Decoder, Rejection};

pub(super) use check::diagnostics;
pub use record::Example;
pub(super) use record::examples;

/// The inputs whose identity methods and body format the records of tests are read with.
#[derive(Debug, Clone, Default)]
pub struct TestInputs {
    /// The inputs of a configuration, in order; empty for the identity `auto` and JSON.
    pub inputs: Vec<TestInput>,
}

/// One input of a configuration, as tests see it.
#[derive(Debug, Clone)]
pub struct TestInput {
    /// The name in messages, such as `source of ledgerline.yaml`.
    pub name: String,
    /// Names of its streams.
    pub streams: StreamNames,
    /// Its identity methods and body format.
    pub decoder: Arc<Decoder>,
}

impl TestInputs {
    /// The input that gives a stream; the first one where none does.
    fn of_stream(&self, stream: &str) -> Option<&TestInput> {
        let gives = |input: &&TestInput| input.streams.contains(stream);
        self.inputs.iter().find(gives).or(self.inputs.first())
    }
}

/// Runs all tests of a mapping, in the order of the file.
pub(super) fn run(mapping: &Mapping, inputs: &TestInputs) -> Vec<TestResult> {
    let tests = mapping.tests.iter();
    let results = tests.map(|test| TestResult {
        file: mapping.file.clone(),
        place: test.place,
        definition: mapping.name.to_string(),
        test: test.value.name.clone(),
        failure: failure(mapping, &test.value, inputs),
    });
    results.collect()
}

/// The difference from the result that the test expects.
fn failure(mapping: &Mapping, test: &TestForm, inputs: &TestInputs) -> Option<String> {
    let read = match record::read(mapping, test, inputs) {
        Ok(read) => read,
        Err(message) => return Some(message),
    };
    let outcome = match &read.event {
        Ok(event) => evaluate_all(std::slice::from_ref(mapping), event, &Budget::new()),
        Err(rejection) => Outcome::Rejected(rejection.clone()),
    };
    let difference = match (&test.expect.value, &outcome) {
        (ExpectForm::Payloads(expected), _) => payload_difference(expected, &outcome),
        (ExpectForm::Filtered, Outcome::NotMatched) => None,
        (ExpectForm::Filtered, _) => Some(format!("expected: filtered\ngot: {}", shown(&outcome))),
        (ExpectForm::Rejected(expected), outcome) => rejection_difference(expected, outcome),
    };
    difference.map(|difference| match &read.with {
        Some(with) => format!("{}\n{with}", difference.trim_end()),
        None => difference,
    })
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
        && expected.path.as_ref().is_none_or(|path| *path == place.to_string())
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
    // A value always has a text.
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
