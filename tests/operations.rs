//! A manual call is a transaction like any other: signed, durable before its sender is told, in the
//! chain once, with the caller's name in it.

// A test may stop at the first thing that is not as it should be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::endpoint::{CONTRACT, LEDGER, MAPPING, Reply, definition, encoded, get, post, send};
use common::openapi::Document;
use ledgerline::clock::{Clock, SystemClock};
use ledgerline::contract::ContractSet;
use ledgerline::event::SourcePartition;
use ledgerline::input::{
    Adapter, Assignments, CallsAdapter, CallsInput, Content, Input, InputError, Polled,
    StreamNames, StreamPrefix,
};
use ledgerline::ledger::embedded::{LedgerKeys, Opening, open};
use ledgerline::ledger::{DefinitionKind, LedgerReader, LedgerWriter, Work};
use ledgerline::mapping::MappingSet;
use ledgerline::monitor::access::{Role, Settings, tokens};
use ledgerline::monitor::{self, AnswerCounts, Endpoint, Service};
use ledgerline::pipeline::status::Status;
use ledgerline::pipeline::{
    Followers, Pipeline, PipelineError, PipelineInput, Stop, SubmissionLimits, Traces, reading,
    state_observers,
};
use ledgerline::query::{Queries, Trial};
use ledgerline::state::World;
use ledgerline::transaction::Signer;
use ledgerline::verify::{Request, verify};
use serde_json::{Value, json};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const CALLS: &str = "/api/v1/calls";

/// The contract of the fixture, with every function.
fn contract() -> String {
    let functions =
        "{create: , update: {create_when_absent: true}, replace: , delete: , deleteProperties: }";
    format!("{CONTRACT}functions: {functions}\n")
}

/// An input to which nothing comes, and which hears of no manual call.
struct Nothing;

impl Input for Nothing {
    fn poll(&mut self, wait: Duration) -> Result<Polled, InputError> {
        std::thread::sleep(wait.min(Duration::from_millis(5)));
        Ok(Polled::Idle)
    }

    fn pause(&mut self) -> Result<(), InputError> {
        Ok(())
    }

    fn resume(&mut self) -> Result<(), InputError> {
        Ok(())
    }

    fn durable(&mut self, partition: &SourcePartition, _: u64) -> Result<bool, InputError> {
        panic!("told of {partition}, which is not of this source");
    }

    fn close(&mut self) -> Result<(), InputError> {
        Ok(())
    }
}

/// An input without records, and the one of manual calls.
fn inputs(calls: CallsInput, mappings: Arc<MappingSet>) -> Vec<PipelineInput> {
    vec![
        PipelineInput {
            name: "nothing".into(),
            input: Box::new(Nothing),
            streams: StreamNames::Listed(vec!["telemetry".to_owned()]),
            reading: reading(Content::Events, Arc::default(), mappings.clone()),
            keeps_service_alive: true,
        },
        PipelineInput {
            name: "calls".into(),
            input: Box::new(calls),
            streams: CallsAdapter.streams(&StreamPrefix::default()),
            reading: reading(Content::Calls, Arc::default(), mappings),
            keeps_service_alive: false,
        },
    ]
}

/// A whole service without records.
struct Running {
    endpoint: Endpoint,
    reader: Arc<dyn LedgerReader>,
    stop: Stop,
    pipeline: std::thread::JoinHandle<Result<(), PipelineError>>,
}

impl Running {
    fn start(directory: &Path, anonymous: Role, sign_each: bool) -> Self {
        let mut settings = Settings::open(([127, 0, 0, 1], 0).into());
        settings.access.anonymous = Some(anonymous);
        Self::start_with(directory, &settings, sign_each)
    }

