//! Inputs are equals: several Kafka clusters, a file and manual calls feed one ledger at once, each
//! record exactly once, whatever their topics are called; and a new kind of input is one file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

mod common;
#[path = "common/project.rs"]
mod project;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use common::reading::{self, Contents};
use common::records::{self, Fate, fates, produce};
use common::service::Service;
use common::{Deployment, Site, TOPIC, assert_sound, succeed};
use ledgerline::app;
use ledgerline::config::{self, InputConfig};
use ledgerline::event::SourcePartition;
use ledgerline::input::broker::EmbeddedBroker;
use ledgerline::input::producer::GatedProducer;
use ledgerline::input::{
    Adapter, BatchBuilder, Generation, Input, InputError, Opened, Opening, Polled, StreamNames,
    StreamPrefix,
};
use project::Project;
use serde_json::{Value, json};

/// A broker with the test's topic of one partition.
fn broker() -> EmbeddedBroker {
    let broker = EmbeddedBroker::start(1).unwrap();
    broker.create_topic(TOPIC, 1).unwrap();
    broker
}

fn write(broker: &EmbeddedBroker, numbers: std::ops::Range<u64>) {
    let mut producer = GatedProducer::new(broker.bootstrap()).unwrap();
    produce(&mut producer, 1, numbers);
}

fn kafka(broker: &EmbeddedBroker, group: &str) -> String {
    format!(
        "kafka: {{ brokers: '{}', group: {group}, topics: [{TOPIC}], properties: {{ session.timeout.ms: 4000, \
         heartbeat.interval.ms: 400, socket.timeout.ms: 10000, group.instance.id: '' }} }}",
        broker.bootstrap()
    )
}

/// Writes the configuration of the test: two clusters whose topics have one name, a file, and calls.
/// Each round has groups of its own: a killed member holds its group up until its session is over.
fn configure(site: &Site, [north, south]: [&EmbeddedBroker; 2], round: u32) -> Deployment {
    let mappings = site.path().join("mappings");
    for file in std::fs::read_dir(mappings).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let topics = format!("topic: [{TOPIC}, south.{TOPIC}, file.{TOPIC}]");
        std::fs::write(path, text.replace(&format!("topic: {TOPIC}"), &topics)).unwrap();
    }
    let text = format!(
        "ledger: {{ name: example.com/test, directory: ledger, key: key.pem }}
inputs:
  north: {{ {} }}
  south: {{ {}, stream_prefix: south. }}
  archive: {{ file: {{ path: records.jsonl }}, stream_prefix: file. }}
  people: {{ calls: {{}} }}
mappings: [mappings]
contracts: [contracts]
submission: {{ max_transactions: 5, max_wait_ms: 2 }}
monitor: {{ listen: '127.0.0.1:0', access: {{ anonymous: viewer, tokens: tokens.yaml }} }}
",
        kafka(north, &format!("north-{round}")),
        kafka(south, &format!("south-{round}"))
    );
    let config = site.path().join("ledgerline.yaml");
    std::fs::write(&config, text).unwrap();
    Deployment { config, ledger: site.path().join("ledger") }
}

/// Makes the token of an operator, whom the configuration lets submit calls.
fn operator(site: &Site) -> String {
    let file = site.path().join("tokens.yaml");
    let file = file.to_str().unwrap();
    succeed(&["token", "ada", "--role", "operator", "--file", file]).trim().to_owned()
}

/// Posts a call; status code and body.
fn call(service: &Service, token: &str, machine: &str) -> (u16, Value) {
    let body = json!({
        "contract": "machine", "function": "update",
        "arguments": { "machineID": machine, "temperature": 4 },
    });
    let (body, address) = (body.to_string(), service.endpoint().unwrap());
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST /api/v1/calls HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    (code, serde_json::from_str(body).unwrap())
}

/// The dispositions of one partition of the test's records, under other names of streams.
fn expected(counts: &[(&str, u64)], calls: u64) -> BTreeMap<String, Vec<(u64, Fate)>> {
    let of = |(prefix, count): &(&str, u64)| {
        let mut fates = fates(1, *count);
        (format!("{prefix}{TOPIC}/0"), fates.remove(&format!("{TOPIC}/0")).unwrap())
    };
    let calls = (0..calls).map(|offset| (offset, Fate::Committed(1))).collect();
    counts.iter().map(of).chain([("~calls/0".to_owned(), calls)]).collect()
}

