//! The shipped units and the container file fit the program: its exit statuses, the time that it
//! takes to drain, the files that it is built from.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

mod common;

use std::path::{Path, PathBuf};

use common::{PROGRAM, succeed};
use ledgerline::cli::ExitStatus;
use ledgerline::limits::{ENDPOINT_STOP, MAX_SHUTDOWN_SECONDS};
use regex::Regex;

const UNITS: [&str; 3] =
    ["ledgerline.service", "ledgerline-verify.service", "ledgerline-verify.timer"];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap()
}

fn unit(name: &str) -> String {
    text(&format!("deploy/systemd/{name}"))
}

/// The value of a setting that stands once.
fn setting<'a>(unit: &'a str, name: &str) -> &'a str {
    let mut values = unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let value = values.next().unwrap_or_else(|| panic!("{name} is not set"));
    assert_eq!(values.next(), None, "{name}");
    value
}

#[test]
fn it_is_stopped_later_than_it_takes_to_drain() {
    let unit = unit("ledgerline.service");
    let patience: u64 = setting(&unit, "TimeoutStopSec").parse().unwrap();
    assert!(patience > MAX_SHUTDOWN_SECONDS + ENDPOINT_STOP.as_secs() + 5, "{patience}");
    assert_eq!(setting(&unit, "KillSignal"), "SIGTERM");
}

#[test]
fn it_starts_again_where_that_may_help() {
    let unit = unit("ledgerline.service");
    assert_eq!(setting(&unit, "Restart"), "on-failure");
    let never = setting(&unit, "RestartPreventExitStatus").split(' ');
    let never: Vec<u8> = never.map(|status| status.parse().unwrap()).collect();
    for (status, helps) in [
        (ExitStatus::Usage, false),
        (ExitStatus::Data, false),
        (ExitStatus::NoInput, false),
        (ExitStatus::Unavailable, true),
        (ExitStatus::Software, true),
        (ExitStatus::System, true),
        (ExitStatus::CannotCreate, false),
        (ExitStatus::Io, true),
        (ExitStatus::Temporary, true),
        (ExitStatus::NoPermission, false),
        (ExitStatus::Config, false),
    ] {
        assert_eq!(!never.contains(&(status as u8)), helps, "{status:?}");
    }
}

/// Keys are in its memory: nothing of that may come into a file.
#[test]
fn nothing_of_its_memory_is_left_behind() {
    for name in ["ledgerline.service", "ledgerline-verify.service"] {
        assert_eq!(setting(&unit(name), "LimitCORE"), "0", "{name}");
    }
}

#[test]
fn the_commands_of_the_units_are_commands() {
    let command = Regex::new(r"(?m)^ExecStart=/usr/local/bin/ledgerline (\w+) ((?s:.*?[^\\]))$");
    let options = Regex::new(r"--[a-z-]+").unwrap();
    for (name, expected) in [("ledgerline.service", "run"), ("ledgerline-verify.service", "verify")]
    {
        let unit = unit(name);
        let found = command.as_ref().unwrap().captures(&unit).unwrap();
        assert_eq!(&found[1], expected);
        let help = succeed(&[expected, "--help"]);
        for option in options.find_iter(&found[2]) {
            assert!(help.contains(option.as_str()), "{name}: {}", option.as_str());
        }
    }
}

/// `systemd-analyze` wants the program to be there, so its path is changed to this one's.
#[test]
fn systemd_takes_the_units() {
    let Some(mut analyze) = common::found("systemd-analyze") else {
        println!("skipped: systemd-analyze is not installed here");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let copies = UNITS.map(|name| {
        let copy = folder.path().join(name);
        let text = unit(name);
        let text =
            text.replace("ExecStart=/usr/local/bin/ledgerline", &format!("ExecStart={PROGRAM}"));
        std::fs::write(&copy, text).unwrap();
        copy
    });
    let output = analyze.arg("verify").args(&copies).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // Other units of the machine may have faults of their own.
    let ours: Vec<_> = said.lines().filter(|line| line.contains("ledgerline")).collect();
    assert!(output.status.success() && ours.is_empty(), "{}: {said}", output.status);
}

/// The container file copies existing files, and all that the build needs.
#[test]
fn the_container_file_copies_what_is_built_in() {
    let file = text("deploy/Containerfile");
    let copied = Regex::new(r"(?m)^COPY ([^-\n]+) \S+$").unwrap();
    let copied: Vec<_> = copied
        .captures_iter(&file)
        .flat_map(|found| found[1].split(' ').map(str::to_owned).collect::<Vec<_>>())
        .collect();
    for name in &copied {
        assert!(path(name).exists(), "{name}");
    }
    let built_in = Regex::new(r#"include_(?:str|bytes)!\("((?:\.\./)*)([^"]+)"\)"#).unwrap();
    let demo = text("src/demo/mod.rs");
    let mut count = 0;
    for found in built_in.captures_iter(&demo) {
        assert_eq!(&found[1], "../../", "from src/demo to the root");
        let folder = found[2].split('/').next().unwrap();
        assert!(copied.iter().any(|name| name == folder), "{folder} is not copied");
        count += 1;
    }
    assert!(count > 5, "{count}");
    for folder in ["src", "benches", "Cargo.toml", "Cargo.lock"] {
        assert!(copied.iter().any(|name| name == folder), "{folder} is not copied");
    }
}
