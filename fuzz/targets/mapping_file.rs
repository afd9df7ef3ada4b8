//! Mapping files: a text compiles or is told its faults, each with a place.
#![no_main]

use std::path::PathBuf;

use ledgerline::mapping::MappingSet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (set, diagnostics) = MappingSet::from_texts(&[(PathBuf::from("m.yaml"), text.to_owned())]);
    for diagnostic in diagnostics {
        assert!(!diagnostic.to_string().is_empty());
    }
    let _ = set.run_tests();
});
