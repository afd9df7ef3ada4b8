//! `check` finds what `run` would refuse, and what a mapping and a contract cannot mean together.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

#[path = "common/project.rs"]
mod project;

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ledgerline::contract::ContractSet;
use ledgerline::diagnostic::Diagnostic;
use ledgerline::mapping::MappingSet;
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

/// Writes a string that has a `¤` before the place of each fault. `check` reports exactly these for the
/// file.
#[track_caller]
fn reports(project: &Project, file: &str, marked: &str) {
    let mut places = Vec::new();
    for (number, line) in (1..).zip(marked.lines()) {
        let marks = line.chars().enumerate().filter(|(_, letter)| *letter == '¤');
        let place =
            |(before, (at, _)): (usize, (usize, char))| format!("{number}:{}", at - before + 1);
        places.extend(marks.enumerate().map(place));
    }
    project.write(file, marked.replace('¤', ""));
    let checked = project.run(&["check"]).exits(78);
    let place = |line: &str| {
        let (_, rest) = line.split_once(&format!("{file}:"))?;
        let (place, _) = rest.split_once(": error:").or_else(|| rest.split_once(": warning:"))?;
        Some(place.to_owned())
    };
    let mut found: Vec<String> = checked.err.lines().filter_map(place).collect();
    found.sort();
    places.sort();
    assert_eq!(found, places, "{marked}\n{}", checked.err);
}

const BAD_CONFIGS: &[&str] = &[
    "\
ledger:
  name: ¤[x]
  directory: ledger
  key: key.pem
  ¤size: 1
source:
  file: { path: records.jsonl, epoch: ¤abc }
mappings: [mappings]
contracts: [contracts]
monitor: { listen: null }
",
    // Other faults are reported too, where no fault of form can have caused them.
    "\
ledger: { name: ¤[x], directory: ledger, key: absent.pem }
source: { file: { path: records.jsonl }, ¤identiy: [auto] }
mappings: [mappings, ¤nowhere]
contracts: [contracts]
submission: { max_transactions: ¤0 }
monitor: { base_path: ¤ledger }
mapper_threads: ¤1000
",
    // A section of the wrong type, and one that is missing.
    "\
ledger: { name: n, directory: d, key: key.pem }
source: ¤kafka
mappings: [mappings]
monitor: ¤[]
¤submission: { max_wait_ms: ¤-1, sign_each: ¤5 }
",
    "\
ledger: { name: example.com/a, directory: ¤~, key: key.pem }
source:
  kafka:
    brokers: 127.0.0.1:1
    group: ¤{}
    topics: [telemetry]
    start: ¤last
    epochs: { telemetry: { epoch: ¤one, continue_at: { ¤x: 1 } } }
  identity:
  - ¤platform_kye
  - mqtt_topic: { template: ¤[a], ¤heder: b }
mappings: [mappings]
contracts: [contracts]
monitor:
  ¤monitor: {}
  access: { anonymous: ¤operator, ¤anonymous: none }
",
];

const BAD_MAPPINGS: &[&str] = &[
    "\
mapping: reading
match: { topic: telemetry, event_type: ¤{}, where: ¤'payload.d.x >' }
contract: machine
function: ¤updat
fields:
  machineID: $.device.id
  temperature: { path: $.payload.d.temperature, type: ¤nmber }
  note: { path: $.paylod.d.note, required: ¤maybe, ¤colour: red }
  text: ¤$.paylod.d.text
tests:
  - name: a reading
    event: { device: { id: ¤[] }, payload: { d: { temperature: 4 } } }
    expect: { payloads: ¤{} }
  - ¤nme: b
    event: ¤3
    expect: { rejected: { ¤because: x, cause: ¤{} } }
",
    // A value of the wrong type is not reported as absent as well.
    "\
mapping: ¤[]
contract: ¤~
function: update
fields: ¤3
¤extension: []
",
    "\
mapping: reading
contract: ¤nowhere
function: update
fields:
  machineID: $.device.id
  mode: { path: $.payload.mode, lookup: { a: 1 } }
---
mapping: second
¤contrct: machine
¤fields: { ¤machineID: [], ¤machineID: $.paylod }
",
];

