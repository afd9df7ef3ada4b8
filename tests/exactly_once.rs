//! Exactly once: a ledger whose program is killed again and again holds what one holds whose program
//! was never killed.
//!
//! The broker lives on in the test's process. The moment of each kill is random by progress: after
//! so many more bytes of the log, or at a line of the start.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

mod common;

use std::path::Path;
use std::time::Duration;

use common::reading::{self, Contents};
use common::records::{self, fates, produce};
use common::service::Service;
use common::{Deployment, Random, Site, TOPIC, assert_sound, log_bytes};
use ledgerline::source::broker::EmbeddedBroker;
use ledgerline::source::producer::GatedProducer;
use serde_json::Value;

const ROUNDS: u64 = 10;
/// Whether a status shows that a moment has come.
type HasCome = fn(&Value) -> bool;
/// Moments of a start, at which it may also be killed.
const MOMENTS: [(&str, HasCome); 3] = [
    ("running", |_| true),
    ("connected to Kafka", |status| status["ready"] == true),
    ("assigned", |status| {
        let partitions = status["partitions"].as_array().unwrap();
        partitions.iter().any(|partition| partition["assigned"] == true)
    }),
];

/// Runs the program until every record is durable.
fn finish(deployment: &Deployment, partitions: u16, count: u64) {
    let mut service = Service::start(deployment);
    service.until_durable(usize::from(partitions), count);
    service.end();
}

/// A ledger whose program is killed again and again, over a broker with so many records.
struct Victim<'a> {
    site: &'a Site,
    broker: &'a EmbeddedBroker,
    /// Bytes of a log with all records.
    whole_bytes: u64,
    records: usize,
}

impl Victim<'_> {
    /// A killed member holds its group up until its session is over, so most starts join a group of
    /// their own; the ledger's own position is the same for all.
    fn deployment(&self, group: u64) -> Deployment {
        self.site.configure_kafka("killed", self.broker, &format!("killed-{group}"))
    }

    /// Kills the program `ROUNDS` times; in how many of them records were left to be read.
    fn kill_often(&self, random: &mut Random) -> u64 {
        (0..ROUNDS).map(|round| u64::from(self.kill(round, random))).sum()
    }

    fn kill(&self, round: u64, random: &mut Random) -> bool {
        let deployment = self.deployment(round);
        let before = log_bytes(&deployment.ledger);
        let left = self.whole_bytes.saturating_sub(before);
        let more = random.below(2 * left / (ROUNDS - round + 1));
        let mut service = Service::start(&deployment);
        if more == 0 || random.below(4) == 0 {
            let (moment, is_reached) = MOMENTS[usize::try_from(random.below(3)).unwrap()];
            println!("round {round}: {before} bytes; killed once {moment}");
            service.until_status(moment, is_reached);
        } else {
            println!("round {round}: {before} bytes; killed {more} bytes later");
            until_grown(&mut service, &deployment.ledger, (before + more, self.records));
        }
        let ended = service.kill();
        assert_eq!(ended.code, None, "it was killed: {}", ended.log);
        reading::count(&deployment.ledger) < self.records
    }
}

/// Looks often, so that the kill comes in the middle of the work, until the log has so many bytes or
/// the ledger all records.
fn until_grown(service: &mut Service, ledger: &Path, (bytes, records): (u64, usize)) {
    let has_all = |service: &Service| {
        service.status().is_some_and(|status| status["records"]["read"] == records)
    };
    for look in 1..=100_000 {
        if log_bytes(ledger) >= bytes || (look % 500 == 0 && has_all(service)) {
            return;
        }
        assert!(!service.has_ended(), "{}", service.log());
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("the log never grew to {bytes} bytes: {}", service.log());
}

/// Contents of a ledger that was never killed, and of one that was.
fn both(partitions: u16, count: u64) -> (Contents, Contents) {
    let mut random = Random::new();
    let broker = EmbeddedBroker::start(1).unwrap();
    broker.create_topic(TOPIC, partitions).unwrap();
    let mut producer = GatedProducer::new(broker.bootstrap()).unwrap();
    produce(&mut producer, partitions, 0..count);
    let site = Site::new();

    let reference = site.configure_kafka("reference", &broker, "reference");
    finish(&reference, partitions, count);
    let (whole_bytes, records) = (log_bytes(&reference.ledger), reading::count(&reference.ledger));
    let victim = Victim { site: &site, broker: &broker, whole_bytes, records };
    let amid = victim.kill_often(&mut random);
    assert!(amid >= 3, "only {amid} of {ROUNDS} kills came before the end");
    // The last round's group: its member died, and it may have committed offsets.
    let killed = victim.deployment(ROUNDS - 1);
    finish(&killed, partitions, count);

    for deployment in [&reference, &killed] {
        assert_sound(&deployment.ledger);
        assert_eq!(reading::state(&deployment.ledger), records::state(partitions, count));
    }
    let (reference, killed) = (reading::read(&reference.ledger), reading::read(&killed.ledger));
    assert_eq!(reference.fates, fates(partitions, count), "the reference");
    assert_eq!(killed.fates, fates(partitions, count), "no record is lost or doubled");
    (reference, killed)
}

#[test]
fn each_partition_has_the_same_entries() {
    let (reference, killed) = both(4, 1_000);
    assert_eq!(reference.entries.len(), 4);
    assert!(killed.entries == reference.entries, "transactions, verdicts or writes differ");
}

#[test]
fn one_partition_has_the_same_tree() {
    let (reference, killed) = both(1, 4_000);
    assert!(killed.entries == reference.entries, "transactions, verdicts or writes differ");
    assert_eq!(killed.root, reference.root);
}
