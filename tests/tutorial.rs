//! The tutorial's steps give what it says: its files pass `check` and `test`, and its sample ends in
//! the state and the dead letters that it shows. So does the worked example of the page on mappings.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

use std::path::Path;

use assert_cmd::Command;
use regex::Regex;
use serde_json::json;

fn page(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// Runs the program in a folder; what it printed.
fn succeed(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ledgerline"));
    let assert = command.current_dir(folder).args(arguments).assert().success();
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

/// The page's files: blocks of YAML whose first line names a file. Gives their names.
fn write_files(page: &str, folder: &Path) -> Vec<String> {
    let block = Regex::new(r"(?s)```yaml\n# (\S+\.yaml)\n(.*?)```").unwrap();
    let mut names = Vec::new();
    for found in block.captures_iter(page) {
        let path = folder.join(&found[1]);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &found[2]).unwrap();
        names.push(found[1].to_owned());
    }
    names
}

/// The lines of the page's here-document.
fn here_document(page: &str) -> String {
    let heredoc = Regex::new(r"(?s)<<'END'\n(.*?\n)END\n").unwrap();
    heredoc.captures(page).unwrap()[1].to_owned()
}

/// The tutorial's readings in the form in which `kcat -J` writes them, after its producer's key.
fn write_sample(page: &str, path: &Path) {
    let mut lines = String::new();
    for (offset, payload) in here_document(page).lines().enumerate() {
        let line = json!({
            "topic": "pumps", "partition": 0, "offset": offset, "tstype": "create",
            "ts": 1_777_636_800_000_u64, "key": "P-17", "payload": payload,
        });
        lines.push_str(&format!("{line}\n"));
    }
    std::fs::write(path, lines).unwrap();
}

#[test]
fn its_steps_give_what_it_says() {
    let (tutorial, folder) = (page("docs/tutorial.md"), tempfile::tempdir().unwrap());
    let folder = folder.path();
    let names = write_files(&tutorial, folder);
    assert_eq!(
        names,
        ["ledgerline.yaml", "contracts/pump.yaml", "mappings/pump.yaml", "trial.yaml"]
    );
    write_sample(&tutorial, &folder.join("sample.jsonl"));

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
    assert!(tutorial.contains(&format!("`{}`", state.trim())), "the page does not show {state}");
    let letters = succeed(folder, &["deadletters", "list", "trial"]);
    assert!(
        letters.contains("not_json") && letters.contains("lookup  $.payload.state"),
        "{letters}"
    );
    assert_eq!(letters.lines().count(), 2, "{letters}");
    assert!(succeed(folder, &["verify", "trial"]).ends_with("verified\n"));
}

/// Removing the trial's folder and its checkpoint begins anew; a line that is not a record is a
/// dead letter of the pseudo topic that the page names.
#[test]
fn a_trial_is_repeated_as_it_says() {
    let (tutorial, folder) = (page("docs/tutorial.md"), tempfile::tempdir().unwrap());
    let folder = folder.path();
    write_files(&tutorial, folder);
    let sample = folder.join("sample.jsonl");
    write_sample(&tutorial, &sample);
    succeed(folder, &["keygen", "ledger.pem"]);
    let trial = std::fs::read_to_string(folder.join("trial.yaml")).unwrap();
    std::fs::write(folder.join("trial.yaml"), trial + "monitor: { listen: null }\n").unwrap();
    let run = || succeed(folder, &["run", "--config", "trial.yaml"]);
    let letters = || succeed(folder, &["deadletters", "list", "trial"]);
    run();
    let first = letters();
    run();
    assert_eq!(letters(), first, "lines that were read are skipped");
    assert!(tutorial.contains("rm -rf trial trial.checkpoint"));
    std::fs::remove_dir_all(folder.join("trial")).unwrap();
    std::fs::remove_file(folder.join("trial.checkpoint")).unwrap();
    let readings = std::fs::read_to_string(&sample).unwrap();
    std::fs::write(&sample, readings + "no record\n").unwrap();
    run();
    let again = letters();
    assert_eq!(again.lines().count(), 3, "{again}");
    assert!(again.contains("  sample.lines/0/4  envelope"), "{again}");
}

#[test]
fn the_worked_example_of_mappings_gives_what_it_says() {
    let (mappings, folder) = (page("docs/mappings.md"), tempfile::tempdir().unwrap());
    let folder = folder.path();
    let names = write_files(&mappings, folder);
    assert_eq!(names, ["ledgerline.yaml", "mappings/press.yaml", "contracts/press.yaml"]);
    std::fs::write(folder.join("sample.jsonl"), here_document(&mappings)).unwrap();
    succeed(folder, &["keygen", "ledger.pem"]);
    assert!(succeed(folder, &["check"]).ends_with("no error, 0 warnings\n"));
    assert!(succeed(folder, &["test"]).ends_with("2 passed, 0 failed\n"));
    succeed(folder, &["run"]);
    let transactions = succeed(folder, &["transactions", "ledger"]);
    let shown = format!("`{}`", transactions.trim());
    assert!(mappings.contains(&shown), "the page does not show {transactions}");
    let letters = succeed(folder, &["deadletters", "list", "ledger"]);
    assert!(letters.contains("  plant/0/1  identity  $.kafka.key  "), "{letters}");
    // The one line that does the same.
    let template = "mqtt_topic: { template: 'plant/+/{type}/{id}/{event}' }";
    assert!(mappings.contains(template));
    let config = std::fs::read_to_string(folder.join("ledgerline.yaml")).unwrap();
    let (before, after) = (config.find("    - expression:").unwrap(), config.find("mappings:"));
    let config = format!("{}    - {template}\n{}", &config[..before], &config[after.unwrap()..]);
    std::fs::write(folder.join("ledgerline.yaml"), config.replace("ledger,", "other,")).unwrap();
    succeed(folder, &["run"]);
    let transactions = succeed(folder, &["transactions", "other"]);
    assert!(transactions.ends_with("  press  update  valid  press7\n"), "{transactions}");
}