const BAD_CONTRACTS: &[&str] = &[
    "\
contract: machine
version: ¤one
key: machineID
state:
  type: object
  additionalProperties: false
  properties: { machineID: { type: string }, temperature: { type: number } }
rules:
  - reject: impossible
    when: state.temperature > 900
    ¤mesage: no machine is that hot
  - alert: HOT
    raise_when: state.temperature > 100
    severity: ¤hgih
  - alert: COLD
    raise_when: ¤state.temprature < 0
  - alert: WARM
    raise_when: ¤{}
",
    // A derived field whose rule has no usable name is not reported as absent.
    "\
contract: machine
version: 1
key: machineID
state:
  type: object
  properties: { machineID: { type: string }, temperature: { type: number } }
rules:
  - derive: ¤[hot]
    value: state.temperature > 100
  - alert: HOT
    raise_when: derived.hot
",
    "\
contract: machine
version: 1
key: machineID
state:
  type: object
  properties: { machineID: { type: string }, temperature: { type: number } }
rules:
  - ¤derive hot
  - alert: HOT
    raise_when: derived.hot
  - alert: COLD
    raise_when: ¤state.temprature < 0
",
    // A test is not said to call what the functions at fault may offer.
    "\
contract: machine
version: 1
key: machineID
functions: { ¤updat: , create: { create_when_absent: ¤5 } }
state:
  type: object
  properties: { machineID: { type: string } }
tests:
  - name: hot
    steps: [{ call: update, arguments: {}, expect: { verdict: ¤[] } }]
  - name: cold
    steps: [{ call: ¤updat, arguments: {}, expect: {} }]
",
    // Rules cannot be checked without the schema.
    "\
contract: machine
version: 1
key: machineID
state: ¤5
rules:
  - alert: HOT
    raise_when: state.temperature
    description: ¤[]
",
];

#[test]
fn every_fault_of_form_in_a_configuration_is_reported_at_once() {
    for config in BAD_CONFIGS {
        reports(&Project::new(), "ledgerline.yaml", config);
    }
}

#[test]
fn every_fault_of_form_in_a_mapping_is_reported_at_once() {
    for mapping in BAD_MAPPINGS {
        reports(&Project::new(), "mappings/reading.yaml", mapping);
    }
}

#[test]
fn every_fault_of_form_in_a_contract_is_reported_at_once() {
    for contract in BAD_CONTRACTS {
        reports(&Project::new(), "contracts/machine.yaml", contract);
    }
}

/// The shipped files of a kind with their texts.
fn shipped(kind: &str) -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(kind);
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.map(|file| (file.clone(), std::fs::read_to_string(&file).unwrap())).collect()
}

#[test]
fn one_value_of_the_wrong_type_is_one_fault() {
    let mappings = |files: &[(PathBuf, String)]| MappingSet::from_texts(files).1;
    let contracts = |files: &[(PathBuf, String)]| ContractSet::load(files).1;
    let mut found = 0;
    for (kind, load) in [("mappings", &mappings as &dyn Fn(&_) -> _), ("contracts", &contracts)] {
        for (file, text) in shipped(kind) {
            let lines: Vec<&str> = text.lines().collect();
            for (number, line) in lines.iter().enumerate() {
                let Some((name, _)) = line.split_once(": ") else { continue };
                let wrong = ["[[]]", "{ ? [] : {} }", "~"][number % 3];
                let changed = format!("{name}: {wrong}");
                let text = [&lines[..number], &[&changed], &lines[number + 1..]].concat();
                let diagnostics: Vec<Diagnostic> = load(&[(file.clone(), text.join("\n"))]);
                // Elsewhere the same value is valid, or what it breaks is the YAML itself.
                if diagnostics.iter().any(|diagnostic| diagnostic.place.line == number as u64 + 1) {
                    assert_eq!(
                        diagnostics.len(),
                        1,
                        "{}: {changed}: {diagnostics:#?}",
                        file.display()
                    );
                    found += 1;
                }
            }
        }
    }
    assert!(found > 300, "{found}");
}

