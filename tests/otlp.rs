//! A collector is told one trace for each chosen batch, with links to where its records came from; and
//! whatever the collector does, nothing waits for it.
#![cfg(feature = "otlp")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

mod common;
#[path = "common/project.rs"]
mod project;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use common::records::produce;
use common::service::Service;
use common::{Site, TOPIC};
use ledgerline::event::SourcePartition;
use ledgerline::input::broker::EmbeddedBroker;
use ledgerline::input::producer::GatedProducer;
use ledgerline::ledger::LedgerReader;
use ledgerline::ledger::embedded::open_read_only;
use ledgerline::limits::MAX_TRACE_LINKS;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value as Told};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use project::{Ended, Project, line, reading};
use prost::Message;
use serde_json::{Value, json};

const READINGS: u64 = 3_000;
/// Records in ten without a correct trace.
const BAD: u64 = 3;

/// Request line and headers in small letters, and the spans in it with what all of them share.
type Asked = (String, ExportTraceServiceRequest);

/// A collector on a free port, which gives these answers in turn and the last of them for ever.
fn collector(answers: &'static [&'static str]) -> (SocketAddr, Receiver<Asked>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let mut answers = answers.iter();
        let mut answer = answers.next().unwrap();
        for stream in listener.incoming() {
            serve(&stream.unwrap(), &tell, answer);
            answer = answers.next().unwrap_or(answer);
        }
    });
    (address, told)
}

fn serve(stream: &TcpStream, tell: &Sender<Asked>, answer: &str) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
    let head = head.to_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    let request = ExportTraceServiceRequest::decode(&*body).unwrap();
    // The test may have seen enough.
    let _ = tell.send((head, request));
    let body = ExportTraceServiceResponse::default().encode_to_vec();
    let mut stream = stream;
    let length = body.len();
    let _ = write!(stream, "HTTP/1.1 {answer}\r\ncontent-length: {length}\r\n\r\n");
    let _ = stream.write_all(&body);
}

/// The trace and the span that a reading came from.
fn origin(partition: u32, offset: u64) -> (String, String) {
    (format!("{:032x}", (u64::from(partition) << 32) + offset + 1), format!("{:016x}", offset + 9))
}

fn with_header(line: &str, name: &str, value: &str) -> String {
    let mut record: Value = serde_json::from_str(line).unwrap();
    record["headers"] = json!([name, value]);
    format!("{record}\n")
}

