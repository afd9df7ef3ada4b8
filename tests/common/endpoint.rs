//! An endpoint over a ledger with every kind of record in it, and a client that sends any request.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ledgerline::call::{Arguments, Function, Payload};
use ledgerline::clock::{Clock, SystemClock};
use ledgerline::codec::Digest;
use ledgerline::contract::ContractSet;
use ledgerline::event::{
    Cause, DeviceName, Headers, Record, RecordDigests, Rejection, SourcePartition, SourcePosition,
};
use ledgerline::follower::Follower as _;
use ledgerline::input::{
    Assignments, HealthReport, InputProblem, ProblemCode, StreamNames, StreamPrefix,
};
use ledgerline::ledger::embedded::{EmbeddedLedger, LedgerKeys, Opening, open};
use ledgerline::ledger::{
    DeadLetter, Definition, DefinitionKind, Filtered, LastRecord, LedgerReader, LedgerWriter,
    Progress, Work,
};
use ledgerline::mapping::MappingSet;
use ledgerline::monitor::access::{Role, Settings};
use ledgerline::monitor::routes::{self, Route};
use ledgerline::monitor::{self, AnswerCounts, Endpoint, InputStatus, Service};
use ledgerline::pipeline::status::Status;
use ledgerline::pipeline::{Followers, catch_up};
use ledgerline::query::{Queries, Trial};
use ledgerline::state::World;
use ledgerline::transaction::{Signer, Submission, Transaction};
use serde_json::{Value, json};

pub const LEDGER: &str = "example.com/endpoint";
pub const BLOCKS: u64 = 30;
pub const PER_BLOCK: u64 = 20;
/// A key that needs escaping in an address, on a page and on a terminal. (Contracts refuse control
/// characters in keys; a dead letter has some.)
pub const HOSTILE: &str = "A/1 <b>&\u{202e}";
pub const CONTRACT: &str = "
contract: cold_chain
version: 1
key: assetID
state:
  type: object
  properties:
    assetID: {type: string}
    temperature: {type: number}
    cargo: {type: object}
rules:
  - alert: OVERTEMP
    severity: critical
    description: Too warm.
    raise_when: state.temperature > 8
  - alert: WARM
    raise_when: state.temperature > 80
";

/// The mapping of the endpoint's dry runs. The ledger's transactions are created directly.
pub const MAPPING: &str = "
mapping: reefers
match: {topic: telemetry, device_type: 'reefer-*', where: payload.d.assetID != ''}
contract: cold_chain
function: update
fields:
  assetID: $.payload.d.assetID
  temperature: {path: $.payload.d.temperature, type: number}
tests:
  - name: too warm
    event: {device: {type: reefer-40, id: C1}, payload: {d: {assetID: C1, temperature: 9}}}
    expect: {payloads: [{assetID: C1, temperature: 9}]}
";

/// Two transactions of one event.
const BATCHES: &str = "
mapping: batches
match: {topic: batches}
contract: cold_chain
function: update
for_each: $.payload.readings
fields:
  assetID: $.payload.asset
  temperature: $.item.temperature
  cargo: {path: $.payload.cargo, required: false}
";

/// A clock whose date is set, so that a ledger is the same on every run.
pub struct Calendar {
    now_ms: AtomicI64,
    machine: SystemClock,
}

impl Default for Calendar {
    /// Behind all events.
    fn default() -> Self {
        Self { now_ms: AtomicI64::new(1_700_001_000_000), machine: SystemClock::new() }
    }
}

impl Clock for Calendar {
    fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        self.machine.monotonic()
    }
}

pub struct Running {
    pub endpoint: Endpoint,
    pub ledger: EmbeddedLedger,
    /// Reasons not to be ready.
    pub obstacles: Arc<Mutex<Vec<String>>>,
    world: Arc<World>,
    calendar: Arc<Calendar>,
    _directory: tempfile::TempDir,
}

pub fn partition() -> SourcePartition {
    SourcePartition::new("telemetry", 3)
}

/// Offsets of the records that give a transaction and for which something holds.
pub fn count(holds: impl Fn(u64) -> bool) -> usize {
    let offsets = 0..BLOCKS * (PER_BLOCK + 2);
    offsets.filter(|offset| offset % (PER_BLOCK + 2) < PER_BLOCK && holds(*offset)).count()
}

