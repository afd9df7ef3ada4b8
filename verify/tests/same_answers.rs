//! `ledgerline-verify` answers as `ledgerline verify` and `verify-proof` do: the same output and the
//! same exit status, for sound ledgers, damaged ones and wrong usage. It builds without Kafka, OpenSSL
//! and C++.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const VERIFIER: &str = env!("CARGO_BIN_EXE_ledgerline-verify");

/// A published ledger.
fn published(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors").join(name)
}

/// A copy of a published ledger, and where its log is.
fn copied(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    std::fs::create_dir(&log).unwrap();
    let segment = "blocks-00000000000000000000.log";
    std::fs::copy(published(name).join("log").join(segment), log.join(segment)).unwrap();
    (folder, log.join(segment))
}

/// The program with all commands, built beside this one.
fn service() -> Option<PathBuf> {
    let program = Path::new(VERIFIER).with_file_name("ledgerline");
    let is_needed = std::env::var_os("LEDGERLINE_MUST_RUN").is_some();
    assert!(program.exists() || !is_needed, "build {} first", program.display());
    if !program.exists() {
        eprintln!("not compared: `cargo build` makes the program to compare with");
    }
    program.exists().then_some(program)
}

fn ask(program: &Path, command: &str, arguments: &[&str]) -> Output {
    let mut asked = Command::new(program);
    asked.arg(command).args(arguments).env_clear();
    asked.output().unwrap()
}

/// Asks both programs; what the verifier answered.
#[track_caller]
fn check(commands: [&str; 2], arguments: &[&str], status: i32) -> String {
    let [own, other] = commands;
    let found = ask(Path::new(VERIFIER), own, arguments);
    let texts = |output: &Output| {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (text(&output.stdout), text(&output.stderr))
    };
    let (out, errors) = texts(&found);
    assert_eq!(found.status.code(), Some(status), "{arguments:?}: {out}{errors}");
    if let Some(service) = service() {
        let expected = ask(&service, other, arguments);
        assert_eq!(found.status.code(), expected.status.code(), "{arguments:?}");
        // Only the names of program and command differ.
        let named = |text: &str| {
            let text = text.replace(&format!("ledgerline-verify {own}"), "PROGRAM");
            text.replace(&format!("ledgerline {other}"), "PROGRAM").replace("-verify:", ":")
        };
        let (expected_out, expected_errors) = texts(&expected);
        assert_eq!(out, expected_out, "{arguments:?}");
        assert_eq!(named(&errors), named(&expected_errors), "{arguments:?}");
    }
    out + &errors
}

const LEDGER: [&str; 2] = ["ledger", "verify"];
const PROOF: [&str; 2] = ["proof", "verify-proof"];

#[test]
fn sound_ledgers() {
    for name in ["format-1", "format-2"] {
        let ledger = published(name);
        let (ledger, kept) = (ledger.to_str().unwrap(), ledger.join("ledger.checkpoint"));
        let said = check(LEDGER, &[ledger, "--kept-checkpoint", kept.to_str().unwrap()], 0);
        assert!(said.contains("\nverified\n"), "{said}");
        let said = check(LEDGER, &[ledger, "--from-checkpoint", kept.to_str().unwrap()], 0);
        assert!(said.contains("\nverified\n"), "{said}");
        let json = check(LEDGER, &[ledger, "--json"], 0);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["verified"], true, "{json}");
        let key = json["begun_with"].as_str().unwrap();
        check(LEDGER, &[ledger, "--key", key], 0);
    }
}

#[test]
fn damaged_ledgers() {
    let (folder, segment) = copied("format-2");
    let ledger = folder.path().to_str().unwrap();
    let sound = std::fs::read(&segment).unwrap();
    check(LEDGER, &[ledger], 0);
    for place in [sound.len() / 7, sound.len() / 4] {
        let mut damaged = sound.clone();
        damaged[place] ^= 1;
        std::fs::write(&segment, damaged).unwrap();
        let said = check(LEDGER, &[ledger], 65);
        assert!(said.contains("NOT VERIFIED"), "byte {place}: {said}");
        let json = check(LEDGER, &[ledger, "--json"], 65);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["verified"], false, "{json}");
    }
    // A whole ledger that lacks what a kept checkpoint covers.
    std::fs::write(&segment, &sound[..sound.len() / 2]).unwrap();
    let kept = published("format-2").join("ledger.checkpoint");
    check(LEDGER, &[ledger, "--kept-checkpoint", kept.to_str().unwrap()], 65);
}

#[test]
fn failures_of_use_and_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent");
    let absent = absent.to_str().unwrap();
    let ledger = published("format-2");
    let ledger = ledger.to_str().unwrap();
    check(LEDGER, &[absent], 66);
    check(LEDGER, &[ledger, "--from-checkpoint", absent], 66);
    check(LEDGER, &[ledger, "--kept-checkpoint", absent], 66);
    check(LEDGER, &[ledger, "--key", "nonsense"], 64);
    check(LEDGER, &[ledger, "--no-such-argument"], 64);
    check(LEDGER, &[ledger, "--log", "=no filter"], 64);
    check(PROOF, &[absent, "--key", "nonsense"], 64);
}

#[test]
fn metrics_of_an_outcome() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("verify.prom");
    let ledger = published("format-2");
    check(LEDGER, &[ledger.to_str().unwrap(), "--metrics", file.to_str().unwrap()], 0);
    let text = std::fs::read_to_string(file).unwrap();
    let is_sound = |line: &str| line.starts_with("ledgerline_verify_ok{") && line.ends_with(" 1");
    assert!(text.lines().any(is_sound), "{text}");
}

#[test]
fn proofs() {
    let Some(service) = service() else { return };
    let ledger = published("format-2");
    let ledger = ledger.to_str().unwrap();
    let answer = |command, arguments: &[&str]| {
        String::from_utf8(ask(&service, command, arguments).stdout).unwrap()
    };
    let list = answer("transactions", &[ledger, "--json", "--limit", "1"]);
    let first: serde_json::Value = serde_json::from_str(list.lines().next().unwrap()).unwrap();
    let id = first["id"].as_str().unwrap_or_else(|| panic!("{list}"));
    let proof = answer("tx", &[ledger, id, "--proof"]);
    let head: serde_json::Value =
        serde_json::from_str(&answer("verify", &[ledger, "--json"])).unwrap();
    let key = head["begun_with"].as_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.proof");
    let path = file.to_str().unwrap();
    std::fs::write(&file, &proof).unwrap();
    let said = check(PROOF, &[path, "--key", key], 0);
    assert!(said.contains(id) && said.ends_with("verified\n"), "{said}");
    std::fs::write(&file, proof.replacen("index ", "index 1", 1)).unwrap();
    check(PROOF, &[path, "--key", key], 65);
    std::fs::write(&file, "no proof").unwrap();
    check(PROOF, &[path, "--key", key], 65);
}

#[test]
fn it_needs_no_c_library() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--package", "ledgerline-verify", "--edges", "normal,build"])
        .args(["--prefix", "none", "--format", "{p}", "--locked", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    let names: Vec<_> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains(&"sled") && names.len() > 100, "{names:?}");
    let of_c = |name: &&&str| {
        let libraries = ["rdkafka", "openssl", "ring", "tokio", "cmake", "link-cplusplus"];
        let bindings = name.ends_with("-sys") && **name != "linux-raw-sys";
        bindings || libraries.contains(*name)
    };
    let found: Vec<_> = names.iter().filter(of_c).collect();
    assert!(found.is_empty(), "{found:?}");
}
