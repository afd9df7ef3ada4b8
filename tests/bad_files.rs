//! A bad file stops the program before the first record, with the place and what helps; and no
//! secret ever shows, whatever goes wrong.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "common/project.rs"]
mod project;

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use project::*;
use serde_json::json;

const C: &str = "ledgerline.yaml";
const M: &str = "mappings/reading.yaml";
const K: &str = "contracts/machine.yaml";
/// The line of the source, which the Kafka cases replace.
const SOURCE: &str = "  file: { path: records.jsonl }";

/// A file, what is changed in it, where the fault is and what is said of it, help included.
type Case = (&'static str, &'static str, &'static str, &'static str, &'static [&'static str]);

const CONFIGS: &[Case] = &[
    (C, "ledger:\n", "ledgers:\n", "1:1", &["unknown field `ledgers`", "did you mean `ledger`?"]),
    (C, "directory", "directry", "3:3", &["`directry`", "did you mean `directory`?"]),
    (C, "  key: key.pem\n", "", "3:3", &["missing field `key`"]),
    (C, "example.com/test", "a b", "2:9", &["cannot be named \"a b\"", "example.com/cold-chain"]),
    (C, "example.com/test", "[a]", "2:9", &["a string is expected"]),
    (C, "key.pem", "absent.pem", "4:8", &["key file absent.pem not found", "keygen absent.pem"]),
    (C, "jsonl }", "jsonl, epoch: -1 }", "6:39", &["a whole number is expected"]),
    (C, "file: { path: records.jsonl }", "{}", "6:3", &["exactly one of `kafka`, `file`, `calls`"]),
    (C, "[mappings]", "[absent]", "7:12", &["absent", "relative to the configuration"]),
    (C, "{ listen: null }", "{ listen: localhost }", "9:20", &["`localhost`", "127.0.0.1:8780"]),
    (C, "{ listen: null }", "{ listen: null", "9:10", &["unclosed bracket"]),
    (
        C,
        "listen: null",
        "base_path: ledger",
        "9:23",
        &["`base_path` cannot be `ledger`", "does not begin with `/`", "such as `/ledger`"],
    ),
    (C, "listen: null", "base_path: /ledger/", "9:23", &["ends with `/`"]),
    (C, "listen: null", "base_path: '/a b'", "9:23", &["may contain only letters"]),
    (
        C,
        "listen: null",
        "base_path: /state",
        "9:23",
        &["starts like a path of the endpoint itself"],
    ),
    (
        C,
        "listen: null",
        "listen: '0.0.0.0:1'",
        "9:20",
        &["without encryption", "behind_proxy: true"],
    ),
    (
        C,
        "listen: null",
        "listen: '[::]:1', access: { anonymous: viewer }",
        "9:20",
        &["without encryption", "tls: { certificate, key }"],
    ),
    (
        C,
        "listen: null",
        "listen: '127.0.0.1:1', access: { anonymous: none }",
        "9:20",
        &["nobody could sign in", "ledgerline token"],
    ),
    (C, "listen: null", "access: { anonymous: operator }", "9:33", &["`operator`", "none, viewer"]),
    (C, "listen: null", "access: { token: t }", "9:22", &["`token`", "did you mean `tokens`?"]),
    (
        C,
        "listen: null",
        "access: { tokens: t.yaml }",
        "9:30",
        &["file t.yaml not found", "ledgerline token NAME --role viewer --file t.yaml"],
    ),
    (
        C,
        "listen: null",
        "tls: { certificate: c.pem, key: key.pem }",
        "9:17",
        &["c.pem, key.pem", "certificate file not found"],
    ),
    (
        C,
        "listen: null",
        "tls: { certificate: key.pem, key: key.pem, require_client: true }",
        "9:17",
        &["contains no PEM certificate"],
    ),
    (
        C,
        "listen: null",
        "access: { certificates: [{ name: a, role: viewer, san: b }] }",
        "9:37",
        &["without `tls.client_authorities`"],
    ),
    (
        C,
        "listen: null",
        "access: { certificates: [{ name: a, role: viewer }] }",
        "9:37",
        &["exactly one of `san` and `sha256`"],
    ),
    (
        C,
        "listen: null",
        "access: { certificates: [{ name: a b, role: viewer, sha256: x }] }",
        "9:37",
        &["`sha256` is not a SHA-256"],
    ),
    (
        C,
        "listen: null",
        "access: { jwt: { issuer: i, audience: a, keys: k.json, role_claim: r, roles: { x: viewer } } }",
        "9:59",
        &["k.json: file not found"],
    ),
    (
        C,
        "listen: null",
        "access: { jwt: { issuer: i, audience: '', keys: 'http://a.example/k', role_claim: r, roles: {} } }",
        "9:27",
        &["`audience` is empty"],
    ),
    (
        C,
        "listen: null",
        "access: { jwt: { issuer: i, audience: a, keys: 'http://a.example/k', role_claim: r, roles: {} } }",
        "9:59",
        &["use https"],
    ),
    (
        C,
        "listen: null",
        "access: { jwt: { issuer: i, audience: a, keys: 'http://[::1]/k', role_claim: r, roles: {} } }",
        "9:99",
        &["`roles` assigns no role to anyone"],
    ),
    (
        C,
        "listen: null",
        "access: { jwt: { issuer: i, audience: a, keys: k, role_claim: r, roles: { x: root } } }",
        "9:89",
        &["`root`", "admin, operator, viewer"],
    ),
    (C, "monitor:", "mapper_threads: 0\nmonitor:", "9:17", &["`mapper_threads` is 0", "1 to 64"]),
    (C, "monitor:", "monitor: {}\nmonitor:", "10:1", &["duplicate", "monitor"]),
    (
        C,
        "monitor:",
        "submission: { max_transactions: 5000 }\nmonitor:",
        "9:33",
        &["`max_transactions` is 5000; allowed: 1 to 1000"],
    ),
    (
        C,
        "monitor:",
        "dead_letters: { topic: dead }\nmonitor:",
        "9:24",
        &["only be sent where an input is Kafka"],
    ),
    (
        C,
        SOURCE,
        "  file: { path: r }\n  identity: [{ paths: { type: $.x, id: $.payload.i } }]",
        "7:31",
        &["`$.x`", "`$.payload.a.b[0]`"],
    ),
    (
        C,
        SOURCE,
        "  kafka: { brokers: '${LEDGERLINE_ABSENT}', group: g, topics: [t] }",
        "6:21",
        &["variable `LEDGERLINE_ABSENT` is not set", "`$${`"],
    ),
    (
        C,
        SOURCE,
        "  kafka: { brokers: 'a:1', group: g, topics: [] }",
        "6:46",
        &["`topics` is empty", "topics: [telemetry]"],
    ),
    (
        C,
        SOURCE,
        "  kafka: { brokers: 'a:1', group: g, topics: [t], start: middle }",
        "6:58",
        &["`middle`", "earliest, latest"],
    ),
    (
        C,
        SOURCE,
        "  kafka: { brokers: 'a:1', group: g, topics: [t], properties: { group.id: other } }",
        "6:75",
        &["`group.id` cannot be set", "write it as `group`"],
    ),
    (
        C,
        SOURCE,
        "  kafka: { brokers: 'a:1', group: g, topics: [t], properties: { no.such: 1 } }",
        "6:74",
        &["`no.such`", "librdkafka"],
    ),
    (
        C,
        SOURCE,
        "  kafka: { brokers: 'a:1', group: g, topics: [t], properties: { sasl.password: 'file:no' } }",
        "6:80",
        &["no cannot be read"],
    ),
    (
        C,
        SOURCE,
        "  kafka: { brokers: 'a:1', group: g, topics: pumps }",
        "6:46",
        &["a list is expected: `[pumps]`"],
    ),
    (
        C,
        SOURCE,
        "  kafka: { brokers: 'a:90x2', group: g, topics: [t] }",
        "6:21",
        &["the port `90x2` is not a number"],
    ),
    (
        C,
        SOURCE,
        "  kafka: { brokers: 'a:1', group: g, topics: [t], properties: { isolation.level: read_uncommitted } }",
        "6:82",
        &["`isolation.level` can only be", "aborted"],
    ),
    (
        C,
        SOURCE,
        "  kafka: { brokers: 'a:1', group: g, topics: [t], properties: { check.crcs: false } }",
        "6:77",
        &["`check.crcs` can only be true", "corrupted in transit"],
    ),
    (
        C,
        SOURCE,
        "  kafka: { brokers: 'a:1', group: g, topics: [t], properties: { acks: 0 } }",
        "6:71",
        &["`acks` is a property of producers"],
    ),
    (
        C,
        SOURCE,
        "  kafka: { brokers: 'a:1', group: g, topics: [t], properties: { group.protocol: consumer, session.timeout.ms: 9000 } }",
        "6:111",
        &["`session.timeout.ms` is not supported"],
    ),
    (
        C,
        SOURCE,
        "  kafka: { brokers: 'a:1', group: g, topics: [t], properties: { security.protocol: SASL_SSL } }",
        "6:84",
        &["GSSAPI (Kerberos) is not built in", "SCRAM-SHA-512"],
    ),
];

