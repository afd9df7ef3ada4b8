//! JSON texts: whatever is taken, another library takes too, with the same value, and writing it
//! and reading it back changes nothing.
#![no_main]

use ledgerline::codec::json;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = json::parse(bytes) else { return };
    let written = value.to_bytes();
    assert_eq!(json::parse(&written).as_ref(), Ok(&value), "it comes back");
    let theirs: serde_json::Value = serde_json::from_slice(bytes).expect("taken by both");
    assert_eq!(serde_json::Value::from(&value), theirs, "the same value");
});
