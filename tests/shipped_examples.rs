//! The shipped mappings and contracts fit each other and the simulated fleet, and a slip of the pen
//! in a copy of them is reported with its place and what helps.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use ledgerline::contract::{Call, ContractSet, MemoryState};
use ledgerline::event::{Decoder, Headers, Record, SourcePartition};
use ledgerline::fleet::{Fleet, FleetSize, Message, Rubbish};
use ledgerline::mapping::{MappingSet, Outcome};

const NAMES: [&str; 3] = ["cold_chain", "medical_kit", "machine_condition"];

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ledgerline"));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn shipped(kind: &str, name: &str) -> (PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(kind).join(format!("{name}.yaml"));
    let text = std::fs::read_to_string(&path).unwrap();
    (path, text)
}

#[test]
fn their_tests_pass_through_the_program() {
    let assert = program().arg("test").assert().success();
    let out = text(&assert.get_output().stdout);
    let mut tests: BTreeMap<&str, usize> = BTreeMap::new();
    for line in out.lines().filter_map(|line| line.strip_prefix("ok")) {
        *tests.entry(line.trim().split(": ").next().unwrap()).or_default() += 1;
    }
    let definitions: Vec<_> = tests.keys().copied().collect();
    let expected = [
        "cold_chain",
        "kit-register",
        "kit-transit",
        "machine-temperature",
        "machine-temperature-celsius",
        "machine-vibration",
        "machine_condition",
        "medical_kit",
        "reefer-buffered",
        "reefer-door",
        "reefer-manifest",
        "reefer-status",
    ];
    assert_eq!(definitions, expected);
    assert!(tests.values().all(|count| *count >= 2), "{tests:?}");
    let passed: usize = tests.values().sum();
    assert_eq!(out.lines().last(), Some(format!("{passed} passed, 0 failed").as_str()));
    println!("{passed} tests in {} definitions", tests.len());
}

#[test]
fn every_mapping_shows_what_it_takes_passes_over_and_refuses() {
    for name in NAMES {
        let (path, text) = shipped("mappings", name);
        for document in text.split("\n---\n") {
            for part in ["payloads:", "rejected:"] {
                assert!(document.contains(part), "{}: {document}", path.display());
            }
        }
        assert!(text.contains("filtered"), "{}", path.display());
    }
}

/// Copies of the shipped files with a configuration that names them.
struct Copy(tempfile::TempDir);

impl Copy {
    fn new() -> Self {
        let copy = Self(tempfile::tempdir().unwrap());
        for kind in ["mappings", "contracts"] {
            std::fs::create_dir(copy.path(kind)).unwrap();
            for name in NAMES {
                let (from, text) = shipped(kind, name);
                let to = copy.path(kind).join(from.file_name().unwrap());
                std::fs::write(to, text).unwrap();
            }
        }
        program().arg("keygen").arg(copy.path("key.pem")).assert().success();
        let config = "ledger: {name: example.com/copy, directory: ledger, key: key.pem}\n\
                      source: {file: {path: readings.jsonl}}\n\
                      mappings: [mappings]\n\
                      contracts: [contracts]\n";
        std::fs::write(copy.path("ledgerline.yaml"), config).unwrap();
        std::fs::write(copy.path("readings.jsonl"), "").unwrap();
        copy
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, command: &str) -> assert_cmd::assert::Assert {
        program().arg(command).arg("--config").arg(self.path("ledgerline.yaml")).assert()
    }
}

#[test]
fn they_are_free_of_faults_in_a_configuration() {
    let assert = Copy::new().run("check").success();
    assert_eq!(text(&assert.get_output().stderr), "");
    let out = text(&assert.get_output().stdout);
    assert_eq!(out, "9 mappings and 3 contracts: no error, 0 warnings\n");
}

