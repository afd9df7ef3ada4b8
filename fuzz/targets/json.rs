//! JSON texts: whatever is taken, another library takes too, with the same value, and writing it
//! and reading it back changes nothing. Whatever of it is wanted, the same texts are taken.
#![no_main]

use ledgerline::codec::json::{self, Value, Wanted};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let whole = json::parse(bytes);
    let mut wanted = Wanted::NOTHING;
    wanted.add(["a"]);
    wanted.add(["b", "c"]);
    let part = json::parse_wanted(bytes, &wanted);
    assert_eq!(part.as_ref().err(), whole.as_ref().err(), "taken alike");
    let (Ok(value), Ok(part)) = (whole, part) else { return };
    let kept = |value: &Value| (value["a"].clone(), value["b"]["c"].clone());
    assert_eq!(kept(&part), kept(&value), "what is wanted is the same");
    let written = value.to_bytes();
    assert_eq!(json::parse(&written).as_ref(), Ok(&value), "it comes back");
    let theirs: serde_json::Value = serde_json::from_slice(bytes).expect("taken by both");
    assert_eq!(serde_json::Value::from(&value), theirs, "the same value");
});