#[test]
fn a_fault_of_form_hides_no_fault_of_another_file() {
    let project = Project::new();
    project.replace("ledgerline.yaml", "{ listen: null }", "{ listen: abc, prot: 1 }");
    project.replace("ledgerline.yaml", "key.pem", "absent.pem");
    project.replace("mappings/reading.yaml", "function: update", "function: updat");
    project.replace("contracts/machine.yaml", "version: 1", "version: one");
    let checked = project.run(&["check"]).exits(78);
    for part in [
        "ledgerline.yaml:4:8: error: key file",
        "ledgerline.yaml:9:25: error: unknown field `prot`",
        "reading.yaml:4:11: error: unknown variant `updat`",
        "machine.yaml:2:10: error: a whole number is expected",
    ] {
        assert!(checked.err.contains(part), "{part}\n{}", checked.err);
    }
    assert_eq!(checked.err.matches(": error: ").count(), 4, "{}", checked.err);
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
    refused(&project, "ledgerline.yaml:4:", "key file");
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
        refused(&project, "ledgerline.yaml:5:", "key file");
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
fn faults_at_one_place_are_all_reported() {
    let project = Project::new();
    project.write("records.jsonl", reading(0, 0, "M1", &json!({ "temperature": 1 })));
    project.run(&["run"]).exits(0);
    project.replace("ledgerline.yaml", "example.com/test", "a b");
    for message in ["cannot be named", "is named `example.com/test`"] {
        refused(&project, "ledgerline.yaml:2:9", message);
    }
    // An absent key is reported once.
    project.replace("ledgerline.yaml", "key.pem", "absent.pem");
    let checked = project.run(&["check"]).exits(78);
    assert_eq!(checked.err.matches("ledgerline.yaml:4:8: ").count(), 1, "{}", checked.err);
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
    pair: { const: [1, { a: 2 }] }
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
        ("mode: { path: $.payload.s, lookup: { 0: idle, 1: runing } }", "can be \"runing\""),
        (
            "mode: { path: $.payload.s, lookup: { 0: idle }, otherwise: stopped }",
            "can be \"stopped\"",
        ),
        ("mode: { constant: broken }", "can be \"broken\""),
        ("mode: { path: $.payload.s, default: none }", "can be \"none\""),
    ] {
        refused(&states(&format!("  {field}\n")), "reading.yaml:7:", message);
    }
    for (field, message) in [
        ("level: { constant: 2 }", "can be 2,"),
        ("kind: { constant: drill }", "can be \"drill\""),
        ("pair: { constant: [1.5, { a: 2 }] }", "can be [1.5,{\"a\":2}]"),
    ] {
        refused(&states(&format!("{mode}  {field}\n")), "reading.yaml:8:", message);
    }
    for field in [
        "mode: { path: $.payload.s, lookup: { 0: idle, 1: running }, otherwise: fault }",
        "mode: { constant: fault }",
        "mode: $.payload.mode\n  level: { constant: 2.50 }",
        "mode: $.payload.mode\n  kind: { constant: press }",
        "mode: $.payload.mode\n  pair: { constant: [1.0, { a: 2.0 }] }",
    ] {
        let checked = states(&format!("  {field}\n")).run(&["check"]).exits(0);
        assert!(checked.err.is_empty(), "{field}: {}", checked.err);
    }
}

/// Lists, references and constants of the contract whose rules are checked.
const RULES: &str = "
    part: { type: object, properties: { mode: { $ref: '#/$defs/mode' }, any: { type: string } } }
    free: { anyOf: [{ enum: [idle] }, { type: string }] }
    maybe: { enum: [idle, null] }
  $defs: { mode: { enum: [idle, running] } }
constants: { off: stopped, on: running, modes: [idle, stopd] }
";