    fn start_with(directory: &Path, settings: &Settings, sign_each: bool) -> Self {
        let opening = Opening {
            directory: directory.join("ledger"),
            name: LEDGER.to_owned(),
            checkpoint_copy: None,
            max_segment_bytes: 1 << 20,
        };
        let opened = open(&opening, &mut |_, _| {}).unwrap();
        let reader = opened.reader();
        let (world, _) = World::open(&directory.join("state"), &*reader).unwrap();
        let (world, signer) = (Arc::new(world), Signer::from_seed(&[7; 32]));
        let keys = LedgerKeys { signer: signer.clone(), previous: None, submitter: signer.id() };
        let (contracts, faults) = ContractSet::load(&[("c.yaml".into(), contract())]);
        assert!(faults.is_empty(), "{faults:?}");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let contracts = Arc::new(contracts);
        let mut ledger =
            opened.start(&keys, contracts.clone(), world.clone(), clock.clone()).unwrap();
        if reader.head().height < 2 {
            let definitions = vec![
                definition(DefinitionKind::Contract, "cold_chain", &contract()),
                definition(DefinitionKind::Mapping, "reefers", MAPPING),
            ];
            ledger.append(Work { definitions, ..Work::default() }).unwrap().wait().unwrap();
        }
        let assignments = Arc::new(Assignments::new(reader.progress()));
        let (input, calls) = CallsInput::new(&assignments, clock.clone());
        let (status, stop) = (Arc::new(Status::default()), Stop::default());
        let trial =
            Trial { inputs: Vec::new(), mappings: Arc::new(MappingSet::default()), contracts };
        let traces = Traces::default();
        let followers = Arc::new(Followers::default());
        let observers = state_observers(&status, &traces, &clock);
        followers.add_observed(world.clone(), observers);
        let service = Service {
            queries: Queries::new(reader.clone(), world.clone()),
            status: status.clone(),
            assignments: assignments.clone(),
            inputs: Vec::new(),
            followers: followers.clone(),
            calls: Some(calls),
            trial: trial.clone(),
            answers: AnswerCounts::default(),
            clock: clock.clone(),
        };
        let pipeline = Pipeline {
            inputs: inputs(input, trial.mappings),
            assignments,
            mapper_threads: 1,
            signer,
            limits: SubmissionLimits {
                max_transactions: 500,
                max_bytes: 1 << 20,
                max_wait: Duration::from_millis(5),
                sign_each,
            },
            writer: Box::new(ledger),
            reader: reader.clone(),
            followers,
            clock,
            status,
            traces,
            stop: stop.clone(),
        };
        let pipeline = std::thread::spawn(move || pipeline.run());
        let endpoint = monitor::start_with(settings, Arc::new(service)).unwrap();
        Self { endpoint, reader, stop, pipeline }
    }

    fn address(&self) -> SocketAddr {
        self.endpoint.address()
    }

    /// Calls; waits while the pipeline is not open yet.
    fn call(&self, body: &Value) -> Reply {
        common::until("the pipeline is open", || {
            let reply = post(self.address(), CALLS, JSON, &body.to_string());
            (reply.status != 503).then_some(reply)
        })
    }

    fn stop(self) {
        self.stop.ask();
        self.pipeline.join().unwrap().unwrap();
        self.endpoint.stop();
    }
}

fn update(key: &str, temperature: i64) -> Value {
    json!({
        "contract": "cold_chain",
        "function": "update",
        "arguments": {"assetID": key, "temperature": temperature},
    })
}

#[test]
fn every_call_is_in_the_chain_once_and_says_who_made_it() {
    for sign_each in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let mut expected = Vec::new();
        for start in 0..3_u64 {
            let running = Running::start(directory.path(), Role::Operator, sign_each);
            let asked: Vec<_> = (0..8_i64).map(|n| update(&format!("A-{}", n % 3), n)).collect();
            let replies: Vec<_> = std::thread::scope(|scope| {
                let running = &running;
                let call = |body| scope.spawn(move || running.call(body));
                let calling: Vec<_> = asked.iter().map(call).collect();
                calling.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            for (reply, asked) in replies.iter().zip(&asked) {
                assert_eq!(reply.status, 201, "{}", reply.text());
                let made = reply.json();
                assert_eq!(made["arguments"], asked["arguments"]);
                assert_eq!(
                    (&made["caller"], &made["device_type"], &made["device_id"]),
                    (&json!("anonymous"), &json!("operator"), &json!("anonymous"))
                );
                assert_eq!(made["verdict"], "valid");
                let found = get(running.address(), &reply.headers["location"]);
                assert_eq!((found.status, found.json()), (200, made.clone()));
                expected.push(made["id"].as_str().unwrap().to_owned());
            }
            let partition = SourcePartition::calls();
            let next = (start + 1) * asked.len() as u64;
            assert_eq!(running.reader.progress(), [(partition, next)]);
            let status = get(running.address(), "/api/v1/status").json();
            assert_eq!(status["partitions"], json!([]), "calls are not of the source");
            assert_eq!(status["records"]["valid"], next);
            running.stop();
        }
        expected.sort_unstable();
        let mut offsets: Vec<_> = (0..24).map(|offset| format!("~calls/0/{offset}/0")).collect();
        offsets.sort_unstable();
        assert_eq!(expected, offsets);
        let request = Request { directory: directory.path().join("ledger"), ..Request::default() };
        let report = verify(&request, &mut |_, _| {}).unwrap();
        assert!(report.is_sound(), "{report:?}");
    }
}

#[test]
fn what_the_contract_refuses_is_told_and_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(directory.path(), Role::Operator, false);
    let address = running.address();
    let refused =
        json!({"contract": "cold_chain", "function": "delete", "arguments": {"assetID": "none"}});
    let reply = running.call(&refused);
    assert_eq!((reply.status, &reply.json()["verdict"]), (201, &json!("asset_absent")));
    let document = Document::of(address);
    assert_eq!(document.wrong(document.operation("submitCall"), &reply), None);
    let reply = running.call(&json!({
        "contract": "cold_chain", "function": "update", "time": "2024-05-01T12:00:00Z",
        "arguments": {"assetID": "A-1", "temperature": 9.50},
    }));
    assert_eq!(reply.json()["time"], "2024-05-01T12:00:00.000Z");
    let asset = common::until("the state has it", || {
        let reply = get(address, "/api/v1/state/cold_chain/A-1");
        (reply.status == 200).then(|| reply.json())
    });
    assert_eq!(asset["alerts"]["active"], json!(["OVERTEMP"]));
    running.stop();
}

