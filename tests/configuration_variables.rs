//! Any value of the configuration may come from the environment, with a default, and stays one value:
//! what a variable holds is never structure and never shows in a diagnostic.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_ledgerline");

/// A configuration in a folder of its own, and the variables it is checked with.
struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new(more: &str) -> Self {
        let text = format!(
            "ledger:\n  name: ${{NAME:-example.com/a}}\n  directory: ${{FOLDER:-ledger}}\n  \
             key: ledger.pem\nsource:\n  file: {{ path: '-' }}\nmappings: []\ncontracts: []\n{more}"
        );
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ledgerline.yaml"), text).unwrap();
        let key = folder.path().join("ledger.pem");
        assert!(Command::new(PROGRAM).arg("keygen").arg(key).output().unwrap().status.success());
        Self { folder }
    }

    fn check(&self, variables: &[(&str, &str)]) -> (Option<i32>, String) {
        let mut command = Command::new(PROGRAM);
        command.arg("check").current_dir(self.folder.path()).env_clear();
        let Output { status, stdout, stderr } =
            command.envs(variables.iter().copied()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code(), text(stdout) + &text(stderr))
    }
}

/// Checks lines of a configuration; what it says must hold all of these.
#[track_caller]
fn check(more: &str, variables: &[(&str, &str)], expected: &[&str]) {
    let (status, said) = Site::new(more).check(variables);
    let expected_status = if expected.is_empty() { 0 } else { 78 };
    assert_eq!(status, Some(expected_status), "{more}\n{variables:?}\n{said}");
    for part in expected {
        assert!(said.contains(part), "{more}\n{variables:?}\nlacks {part:?}:\n{said}");
    }
}

#[test]
fn values_of_every_kind_come_from_the_environment() {
    for more in [
        "mapper_threads: ${THREADS:-2}\n",
        "mapper_threads: '${THREADS:-2}'\n",
        "submission: { max_transactions: '${MOST:-100}', sign_each: \"${EACH:-false}\" }\n",
        "monitor:\n  listen: 127.0.0.1:${PORT:-8780}\n  behind_proxy: ${PROXY:-true}\n",
        "monitor:\n  listen: ${LISTEN:-null}\n",
        // Nothing is as if the key had no value.
        "monitor:\n  listen: ${LISTEN:-}\n",
        "monitor:\n  access:\n    anonymous: ${ANONYMOUS:-viewer}\n",
        "# ${NOT_EVEN_LOOKED_AT}\n",
    ] {
        check(more, &[], &[]);
        let set = [
            ("NAME", "example.com/b"),
            ("FOLDER", "other"),
            ("THREADS", "1"),
            ("MOST", "7"),
            ("EACH", "true"),
            ("PORT", "1"),
            ("PROXY", "false"),
            ("LISTEN", "127.0.0.1:2"),
            ("ANONYMOUS", "none"),
        ];
        let needs_access = more.contains("ANONYMOUS");
        check(more, &set[..if needs_access { 8 } else { 9 }], &[]);
    }
}

#[test]
fn what_is_filled_in_is_what_is_read() {
    for (more, variables, expected) in [
        ("mapper_threads: ${N}\n", [("N", "1000")], ["9:17", "`mapper_threads` is ${N}"]),
        ("mapper_threads: ${N:-1}\n", [("N", "x1")], ["9:17", "number"]),
        ("monitor: { listen: '${N:-}x' }\n", [("N", "")], ["9:20", "listen on"]),
        ("", [("NAME", "a b")], ["2:9", "name"]),
    ] {
        check(more, &variables, &expected);
    }
}

#[test]
fn a_variable_that_is_not_set_is_named_with_its_place() {
    let more = "submission: { max_bytes: '${BYTES}', max_wait_ms: '${WAIT}', sign_each: x }\n";
    let expected = [
        "ledgerline.yaml:9:26",
        "variable `BYTES` is not set",
        "ledgerline.yaml:9:51",
        "variable `WAIT` is not set",
        "${NAME:-default}",
        // After those on its line, and where it is written.
        "ledgerline.yaml:9:73",
        "3 errors",
    ];
    check(more, &[], &expected);
    check("mapper_threads: ${A b}\n", &[], &["9:17", "does not name a variable"]);
    check("mapper_threads: ${A\n", &[], &["9:17", "has no `}`"]);
    check("mapper_threads: ${}\n", &[], &["9:17", "does not name a variable"]);
}