/// A contract with these functions and a rule with this condition.
fn ruled(functions: &str, condition: &str) -> Project {
    let project = states("  mode: { constant: idle }\n");
    let rule = format!("rules:\n- alert: A\n  raise_when: {}\n", json!(condition));
    let contract = STATES.replacen("state:", &format!("functions: {functions}\nstate:"), 1);
    project.write("contracts/machine.yaml", contract + RULES.trim_start_matches('\n') + &rule);
    project
}

#[test]
fn rules_that_compare_with_values_that_the_schema_does_not_list_are_found() {
    // Each with the columns of what is found.
    let cases: &[(&str, &[u64])] = &[
        ("state.mode == 'runing'", &[15]),
        ("'runing' == state.mode", &[1]),
        ("state.mode != 'stopped'", &[15]),
        ("state['mode'] == 'runing'", &[18]),
        ("state.mode in ['idle', 'runing', 'fault', 'stopped']", &[24, 43]),
        ("!(state.mode in {'runing': 1})", &[18]),
        ("{'idle': 1, 'runing': 2}[state.mode] == 1", &[13]),
        ("has(state.level) && state.level == 2", &[36]),
        ("state.kind == 'drill'", &[15]),
        ("state.part.mode == 'runing'", &[20]),
        ("arguments.mode == 'runing'", &[19]),
        ("state.mode == constants.off", &[15]),
        ("state.mode in constants.modes", &[15]),
        ("[1].exists(x, state.mode == 'runing')", &[29]),
    ];
    for (condition, columns) in cases {
        let checked = ruled("{ update: }", condition).run(&["check"]).exits(78);
        let found: Vec<_> = checked.err.lines().filter(|line| line.contains(": error: ")).collect();
        // The condition begins after the quotation mark in column 15.
        let places = columns.iter().map(|column| format!("machine.yaml:22:{}: ", 15 + column));
        let places: Vec<_> = places.collect();
        assert_eq!(found.len(), places.len(), "{condition}: {}", checked.err);
        for (line, place) in found.iter().zip(&places) {
            assert!(line.contains(place) && line.contains("cannot be"), "{condition}: {line}");
        }
        let helps = condition.contains("runing");
        assert_eq!(checked.err.contains("did you mean `running`?"), helps, "{condition}");
    }
    for condition in [
        "state.mode == 'running' || state.mode in ['idle', 'fault']",
        "state.level == 1.0 || state.level == 2.50",
        "state.mode == constants.on",
        "state.free == 'other'",
        "state.part.any == 'other'",
        "state.maybe == null",
        "arguments.mode == null",
        // An earlier version of the contract may have listed others.
        "old.mode == 'stopped'",
        "state.mode + '!' == 'other'",
    ] {
        let checked = ruled("{ update: }", condition).run(&["check"]).exits(0);
        assert!(!checked.err.contains("cannot be"), "{condition}: {}", checked.err);
    }
    // Nothing checks what a deletion is called with.
    ruled("{ update: , delete: }", "arguments.mode == 'scrapped'").run(&["check"]).exits(0);
}

#[test]
fn a_required_field_that_no_mapping_gives_is_told() {
    warned(&states("  level: { constant: 1 }\n"), "reading.yaml:1:", "no mapping provides `mode`");
}

#[test]
fn a_mapping_at_fault_is_not_said_to_give_nothing() {
    let project = states("  mode: $.payload.mode\n");
    let other = "mapping: other\nmatch: { topic: t }\ncontract: machine\nfunction: update\n\
                 fields: { machineID: $.device.id }\n";
    project.write("mappings/other.yaml", other);
    project.run(&["check"]).exits(0);
    project.replace("mappings/reading.yaml", "function: update", "function: updat");
    let checked = project.run(&["check"]).exits(78);
    assert!(!checked.err.contains("no mapping provides"), "{}", checked.err);
}

#[test]
fn a_mapping_of_a_topic_that_nobody_reads_is_told() {
    let project = Project::new();
    project.replace(
        "ledgerline.yaml",
        "file: { path: records.jsonl }",
        "kafka: { brokers: '127.0.0.1:1', group: g, topics: [telemetri] }",
    );
    warned(&project, "reading.yaml:1:", "which no input reads");
    let checked = project.run(&["check"]).exits(0);
    assert!(checked.err.contains("did you mean `telemetri`"), "{}", checked.err);
}

