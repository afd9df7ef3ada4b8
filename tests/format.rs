//! The ledger's format is the published one: old ledgers are read and go on, and what
//! `docs/format.md` says of the new one holds for the ledgers in `tests/vectors`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

mod common;
#[path = "common/project.rs"]
mod project;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use common::outside;
use ledgerline::codec::Digest;
use project::Project;
use serde_json::{Value, json};

fn vectors(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let target = to.join(file.file_name());
        match file.file_type().unwrap().is_dir() {
            true => copy(&file.path(), &target),
            false => _ = fs::copy(file.path(), target).unwrap(),
        }
    }
}

/// The site of the published ledgers, with the log of one of them.
fn site(format: &str) -> Project {
    let project = Project::new();
    for name in ["mappings", "contracts"] {
        fs::remove_dir_all(project.path(name)).unwrap();
    }
    copy(&vectors("site"), &project.path(""));
    copy(&vectors(format).join("log"), &project.path("ledger/log"));
    let key = project.path("ledger.pem");
    fs::set_permissions(key, Permissions::from_mode(0o600)).unwrap();
    let checkpoint = fs::read(vectors(format).join("ledger.checkpoint")).unwrap();
    project.write("published.checkpoint", checkpoint);
    project
}

/// One more record of a partition of the site.
fn more(project: &Project) {
    let record = json!({
        "topic": "pumps", "partition": 1, "offset": 4, "tstype": "create", "ts": 1_767_225_609_000_u64,
        "key": "pump", "payload": "{\"kind\":\"pump\",\"serial\":\"P-9\",\"flow\":2}",
    });
    project.write("records.jsonl", project.read("records.jsonl") + &record.to_string() + "\n");
}

