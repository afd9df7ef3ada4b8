//! The promise: queries mean what RFC 9535 says. The published compliance tests, all of them.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)] // a broken test may stop at once

use std::path::PathBuf;

use ledgerline::codec::json::{self, Value};
use ledgerline::jsonpath::Path;

/// Number of tests in the published file, and of those whose query must be refused.
const TESTS: (usize, usize) = (703, 247);

#[test]
#[allow(clippy::disallowed_methods)] // tests find the vectors by the environment
fn every_published_test_passes() {
    let folder = std::env::var("LEDGERLINE_VECTORS").unwrap_or("../shared/vectors".to_owned());
    let file = PathBuf::from(folder).join("jsonpath/cts.json");
    let Ok(bytes) = std::fs::read(&file) else {
        println!("skipped: {} is not there", file.display());
        return;
    };
    let suite = json::parse(&bytes).unwrap();
    let tests = suite["tests"].as_array().unwrap();
    let failures: Vec<String> = tests.iter().filter_map(failure).collect();
    let refused =
        tests.iter().filter(|test| test["invalid_selector"].as_bool() == Some(true)).count();
    let passed = tests.len() - failures.len();
    println!(
        "{passed} of {} compliance tests pass, {refused} of them invalid queries",
        tests.len()
    );
    assert_eq!(failures, Vec::<String>::new());
    assert_eq!((tests.len(), refused), TESTS);
}

/// The error in the answer to one test.
fn failure(test: &Value) -> Option<String> {
    let query = test["selector"].as_str().unwrap();
    let path = match (Path::parse(query), test["invalid_selector"].as_bool() == Some(true)) {
        (Err(_), true) => return None,
        (Ok(_), true) => return Some(format!("{query}: taken, but invalid")),
        (Err(error), false) => return Some(format!("{query}: refused, {error}")),
        (Ok(path), false) => path,
    };
    let nodes = path.nodes(&test["document"]).unwrap();
    let values: Value = nodes.iter().map(|node| node.value.clone()).collect();
    let locations: Value = nodes.iter().map(|node| Value::from(node.location.as_str())).collect();
    assert_eq!(
        path.select(&test["document"]).unwrap(),
        nodes.iter().map(|n| n.value).collect::<Vec<_>>()
    );
    let is_allowed = |one: &str, several: &str, given: &Value| match test.get(one) {
        Some(expected) => expected == given,
        None => test[several].as_array().is_none_or(|allowed| allowed.contains(given)),
    };
    let right = is_allowed("result", "results", &values)
        && is_allowed("result_paths", "results_paths", &locations);
    (!right).then(|| format!("{query}: selects {locations} {values}"))
}