pub fn is_valid(offset: u64) -> bool {
    !offset.is_multiple_of(7)
}

/// The transaction of an offset. Every fifth is of the hostile key, every seventh of a contract
/// that is not there, every eleventh is too warm.
pub fn transaction(offset: u64) -> Transaction {
    let key =
        if offset.is_multiple_of(5) { HOSTILE.to_owned() } else { format!("C-{:03}", offset % 40) };
    let contract = if offset.is_multiple_of(7) { "absent" } else { "cold_chain" };
    let temperature = if offset.is_multiple_of(11) { 9 } else { 4 };
    let arguments = json!({
        "assetID": key, "temperature": temperature, "cargo": {"kind": "fish", "n": offset % 3}
    });
    let arguments = Arguments::from_value(arguments.into()).unwrap();
    let mapping = Digest::of(b"mapping");
    let payload =
        Payload { contract: contract.into(), function: Function::Update, arguments, mapping };
    let id = SourcePosition { partition: partition(), offset, output: 0 };
    let time_ms = 1_700_000_000_000 + i64::try_from(offset).unwrap() * 1_000;
    let digests = RecordDigests { record: Digest::of(b"record"), value: Digest::of(b"value") };
    Transaction::new(id, (time_ms, DeviceName::new("reefer", key.as_str())), digests, payload)
}

/// A block's work: transactions, then one filtered record and one dead letter.
pub fn work(number: u64, signer: &Signer) -> Work {
    let from = number * (PER_BLOCK + 2);
    let (filtered, dead) = (from + PER_BLOCK, from + PER_BLOCK + 1);
    let transactions: Vec<_> = (from..filtered).map(transaction).collect();
    let partition = partition();
    let record = Record {
        partition: &partition,
        offset: dead,
        timestamp_ms: Some(1_700_000_000_000),
        key: Some(b"key \xff"),
        value: Some(b"{<script>\x1b"),
        headers: Headers::default(),
        damage: None,
    };
    let rejection = Rejection::new(Cause::NotJson, "line 1, column 2", "expected a name");
    Work {
        submissions: vec![Submission::sign(LEDGER, signer, transactions)],
        progress: vec![Progress {
            partition: partition.clone(),
            from,
            next: dead + 1,
            records: PER_BLOCK + 2,
            last: Some(LastRecord::of(&record)),
        }],
        filtered: vec![Filtered { partition: partition.clone(), runs: vec![(filtered, 1)] }],
        dead_letters: vec![DeadLetter::new(&record, rejection)],
        ..Work::default()
    }
}

pub fn definition(kind: DefinitionKind, name: &str, text: &str) -> Definition {
    let version = u32::from(kind == DefinitionKind::Contract);
    Definition { kind, name: name.to_owned(), version, text: text.into() }
}

/// An endpoint where anyone may look.
pub fn run() -> Running {
    run_for(Role::Viewer)
}

/// An endpoint where anyone may do what a role may.
pub fn run_for(role: Role) -> Running {
    let mut settings = Settings::open(([127, 0, 0, 1], 0).into());
    settings.access.anonymous = Some(role);
    let calendar = Arc::new(Calendar::default());
    start(&settings, (calendar.clone(), calendar), routes::all())
}

/// An endpoint for those whom settings let in, at the time of a clock.
pub fn run_with(settings: &Settings, clock: Arc<dyn Clock>) -> Running {
    start(settings, (clock, Arc::default()), routes::all())
}

/// An endpoint with these routes.
pub fn run_with_routes(settings: &Settings, routes: Vec<Route>) -> Running {
    start(settings, (Arc::new(SystemClock::new()), Arc::default()), routes)
}

