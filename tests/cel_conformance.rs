//! The promise: expressions mean what the CEL specification says, save for a list of deviations.
//!
//! The specification's own test cases run here. A case passes, or stands in `cel_deviations.txt`
//! under its reason, which `docs/expressions.md` explains. A listed case that passes fails the test.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)] // a broken test may stop at once

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::PathBuf;

use ledgerline::codec::json::{self, Map, Number, Value};
use ledgerline::codec::number;
use ledgerline::expression::Expression;

/// Number of cases in the published file.
const CASES: usize = 1_661;
/// Lines `[reason]`, and below each the cases: `file/section/name`, `file/section/*`, `file/*`.
const DEVIATIONS: &str = include_str!("cel_deviations.txt");
const DOCUMENTATION: &str = include_str!("../docs/expressions.md");

/// Listed cases, with the reason of each.
fn deviations() -> BTreeMap<&'static str, &'static str> {
    let mut reason = "";
    let mut listed = BTreeMap::new();
    for line in DEVIATIONS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(name) => reason = name,
            None => assert_eq!(listed.insert(line, reason), None, "{line} is listed twice"),
        }
    }
    listed
}

#[test]
#[allow(clippy::disallowed_methods)] // tests find the vectors by the environment
fn every_published_case_passes_or_is_a_listed_deviation() {
    let folder = std::env::var("LEDGERLINE_VECTORS").unwrap_or("../shared/vectors".to_owned());
    let file = PathBuf::from(folder).join("cel/conformance.json");
    let Ok(bytes) = std::fs::read(&file) else {
        println!("skipped: {} is not there", file.display());
        return;
    };
    let cases = json::parse(&bytes).unwrap();
    let cases = cases.as_array().unwrap();
    let listed = deviations();
    let mut used = BTreeMap::new();
    let (mut passed, mut faults) = (0, Vec::new());
    for case in cases {
        let part = |name: &str| case[name].as_str().unwrap().to_owned();
        let (file, section) = (part("file"), part("section"));
        let names = [
            format!("{file}/{section}/{}", part("name")),
            format!("{file}/{section}/*"),
            format!("{file}/*"),
        ];
        let entry = names.iter().find(|name| listed.contains_key(name.as_str()));
        match (failure(case), entry) {
            (None, None) => passed += 1,
            (Some(_), Some(entry)) => *used.entry(entry.clone()).or_insert(0) += 1,
            (Some(why), None) => faults.push(format!("{}: {why}", names[0])),
            (None, Some(entry)) => {
                faults.push(format!("{}: passes, but {entry} lists it", names[0]))
            }
        }
    }
    faults
        .extend(listed.keys().filter(|e| !used.contains_key(**e)).map(|e| format!("{e}: unused")));
    println!("{passed} of {} conformance cases pass, the others are deviations", cases.len());
    assert_eq!(faults, Vec::<String>::new());
    assert_eq!(cases.len(), CASES);
    let told = format!("{passed} of them pass");
    assert!(DOCUMENTATION.contains(&told), "the documentation does not say {told}");
}

#[test]
fn every_reason_is_documented() {
    for reason in deviations().values() {
        let heading = format!("### {reason}");
        assert!(DOCUMENTATION.lines().any(|line| line == heading), "{heading}");
    }
}

/// Why the answer to a case is not the expected one.
fn failure(case: &Value) -> Option<String> {
    let source = case["expr"].as_str().unwrap();
    let none = Map::new();
    let bindings = case.get("bindings").and_then(Value::as_object).unwrap_or(&none);
    let bindings: Vec<(&str, Value)> =
        bindings.iter().map(|(name, value)| (name.as_str(), bound(value))).collect();
    let names: Vec<&str> = bindings.iter().map(|(name, _)| *name).collect();
    let values: Vec<(&str, &Value)> = bindings.iter().map(|(name, value)| (*name, value)).collect();
    let result = match Expression::compile(source, &names) {
        Ok(expression) => expression.evaluate(&values).map_err(|error| error.to_string()),
        Err(error) => Err(error.message),
    };
    match (result, case.get("value")) {
        (Err(_), None) => None,
        (Ok(value), None) => Some(format!("{source}: {value} in place of an error")),
        (Err(error), Some(_)) => Some(format!("{source}: {error}")),
        (Ok(value), Some(wanted)) => {
            (!is_wanted(&value, wanted)).then(|| format!("{source}: {value} in place of {wanted}"))
        }
    }
}

/// The value of a variable: a number, a string or null in the cases there are.
fn bound(value: &Value) -> Value {
    value.get("int").map_or_else(|| value.clone(), |int| digits(int).unwrap().into())
}

/// A number that a case gives by its digits.
fn digits(value: &Value) -> Option<Number> {
    json::parse(value.as_str()?.as_bytes()).ok()?.as_number().cloned()
}

/// True if a value is the expected one. JSON has one kind of number: `int`, `uint` and `double`
/// only say how the case writes it.
fn is_wanted(value: &Value, wanted: &Value) -> bool {
    let Some(tagged) = wanted.as_object() else { return value == wanted };
    let Some((tag, inner)) = tagged.iter().next() else { return false };
    match (tag.as_str(), value) {
        ("int" | "uint", Value::Number(number)) => {
            digits(inner).is_some_and(|wanted| number::compare(number, &wanted) == Ordering::Equal)
        }
        ("double", Value::Number(number)) => {
            digits(inner).is_some_and(|wanted| number.as_f64() == wanted.as_f64())
        }
        ("list", Value::Array(items)) => inner.as_array().is_some_and(|wanted| {
            wanted.len() == items.len()
                && wanted.iter().zip(items).all(|(wanted, item)| is_wanted(item, wanted))
        }),
        ("map", Value::Object(fields)) => inner.as_array().is_some_and(|wanted| {
            wanted.len() == fields.len() && wanted.iter().all(|entry| has_entry(fields, entry))
        }),
        _ => false,
    }
}

fn has_entry(fields: &Map, entry: &Value) -> bool {
    let Some([key, wanted]) = entry.as_array().map(Vec::as_slice) else { return false };
    let value = key.as_str().and_then(|key| fields.get(key));
    value.is_some_and(|value| is_wanted(value, wanted))
}
