//! Machine-readable output of commands: JSON of `check`, `test`, `verify` and `rebuild`, JUnit of
//! `test`, completion scripts and man pages.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "common/filled.rs"]
mod filled;
#[path = "common/project.rs"]
mod project;

use filled::*;
use project::*;

#[test]
fn check_gives_each_fault_with_its_place() {
    let project = Project::new();
    let sound = project.run(&["check", "--json"]).exits(0);
    let object = sound.json();
    assert_eq!(
        (&object["errors"], &object["mappings"], &object["contracts"]),
        (&0.into(), &1.into(), &1.into())
    );
    assert_eq!(sound.err, "");
    project.replace("mappings/reading.yaml", "contract: machine", "contract: machin");
    let for_people = project.run(&["check"]).exits(78);
    let object = project.run(&["check", "--json"]).exits(78).json();
    let diagnostics = object["diagnostics"].as_array().unwrap();
    assert_eq!(object["errors"], diagnostics.len());
    for diagnostic in diagnostics {
        let place = format!(
            "{}:{}:{}: {}: {}",
            diagnostic["file"].as_str().unwrap(),
            diagnostic["line"],
            diagnostic["column"],
            diagnostic["severity"].as_str().unwrap(),
            diagnostic["message"].as_str().unwrap()
        );
        assert!(for_people.err.contains(&place), "{place} is not in\n{}", for_people.err);
        let help = diagnostic["help"].as_str().unwrap_or_default();
        assert!(for_people.err.contains(help), "{help} is not in\n{}", for_people.err);
    }
    assert!(object.get("mappings").is_none(), "nothing usable was loaded: {object}");
}

#[test]
fn test_gives_each_test_with_its_outcome() {
    let project = Project::new();
    let arguments = ["test", "--json", "--junit", "results.xml"];
    let sound = project.run(&arguments).exits(0).json();
    let tests = sound["tests"].as_array().unwrap();
    assert_eq!((&sound["failed"], sound["passed"].as_u64()), (&0.into(), Some(tests.len() as u64)));
    assert!(!tests.is_empty() && tests.iter().all(|test| test["passed"] == true), "{sound}");
    let junit = project.read("results.xml");
    assert_eq!(junit.matches("<testcase ").count(), tests.len(), "{junit}");
    assert!(junit.contains("failures=\"0\""), "{junit}");
    // One that fails says how, and where it stands.
    project.replace(
        "mappings/reading.yaml",
        "          temperature: 4",
        "          temperature: 22",
    );
    let failing = project.run(&arguments).exits(65).json();
    let tests = failing["tests"].as_array().unwrap();
    let failed: Vec<_> = tests.iter().filter(|test| test["passed"] == false).collect();
    assert_eq!((failing["failed"].as_u64(), failed.len()), (Some(1), 1), "{failing}");
    let (failure, line) = (failed[0]["failure"].as_str().unwrap(), &failed[0]["line"]);
    assert!(failure.contains("22"), "{failure}");
    let junit = project.read("results.xml");
    assert!(junit.contains(&format!("mappings/reading.yaml:{line}:")), "{junit}");
    assert!(junit.contains("<failure ") && junit.contains("failures=\"1\""), "{junit}");
    // A file that cannot be read is an error, not a run without tests.
    project.write("mappings/reading.yaml", "mapping: [");
    let broken = project.run(&arguments).exits(78).json();
    assert!(!broken["diagnostics"].as_array().unwrap().is_empty(), "{broken}");
    let junit = project.read("results.xml");
    assert!(junit.contains("<error ") && junit.contains("errors=\"1\""), "{junit}");
}

#[test]
fn verify_and_rebuild_give_one_object() {
    let project = filled();
    let for_people = project.run(&["verify", "ledger"]).exits(0).out;
    let verified = project.run(&["verify", "ledger", "--json"]).exits(0).json();
    assert_eq!((&verified["verified"], &verified["entries"]), (&true.into(), &ENTRIES.into()));
    assert!(for_people.contains(verified["tree_root"].as_str().unwrap()), "{verified}");
    assert!(for_people.contains(verified["begun_with"].as_str().unwrap()), "{verified}");
    assert_eq!(verified["problems"].as_array().unwrap().len(), 0);
    let rebuilt = project.run(&["rebuild", "ledger", "--json"]).exits(0).json();
    assert_eq!(rebuilt["blocks"], verified["blocks"]);
    let log = project.path("ledger/log/blocks-00000000000000000000.log");
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&log, bytes).unwrap();
    let wrong = project.run(&["verify", "ledger", "--json"]).exits(65).json();
    assert_eq!(wrong["verified"], false);
    assert!(wrong["problem_count"].as_u64().unwrap() > 0, "{wrong}");
}

#[test]
fn shells_and_man_are_told_of_every_command() {
    let project = Project::new();
    let help = project.run(&["--help"]).exits(0).out;
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands: Vec<_> = commands
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.len() > 20, "{commands:?}");
    for shell in ["bash", "zsh", "fish"] {
        let script = project.run(&["completions", shell]).exits(0).out;
        for command in &commands {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    let page = project.run(&["man"]).exits(0).out;
    assert!(page.contains(".TH") && page.contains("ledgerline"), "{page}");
    std::fs::create_dir(project.path("man")).unwrap();
    project.run(&["man", "--directory", "man"]).exits(0);
    for command in commands.iter().filter(|command| **command != "help") {
        assert!(project.path(&format!("man/ledgerline-{command}.1")).is_file(), "{command}");
    }
    project.run(&["man", "--directory", "absent"]).exits(66);
}

#[test]
fn a_configuration_is_found_where_it_is_named() {
    let project = Project::new();
    std::fs::rename(project.path("ledgerline.yaml"), project.path("other.yaml")).unwrap();
    let missing = project.run(&["check"]).exits(66);
    assert!(missing.err.contains("ledgerline.yaml"), "{}", missing.err);
    project.run(&["check", "--config", "other.yaml"]).exits(0);
    let mut command = project.command(&["check"]);
    command.env("LEDGERLINE_CONFIG", "other.yaml");
    ended(command).exits(0);
}