fn start(
    settings: &Settings,
    (clock, calendar): (Arc<dyn Clock>, Arc<Calendar>),
    routes: Vec<Route>,
) -> Running {
    let directory = tempfile::tempdir().unwrap();
    let opening = Opening {
        directory: directory.path().join("ledger"),
        name: LEDGER.to_owned(),
        checkpoint_copy: None,
        max_segment_bytes: 1 << 20,
    };
    let opened = open(&opening, &mut |_, _| {}).unwrap();
    let reader = opened.reader();
    let (world, _) = World::open(&directory.path().join("state"), &*reader).unwrap();
    let (world, signer) = (Arc::new(world), Signer::from_seed(&[7; 32]));
    let keys = LedgerKeys { signer: signer.clone(), previous: None, submitter: signer.id() };
    let files = [("cold_chain.yaml".into(), CONTRACT.to_owned())];
    let (contracts, faults) = ContractSet::load(&files);
    assert!(faults.is_empty(), "{faults:?}");
    let contracts = Arc::new(contracts);
    let texts = [("reefers.yaml", MAPPING), ("batches.yaml", BATCHES)];
    let texts = texts.map(|(file, text)| (file.into(), text.to_owned()));
    let (mappings, faults) = MappingSet::from_texts(&texts);
    assert!(faults.is_empty(), "{faults:?}");
    let trial = Trial {
        inputs: Vec::new(),
        mappings: Arc::new(mappings),
        contracts: Arc::clone(&contracts),
    };
    let mut ledger = opened.start(&keys, contracts, world.clone(), clock.clone()).unwrap();
    let definitions = vec![
        definition(DefinitionKind::Contract, "cold_chain", CONTRACT),
        definition(DefinitionKind::Mapping, "reefers", MAPPING),
    ];
    let definitions = Work { definitions, ..Work::default() };
    ledger.append(definitions).unwrap().wait().unwrap();
    for number in 0..BLOCKS {
        calendar.now_ms.fetch_add(1_000, Ordering::SeqCst);
        ledger.append(work(number, &signer)).unwrap().wait().unwrap();
    }
    catch_up(&*reader, &*world, &mut |_, _| {}).unwrap();
    let obstacles = Arc::new(Mutex::new(Vec::new()));
    let (queries, reasons) = (Queries::new(reader.clone(), world.clone()), obstacles.clone());
    let assignments = Assignments::new(reader.progress());
    assignments.set_end(&partition(), 1_000);
    let assignments = Arc::new(assignments);
    let followers = Arc::new(Followers::default());
    followers.add(world.clone());
    let service = Service {
        queries,
        status: Arc::new(Status::default()),
        calls: None,
        assignments,
        inputs: vec![input(Box::new(move || unreachable(&reasons.lock().unwrap())))],
        followers,
        trial,
        answers: AnswerCounts::default(),
        clock,
    };
    let endpoint = monitor::start_with_routes(settings, Arc::new(service), routes).unwrap();
    Running { endpoint, ledger, obstacles, world, calendar, _directory: directory }
}

/// An input with this health.
pub fn input(health: Box<dyn Fn() -> HealthReport + Send + Sync>) -> InputStatus {
    InputStatus {
        name: "source".into(),
        kind: "kafka",
        prefix: StreamPrefix::default(),
        streams: StreamNames::Listed(vec!["telemetry".to_owned()]),
        health,
    }
}

/// The health of an input without a broker, for these reasons.
fn unreachable(reasons: &[String]) -> HealthReport {
    let problem = |reason: &String| InputProblem {
        code: ProblemCode::BrokerUnreachable,
        topic: String::new(),
        message: reason.clone(),
        since_ms: None,
        is_blocking: true,
    };
    HealthReport { problems: reasons.iter().map(problem).collect(), ..HealthReport::default() }
}

impl Running {
    /// Brings the state up to the ledger.
    pub fn follow(&self) {
        catch_up(&*self.ledger.reader(), &*self.world, &mut |_, _| {}).unwrap();
    }

    /// Saves what the state has taken in.
    pub fn save(&self) {
        self.world.savepoint().unwrap();
    }

    /// Appends the work of a block.
    pub fn append(&mut self, number: u64) {
        let work = work(number, &Signer::from_seed(&[7; 32]));
        self.calendar.now_ms.fetch_add(1_000, Ordering::SeqCst);
        self.ledger.append(work).unwrap().wait().unwrap();
    }
}

#[derive(Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    /// Headers behind the body.
    pub trailers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    /// True if a body of chunks came to its end.
    pub is_whole: bool,
}

