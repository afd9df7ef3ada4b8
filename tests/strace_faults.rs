//! Single system calls of the log fail, or the program dies in them: it never tries a failed sync
//! again, says what happened, and the next start comes to what an undisturbed run comes to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::records::{self, fates, lines, produce};
use common::service::{Ended, Service};
use common::{Deployment, Site, TOPIC, assert_sound, reading};
use ledgerline::input::broker::EmbeddedBroker;
use ledgerline::input::producer::GatedProducer;

/// Records of a run.
const COUNT: u64 = 3_000;
/// Syncs that fail one after the other.
const FAILURES: u32 = 200;
/// Partitions, and records of each, of a run with many small blocks.
const MANY: (u16, u64) = (160, 40);
/// The first syncs are those of the keys and the definitions, then records come.
const SYNCS: [u32; 5] = [1, 2, 3, 4, 6];
/// The file of all blocks here.
const SEGMENT: &str = "log/blocks-00000000000000000000.log";
/// Fewest of these that come in every run.
const SURE_SYNCS: usize = 3;

/// True if system calls can be made to fail here.
fn has_strace() -> bool {
    let tried = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output();
    let has = tried.is_ok_and(|output| output.status.success());
    if !has {
        println!("skipped: there is no strace, or it may trace nothing here");
    }
    has
}

/// Runs the program with a fault in its system calls on a file, such as
/// `fdatasync:error=EIO:when=3`. Each thread counts its own: the first write of all makes the
/// segment, and the log's writer writes nothing but blocks.
fn start_with(fault: &str, deployment: &Deployment, file: &str) -> (Service, PathBuf) {
    let trace = deployment.config.with_extension("trace");
    let file = deployment.ledger.join(file);
    let run = Service::command(deployment);
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "signal=none", "-e", &format!("inject={fault}")]);
    command.arg("-P").arg(file).arg("-o").arg(&trace);
    command.arg(run.get_program()).args(run.get_args());
    (Service::spawn(command), trace)
}

fn run_with(fault: &str, deployment: &Deployment) -> (Ended, String) {
    let (service, trace) = start_with(fault, deployment, SEGMENT);
    (service.wait(), std::fs::read_to_string(trace).unwrap())
}

struct Scene {
    site: Site,
    /// Partitions, and records of each.
    size: (u16, u64),
    undisturbed: reading::Contents,
}

impl Scene {
    fn new() -> Self {
        Self::of((1, COUNT))
    }

    fn of(size: (u16, u64)) -> Self {
        let site = Site::new();
        std::fs::write(site.path().join("records.jsonl"), lines(size.0, 0..size.1)).unwrap();
        let deployment = deploy(&site, "undisturbed");
        let ended = Service::start(&deployment).wait();
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        let undisturbed = whole(&deployment.ledger, size);
        Self { site, size, undisturbed }
    }

    /// A second start, undisturbed, comes to what the first run did.
    fn assert_recovers(&self, deployment: &Deployment) {
        if deployment.ledger.join("log").exists() && reading::count(&deployment.ledger) > 0 {
            assert_sound(&deployment.ledger);
        }
        let ended = Service::start(deployment).wait();
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        let found = whole(&deployment.ledger, self.size);
        assert!(found == self.undisturbed, "{}", ended.log);
    }
}

fn deploy(site: &Site, ledger: &str) -> Deployment {
    site.configure(ledger, "file: { path: records.jsonl }")
}

fn file_name(fault: &str) -> String {
    fault.replace([':', '=', '.'], "-")
}

/// The contents of a ledger of all records.
fn whole(ledger: &Path, (partitions, count): (u16, u64)) -> reading::Contents {
    assert_sound(ledger);
    assert_eq!(reading::state(ledger), records::state(partitions, count));
    let contents = reading::read(ledger);
    assert_eq!(contents.fates, fates(partitions, count));
    contents
}

#[test]
fn a_failed_sync_ends_the_program_and_is_not_tried_again() {
    if !has_strace() {
        return;
    }
    let scene = Scene::new();
    let mut failures = 0;
    for sync in SYNCS {
        let deployment = deploy(&scene.site, &format!("failed-{sync}"));
        let (ended, trace) = run_with(&format!("fdatasync:error=EIO:when={sync}"), &deployment);
        if trace.contains("INJECTED") {
            failures += 1;
            assert_failed(&ended, &trace);
        } else {
            assert_eq!(ended.code, Some(0), "{}", ended.log);
        }
        scene.assert_recovers(&deployment);
    }
    assert!(failures >= SURE_SYNCS, "only {failures} syncs failed");
}

fn assert_failed(ended: &Ended, trace: &str) {
    assert_eq!(ended.code, Some(74), "{}", ended.log);
    let told = ended.log.lines().last().unwrap();
    for part in ["the ledger has halted: making durable ", ".log: Input/output error"] {
        assert!(told.contains(part), "{}", ended.log);
    }
    let syncs: Vec<_> = trace.lines().filter(|line| line.contains("fdatasync")).collect();
    assert!(syncs.last().unwrap().contains("EIO"), "it went on: {syncs:#?}");
}