#[test]
fn a_ledger_of_format_1_is_read_and_says_what_its_checkpoints_do_not_cover() {
    let project = site("format-1");
    let report = project.run(&["verify", "ledger"]).exits(0).out;
    assert!(report.contains("the first 4 blocks are in format 1"), "{report}");
    assert!(report.contains("tree          12 leaves"), "{report}");
    let states = project.run(&["state", "ledger", "pump", "--json"]).exits(0).json_lines();
    let keys: Vec<_> = states.iter().map(|state| state["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["P-1", "P-2"]);
    let transaction = project.run(&["tx", "ledger", "pumps/0/0/0", "--json"]).exits(0).json();
    assert_eq!(
        (&transaction["device_type"], &transaction["device_id"]),
        (&json!("pump"), &json!("P-1"))
    );
    assert!(transaction.get("record_digest").is_none(), "it covers the value alone: {transaction}");
    let letters = project.run(&["deadletters", "list", "ledger", "--json"]).exits(0).json_lines();
    assert_eq!(letters.len(), 2);
}

#[test]
fn a_ledger_of_format_1_goes_on_in_format_2() {
    let project = site("format-1");
    more(&project);
    project.run(&["run"]).exits(0);
    let report = project
        .run(&["verify", "ledger", "--from-checkpoint", "published.checkpoint"])
        .exits(0)
        .out;
    assert!(report.contains("the first 4 blocks are in format 1"), "{report}");
    assert!(report.contains("the log extends the older checkpoint of tree size 12"), "{report}");
    let transaction = project.run(&["tx", "ledger", "pumps/1/4/0", "--json"]).exits(0).json();
    assert!(transaction["record_digest"].is_string(), "{transaction}");
    let block = |number: u64| {
        project.run(&["block", "ledger", &number.to_string(), "--json"]).exits(0).json()
    };
    assert_eq!((&block(3)["format"], &block(4)["format"]), (&json!("1"), &json!("2")));
    assert_eq!(block(4)["entries"][0]["definition"], "ledger", "the first block says so");
    // A second start has nothing to say.
    project.run(&["run"]).exits(0);
    let kinds = project.run(&["export", "ledger"]).exits(0).json_lines();
    assert_eq!(kinds.iter().filter(|entry| entry["definition"] == "ledger").count(), 2);
}

/// The published digests of each block and each transaction.
const OF_BLOCKS: [&str; 7] =
    ["number", "format", "hash", "entries_root", "tree_size", "effects", "records"];
const OF_TRANSACTIONS: [&str; 6] =
    ["id", "entry", "record_digest", "value_digest", "mapping_digest", "verdict"];

fn published_digests() -> Value {
    serde_json::from_slice(&fs::read(vectors("format-2/digests.json")).unwrap()).unwrap()
}

/// Hash of a transaction's leaf, from its proof.
fn leaf_hash(project: &Project, id: &str) -> String {
    let proof = project.run(&["tx", "ledger", id, "--proof"]).exits(0).out;
    let extra = proof.lines().find_map(|line| line.strip_prefix("extra ")).unwrap();
    let leaf = BASE64_STANDARD.decode(extra).unwrap();
    Digest::of(&[&[0][..], &leaf].concat()).to_string()
}

/// The digests that a verifier must find in a ledger of the site.
fn digests(project: &Project) -> Value {
    let picked = |from: &Value, names: &[&str]| -> Value {
        names.iter().map(|name| ((*name).to_owned(), from[*name].clone())).collect()
    };
    let newest = project.run(&["block", "ledger", "--json"]).exits(0).json();
    let blocks = (0..=newest["number"].as_u64().unwrap()).map(|number| {
        let block = project.run(&["block", "ledger", &number.to_string(), "--json"]).exits(0);
        let block = block.json();
        let root = block["checkpoint"].as_str().unwrap().lines().nth(2).unwrap();
        let root: [u8; 32] = BASE64_STANDARD.decode(root).unwrap().try_into().unwrap();
        let mut found = picked(&block, &OF_BLOCKS);
        found["tree_root"] = json!(Digest(root).to_string());
        found
    });
    let blocks: Vec<_> = blocks.collect();
    let lines = project.run(&["export", "ledger"]).exits(0).json_lines();
    let transactions = lines.iter().filter(|line| line.get("verdict").is_some());
    let transactions = transactions.map(|transaction| {
        let mut found = picked(transaction, &OF_TRANSACTIONS);
        found["leaf_hash"] = json!(leaf_hash(project, transaction["id"].as_str().unwrap()));
        found
    });
    let newest = &blocks[blocks.len() - 1];
    json!({
        "ledger": "example.com/vectors",
        "tree": { "size": newest["tree_size"], "root": newest["tree_root"] },
        "records": project.read("records.jsonl").lines().count(),
        "transactions": transactions.collect::<Vec<_>>(),
        "blocks": blocks,
    })
}

/// Publishes the ledger of format 2 again: set `LEDGERLINE_WRITE_VECTORS` after the format or the
/// site has changed.
fn publish() {
    let project = site("format-2");
    fs::remove_dir_all(project.path("ledger")).unwrap();
    project.run(&["run"]).exits(0);
    let to = |name: &str| vectors("format-2").join(name);
    fs::remove_dir_all(to("log")).unwrap();
    copy(&project.path("ledger/log"), &to("log"));
    fs::copy(project.path("ledger.checkpoint"), to("ledger.checkpoint")).unwrap();
    let digests = serde_json::to_string_pretty(&digests(&project)).unwrap();
    fs::write(to("digests.json"), digests + "\n").unwrap();
}

#[test]
fn a_published_ledger_of_format_2_holds_what_is_published_of_it() {
    if std::env::var_os("LEDGERLINE_WRITE_VECTORS").is_some() {
        publish();
    }
    let project = site("format-2");
    let report = project
        .run(&["verify", "ledger", "--from-checkpoint", "published.checkpoint"])
        .exits(0)
        .out;
    let published = published_digests();
    let tree = &published["tree"];
    let line =
        format!("tree          {} leaves, root {}", tree["size"], tree["root"].as_str().unwrap());
    assert!(report.contains(&line), "{report}");
    assert_eq!(digests(&project), published);
}

fn in_partition_0((offset, line): (u64, &str)) -> String {
    let mut record: Value = serde_json::from_str(line).unwrap();
    (record["partition"], record["offset"]) = (json!(0), json!(offset));
    record.to_string() + "\n"
}

#[test]
fn the_same_records_give_the_same_entries_wherever_blocks_end() {
    // Between partitions there is no order, so all records are put into one.
    let records = fs::read_to_string(vectors("site/records.jsonl")).unwrap();
    let records: Vec<_> = (0..).zip(records.lines()).map(in_partition_0).collect();
    let run = |at_a_time: usize| {
        let project = site("format-2");
        fs::remove_dir_all(project.path("ledger")).unwrap();
        let mut until = 0;
        while until < records.len() {
            until = records.len().min(until + at_a_time);
            project.write("records.jsonl", records[..until].concat());
            project.run(&["run"]).exits(0);
        }
        digests(&project)
    };
    let blocks = |digests: &Value| digests["blocks"].as_array().unwrap().len();
    let whole = run(records.len());
    for at_a_time in [1, 4] {
        let parted = run(at_a_time);
        assert!(blocks(&parted) > blocks(&whole), "{at_a_time} at a time");
        assert_eq!(parted["transactions"], whole["transactions"], "{at_a_time} at a time");
    }
    // What they replace is part of them, and there is something replaced.
    let project = site("format-2");
    let lines = project.run(&["export", "ledger"]).exits(0).json_lines();
    assert!(lines.iter().any(|line| line["writes"][0]["replaced"].is_u64()), "{lines:?}");
}

#[test]
fn a_proof_is_checked_without_the_ledger() {
    let project = site("format-2");
    let key = fs::read_to_string(vectors("format-2/key")).unwrap();
    let key = key.trim();
    let proof = project.run(&["tx", "ledger", "pumps/0/0/0", "--proof"]).exits(0).out;
    assert!(proof.lines().nth(1).unwrap().starts_with("extra "), "{proof}");
    project.write("a.proof", &proof);
    project.write("value", r#"{"kind":"pump","serial":"P-1","flow":12.5}"#);
    fs::remove_dir_all(project.path("ledger")).unwrap();
    let check =
        |more: &[&str]| project.run(&[&["verify-proof", "a.proof", "--key"], more].concat());
    let sound = check(&[key, "--record", "value"]).exits(0).out;
    assert!(sound.contains("pumps/0/0/0") && sound.ends_with("verified\n"), "{sound}");
    project.write("other", "{}");
    let other = check(&[key, "--record", "other"]).exits(65);
    assert!(other.err.contains("which is not the value's"), "{}", other.err);
    let stranger = project.run(&["keygen", "x.pem", "--name", "example.com/vectors"]).exits(0).out;
    check(&[stranger.trim()]).exits(65);
    // Nothing of the proof may be changed, the leaf included.
    let extra = proof.lines().nth(1).unwrap();
    let mut leaf = BASE64_STANDARD.decode(extra.strip_prefix("extra ").unwrap()).unwrap();
    *leaf.last_mut().unwrap() ^= 1;
    let forged = format!("extra {}", BASE64_STANDARD.encode(leaf));
    project.write("a.proof", proof.replacen(extra, &forged, 1));
    check(&[key]).exits(65);
    project.write("a.proof", proof.replacen(&format!("{extra}\n"), "", 1));
    assert!(check(&[key]).exits(65).err.contains("no `extra` line"), "a leaf must be there");
    check(&["rubbish"]).exits(64);
}

/// The report of the verifier that was written from `docs/format.md` alone; `None` without Python.
fn foreign(ledger: &Path, more: &[&str]) -> Option<(bool, String)> {
    let mut python = outside("python3")?;
    let output = python.arg(vectors("verify.py")).arg(ledger).args(more).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8(said).unwrap()))
}

#[test]
fn a_verifier_that_was_written_from_the_page_alone_agrees() {
    let path = |name: &str| vectors(name).to_str().unwrap().to_owned();
    let records = path("site/records.jsonl");
    for format in ["format-1", "format-2"] {
        let (checkpoint, digests) =
            (path(&format!("{format}/ledger.checkpoint")), path("format-2/digests.json"));
        let mut more = vec!["--checkpoint", &checkpoint, "--records", &records];
        if format == "format-2" {
            more.extend(["--digests", &digests]);
        }
        let Some((is_sound, said)) = foreign(&vectors(format), &more) else { return };
        assert!(is_sound && said.contains("verified: 4 blocks, 12 entries"), "{format}: {said}");
    }
    // A ledger that changed its format, and then a byte of a dead letter in its own frame.
    let project = site("format-1");
    more(&project);
    project.run(&["run"]).exits(0);
    let (is_sound, said) = foreign(&project.path("ledger"), &[]).unwrap();
    assert!(is_sound && said.contains("verified: 6 blocks"), "{said}");
    let older = project.path("published.checkpoint");
    let newest = path("format-2/ledger.checkpoint");
    let (is_sound, said) =
        foreign(&project.path("ledger"), &["--checkpoint", older.to_str().unwrap()]).unwrap();
    assert!(is_sound, "{said}");
    let (is_sound, said) = foreign(&project.path("ledger"), &["--checkpoint", &newest]).unwrap();
    assert!(!is_sound, "the checkpoint is of another log: {said}");
}
