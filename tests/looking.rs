//! Commands that read a ledger change nothing in its folder, need no more than the right to read
//! its log, and say where its end is missing.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "common/filled.rs"]
mod filled;
#[path = "common/project.rs"]
mod project;

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use filled::*;
use project::*;
use serde_json::json;

/// Every command that shows what is in a ledger. The second word is the ledger's folder.
const LOOKS: &[&[&str]] = &[
    &["state", "ledger", "machine"],
    &["state", "ledger", "machine", "M3", "--json"],
    &["history", "ledger", "machine", "M1"],
    &["tx", "ledger", "telemetry/0/7/0"],
    &["tx", "ledger", "telemetry/0/7/0", "--proof"],
    &["block", "ledger"],
    &["transactions", "ledger", "--verdict", "invalid"],
    &["record", "ledger", "telemetry/0/5"],
    &["filtered", "ledger"],
    &["export", "ledger"],
    &["export", "ledger", "--kinds", "all"],
];

/// A snapshot of a folder: modes, sizes, modification times, contents.
fn snapshot(folder: &Path, found: &mut BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)>) {
    let metadata = std::fs::symlink_metadata(folder).unwrap();
    let bytes = if metadata.is_file() { std::fs::read(folder).unwrap() } else { Vec::new() };
    let times = (metadata.mtime(), metadata.mtime_nsec());
    found.insert(folder.to_owned(), (metadata.mode(), times.0, times.1, bytes));
    if metadata.is_dir() {
        for entry in std::fs::read_dir(folder).unwrap() {
            snapshot(&entry.unwrap().path(), found);
        }
    }
}

fn seen(folder: &Path) -> BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    snapshot(folder, &mut found);
    found
}

/// Copies a folder and takes every right to write away.
fn copy_read_only(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_read_only(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
            std::fs::set_permissions(&target, Permissions::from_mode(0o444)).unwrap();
        }
    }
    std::fs::set_permissions(to, Permissions::from_mode(0o555)).unwrap();
}

/// A run of someone else, where the tests run as root, whom no mode keeps out.
fn as_someone_else(project: &Project, arguments: &[&str], temporary: &Path) -> Ended {
    let folder = project.path(".");
    std::fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    let mut command = project.command(arguments);
    command.env("TMPDIR", temporary);
    if std::fs::metadata(&folder).unwrap().uid() == 0 {
        command.uid(65_534).gid(65_534);
    }
    ended(command)
}

fn in_folder<'a>(look: &[&'a str], folder: &'a str) -> Vec<&'a str> {
    look.iter().map(|word| if *word == "ledger" { folder } else { word }).collect()
}

#[test]
fn nothing_in_the_folder_changes() {
    let project = filled();
    let before = seen(&project.path("ledger"));
    let more: [&[&str]; 5] = [
        &["deadletters", "list", "ledger"],
        &["deadletters", "show", "ledger", "telemetry/1/1"],
        &["verify", "ledger"],
        &["export", "ledger", "--tiles", "tiles"],
        &["check"],
    ];
    for look in LOOKS.iter().chain(&more) {
        project.run(look).exits(0);
        let after = seen(&project.path("ledger"));
        assert!(after.keys().eq(before.keys()), "{look:?}: {:?}", after.keys());
        assert!(after == before, "{look:?} changed something");
    }
}

