//! The parts of demos and benchmarks: an embedded broker, devices that feed it, and a folder with
//! configuration, mappings and contracts. The service is the ordinary one, with an ordinary
//! configuration file.

mod folder;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::clock::Clock;
use crate::demo::folder::{config_text, new_token, next_epoch};
use crate::event::SourcePartition;
use crate::fleet::{Fleet, FleetSize, MACHINES, Message, READINGS, Steady, TELEMETRY};
use crate::input::broker::EmbeddedBroker;
use crate::input::producer::{GatedProducer, Outgoing, Sent};
use crate::ledger::{EmbeddedReader, LedgerError};
use crate::transaction::{KeyError, write_new_key_file};

/// The messages of a demo, with their mappings and contracts.
#[derive(Debug)]
pub struct Scene {
    topics: &'static [&'static str],
    /// Mappings and contracts, as `(path, text)`.
    definitions: &'static [(&'static str, &'static str)],
    /// The ways of `source.identity`.
    identity: &'static str,
}

/// The simulated fleet, with the shipped mappings and contracts.
pub static FLEET: Scene =
    Scene { topics: &[TELEMETRY, MACHINES], definitions: &SHIPPED, identity: "[auto]" };

/// The steady load: plain JSON, eight fields, three rules.
pub static STEADY: Scene = Scene {
    topics: &[READINGS],
    definitions: &[
        ("mappings/reading.yaml", include_str!("../../benches/load/mapping.yaml")),
        ("contracts/reading.yaml", include_str!("../../benches/load/contract.yaml")),
    ],
    identity: "[{ paths: { type: sensor, id: $.payload.d.assetID, time: $.payload.ts } }]",
};

const SHIPPED: [(&str, &str); 6] = [
    ("mappings/cold_chain.yaml", include_str!("../../mappings/cold_chain.yaml")),
    ("mappings/medical_kit.yaml", include_str!("../../mappings/medical_kit.yaml")),
    ("mappings/machine_condition.yaml", include_str!("../../mappings/machine_condition.yaml")),
    ("contracts/cold_chain.yaml", include_str!("../../contracts/cold_chain.yaml")),
    ("contracts/medical_kit.yaml", include_str!("../../contracts/medical_kit.yaml")),
    ("contracts/machine_condition.yaml", include_str!("../../contracts/machine_condition.yaml")),
];

/// The embedded broker lets a fetch that finds nothing wait for all of this time, also when a record
/// comes meanwhile; a real one answers at once.
const EMPTY_FETCH_WAIT_MS: u32 = 5;
/// Longest wait for room in the broker before the producer looks whether it should end.
const ROOM_WAIT: Duration = Duration::from_millis(1);
/// Maximum delay of the senders that is made up for; a longer stall would otherwise be followed by
/// a burst at another rate.
const MOST_BEHIND: Duration = Duration::from_millis(100);
/// Longest wait for the last records to be written.
const FLUSH_WAIT: Duration = Duration::from_secs(30);

/// Why a demonstration cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A part of its own failed: broker, senders or token.
    #[error("{0}")]
    Failed(String),
    /// The key file in its folder.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The ledger in its folder.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A file operation.
    #[error("{doing} {path}")]
    Io {
        /// The operation.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// The system's error.
        #[source]
        error: std::io::Error,
    },
}

fn demo_error(error: impl std::fmt::Display) -> DemoError {
    DemoError::Failed(error.to_string())
}

/// The setting of a demo.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The messages, with their mappings and contracts.
    pub scene: &'static Scene,
    /// Folder for everything.
    pub directory: PathBuf,
    /// Address of the endpoint; `None` for no endpoint.
    pub listen: Option<SocketAddr>,
    /// The brokers with the topics.
    pub brokers: Brokers,
}

/// The brokers that hold the topics.
#[derive(Debug, Clone)]
pub enum Brokers {
    /// One within the process, with so many partitions of each topic.
    Embedded(u16),
    /// Others, with the topics that they have.
    Named(NamedBrokers),
}

/// Brokers outside of this process.
#[derive(Debug, Clone)]
pub struct NamedBrokers {
    /// `host:port`, several with commas.
    pub bootstrap: String,
    /// Properties of librdkafka, such as how to be let in.
    pub properties: Vec<(String, String)>,
    /// Consumer group of the service.
    pub group: String,
}

