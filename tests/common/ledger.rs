//! Small ledgers for tests: made in no time, the same on every run, and taken apart frame by frame.

// Not every test uses all of it, and a test fails by panicking.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ledgerline::call::{Arguments, Function, Payload};
use ledgerline::clock::Clock;
use ledgerline::codec::{Digest, Writer};
use ledgerline::contract::ContractSet;
use ledgerline::disk::SystemDisk;
use ledgerline::event::{
    Cause, DeviceName, Headers, Record, RecordDigests, Rejection, SourcePartition, SourcePosition,
};
use ledgerline::ledger::block::{self, Block, BlockOutline};
use ledgerline::ledger::embedded::frame::{self, SEGMENT_MAGIC};
use ledgerline::ledger::embedded::{
    EmbeddedLedger, EmbeddedReader, LedgerKeys, Opening, log, open, open_read_only,
};
use ledgerline::ledger::{
    DeadLetter, Definition, DefinitionKind, Filtered, LastRecord, LedgerError, LedgerWriter,
    Progress, Work,
};
use ledgerline::pipeline::catch_up;
use ledgerline::state::{Filter, STATE_DIRECTORY, ScanLimits, World};
use ledgerline::transaction::{Signer, Submission, Transaction};
use ledgerline::verify::{Report, Request, verify};
use serde_json::json;

pub const NAME: &str = "example.com/test";
pub const CONTRACT: &str = "
contract: cold_chain
version: 1
key: assetID
state:
  type: object
  properties:
    assetID: {type: string}
    temperature: {type: number}
    note: {type: string}
rules:
  - alert: OVERTEMP
    raise_when: state.temperature > 8
";
pub const MAPPING: &str = "mapping: reefers\ncontract: cold_chain\nfunction: update\n";
/// Records of one work: transactions, one filtered, one dead letter.
pub const TRANSACTIONS: u64 = 4;
pub const RECORDS: u64 = TRANSACTIONS + 2;

/// Opens the store of a state, to change it behind the program's back. Threads of the store hold its
/// lock for a moment after its last user has gone.
pub fn open_store(ledger: &Path) -> sled::Db {
    for _ in 0..6_000 {
        match sled::open(ledger.join(STATE_DIRECTORY)) {
            Err(sled::Error::Io(error)) if error.to_string().contains("acquire lock") => {
                std::thread::sleep(Duration::from_millis(10));
            }
            opened => return opened.unwrap(),
        }
    }
    panic!("the store of {} is never free", ledger.display());
}

/// A clock that goes on by a second with every question, from the same time on every run.
pub struct Ticks(AtomicI64);

impl Ticks {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(0)))
    }
}