#[test]
fn the_log_alone_is_enough_without_a_right_to_write_anywhere() {
    let project = filled();
    copy_read_only(&project.path("ledger/log"), &project.path("copy/log"));
    std::fs::set_permissions(project.path("copy"), Permissions::from_mode(0o555)).unwrap();
    // No temporary folder either.
    let nowhere = project.path("absent");
    for look in LOOKS {
        let expected = project.run(look).exits(0);
        let found = as_someone_else(&project, &in_folder(look, "copy"), &nowhere).exits(0);
        assert_eq!(found.out, expected.out, "{look:?}");
        assert_eq!(found.err, expected.err, "{look:?}");
    }
    let letters = ["deadletters", "list", "copy"];
    let letters = as_someone_else(&project, &letters, &nowhere).exits(0);
    assert_eq!(letters.out.lines().count(), 3);
    let verified = as_someone_else(&project, &["verify", "copy"], &nowhere).exits(0);
    assert!(verified.out.ends_with("verified\n"), "{}", verified.out);
    assert!(verified.out.contains("no state store"), "{}", verified.out);
    assert!(verified.out.contains("there is no checkpoint in copy.checkpoint"), "{}", verified.out);
    std::fs::set_permissions(project.path("copy"), Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(project.path("copy/log"), Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_state_that_may_only_be_read_is_compared_with_the_log() {
    let project = filled();
    copy_read_only(&project.path("ledger"), &project.path("copy"));
    let before = seen(&project.path("copy"));
    let temporary = tempfile::tempdir().unwrap();
    std::fs::set_permissions(temporary.path(), Permissions::from_mode(0o777)).unwrap();
    let verify = || as_someone_else(&project, &["verify", "copy"], temporary.path());
    let verified = verify().exits(0);
    assert!(
        verified.out.contains("the state store matches the writes of the first"),
        "{}",
        verified.out
    );
    assert!(std::fs::read_dir(temporary.path()).unwrap().next().is_none(), "the copy is gone");
    assert!(seen(&project.path("copy")) == before);
    // Without a place for a copy, or the right to read it, the log is verified all the same.
    std::fs::set_permissions(temporary.path(), Permissions::from_mode(0o755)).unwrap();
    if std::fs::metadata(temporary.path()).unwrap().uid() == 0 {
        let verified = verify().exits(0);
        assert!(verified.out.contains("cannot create a temporary folder"), "{}", verified.out);
        std::fs::set_permissions(project.path("copy/state"), Permissions::from_mode(0o700))
            .unwrap();
        let verified = verify().exits(0);
        assert!(verified.out.contains("cannot be read and was not compared"), "{}", verified.out);
    }
    for folder in ["copy", "copy/log", "copy/state"] {
        std::fs::set_permissions(project.path(folder), Permissions::from_mode(0o755)).unwrap();
    }
    let _ =
        std::process::Command::new("chmod").args(["-R", "u+w"]).arg(project.path("copy")).status();
}

#[test]
fn an_end_that_is_missing_is_told_and_a_kept_checkpoint_proves_it() {
    let project = filled();
    // A block of its own, which is then cut.
    let newest = reading(0, READINGS, "M1", &json!({ "temperature": 1 }));
    project.write("records.jsonl", records() + &newest);
    project.run(&["run"]).exits(0);
    let kept = project.read("ledger.checkpoint").lines().nth(1).unwrap().to_owned();
    let name = "ledger/log/blocks-00000000000000000000.log";
    let whole = std::fs::read(project.path(name)).unwrap();
    let verified = project.run(&["verify", "ledger"]).exits(0);
    assert!(verified.out.contains("the log extends the kept checkpoint"), "{}", verified.out);
    project.write(name, &whole[..whole.len() - 10]);
    let looks: [&[&str]; 6] = [
        &["state", "ledger", "machine"],
        &["history", "ledger", "machine", "M1"],
        &["block", "ledger"],
        &["transactions", "ledger"],
        &["export", "ledger"],
        &["tx", "ledger", "telemetry/0/7/0"],
    ];
    let is_torn = |ended: &Ended| ended.err.contains("bytes follow the last whole block");
    for look in looks {
        let ended = project.run(look).exits(65);
        assert!(!ended.out.is_empty() && is_torn(&ended), "{look:?}: {}", ended.err);
        let says = format!("holds a signed checkpoint of tree size {kept}");
        assert!(ended.err.contains(&says), "{}", ended.err);
    }
    let wrong = project.run(&["verify", "ledger"]).exits(65);
    let says = format!("cannot extend the kept checkpoint of tree size {kept}");
    assert!(wrong.out.contains(&says), "{}", wrong.out);
    // A state from before the cut proves it as well.
    assert!(wrong.out.contains("the state store is at block"), "{}", wrong.out);
    std::fs::remove_dir_all(project.path("ledger/state")).unwrap();
    // Somewhere else, it must be named; without it nothing can tell.
    std::fs::rename(project.path("ledger.checkpoint"), project.path("kept")).unwrap();
    for look in looks {
        let ended = project.run(look).exits(0);
        assert!(!ended.out.is_empty() && is_torn(&ended), "{look:?}: {}", ended.err);
        project.run(&[look, &["--kept-checkpoint", "kept"]].concat()).exits(65);
    }
    let verified = project.run(&["verify", "ledger"]).exits(0);
    assert!(
        verified.out.contains("there is no checkpoint in ledger.checkpoint"),
        "{}",
        verified.out
    );
    project.run(&["verify", "ledger", "--kept-checkpoint", "kept"]).exits(65);
    project.write(name, &whole);
    project.run(&["verify", "ledger", "--kept-checkpoint", "kept"]).exits(0);
    let none = project.run(&["block", "ledger", "--kept-checkpoint", "kept"]).exits(0);
    assert_eq!(none.err, "");
}
