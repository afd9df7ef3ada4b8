//! A folder with everything that a configuration names, and the built program run in it.

// Not every test uses all of it, and a test fails by panicking.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_ledgerline");

pub const CONFIG: &str = "\
ledger:
  name: example.com/test
  directory: ledger
  key: key.pem
source:
  file: { path: records.jsonl }
mappings: [mappings]
contracts: [contracts]
monitor: { listen: null }
";

pub const MAPPING: &str = "\
mapping: reading
match: { topic: telemetry, event_type: reading }
contract: machine
function: update
fields:
  machineID: $.device.id
  temperature: { path: $.payload.d.temperature, type: number }
  note: { path: $.payload.d.note, type: string, required: false }
tests:
  - name: a reading
    event: { device: { id: M1 }, payload: { d: { temperature: 4 } } }
    expect:
      payloads:
        - machineID: M1
          temperature: 4
";

pub const CONTRACT: &str = "\
contract: machine
version: 1
key: machineID
functions:
  update: { create_when_absent: true }
state:
  type: object
  required: [machineID]
  additionalProperties: false
  properties:
    machineID: { type: string }
    temperature: { type: number }
    note: { type: string }
rules:
  - reject: impossible
    when: state.temperature > 900
    message: no machine is that hot
  - alert: HOT
    raise_when: state.temperature > 100
tests:
  - name: it gets hot
    steps:
      - call: update
        arguments: { machineID: M1, temperature: 101 }
        expect:
          alerts: { active: [HOT], raised: [HOT] }
";

/// The result of a run of the program.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ended {
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "out: {}\nerr: {}", self.out, self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }

    /// Standard output as one JSON value.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    /// Standard output as a JSON value on each line.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        let value = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        self.out.lines().map(value).collect()
    }
}

/// A folder with a configuration, a mapping, a contract, a key and records.
pub struct Project(tempfile::TempDir);

impl Project {
    pub fn new() -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let project = Self(folder);
        project.write("ledgerline.yaml", CONFIG);
        project.write("mappings/reading.yaml", MAPPING);
        project.write("contracts/machine.yaml", CONTRACT);
        project.write("records.jsonl", "");
        ledgerline::transaction::write_new_key_file(&project.path("key.pem")).unwrap();
        project
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Replaces a part of a file that must be there.
    #[track_caller]
    pub fn replace(&self, name: &str, part: &str, with: &str) {
        let text = self.read(name);
        assert!(text.contains(part), "{name} has no {part}");
        self.write(name, text.replacen(part, with, 1));
    }

    /// The program with these arguments in this folder, without the surrounding settings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        for name in ["LEDGERLINE_LOG", "LEDGERLINE_LOG_FORMAT", "LEDGERLINE_CONFIG"] {
            command.env_remove(name);
        }
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        ended(self.command(arguments))
    }
}

pub fn ended(mut command: Command) -> Ended {
    let output = command.output().unwrap();
    Ended {
        code: output.status.code().expect("it was not killed"),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A record as `kcat -J` writes it, of a device that sends a reading.
pub fn reading(partition: u32, offset: u64, device: &str, data: &Value) -> String {
    let key = json!({
        "orgId": "acme", "deviceType": "press", "deviceId": device, "eventType": "reading",
        "format": "json", "timestamp": "2024-05-01T12:00:00Z"
    });
    line(partition, offset, &key.to_string(), &json!({ "d": data }).to_string())
}

pub fn line(partition: u32, offset: u64, key: &str, payload: &str) -> String {
    let record = json!({
        "topic": "telemetry", "partition": partition, "offset": offset, "tstype": "create",
        "ts": 1_714_564_800_000_u64 + offset * 1_000, "key": key, "payload": payload
    });
    format!("{record}\n")
}
