//! Exactly once: a ledger whose program is killed again and again holds what one holds whose program
//! was never killed.
//!
//! The broker lives on in the test's process, but for outages; other members come into the group and
//! leave it. The moment of each kill is random by progress: after so many more bytes of the log, at a
//! line of the start, while the broker is away, while another member has some of the partitions.
//! Several ledgers are tried side by side, because a start mostly waits for its group.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

mod common;

use std::path::Path;
use std::time::Duration;

use common::reading::{self, Contents};
use common::records::{self, fates, produce};
use common::service::Service;
use common::{Deployment, Random, Site, TOPIC, assert_sound, kafka, log_bytes};
use ledgerline::input::broker::EmbeddedBroker;
use ledgerline::input::producer::GatedProducer;
use serde_json::Value;

/// Kills of one ledger's program; the two tests have sixteen such ledgers.
const ROUNDS: u64 = 13;
/// One round in so many has an outage of the broker, and one a rebalance.
const FAULT_EVERY: u64 = 8;
/// More than a record usually takes in the log, so that some kills come when all is done.
const RECORD_BYTES: u64 = 110;
/// True if a status shows that a moment has come.
type HasCome = fn(&Value) -> bool;
/// Moments of a start, at which it may also be killed.
const MOMENTS: [(&str, HasCome); 3] = [
    ("running", |_| true),
    ("connected to Kafka", |status| status["ready"] == true),
    ("assigned", is_assigned),
];

fn is_assigned(status: &Value) -> bool {
    let partitions = status["partitions"].as_array().unwrap();
    partitions.iter().any(|partition| partition["assigned"] == true)
}

/// A broker with the test's topic, and what was written to it.
struct Topic {
    broker: EmbeddedBroker,
    partitions: u16,
    /// Records of each partition.
    written: u64,
}

impl Topic {
    fn new(partitions: u16) -> Self {
        let broker = EmbeddedBroker::start(1).unwrap();
        broker.create_topic(TOPIC, partitions).unwrap();
        Self { broker, partitions, written: 0 }
    }

    /// More records for each partition.
    fn write(&mut self, records: u64) {
        let mut producer = GatedProducer::new(self.broker.bootstrap()).unwrap();
        let numbers = self.written..self.written + records;
        self.written = numbers.end;
        produce(&mut producer, self.partitions, numbers);
    }

    /// Runs the program until every record is durable.
    fn drain(&self, deployment: &Deployment) {
        let mut service = Service::start(deployment);
        service.until_durable(usize::from(self.partitions), self.written);
        service.end();
    }

    fn contents(&self, ledger: &Path) -> Contents {
        assert_sound(ledger);
        assert_eq!(reading::state(ledger), records::state(self.partitions, self.written));
        let contents = reading::read(ledger);
        assert_eq!(contents.fates, fates(self.partitions, self.written), "none lost or doubled");
        contents
    }
}

/// A ledger whose program is killed again and again.
struct Victim<'a> {
    site: &'a Site,
    topic: Topic,
    name: String,
    random: Random,
}