#[test]
fn a_dry_run_submits_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(directory.path(), Role::Operator, false);
    let head = running.reader.head();
    let reply =
        post(running.address(), "/api/v1/calls?dry_run=true", JSON, &update("A-1", 9).to_string());
    assert_eq!(reply.status, 200, "{}", reply.text());
    let tried = reply.json();
    assert_eq!(tried["writes"][0]["after"]["alerts"]["raised"], json!(["OVERTEMP"]));
    assert_eq!(running.reader.head(), head);
    running.stop();
}

#[test]
fn bad_calls_are_refused_and_leave_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(directory.path(), Role::Operator, false);
    let head = running.reader.head();
    let long = format!(
        r#"{{"contract": "cold_chain", "function": "update", "arguments": {{"assetID": "{}"}}}}"#,
        "x".repeat(300 * 1024)
    );
    let call = |contract: &str, function: &str, arguments: &str| {
        format!(
            r#"{{"contract": "{contract}", "function": "{function}", "arguments": {arguments}}}"#
        )
    };
    for (body, part) in [
        (call("cold_chian", "update", "{}"), "cold_chain"),
        (call("cold_chain", "upsert", "{}"), "upsert"),
        (call("cold_chain", "update", "[]"), "object"),
        (call("cold_chain", "update", r#"{"a": 1, "a": 2}"#), "twice"),
        (r#"{"contract": "cold_chain", "function": "update"}"#.to_owned(), "arguments"),
        (
            r#"{"contract": "cold_chain", "function": "update", "arguments": {}, "time": "x"}"#
                .to_owned(),
            "time",
        ),
        (long, "limit"),
    ] {
        let reply = post(running.address(), CALLS, JSON, &body);
        assert_eq!(
            (reply.status, reply.kind()),
            (400, "application/problem+json"),
            "{}",
            reply.text()
        );
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(part), "{part}: {detail}");
    }
    assert_eq!(running.reader.head(), head);
    running.stop();
}

#[test]
fn a_viewer_and_a_page_of_another_site_submit_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(directory.path(), Role::Viewer, false);
    let (address, head) = (running.address(), running.reader.head());
    let body = update("A-1", 4).to_string();
    assert_eq!(post(address, CALLS, JSON, &body).status, 403);
    let form = "f.assetID=A-1&do=submit";
    assert_eq!(post(address, "/operations/cold_chain/update", FORM, form).status, 403);
    let page = get(address, "/operations/cold_chain/update").text();
    assert!(
        page.contains("submitting calls requires the") && !page.contains("Sign and submit"),
        "{page}"
    );
    running.stop();
    let running = Running::start(directory.path(), Role::Operator, false);
    for foreign in ["Origin: https://example.com", "Sec-Fetch-Site: cross-site"] {
        let head =
            format!("Host: localhost\r\nConnection: close\r\n{foreign}\r\nContent-Type: {FORM}");
        let length = form.len();
        let request = format!(
            "POST /operations/cold_chain/update HTTP/1.1\r\n{head}\r\nContent-Length: {length}\r\n\r\n{form}"
        );
        assert_eq!(send(running.address(), &request).status, 403, "{foreign}");
    }
    assert_eq!(running.reader.head(), head);
    running.stop();
}

fn submit(address: SocketAddr, function: &str, fields: &[(&str, &str)]) -> Reply {
    let pairs: Vec<_> =
        fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    post(address, &format!("/operations/cold_chain/{function}"), FORM, &pairs.join("&"))
}

