//! Checkpoints, verifier keys and tile paths: texts that auditors and their tools hand over.
#![no_main]

use ledgerline::ledger::checkpoint::{Checkpoint, parse_verifier_key, verifier_key};
use ledgerline::ledger::tiles::TilePath;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(checkpoint) = Checkpoint::unverified(bytes) {
        assert!(!checkpoint.origin.is_empty());
        assert!(Checkpoint::open(bytes, &checkpoint.origin, &[]).is_err(), "no key has signed");
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok((origin, key)) = parse_verifier_key(text) {
        assert_eq!(verifier_key(&origin, &key), text.trim_end());
    }
    if let Some(tile) = TilePath::parse(text) {
        assert_eq!(tile.to_string(), text, "one path of a tile");
    }
});
