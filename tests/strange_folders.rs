//! A ledger's folder may come from anyone: what is no file of a ledger is refused, and nothing in it
//! takes more memory or time than what it really holds.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "common/filled.rs"]
mod filled;
#[path = "common/project.rs"]
mod project;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use filled::*;
use ledgerline::ledger::embedded::frame;
use project::*;

/// Kilobytes of address space that a command has: far less than what the folders here seem to hold.
const MAX_KILOBYTES: u64 = 3 * 1024 * 1024;
const SEGMENT: &str = "ledger/log/blocks-00000000000000000000.log";

/// Commands that read in different ways.
const LOOKS: &[&[&str]] = &[
    &["verify", "ledger"],
    &["state", "ledger", "machine"],
    &["block", "ledger"],
    &["export", "ledger"],
];

/// Runs the program with a bound on its memory.
fn run(project: &Project, arguments: &[&str]) -> Ended {
    let mut command = Command::new("sh");
    let script = format!("ulimit -v {MAX_KILOBYTES} && exec \"$0\" \"$@\"");
    command.args(["-c", &script, PROGRAM]).args(arguments);
    command.current_dir(project.path(".")).stdin(Stdio::null());
    ended(command)
}

/// Runs every command; each ends so and says this.
#[track_caller]
fn all_say(project: &Project, code: i32, says: &str) {
    for look in LOOKS {
        let ended = run(project, look).exits(code);
        let said = format!("{}{}", ended.out, ended.err);
        assert!(said.contains(says), "{look:?} does not say {says:?}: {said}");
        assert_clean(&ended.err);
    }
}

fn mkfifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Moves a file or folder away and puts something else in its place.
fn replaced(project: &Project, name: &str, with: impl FnOnce(&Path, &Path)) -> PathBuf {
    let (path, away) = (project.path(name), project.path("away"));
    fs::rename(&path, &away).unwrap();
    with(&path, &away);
    away
}

fn restore(project: &Project, name: &str, away: &Path) {
    let path = project.path(name);
    match fs::symlink_metadata(&path).unwrap().is_dir() {
        true => fs::remove_dir_all(&path).unwrap(),
        false => fs::remove_file(&path).unwrap(),
    }
    fs::rename(away, path).unwrap();
}

type Replace = fn(&Path, &Path);

#[test]
fn links_and_special_files_are_refused_at_once() {
    let project = filled();
    let cases: [(&str, Replace, &str); 8] = [
        (SEGMENT, |path, away| symlink(away, path).unwrap(), "it is a symbolic link"),
        (SEGMENT, |path, _| symlink("/nowhere", path).unwrap(), "it is a symbolic link"),
        (SEGMENT, |path, _| symlink("/dev/zero", path).unwrap(), "it is a symbolic link"),
        (SEGMENT, |path, _| mkfifo(path), "it is a named pipe, not a regular file"),
        (SEGMENT, |path, _| drop(UnixListener::bind(path).unwrap()), "it is a socket"),
        (SEGMENT, |path, _| fs::create_dir(path).unwrap(), "it is a directory, not a regular file"),
        (
            "ledger/log",
            |path, away| symlink(away, path).unwrap(),
            "it is a symbolic link, not a dir",
        ),
        ("ledger/log", |path, _| mkfifo(path), "it is a named pipe, not a directory"),
    ];
    for (name, with, says) in cases {
        let away = replaced(&project, name, with);
        all_say(&project, 65, says);
        restore(&project, name, &away);
    }
    all_say(&project, 0, "");
}