const MAPPINGS: &[Case] = &[
    (M, "contract: machine", "contract: machin", "3:11", &["`machin`", "did you mean `machine`?"]),
    (M, "function: update", "function: remove", "4:11", &["`remove`", "create, delete"]),
    (
        M,
        "function: update",
        "function: delete",
        "4:11",
        &["no function `delete`", "offers: update"],
    ),
    (M, "path: $.", "path: ", "7:24", &["a JSONPath starts with `$`", "$.payload.d.temperature"]),
    (M, "  temperature: {", "  temprature: {", "7:3", &["`temprature`", "did you mean"]),
    (M, "type: number", "type: string", "7:3", &["is string here", "expects number"]),
    (M, "type: number", "typ: number", "7:49", &["`typ`", "did you mean `type`?"]),
    (M, "  machineID: $.device.id\n", "", "1:10", &["`machineID`, the key of `machine`", "add"]),
    (M, "mapping: reading", "mapping: ''", "1:10", &["cannot be the name", "letters, digits"]),
    (M, "event_type:", "event_typ:", "2:28", &["`event_typ`", "did you mean `event_type`?"]),
    (M, "tests:", "extra: 1\ntests:", "9:1", &["`extra`", "known are: contract"]),
    (M, "mapping: reading\n", "mapping: a\nmapping: b\n", "2:1", &["duplicate"]),
    (
        M,
        "type: number }",
        "type: number, expression: 'value + 1' }",
        "7:3",
        &["where does `temperature` come from?", "exactly one of"],
    ),
];

