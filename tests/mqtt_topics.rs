//! Device, type and event come from the levels of any MQTT topic, by a template in the configuration,
//! and mappings match by them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

#[path = "common/project.rs"]
mod project;

use std::path::Path;

use project::Project;
use serde_json::{Value, json};

const MAPPING: &str = "\
mapping: press
match: { device_type: line3, event_type: state }
contract: press
function: update
fields:
  id: $.device.id
  line: $.device.type
  bar: { path: $.payload.bar, type: number }
";

const CONTRACT: &str = "\
contract: press
version: 1
key: id
functions: { update: }
state:
  type: object
  required: [id]
  properties: { id: { type: string }, line: { type: string }, bar: { type: number } }
";

/// Topic and body of two presses' messages.
const MESSAGES: [(&str, &str); 2] = [
    ("factory/hall1/line3/press7/state", r#"{"bar":7.25}"#),
    ("factory/hall1/line3/press8/state", r#"{"bar":7.5}"#),
];

fn site(identity: &str, records: &str) -> Project {
    let project = Project::new();
    project.replace(
        "ledgerline.yaml",
        "  file: { path: records.jsonl }\n",
        &format!("  file: {{ path: records.jsonl }}\n  identity:\n  - {identity}\n"),
    );
    project.write("mappings/reading.yaml", MAPPING);
    project.write("contracts/machine.yaml", CONTRACT);
    project.write("records.jsonl", records);
    project
}

/// A record as `kcat -J` writes it.
fn line(offset: usize, key: &str, headers: &[&str], payload: &str) -> String {
    let record = json!({
        "topic": "t", "partition": 0, "offset": offset, "tstype": "create",
        "ts": 1_767_225_600_000_u64, "key": key, "headers": headers, "payload": payload
    });
    format!("{record}\n")
}

/// Both presses are in the state under their own names, and no record is a dead letter.
#[track_caller]
fn both_presses(project: &Project) {
    project.run(&["check"]).exits(0);
    project.run(&["run"]).exits(0);
    for (press, bar) in [("press7", "7.25"), ("press8", "7.5")] {
        let asset = project.run(&["state", "ledger", "press", press, "--json"]).exits(0);
        let state = &asset.json()["state"];
        let expected =
            json!({ "id": press, "line": "line3", "bar": bar.parse::<Value>().unwrap() });
        assert_eq!(state, &expected, "{}", asset.out);
    }
    let letters = project.run(&["deadletters", "list", "ledger"]).exits(0);
    assert!(!letters.out.contains("factory/"), "{}", letters.out);
}

const TEMPLATE: &str = "factory/{hall}/{type}/{id}/{event}";

#[test]
fn a_template_names_the_levels_of_a_topic_in_the_key() {
    let records = MESSAGES.iter().enumerate();
    let records: String = records.map(|(n, (topic, body))| line(n, topic, &[], body)).collect();
    both_presses(&site(&format!("mqtt_topic: {{ template: '{TEMPLATE}' }}"), &records));
}

#[test]
fn a_template_names_the_levels_of_a_topic_in_a_header_or_in_the_body() {
    let records = MESSAGES.iter().enumerate();
    let records: String =
        records.map(|(n, (topic, body))| line(n, "k", &["source", topic], body)).collect();
    let identity = format!("mqtt_topic: {{ header: source, template: '{TEMPLATE}' }}");
    both_presses(&site(&identity, &records));
    let records = MESSAGES.iter().enumerate().map(|(n, (topic, body))| {
        line(n, "k", &[], &body.replacen('{', &format!("{{\"topic\":\"{topic}\","), 1))
    });
    let identity = format!("mqtt_topic: {{ path: $.payload.topic, template: '{TEMPLATE}' }}");
    both_presses(&site(&identity, &records.collect::<String>()));
}

/// The records and the mapping of the published case, where it is there: `LEDGERLINE_CASES`, default
/// `../shared/cases`.
#[test]
fn the_published_case_comes_to_its_values() {
    #[allow(clippy::disallowed_methods)] // where the published cases are
    let root = std::env::var("LEDGERLINE_CASES").unwrap_or("../shared/cases".to_owned());
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join(root).join("mqtt-levels");
    let Ok(records) = std::fs::read_to_string(case.join("records.jsonl")) else {
        println!("skipped: there is no {}", case.display());
        return;
    };
    let identity = format!("mqtt_topic: {{ template: '{TEMPLATE}' }}");
    both_presses(&site(&identity, &records));
    // Its own mapping, which takes the key apart itself, matches by the device type now.
    let project = site(&identity, &records);
    let read = |name: &str| std::fs::read_to_string(case.join(name)).unwrap();
    project.write("mappings/reading.yaml", read("mappings/m.yaml"));
    project.write("contracts/machine.yaml", read("contracts/c.yaml"));
    both_presses(&project);
}