impl Victim<'_> {
    /// A killed member holds its group up until its session is over, so each start joins a group of
    /// its own; the ledger's own position is the same for all.
    fn group(&self, round: u64) -> String {
        format!("{}-{round}", self.name)
    }

    fn deployment(&self, round: u64) -> Deployment {
        self.site.configure_kafka(&self.name, &self.topic.broker, &self.group(round))
    }

    /// Kills the program `ROUNDS` times, then lets it end its work; how many kills came before the
    /// end of what there was to read, and what the ledger holds.
    fn suffer(mut self, more: u64) -> (u64, Contents) {
        let amid = (0..ROUNDS).map(|round| u64::from(self.kill(round, more))).sum::<u64>();
        // The last round's group: its member died, and it may have committed offsets.
        let deployment = self.deployment(ROUNDS - 1);
        self.topic.drain(&deployment);
        (amid, self.topic.contents(&deployment.ledger))
    }

    /// One round over so many more records of each partition; whether some were left to be read.
    fn kill(&mut self, round: u64, more: u64) -> bool {
        let deployment = self.deployment(round);
        let before = log_bytes(&deployment.ledger);
        self.topic.write(more);
        let records = more * u64::from(self.topic.partitions);
        let bytes = before + self.random.below(records * RECORD_BYTES);
        let mut service = Service::start(&deployment);
        let how = match self.random.below(FAULT_EVERY) {
            0 => self.amid_outage(&mut service, &deployment.ledger, bytes),
            1 if self.topic.partitions > 1 => self.amid_rebalance(&mut service, round),
            2 | 3 => {
                let (moment, has_come) = MOMENTS[usize::try_from(self.random.below(3)).unwrap()];
                service.until_status(moment, has_come);
                format!("once {moment}")
            }
            _ => {
                self.until_grown(&mut service, &deployment.ledger, bytes);
                format!("{} bytes later", bytes - before)
            }
        };
        let ended = service.kill();
        self.topic.broker.up().unwrap();
        println!("{} round {round}: at {before} bytes, killed {how}", self.name);
        assert_eq!(ended.code, None, "it was killed: {}", ended.log);
        (reading::count(&deployment.ledger) as u64) < self.all()
    }

    fn all(&self) -> u64 {
        self.topic.written * u64::from(self.topic.partitions)
    }

    /// The broker goes away, and mostly comes back before the kill.
    fn amid_outage(&mut self, service: &mut Service, ledger: &Path, bytes: u64) -> String {
        service.until_status("connected to Kafka", |status| status["ready"] == true);
        self.topic.broker.down().unwrap();
        service.until_status("without a broker", |status| status["ready"] == false);
        if self.random.below(3) == 0 {
            return "in an outage of the broker".to_owned();
        }
        self.topic.broker.up().unwrap();
        self.until_grown(service, ledger, bytes);
        "after an outage of the broker".to_owned()
    }

    /// Another member takes partitions over, and mostly leaves before the kill.
    fn amid_rebalance(&mut self, service: &mut Service, round: u64) -> String {
        service.until_status("assigned", is_assigned);
        let rival = kafka::rival(&self.topic.broker, &self.group(round));
        if self.random.below(3) == 0 {
            return "while another member had partitions".to_owned();
        }
        drop(rival);
        let partitions = usize::from(self.topic.partitions);
        service
            .until_status("every partition again", |status| kafka::assigned(status) == partitions);
        "after another member had partitions".to_owned()
    }

    /// Looks often, so that the kill comes in the middle of the work, until the log has so many bytes
    /// or the ledger all records.
    fn until_grown(&self, service: &mut Service, ledger: &Path, bytes: u64) {
        let has_all = |service: &Service| {
            service.status().is_some_and(|status| status["records"]["read"] == self.all())
        };
        for look in 1..=100_000 {
            if log_bytes(ledger) >= bytes || (look % 100 == 0 && has_all(service)) {
                return;
            }
            assert!(!service.has_ended(), "{}", service.log());
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("the log never grew to {bytes} bytes: {}", service.log());
    }
}

/// Contents of a ledger that was never killed, and of so many that were, with so many more records
/// of each partition in each round.
fn contents(partitions: u16, more: u64, victims: u64) -> (Contents, Vec<Contents>) {
    let mut random = Random::new();
    let site = Site::new();
    let victim = |number| Victim {
        site: &site,
        topic: Topic::new(partitions),
        name: format!("killed-{partitions}-{number}"),
        random: random.branch(),
    };
    let all = victims * ROUNDS;
    let victims: Vec<_> = (0..victims).map(victim).collect();
    std::thread::scope(|scope| {
        let suffer = |victim: Victim<'_>| victim.suffer(more);
        let running: Vec<_> =
            victims.into_iter().map(|victim| scope.spawn(move || suffer(victim))).collect();

        let mut topic = Topic::new(partitions);
        topic.write(more * ROUNDS);
        let reference = site.configure_kafka("reference", &topic.broker, "reference");
        topic.drain(&reference);
        let ended = running.into_iter().map(|victim| victim.join().unwrap());
        let (amid, killed): (Vec<_>, Vec<_>) = ended.unzip();
        let amid = amid.iter().sum::<u64>();
        assert!(amid >= all / 4, "only {amid} of {all} kills came before the end");
        (topic.contents(&reference.ledger), killed)
    })
}

#[test]
fn each_partition_has_the_same_entries() {
    let (reference, killed) = contents(4, 40, 12);
    assert_eq!(reference.entries.len(), 4);
    for killed in killed {
        assert!(killed.entries == reference.entries, "transactions, verdicts or writes differ");
        assert!(killed.replaced == reference.replaced, "writes replaced other versions");
    }
}

#[test]
fn one_partition_has_the_same_entries_in_the_same_order() {
    let (reference, killed) = contents(1, 160, 4);
    for killed in killed {
        assert!(killed.entries == reference.entries, "transactions, verdicts or writes differ");
        assert!(killed.replaced == reference.replaced, "writes replaced other versions");
    }
}
