//! One call of a contract: merge, schema, three rules, alerts; and one rule by itself.
#![allow(clippy::unwrap_used, missing_docs)] // a benchmark stops at the first surprise

use std::hint::black_box;
use std::path::PathBuf;

use criterion::{Criterion, criterion_group, criterion_main};
use ledgerline::call::Function;
use ledgerline::codec::json::Value;
use ledgerline::contract::{Call, ContractSet, MemoryState};
use ledgerline::expression::Expression;
use serde_json::json;
use tikv_jemallocator::Jemalloc;

/// The program's own.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

const CONTRACT: &str = r#"
contract: reefer
version: 1
key: assetID
state:
  type: object
  required: [assetID]
  additionalProperties: false
  properties:
    assetID: {type: string}
    carrier: {type: string}
    cargo: {type: string}
    temperature: {type: number, minimum: -90, maximum: 90}
    threshold: {type: number}
    humidity: {type: integer, minimum: 0, maximum: 100}
    door: {enum: [open, closed]}
    power: {enum: [mains, battery]}
    location:
      type: object
      properties: {latitude: {type: number}, longitude: {type: number}}
    unit: {type: object}
rules:
  - {alert: OVERTEMP, raise_when: state.temperature > state.threshold}
  - {alert: DOOROPEN, raise_when: 'state.door == "open"'}
  - {alert: HUMIDITY, raise_when: state.humidity < 30 || state.humidity > 85}
"#;

fn arguments() -> Value {
    json!({
        "assetID": "CON001", "carrier": "C-ABC", "cargo": "vaccines", "temperature": 4.31,
        "threshold": 8, "humidity": 61, "door": "closed", "power": "mains",
        "location": {"longitude": 9.98410, "latitude": 53.54130},
        "unit": {"serial": "MX-2209-118", "firmware": "4.1.7", "mode": "cooling", "hours": 10231},
    })
    .into()
}

fn execute(c: &mut Criterion) {
    let (set, diagnostics) =
        ContractSet::load(&[(PathBuf::from("reefer.yaml"), CONTRACT.to_owned())]);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let contract = set.get("reefer").unwrap();
    let arguments = arguments();
    let call = Call { function: Function::Update, arguments: &arguments, time_ms: 0 };
    let mut state = MemoryState::new();
    state.apply("reefer", &contract.execute(call, &state));
    c.bench_function("execute 3 rules", |bencher| {
        bencher.iter(|| black_box(contract.execute(black_box(call), &state)));
    });
}

fn rules(c: &mut Criterion) {
    let state = arguments();
    for source in [
        "state.temperature > state.threshold",
        "state.door == \"open\"",
        "state.humidity < 30 || state.humidity > 85",
        "distance(state.location.latitude, state.location.longitude, 53.5413, 9.9841) > 25000",
    ] {
        let expression = Expression::compile(source, &["state"]).unwrap();
        c.bench_function(&format!("rule {source}"), |bencher| {
            bencher.iter(|| black_box(expression.holds(black_box(&[("state", &state)]))));
        });
    }
}

criterion_group!(benches, execute, rules);
criterion_main!(benches);
