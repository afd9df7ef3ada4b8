//! Command-line queries for auditors: the disposition of each record, refused calls and their
//! reasons, the full contents of a block; lists of any length.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "common/filled.rs"]
mod filled;
#[path = "common/project.rs"]
mod project;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use filled::*;
use project::*;
use serde_json::{Value, json};

#[test]
fn lists_go_on_to_any_limit() {
    let project = filled();
    let transactions = |arguments: &[&str]| {
        let arguments = [&["transactions", "ledger", "--json"], arguments].concat();
        project.run(&arguments).exits(0)
    };
    let all = transactions(&["--all"]).json_lines();
    assert_eq!(all.len() as u64, READINGS, "more than one page");
    let offsets = (0..READINGS).rev().map(|offset| format!("telemetry/0/{offset}/0"));
    assert!(offsets.eq(all.iter().map(|one| one["id"].as_str().unwrap().to_owned())));
    let most = transactions(&["--limit", "550"]);
    assert_eq!(most.json_lines(), all[..550]);
    assert!(most.err.contains("there is more"), "{}", most.err);
    assert_eq!(transactions(&["--limit", "100000"]).err, "");
    let history = project.run(&["history", "ledger", "machine", "M1", "--all", "--json"]).exits(0);
    let changed = (0..READINGS).filter(|n| n % DEVICES == 1 && temperature(*n) < 900).count();
    assert_eq!((history.json_lines().len(), history.err.as_str()), (changed, ""));
    let letters = project.run(&["deadletters", "list", "ledger", "--all"]).exits(0);
    assert_eq!((letters.out.lines().count(), letters.err.as_str()), (3, ""));
    let caused = ["deadletters", "list", "ledger", "--cause", "not_json", "--json"];
    assert_eq!(project.run(&caused).exits(0).json_lines()[0]["id"], "telemetry/1/1");
    project.run(&["deadletters", "list", "ledger", "--cause", "no_json"]).exits(64);
}

#[test]
fn a_block_is_shown_with_any_number_of_its_entries() {
    let project = filled();
    let one = project.run(&["block", "ledger", "0", "--limit", "1", "--json"]).exits(0);
    assert_eq!(one.json()["entries"].as_array().unwrap().len(), 1);
    assert!(one.err.contains("there is more"), "{}", one.err);
    let all = project.run(&["block", "ledger", "0", "--all", "--json"]).exits(0);
    assert_eq!((all.json()["entries"].as_array().unwrap().len(), all.err.as_str()), (3, ""));
}

#[test]
fn refused_calls_are_listed_with_their_reason() {
    let project = filled();
    let list = |arguments: &[&str]| {
        let arguments = [&["transactions", "ledger", "--all"], arguments].concat();
        let for_people = project.run(&arguments).exits(0);
        assert_clean(&for_people.out);
        let json = project.run(&[&arguments[..], &["--json"]].concat()).exits(0).json_lines();
        assert_eq!(for_people.out.lines().count(), json.len());
        (for_people.out, json)
    };
    let (text, refused) = list(&["--verdict", "invalid"]);
    assert_eq!(refused.len() as u64, REJECTED);
    assert!(refused.iter().all(|one| one["verdict"] == "rejected"), "{refused:?}");
    assert!(
        text.lines().all(|line| line.ends_with("impossible: no machine is that hot")),
        "{text}"
    );
    assert_eq!(list(&["--verdict", "rejected"]).1, refused);
    assert_eq!(list(&["--verdict", "schema_violation"]).1, Vec::<Value>::new());
    assert_eq!(list(&["--verdict", "valid"]).1.len() as u64, READINGS - REJECTED);
    let (_, of_one) = list(&["--device-type", "press", "--device-id", "M3"]);
    assert_eq!(of_one.len() as u64, (0..READINGS).filter(|n| n % DEVICES == 3).count() as u64);
    assert_eq!(list(&["--contract", "machine"]).1.len() as u64, READINGS);
    assert_eq!(list(&["--contract", "other"]).1, Vec::<Value>::new());
}