#[test]
fn any_other_failure_ends_the_program_with_its_reason() {
    if !has_strace() {
        return;
    }
    let scene = Scene::new();
    let table = [
        ("openat:error=EIO:when=1", "creating the segment "),
        ("pwrite64:error=EIO:when=1", "writing "),
        ("fsync:error=EIO:when=1", "making durable "),
        ("pwrite64:error=EIO:when=3", "appending to "),
        ("pwrite64:error=EPERM:when=2", "appending to "),
    ];
    for (fault, doing) in table {
        let deployment = deploy(&scene.site, &file_name(fault));
        let (ended, trace) = run_with(fault, &deployment);
        assert!(trace.contains("INJECTED"), "{trace}");
        assert_eq!(ended.code, Some(74), "{fault}: {}", ended.log);
        let told = ended.log.lines().last().unwrap();
        let place = format!("{doing}{}", deployment.ledger.display());
        assert!(told.contains(&place), "{fault}: {}", ended.log);
        assert!(told.contains("(os error "), "{fault}: {}", ended.log);
        scene.assert_recovers(&deployment);
    }
}

#[test]
fn a_death_within_a_call_loses_and_doubles_nothing() {
    if !has_strace() {
        return;
    }
    let scene = Scene::new();
    let making = ["openat:1", "pwrite64:1", "fsync:1"];
    let appending = ["pwrite64:2", "pwrite64:3", "pwrite64:4"];
    let syncing = ["fdatasync:1", "fdatasync:2", "fdatasync:3", "fdatasync:4"];
    let mut deaths = 0;
    for call in making.into_iter().chain(appending).chain(syncing) {
        let deployment = deploy(&scene.site, &file_name(call));
        let (ended, _) = run_with(&call.replace(':', ":signal=KILL:when="), &deployment);
        deaths += usize::from(ended.code != Some(0));
        scene.assert_recovers(&deployment);
    }
    assert!(deaths >= 3 * SURE_SYNCS, "only {deaths} deaths");
}

#[test]
fn a_write_without_space_is_tried_again() {
    if !has_strace() {
        return;
    }
    let scene = Scene::new();
    for fault in [
        "pwrite64:error=ENOSPC:when=2",
        "pwrite64:error=EFBIG:when=2",
        "pwrite64:error=EDQUOT:when=3..4",
    ] {
        let deployment = deploy(&scene.site, &file_name(fault));
        let (ended, trace) = run_with(fault, &deployment);
        assert!(trace.contains("INJECTED"), "{trace}");
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        assert!(ended.log.contains("the disk is full; ingestion waits for space"), "{}", ended.log);
        assert!(whole(&deployment.ledger, scene.size) == scene.undisturbed);
    }
}

#[test]
fn a_failed_sync_ends_a_program_that_has_nothing_more_to_do() {
    if !has_strace() {
        return;
    }
    let broker = EmbeddedBroker::start(1).unwrap();
    broker.create_topic(TOPIC, 1).unwrap();
    let mut producer = GatedProducer::new(broker.bootstrap()).unwrap();
    let site = Site::new();
    let deployment = site.configure_kafka("ledger", &broker, "ledger");
    let (mut service, trace) = start_with("fdatasync:error=EIO:when=3", &deployment, SEGMENT);
    service.until_running();
    produce(&mut producer, 1, 0..1);
    let ended = service.wait();
    assert_failed(&ended, &std::fs::read_to_string(trace).unwrap());
}

#[test]
fn two_hundred_failed_syncs_in_a_row_lose_and_double_nothing() {
    if !has_strace() {
        return;
    }
    let scene = Scene::of(MANY);
    let deployment = deploy(&scene.site, "interrupted");
    let mut records = 0;
    // Each start comes one sync further than the one before, so the n-th fails at the n-th sync.
    for failure in 1..=FAILURES {
        let is_death = failure % 2 == 0;
        let fault = if is_death { "signal=KILL" } else { "error=EIO" };
        let (ended, trace) = run_with(&format!("fdatasync:{fault}:when=1"), &deployment);
        match is_death {
            true => assert_ne!(ended.code, Some(0), "{failure}: it was killed: {}", ended.log),
            false => assert_failed(&ended, &trace),
        }
        let found = reading::count(&deployment.ledger);
        assert!(found >= records, "{failure}: {records} records were there, now {found}");
        records = found;
        if failure % 20 == 0 {
            assert_sound(&deployment.ledger);
        }
    }
    println!("{records} records came in over {FAILURES} failed syncs");
    scene.assert_recovers(&deployment);
}

#[test]
fn a_fault_in_the_state_store_harms_neither_log_nor_state() {
    if !has_strace() {
        return;
    }
    let scene = Scene::new();
    let mut faults = 0;
    for call in ["pwrite64", "sync_file_range"] {
        for fault in ["error=EIO", "error=ENOSPC", "signal=KILL"] {
            for number in 1..=2 {
                let fault = format!("{call}:{fault}:when={number}");
                let deployment = deploy(&scene.site, &file_name(&fault));
                let (service, _) = start_with(&fault, &deployment, "state/db");
                let ended = service.wait();
                println!("{fault}: ended with {:?}: {:?}", ended.code, ended.log.lines().last());
                faults += usize::from(ended.code != Some(0));
                scene.assert_recovers(&deployment);
            }
        }
    }
    // Which thread makes a second call is a matter of time; a first one comes in every run.
    assert!(faults >= 6, "only {faults} faults came");
}
