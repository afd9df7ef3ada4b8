//! Eight fields of a device event, from the record's bytes to the payload's: Ledgerline and Vector's
//! remap language (VRL) beside each other. Both read the whole text and refuse what is no JSON;
//! Ledgerline also refuses a name that stands twice and keeps the digits of every number.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ledgerline::codec::Digest;
use ledgerline::codec::json;
use ledgerline::event::{
    Decoder, Device, Event, EventInfo, Headers, Record, RecordDigests, SourcePartition,
};
use ledgerline::mapping::{MappingSet, Outcome};
use tikv_jemallocator::Jemalloc;
use vrl::compiler::{Program, TargetValue, TimeZone, runtime::Runtime};
use vrl::value::{Secrets, Value};

/// The program's own.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// A device event of about 300 bytes.
const BODY: &str = r#"{"d":{"assetID":"CON123","temperature":4.25,"humidity":61.5,"door":"closed",
"location":{"latitude":43.03,"longitude":-87.9},"carrier":"C-ABC","battery":87,"fan":[1200,1180],
"firmware":"2.4.1","sequence":90071992547},
"ts":"2017-01-04T13:11:33.601+02:00","note":"in transit, no alarms"}"#;

/// Argument and path within the body of each field.
const FIELDS: [(&str, &str); 8] = [
    ("asset_id", "d.assetID"),
    ("temperature", "d.temperature"),
    ("humidity", "d.humidity"),
    ("door", "d.door"),
    ("latitude", "d.location.latitude"),
    ("longitude", "d.location.longitude"),
    ("fan", "d.fan[0]"),
    ("sequence", "d.sequence"),
];

fn mapping() -> MappingSet {
    let fields = FIELDS.map(|(name, path)| format!("  {name}: $.payload.{path}\n"));
    let text = format!(
        "mapping: m\nmatch: {{topic: t}}\ncontract: c\nfunction: update\nfields:\n{}",
        fields.concat()
    );
    let (set, diagnostics) = MappingSet::from_texts(&[("m.yaml".into(), text)]);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    set
}

fn arguments(set: &MappingSet, event: &Event) -> Vec<u8> {
    let Outcome::Mapped(payloads) = set.evaluate(event) else { panic!("not mapped") };
    payloads[0].arguments.bytes().to_vec()
}

/// Reading, mapping, writing, and nothing else.
fn mapping_alone() -> impl Fn(&[u8]) -> Vec<u8> {
    let (set, partition) = (mapping(), SourcePartition::new("t", 0));
    move |body| {
        let event = Event {
            partition: partition.clone(),
            offset: 0,
            timestamp_ms: None,
            key: None,
            header_bytes: Vec::new(),
            device: Device::default(),
            info: EventInfo::default(),
            payload: json::parse(body).expect("JSON"),
            digests: RecordDigests { record: Digest::default(), value: Digest::default() },
        };
        arguments(&set, &event)
    }
}

/// The pipeline's work: device, event type and record digest as well.
fn with_identity() -> impl Fn(&[u8]) -> Vec<u8> {
    let (set, partition) = (mapping(), SourcePartition::new("t", 0));
    let decoder = Decoder::default();
    move |body| {
        let record = Record {
            partition: &partition,
            offset: 0,
            timestamp_ms: None,
            key: Some(b"iot-2/type/reefer/id/CON123/evt/status/fmt/json"),
            value: Some(body),
            headers: Headers::default(),
            damage: None,
        };
        arguments(&set, &decoder.decode(&record).expect("an event"))
    }
}

fn vrl_program() -> Program {
    let fields = FIELDS.map(|(name, path)| format!("\"{name}\": .{path}"));
    let text = format!("{{ {} }}", fields.join(", "));
    vrl::compiler::compile(&text, &[]).expect("a program").program
}

fn vrl_alone() -> impl FnMut(&[u8]) -> Vec<u8> {
    let (program, mut runtime) = (vrl_program(), Runtime::default());
    move |body| {
        // As its own `parse_json` and `encode_json` do it.
        let value: Value = serde_json::from_slice(body).expect("JSON");
        let mut target = TargetValue {
            value,
            metadata: Value::Object(Default::default()),
            secrets: Secrets::default(),
        };
        runtime.clear();
        let made = runtime.resolve(&mut target, &program, &TimeZone::default()).expect("a value");
        serde_json::to_vec(&made).expect("JSON")
    }
}

fn peers(criterion: &mut Criterion) {
    let (alone, with_identity, mut vrl) = (mapping_alone(), with_identity(), vrl_alone());
    let read = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).expect("JSON");
    let theirs = read(&vrl(BODY.as_bytes()));
    assert_eq!(read(&alone(BODY.as_bytes())), theirs, "both give the same");
    assert_eq!(read(&with_identity(BODY.as_bytes())), theirs);

    let mut group = criterion.benchmark_group("bytes to bytes");
    group.throughput(Throughput::Elements(1));
    group.bench_function("ledgerline", |b| b.iter(|| alone(black_box(BODY.as_bytes()))));
    group.bench_function("ledgerline, with identity and digest", |b| {
        b.iter(|| with_identity(black_box(BODY.as_bytes())));
    });
    group.bench_function("VRL", |b| b.iter(|| vrl(black_box(BODY.as_bytes()))));
    group.finish();
}

criterion_group!(benches, peers);
criterion_main!(benches);