impl Reply {
    /// Of all bytes that came.
    pub fn read(mut bytes: &[u8]) -> Self {
        if bytes.starts_with(b"HTTP/1.1 100 ") {
            // That the body may come; the answer is behind it.
            bytes = &bytes[whole_head(bytes).unwrap() + 4..];
        }
        let end = whole_head(bytes).expect("a whole head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let (first, rest) = head.split_once("\r\n").unwrap_or((&head, ""));
        let status = first.split(' ').nth(1).unwrap().parse().unwrap();
        let mut reply = Reply {
            status,
            headers: named(rest),
            trailers: BTreeMap::new(),
            body: bytes[end + 4..].to_vec(),
            is_whole: true,
        };
        if reply.headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
            reply.take_out_of_chunks();
        }
        reply
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// RFC 9112, section 7.1.
    fn take_out_of_chunks(&mut self) {
        let coded = std::mem::take(&mut self.body);
        self.is_whole = false;
        let mut rest = coded.as_slice();
        while let Some(at) = rest.windows(2).position(|two| two == b"\r\n") {
            let size = std::str::from_utf8(&rest[..at]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            rest = &rest[at + 2..];
            if size == 0 {
                self.trailers = named(std::str::from_utf8(rest).unwrap());
                self.is_whole = rest.ends_with(b"\r\n");
                return;
            }
            self.body.extend_from_slice(&rest[..size.min(rest.len())]);
            rest = rest.get(size + 2..).unwrap_or_default();
        }
    }

    pub fn kind(&self) -> &str {
        self.headers.get("content-type").map_or("", String::as_str)
    }
}

/// The answer to a request; of a stream of events its beginning.
pub fn send(address: SocketAddr, request: &str) -> Reply {
    send_until(address, request, |stream| stream.contains("retry: "))
}

/// The same, reading a stream of events until there is enough of it.
pub fn send_until(address: SocketAddr, request: &str, enough: impl Fn(&str) -> bool) -> Reply {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    exchange_until(stream, request, enough)
}

/// Sends a request over any connection, and reads to its end.
pub fn exchange(stream: impl Read + Write, request: &str) -> Reply {
    exchange_until(stream, request, |_| false)
}

fn exchange_until(
    mut stream: impl Read + Write,
    request: &str,
    enough: impl Fn(&str) -> bool,
) -> Reply {
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    let mut piece = [0; 16 * 1024];
    // A refused request may end with a reset behind the answer, and a stream of events ends when its
    // reader has enough.
    while let Ok(read @ 1..) = stream.read(&mut piece) {
        bytes.extend_from_slice(&piece[..read]);
        let head = whole_head(&bytes).map(|end| String::from_utf8_lossy(&bytes[..end]));
        let is_stream = head.is_some_and(|head| head.contains("text/event-stream"));
        if is_stream && enough(&String::from_utf8_lossy(&bytes)) {
            break;
        }
    }
    Reply::read(&bytes)
}

/// The end of a message's head.
fn whole_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n")
}

/// Headers by their names in small letters.
fn named(lines: &str) -> BTreeMap<String, String> {
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_ascii_lowercase(), value.to_owned())
    };
    lines.lines().filter(|line| !line.is_empty()).map(header).collect()
}

pub fn get(address: SocketAddr, path: &str) -> Reply {
    get_with(address, path, "")
}

/// With more headers, each ended.
pub fn get_with(address: SocketAddr, path: &str, headers: &str) -> Reply {
    let head = "Host: localhost\r\nConnection: close\r\n";
    send(address, &format!("GET {path} HTTP/1.1\r\n{head}{headers}\r\n"))
}

/// Sends a body of this kind.
pub fn post(address: SocketAddr, path: &str, kind: &str, body: &str) -> Reply {
    let head = "Host: localhost\r\nConnection: close\r\n";
    let length = body.len();
    let more = format!("Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}");
    send(address, &format!("POST {path} HTTP/1.1\r\n{head}{more}"))
}

pub fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// All items of a list, page by page.
pub fn walk(address: SocketAddr, path: &str, cursor: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let mut next = None::<String>;
    for _ in 0..1_000 {
        let more = next.map(|next| format!("&{cursor}={}", encoded(&next))).unwrap_or_default();
        let reply = get(address, &format!("{path}{more}"));
        assert_eq!(reply.status, 200, "{path}{more}: {}", reply.text());
        let page = reply.json();
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        match page.get("next") {
            None => return items,
            Some(following) => next = Some(following.as_str().unwrap().to_owned()),
        }
    }
    panic!("{path} never ends");
}
