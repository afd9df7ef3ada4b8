//! Contract files: a text compiles or is told its faults, each with a place.
#![no_main]

use std::path::PathBuf;

use ledgerline::contract::ContractSet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (set, diagnostics) = ContractSet::load(&[(PathBuf::from("c.yaml"), text.to_owned())]);
    for diagnostic in diagnostics {
        assert!(!diagnostic.to_string().is_empty());
    }
    let _ = set.run_tests();
});