#[test]
fn a_strange_state_or_checkpoint_is_refused_by_whom_it_concerns() {
    let project = filled();
    let cases: [(&str, Replace); 4] = [
        ("ledger/state", |path, away| symlink(away, path).unwrap()),
        ("ledger/state/db", |path, _| mkfifo(path)),
        ("ledger/state/conf", |path, _| symlink("/etc/passwd", path).unwrap()),
        ("ledger.checkpoint", |path, _| mkfifo(path)),
    ];
    for (name, with) in cases {
        let away = replaced(&project, name, with);
        let wrong = run(&project, &["verify", "ledger"]).exits(65);
        let about = name.trim_start_matches("ledger/");
        let is_told = |line: &str| line.starts_with("WRONG") && line.contains(about);
        assert!(wrong.out.lines().any(is_told), "{name}: {}", wrong.out);
        for look in &LOOKS[1..] {
            let ended = run(&project, look).exits(0);
            assert_eq!(ended.err.contains("named pipe"), name == "ledger.checkpoint", "{ended:?}");
        }
        restore(&project, name, &away);
    }
    all_say(&project, 0, "");
}

fn append(project: &Project, bytes: &[u8]) -> u64 {
    let mut file = OpenOptions::new().append(true).open(project.path(SEGMENT)).unwrap();
    let before = file.metadata().unwrap().len();
    file.write_all(bytes).unwrap();
    before
}

fn extend(project: &Project, size: u64) -> File {
    let file = OpenOptions::new().write(true).open(project.path(SEGMENT)).unwrap();
    file.set_len(size).unwrap();
    file
}

#[test]
fn a_hole_of_64_gib_is_not_read() {
    let project = filled();
    let good = append(&project, b"");
    let file = extend(&project, 64 << 30);
    all_say(&project, 0, "the last whole block");
    // A frame behind it still shows that bytes are missing which had been acknowledged.
    let mut bytes = Vec::new();
    frame::encode(b"any block", good + 1, &mut bytes);
    file.write_all_at(&bytes, 64 << 30).unwrap();
    all_say(&project, 65, &format!("is damaged at byte {good}"));
}

#[test]
fn a_frame_may_say_what_it_likes_of_its_length() {
    for (len, said) in [(512_u32 << 20, 1_u64 << 30), (u32::MAX, 8 << 30), (512 << 20, 0)] {
        let project = filled();
        let header = [b"LLfr", len.to_le_bytes().as_slice(), &[0; 8], &[1, 2, 3, 4]].concat();
        let good = append(&project, &header);
        extend(&project, (good + header.len() as u64).max(said));
        all_say(&project, 0, "the last whole block");
    }
}

#[test]
fn a_hundred_thousand_forged_frames_are_one_pass() {
    let project = filled();
    let good = append(&project, b"no frame");
    let mut forged = Vec::new();
    for at in 0..100_000 {
        let (len, durable) = (1_000_000_u32.to_le_bytes(), (good + 1 + at).to_le_bytes());
        forged.extend([b"LLfr", len.as_slice(), &durable, &[1, 2, 3, 4]].concat());
    }
    append(&project, &forged);
    extend(&project, good + 4_000_000);
    all_say(&project, 65, &format!("is damaged at byte {good}"));
}

#[test]
fn a_hundred_thousand_segments_and_any_number_in_a_name_are_read() {
    let project = filled();
    let empty = |number: u64| {
        let path = project.path(&format!("ledger/log/blocks-{number:020}.log"));
        File::create(path).unwrap();
    };
    let says = "the log has no segment for it; the next one is ";
    empty(u64::MAX);
    let (all, verify) = (&LOOKS[1..], &LOOKS[0]);
    for look in all {
        let ended = run(&project, look).exits(65);
        assert!(ended.err.contains(says), "{look:?}: {}", ended.err);
    }
    let wrong = run(&project, verify).exits(65);
    assert!(wrong.out.contains("begins with block 18446744073709551615"), "{}", wrong.out);
    // Names that are not a number's are no segments.
    fs::remove_file(project.path("ledger/log/blocks-18446744073709551615.log")).unwrap();
    for name in ["blocks-99999999999999999999.log", "blocks--0000000000000000001.log", "x.log"] {
        File::create(project.path("ledger/log").join(name)).unwrap();
    }
    all_say(&project, 0, "");
    (0..100_000).for_each(|number| empty(1_000_000 + number));
    run(&project, all[0]).exits(65);
    run(&project, verify).exits(65);
}