#[test]
fn what_became_of_a_record_can_be_asked() {
    let project = filled();
    let record = |id: &str, code| {
        let text = project.run(&["record", "ledger", id]).exits(code);
        assert_clean(&text.out);
        project.run(&["record", "ledger", id, "--json"]).exits(code).json()
    };
    let committed = record("telemetry/0/5", 0);
    assert_eq!(committed["outcome"], "committed");
    assert_eq!(committed["transactions"][0]["id"], "telemetry/0/5/0");
    assert_eq!(committed["transactions"][0]["verdict"], "rejected");
    let filtered = record("telemetry/1/0", 0);
    assert_eq!(filtered["outcome"], "filtered");
    assert!(filtered["block"].is_u64() && filtered["time"].is_string(), "{filtered}");
    let letter = record("telemetry/1/1", 0);
    assert_eq!(letter["outcome"], "dead_letter");
    assert_eq!(letter["dead_letter"]["cause"], "not_json");
    let later = record(&format!("telemetry/0/{READINGS}"), 66);
    assert_eq!((&later["outcome"], &later["next"]), (&json!("not_reached"), &json!(READINGS)));
    let never = record("telemetry/7/0", 66);
    assert_eq!((&never["outcome"], &never["next"]), (&json!("not_reached"), &Value::Null));
}

#[test]
fn skipped_records_and_gaps_are_told_apart() {
    let project = Project::new();
    let record = |offset| reading(0, offset, "M1", &json!({ "temperature": offset }));
    project.write("records.jsonl", record(7) + &record(9));
    project.run(&["run"]).exits(0);
    for (offset, code, outcome) in
        [(6, 66, "skipped"), (7, 0, "committed"), (8, 0, "gap"), (9, 0, "committed")]
    {
        let id = format!("telemetry/0/{offset}");
        let found = project.run(&["record", "ledger", &id, "--json"]).exits(code).json();
        assert_eq!(found["outcome"], outcome, "{found}");
    }
}

/// A record (no matching mapping).
fn other(partition: u32, offset: u64) -> String {
    let key = json!({
        "orgId": "acme", "deviceType": "press", "deviceId": "M1", "eventType": "other",
        "format": "json", "timestamp": "2024-05-01T12:00:00Z"
    });
    line(partition, offset, &key.to_string(), "{}")
}

#[test]
fn filtered_records_are_listed_as_runs() {
    let project = Project::new();
    let mut records = String::new();
    (0..30).for_each(|offset| records += &other(0, offset));
    records += &reading(0, 30, "M1", &json!({ "temperature": 1 }));
    (31..33).for_each(|offset| records += &other(0, offset));
    records += &other(1, 5);
    project.write("records.jsonl", &records);
    project.run(&["run"]).exits(0);
    // The run goes on in blocks of later starts.
    (33..40).for_each(|offset| records += &other(0, offset));
    project.write("records.jsonl", &records);
    project.run(&["run"]).exits(0);
    let runs = |arguments: &[&str]| -> Vec<(String, u64, u64, u64)> {
        let arguments = [&["filtered", "ledger", "--json"], arguments].concat();
        let lines = project.run(&arguments).exits(0).json_lines();
        let number = |run: &Value, name: &str| run[name].as_u64().unwrap();
        let run = |run: &Value| {
            let partition = run["partition"].as_str().unwrap().to_owned();
            (partition, number(run, "first"), number(run, "last"), number(run, "records"))
        };
        lines.iter().map(run).collect()
    };
    let [zero, one] = ["telemetry/0", "telemetry/1"].map(str::to_owned);
    let all = [(zero.clone(), 0, 29, 30), (zero, 31, 39, 9), (one, 5, 5, 1)];
    assert_eq!(runs(&[]), all);
    assert_eq!(runs(&["--topic", "telemetry", "--partition", "1"]), all[2..]);
    assert_eq!(runs(&["--topic", "other"]), []);
    let first = project.run(&["filtered", "ledger", "--limit", "1"]).exits(0);
    assert_eq!(first.out.lines().count(), 1);
    assert!(first.out.starts_with("telemetry/0/0 to 29  30 records  block"), "{}", first.out);
    assert!(first.err.contains("there is more"), "{}", first.err);
}

