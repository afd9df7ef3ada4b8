//! Helpers of the end-to-end tests: a folder with everything that a configuration names, the built
//! program as a child process, records of every kind, and reading a ledger back.
//!
//! Nothing here waits for a time: every wait is for a condition, and its bound only serves to fail.
#![allow(dead_code)] // each test uses a part
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

pub mod browser;
pub mod endpoint;
pub mod kafka;
pub mod nginx;
pub mod openapi;
pub mod reading;
pub mod records;
pub mod service;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use ledgerline::input::broker::EmbeddedBroker;

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_ledgerline");
/// Name of every test's ledger.
pub const LEDGER_NAME: &str = "example.com/test";
/// Topic of every test.
pub const TOPIC: &str = "telemetry";

const LOOK_EVERY: Duration = Duration::from_millis(10);
/// At least a minute.
const MOST_LOOKS: usize = 6_000;

const CONTRACT: &str = r#"
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
rules:
  - reject: impossible
    when: state.temperature > 900
    message: no machine is that hot
  # Counts and chains: a record that is lost, doubled or out of its order shows in all that follow.
  - derive: readings
    value: '(has(old_derived.readings) ? old_derived.readings : 0) + 1'
  - derive: before
    value: 'has(old.temperature) ? old.temperature : null'
  - alert: HOT
    raise_when: state.temperature > 100
"#;

const MAPPINGS: [(&str, &str); 2] = [
    (
        "reading.yaml",
        r"
mapping: reading
match: { topic: telemetry, event_type: reading }
contract: machine
function: update
fields:
  machineID: $.device.id
  temperature: { path: $.payload.d.temperature, type: number }
",
    ),
    (
        "burst.yaml",
        r"
mapping: burst
match: { topic: telemetry, event_type: burst }
contract: machine
function: update
for_each: $.payload.d.temperatures
fields:
  machineID: $.device.id
  temperature: { path: $.item, type: number }
",
    ),
];

/// Small submissions, so that there are many blocks to be interrupted at.
const COMMON: &str = "\
mappings: [mappings]
contracts: [contracts]
submission: { max_transactions: 5, max_wait_ms: 2 }
monitor: { listen: '127.0.0.1:0' }
";

/// A folder with a key, a contract and mappings, and as many configurations as a test needs.
#[derive(Debug)]
pub struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for directory in ["contracts", "mappings"] {
            std::fs::create_dir(path.join(directory)).unwrap();
        }
        std::fs::write(path.join("contracts/machine.yaml"), CONTRACT).unwrap();
        for (name, text) in MAPPINGS {
            std::fs::write(path.join("mappings").join(name), text).unwrap();
        }
        let key = path.join("key.pem");
        succeed(&["keygen", key.to_str().unwrap()]);
        Self { folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a configuration for a ledger in this directory (relative to the site) that reads from
    /// `source`, the YAML below `source:`.
    pub fn configure(&self, ledger: &str, source: &str) -> Deployment {
        let name = ledger.replace('/', "-");
        let config = self.path().join(format!("{name}.yaml"));
        let text = format!(
            "ledger: {{ name: {LEDGER_NAME}, directory: {ledger}, key: key.pem }}\nsource:\n  {source}\n{COMMON}"
        );
        std::fs::write(&config, text).unwrap();
        Deployment { config, ledger: self.path().join(ledger) }
    }

    /// The same for the topic of a broker. A session must last longer than the three seconds that the
    /// embedded broker waits for the first members of a group. It knows no static members: one that
    /// stops would hold its partitions until its session is over.
    pub fn configure_kafka(
        &self,
        ledger: &str,
        broker: &EmbeddedBroker,
        group: &str,
    ) -> Deployment {
        let properties = "{ session.timeout.ms: 4000, heartbeat.interval.ms: 400, socket.timeout.ms: 10000, \
             group.instance.id: '' }";
        let brokers = broker.bootstrap();
        let source = format!(
            "kafka: {{ brokers: '{brokers}', group: {group}, topics: [{TOPIC}], properties: {properties} }}"
        );
        self.configure(ledger, &source)
    }
}

/// A configuration and the ledger that it names.
#[derive(Debug, Clone)]
pub struct Deployment {
    pub config: PathBuf,
    pub ledger: PathBuf,
}

/// Looks until there is something.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..MOST_LOOKS {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    panic!("it never came to this: {what}");
}

/// A program that is not ours, if it is there.
pub fn found(name: &str) -> Option<Command> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).any(|folder| folder.join(name).is_file());
    found.then(|| Command::new(name))
}

/// The same. Where it is not, the test that asks for it is skipped, but with `LEDGERLINE_MUST_RUN`
/// set it fails.
pub fn outside(name: &str) -> Option<Command> {
    let found = found(name);
    if found.is_none() {
        let must_run = std::env::var_os("LEDGERLINE_MUST_RUN").is_some();
        assert!(!must_run, "{name} is absent, and LEDGERLINE_MUST_RUN is set");
        println!("skipped: {name} is not installed here");
    }
    found
}

/// Runs the program to its end.
pub fn program(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

/// Runs the program, which must succeed, and gives what it printed.
pub fn succeed(arguments: &[&str]) -> String {
    let output = program(arguments);
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {}\n{out}{err}", output.status);
    out.into_owned()
}

/// `ledgerline verify` finds nothing wrong.
pub fn assert_sound(ledger: &Path) {
    let report = succeed(&["verify", ledger.to_str().unwrap()]);
    assert_eq!(report.lines().last(), Some("verified"), "{report}");
}

/// Bytes of a ledger's log.
pub fn log_bytes(ledger: &Path) -> u64 {
    let Ok(files) = std::fs::read_dir(ledger.join("log")) else { return 0 };
    files.map(|file| file.unwrap().metadata().map_or(0, |metadata| metadata.len())).sum()
}

/// Random numbers whose seed is printed; `LEDGERLINE_SEED` repeats a run.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        let given = std::env::var_os("LEDGERLINE_SEED");
        let seed = match given.and_then(|seed| seed.to_str().and_then(|seed| seed.parse().ok())) {
            Some(seed) => seed,
            None => RandomState::new().build_hasher().finish(),
        };
        println!("repeat this run with LEDGERLINE_SEED={seed}");
        Self(seed.max(1))
    }

    /// Random numbers of their own, which follow from these.
    pub fn branch(&mut self) -> Self {
        Self(self.below(u64::MAX).max(1))
    }

    /// Below a bound: Marsaglia's xorshift64.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound.max(1)
    }
}
