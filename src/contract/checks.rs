//! Runs the tests in a contract's file.

use std::fmt::Write as _;

use similar::{ChangeTag, TextDiff};

use crate::codec::json::{Map, Value};
use crate::codec::yaml::Located;
use crate::contract::form::{AlertsForm, ExpectForm, StepForm, TestForm};
use crate::contract::{Asset, Call, Contract, MemoryState, StateView, Verdict};
use crate::diagnostic::TestResult;

/// Time between two calls of a test that do not say theirs, in milliseconds.
const STEP_MS: i64 = 1_000;

impl Contract {
    /// Runs the tests of this contract, each on a state of its own.
    #[must_use]
    pub fn run_tests(&self) -> Vec<TestResult> {
        let result = |test: &TestForm| TestResult {
            file: self.file.clone(),
            place: test.name.place,
            definition: self.name.to_string(),
            test: test.name.value.clone(),
            failure: self.run_test(test),
        };
        self.tests.iter().map(result).collect()
    }

    /// The first difference of the first step that has one.
    fn run_test(&self, test: &TestForm) -> Option<String> {
        let mut state = MemoryState::new();
        let mut time_ms = 0;
        for (index, step) in test.steps.iter().enumerate() {
            time_ms = step.value.time.unwrap_or(time_ms + STEP_MS);
            if let Some(difference) = self.run_step(&step.value, &mut state, time_ms) {
                return Some(headed(index, step, &difference));
            }
        }
        None
    }

    fn run_step(&self, step: &StepForm, state: &mut MemoryState, time_ms: i64) -> Option<String> {
        let arguments = Value::Object(step.arguments.0.clone());
        let call = Call { function: step.call, arguments: &arguments, time_ms };
        let effects = self.execute(call, state);
        state.apply(&self.name, &effects);
        if let Some(difference) = verdict_difference(&step.expect, &effects.verdict) {
            return Some(difference);
        }
        let key = self.asset_key(&step.arguments.0).ok();
        let found = key.and_then(|key| state.asset(&self.name, &key));
        let asset = found.as_ref().map(|found| found.asset.as_ref());
        asset_difference(&step.expect, asset)
    }
}

fn headed(index: usize, step: &Located<StepForm>, difference: &str) -> String {
    let (line, call) = (step.place.line, step.value.call);
    format!("step {} (line {line}, `{call}`): {difference}", index + 1)
}

fn verdict_difference(expect: &ExpectForm, verdict: &Verdict) -> Option<String> {
    let expected = expect.verdict.as_ref().map_or("valid", |verdict| &verdict.value);
    let detail = match verdict {
        Verdict::Valid => "",
        Verdict::Invalid { detail, .. } => detail,
    };
    if verdict.name() != expected {
        let (found, colon) = (verdict.name(), if detail.is_empty() { "" } else { ": " });
        return Some(format!("the verdict is {found}{colon}{detail}; expected {expected}"));
    }
    let wanted = expect.detail.as_ref()?;
    (!detail.contains(wanted.as_str()))
        .then(|| format!("the verdict says \"{detail}\"; expected it to contain \"{wanted}\""))
}

fn asset_difference(expect: &ExpectForm, asset: Option<&Asset>) -> Option<String> {
    if let Some(exists) = expect.exists
        && exists != asset.is_some()
    {
        return Some(format!("the asset {}", if exists { "does not exist" } else { "exists" }));
    }
    let wanted = wanted(expect);
    if wanted.is_empty() {
        return None;
    }
    let Some(asset) = asset else { return Some("the asset does not exist".to_owned()) };
    let found = found(expect, asset);
    let (wanted, found) = (Value::Object(wanted), Value::Object(found));
    (!same(&wanted, &found)).then(|| difference(&wanted, &found))
}

/// The expected parts as one document.
fn wanted(expect: &ExpectForm) -> Map {
    let mut parts = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            parts.insert(name, value);
        }
    };
    put("state", expect.state.as_ref().map(|state| Value::Object(state.0.clone())));
    put("derived", expect.derived.as_ref().map(|derived| Value::Object(derived.0.clone())));
    put("compliant", expect.compliant.map(Value::Bool));
    let AlertsForm { active, raised, cleared } = expect.alerts.as_ref().unwrap_or(&NO_ALERTS);
    for (name, list) in [("active", active), ("raised", raised), ("cleared", cleared)] {
        put(name, list.as_ref().map(|names| sorted(names)));
    }
    parts
}

static NO_ALERTS: AlertsForm = AlertsForm { active: None, raised: None, cleared: None };

/// The same parts of an asset.
fn found(expect: &ExpectForm, asset: &Asset) -> Map {
    let all = [
        ("state", Value::Object(asset.state.clone())),
        ("derived", Value::Object(asset.derived.clone())),
        ("compliant", asset.compliant.into()),
        ("active", sorted(&asset.alerts.active)),
        ("raised", sorted(&asset.alerts.raised)),
        ("cleared", sorted(&asset.alerts.cleared)),
    ];
    let wanted = wanted(expect);
    all.into_iter().filter(|(name, _)| wanted.contains_key(name)).collect()
}

fn sorted(names: &[String]) -> Value {
    let mut names = names.to_vec();
    names.sort_unstable();
    names.iter().map(|name| Value::from(name.as_str())).collect()
}

/// True if two values are the same, numbers as numbers: `21` and `21.0` are.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            left == right
                || (left.as_f64() == right.as_f64()
                    && !(is_whole(left.as_str()) && is_whole(right.as_str())))
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| same(l, r))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(name, l)| right.get(name).is_some_and(|r| same(l, r)))
        }
        (left, right) => left == right,
    }
}

fn is_whole(number: &str) -> bool {
    !number.contains(['.', 'e', 'E'])
}

/// Lines that are expected with `-`, lines that are there with `+`.
fn difference(wanted: &Value, found: &Value) -> String {
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default();
    let (wanted, found) = (pretty(wanted), pretty(found));
    let mut text = "it differs (- expected, + found)".to_owned();
    for change in TextDiff::from_lines(&wanted, &found).iter_all_changes() {
        let sign = match change.tag() {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => ' ',
        };
        // Writing to a string cannot fail.
        let _ = write!(text, "\n  {sign} {}", change.value().trim_end_matches('\n'));
    }
    text
}

/// Random objects for properties of merge and execution.
#[cfg(test)]
pub(super) fn any_fields() -> impl proptest::strategy::Strategy<Value = Map> {
    use proptest::prelude::*;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-200_i64..200).prop_map(Value::from),
        (-200.0..200.0_f64).prop_map(Value::from),
        "[a-z\"\\\\é\u{1}]{0,6}".prop_map(Value::from),
    ];
    let name = || {
        prop::sample::select(vec![
            "temperature",
            "threshold",
            "a",
            "b",
            "alerts",
            "compliant",
            "derived",
            "state",
            "active",
        ])
        .prop_map(str::to_owned)
    };
    let value = leaf.prop_recursive(3, 16, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name(), inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    });
    prop::collection::btree_map(name(), value, 0..6).prop_map(|fields| fields.into_iter().collect())
}
