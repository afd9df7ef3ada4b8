//! The walk in the README comes to what it says: its files pass `check` and `test`, and its sample
//! ends in the state and the dead letters that it shows. Every file that it names is there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

use std::path::Path;

use assert_cmd::Command;
use regex::Regex;
use serde_json::json;

fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// Runs the program in a folder; what it printed.
fn succeed(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ledgerline"));
    let assert = command.current_dir(folder).args(arguments).assert().success();
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

/// The walk's files: blocks of YAML whose first line names a file. Gives their names.
fn write_files(readme: &str, folder: &Path) -> Vec<String> {
    let block = Regex::new(r"(?s)```yaml\n# (\S+\.yaml)\n(.*?)```").unwrap();
    let mut names = Vec::new();
    for found in block.captures_iter(readme) {
        let path = folder.join(&found[1]);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &found[2]).unwrap();
        names.push(found[1].to_owned());
    }
    names
}

/// The walk's readings in the form in which `kcat -J` writes them, after its producer's key.
fn write_sample(readme: &str, path: &Path) {
    let heredoc = Regex::new(r"(?s)<<'END'\n(.*?)\nEND\n").unwrap();
    let found = heredoc.captures(readme).unwrap();
    let mut lines = String::new();
    for (offset, payload) in found[1].lines().enumerate() {
        let line = json!({
            "topic": "pumps", "partition": 0, "offset": offset, "tstype": "create",
            "ts": 1_777_636_800_000_u64, "key": "P-17", "payload": payload,
        });
        lines.push_str(&format!("{line}\n"));
    }
    std::fs::write(path, lines).unwrap();
}

#[test]
fn the_walk_comes_to_what_it_says() {
    let (readme, folder) = (readme(), tempfile::tempdir().unwrap());
    let folder = folder.path();
    let names = write_files(&readme, folder);
    assert_eq!(
        names,
        ["ledgerline.yaml", "contracts/pump.yaml", "mappings/pump.yaml", "trial.yaml"]
    );
    write_sample(&readme, &folder.join("sample.jsonl"));

    let key = succeed(folder, &["keygen", "ledger.pem", "--name", "example.com/pumps"]);
    assert!(key.starts_with("example.com/pumps+"), "{key}");
    assert!(succeed(folder, &["check"]).ends_with("no error, 0 warnings\n"));
    assert!(succeed(folder, &["test"]).ends_with("3 passed, 0 failed\n"));

    // The same folder and endpoint may be in use on the machine that runs the tests.
    let trial = std::fs::read_to_string(folder.join("trial.yaml")).unwrap();
    std::fs::write(folder.join("trial.yaml"), trial + "monitor: { listen: '127.0.0.1:0' }\n")
        .unwrap();
    succeed(folder, &["run", "--config", "trial.yaml"]);
    let state = succeed(folder, &["state", "trial", "pump"]);
    assert!(readme.contains(&format!("`{}`", state.trim())), "the README does not show {state}");
    let letters = succeed(folder, &["deadletters", "list", "trial"]);
    assert!(
        letters.contains("not_json") && letters.contains("lookup  $.payload.state"),
        "{letters}"
    );
    assert_eq!(letters.lines().count(), 2, "{letters}");
    assert!(succeed(folder, &["verify", "trial"]).ends_with("verified\n"));
}

#[test]
fn every_file_that_it_names_is_there() {
    let readme = readme();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let test = Regex::new(r"`(?:tests/)?([a-z_]+\.rs)`").unwrap();
    let tests: Vec<_> =
        test.captures_iter(&readme).map(|found| format!("tests/{}", &found[1])).collect();
    let link = Regex::new(r"\]\(([a-z_./]+)\)").unwrap();
    let links: Vec<_> = link.captures_iter(&readme).map(|found| found[1].to_owned()).collect();
    assert!(tests.len() > 10 && links.len() > 2, "{tests:?} {links:?}");
    let absent: Vec<_> =
        tests.iter().chain(&links).filter(|name| !root.join(name).exists()).collect();
    assert!(absent.is_empty(), "{absent:?}");
}
