//! One event to one payload: the stages beside each other, and the bare engine on the same paths.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)] // a broken benchmark may stop at once

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jsonpath_rust::JsonPath as _;
use ledgerline::codec::{Digest, json};
use ledgerline::event::{Device, Event, EventInfo, RecordDigests, SourcePartition};
use ledgerline::mapping::{MappingSet, Outcome};
use serde_json::{Map, Value};
use tikv_jemallocator::Jemalloc;

/// The program's own.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// A device event of about 300 bytes.
const BODY: &str = r#"{"d":{"assetID":"CON123","temperature":4.25,"humidity":61.5,"door":"closed",
"location":{"latitude":43.03,"longitude":-87.90},"carrier":"C-ABC","battery":87,"fan":[1200,1180],
"firmware":"2.4.1","sequence":9007199254740993},
"ts":"2017-01-04T13:11:33.601+02:00","note":"in transit, no alarms"}"#;

/// Argument and path of each field.
const FIELDS: [(&str, &str); 8] = [
    ("asset_id", "$.payload.d.assetID"),
    ("temperature", "$.payload.d.temperature"),
    ("humidity", "$.payload.d.humidity"),
    ("door", "$.payload.d.door"),
    ("latitude", "$.payload.d.location.latitude"),
    ("longitude", "$.payload.d.location.longitude"),
    ("fan", "$.payload.d.fan[0]"),
    ("sequence", "$.payload.d.sequence"),
];

fn mapping(options: &str) -> MappingSet {
    let fields = FIELDS.map(|(name, path)| format!("  {name}: {{path: '{path}'{options}}}\n"));
    let text = format!(
        "mapping: m\nmatch: {{topic: telemetry}}\ncontract: c\nfunction: update\nfields:\n{}",
        fields.concat()
    );
    let (set, diagnostics) = MappingSet::from_texts(&[("m.yaml".into(), text)]);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    set
}

fn event() -> Event {
    Event {
        partition: SourcePartition::new("telemetry", 0),
        offset: 0,
        timestamp_ms: None,
        key: None,
        header_bytes: Vec::new(),
        device: Device::default(),
        info: EventInfo::default(),
        payload: json::parse(BODY.as_bytes()).unwrap(),
        digests: RecordDigests {
            record: Digest::of(b"record"),
            value: Digest::of(BODY.as_bytes()),
        },
    }
}

/// The same object from the engine alone: each query parsed each time, as a first version would.
fn engine(document: &Value) -> Value {
    let mut arguments = Map::new();
    for (name, path) in FIELDS {
        let found = document.query(path).unwrap();
        arguments.insert(name.to_owned(), found[0].clone());
    }
    Value::Object(arguments)
}

fn stages(criterion: &mut Criterion) {
    let (plain, event) = (mapping(""), event());
    let document = serde_json::json!({"payload": event.payload});
    let Outcome::Mapped(payloads) = plain.evaluate(&event) else { panic!() };
    let given = Value::from(payloads[0].arguments.value());
    assert_eq!(given, engine(&document), "both give the same arguments");

    let mut group = criterion.benchmark_group("mapping");
    group.throughput(Throughput::Elements(1));
    group.bench_function("parse strictly", |b| b.iter(|| json::parse(black_box(BODY.as_bytes()))));
    group.bench_function("parse by serde_json alone", |b| {
        b.iter(|| serde_json::from_slice::<Value>(black_box(BODY.as_bytes())));
    });
    group.bench_function("8 fields", |b| b.iter(|| plain.evaluate(black_box(&event))));
    let typed = mapping(", type: string");
    group.bench_function("8 fields as text", |b| b.iter(|| typed.evaluate(black_box(&event))));
    group.bench_function("8 fields by the bare engine, queries not parsed before", |b| {
        b.iter(|| engine(black_box(&document)));
    });
    group.finish();
}

criterion_group!(benches, stages);
criterion_main!(benches);
