//! Keys, headers and bodies of records, through every way of identity and the shipped mappings and
//! contracts: a record is mapped, filtered or rejected, and a call gets a verdict.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use ledgerline::contract::{Call, ContractSet, StateView, Versioned};
use ledgerline::event::{Decoder, Headers, Record, SourcePartition};
use ledgerline::mapping::{MappingSet, Outcome};
use libfuzzer_sys::fuzz_target;

const MAPPINGS: [&str; 3] = [
    include_str!("../../mappings/cold_chain.yaml"),
    include_str!("../../mappings/machine_condition.yaml"),
    include_str!("../../mappings/medical_kit.yaml"),
];
const CONTRACTS: [&str; 3] = [
    include_str!("../../contracts/cold_chain.yaml"),
    include_str!("../../contracts/machine_condition.yaml"),
    include_str!("../../contracts/medical_kit.yaml"),
];

fn files(texts: [&str; 3]) -> Vec<(PathBuf, String)> {
    texts.map(|text| (PathBuf::from("shipped.yaml"), text.to_owned())).into()
}

static DEFINITIONS: LazyLock<(Decoder, MappingSet, ContractSet)> = LazyLock::new(|| {
    let mappings = MappingSet::from_texts(&files(MAPPINGS)).0;
    (Decoder::default(), mappings, ContractSet::load(&files(CONTRACTS)).0)
});

struct Nothing;

impl StateView for Nothing {
    fn asset(&self, _: &str, _: &str) -> Option<Versioned> {
        None
    }
}

/// Topics of the shipped mappings.
const TOPICS: [&str; 3] = ["telemetry", "machines", "device-events"];

/// Topic, key, value and headers of a record.
type Input = (u8, Option<Vec<u8>>, Option<Vec<u8>>, Vec<u8>);

fuzz_target!(|input: Input| {
    let (topic, key, value, headers) = input;
    let (decoder, mappings, contracts) = &*DEFINITIONS;
    let partition = SourcePartition::new(TOPICS[usize::from(topic) % TOPICS.len()], 0);
    let record = Record {
        partition: &partition,
        offset: 0,
        timestamp_ms: Some(0),
        key: key.as_deref(),
        value: value.as_deref(),
        headers: Headers::from_encoded(&headers),
        damage: None,
    };
    let Ok(event) = decoder.decode(&record) else { return };
    let Outcome::Mapped(payloads) = mappings.evaluate(&event) else { return };
    for payload in payloads {
        let Some(contract) = contracts.get(&payload.contract) else { continue };
        let call =
            Call { function: payload.function, arguments: payload.arguments.value(), time_ms: 0 };
        let effects = contract.execute(call, &Nothing);
        assert!(effects.verdict.is_valid() || effects.writes.is_empty());
    }
});
