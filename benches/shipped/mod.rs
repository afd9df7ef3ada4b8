//! Helpers of the ledger benchmarks: the shipped mappings and contracts, records of the simulated
//! fleet, a new ledger, and mean times for the printed ratios.
#![allow(dead_code)] // each benchmark uses a part

pub mod calls;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ledgerline::clock::SystemClock;
use ledgerline::contract::ContractSet;
use ledgerline::event::{Headers, Record, SourcePartition};
use ledgerline::fleet::{Fleet, FleetSize, Message};
use ledgerline::ledger::embedded::{EmbeddedLedger, EmbeddedReader, LedgerKeys, Opening, open};
use ledgerline::mapping::MappingSet;
use ledgerline::state::World;
use ledgerline::transaction::Signer;

/// Name of the benchmarks' ledgers.
pub const LEDGER: &str = "ledgerline.example/bench";
/// Time of the first record; each comes a quarter of a second after the one before.
const START_MS: i64 = 1_769_860_800_000;

/// The YAML files of a folder of this crate.
fn files(folder: &str) -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = ledgerline::config::yaml_files(&folder).unwrap();
    files.into_iter().map(|file| (file.clone(), std::fs::read_to_string(file).unwrap())).collect()
}

/// The shipped definitions.
pub fn definitions() -> (MappingSet, ContractSet) {
    let (mappings, diagnostics) = MappingSet::from_texts(&files("mappings"));
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let (contracts, diagnostics) = ContractSet::load(&files("contracts"));
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    (mappings, contracts)
}

/// The first records of a fleet.
pub fn messages(size: FleetSize, count: usize) -> Vec<Message> {
    let mut fleet = Fleet::new(2016, size);
    let message = |now_ms| {
        let mut message = Message::default();
        fleet.next(now_ms, &mut message);
        message
    };
    (START_MS..).step_by(250).take(count).map(message).collect()
}

/// A message as the record at a position.
pub fn record<'a>(message: &'a Message, partition: &'a SourcePartition, offset: u64) -> Record<'a> {
    Record {
        partition,
        offset,
        timestamp_ms: Some(message.timestamp_ms),
        key: Some(&message.key),
        value: message.value.as_deref(),
        headers: Headers::default(),
        damage: None,
    }
}

/// A new ledger with its state in a folder of its own.
pub struct Books {
    pub ledger: EmbeddedLedger,
    pub reader: Arc<EmbeddedReader>,
    pub world: Arc<World>,
    pub signer: Signer,
    pub clock: Arc<SystemClock>,
    pub directory: tempfile::TempDir,
}

impl Books {
    pub fn new(contracts: Arc<ContractSet>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let opening = Opening {
            directory: directory.path().join("ledger"),
            name: LEDGER.to_owned(),
            checkpoint_copy: None,
            max_segment_bytes: ledgerline::limits::SEGMENT_BYTES,
        };
        let opened = open(&opening, &mut |_, _| {}).unwrap();
        let reader = opened.reader();
        let (world, _) = World::open(&directory.path().join("state"), &*reader).unwrap();
        let (world, signer) = (Arc::new(world), Signer::from_seed(&[7; 32]));
        let keys = LedgerKeys { signer: signer.clone(), previous: None, submitter: signer.id() };
        let clock = Arc::new(SystemClock::new());
        let ledger = opened.start(&keys, contracts, world.clone(), clock.clone()).unwrap();
        Self { ledger, reader, world, signer, clock, directory }
    }
}

/// Time spent on so many rounds.
#[derive(Default)]
pub struct Spent {
    time: Duration,
    rounds: u32,
}

impl Spent {
    /// Adds the time of one round and gives it.
    #[allow(clippy::disallowed_methods)] // a benchmark measures
    pub fn time(&mut self, round: impl FnOnce()) -> Duration {
        let started = Instant::now();
        round();
        let took = started.elapsed();
        self.time += took;
        self.rounds += 1;
        took
    }

    /// Seconds of a round.
    pub fn mean(&self) -> f64 {
        self.time.as_secs_f64() / f64::from(self.rounds.max(1))
    }
}
