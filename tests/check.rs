//! `check` finds what `run` would refuse, and what a mapping and a contract cannot mean together.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

#[path = "common/project.rs"]
mod project;

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;

use project::{Project, reading};
use serde_json::json;

/// `check` refuses the project with a message at a place of a file, and `run` does not start.
#[track_caller]
fn refused(project: &Project, place: &str, message: &str) {
    let checked = project.run(&["check"]).exits(78);
    let line = checked.err.lines().find(|line| line.contains(message));
    let line = line.unwrap_or_else(|| panic!("`{message}` is not in\n{}", checked.err));
    assert!(line.contains(place) && line.contains("error:"), "{line}");
    let run = project.run(&["run"]);
    assert_ne!(run.code, 0, "run took what check refuses: {}", run.err);
}

/// `check` warns with a message at a place of a file.
#[track_caller]
fn warned(project: &Project, place: &str, message: &str) {
    let checked = project.run(&["check"]).exits(0);
    let line = checked.err.lines().find(|line| line.contains(message));
    let line = line.unwrap_or_else(|| panic!("`{message}` is not in\n{}", checked.err));
    assert!(line.contains(place) && line.contains("warning:"), "{line}");
}

#[test]
fn a_key_that_cannot_sign_is_found() {
    let project = Project::new();
    project.run(&["check"]).exits(0);
    let key = project.path("key.pem");
    set_permissions(&key, Permissions::from_mode(0o640)).unwrap();
    refused(&project, "ledgerline.yaml:4:", "640");
    set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    project.write("key.pem", "rubbish");
    refused(&project, "ledgerline.yaml:4:", "key.pem");
    std::fs::remove_file(&key).unwrap();
    refused(&project, "ledgerline.yaml:4:", "there is no key file");
}

#[test]
fn other_keys_of_the_ledger_are_looked_at_too() {
    for name in ["previous_key", "submitter_key"] {
        let project = Project::new();
        project.replace(
            "ledgerline.yaml",
            "  key: key.pem\n",
            &format!("  key: key.pem\n  {name}: other.pem\n"),
        );
        refused(&project, "ledgerline.yaml:5:", "there is no key file");
        project.write("other.pem", "rubbish");
        set_permissions(project.path("other.pem"), Permissions::from_mode(0o600)).unwrap();
        refused(&project, "ledgerline.yaml:5:", "other.pem");
    }
}

#[test]
fn a_ledger_that_is_there_is_asked() {
    let project = Project::new();
    project.write("records.jsonl", reading(0, 0, "M1", &json!({ "temperature": 1 })));
    project.run(&["run"]).exits(0);
    project.run(&["check"]).exits(0);

    project.replace("contracts/machine.yaml", "temperature > 100", "temperature > 90");
    refused(&project, "machine.yaml:2:", "raise `version`");
    project.replace("contracts/machine.yaml", "version: 1", "version: 2");
    project.run(&["check"]).exits(0);

    project.run(&["keygen", "other.pem"]).exits(0);
    project.replace("ledgerline.yaml", "key: key.pem", "key: other.pem");
    refused(&project, "ledgerline.yaml:4:", "may not seal this ledger");
    project.replace("ledgerline.yaml", "key: other.pem", "key: other.pem\n  previous_key: key.pem");
    project.run(&["check"]).exits(0);

    project.replace("ledgerline.yaml", "example.com/test", "example.com/another");
    refused(&project, "ledgerline.yaml:2:", "is named `example.com/test`");
}

#[test]
fn a_log_that_a_kept_checkpoint_goes_beyond_is_refused() {
    let project = Project::new();
    // Also where the configuration names another place for the checkpoint.
    project.replace("ledgerline.yaml", "key: key.pem", "key: key.pem\n  checkpoint_copy: kept");
    for offset in 0..2 {
        let record = reading(0, offset, "M1", &json!({ "temperature": 1 }));
        project.write("records.jsonl", project.read("records.jsonl") + &record);
        project.run(&["run"]).exits(0);
    }
    project.run(&["check"]).exits(0);
    let log = "ledger/log/blocks-00000000000000000000.log";
    let whole = std::fs::read(project.path(log)).unwrap();
    project.write(log, &whole[..whole.len() - 10]);
    refused(&project, "ledgerline.yaml:3:", "holds a signed checkpoint of tree size");
}

const STATES: &str = "\
contract: machine
version: 1
key: machineID
state:
  type: object
  required: [machineID, mode]
  additionalProperties: false
  properties:
    machineID: { type: string }
    mode: { enum: [idle, running, fault] }
    level: { enum: [1, 2.5] }
    kind: { const: press }
";

fn states(fields: &str) -> Project {
    let project = Project::new();
    project.write("contracts/machine.yaml", STATES);
    let mapping = format!(
        "mapping: reading\nmatch: {{ topic: telemetry }}\ncontract: machine\nfunction: update\n\
         fields:\n  machineID: $.device.id\n{fields}"
    );
    project.write("mappings/reading.yaml", mapping);
    project
}

#[test]
fn values_that_the_schema_does_not_list_are_found() {
    let mode = "  mode: $.payload.mode\n";
    for (field, message) in [
        ("mode: { path: $.payload.s, lookup: { 0: idle, 1: runing } }", "can become \"runing\""),
        (
            "mode: { path: $.payload.s, lookup: { 0: idle }, otherwise: stopped }",
            "can become \"stopped\"",
        ),
        ("mode: { constant: broken }", "can become \"broken\""),
        ("mode: { path: $.payload.s, default: none }", "can become \"none\""),
    ] {
        refused(&states(&format!("  {field}\n")), "reading.yaml:7:", message);
    }
    for (field, message) in [
        ("level: { constant: 2 }", "can become 2,"),
        ("kind: { constant: drill }", "can become \"drill\""),
    ] {
        refused(&states(&format!("{mode}  {field}\n")), "reading.yaml:8:", message);
    }
    for field in [
        "mode: { path: $.payload.s, lookup: { 0: idle, 1: running }, otherwise: fault }",
        "mode: { constant: fault }",
        "mode: $.payload.mode\n  level: { constant: 2.50 }",
        "mode: $.payload.mode\n  kind: { constant: press }",
    ] {
        let checked = states(&format!("  {field}\n")).run(&["check"]).exits(0);
        assert!(checked.err.is_empty(), "{field}: {}", checked.err);
    }
}

#[test]
fn a_required_field_that_no_mapping_gives_is_told() {
    warned(&states("  level: { constant: 1 }\n"), "reading.yaml:1:", "no mapping gives `mode`");
}

#[test]
fn a_mapping_of_a_topic_that_nobody_reads_is_told() {
    let project = Project::new();
    project.replace(
        "ledgerline.yaml",
        "file: { path: records.jsonl }",
        "kafka: { brokers: '127.0.0.1:1', group: g, topics: [telemetri] }",
    );
    warned(&project, "reading.yaml:1:", "which the source does not read");
    let checked = project.run(&["check"]).exits(0);
    assert!(checked.err.contains("did you mean `telemetri`"), "{}", checked.err);
}