const CONTRACTS: &[Case] = &[
    (K, "key: machineID", "key: id", "3:6", &["the state schema has no `id`"]),
    (K, "version: 1", "version: x", "2:10", &["a whole number is expected"]),
    (K, "{ type: number }", "{ type: numbr }", "7:3", &["state.properties.temperature.type"]),
    (K, "temperature > 100", "temperature >", "19:36", &["rule `HOT`", "ends too early"]),
    (K, "temperature > 100", "temprature > 100", "19:17", &["did you mean `temperature`?"]),
    (K, "temperature > 100", "temperature + 'x'", "19:35", &["cannot join a number and a string"]),
    (K, "state.temperature > 100", "f(state)", "19:18", &["no function `f`", "known are"]),
    (K, "alert: HOT", "alrt: HOT", "18:5", &["`alrt`", "did you mean `alert`?"]),
    (K, "  update: {", "  updat: {", "5:3", &["`updat`", "did you mean `update`?"]),
    (K, "call: update", "call: updat", "23:15", &["`updat`", "did you mean `update`?"]),
];

#[test]
fn a_fault_stops_check_and_run_with_its_place_and_what_helps() {
    for (file, part, with, place, said) in [CONFIGS, MAPPINGS, CONTRACTS].concat() {
        let project = Project::new();
        project.write("records.jsonl", reading(0, 0, "M1", &json!({ "temperature": 4 })));
        project.replace(file, part, with);
        for command in ["check", "run"] {
            let ended = project.run(&[command]).exits(78);
            let head = format!("{file}:{place}: error: ");
            let lines: Vec<_> = ended.err.lines().collect();
            let Some(at) = lines.iter().position(|line| line.starts_with(&head)) else {
                panic!("{part} → {with}: no {head} in\n{}", ended.err);
            };
            // The help stands on the next line.
            let diagnostic = lines[at..lines.len().min(at + 2)].join("\n");
            for expected in said {
                assert!(
                    diagnostic.contains(expected),
                    "{part} → {with}: no {expected} in\n{diagnostic}"
                );
            }
        }
        assert!(!project.path("ledger").exists(), "{part} → {with}: nothing was begun");
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let project = Project::new();
    project.replace(C, "key.pem", "absent.pem");
    project.replace(M, "type: number", "typ: number");
    project.replace(K, "temperature > 100", "temprature > 100");
    let ended = project.run(&["check"]).exits(78);
    for file in [C, M, K] {
        assert!(ended.err.lines().any(|line| line.starts_with(file)), "{file}: {}", ended.err);
    }
    assert_eq!(ended.out, "3 errors, 0 warnings\n");
}

#[test]
fn good_files_are_said_to_be_good_and_a_warning_stops_nothing() {
    let project = Project::new();
    let ended = project.run(&["check"]).exits(0);
    assert_eq!(
        (&*ended.out, &*ended.err),
        ("1 mapping and 1 contract: no error, 0 warnings\n", "")
    );
    project.replace(C, "[mappings]", "[]");
    let ended = project.run(&["check"]).exits(0);
    assert!(ended.err.starts_with("ledgerline.yaml:1:1: warning: no mapping"), "{}", ended.err);
    project.run(&["run"]).exits(0);
}

#[test]
fn what_is_not_there_or_not_readable_is_named() {
    let project = Project::new();
    for command in ["check", "run"] {
        let ended = project.run(&[command, "--config", "absent.yaml"]).exits(66);
        assert!(ended.err.contains("absent.yaml:1:1: error: "), "{}", ended.err);
        assert!(ended.err.contains("--config FILE"), "{}", ended.err);
    }
    project.write("latin1.yaml", b"ledger:\n  name: caf\xe9\n");
    let ended = project.run(&["check", "-c", "latin1.yaml"]).exits(78);
    assert!(ended.err.contains("latin1.yaml:2:1: error: the file is not UTF-8"), "{}", ended.err);
    project.write("long.yaml", "# long\n".repeat(50_000));
    let ended = project.run(&["check", "-c", "long.yaml"]).exits(78);
    assert!(ended.err.contains("262144 bytes"), "{}", ended.err);
    std::fs::remove_file(project.path("records.jsonl")).unwrap();
    let ended = project.run(&["run"]).exits(66);
    assert!(ended.err.contains("records.jsonl"), "{}", ended.err);
}

#[test]
fn a_key_that_others_can_read_or_that_is_none_is_refused() {
    let project = Project::new();
    let key = project.read("key.pem");
    let set_mode = |mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(project.path("key.pem"), permissions).unwrap();
    };
    for mode in [0o644, 0o640, 0o604, 0o660] {
        set_mode(mode);
        let ended = project.run(&["run"]).exits(77);
        let said = format!("mode {mode:04o}");
        assert!(ended.err.contains(&said) && ended.err.contains("chmod 600"), "{}", ended.err);
        assert!(!project.path("ledger").exists());
    }
    set_mode(0o600);
    for content in ["", "no key", &key[..60], &key.replace("PRIVATE", "PUBLIC")] {
        project.write("key.pem", content);
        let ended = project.run(&["run"]).exits(78);
        assert!(ended.err.contains("`ledgerline keygen` creates one"), "{}", ended.err);
        let secret = key.lines().nth(1).unwrap();
        assert!(!ended.err.contains(&secret[..20]), "a key never shows");
    }
    project.write("key.pem", &key);
    project.run(&["run"]).exits(0);
    // Another key than the one that the ledger began with.
    std::fs::remove_file(project.path("key.pem")).unwrap();
    project.run(&["keygen", "key.pem"]).exits(0);
    let ended = project.run(&["run"]).exits(78);
    assert!(ended.err.contains("ledger.previous_key"), "{}", ended.err);
}

