//! The targets of `fuzz/` compile and hold, here on inputs that are not guided by coverage.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test
#![allow(unused_attributes)] // each target is the root of a program of its own

// The targets name the library that guides them; here this file stands in its place.
extern crate self as libfuzzer_sys;

use proptest::prelude::*;

#[path = "../fuzz/targets/body.rs"]
mod body;
#[path = "../fuzz/targets/checkpoint.rs"]
mod checkpoint;
#[path = "../fuzz/targets/contract_file.rs"]
mod contract_file;
#[path = "../fuzz/targets/frame.rs"]
mod frame;
#[path = "../fuzz/targets/json.rs"]
mod json;
#[path = "../fuzz/targets/mapping_file.rs"]
mod mapping_file;

const CHECKPOINT: &str = "example.com/pumps\n5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\
     \u{2014} example.com/pumps AAAAAAAA\n";

/// A string with some of it written over.
fn nearly(text: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..4));
    prop::collection::vec(change, 0..4).prop_map(move |changes| {
        let mut bytes = text.as_bytes().to_vec();
        for (at, with) in changes {
            let at = at.index(bytes.len());
            let end = (at + with.len()).min(bytes.len());
            bytes.splice(at..end, with);
        }
        bytes
    })
}

const TELEMETRY: &str = r#"{"d":{"assetID":"C1","temperature":20.5,"location":[1,-0,1e3]},"ts":7}"#;
const MAPPING: &str =
    "mapping: m\nmatch: {topic: t}\ncontract: c\nfunction: update\nfields: {a: $.payload.d}\n";
const CONTRACT: &str = "contract: c\nkey: a\nrules: {alerts: [{name: HOT, when: state.t > 1}]}\n";

proptest! {
    #[test]
    fn bytes_are_read_or_refused(
        bytes in prop_oneof![
            nearly(TELEMETRY), nearly(CHECKPOINT), prop::collection::vec(any::<u8>(), 0..300),
        ],
    ) {
        json::target(&bytes);
        frame::target(&bytes);
        checkpoint::target(&bytes);
    }

    #[test]
    fn files_are_read_or_refused(mapping in nearly(MAPPING), contract in nearly(CONTRACT)) {
        mapping_file::target(&String::from_utf8_lossy(&mapping));
        contract_file::target(&String::from_utf8_lossy(&contract));
    }

    #[test]
    fn records_are_taken_or_rejected(
        topic: u8,
        key: Option<Vec<u8>>,
        value in prop::option::of(nearly(TELEMETRY)),
        headers in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        body::target((topic, key, value, headers));
    }
}

// Behind the targets, so that they take it as what it stands for.
/// Makes a function of a target.
#[macro_export]
macro_rules! fuzz_target {
    (|$input:ident: $form:ty| $body:block) => {
        pub fn target($input: $form) $body
    };
}
