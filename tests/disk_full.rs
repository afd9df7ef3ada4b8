//! A full disk: intake waits and the service says so; when space is back it goes on, and nothing is
//! lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

mod common;

use std::fs::{self, File};
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::records::{fates, produce};
use common::service::Service;
use common::{Deployment, Site, TOPIC, assert_sound, reading, records};
use ledgerline::input::broker::EmbeddedBroker;
use ledgerline::input::producer::GatedProducer;

const PARTITIONS: u16 = 2;
const STATE_WAITS: &str = "not enough disk space for the state store";
const START_WAITS: &str = "startup is waiting for disk space";

/// Free space that is left: too little for the state to be saved, enough for the first records'
/// block however it compresses, and never enough for all.
const LEFT_FREE: u64 = 64 * 1024;
const FIRST: u64 = 20;
const EACH_TIME: u64 = 2_500;

/// A small disk in memory, which goes with its value.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this user may not mount.
    fn mount(path: &Path) -> Option<Self> {
        fs::create_dir(path).unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=64m", "tmpfs"];
        let mounted = Command::new("mount").args(mount).arg(path).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(path.to_owned()))
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    /// Takes what is free but for so many bytes.
    fn fill(&self, free: u64) {
        let mut ballast = File::create(self.ballast()).unwrap();
        let bytes = vec![0; 64 * 1024];
        while ballast.write_all(&bytes).is_ok() {}
        let size = ballast.metadata().unwrap().len();
        ballast.set_len(size - free).unwrap();
    }

    fn make_space(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whatever still uses it keeps it until then.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// The value of a metric without labels.
fn metric(service: &Service, name: &str) -> String {
    let (_, metrics) = service.get("/metrics").unwrap();
    let name = format!("ledgerline_{name} ");
    let value = metrics.as_str().unwrap().lines().find_map(|line| line.strip_prefix(&name));
    value.unwrap_or_else(|| panic!("no {name}in {metrics}")).to_owned()
}

/// The small disk with a ledger on it, and the topic that it reads.
struct Scene {
    _broker: EmbeddedBroker,
    producer: GatedProducer,
    deployment: Deployment,
    disk: SmallDisk,
    _site: Site,
}

impl Scene {
    /// `None` where there cannot be one.
    fn new() -> Option<Self> {
        let site = Site::new();
        let Some(disk) = SmallDisk::mount(&site.path().join("small")) else {
            println!("skipped: a small disk cannot be mounted here (it takes the rights of root)");
            return None;
        };
        let broker = EmbeddedBroker::start(1).unwrap();
        broker.create_topic(TOPIC, PARTITIONS).unwrap();
        let producer = GatedProducer::new(broker.bootstrap()).unwrap();
        let deployment = site.configure_kafka("small/ledger", &broker, "ledger");
        Some(Self { _broker: broker, producer, deployment, disk, _site: site })
    }

    fn produce(&mut self, numbers: Range<u64>) {
        produce(&mut self.producer, PARTITIONS, numbers);
    }

    /// Fills the disk, looks at the service while it waits, and makes space.
    fn full_for_a_while(&mut self, service: &mut Service, numbers: Range<u64>) {
        let first = numbers.start..numbers.start + FIRST;
        self.disk.fill(LEFT_FREE);
        self.produce(first.clone());
        service.until_durable(usize::from(PARTITIONS), first.end);
        // The state waits: a store that once found no space could not be used on.
        service.until_logged(STATE_WAITS);
        let waited = service.status().unwrap();
        assert!(waited["state"]["unsaved_assets"].as_u64() > Some(0), "{waited}");

        self.produce(first.end..numbers.end);
        let (_, reason) = service
            .until("not ready", |service| service.get("/readyz").filter(|(code, _)| *code == 503));
        let reason = reason.to_string();
        assert!(reason.contains("the ledger waits for space"), "{reason}");
        assert!(reason.contains("No space left on device"), "{reason}");
        assert_eq!(service.get("/healthz").unwrap().0, 200, "it is well all the same");
        assert!(service.log().contains("the disk is full; ingestion waits for space"));
        assert_eq!(metric(service, "disk_full"), "1");
        assert_eq!(metric(service, "halted"), "0");
        service.until("records on their way", |service| {
            (metric(service, "in_flight_records") != "0").then_some(())
        });
        assert!(metric(service, "disk_free_bytes").parse::<f64>().unwrap() <= 65_536.0);
        assert!(metric(service, "savepoint_blocks_behind").parse::<u64>().unwrap() > 0);

        self.disk.make_space();
        service.until("ready", |service| service.get("/readyz").filter(|(code, _)| *code == 200));
        service.until_status("more records", |status| {
            status["records"]["read"].as_u64() > waited["records"]["read"].as_u64()
        });
        service.until_status("a savepoint", |status| status["state"]["unsaved_assets"] == 0);
        assert_eq!(metric(service, "disk_full"), "0");
        service.until("no block behind the savepoint", |service| {
            (metric(service, "savepoint_blocks_behind") == "0").then_some(())
        });
    }

    fn assert_whole(&self, count: u64) {
        let ledger = &self.deployment.ledger;
        assert_sound(ledger);
        assert_eq!(reading::read(ledger).fates, fates(PARTITIONS, count));
        assert_eq!(reading::state(ledger), records::state(PARTITIONS, count));
    }
}

#[test]
fn intake_waits_for_space_and_goes_on() {
    let Some(mut scene) = Scene::new() else { return };
    let mut service = Service::start(&scene.deployment);
    service.until_running();
    scene.full_for_a_while(&mut service, 0..EACH_TIME);
    service.until_durable(usize::from(PARTITIONS), EACH_TIME);
    scene.full_for_a_while(&mut service, EACH_TIME..2 * EACH_TIME);
    service.until_durable(usize::from(PARTITIONS), 2 * EACH_TIME);
    service.end();
    scene.assert_whole(2 * EACH_TIME);
}

#[test]
fn a_state_that_had_no_space_is_caught_up_by_the_next_start() {
    let Some(mut scene) = Scene::new() else { return };
    let mut service = Service::start(&scene.deployment);
    service.until_running();
    // Enough for the log.
    scene.disk.fill(4 * 1024 * 1024);
    scene.produce(0..200);
    service.until_durable(usize::from(PARTITIONS), 200);
    service.until_logged(STATE_WAITS);
    service.end();

    // A start waits for space as well, and can be ended meanwhile.
    let mut service = Service::start(&scene.deployment);
    service.until_logged(START_WAITS);
    let ended = service.end();
    assert!(ended.log.contains("stopped before it was running"), "{}", ended.log);
    let mut service = Service::start(&scene.deployment);
    service.until_logged(START_WAITS);
    scene.disk.make_space();
    service.until_durable(usize::from(PARTITIONS), 200);
    service.end();
    scene.assert_whole(200);
}