/// In each of two partitions readings, one in ten with a trace; then a record that no mapping matches
/// and one that is rejected.
fn records() -> String {
    let mut text = String::new();
    for partition in 0..2 {
        for offset in 0..READINGS {
            let plain = reading(partition, offset, "M1", &json!({ "temperature": 4 }));
            let (trace, span) = origin(partition, offset);
            text += &match offset % 10 {
                BAD => {
                    with_header(&plain, "traceparent", &format!("00-{}-{span}-01", "0".repeat(32)))
                }
                0 => with_header(&plain, "Traceparent", &format!("00-{trace}-{span}-01")),
                _ => plain,
            };
        }
        text += &line(partition, READINGS, r#"{"eventType":"other"}"#, "{}");
        let key = r#"{"deviceType":"press","deviceId":"M1","eventType":"reading"}"#;
        text += &line(partition, READINGS + 1, key, "{nonsense");
    }
    text
}

/// Runs a configuration with this `traces:` over the records to the end of the file.
fn run(traces: &str) -> (Project, Ended) {
    let project = Project::new();
    project.write("records.jsonl", records());
    project.write("token", "s3cret\n");
    project.write("ledgerline.yaml", project::CONFIG.to_owned() + &format!("traces: {traces}\n"));
    let ended = project.run(&["--log-format", "json", "run"]).exits(0);
    (project, ended)
}

fn all_is_durable(project: &Project) {
    let reader = open_read_only(&project.path("ledger"), &mut |_, _| {}).unwrap();
    let durable = |partition| (SourcePartition::new("telemetry", partition), READINGS + 2);
    assert_eq!(reader.progress(), [durable(0), durable(1)]);
}

fn attributes(list: &[KeyValue]) -> BTreeMap<&str, Value> {
    let value = |attribute: &KeyValue| match attribute.value.clone().unwrap().value.unwrap() {
        Told::StringValue(text) => Value::from(text),
        Told::IntValue(number) => Value::from(number),
        other => panic!("{other:?}"),
    };
    list.iter().map(|attribute| (attribute.key.as_str(), value(attribute))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The spans by trace, each trace with its root first.
fn traces(asked: &[Asked]) -> Vec<Vec<Span>> {
    let mut traces: BTreeMap<Vec<u8>, Vec<Span>> = BTreeMap::new();
    for (_, request) in asked {
        for span in &request.resource_spans[0].scope_spans[0].spans {
            traces.entry(span.trace_id.clone()).or_default().push(span.clone());
        }
    }
    traces.into_values().collect()
}

/// Partition, first and next offset of a trace's batch.
type Covered = (u32, u64, u64);

fn number(root: &Span, name: &str) -> u64 {
    u64::try_from(attributes(&root.attributes)[name].as_i64().unwrap()).unwrap()
}

fn covered(root: &Span) -> Covered {
    let partition = &attributes(&root.attributes)["messaging.destination.partition.id"];
    let partition = partition.as_str().unwrap().parse().unwrap();
    (partition, number(root, "messaging.kafka.offset"), number(root, "ledgerline.next_offset"))
}

fn assert_request((head, request): &Asked) {
    assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
    assert!(head.contains("content-type: application/x-protobuf\r\n"), "{head}");
    assert!(head.contains("x-key: s3cret\r\n"), "{head}");
    let resource = request.resource_spans[0].resource.as_ref().unwrap();
    let found = attributes(&resource.attributes);
    assert_eq!(found["service.name"], "ledgerline");
    assert_eq!(found["ledgerline.ledger.name"], "example.com/test");
    assert_eq!(found["deployment.environment.name"], "plant");
}

fn assert_root(root: &Span) {
    assert_eq!((root.name.as_str(), root.kind()), ("process telemetry", SpanKind::Consumer));
    assert!(root.parent_span_id.is_empty());
    let found = attributes(&root.attributes);
    assert_eq!(found["messaging.system"], "kafka");
    assert_eq!(found["messaging.destination.name"], "telemetry");
    assert_eq!(found["messaging.operation.type"], "process");
    // Not of 1970.
    assert!(root.start_time_unix_nano > 1_700_000_000_000_000_000);
}

/// It leads to exactly the traces of its records, as far as there are places.
fn assert_links(root: &Span) {
    let (partition, first, next) = covered(root);
    let links: BTreeSet<_> =
        root.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect();
    let all = (first..next.min(READINGS)).filter(|offset| offset % 10 == 0);
    let all: BTreeSet<_> = all.map(|offset| origin(partition, offset)).collect();
    let left_out = usize::try_from(root.dropped_links_count).unwrap();
    assert!(links.is_subset(&all), "{links:?}");
    assert_eq!(links.len(), all.len().min(MAX_TRACE_LINKS));
    assert_eq!(links.len() + left_out, all.len());
}

/// Its stages follow each other within it, and the state comes last.
fn assert_stages(root: &Span, stages: &[Span]) {
    let names: Vec<_> = stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(names, ["poll", "map", "write", "commit", "apply"]);
    assert!(stages.iter().all(|stage| stage.parent_span_id == root.span_id));
    let mut at = root.start_time_unix_nano;
    for stage in stages {
        assert!(at <= stage.start_time_unix_nano, "{stages:?}");
        assert!(stage.start_time_unix_nano <= stage.end_time_unix_nano, "{stages:?}");
        at = stage.start_time_unix_nano;
    }
    assert_eq!(stages[3].end_time_unix_nano, root.end_time_unix_nano);
}

#[test]
fn a_trace_of_each_batch_leads_to_its_records_and_its_block() {
    let (address, told) = collector(&["200 OK"]);
    let (project, ended) = run(&format!(
        "{{ endpoint: 'http://{address}', sample: 1, headers: {{ X-Key: 'file:token' }}, \
         attributes: {{ deployment.environment.name: plant }} }}"
    ));
    let asked: Vec<_> = told.try_iter().collect();
    asked.iter().for_each(assert_request);
    assert!(!ended.err.contains("s3cret"), "{}", ended.err);

    let reader = open_read_only(&project.path("ledger"), &mut |_, _| {}).unwrap();
    let traces = traces(&asked);
    let roots: Vec<_> = traces.iter().map(|trace| &trace[0]).collect();
    for trace in &traces {
        let [root, stages @ ..] = &trace[..] else { panic!("{trace:?}") };
        assert_root(root);
        assert_links(root);
        assert_stages(root, stages);
        // The block is the one that holds its last record.
        let (partition, _, next) = covered(root);
        let block = reader.block_of_record(&SourcePartition::new("telemetry", partition), next - 1);
        assert_eq!(Some(number(root, "ledgerline.block.number")), block);
    }
    assert!(roots.iter().any(|root| !root.links.is_empty()), "{}", ended.err);

    let sum = |name| roots.iter().map(|root| number(root, name)).sum::<u64>();
    assert_eq!(sum("messaging.batch.message_count"), 2 * (READINGS + 2));
    assert_eq!(sum("ledgerline.transactions"), 2 * READINGS);
    assert_eq!((sum("ledgerline.filtered"), sum("ledgerline.dead_letters")), (2, 2));
    let mut all: Vec<_> = roots.iter().map(|root| covered(root)).collect();
    all.sort_unstable();
    for partition in 0..2 {
        let own = all.iter().filter(|covered| covered.0 == partition);
        let end = own.fold(0, |at, (_, first, next)| {
            assert_eq!(*first, at, "{all:?}");
            *next
        });
        assert_eq!(end, READINGS + 2, "{all:?}");
    }
}

#[test]
fn a_collector_that_is_away_holds_nothing_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (project, ended) = run(&format!("{{ endpoint: 'http://{address}', sample: 1 }}"));
    all_is_durable(&project);
    for expected in
        ["the trace collector does not accept traces", "refused", "traces of batches were dropped"]
    {
        assert!(ended.err.contains(expected), "{}", ended.err);
    }
}

#[test]
fn a_collector_that_never_answers_holds_nothing_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (project, ended) = run(&format!("{{ endpoint: 'http://{address}', sample: 1 }}"));
    all_is_durable(&project);
    assert!(ended.err.contains("did not accept the last traces in time"), "{}", ended.err);
    // It was asked.
    listener.set_nonblocking(true).unwrap();
    listener.accept().unwrap();
}

#[test]
fn nothing_is_sent_of_what_was_not_chosen() {
    let (address, told) = collector(&["200 OK"]);
    let (project, ended) = run(&format!("{{ endpoint: 'http://{address}', sample: 0 }}"));
    all_is_durable(&project);
    assert_eq!(told.try_iter().count(), 0, "{}", ended.err);
}

#[test]
fn what_was_not_taken_is_told_again() {
    let (address, told) = collector(&["503 Service Unavailable", "200 OK"]);
    let broker = EmbeddedBroker::start(1).unwrap();
    broker.create_topic(TOPIC, 1).unwrap();
    let mut producer = GatedProducer::new(broker.bootstrap()).unwrap();
    let site = Site::new();
    let deployment = site.configure_kafka("ledger", &broker, "ledger");
    let text = std::fs::read_to_string(&deployment.config).unwrap();
    let section = format!("traces: {{ endpoint: 'http://{address}', sample: 1 }}\n");
    std::fs::write(&deployment.config, text + &section).unwrap();
    let mut service = Service::start(&deployment);
    produce(&mut producer, 1, 0..10);
    service.until_logged("the trace collector accepts traces again");
    service.end();
    let asked: Vec<_> = told.try_iter().collect();
    let records = |asked: &[Asked]| {
        let count = |trace: &Vec<Span>| {
            attributes(&trace[0].attributes)["messaging.batch.message_count"].as_u64().unwrap()
        };
        traces(asked).iter().map(count).sum::<u64>()
    };
    assert!(records(&asked[..1]) > 0, "{asked:?}");
    assert_eq!(records(&asked[1..]), 10);
}

#[test]
fn a_collector_that_cannot_be_meant_is_refused() {
    for (traces, expected) in [
        ("{ endpoint: 'collector:4318' }", "does not start with http://HOST"),
        ("{ endpoint: 'http://c', sample: 2 }", "`sample` is 2; allowed: 0 to 1"),
        ("{ endpoint: 'http://c', sample: .nan }", "`sample` is NaN; allowed: 0 to 1"),
        ("{ endpoint: 'http://c', headers: { 'a b': c } }", "there can be no header `a b`"),
        (
            "{ endpoint: 'http://c', headers: { a: '${NO_SUCH_NAME}' } }",
            "variable `NO_SUCH_NAME` is not set",
        ),
        ("{ endpoint: 'https://c', authorities: none.pem }", "none.pem not found"),
    ] {
        let project = Project::new();
        let text = project::CONFIG.to_owned() + &format!("traces: {traces}\n");
        project.write("ledgerline.yaml", text);
        let ended = project.run(&["check"]).exits(78);
        assert!(ended.err.contains(expected), "{traces}: {}", ended.err);
    }
}