#[test]
fn paths_that_cannot_be_used_are_found() {
    let long = "x".repeat(300);
    let under_file = "records.jsonl/ledger";
    let directories = [
        ("records.jsonl", "it is a file, not a directory"),
        (under_file, "it is a file, not a directory"),
        ("/proc/ledger", "/proc is not a place"),
        ("\"led\\0d\"", "NUL"),
    ];
    for (directory, message) in directories {
        let project = Project::new();
        project.replace("ledgerline.yaml", "directory: ledger", &format!("directory: {directory}"));
        refused(&project, "ledgerline.yaml:3:", message);
    }
    let records = [
        ("absent.jsonl", "No such file"),
        ("mappings", "it is a directory"),
        (&*long, "name too long"),
    ];
    for (path, message) in records {
        let project = Project::new();
        project.replace("ledgerline.yaml", "records.jsonl", path);
        refused(&project, "ledgerline.yaml:6:", message);
        assert!(!project.path("ledger").exists(), "no ledger is made for {path}");
    }
    // What nobody has opened yet may be a pipe.
    let project = Project::new();
    std::fs::remove_file(project.path("records.jsonl")).unwrap();
    mkfifo(&project, "records.jsonl");
    project.run(&["check"]).exits(0);
}

fn mkfifo(project: &Project, name: &str) {
    let mut command = std::process::Command::new("mkfifo");
    assert!(command.args(["-m", "600"]).arg(project.path(name)).status().unwrap().success());
}

#[test]
fn a_copy_of_the_checkpoint_is_a_file_outside_the_ledger() {
    for (copy, message) in [
        ("ledger/log/x", "is inside the ledger's folder"),
        ("./ledger/../ledger/x", "is inside the ledger's folder"),
        ("link/x", "is inside the ledger's folder"),
        ("ledger", "is inside the ledger's folder"),
        ("mappings", "is a folder"),
    ] {
        let project = Project::new();
        std::fs::create_dir(project.path("ledger")).unwrap();
        std::os::unix::fs::symlink("ledger", project.path("link")).unwrap();
        let named = format!("key: key.pem\n  checkpoint_copy: {copy}");
        project.replace("ledgerline.yaml", "key: key.pem", &named);
        refused(&project, "ledgerline.yaml:5:", message);
        project.run(&["run"]).exits(78);
    }
    for copy in ["ledger.d/x", "ledgers"] {
        let project = Project::new();
        std::fs::create_dir(project.path("ledger.d")).unwrap();
        let named = format!("key: key.pem\n  checkpoint_copy: {copy}");
        project.replace("ledgerline.yaml", "key: key.pem", &named);
        let checked = project.run(&["check"]).exits(0);
        assert_eq!(checked.err, "", "{copy}");
        project.run(&["run"]).exits(0);
        assert!(project.path(copy).is_file());
    }
    let project = Project::new();
    let named = "key: key.pem\n  checkpoint_copy: absent/x";
    project.replace("ledgerline.yaml", "key: key.pem", named);
    warned(&project, "ledgerline.yaml:5:", "the checkpoint cannot be saved in");
}

#[test]
fn a_named_pipe_holds_nothing_up() {
    let pipe = "it is a named pipe, not a regular file";
    let project = Project::new();
    mkfifo(&project, "pipe");
    project.replace("ledgerline.yaml", "key: key.pem", "key: pipe");
    refused(&project, "ledgerline.yaml:4:", pipe);
    project.run(&["run"]).exits(78);
    for (part, with, place, message) in [
        ("[mappings]", "[pipe]", "ledgerline.yaml:7:", "neither a file nor a folder"),
        ("[contracts]", "[pipe]", "ledgerline.yaml:8:", "neither a file nor a folder"),
        (
            "{ listen: null }",
            "{ listen: '127.0.0.1:0', access: { tokens: pipe } }",
            "pipe:1:1:",
            pipe,
        ),
        (
            "{ listen: null }",
            "{ listen: '127.0.0.1:0', tls: { certificate: pipe, key: key.pem } }",
            "ledgerline.yaml:9:",
            pipe,
        ),
    ] {
        let project = Project::new();
        mkfifo(&project, "pipe");
        project.replace("ledgerline.yaml", part, with);
        refused(&project, place, message);
    }
}