#[test]
fn a_variable_that_lacks_quotes_is_told_so() {
    let more = "submission: { max_wait_ms: ${WAIT}, sign_each: true }\n";
    check(more, &[("WAIT", "1")], &["ledgerline.yaml:9:", "put quotes around `${NAME}`"]);
}

#[test]
fn places_after_a_variable_are_those_of_the_file() {
    let more = "submission: { max_transactions: '${MOST}', max_wait_ms: x }\n";
    for most in ["1", "400", "x\ny: { z", "0"] {
        let (status, said) = Site::new(more).check(&[("MOST", most)]);
        assert_eq!(status, Some(78), "{said}");
        assert!(said.contains("ledgerline.yaml:9:57"), "{most}: {said}");
    }
}

#[test]
fn a_variable_cannot_change_the_structure() {
    let attacks = [
        "example.com/a\n  key: other.pem",
        "example.com/a\", key: \"x",
        "a # b",
        "{ a: b }",
        "*a",
        "&a b",
        "!x y",
        "a: b",
        "- a",
        "'",
        "\"",
        "a\n---\nb",
        "\u{85}\u{2028}a: b",
    ];
    for attack in attacks {
        let (status, said) = Site::new("").check(&[("NAME", attack)]);
        // Only the name itself can be wrong, at its own place.
        let errors: Vec<_> = said.lines().filter(|line| line.contains(": error: ")).collect();
        assert!(errors.iter().all(|line| line.contains("ledgerline.yaml:2:9")), "{said}");
        assert!(matches!(status, Some(0 | 78)), "{attack:?}: {said}");
        assert_eq!(errors.is_empty(), status == Some(0), "{said}");
    }
}

#[test]
fn what_a_variable_holds_never_shows() {
    const SECRET: &str = "hunter2-of-env";
    for more in [
        "mapper_threads: ${SECRET}\n",
        "monitor:\n  behind_proxy: ${SECRET}\n",
        "monitor:\n  listen: ${SECRET}\n",
        "monitor:\n  listen: '${SECRET}'\n",
        "monitor:\n  base_path: x${SECRET}\n",
        "monitor: { access: { anonymous: '${SECRET}' } }\n",
        "submission: ${SECRET}\n",
        "submission: { max_wait_ms: 'a ${SECRET}' }\n",
    ] {
        let (status, said) = Site::new(more).check(&[("SECRET", SECRET)]);
        assert_eq!(status, Some(78), "{more}: {said}");
        assert!(!said.contains(SECRET), "{more}: {said}");
        assert!(said.contains("ledgerline.yaml:"), "{said}");
    }
}

#[test]
fn secrets_are_taken_as_they_are() {
    // Checked as texts: one that looks like a number, a reference or structure is still that text.
    let kafka = |value: &str| {
        format!(
            "ledger: {{ name: example.com/a, directory: ledger, key: ledger.pem }}\nsource:\n  kafka:\n    \
             brokers: ${{BROKERS:-127.0.0.1:9}}\n    group: g\n    topics: [t]\n    properties:\n      \
             security.protocol: SASL_SSL\n      sasl.mechanisms: PLAIN\n      sasl.username: u\n      \
             sasl.password: {value}\nmappings: []\ncontracts: []\n"
        )
    };
    let site = Site::new("");
    let file = site.folder.path().join("ledgerline.yaml");
    for password in ["0123", "1e5", "a: b", "${OTHER}", "file:absent", "true"] {
        std::fs::write(&file, kafka("${PASSWORD}")).unwrap();
        let (status, said) = site.check(&[("PASSWORD", password)]);
        assert_eq!(status, Some(0), "{password}: {said}");
    }
    std::fs::write(&file, kafka("${PASSWORD:-other}")).unwrap();
    assert_eq!(site.check(&[]).0, Some(0));
    std::fs::write(&file, kafka("${PASSWORD}")).unwrap();
    let (status, said) = site.check(&[]);
    assert_eq!(status, Some(78));
    assert!(said.contains("11:22") && said.contains("variable `PASSWORD` is not set"), "{said}");
}