#[test]
fn two_clusters_a_file_and_people_feed_one_ledger_through_kills() {
    let (north, south, site) = (broker(), broker(), Site::new());
    std::fs::write(site.path().join("records.jsonl"), records::lines(1, 0..60)).unwrap();
    let (token, mut calls) = (operator(&site), 0);
    for round in 0..4 {
        write(&north, u64::from(round) * 40..u64::from(round + 1) * 40);
        write(&south, u64::from(round) * 25..u64::from(round + 1) * 25);
        let deployment = configure(&site, [&north, &south], round);
        let mut service = Service::start(&deployment);
        service.until_running();
        if round < 3 {
            let (code, made) = call(&service, &token, "M-9");
            assert_eq!((code, &made["caller"]), (201, &json!("ada")), "{made}");
            calls += 1;
            // In the middle of one, two or three inputs.
            let some = u64::from(round) * 40 + 7;
            service.until_status("some records", |status| {
                status["records"]["read"].as_u64().unwrap() >= some
            });
            service.kill();
            continue;
        }
        let status = service.until_status("all records", |status| {
            status["records"]["read"] == 160 + 100 + 60 + calls
        });
        // The file has ended; the service goes on for the clusters, and still takes calls.
        let inputs: Vec<_> = status["inputs"].as_array().unwrap().iter().collect();
        let names: Vec<_> = inputs.iter().map(|input| (&input["name"], &input["kind"])).collect();
        let kinds =
            [("archive", "file"), ("north", "kafka"), ("people", "calls"), ("south", "kafka")];
        let kinds: Vec<_> = kinds.iter().map(|(name, kind)| (json!(name), json!(kind))).collect();
        assert_eq!(names, kinds.iter().map(|(name, kind)| (name, kind)).collect::<Vec<_>>());
        assert_eq!(inputs[3]["connection"]["topics"][0]["topic"], format!("south.{TOPIC}"));
        assert_eq!(inputs[3]["connection"]["topics"][0]["known"], true);
        assert_eq!(call(&service, &token, "M-9").0, 201);
        calls += 1;
        let (_, metrics) = service.get("/metrics").unwrap();
        for line in [
            "ledgerline_source_connected 1".to_owned(),
            "ledgerline_input_connected{input=\"south\"} 1".to_owned(),
            format!("ledgerline_topic_known{{topic=\"south.{TOPIC}\"}} 1"),
            format!("ledgerline_source_assigned{{partition=\"south.{TOPIC}/0\"}} 1"),
        ] {
            assert!(metrics.as_str().unwrap().lines().any(|found| found == line), "{line}");
        }
        service.end();
        let ledger = &deployment.ledger;
        assert_sound(ledger);
        let Contents { fates, .. } = reading::read(ledger);
        let counts = [("", 160), ("south.", 100), ("file.", 60)];
        assert_eq!(fates, expected(&counts, calls), "each record once, under its stream");
        // What is durable is known to each group under its own topic's name.
        assert_eq!(common::kafka::committed(&north, "north-3", 1), [Some(160)]);
        assert_eq!(common::kafka::committed(&south, "south-3", 1), [Some(100)]);
    }
}

#[test]
fn a_service_without_an_input_of_calls_says_how_to_have_one() {
    let (broker, site) = (broker(), Site::new());
    let text = format!("inputs: {{ plant: {{ {} }} }}\n", kafka(&broker, "plant"));
    let deployment = site.configure("ledger", "file: { path: unused }");
    let config = std::fs::read_to_string(&deployment.config).unwrap();
    let config = config.replace("source:\n  file: { path: unused }\n", &text);
    let access = "monitor: { access: { tokens: tokens.yaml }, ";
    std::fs::write(&deployment.config, config.replace("monitor: { ", access)).unwrap();
    let token = operator(&site);
    let mut service = Service::start(&deployment);
    service.until_running();
    let (code, refused) = call(&service, &token, "M-9");
    let detail = refused["detail"].as_str().unwrap();
    assert!(code == 400 && detail.contains("`calls: {}` under `inputs`"), "{code} {refused}");
    service.end();
}