#[test]
fn a_contract_that_changed_under_its_version_is_refused() {
    let project = Project::new();
    project.run(&["run"]).exits(0);
    project.replace(K, "temperature > 100", "temperature > 99");
    let ended = project.run(&["run"]).exits(78);
    assert!(ended.err.contains("raise `version`"), "{}", ended.err);
    project.replace(K, "version: 1", "version: 2");
    project.run(&["run"]).exits(0);
    // The name of a ledger stands in every signature.
    project.replace(C, "example.com/test", "example.com/other");
    let ended = project.run(&["run"]).exits(78);
    assert!(ended.err.contains("`example.com/test`"), "{}", ended.err);
}

/// Texts that must never be seen.
const SECRETS: [&str; 3] = ["s3cr3t-of-env", "s3cr3t-of-file", "s3cr3t-as-it-stands"];

/// A Kafka source with secrets of all kinds in its properties, where nothing listens.
fn with_secrets(more: &str) -> Project {
    let project = Project::new();
    project.write("password.txt", format!("{}\n", SECRETS[1]));
    let source = format!(
        "  kafka:
    brokers: 127.0.0.1:9
    group: g
    topics: [t]
    properties:
      security.protocol: SASL_SSL
      sasl.mechanisms: PLAIN
      sasl.username: '${{LEDGERLINE_TEST_SECRET}}'
      sasl.password: 'file:password.txt'
      ssl.key.password: {}
{more}",
        SECRETS[2]
    );
    project.replace(C, SOURCE, &source);
    project
}