#[test]
fn an_export_may_have_all_that_the_ledger_holds() {
    let project = filled();
    let lines = project.run(&["export", "ledger", "--kinds", "all"]).exits(0).json_lines();
    let of = |kind: &str| lines.iter().filter(|line| line["type"] == kind).collect::<Vec<_>>();
    let blocks = of("block");
    let newest = project.run(&["block", "ledger", "--json"]).exits(0).json();
    assert_eq!(blocks.len() as u64, newest["number"].as_u64().unwrap() + 1);
    for name in ["hash", "previous", "entries_root", "effects", "signer", "signature", "checkpoint"]
    {
        assert!(blocks.iter().all(|block| block[name].is_string()), "{name}");
    }
    let records = |block: &&Value| -> u64 {
        let progress = block["progress"].as_array().unwrap().iter();
        progress.map(|progress| progress["records"].as_u64().unwrap()).sum()
    };
    assert_eq!(blocks.iter().map(records).sum::<u64>(), READINGS + 4);
    let submissions = of("submission");
    let signed = |one: &&Value| one["transactions"].as_u64().unwrap();
    assert_eq!(submissions.iter().map(signed).sum::<u64>(), READINGS);
    assert!(submissions.iter().all(|one| one["block"].is_u64() && one["root"].is_string()));
    assert_eq!((of("transaction").len() as u64, of("definition").len()), (READINGS, 5));
    let letters = of("dead_letter");
    assert_eq!(letters.len(), 3);
    assert!(letters.iter().all(|letter| letter["value"]["base64"].is_string()));
    assert_eq!(of("filtered").len(), 1);
    assert_eq!(of("filtered")[0]["partition"], "telemetry/1");
    let typed = blocks.len() + submissions.len() + 5 + 3 + 1;
    assert_eq!(lines.len(), typed + usize::try_from(READINGS).unwrap());
    let some = project.run(&["export", "ledger", "--kinds", "filtered,dead-letters"]).exits(0);
    assert_eq!(some.json_lines().len(), 4);
}

#[test]
fn a_last_block_that_cannot_be_read_is_not_passed_over() {
    let project = filled();
    let log = project.path("ledger/log/blocks-00000000000000000000.log");
    let mut bytes = std::fs::read(&log).unwrap();
    let at = bytes.len() - 10;
    bytes[at] ^= 1;
    std::fs::write(&log, &bytes).unwrap();
    // What the kept checkpoint covers was there.
    let kept = project.run(&["verify", "ledger"]).exits(65).out;
    assert!(kept.ends_with("NOT VERIFIED\n"), "{kept}");
    // Without one it may have been an interrupted write: nothing calls the whole log verified.
    std::fs::remove_file(project.path("ledger.checkpoint")).unwrap();
    std::fs::remove_dir_all(project.path("ledger/state")).unwrap();
    let alone = project.run(&["verify", "ledger/"]).exits(0).out;
    assert!(
        alone.contains("are not a complete block") && alone.contains("cannot be detected"),
        "{alone}"
    );
    assert!(alone.lines().last().unwrap().starts_with("verified up to block "), "{alone}");
}

#[test]
fn assets_named_like_folders_and_options_are_reached() {
    let project = Project::new();
    let names = [".", "..", "-x", "--json", "a/b", " "];
    let records: Vec<_> = (0..)
        .zip(names)
        .map(|(offset, name)| reading(0, offset, name, &json!({ "temperature": offset })))
        .collect();
    project.write("records.jsonl", records.concat());
    project.run(&["run"]).exits(0);
    for (offset, name) in (0_u64..).zip(names) {
        let state = ["state", "ledger", "--json", "machine", "--", name];
        let asset = project.run(&state).exits(0).json();
        assert_eq!(asset["state"]["temperature"], offset, "{name:?}");
        let history = ["history", "ledger", "--json", "machine", "--", name];
        assert_eq!(project.run(&history).exits(0).json_lines().len(), 1, "{name:?}");
    }
    for name in [".", ".."] {
        project.run(&["state", "ledger", "machine", name]).exits(0);
    }
}

#[test]
fn a_key_file_is_read_by_other_programs() {
    let project = Project::new();
    let id = project.run(&["keygen", "new.pem"]).exits(0).out;
    let pem = project.read("new.pem");
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = BASE64_STANDARD.decode(base64).unwrap();
    // RFC 8410, section 7: version 1, Ed25519, the private key in an octet string of its own.
    let head = [0x30, 46, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 34, 4, 32];
    assert_eq!((&der[..head.len()], der.len()), (&head[..], head.len() + 32));
    let openssl = std::process::Command::new("openssl")
        .args(["pkey", "-in", "new.pem", "-pubout", "-outform", "DER"])
        .current_dir(project.path("."))
        .output();
    if let Ok(output) = openssl {
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        let key = hex::encode(&output.stdout[output.stdout.len() - 32..]);
        assert_eq!(key, id.trim());
    }
}