/// Topics, and the folder of a service that reads them.
pub struct Stage {
    /// The broker, where it is our own; ends with the stage.
    pub embedded: Option<EmbeddedBroker>,
    /// Addresses of the brokers.
    pub bootstrap: String,
    /// Further properties for clients.
    pub properties: Vec<(String, String)>,
    /// Partitions of each topic.
    pub partitions: u16,
    /// The service's configuration file.
    pub config: PathBuf,
    /// A token with which the pages let someone submit manual calls.
    pub token: String,
    /// Stream epoch of the topics: each run brings new topics under the old names.
    pub epoch: u32,
}

/// Starts the broker and writes the folder; files that are there already are left as they are.
pub fn set_stage(setting: &Setting) -> Result<Stage, DemoError> {
    let (embedded, bootstrap, properties, partitions) = match &setting.brokers {
        Brokers::Embedded(partitions) => {
            let broker = EmbeddedBroker::start(1).map_err(demo_error)?;
            for topic in setting.scene.topics {
                broker.create_topic(topic, *partitions).map_err(demo_error)?;
            }
            let bootstrap = broker.bootstrap().to_owned();
            let wait = ("fetch.wait.max.ms".to_owned(), EMPTY_FETCH_WAIT_MS.to_string());
            (Some(broker), bootstrap, vec![wait], *partitions)
        }
        Brokers::Named(NamedBrokers { bootstrap, properties, .. }) => {
            let topic = setting.scene.topics.first().copied().unwrap_or_default();
            let producer =
                GatedProducer::with_properties(bootstrap, properties).map_err(demo_error)?;
            let partitions = producer.partitions(topic).map_err(demo_error)?;
            (None, bootstrap.clone(), properties.clone(), partitions)
        }
    };
    let epoch = next_epoch(&setting.directory)?;
    for (name, text) in setting.scene.definitions {
        write_new(&setting.directory.join(name), text)?;
    }
    let key = setting.directory.join("ledger.pem");
    if !key.exists() {
        write_new_key_file(&key)?;
    }
    let config = setting.directory.join("ledgerline.yaml");
    let token = new_token(&setting.directory.join("tokens.yaml"))?;
    let stage = Stage { embedded, bootstrap, properties, partitions, config, token, epoch };
    write(&stage.config, &config_text(setting, &stage))?;
    Ok(stage)
}

fn write_new(path: &Path, text: &str) -> Result<(), DemoError> {
    if path.exists() { Ok(()) } else { write(path, text) }
}

/// Writes a file that only its owner may read: the configuration may say how clients are let in.
fn write(path: &Path, text: &str) -> Result<(), DemoError> {
    let io = |error| DemoError::Io { doing: "writing", path: path.to_owned(), error };
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(io)?;
    }
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(io)
}

/// Gives one record after the other, for the time it is told.
type Next = Box<dyn FnMut(i64, &mut Message)>;

/// The senders.
#[derive(Debug, Clone, Copy)]
pub enum Senders {
    /// The simulated fleet, with the seed of everything that it does.
    Fleet(FleetSize, u64),
    /// So many devices of the steady load.
    Steady(u32),
}

impl Senders {
    fn next(self) -> Next {
        match self {
            Self::Fleet(size, seed) => {
                let mut fleet = Fleet::new(seed, size);
                Box::new(move |now_ms, message| fleet.next(now_ms, message))
            }
            Self::Steady(devices) => {
                let mut steady = Steady::new(devices);
                Box::new(move |now_ms, message| steady.next(now_ms, message))
            }
        }
    }
}

/// The load.
#[derive(Debug, Clone)]
pub struct Load {
    /// By whom.
    pub senders: Senders,
    /// Records in all; 0 for no end.
    pub records: u64,
    /// Records a second; 0 for as many as are taken.
    pub rate: u64,
}

/// Tells the offset that a partition's reader needs next.
pub type Consumed = Box<dyn Fn(&SourcePartition) -> u64 + Send>;

/// The records consumed by a ledger.
#[must_use]
pub fn consumed_by(reader: Arc<EmbeddedReader>) -> Consumed {
    Box::new(move |partition| reader.next_offset(partition).unwrap_or(0))
}

