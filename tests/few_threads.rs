//! Too few threads: every command reports it and exits with status 71; none hangs, panics or is
//! killed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use common::{PROGRAM, found, succeed};
use ledgerline::cli::ExitStatus;

/// A user that has no other processes, so that all threads counted are the program's.
const USER: &str = "54321";

/// The program as that user, which may have so many tasks, this process included.
fn run(program: &Path, tasks: usize, arguments: &[&str]) -> Output {
    Command::new("timeout")
        .args([
            "--signal=KILL",
            "120",
            "setpriv",
            "--reuid",
            USER,
            "--regid",
            USER,
            "--clear-groups",
        ])
        .args(["prlimit", &format!("--nproc={tasks}")])
        .arg(program)
        .args(arguments)
        .current_dir("/")
        .output()
        .unwrap()
}

/// The program where any user can run it, and a folder that any user can write to.
fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let open = |path: &Path| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o777)).unwrap();
    };
    open(folder.path());
    let copy = folder.path().join("ledgerline");
    std::fs::copy(PROGRAM, &copy).unwrap();
    open(&copy);
    folder
}

#[test]
fn too_few_threads_are_a_message_and_an_exit() {
    let needed = ["setpriv", "prlimit", "timeout"];
    if needed.iter().any(|name| found(name).is_none()) {
        println!("skipped: one of {needed:?} is not installed here");
        return;
    }
    let id = Command::new("id").arg("-u").output().unwrap();
    if id.stdout != b"0\n" {
        println!("skipped: only root can run the program as another user");
        return;
    }
    let folder = prepared();
    let program = folder.path().join("ledgerline");
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let ledger = {
        let whole = at("whole");
        succeed(&[
            "demo",
            "--events",
            "50",
            "--rate",
            "0",
            "--listen",
            "127.0.0.1:0",
            "--directory",
            &whole,
        ]);
        let changed = Command::new("chown").args(["-R", USER, &whole]).status().unwrap();
        assert!(changed.success());
        format!("{whole}/ledger")
    };
    let (mut refused, mut done) = (0, 0);
    for tasks in [1, 2, 3, 5, 8, 12, 20, 30, 40, 60, 200] {
        let demo = at(&format!("demo-{tasks}"));
        let demo = [
            "demo",
            "--events",
            "50",
            "--rate",
            "0",
            "--listen",
            "127.0.0.1:0",
            "--directory",
            &demo,
        ];
        let commands: [&[&str]; 5] = [
            &demo,
            &["verify", &ledger],
            &["rebuild", &ledger],
            &["state", &ledger, "cold_chain"],
            &["block", &ledger],
        ];
        for arguments in commands {
            let output = run(&program, tasks, arguments);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let shown = format!("{} with {tasks} tasks: {:?}: {said}", arguments[0], output.status);
            assert!(!said.contains("panicked"), "{shown}");
            match output.status.code() {
                Some(0) => done += 1,
                Some(code) if code == ExitStatus::System as i32 => {
                    assert!(said.contains("more threads") && said.contains("TasksMax"), "{shown}");
                    refused += 1;
                }
                _ => panic!("{shown}"),
            }
        }
    }
    assert!(refused >= 5 && done >= 5, "{refused} refused, {done} done");
}
