//! The tests in a mapping's file read records as the pipeline does: bytes, body format, and the identity
//! methods of the configuration.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

#[path = "common/project.rs"]
mod project;

use project::*;

/// A mapping whose tests need the configuration below: the key is `plant/TYPE/ID`, the body text.
const MAPPING: &str = "\
mapping: reading
match: { device_type: press }
contract: machine
function: update
fields:
  machineID: $.device.id
  temperature: { path: $.payload, type: number }
tests:
  - name: as text
    record: { kafka: { key: plant/press/p7 }, value: '23.50' }
    expect: { payloads: [{ machineID: p7, temperature: 23.5 }] }
  - name: in hex
    record: { kafka: { key: { hex: 706c616e742f70726573732f7037 } }, value: { hex: '32 33 2e 35' } }
    expect: { payloads: [{ machineID: p7, temperature: 23.5 }] }
  - name: in base64
    record: { kafka: { key: plant/press/p7 }, value: { base64: MjMuNQ== } }
    expect: { payloads: [{ machineID: p7, temperature: 23.5 }] }
  - name: not text
    record: { kafka: { key: plant/press/p7 }, value: { hex: ff } }
    expect: { rejected: { cause: not_utf8, path: byte 0 } }
  - name: another device
    record: { kafka: { key: plant/lamp/l1 }, value: '1' }
    expect: filtered
  - name: a key of another form
    record: { kafka: { key: nonsense }, value: '1' }
    expect: { rejected: { cause: identity } }
  - name: in parts, with the bytes of the body
    event: { device: { id: p7 }, value: '23.50' }
    expect: { payloads: [{ machineID: p7, temperature: 23.5 }] }
  - name: its own identity and format
    identity: [{ paths: { type: press, id: $.payload.id } }]
    body: { format: json }
    record: { value: '{\"id\":\"p9\"}' }
    expect: { rejected: { cause: field_type, path: $.payload } }
";

const IDENTITY: &str = "  identity: [{ mqtt_topic: { template: 'plant/{type}/{id}' } }]\n";
const BODY: &str = "  body: { format: text }\n";

fn project() -> Project {
    let project = Project::new();
    let config = project.read("ledgerline.yaml");
    let config = config.replacen("source:", "source:\nSETTINGS", 1);
    assert!(config.contains("source:\nSETTINGS\n"), "{config}");
    project.write("ledgerline.yaml", config.replace("SETTINGS\n", &format!("{IDENTITY}{BODY}")));
    project.write("mappings/reading.yaml", MAPPING);
    project
}

#[test]
fn tests_are_read_with_the_configuration() {
    let project = project();
    let all = project.run(&["test"]).exits(0);
    assert!(all.out.ends_with("9 passed, 0 failed\n"), "{}", all.out);
    // The same from files alone, as the configuration is here.
    let files = project.run(&["test", "mappings"]).exits(0);
    assert!(files.out.ends_with("8 passed, 0 failed\n"), "{}", files.out);
    // From elsewhere: by option, as a file, as its folder.
    let there = tempfile::tempdir().unwrap();
    let config = project.path("ledgerline.yaml").display().to_string();
    let folder = project.path("").display().to_string();
    let mappings = project.path("mappings").display().to_string();
    for (arguments, passed) in [
        (vec!["test", "--config", &config], 9),
        (vec!["test", "--config", &config, &mappings], 8),
        (vec!["test", &config], 9),
        (vec!["test", &folder], 9),
    ] {
        let mut command = project.command(&arguments);
        command.current_dir(there.path());
        let ended = ended(command).exits(0);
        assert!(ended.out.ends_with(&format!("{passed} passed, 0 failed\n")), "{}", ended.out);
    }
    let mut command = project.command(&["check", &folder]);
    command.current_dir(there.path());
    assert!(ended(command).exits(0).out.contains("1 mapping and 1 contract"));
}

#[test]
fn a_failure_says_how_its_record_was_read() {
    let project = project();
    project.replace("ledgerline.yaml", BODY, "");
    let failed = project.run(&["test", "mappings"]).exits(65);
    let read = "the body was read as `json`, the device found by `identity` of `source` in \
                ledgerline.yaml";
    assert!(failed.out.contains(read), "{}", failed.out);
    // Without a configuration the folder's mappings are read by `auto`.
    std::fs::remove_file(project.path("ledgerline.yaml")).unwrap();
    let failed = project.run(&["test"]).exits(65);
    let read = "the device found by `identity: [auto]`; `--config` names a configuration";
    assert!(failed.out.contains(read), "{}", failed.out);
}

#[test]
fn faults_of_tests_have_their_place() {
    let project = project();
    for (part, with, place, message) in [
        ("{ base64: MjMuNQ== }", "{ base64: 'MjMuNQ' }", "16:54", "`value`: `base64` is not valid"),
        ("{ hex: ff }", "{ hex: f }", "19:54", "`value`: `hex` is not valid"),
        ("{ hex: ff }", "{ hexa: ff }", "19:54", "`hexa` is not an encoding"),
        ("{ hex: ff }", "[1]", "19:54", "a text, `{ base64: … }` or `{ hex: … }` is expected"),
        ("{ format: json }", "{ format: avro }", "32:21", "`avro` is not a body format"),
        ("{ format: json }", "{ framing: x }", "32:22", "unknown variant `x`"),
        ("id: $.payload.id", "id: $.id", "31:44", "neither `$.payload`"),
        ("cause: identity", "cause: identty", "26:34", "did you mean `identity`?"),
        (
            "value: '23.50' }\n    expect: { payloads: [{ machineID: p7, temperature: 23.5 }] }\n  - name: its",
            "value: '23.50', payload: 1 }\n    expect: filtered\n  - name: its",
            "28:41",
            "cannot both be given",
        ),
        (
            "    body: { format: json }\n    record: { value",
            "    event: { payload",
            "31:15",
            "an `event` names its device itself",
        ),
        (
            "    identity: [{ paths: { type: press, id: $.payload.id } }]\n    body: { format: json }\n    record: { value",
            "    body: { format: json }\n    event: { payload",
            "31:11",
            "the event has none",
        ),
        (
            "    record: { value: '{\"id\"",
            "    event: {}\n    record: { value: '{\"id\"",
            "30:5",
            "both `event` and `record`",
        ),
    ] {
        assert!(MAPPING.contains(part), "{part}");
        project.write("mappings/reading.yaml", MAPPING.replacen(part, with, 1));
        let bad = project.run(&["test", "mappings"]).exits(78);
        let start = format!("mappings/reading.yaml:{place}: error: ");
        assert!(
            bad.err.starts_with(&start) && bad.err.contains(message),
            "{start}{message}\n{}",
            bad.err
        );
    }
    project.write("mappings/reading.yaml", MAPPING);
    project.replace("ledgerline.yaml", "format: text", "format: avro");
    for command in [["test", "mappings"], ["check", "ledgerline.yaml"]] {
        let bad = project.run(&command).exits(78);
        assert!(bad.err.contains("`avro` is not a body format"), "{}", bad.err);
        assert!(bad.err.starts_with("ledgerline.yaml:"), "{}", bad.err);
    }
}