/// A fleet at work on a thread of its own.
pub struct Feeding {
    thread: JoinHandle<Result<(), DemoError>>,
    sent: Arc<AtomicU64>,
    end: Arc<AtomicBool>,
}

impl Feeding {
    /// Lets a fleet write to the brokers, no faster than `consumed` tells that its records are read.
    pub fn start(
        stage: &Stage,
        load: Load,
        consumed: Consumed,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, DemoError> {
        let (sent, end) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let Stage { bootstrap, properties, partitions, epoch, .. } = stage;
        let feeder = Feeder {
            bootstrap: bootstrap.clone(),
            properties: properties.clone(),
            partitions: *partitions,
            epoch: *epoch,
            load,
            consumed,
            clock,
            sent: sent.clone(),
            end: end.clone(),
        };
        let thread = std::thread::Builder::new().name("fleet".to_owned());
        let thread = thread.spawn(move || feeder.run()).map_err(demo_error)?;
        Ok(Self { thread, sent, end })
    }

    /// Records handed to the broker so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// True if everything is written, or writing has failed.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends the fleet.
    pub fn end(self) -> Result<(), DemoError> {
        self.end.store(true, Ordering::Relaxed);
        self.finish()
    }

    /// Waits until everything is written.
    pub fn finish(self) -> Result<(), DemoError> {
        self.thread.join().unwrap_or_else(|_| Err(demo_error("the fleet's thread failed")))
    }
}

/// The time at which the next record is due.
struct Pace {
    /// Records a second; 0 for as many as are taken.
    rate: u64,
    due: Duration,
}

struct Feeder {
    bootstrap: String,
    properties: Vec<(String, String)>,
    partitions: u16,
    epoch: u32,
    load: Load,
    consumed: Consumed,
    clock: Arc<dyn Clock>,
    sent: Arc<AtomicU64>,
    end: Arc<AtomicBool>,
}

impl Feeder {
    fn run(self) -> Result<(), DemoError> {
        let mut producer = GatedProducer::with_properties(&self.bootstrap, &self.properties)
            .map_err(demo_error)?;
        let mut next = self.load.senders.next();
        let mut message = Message::default();
        let mut pace = Pace { rate: self.load.rate, due: self.clock.monotonic() };
        let mut sent = 0;
        while !self.end.load(Ordering::Relaxed)
            && (self.load.records == 0 || sent < self.load.records)
        {
            self.keep(&mut pace, &producer);
            next(self.clock.now_ms(), &mut message);
            self.offer(&mut producer, &message)?;
            sent += 1;
            self.sent.store(sent, Ordering::Relaxed);
            if sent.is_multiple_of(64) {
                producer.wait(Duration::ZERO);
            }
        }
        producer.flush(FLUSH_WAIT).map_err(demo_error)
    }

    /// Waits until the next record is due.
    fn keep(&self, pace: &mut Pace, producer: &GatedProducer) {
        let Some(nanos) = 1_000_000_000_u64.checked_div(pace.rate) else { return };
        while self.clock.monotonic() < pace.due && !self.end.load(Ordering::Relaxed) {
            producer.wait(ROOM_WAIT);
        }
        let oldest = self.clock.monotonic().saturating_sub(MOST_BEHIND);
        pace.due = pace.due.max(oldest) + Duration::from_nanos(nanos);
    }

    fn offer(&self, producer: &mut GatedProducer, message: &Message) -> Result<(), DemoError> {
        let record = Outgoing {
            topic: message.topic,
            partition: message.partition(self.partitions),
            key: Some(&message.key),
            value: message.value.as_deref(),
            headers: &[],
            timestamp_ms: message.timestamp_ms,
        };
        loop {
            let consumed = |topic: &str, partition: u16| self.consumed(topic, partition);
            match producer.offer(&record, consumed).map_err(demo_error)? {
                Sent::Taken => return Ok(()),
                Sent::Held if self.end.load(Ordering::Relaxed) => return Ok(()),
                Sent::Held => producer.wait(ROOM_WAIT),
            }
        }
    }

    fn consumed(&self, topic: &str, partition: u16) -> u64 {
        let partition = SourcePartition {
            epoch: self.epoch,
            ..SourcePartition::new(topic, u32::from(partition))
        };
        (self.consumed)(&partition)
    }
}