impl Clock for Ticks {
    fn now_ms(&self) -> i64 {
        1_700_000_000_000 + self.0.fetch_add(1_000, Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _time: Duration) {}
}

/// A folder that goes with its value; in memory where there is such a place, for a ledger syncs a lot.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

pub fn signer(seed: u8) -> Signer {
    Signer::from_seed(&[seed; 32])
}

/// The key that seals the ledgers made here.
pub fn ledger_key() -> Signer {
    signer(1)
}

/// The key that signs submissions, another one than the ledger's.
pub fn submitter_key() -> Signer {
    signer(2)
}

pub fn keys() -> LedgerKeys {
    LedgerKeys { signer: ledger_key(), previous: None, submitter: submitter_key().id() }
}

pub fn opening(directory: &Path) -> Opening {
    Opening {
        directory: directory.to_owned(),
        name: NAME.to_owned(),
        checkpoint_copy: None,
        max_segment_bytes: 1 << 24,
    }
}

pub fn contracts() -> Arc<ContractSet> {
    let (contracts, faults) = ContractSet::load(&[("c.yaml".into(), CONTRACT.to_owned())]);
    assert!(faults.is_empty(), "{faults:?}");
    Arc::new(contracts)
}

/// Opens the ledger with its state and starts its writer.
pub fn start(opening: &Opening) -> Result<(EmbeddedLedger, Arc<World>), LedgerError> {
    let opened = open(opening, &mut |_, _| {})?;
    let reader = opened.reader();
    let world = Arc::new(caught_up(&reader));
    let ledger = opened.start(&keys(), contracts(), world.clone(), Ticks::new())?;
    Ok((ledger, world))
}

/// The state beside a ledger, brought up to its log.
pub fn caught_up(reader: &Arc<EmbeddedReader>) -> World {
    let (world, _) = World::open(&reader.directory().join(STATE_DIRECTORY), &**reader).unwrap();
    catch_up(&**reader, &world, &mut |_, _| {}).unwrap();
    world
}

pub fn definitions() -> Work {
    let definition = |kind, name: &str, text: &str| Definition {
        kind,
        name: name.to_owned(),
        version: u32::from(kind == DefinitionKind::Contract),
        text: text.into(),
    };
    let definitions = vec![
        definition(DefinitionKind::Contract, "cold_chain", CONTRACT),
        definition(DefinitionKind::Mapping, "reefers", MAPPING),
    ];
    Work { definitions, ..Work::default() }
}

pub fn partition() -> SourcePartition {
    SourcePartition::new("telemetry", 3)
}

/// The transaction of an offset. Assets come again, get too warm, vanish, and some calls are wrong.
pub fn transaction(offset: u64, note: &str) -> Transaction {
    let key = format!("C-{:02}", offset % 17);
    let function = if offset % 23 == 5 { Function::Delete } else { Function::Update };
    let contract = if offset % 19 == 3 { "absent" } else { "cold_chain" };
    let temperature = if offset.is_multiple_of(11) { 9 } else { 4 };
    let arguments = match function {
        Function::Delete => json!({"assetID": key}),
        _ => json!({"assetID": key, "temperature": temperature, "note": note}),
    };
    let mapping = Digest::of(MAPPING.as_bytes());
    let arguments = Arguments::from_value(arguments.into()).unwrap();
    let payload = Payload { contract: contract.into(), function, arguments, mapping };
    let id = SourcePosition { partition: partition(), offset, output: 0 };
    let time_ms = 1_700_000_000_000 + i64::try_from(offset).unwrap() * 1_000;
    let digests = RecordDigests { record: Digest::of(b"record"), value: Digest::of(b"value") };
    Transaction::new(id, (time_ms, DeviceName::new("reefer", key.as_str())), digests, payload)
}

/// The work of one block: the records from `number * RECORDS` on.
pub fn work(number: u64, note: &str) -> Work {
    let from = number * RECORDS;
    let (filtered, dead) = (from + TRANSACTIONS, from + TRANSACTIONS + 1);
    let transactions: Vec<_> = (from..filtered).map(|offset| transaction(offset, note)).collect();
    let partition = partition();
    let record = Record {
        partition: &partition,
        offset: dead,
        timestamp_ms: Some(1_700_000_000_000),
        key: Some(b"key"),
        value: Some(b"{rubbish"),
        headers: Headers::default(),
        damage: None,
    };
    let rejection = Rejection::new(Cause::NotJson, "line 1, column 2", "expected a name");
    Work {
        submissions: vec![Submission::sign(NAME, &submitter_key(), transactions)],
        progress: vec![Progress {
            partition: partition.clone(),
            from,
            next: dead + 1,
            records: RECORDS,
            last: Some(LastRecord::of(&record)),
        }],
        filtered: vec![Filtered { partition: partition.clone(), runs: vec![(filtered, 1)] }],
        dead_letters: vec![DeadLetter::new(&record, rejection)],
        ..Work::default()
    }
}

/// Appends the works of some numbers, each as one durable block.
pub fn grow(ledger: &mut EmbeddedLedger, numbers: std::ops::Range<u64>, note: &str) {
    for number in numbers {
        ledger.append(work(number, note)).unwrap().wait().unwrap();
    }
}

/// Makes a ledger with its state in an empty directory: keys, definitions, and `works` blocks of
/// records.
pub fn make(directory: &Path, works: u64, note: &str) {
    let (mut ledger, world) = start(&opening(directory)).unwrap();
    ledger.append(definitions()).unwrap().wait().unwrap();
    grow(&mut ledger, 0..works, note);
    catch_up(&*ledger.reader(), &*world, &mut |_, _| {}).unwrap();
}

/// The checkpoint that a ledger signed last.
pub fn checkpoint(directory: &Path) -> String {
    open_read_only(directory, &mut |_, _| {}).unwrap().checkpoint()
}

pub fn report(directory: &Path) -> Report {
    let request = Request { directory: directory.to_owned(), ..Request::default() };
    verify(&request, &mut |_, _| {}).unwrap()
}

#[track_caller]
pub fn assert_sound(directory: &Path) {
    let report = report(directory);
    assert!(report.is_sound(), "{:#?}", report.problems);
}

/// Everything that a state says: each asset with version and bytes, alerts, totals.
pub fn listing(world: &World) -> Vec<String> {
    let limits = ScanLimits { limit: 10_000, max_scanned: 10_000 };
    let (assets, rest) = world.list("cold_chain", None, &Filter::default(), limits).unwrap();
    assert_eq!(rest, None);
    let (alerts, rest) = world.alerts(None, 10_000).unwrap();
    assert_eq!(rest, None);
    let text = |asset: &ledgerline::state::StoredAsset| {
        let bytes = String::from_utf8(asset.asset.to_bytes()).unwrap();
        format!("{} {} {}", asset.key, asset.version, bytes)
    };
    let mut listing: Vec<_> = assets.iter().map(text).collect();
    for asset in &alerts {
        let since = world.alerts_since(&asset.contract, &asset.key);
        listing.push(format!("alert {} {since:?}", asset.key));
    }
    listing.push(format!("{:?}", world.totals()));
    listing
}

/// The state folded from the log alone, in a folder of its own.
pub fn fresh_listing(directory: &Path) -> Vec<String> {
    let reader = open_read_only(directory, &mut |_, _| {}).unwrap();
    let folder = folder();
    let (world, _) = World::open(&folder.path().join("state"), &*reader).unwrap();
    catch_up(&*reader, &world, &mut |_, _| {}).unwrap();
    listing(&world)
}

/// The log's segment files, in order.
pub fn segments(directory: &Path) -> Vec<PathBuf> {
    log::segments(&SystemDisk, directory).unwrap().into_iter().map(|segment| segment.path).collect()
}

/// A frame as it stands in a segment.
#[derive(Debug, Clone)]
pub struct Frame {
    pub offset: u64,
    pub durable: u64,
    /// The block.
    pub payload: Vec<u8>,
    /// Bytes that it takes when packed.
    pub packed: usize,
}

/// Takes a segment's bytes apart.
pub fn frames(segment: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut at = SEGMENT_MAGIC.len();
    while at < segment.len() {
        let (header, packed) = frame::whole(&segment[at..]).unwrap();
        let (offset, durable) = (at as u64, header.durable);
        let payload = frame::unpack(packed).unwrap();
        frames.push(Frame { offset, durable, payload, packed: packed.len() });
        at += frame::FRAME_HEADER_BYTES + packed.len();
    }
    frames
}

/// A segment of groups: the blocks of a group became durable in one step.
pub fn segment_of(groups: &[&[Frame]]) -> Vec<u8> {
    let mut bytes = SEGMENT_MAGIC.to_vec();
    for group in groups {
        let durable = bytes.len() as u64;
        let packed = group.iter().map(|frame| frame::pack(&frame.payload));
        packed.for_each(|packed| frame::encode(&packed, durable, &mut bytes));
    }
    bytes
}

/// Reads every block of a ledger that has one segment.
pub fn blocks(directory: &Path) -> Vec<Block> {
    let segments = segments(directory);
    assert_eq!(segments.len(), 1);
    let frames = frames(&std::fs::read(&segments[0]).unwrap());
    frames.iter().map(|frame| Block::decode(&frame.payload).unwrap()).collect()
}

/// A block's bytes, without asking whether it makes sense.
pub fn block_bytes(block: &Block) -> Vec<u8> {
    let mut entries = Writer::new();
    block.entries.iter().for_each(|entry| entries.bytes(&entry.to_bytes()));
    let outline = BlockOutline {
        header: block.header.clone(),
        seal: block.seal.clone(),
        checkpoint: block.checkpoint.clone(),
        records: block.records.clone(),
    };
    block::encode(&outline, block.entries.len(), &entries.into_bytes())
}

/// Writes blocks as a ledger of one segment whose every frame is whole.
pub fn write_blocks(directory: &Path, blocks: &[Block]) {
    let mut bytes = SEGMENT_MAGIC.to_vec();
    for block in blocks {
        let durable = bytes.len() as u64;
        frame::encode(&frame::pack(&block_bytes(block)), durable, &mut bytes);
    }
    write_log(directory, &bytes);
}

/// Writes a log of one segment.
pub fn write_log(directory: &Path, segment: &[u8]) {
    let log = directory.join(log::LOG_DIRECTORY);
    std::fs::create_dir_all(&log).unwrap();
    std::fs::write(log.join(format!("blocks-{:020}.log", 0)), segment).unwrap();
}

/// Copies a directory with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false => _ = std::fs::copy(&path, &target).unwrap(),
        }
    }
}

/// A seed for what is random in a test: from the environment, to repeat a failure, or a new one.
#[allow(clippy::disallowed_methods)] // a test's own setting
pub fn seed() -> u64 {
    let given = std::env::var("LEDGERLINE_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).unwrap();
        u64::from_le_bytes(bytes)
    });
    println!("LEDGERLINE_SEED={seed}");
    seed
}

/// Numbers from a seed (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below a bound.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }
}
