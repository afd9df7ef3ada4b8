//! A long run at four fifths of the full rate, with reads, and kills in its first third: every record
//! once, memory and open files flat, the disk filling as fast as records come.
//!
//! `LEDGERLINE_SOAK_MINUTES=30 cargo test --release --test soak -- --ignored --nocapture`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test
#![allow(clippy::cast_precision_loss)] // counts far below 2^53

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::service::Service;
use common::{Deployment, Random, assert_sound, log_bytes, succeed};
use ledgerline::clock::{Clock, SystemClock};
use ledgerline::demo::{Brokers, Feeding, Load, STEADY, Senders, Setting, Stage, set_stage};
use ledgerline::event::SourcePartition;
use serde_json::Value;

const PARTITIONS: u16 = 8;
const DEVICES: u32 = 10_000;
/// Share of the full rate, in percent.
const LOAD: u64 = 80;
/// Records of the run that finds the full rate.
const FULL_RATE_RECORDS: &str = "300000";
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A kill comes once in so many looks, on average.
const KILL_EVERY: u64 = 150;

/// A sample of the process.
#[derive(Debug, Clone, Copy)]
struct Look {
    resident_kib: u64,
    files: u64,
    log_bytes: u64,
    records: u64,
}

/// Offsets that are durable, as the program's status tells them.
type Durable = Arc<Mutex<BTreeMap<String, u64>>>;

struct Soak {
    deployment: Deployment,
    service: Service,
    durable: Durable,
    random: Random,
    kills: u64,
}

fn full_rate() -> u64 {
    let report = succeed(&["bench", "--events", FULL_RATE_RECORDS, "--json"]);
    let report: Value = serde_json::from_str(&report).unwrap();
    format!("{:.0}", report["whole_way"].as_f64().unwrap()).parse().unwrap()
}

/// Lets a killed member's session be over as soon as the broker takes it.
fn impatient(config: &Path) {
    let text = std::fs::read_to_string(config).unwrap();
    let short = "properties: { session.timeout.ms: 4000, heartbeat.interval.ms: 400,";
    std::fs::write(config, text.replace("properties: {", short)).unwrap();
}

fn listening(folder: PathBuf) -> Setting {
    let listen = Some(([127, 0, 0, 1], 0).into());
    Setting { scene: &STEADY, directory: folder, listen, brokers: Brokers::Embedded(PARTITIONS) }
}

fn start(stage: &Stage, rate: u64, durable: &Durable, clock: &Arc<dyn Clock>) -> Feeding {
    let senders = Senders::Steady(DEVICES);
    let load = Load { senders, records: 0, rate };
    let durable = durable.clone();
    let consumed = move |partition: &SourcePartition| {
        durable.lock().unwrap().get(&partition.to_string()).copied().unwrap_or(0)
    };
    Feeding::start(stage, load, Box::new(consumed), clock.clone()).unwrap()
}

impl Soak {
    /// One look at the process; reads a state as well.
    fn look(&mut self) -> Option<Look> {
        std::thread::sleep(LOOK_EVERY);
        assert!(!self.service.has_ended(), "{}", self.service.log());
        let status = self.service.status()?;
        let mut durable = self.durable.lock().unwrap();
        for partition in status["partitions"].as_array().unwrap() {
            let name = partition["partition"].as_str().unwrap().to_owned();
            durable.insert(name, partition["durable"].as_u64().unwrap());
        }
        drop(durable);
        let device = self.random.below(u64::from(DEVICES));
        self.service.get(&format!("/api/v1/state/reading/D{device:07}"));
        let process = PathBuf::from(format!("/proc/{}", self.service.id()));
        let memory = std::fs::read_to_string(process.join("status")).unwrap();
        let line = memory.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        Some(Look {
            resident_kib: line.trim().trim_end_matches("kB").trim().parse().unwrap(),
            files: std::fs::read_dir(process.join("fd")).unwrap().count() as u64,
            log_bytes: log_bytes(&self.deployment.ledger),
            records: status["records"]["read"].as_u64().unwrap(),
        })
    }

    fn kill(self) -> Self {
        let Self { deployment, service, durable, random, kills } = self;
        service.kill();
        let service = Service::start(&deployment);
        Self { deployment, service, durable, random, kills: kills + 1 }
    }
}

/// The mean of a figure over some looks.
fn mean(looks: &[Look], figure: impl Fn(&Look) -> u64) -> f64 {
    looks.iter().map(figure).sum::<u64>() as f64 / looks.len().max(1) as f64
}

/// Bytes of the log a record between the first and the last of some looks.
fn bytes_a_record(looks: &[Look]) -> f64 {
    let (first, last) = (looks.first().unwrap(), looks.last().unwrap());
    (last.log_bytes - first.log_bytes) as f64 / (last.records - first.records) as f64
}

#[test]
#[ignore = "takes half an hour: see the head of this file"]
fn nothing_grows_that_should_not() {
    let minutes: u64 = match std::env::var_os("LEDGERLINE_SOAK_MINUTES") {
        Some(text) => text.to_str().unwrap().parse().unwrap(),
        None => 30,
    };
    let folder = tempfile::tempdir().unwrap();
    let rate = full_rate() * LOAD / 100;
    let stage = set_stage(&listening(folder.path().to_owned())).unwrap();
    impatient(&stage.config);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let deployment =
        Deployment { config: stage.config.clone(), ledger: folder.path().join("ledger") };
    let (durable, service) = (Durable::default(), Service::start(&deployment));
    let feeding = start(&stage, rate, &durable, &clock);
    let mut soak = Soak { deployment, service, durable, random: Random::new(), kills: 0 };
    println!("{rate} records a second for {minutes} minutes");

    let third = Duration::from_secs(minutes * 60) / 3;
    let began = clock.monotonic();
    let mut looks = [Vec::new(), Vec::new(), Vec::new()];
    while let Some(part) = looks.get_mut(
        usize::try_from((clock.monotonic() - began).as_millis() / third.as_millis()).unwrap(),
    ) {
        let Some(look) = soak.look() else { continue };
        part.push(look);
        let is_first_third = clock.monotonic() - began < third;
        if is_first_third && soak.random.below(KILL_EVERY) == 0 {
            soak = soak.kill();
        }
    }
    feeding.end().unwrap();
    let lag = |status: &Value| {
        let partitions = status["partitions"].as_array().unwrap().iter();
        partitions.map(|partition| partition["lag"].as_u64().unwrap_or(u64::MAX)).max()
    };
    let status = soak.service.until_status("all of it", |status| lag(status) == Some(0));
    soak.service.end();
    assert_sound(&soak.deployment.ledger);

    let [_, second, last] = &looks;
    let memory = [second, last].map(|looks| mean(looks, |look| look.resident_kib) / 1024.0);
    let files = [second, last].map(|looks| mean(looks, |look| look.files));
    let bytes = [second, last].map(|looks| bytes_a_record(looks));
    println!("{} records, {} kills", status["records"]["read"], soak.kills);
    println!("memory in the second and the last third: {memory:.1?} MiB");
    println!("open files: {files:.1?}; bytes of the log a record: {bytes:.2?}");
    assert!(memory[1] <= memory[0] * 1.05, "memory grows");
    assert!(files[1] <= files[0] * 1.05, "open files grow");
    assert!(bytes[1] <= bytes[0] * 1.05, "the log takes more a record");
}
