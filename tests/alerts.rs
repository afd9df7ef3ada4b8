//! The history of alerts tells each that was raised and each that was cleared, once, with how long it
//! was active.

// A test may stop at the first thing that is not as it should be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::collections::BTreeMap;

use common::endpoint::*;
use serde_json::{Value, json};

const HISTORY: &str = "/api/v1/alerts/history";

/// The fixture's changes to its one alert, newest first.
fn expected() -> Vec<Value> {
    let mut raised = BTreeMap::new();
    let mut events = Vec::new();
    for offset in
        (0..BLOCKS * (PER_BLOCK + 2)).filter(|offset| offset % (PER_BLOCK + 2) < PER_BLOCK)
    {
        let made = transaction(offset);
        if &*made.contract != "cold_chain" {
            continue;
        }
        let arguments = made.arguments.value();
        let key = arguments.get("assetID").unwrap().as_str().unwrap().to_owned();
        let is_warm = arguments.get("temperature").unwrap().as_u64().unwrap() > 8;
        let event = |change: &str| json!({"key": key, "change": change, "transaction": made.id.to_string()});
        if is_warm && !raised.contains_key(&key) {
            raised.insert(key.clone(), made.time_ms);
            events.push(event("raised"));
        } else if let Some(since) = raised.get(&key).copied().filter(|_| !is_warm) {
            raised.remove(&key);
            let mut event = event("cleared");
            event["lasted_seconds"] =
                json!(f64::from(i32::try_from(made.time_ms - since).unwrap()) / 1_000.0);
            events.push(event);
        }
    }
    events.reverse();
    events
}

fn told(items: &[Value]) -> Vec<Value> {
    let event = |item: &Value| {
        assert_eq!((&item["alert"], &item["severity"]), (&json!("OVERTEMP"), &json!("critical")));
        let mut told = json!({
            "key": item["key"], "change": item["change"], "transaction": item["transaction"],
        });
        if let Some(lasted) = item["lasted_seconds"].as_f64() {
            told["lasted_seconds"] = json!(lasted);
        }
        told
    };
    items.iter().map(event).collect()
}

#[test]
fn each_alert_is_told_once_with_how_long_it_lasted() {
    let running = run();
    let address = running.endpoint.address();
    let expected = expected();
    let cleared = expected.iter().filter(|event| event["change"] == "cleared").count();
    assert!(cleared > 10 && expected.len() > cleared, "{cleared} of {}", expected.len());
    for limit in [1, 7, 500] {
        let items = walk(address, &format!("{HISTORY}?limit={limit}"), "before");
        assert_eq!(told(&items), expected, "limit {limit}");
    }
    let of_one: Vec<_> = expected.iter().filter(|event| event["key"] == HOSTILE).cloned().collect();
    let path = format!("{HISTORY}?contract=cold_chain&key={}&limit=500", encoded(HOSTILE));
    assert_eq!(told(&walk(address, &path, "before")), of_one);
    assert!(!of_one.is_empty());
    assert_eq!(
        walk(address, &format!("{HISTORY}?contract=other&limit=500"), "before"),
        [json!(null); 0]
    );
}

#[test]
fn the_page_shows_them() {
    let running = run();
    let page = get(running.endpoint.address(), "/alerts").text();
    for part in ["Raised and cleared", "cleared after", "OVERTEMP"] {
        assert!(page.contains(part), "{part}: {page}");
    }
}
