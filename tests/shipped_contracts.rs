//! The contracts that are shipped hold what their files say, and their samples are calls they take.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

use std::path::{Path, PathBuf};

use ledgerline::call::Function;
use ledgerline::contract::{Call, ContractSet, MemoryState};

fn shipped() -> ContractSet {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("contracts");
    let mut files: Vec<(PathBuf, String)> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read_to_string(path).unwrap()))
        .collect();
    files.sort();
    let (set, diagnostics) = ContractSet::load(&files);
    let diagnostics: String =
        diagnostics.iter().map(|diagnostic| format!("{diagnostic}\n")).collect();
    assert!(diagnostics.is_empty(), "{diagnostics}");
    set
}

#[test]
fn their_own_tests_hold() {
    let set = shipped();
    let results = set.run_tests();
    for contract in set.iter() {
        let tests = results.iter().filter(|result| *result.definition == *contract.name).count();
        assert!(tests >= 3, "{} has {tests} tests", contract.name);
    }
    let failures: String = results
        .iter()
        .filter_map(|result| {
            let failure = result.failure.as_ref()?;
            let (file, line) = (result.file.display(), result.place.line);
            Some(format!("{file}:{line}: {}: {failure}\n", result.test))
        })
        .collect();
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn their_samples_are_valid_calls() {
    for contract in shipped().iter() {
        let samples = contract.samples();
        for (function, sample) in &samples {
            let mut state = MemoryState::new();
            if *function != Function::Create {
                let call =
                    Call { function: Function::Create, arguments: &samples[0].1, time_ms: 0 };
                state.apply(&contract.name, &contract.execute(call, &state));
            }
            let call = Call { function: *function, arguments: sample, time_ms: 0 };
            let verdict = contract.execute(call, &state).verdict;
            assert!(verdict.is_valid(), "{} {function} {sample}: {verdict:?}", contract.name);
        }
    }
}