#[test]
fn inputs_that_cannot_be_told_apart_are_refused_with_their_place() {
    let file = |prefix: &str| format!("file: {{ path: records.jsonl }}{prefix}");
    let kafka = |topics: &str, more: &str| {
        format!("kafka: {{ brokers: 'b:9092', group: g, topics: [{topics}] }}{more}")
    };
    let two = |one: &str, two: &str| format!("inputs:\n  a: {{ {one} }}\n  b: {{ {two} }}\n");
    let table = [
        (
            two(&kafka("t, u", ""), &kafka("u, v", "")),
            "ledgerline.yaml:7:15: error: inputs `a` and `b` may both give the stream `u`",
        ),
        (
            two(&kafka("t", ", stream_prefix: x."), &kafka("x.t", "")),
            "may both give the stream `x.t`",
        ),
        (two(&file(""), &kafka("t", "")), "inputs `a` and `b` may both give the stream `t`"),
        (two(&file(""), &file("")), "inputs `a` and `b` may both give any topic"),
        (
            two(&file(", stream_prefix: f."), &file(", stream_prefix: f.g")),
            "may both give streams that begin with `f.g`",
        ),
        (two("calls: {}", "calls: {}"), "inputs `a` and `b` both read manual calls"),
        (
            two("file: { path: '-' }, stream_prefix: a.", "file: { path: '-' }, stream_prefix: b."),
            "inputs `a` and `b` both read standard input",
        ),
        (
            two(&file(""), "calls: {}, stream_prefix: x."),
            "input `b` is `calls`, which has no `stream_prefix`, `identity` or `body`",
        ),
        (
            two(&file(""), "calls: {}, identity: [plain]"),
            "input `b` is `calls`, which has no `stream_prefix`, `identity` or `body`",
        ),
        (two(&file(", stream_prefix: a/"), "calls: {}"), "`a/` is not a stream prefix"),
        (two("identity: [auto]", "calls: {}"), "must have exactly one of `kafka`, `file`, `calls`"),
        (
            two(&format!("{}, calls: {{}}", file("")), "calls: {}"),
            "must have exactly one of `kafka`, `file`, `calls`",
        ),
        ("inputs: {}\n".to_owned(), "`inputs` has 0 inputs, allowed is 1 to 32"),
        ("inputs:\n  a b: { calls: {} }\n".to_owned(), "`a b` is not a valid name for an input"),
        (String::new(), "exactly one of `source` and `inputs` is needed"),
        (
            format!("source: {{ {} }}\ninputs: {{ a: {{ calls: {{}} }} }}\n", file("")),
            "exactly one of `source` and `inputs` is needed",
        ),
        (
            format!("{}dead_letters: {{ topic: dead }}\n", two(&kafka("t", ""), &kafka("u", ""))),
            "add `input: a` or `input: b` under `dead_letters`",
        ),
        (
            format!(
                "{}dead_letters: {{ topic: dead, input: c }}\n",
                two(&kafka("t", ""), &kafka("u", ""))
            ),
            "`c` is not an input that is Kafka",
        ),
    ];
    for (inputs, says) in table {
        let project = Project::new();
        project.replace("ledgerline.yaml", "source:\n  file: { path: records.jsonl }\n", &inputs);
        let ended = project.run(&["check"]).exits(78);
        assert!(ended.err.contains(says), "{inputs}\n{says}\n{}", ended.err);
    }
    let project = Project::new();
    let sound = two(&kafka("t, u", ""), &kafka("u", ", stream_prefix: b."));
    let sound = format!("{sound}dead_letters: {{ topic: dead, input: b }}\n");
    project.replace("ledgerline.yaml", "source:\n  file: { path: records.jsonl }\n", &sound);
    project.run(&["check"]).exits(0);
}

/// The whole of a new kind of input: so many readings of one machine, then its end.
#[derive(Debug)]
struct Counter {
    readings: u64,
}

impl Adapter for Counter {
    fn kind(&self) -> &'static str {
        "counter"
    }

    fn streams(&self, _: &StreamPrefix) -> StreamNames {
        StreamNames::Listed(vec![TOPIC.to_owned()])
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Opened, InputError> {
        let (generation, next) = opening.assignments.assign(&SourcePartition::new(TOPIC, 0), 0);
        Ok(Opened::of(Box::new(Counting { generation, next, end: self.readings })))
    }
}

struct Counting {
    generation: Generation,
    next: u64,
    end: u64,
}

impl Input for Counting {
    fn poll(&mut self, _: Duration) -> Result<Polled, InputError> {
        if self.next == self.end {
            return Ok(Polled::End);
        }
        let sample = records::sample(0, self.next);
        let partition = SourcePartition::new(TOPIC, 0);
        let mut batch = BatchBuilder::new(partition, self.generation, self.next);
        let (key, value) =
            (Some(sample.key.as_bytes()), sample.value.as_deref().map(str::as_bytes));
        batch.push(self.next, Some(sample.timestamp_ms), key, value, std::iter::empty());
        self.next += 1;
        Ok(Polled::Batch(batch.build()))
    }

    fn pause(&mut self) -> Result<(), InputError> {
        Ok(())
    }

    fn resume(&mut self) -> Result<(), InputError> {
        Ok(())
    }

    fn durable(&mut self, _: &SourcePartition, _: u64) -> Result<bool, InputError> {
        Ok(true)
    }

    fn close(&mut self) -> Result<(), InputError> {
        Ok(())
    }
}

#[test]
fn a_new_kind_of_input_is_one_file() {
    let site = Site::new();
    let deployment = site.configure("ledger", "file: { path: records.jsonl }");
    std::fs::write(site.path().join("records.jsonl"), "").unwrap();
    for readings in [30, 50] {
        let mut config = config::load(&deployment.config).config.unwrap();
        let adapter = Arc::new(Counter { readings });
        let streams = adapter.streams(&StreamPrefix::default());
        // The registration: the configuration's list of kinds gives the same for the kinds it has.
        config.inputs[0] = InputConfig { adapter, streams, ..config.inputs[0].clone() };
        config.monitor = None;
        app::open(config, &mut |_, _, _| {}).unwrap().run().unwrap();
        let contents = reading::read(&deployment.ledger);
        assert_eq!(contents.fates, fates(1, readings), "it goes on behind the ledger's position");
    }
    assert_sound(&deployment.ledger);
}