#[test]
fn identity_that_no_mapping_can_match_is_told() {
    let identity = |ways: &str| {
        let project = Project::new();
        project.replace(
            "ledgerline.yaml",
            "records.jsonl }",
            &format!("records.jsonl }}\n  identity: {ways}"),
        );
        project.replace("mappings/reading.yaml", "event_type: reading", "device_type: press");
        project
    };
    let no_type =
        "mapping `reading` wants device_type `press`, and no method of `identity` provides a type";
    for (ways, place, message) in [
        ("[mqtt_topic: { template: 'plant/{id}/{event}' }]", "reading.yaml:1:", no_type),
        ("[plain]", "reading.yaml:1:", no_type),
        ("[mqtt_topic: { template: 'plant/{event}' }]", "reading.yaml:1:", no_type),
        (
            "[paths: { type: pump, id: $.payload.id }]",
            "reading.yaml:1:",
            "wants device_type `press`, and `identity` gives only `pump`",
        ),
        (
            "[mqtt_topic: { template: 'plant/{ID}/{type}/{event}' }]",
            "ledgerline.yaml:7:",
            "`{ID}` in the template matches any text",
        ),
    ] {
        warned(&identity(ways), place, message);
    }
    let checked = identity("[mqtt_topic: { template: '{ID}/{event}' }]").run(&["check"]).exits(0);
    assert!(checked.err.contains("did you mean `{id}`?"), "{}", checked.err);
    for ways in [
        "[auto]",
        "[mqtt_topic: { template: '{type}/{id}' }]",
        "[mqtt_topic: { template: '{id}' }, platform_key]",
        "[mqtt_topic: { template: '{ID}/{type}/{id}' }]",
        "[paths: { type: press, id: $.payload.id }, plain]",
        "[paths: { type: $.payload.type, id: $.payload.id }]",
        "[expression: { type: '\"press\"', id: payload.id }]",
    ] {
        let checked = identity(ways).run(&["check"]).exits(0);
        assert_eq!(checked.err, "", "{ways}");
    }
    let project = identity("[paths: { type: $.payload.type, id: $.payload.id }]");
    project.replace("mappings/reading.yaml", "device_type: press", "event_type: reading");
    let message = "wants event_type `reading`, and no method of `identity` provides an event";
    warned(&project, "reading.yaml:1:", message);
}

#[test]
fn mappings_and_contracts_are_checked_by_themselves_and_a_configuration_by_its_name() {
    let project = Project::new();
    std::fs::rename(project.path("ledgerline.yaml"), project.path("other.yaml")).unwrap();
    for (paths, counts) in [
        (&["mappings/reading.yaml"][..], "1 mapping and 0 contracts"),
        (&["contracts"], "0 mappings and 1 contract"),
        (&["mappings", "contracts/machine.yaml"], "1 mapping and 1 contract"),
        (&["other.yaml"], "1 mapping and 1 contract"),
    ] {
        let checked = project.run(&[&["check"], paths].concat()).exits(0);
        assert_eq!(checked.out, format!("{counts}: no error, 0 warnings\n"), "{paths:?}");
        assert_eq!(checked.err, "", "{paths:?}");
    }
    project.replace("mappings/reading.yaml", "temperature: {", "temprature: {");
    project.run(&["check", "mappings"]).exits(0);
    let checked = project.run(&["check", "mappings", "contracts"]).exits(78);
    assert!(checked.err.contains("reading.yaml:7:3: error: "), "{}", checked.err);
    let json = project.run(&["check", "mappings", "contracts", "--json"]).exits(78).json();
    assert_eq!(json["errors"], 1, "{json}");
    project.run(&["check", "absent.yaml"]).exits(66);
}