#[track_caller]
fn assert_hidden(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret} shows in\n{text}");
    }
}

#[test]
fn no_secret_shows_in_a_fault() {
    let cases = [
        ("", 0),
        ("      session.timeout.ms: '${LEDGERLINE_TEST_SECRET}'", 78),
        ("      session.timeout.ms: 'file:password.txt'", 78),
        ("      sasl.mechanisms: s3cr3t-as-it-stands", 78),
        ("      no.such.property: '${LEDGERLINE_TEST_SECRET}'", 78),
        ("      ssl.endpoint.identification.algorithm: 'a ${LEDGERLINE_TEST_SECRET}'", 78),
        ("    nonsense: '${LEDGERLINE_TEST_SECRET}'", 78),
        ("    start: '${LEDGERLINE_TEST_SECRET}'", 78),
    ];
    for (more, code) in cases {
        let project = with_secrets(more);
        let mut command = project.command(&["--log", "trace", "check"]);
        command.env("LEDGERLINE_TEST_SECRET", SECRETS[0]);
        let ended = ended(command).exits(code);
        assert_hidden(&ended.err);
        assert_hidden(&ended.out);
    }
}

#[test]
fn no_secret_shows_in_the_log_of_a_run() {
    for more in ["", "      debug: all", "      ssl.key.pem: 's3cr3t-as-it-stands'"] {
        let project = with_secrets(more);
        let mut command = project.command(&["--log", "trace", "run"]);
        command.env("LEDGERLINE_TEST_SECRET", SECRETS[0]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut log = String::new();
        // Until it has tried to reach the broker, or has ended.
        while lines.read_line(&mut log).unwrap() > 0 && !log.contains("127.0.0.1:9/bootstrap") {}
        let kill = format!("kill -TERM {}", child.id());
        std::process::Command::new("sh").args(["-c", &kill]).output().unwrap();
        lines.read_to_string(&mut log).unwrap();
        child.stdout.take().unwrap().read_to_string(&mut log).unwrap();
        child.wait().unwrap();
        assert!(log.lines().count() > 1, "{log}");
        assert!(!log.contains("panicked"), "{log}");
        assert_hidden(&log);
        // What went into the ledger and the checkpoint holds none either.
        for file in ["ledger/log/blocks-00000000000000000000.log", "ledger.checkpoint"] {
            let bytes = std::fs::read(project.path(file)).unwrap_or_default();
            assert_hidden(&String::from_utf8_lossy(&bytes));
        }
    }
}

#[test]
#[cfg(not(feature = "otlp"))]
fn a_program_without_traces_says_how_to_build_one() {
    let project = Project::new();
    project.replace(C, "mappings:", "traces: { endpoint: 'http://127.0.0.1:4318' }\nmappings:");
    let ended = project.run(&["check"]).exits(78);
    for expected in ["ledgerline.yaml:7:9: ", "without tracing", "--features otlp"] {
        assert!(ended.err.contains(expected), "{}", ended.err);
    }
}
