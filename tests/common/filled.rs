//! A project whose records are in its ledger: valid and refused readings, filtered records, dead letters.

// Not every test uses all of it, and a test fails by panicking.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use serde_json::json;

use crate::project::*;

/// Readings: enough for full tiles and one that is not.
pub const READINGS: u64 = 600;
pub const DEVICES: u64 = 7;
/// Readings of a contract's `reject`.
pub const REJECTED: u64 = 6;
/// Entries: the ledger, two keys, mapping and contract, and the readings.
pub const ENTRIES: u64 = 5 + READINGS;
/// Text that a terminal must never receive: colours, a bell, a carriage return, a change of
/// direction.
pub const HOSTILE: &str = "\u{1b}[31mred\u{7}\rover\u{9b}2J\u{202e}";

pub fn temperature(offset: u64) -> u64 {
    match offset % 100 {
        5 => 950,
        50 => 150,
        rest => rest,
    }
}

/// Readings of partition 0; in partition 1 a filtered record and two that are no readings; and a line
/// that is no record.
pub fn records() -> String {
    let mut lines = String::new();
    for offset in 0..READINGS {
        let data = json!({ "temperature": temperature(offset), "note": HOSTILE });
        lines += &reading(0, offset, &format!("M{}", offset % DEVICES), &data);
    }
    let key = |kind: &str| {
        let time = "2024-05-01T12:00:00Z";
        json!({
            "orgId": "acme", "deviceType": "press", "deviceId": "M1", "eventType": kind,
            "format": "json", "timestamp": time
        })
        .to_string()
    };
    lines += &line(1, 0, &key("other"), "{}");
    lines += &line(1, 1, &key("reading"), &format!("{{{HOSTILE}"));
    lines += &line(1, 2, &key("reading"), &json!({ "d": { "temperature": HOSTILE } }).to_string());
    lines += &format!("no record {HOSTILE}\n");
    lines
}

/// A project whose records are in its ledger.
pub fn filled() -> Project {
    let project = Project::new();
    project.write("records.jsonl", records());
    project.run(&["run"]).exits(0);
    project
}

/// No control character but the ends of lines, and nothing that turns the direction of a string.
#[track_caller]
pub fn assert_clean(text: &str) {
    let is_bad = |c: &char| {
        (c.is_control() && *c != '\n')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let bad = text.chars().find(is_bad);
    assert!(bad.is_none(), "{bad:?} in {text:?}");
}