/// One slip: the file, what stands there, what is written instead, where in that the fault begins,
/// and what must be said.
type Slip = (&'static str, &'static str, &'static str, usize, &'static [&'static str]);

const SLIPS: [Slip; 9] = [
    (
        "mappings/cold_chain.yaml",
        "  temperature: { path: $.payload.d.temperature, type: number }\n  humidity",
        "  temprature: { path: $.payload.d.temperature, type: number }\n  humidity",
        2,
        &["the state of `cold_chain` has no field `temprature`", "did you mean `temperature`"],
    ),
    (
        "mappings/cold_chain.yaml",
        "humidity: { path: $.payload.d.humidity, type: integer",
        "humidity: { path: $.payload.d.humidity, type: boolean",
        0,
        &["`humidity` is boolean here, but the state of `cold_chain` expects number"],
    ),
    (
        "mappings/machine_condition.yaml",
        "function: update\nfields:\n  assetID: $.device.id\n  kind: $.device.type\n  # In mm/s",
        "function: upsert\nfields:\n  assetID: $.device.id\n  kind: $.device.type\n  # In mm/s",
        10,
        &["upsert", "create", "deleteProperties"],
    ),
    (
        "contracts/medical_kit.yaml",
        "  # A kit is registered once; news of a kit that nobody registered is refused.\n  create:\n",
        "",
        0,
        &["the contract has no function `create`", "put `create:` below `functions`"],
    ),
    (
        "mappings/medical_kit.yaml",
        "contract: medical_kit\nfunction: create",
        "contract: medical_kits\nfunction: create",
        10,
        &["there is no contract `medical_kits`", "did you mean `medical_kit`"],
    ),
    (
        "mappings/medical_kit.yaml",
        "contents: { path: $.payload.d.contents, type: string }",
        "contents: { path: $.paylod.d.contents, type: string }",
        18,
        &["`$.paylod.d.contents`: a path starts with `$.payload`", "did you mean `payload`"],
    ),
    (
        "mappings/machine_condition.yaml",
        "expression: 'round(payload.d.temperature * 1.8",
        "expression: 'rnd(payload.d.temperature * 1.8",
        12,
        &["rnd"],
    ),
    (
        "contracts/machine_condition.yaml",
        "raise_when: state.temperature > derived.limits.hot",
        "raise_when: state.temperatur > derived.limits.hot",
        12,
        &["the state schema has no `temperatur`", "did you mean `temperature`"],
    ),
    (
        "mappings/machine_condition.yaml",
        "expect: { rejected: { cause: lookup,",
        "expect: { rejected: { cause: look_up,",
        29,
        &["there is no cause `look_up`", "did you mean `lookup`"],
    ),
];

#[test]
fn a_slip_of_the_pen_is_reported_with_its_place_and_what_helps() {
    for (file, shipped, slip, offset, expected) in SLIPS {
        let copy = Copy::new();
        let path = copy.path(file);
        let before = std::fs::read_to_string(&path).unwrap();
        assert_eq!(before.matches(shipped).count(), 1, "{file}: {shipped}");
        let after = before.replace(shipped, slip);
        std::fs::write(&path, &after).unwrap();
        let assert = copy.run("check").code(78);
        let diagnostics = text(&assert.get_output().stderr);
        println!("{diagnostics}");
        for part in expected {
            assert!(diagnostics.contains(part), "{slip}: no {part:?} in {diagnostics}");
        }
        if !slip.is_empty() {
            let upto = &after[..after.find(slip).unwrap() + offset];
            let line = upto.matches('\n').count() + 1;
            let column = upto.rsplit('\n').next().unwrap().chars().count() + 1;
            let place = format!("{}:{line}:{column}: error: ", path.display());
            assert!(diagnostics.contains(&place), "{slip}: no {place:?} in {diagnostics}");
        }
        // A contract that is left out for its own fault is not also called absent.
        let is_of_contract = file.starts_with("contracts/");
        assert!(
            !is_of_contract || !diagnostics.contains("there is no contract"),
            "{slip}: {diagnostics}"
        );
        // The service refuses it too, before it touches anything.
        let assert = copy.run("run").code(78);
        assert!(text(&assert.get_output().stderr).contains(expected[0]), "{slip}");
        assert!(!copy.path("ledger").exists(), "{slip}");
    }
}

#[test]
fn a_test_that_fails_shows_the_difference() {
    let copy = Copy::new();
    let path = copy.path("mappings/cold_chain.yaml");
    let before = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, before.replace("openings: 3,", "openings: 4,")).unwrap();
    let assert = program().arg("test").arg(&path).assert().code(65);
    let out = text(&assert.get_output().stdout);
    for part in
        ["FAIL reefer-door: opened for the third time", "-    \"openings\": 4", ", 1 failed"]
    {
        assert!(out.contains(part), "no {part:?} in {out}");
    }
    assert!(out.contains(&format!("{}:", path.display())), "{out}");
}

/// The outcome of one record: a cause, `filtered`, or the verdict of its transaction.
fn end(
    message: &Message,
    definitions: &(MappingSet, ContractSet),
    state: &mut MemoryState,
    raised: &mut BTreeMap<String, usize>,
) -> String {
    let (mappings, contracts) = definitions;
    let partition = SourcePartition::new(message.topic, 0);
    let record = Record {
        partition: &partition,
        offset: 0,
        timestamp_ms: Some(message.timestamp_ms),
        key: Some(&message.key),
        value: message.value.as_deref(),
        headers: Headers::default(),
        damage: None,
    };
    let event = match Decoder::default().decode(&record) {
        Ok(event) => event,
        Err(rejection) => return rejection.cause.name().to_owned(),
    };
    let payloads = match mappings.evaluate(&event) {
        Outcome::Mapped(payloads) => payloads,
        Outcome::NotMatched => return "filtered".to_owned(),
        Outcome::Rejected(rejection) => return rejection.cause.name().to_owned(),
    };
    let mut verdict = "none".to_owned();
    for payload in &payloads {
        let contract = contracts.get(&payload.contract).unwrap();
        let call = Call {
            function: payload.function,
            arguments: payload.arguments.value(),
            time_ms: event.info.time_ms.unwrap(),
        };
        let effects = contract.execute(call, state);
        for asset in effects.writes.iter().filter_map(|write| write.asset.as_ref()) {
            for alert in &asset.alerts.raised {
                *raised.entry(alert.clone()).or_default() += 1;
            }
        }
        state.apply(&contract.name, &effects);
        verdict = effects.verdict.name().to_owned();
        if verdict != "valid" {
            break;
        }
    }
    verdict
}

fn definitions() -> (MappingSet, ContractSet) {
    let (mappings, diagnostics) =
        MappingSet::from_texts(&NAMES.map(|name| shipped("mappings", name)));
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let (contracts, diagnostics) = ContractSet::load(&NAMES.map(|name| shipped("contracts", name)));
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    (mappings, contracts)
}

#[test]
fn every_record_of_the_fleet_ends_as_its_documentation_says() {
    let definitions = definitions();
    let mut state = MemoryState::new();
    let mut fleet = Fleet::new(7, FleetSize::default());
    let mut message = Message::default();
    let mut ends: BTreeMap<Option<Rubbish>, BTreeMap<String, usize>> = BTreeMap::new();
    let mut raised = BTreeMap::new();
    for number in 0..20_000 {
        fleet.next(1_714_564_800_000 + number * 250, &mut message);
        let end = end(&message, &definitions, &mut state, &mut raised);
        *ends.entry(message.rubbish).or_default().entry(end).or_default() += 1;
    }
    println!("{ends:#?}\n{raised:#?}");
    let found: BTreeMap<_, BTreeSet<&str>> = ends
        .iter()
        .map(|(what, ends)| (*what, ends.keys().map(String::as_str).collect()))
        .collect();
    let mut expected = BTreeMap::from(Rubbish::ALL.map(|rubbish| {
        let ends: &[&str] = match rubbish {
            Rubbish::NotJson | Rubbish::Cut | Rubbish::NotANumber => &["not_json"],
            Rubbish::DuplicateKey => &["duplicate_key"],
            Rubbish::NotUtf8 => &["not_utf8"],
            Rubbish::Tombstone | Rubbish::MissingField => &["missing_field"],
            Rubbish::BadKey | Rubbish::SelfTest => &["filtered"],
            // In a machine that measures in °C an expression converts it.
            Rubbish::WrongType => &["expression", "field_type"],
            // Machines send no location.
            Rubbish::BadLocation => &["schema_violation", "valid"],
        };
        (Some(rubbish), ends.iter().copied().collect::<BTreeSet<_>>())
    }));
    expected.insert(None, BTreeSet::from(["valid"]));
    assert_eq!(found, expected);
    let often: Vec<_> = raised.iter().filter(|(_, count)| **count > 400).collect();
    assert!(often.is_empty(), "an alert that is always raised says nothing: {often:?}");
    for alert in [
        "OVERTEMP",
        "DOOROPEN",
        "GEOFENCE",
        "ONBATTERY",
        "SHOCK",
        "TIPPED",
        "ASTRAY",
        "OVERHEATED",
        "RUNSHOT",
        "VIBRATION",
    ] {
        assert!(raised.contains_key(alert), "{alert} never came: {raised:?}");
    }
}
