//! Every command does what its `--help` says, for people and for machines, and ends with the exit
//! status that is documented.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "common/filled.rs"]
mod filled;
#[path = "common/project.rs"]
mod project;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use filled::*;
use project::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

#[test]
fn help_tells_of_every_command_and_every_status() {
    let project = Project::new();
    let help = project.run(&["--help"]).exits(0).out;
    let commands = [
        "demo",
        "run",
        "check",
        "test",
        "verify",
        "verify-proof",
        "top",
        "rebuild",
        "export",
        "keygen",
        "token",
        "state",
        "history",
        "tx",
        "transactions",
        "record",
        "filtered",
        "block",
        "deadletters",
        "bench",
        "simulate",
        "schema",
        "completions",
        "man",
    ];
    for command in commands {
        assert!(help.contains(&format!("\n  {command} ")), "{command} is not in\n{help}");
        let own = project.run(&[command, "--help"]).exits(0);
        assert!(own.out.contains(&format!("Usage: ledgerline {command}")), "{}", own.out);
        assert_eq!(own.err, "");
    }
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| !line.is_empty());
    // A longer description goes on in lines that begin further in.
    let listed = listed.filter(|line| !line.starts_with("   ")).count();
    assert_eq!(listed, commands.len() + 1, "with `help` itself");
    for status in [0, 64, 65, 66, 69, 70, 73, 74, 75, 77, 78] {
        assert!(help.contains(&format!("{status} ")), "{status}");
    }
    let version = project.run(&["--version"]).exits(0);
    assert_eq!(version.out.trim(), concat!("ledgerline ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_is_64_and_what_is_not_there_66() {
    let project = filled();
    let wrong: [&[&str]; 17] = [
        &[],
        &["simulate", "--seeds", "7..7"],
        &["nonsense"],
        &["run", "--nonsense"],
        &["verify"],
        &["state", "ledger"],
        &["state", "ledger", "machine", "--limit", "many"],
        &["state", "ledger", "machine", "--where", "temperature"],
        &["tx", "ledger", "not-an-id"],
        &["deadletters", "show", "ledger", "telemetry"],
        &["verify", "ledger", "--key", "no-key"],
        &["keygen", "new.pem", "--name", "a b"],
        &["schema", "nonsense"],
        &["record", "ledger", "telemetry"],
        &["transactions", "ledger", "--verdict", "reject"],
        &["history", "ledger", "machine", "M1", "--all", "--limit", "1"],
        &["export", "ledger", "--kinds", "everything"],
    ];
    for arguments in wrong {
        let ended = project.run(arguments).exits(64);
        assert!(!ended.err.is_empty() && ended.out.is_empty(), "{arguments:?}");
    }
    assert!(!project.path("new.pem").exists());
    let absent: [&[&str]; 17] = [
        &["verify", "absent"],
        &["rebuild", "absent"],
        &["export", "absent"],
        &["state", "absent", "machine"],
        &["state", "ledger", "machine", "M99"],
        &["history", "ledger", "machine", "M99"],
        &["history", "ledger", "absent", "M1"],
        &["tx", "ledger", "telemetry/0/99999/0"],
        &["tx", "ledger", "telemetry/1/0/0"],
        &["block", "ledger", "99999"],
        &["deadletters", "show", "ledger", "telemetry/0/1"],
        &["verify", "ledger", "--from-checkpoint", "absent"],
        &["verify", "ledger", "--kept-checkpoint", "absent"],
        &["block", "ledger", "--kept-checkpoint", "absent"],
        &["transactions", "absent"],
        &["filtered", "absent"],
        &["record", "ledger", "telemetry/0/99999"],
    ];
    for arguments in absent {
        let ended = project.run(arguments).exits(66);
        assert!(!ended.err.is_empty(), "{arguments:?}");
        assert_clean(&ended.err);
    }
    assert!(!project.path("absent").exists(), "looking makes nothing");
}

/// Entries of the ledger with a block's.
fn entries_up_to(block: &Value) -> u64 {
    block["first_entry"].as_u64().unwrap() + block["entry_count"].as_u64().unwrap()
}

#[test]
fn a_run_takes_a_file_once_and_what_is_new_in_it() {
    let project = filled();
    let blocks = |project: &Project| project.run(&["block", "ledger", "--json"]).exits(0).json();
    let before = blocks(&project);
    assert_eq!(entries_up_to(&before), ENTRIES);
    project.run(&["run"]).exits(0);
    assert_eq!(blocks(&project), before, "nothing was new");
    let more = records() + &reading(0, READINGS, "M1", &json!({ "temperature": 1 }));
    project.write("records.jsonl", more);
    project.run(&["run"]).exits(0);
    assert_eq!(entries_up_to(&blocks(&project)), ENTRIES + 1);
    project.run(&["verify", "ledger"]).exits(0);
}

#[test]
fn a_run_takes_standard_input_and_logs_one_json_line_each() {
    let project = Project::new();
    project.replace("ledgerline.yaml", "records.jsonl", "'-'");
    let mut child = spawn(&project, &["run"]);
    child.stdin.take().unwrap().write_all(records().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{log}");
    assert!(output.stdout.is_empty(), "a service prints nothing but its log");
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
    }
    let ended: Vec<_> = log.lines().filter(|line| line.contains("\"ended\"")).collect();
    assert!(ended.len() == 1, "{log}");
    let ended: Value = serde_json::from_str(ended[0]).unwrap();
    assert_eq!(ended["entries"], ENTRIES, "{log}");
    let leaves = ENTRIES + ended["blocks"].as_u64().unwrap();
    assert_eq!(ended["tree_size"], leaves, "{log}");
    let verified = project.run(&["verify", "ledger"]).exits(0);
    assert!(verified.out.contains("604, each with one disposition"), "{}", verified.out);
}

#[test]
fn logs_are_for_people_when_asked_and_hold_no_control_characters() {
    let project = Project::new();
    project.write("records.jsonl", records());
    let ended = project.run(&["--log-format", "text", "--log", "debug", "run"]).exits(0);
    assert!(ended.err.lines().any(|line| line.contains("INFO running")), "{}", ended.err);
    assert!(ended.err.contains("records rejected"), "{}", ended.err);
    let refused = "telemetry/0/5/0: rejected: impossible: no machine is that hot";
    assert!(ended.err.contains(refused), "the first refused call with its reason: {}", ended.err);
    assert_clean(&ended.err);
    let mut command = project.command(&["run"]);
    command.env("LEDGERLINE_LOG", "error");
    assert_eq!(ended_of(command).exits(0).err, "", "the environment may choose the lines, too");
    project.run(&["--log", "=nonsense=", "check"]).exits(64);
}

fn ended_of(command: std::process::Command) -> Ended {
    project::ended(command)
}

#[test]
fn verify_says_what_it_saw_and_what_is_wrong() {
    let project = filled();
    let sound = project.run(&["verify", "ledger"]).exits(0);
    let lines: Vec<_> = sound.out.lines().collect();
    assert_eq!(lines.last(), Some(&"verified"), "{}", sound.out);
    let expected = [
        "ledger        example.com/test".to_owned(),
        format!("entries       {ENTRIES} ({READINGS} transactions)"),
        "records       604, each with one disposition".to_owned(),
    ];
    for line in &expected {
        assert!(lines.contains(&line.as_str()), "{line} is not in\n{}", sound.out);
    }
    assert!(sound.out.contains("note          the state store matches the writes of the first"));
    let key = value_of(&sound.out, "begun with");
    assert!(key.starts_with("example.com/test+"), "{key}");

    project.run(&["verify", "ledger", "--key", &key]).exits(0);
    let other = project.run(&["keygen", "other.pem", "--name", "example.com/test"]).exits(0).out;
    let wrong = project.run(&["verify", "ledger", "--key", other.trim()]).exits(65);
    assert!(wrong.out.contains("WRONG         block 0: "), "{}", wrong.out);
    assert_eq!(wrong.out.lines().last(), Some("NOT VERIFIED"));
    let named = project.run(&["keygen", "third.pem", "--name", "example.com/b"]).exits(0).out;
    let wrong = project.run(&["verify", "ledger", "--key", named.trim()]).exits(65);
    assert!(wrong.out.contains("is named `example.com/test`"), "{}", wrong.out);
}

#[test]
fn verify_proves_that_a_log_extends_an_older_checkpoint() {
    let project = filled();
    let older = project.read("ledger.checkpoint");
    project.write("older.checkpoint", &older);
    let more = records() + &reading(0, READINGS, "M1", &json!({ "temperature": 1 }));
    project.write("records.jsonl", more);
    project.run(&["run"]).exits(0);
    let since = |name| ["verify", "ledger", "--from-checkpoint", name];
    let sound = project.run(&since("older.checkpoint")).exits(0);
    let size = older.lines().nth(1).unwrap();
    let note = format!("the log extends the older checkpoint of tree size {size}:");
    assert!(sound.out.contains(&note), "{}", sound.out);
    project.write("no.checkpoint", older.replacen(size, "17", 1));
    let wrong = project.run(&since("no.checkpoint")).exits(65);
    assert!(wrong.out.contains("WRONG         the older checkpoint: "), "{}", wrong.out);
}

#[test]
fn verify_leaves_its_outcome_for_prometheus() {
    let project = filled();
    let other = project.run(&["keygen", "other.pem", "--name", "example.com/test"]).exits(0).out;
    let ledger = project.path("ledger").canonicalize().unwrap();
    let value = |name: &str| {
        let text = std::fs::read_to_string(project.path("l.prom")).unwrap();
        let label = format!("ledgerline_verify_{name}{{directory=\"{}\"}} ", ledger.display());
        text.lines().find_map(|line| line.strip_prefix(&label)).map(str::to_owned)
    };
    let some = |value: &str| Some(value.to_owned());
    let verify =
        |rest: &[&str]| project.run(&[&["verify", "ledger", "--metrics", "l.prom"], rest].concat());
    verify(&[]).exits(0);
    assert_eq!((value("ok"), value("problems")), (some("1"), some("0")));
    assert_eq!(value("entries"), Some(ENTRIES.to_string()));
    let first: f64 = value("time_seconds").unwrap().parse().unwrap();
    assert!(first > 1.7e9, "{first}");
    // In place of the one before.
    verify(&["--key", other.trim()]).exits(65);
    assert_eq!(value("ok"), some("0"));
    assert!(value("problems").is_some_and(|problems| problems != "0"));
    // What could not be read is not verified.
    verify(&["--from-checkpoint", "absent"]).exits(66);
    assert_eq!((value("ok"), value("problems")), (some("0"), None));
    assert!(!project.path("l.prom.new").exists(), "nothing half done is left");
    // A file that cannot be written does not hide what is wrong with the ledger.
    let nowhere = ["verify", "ledger", "--metrics", "absent/l.prom"];
    let ended = project.run(&nowhere).exits(66);
    assert!(ended.out.ends_with("verified\n") && ended.err.contains("absent/l.prom"), "{ended:?}");
    let wrong = project.run(&[&nowhere[..], &["--key", other.trim()]].concat()).exits(65);
    assert!(wrong.err.contains("absent/l.prom"), "{wrong:?}");
}

#[test]
fn damage_is_told_by_verify_and_stops_all_else() {
    let project = filled();
    let name = "ledger/log/blocks-00000000000000000000.log";
    let mut bytes = std::fs::read(project.path(name)).unwrap();
    bytes[400] ^= 1;
    project.write(name, &bytes);
    let wrong = project.run(&["verify", "ledger"]).exits(65);
    assert!(wrong.out.contains("is damaged at byte") && wrong.out.contains(name), "{}", wrong.out);
    for arguments in [&["run"][..], &["rebuild", "ledger"], &["state", "ledger", "machine"]] {
        let ended = project.run(arguments).exits(65);
        assert!(ended.err.contains("`ledgerline verify`"), "{arguments:?}: {}", ended.err);
    }
    assert!(std::fs::read(project.path(name)).unwrap() == bytes, "it was left as it is");
}

#[test]
fn keygen_makes_a_key_that_only_its_owner_can_read() {
    let project = Project::new();
    let made = project.run(&["keygen", "keys/new.pem"]).exits(0);
    assert!(made.out.trim().len() == 64 && made.out.trim().chars().all(|c| c.is_ascii_hexdigit()));
    let mode = std::fs::metadata(project.path("keys/new.pem")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = project.read("keys/new.pem");
    assert!(before.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    let again = project.run(&["keygen", "keys/new.pem"]).exits(73);
    assert!(again.err.contains("keys/new.pem"), "{}", again.err);
    assert_eq!(project.read("keys/new.pem"), before);
    assert!(!made.out.contains(before.lines().nth(1).unwrap()));
}

#[test]
fn test_runs_what_stands_in_the_files_and_shows_what_differs() {
    let project = Project::new();
    let passed = project.run(&["test"]).exits(0);
    let expected = "ok   reading: a reading\nok   machine: it gets hot\n2 passed, 0 failed\n";
    assert_eq!(passed.out, expected);
    let one = project.run(&["test", "mappings/reading.yaml"]).exits(0);
    assert_eq!(one.out, "ok   reading: a reading\n1 passed, 0 failed\n");
    project.replace(
        "mappings/reading.yaml",
        "          temperature: 4\n",
        "          temperature: 5\n",
    );
    project.replace("contracts/machine.yaml", "active: [HOT]", "active: []");
    let failed = project.run(&["test"]).exits(65);
    assert_eq!(failed.out.lines().last(), Some("0 passed, 2 failed"));
    for part in ["FAIL reading: a reading", "mappings/reading.yaml:10:", "5", "HOT"] {
        assert!(failed.out.contains(part), "{part} is not in\n{}", failed.out);
    }
    project.replace("contracts/machine.yaml", "version: 1", "version: x");
    let bad = project.run(&["test"]).exits(78);
    assert!(bad.err.starts_with("contracts/machine.yaml:2:10: error: "), "{}", bad.err);
}

#[test]
fn a_simulation_tells_what_it_tried_and_a_broken_promise_with_its_seed() {
    let project = Project::new();
    let held = project.run(&["simulate", "--seeds", "3..5"]).exits(0);
    assert!(held.out.starts_with("2 seeds: 12 starts, "), "{}", held.out);
    let folder = project.path("lies");
    std::fs::create_dir(&folder).unwrap();
    let lies = ["simulate", "--seeds", "0..20", "--lying-disk", "--directory", "lies"];
    let broken = project.run(&lies).exits(65);
    let last = broken.out.lines().last().unwrap();
    assert!(last.starts_with("seed "), "{}", broken.out);
    assert!(broken.out.contains("power loss"), "every step is told: {}", broken.out);
}

#[test]
fn rebuild_gives_the_same_state() {
    let project = filled();
    let listing = || {
        let state = project.run(&["state", "ledger", "machine", "--json"]).exits(0).out;
        assert_eq!(state.lines().count(), usize::try_from(DEVICES).unwrap());
        state
    };
    let before = listing();
    std::fs::remove_dir_all(project.path("ledger/state")).unwrap();
    for _ in 0..2 {
        let rebuilt = project.run(&["rebuild", "ledger"]).exits(0);
        assert!(rebuilt.out.starts_with("the state matches the writes of "), "{}", rebuilt.out);
        assert_eq!(listing(), before);
    }
    let verified = project.run(&["verify", "ledger"]).exits(0);
    assert!(verified.out.contains("the state store matches"), "{}", verified.out);
}

#[test]
fn export_writes_every_entry_as_a_line() {
    let project = filled();
    let entries = project.run(&["export", "ledger"]).exits(0).json_lines();
    assert_eq!(entries.len() as u64, ENTRIES);
    // Indices rise; where a block ended, its own leaf stands in between.
    for pair in entries.windows(2) {
        let [before, entry] = [&pair[0], &pair[1]].map(|entry| entry["entry"].as_u64().unwrap());
        assert!(before < entry, "{before} and {entry}");
    }
    let kinds: Vec<_> = entries.iter().filter_map(|entry| entry["definition"].as_str()).collect();
    assert_eq!(kinds, ["ledger", "key", "key", "contract", "mapping"]);
    assert_eq!((&entries[3]["text"], &entries[4]["text"]), (&json!(CONTRACT), &json!(MAPPING)));
    for (offset, entry) in (0..READINGS).zip(&entries[5..]) {
        assert_eq!(entry["id"], format!("telemetry/0/{offset}/0"));
        assert_eq!(entry["arguments"]["temperature"], temperature(offset));
        assert_eq!(entry["arguments"]["note"], HOSTILE);
        let verdict = if temperature(offset) > 900 { "rejected" } else { "valid" };
        assert_eq!(entry["verdict"], verdict, "{entry}");
    }
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

/// RFC 6962, section 2.1, word for word: split at the largest power of two below the size.
fn tree_hash(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => sha256(&[]),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            sha256(&[&[1], &tree_hash(left), &tree_hash(right)])
        }
    }
}

/// Every file under a folder, by its name there.
fn files(folder: &Path, prefix: &str, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
        match path.is_dir() {
            true => files(&path, &format!("{name}/"), found),
            false => _ = found.insert(name, std::fs::read(&path).unwrap()),
        }
    }
}

/// A bundle of entries: each with its length in two bytes in front.
fn bundle(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut entries = Vec::new();
    while let Some((len, rest)) = bytes.split_first_chunk::<2>() {
        let (entry, rest) = rest.split_at(usize::from(u16::from_be_bytes(*len)));
        entries.push(entry);
        bytes = rest;
    }
    assert!(bytes.is_empty());
    entries
}

#[test]
fn exported_tiles_verify_with_nothing_of_ours() {
    let project = filled();
    let exported = project.run(&["export", "ledger", "--tiles", "tiles"]).exits(0);
    let mut tiles = BTreeMap::new();
    files(&project.path("tiles"), "", &mut tiles);
    let size: u64 =
        String::from_utf8_lossy(&tiles["checkpoint"]).lines().nth(1).unwrap().parse().unwrap();
    assert!(exported.out.contains(&format!("checkpoint of tree size {size}")), "{}", exported.out);
    let names: Vec<_> = tiles.keys().map(String::as_str).collect();
    assert!((512..768).contains(&size), "two full tiles and one that is not: {size}");
    let rest = size - 512;
    let (hashes, bundle_of_rest) =
        (format!("tile/0/002.p/{rest}"), format!("tile/entries/002.p/{rest}"));
    let expected = [
        "checkpoint",
        "tile/0/000",
        "tile/0/001",
        &hashes,
        "tile/1/000.p/2",
        "tile/entries/000",
        "tile/entries/001",
        &bundle_of_rest,
    ];
    assert_eq!(names, expected);

    let part = |name: &str| tiles[name].as_slice();
    let entries: Vec<_> = expected[5..].iter().flat_map(|name| bundle(part(name))).collect();
    let leaves: Vec<_> = entries.iter().map(|entry| sha256(&[&[0], entry])).collect();
    assert_eq!(leaves.len() as u64, size);
    let hashes = [part("tile/0/000"), part("tile/0/001"), part(&hashes)].concat();
    assert_eq!(hashes, leaves.concat());
    let above = [tree_hash(&leaves[..256]), tree_hash(&leaves[256..512])].concat();
    assert_eq!(part("tile/1/000.p/2"), above);

    // C2SP signed note: origin, size, root; a blank line; signatures.
    let note = String::from_utf8(tiles["checkpoint"].clone()).unwrap();
    let (text, signatures) = note.split_once("\n\n").unwrap();
    let root = BASE64_STANDARD.encode(tree_hash(&leaves));
    assert_eq!(text, format!("example.com/test\n{size}\n{root}"));
    let verified = project.run(&["verify", "ledger"]).exits(0).out;
    let key = value_of(&verified, "begun with");
    let encoded = BASE64_STANDARD.decode(key.splitn(3, '+').nth(2).unwrap()).unwrap();
    let number = &sha256(&[b"example.com/test\n", &encoded])[..4];
    let line = signatures.trim_end().strip_prefix("— example.com/test ").unwrap();
    let signature = BASE64_STANDARD.decode(line).unwrap();
    assert_eq!(&signature[..4], number);
    let key = VerifyingKey::from_bytes(encoded[1..].try_into().unwrap()).unwrap();
    let signature = Signature::from_slice(&signature[4..]).unwrap();
    key.verify(format!("{text}\n").as_bytes(), &signature).unwrap();
}

/// The value behind a name in `verify`'s output.
fn value_of(text: &str, name: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().to_owned()
}

#[test]
fn looking_shows_everything_to_people_and_machines() {
    let project = filled();
    let look = |arguments: &[&str]| {
        let for_people = project.run(arguments).exits(0);
        assert!(!for_people.out.is_empty(), "{arguments:?}");
        assert_clean(&for_people.out);
        let as_json = [arguments, &["--json"]].concat();
        let json = project.run(&as_json).exits(0);
        assert!(json.out.chars().all(|c| !c.is_control() || c == '\n'), "{arguments:?}");
        (for_people, json)
    };
    let (text, json) = look(&["state", "ledger", "machine"]);
    assert_eq!(text.out.lines().count() as u64, DEVICES);
    let states = json.json_lines();
    let keys: Vec<_> = states.iter().map(|state| state["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["M0", "M1", "M2", "M3", "M4", "M5", "M6"]);

    let (text, json) = look(&["state", "ledger", "machine", "M3"]);
    assert!(text.out.contains("\\u{1b}[31mred\\u{7}\\rover"), "{}", text.out);
    let newest = (0..READINGS).rfind(|n| n % DEVICES == 3 && temperature(*n) < 900).unwrap();
    assert_eq!(json.json()["state"]["temperature"], temperature(newest));
    assert_eq!(json.json()["state"]["note"], HOSTILE);

    let (text, json) = look(&["history", "ledger", "machine", "M3", "--limit", "5"]);
    assert_eq!((text.out.lines().count(), json.json_lines().len()), (5, 5));
    assert_eq!(json.json_lines()[0]["id"], format!("telemetry/0/{newest}/0"));
    assert!(text.err.contains("there is more: raise `--limit`, or use `--all`"), "{}", text.err);

    let (text, json) = look(&["tx", "ledger", "telemetry/0/105/0"]);
    assert!(text.out.contains("impossible"), "{}", text.out);
    assert_eq!(json.json()["verdict"], "rejected");
    let (text, json) = look(&["tx", "ledger", "telemetry/0/105/0", "--proof"]);
    assert!(text.out.starts_with("c2sp.org/tlog-proof@v1\n"), "{}", text.out);
    assert_eq!(json.json()["tlog_proof"].as_str().unwrap().trim_end(), text.out.trim_end());

    let (_, newest) = look(&["block", "ledger"]);
    let number = newest.json()["number"].as_u64().unwrap();
    let (_, named) = look(&["block", "ledger", &number.to_string()]);
    assert_eq!(named.json(), newest.json());
    let (text, json) = look(&["block", "ledger", "0"]);
    assert_eq!(json.json()["tree_size"], 4, "three entries and the block itself");
    assert!(text.out.contains("number: 0"), "{}", text.out);
}

#[test]
fn state_can_be_narrowed() {
    let project = filled();
    let keys = |arguments: &[&str]| -> Vec<String> {
        let arguments = [&["state", "ledger", "machine", "--json"], arguments].concat();
        let states = project.run(&arguments).exits(0).json_lines();
        states.iter().map(|state| state["key"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(keys(&["--limit", "2"]), ["M0", "M1"]);
    assert_eq!(keys(&["--prefix", "M6"]), ["M6"]);
    assert_eq!(keys(&["--prefix", "X"]), [""; 0]);
    let newest = |device: u64| {
        (0..READINGS).rfind(|n| n % DEVICES == device && temperature(*n) < 900).map(temperature)
    };
    let wanted = format!("temperature={}", newest(2).unwrap());
    assert_eq!(keys(&["--where", &wanted]), ["M2"]);
    let hot = (0..DEVICES).filter(|device| newest(*device).unwrap() > 100);
    assert_eq!(keys(&["--alerts"]), hot.map(|n| format!("M{n}")).collect::<Vec<_>>());
}

#[test]
fn dead_letters_are_listed_and_shown_with_their_bytes() {
    let project = filled();
    let list = project.run(&["deadletters", "list", "ledger"]).exits(0);
    assert_clean(&list.out);
    let letters = project.run(&["deadletters", "list", "ledger", "--json"]).exits(0).json_lines();
    assert_eq!((list.out.lines().count(), letters.len()), (3, 3));
    let mut causes: Vec<_> = letters
        .iter()
        .map(|letter| [letter["id"].as_str().unwrap(), letter["cause"].as_str().unwrap()])
        .collect();
    causes.sort_unstable();
    assert_eq!(causes[0][0], format!("records.lines/0/{}", READINGS + 3));
    assert_eq!(causes[1], ["telemetry/1/1", "not_json"]);
    assert_eq!(causes[2][0], "telemetry/1/2");
    let one = project.run(&["deadletters", "list", "ledger", "--limit", "1"]).exits(0);
    assert_eq!(one.out.lines().count(), 1);
    assert!(one.err.contains("there is more"));
    for id in causes.iter().map(|cause| cause[0]) {
        assert_clean(&project.run(&["deadletters", "show", "ledger", id]).exits(0).out);
        let shown = project.run(&["deadletters", "show", "ledger", id, "--json"]).exits(0).json();
        let bytes = BASE64_STANDARD.decode(shown["value"]["base64"].as_str().unwrap()).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let kept = text.contains(HOSTILE) || text.contains(&json!(HOSTILE).to_string());
        assert!(kept, "{id}: {text:?}");
    }
}

#[test]
fn schemas_hold_for_the_files_that_work() {
    let project = Project::new();
    for (form, text) in [("config", CONFIG), ("mapping", MAPPING), ("contract", CONTRACT)] {
        let schema = project.run(&["schema", form]).exits(0).json();
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let file: Value = serde_saphyr::from_str(text).unwrap();
        let diagnostics: Vec<_> = validator.iter_errors(&file).map(|e| e.to_string()).collect();
        assert!(diagnostics.is_empty(), "{form}: {diagnostics:?}");
        let mut wrong = file;
        wrong["nonsense"] = json!(1);
        assert!(
            !validator.is_valid(&wrong),
            "{form}: an unknown name is a fault in an editor, too"
        );
    }
}

fn spawn(project: &Project, arguments: &[&str]) -> Child {
    let mut command = project.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_program_quietly() {
    let project = filled();
    let commands: [&[&str]; 11] = [
        &["export", "ledger"],
        &["export", "ledger", "--kinds", "all"],
        &["transactions", "ledger"],
        &["filtered", "ledger"],
        &["state", "ledger", "machine"],
        &["history", "ledger", "machine", "M1"],
        &["block", "ledger"],
        &["deadletters", "list", "ledger"],
        &["verify", "ledger"],
        &["test"],
        &["schema", "config"],
    ];
    for arguments in commands {
        for lines in [0, 1] {
            let mut child = spawn(&project, arguments);
            let mut out = BufReader::with_capacity(16, child.stdout.take().unwrap());
            let mut line = String::new();
            (0..lines).for_each(|_| _ = out.read_line(&mut line).unwrap());
            drop(out);
            let mut err = String::new();
            child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
            let status = child.wait().unwrap();
            assert!(status.success(), "{arguments:?} ended with {status}: {err}");
            assert!(!err.contains("panicked") && !err.contains("roken pipe"), "{err}");
        }
    }
}

#[test]
fn a_closed_standard_error_changes_nothing() {
    let project = filled();
    project.replace("mappings/reading.yaml", "type: number", "typ: number");
    let cases: [(&[&str], i32); 4] = [
        (&["check"], 78),
        (&["run"], 78),
        (&["nonsense"], 64),
        (&["history", "ledger", "machine", "M1", "--limit", "1"], 0),
    ];
    let check = |arguments: &[&str], code| {
        let mut child = spawn(&project, arguments);
        drop(child.stderr.take());
        // Standard input is given only now, so that nothing is written before.
        drop(child.stdin.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    };
    cases.iter().for_each(|(arguments, code)| check(arguments, *code));
    project.replace("mappings/reading.yaml", "typ: number", "type: number");
    project.replace("ledgerline.yaml", "records.jsonl", "'-'");
    check(&["--log", "trace", "run"], 0);
}

/// Asks until there is an answer.
fn until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    for _ in 0..2_000 {
        if let Some(answer) = ask() {
            return answer;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("it never came");
}

/// A service on standard input, which stays open, that has taken in all records.
fn service(project: &Project) -> Child {
    project.replace("ledgerline.yaml", "records.jsonl", "'-'");
    let mut child = spawn(project, &["run"]);
    // What comes in whole chunks is read at once; the rest waits for the end.
    let mut input = child.stdin.take().unwrap();
    input.write_all(records().as_bytes()).unwrap();
    input.write_all(&vec![b'\n'; 600 * 1024]).unwrap();
    input.flush().unwrap();
    child.stdin = Some(input);
    until(|| {
        let block = project.run(&["block", "ledger", "--json"]);
        (block.code == 0 && entries_up_to(&block.json()) == ENTRIES).then_some(())
    });
    child
}

#[test]
fn a_running_service_can_be_looked_at_and_is_the_only_writer() {
    let project = Project::new();
    let mut child = service(&project);
    let states = project.run(&["state", "ledger", "machine", "--json"]).exits(0).json_lines();
    assert_eq!(states.len() as u64, DEVICES);
    project.run(&["tx", "ledger", "telemetry/0/7/0"]).exits(0);
    project.run(&["deadletters", "list", "ledger"]).exits(0);
    assert_eq!(project.run(&["export", "ledger"]).exits(0).out.lines().count() as u64, ENTRIES);
    let verified = project.run(&["verify", "ledger"]).exits(0);
    assert!(verified.out.contains("in use"), "{}", verified.out);
    for arguments in [&["run"][..], &["rebuild", "ledger"]] {
        let ended = project.run(arguments).exits(75);
        assert!(ended.err.contains("in use"), "{}", ended.err);
    }
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let verified = project.run(&["verify", "ledger"]).exits(0);
    assert!(verified.out.contains("the state store matches"), "{}", verified.out);
    let leftover = std::fs::read_dir(project.path("ledger")).unwrap();
    let names: Vec<_> = leftover.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "lock, log and state: {names:?}");
}

#[test]
fn a_signal_ends_a_run_in_order() {
    for signal in ["TERM", "INT"] {
        let project = Project::new();
        let child = service(&project);
        let sent = std::process::Command::new("sh")
            .args(["-c", &format!("kill -{signal} {}", child.id())])
            .status();
        assert!(sent.unwrap().success());
        // Its standard input is still open.
        let mut child = child;
        let input = child.stdin.take();
        let output = child.wait_with_output().unwrap();
        drop(input);
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{log}");
        assert!(log.contains(&format!("SIG{signal}")) && log.contains("\"ended\""), "{log}");
        let verified = project.run(&["verify", "ledger"]).exits(0);
        assert!(verified.out.contains("the state store matches"), "{}", verified.out);
    }
}

#[test]
fn the_demonstration_shows_the_whole_way_and_verifies_it() {
    let project = Project::new();
    let arguments = [
        "demo",
        "--events",
        "200",
        "--rate",
        "0",
        "--listen",
        "127.0.0.1:0",
        "--directory",
        "demo",
    ];
    let ended = project.run(&arguments).exits(0);
    assert_eq!(ended.out.lines().last(), Some("verified"), "{}", ended.out);
    assert!(ended.out.contains("records       200, each with one disposition"), "{}", ended.out);
    let again = project.run(&["verify", "demo/ledger"]).exits(0);
    assert_eq!(value_of(&again.out, "tree"), value_of(&ended.out, "tree"));
    project.run(&["check", "-c", "demo/ledgerline.yaml"]).exits(0);
    project.run(&["test", "demo/mappings", "demo/contracts"]).exits(0);
}

#[test]
fn the_numbers_of_these_tests_fit() {
    let rejected = (0..READINGS).filter(|offset| temperature(*offset) > 900).count() as u64;
    assert_eq!(rejected, REJECTED);
}

/// The message of the log line about a file's records.
#[track_caller]
fn file_summary(ended: &Ended) -> String {
    let lines = ended.err.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let summary = lines.into_iter().find(|line| line["known"].is_u64());
    let summary = summary.unwrap_or_else(|| panic!("no summary in {}", ended.err));
    summary["message"].as_str().unwrap().to_owned()
}

#[test]
fn a_run_over_a_file_says_what_became_of_it() {
    let project = Project::new();
    let run = || file_summary(&project.run(&["run"]).exits(0));
    assert_eq!(run(), "0 records: 0 committed, 0 filtered, 0 dead letters");
    let data = json!({ "temperature": 1 });
    let mut text: String = (0..3).map(|offset| reading(0, offset, "M1", &data)).collect();
    text += &reading(0, 3, "M1", &data).replace("reading", "other");
    text += "rubbish\n";
    project.write("records.jsonl", &text);
    assert_eq!(run(), "5 records: 3 committed, 1 filtered, 1 dead letter");
    assert_eq!(run(), "5 lines were in the ledger already, 0 new");
    project.write("records.jsonl", text + &reading(0, 4, "M1", &data));
    let both = "1 record: 1 committed, 0 filtered, 0 dead letters; \
                5 lines were in the ledger already";
    assert_eq!(run(), both);
}

#[test]
fn a_line_that_is_not_the_ledgers_is_told_with_its_place() {
    let line = |partition, offset, temperature: i32| {
        reading(partition, offset, "M1", &json!({ "temperature": temperature }))
    };
    let both = |last: &str, other: &str| line(0, 0, 1) + &line(1, 7, 2) + "\n" + last + other;
    let project = Project::new();
    project.write("records.jsonl", both(&line(0, 1, 3), "rubbish\n"));
    project.run(&["run"]).exits(0);
    project.run(&["run"]).exits(0);
    for (last, other, place) in [
        (line(0, 1, 4), "rubbish\n", "line 4: the record at offset 1 of telemetry/0 "),
        (line(0, 1, 3), "nonsense\n", "line 5: the record at offset 4 of records.lines/0 "),
    ] {
        project.write("records.jsonl", both(&last, other) + &line(0, 2, 5));
        let ended = project.run(&["run"]).exits(65);
        assert!(ended.err.contains(place), "{place}: {}", ended.err);
        assert!(ended.err.contains("`file.epoch`"), "{}", ended.err);
    }
    project.replace("ledgerline.yaml", "records.jsonl }", "records.jsonl, epoch: 1 }");
    project.run(&["run"]).exits(0);
    project.run(&["verify", "ledger"]).exits(0);
}

#[test]
fn output_that_cannot_be_written_is_74() {
    let project = filled();
    let commands: [&[&str]; 12] = [
        &["--help"],
        &["--version"],
        &["verify", "ledger"],
        &["export", "ledger"],
        &["state", "ledger", "machine"],
        &["tx", "ledger", "telemetry/0/7/0"],
        &["check"],
        &["check", "--json"],
        &["test"],
        &["schema", "config"],
        &["completions", "bash"],
        &["man"],
    ];
    for arguments in commands {
        let mut command = project.command(arguments);
        command.stdout(std::fs::File::options().write(true).open("/dev/full").unwrap());
        let ended = ended_of(command);
        assert_eq!(ended.code, 74, "{arguments:?}: {}", ended.err);
        assert!(!ended.err.contains("panicked"), "{}", ended.err);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_66_or_74_whatever_asks_for_it() {
    let project = filled();
    let proof = project.run(&["tx", "ledger", "telemetry/0/7/0", "--proof"]).exits(0).out;
    project.write("a.proof", proof);
    let key = value_of(&project.run(&["verify", "ledger"]).exits(0).out, "begun with");
    let prove = |proof, record| ["verify-proof", proof, "--key", &key, "--record", record];
    for (proof, record, code) in [
        ("a.proof", "absent", 66),
        ("a.proof", "mappings", 74),
        ("absent", "records.jsonl", 66),
        ("mappings", "records.jsonl", 74),
    ] {
        let ended = project.run(&prove(proof, record)).exits(code);
        let name = if proof == "a.proof" { record } else { proof };
        assert!(ended.err.contains(name), "{}", ended.err);
    }
}

#[test]
fn a_limit_on_the_size_of_files_is_a_full_disk() {
    let project = Project::new();
    // Notes that no compression makes much smaller.
    let note = |offset: u64| {
        let digest = |n: u64| BASE64_STANDARD.encode(sha256(&[&(offset * 500 + n).to_le_bytes()]));
        (0..500).map(digest).collect::<String>()
    };
    let data = |offset| json!({ "temperature": 1, "note": note(offset) });
    let records: String = (0..200).map(|offset| reading(0, offset, "M1", &data(offset))).collect();
    project.write("records.jsonl", records);
    // In blocks of 512 bytes or of 1 KiB: above what an empty state store takes.
    let mut command = std::process::Command::new("sh");
    let limited = format!("ulimit -f 1500; exec {PROGRAM} run");
    command.args(["-c", &limited]).current_dir(project.path("")).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut told = String::new();
    while !told.contains("the disk is full; ingestion waits for space") {
        let read = log.read_line(&mut told).unwrap();
        assert!(read > 0, "it ended with {}: {told}", child.wait().unwrap());
    }
    assert!(told.contains("File too large"), "{told}");
    child.kill().unwrap();
    child.wait().unwrap();
    project.run(&["run"]).exits(0);
    project.run(&["verify", "ledger"]).exits(0);
}

#[test]
fn a_second_token_under_one_name_is_told() {
    let project = Project::new();
    let token = |name| project.run(&["token", name, "--role", "viewer"]).exits(0).err;
    assert!(!token("ada").contains("warning"));
    assert!(!token("bob").contains("warning"));
    let told = token("ada");
    assert!(told.contains("warning: `ada` has 2 tokens in tokens.yaml now"), "{told}");
}

#[test]
fn the_demonstration_says_how_it_takes_a_free_port() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = Project::new().run(&["demo", "--listen", &address]).exits(69);
    assert!(ended.err.contains("`--listen 127.0.0.1:0`"), "{}", ended.err);
}