#[test]
fn the_form_is_of_the_contracts_schema_and_leads_to_the_transaction() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(directory.path(), Role::Operator, false);
    let address = running.address();
    running.call(&update("A-1", 4));
    let list = get(address, "/operations").text();
    for part in ["/operations/cold_chain/update", "~calls/0/0/0", "anonymous"] {
        assert!(list.contains(part), "{part}: {list}");
    }
    let form = get(address, "/operations/cold_chain/replace?key=A-1").text();
    for part in [
        "name=\"f.assetID\" value=\"A-1\"",
        "name=\"f.temperature\" value=\"4\"",
        "Sign and submit",
    ] {
        assert!(form.contains(part), "{part}: {form}");
    }
    let checked = submit(
        address,
        "update",
        &[
            ("f.assetID", "A-2"),
            ("f.temperature", "9.50"),
            ("more", r#"{"cargo": {"kind": "fish"}}"#),
            ("do", "check"),
        ],
    );
    assert_eq!(checked.status, 200);
    for part in ["OVERTEMP", "9.50", "fish", "value=\"A-2\""] {
        assert!(checked.text().contains(part), "{part}: {}", checked.text());
    }
    for (function, fields, part) in [
        (
            "update",
            vec![("f.assetID", "A-2"), ("f.temperature", "warm")],
            "`temperature`: `warm` is not of type number",
        ),
        ("update", vec![("f.assetID", "A-2"), ("more", "[1]")], "must be a JSON object"),
        ("update", vec![("f.assetID", "A-2"), ("more", r#"{"assetID": 1}"#)], "duplicate field"),
    ] {
        let fields: Vec<_> = fields.into_iter().chain([("do", "submit")]).collect();
        let page = submit(address, function, &fields).text();
        assert!(page.contains(part), "{part}: {page}");
    }
    for (function, fields, verdict) in [
        ("update", vec![("f.assetID", "A-2"), ("f.temperature", "9.50")], "valid"),
        (
            "deleteProperties",
            vec![("f.assetID", "A-2"), ("properties", "temperature\r\n")],
            "valid",
        ),
        ("create", vec![("f.assetID", "A-2")], "asset_exists"),
        ("delete", vec![("f.assetID", "A-2")], "valid"),
    ] {
        let fields: Vec<_> = fields.into_iter().chain([("do", "submit")]).collect();
        let done = submit(address, function, &fields);
        assert_eq!(done.status, 303, "{function}: {}", done.text());
        let page = get(address, &done.headers["location"]);
        assert_eq!(page.status, 200);
        let shown = page.text();
        assert!(
            shown.contains(&format!(">{verdict}</span>")) && shown.contains("Manual call"),
            "{shown}"
        );
    }
    assert_eq!(get(address, "/operations/cold_chain/melt").status, 404);
    assert_eq!(get(address, "/operations/cold_chian/update").status, 404);
    running.stop();
}

#[test]
fn whose_token_it_was_stands_in_the_ledger() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tokens.yaml");
    let add = |name: &str, role| tokens::add(&file, (name, role), 0, None).unwrap();
    let people = [("ada", add("ada", Role::Operator)), ("bob", add("bob", Role::Admin))];
    let viewer = add("eve", Role::Viewer);
    let mut settings = Settings::open(([127, 0, 0, 1], 0).into());
    settings.access.tokens = Some(file.clone());
    let running = Running::start_with(directory.path(), &settings, false);
    let call = |token: &str, key: &str| {
        let body = update(key, 4).to_string();
        let head = format!("Authorization: Bearer {token}\r\nContent-Length: {}\r\n", body.len());
        let head =
            format!("Host: localhost\r\nConnection: close\r\nContent-Type: {JSON}\r\n{head}");
        let request = format!("POST {CALLS} HTTP/1.1\r\n{head}\r\n{body}");
        common::until("the pipeline is open", || {
            Some(send(running.address(), &request)).filter(|reply| reply.status != 503)
        })
    };
    for (name, token) in &people {
        let reply = call(token, &format!("of-{name}"));
        assert!(reply.status < 300, "{}", reply.text());
        let id = reply.json()["id"].as_str().unwrap().to_owned();
        let stored = get(running.address(), &format!("/api/v1/transactions/{id}")).json();
        assert_eq!(stored["caller"], json!(name));
        assert_eq!(stored["device_type"], json!("operator"));
        assert_eq!(stored["device_id"], json!(name));
    }
    assert_eq!(call(&viewer, "of-eve").status, 403);
    assert_eq!(call("x", "of-x").status, 401);
    running.stop();
}
