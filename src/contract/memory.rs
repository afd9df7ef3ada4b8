//! In-memory state, for the tests in contract files, benchmarks and dry runs.

use std::collections::BTreeMap;

use crate::contract::{Effects, StateView, Versioned};

/// Assets by contract and key. Each set of effects counts as one entry of a ledger.
#[derive(Debug, Clone, Default)]
pub struct MemoryState {
    assets: BTreeMap<(String, String), Versioned>,
    entries: u64,
}

impl MemoryState {
    /// A state without assets.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in what a call of a contract came to.
    pub fn apply(&mut self, contract: &str, effects: &Effects) {
        for write in &effects.writes {
            let place = (contract.to_owned(), write.key.to_string());
            match &write.asset {
                Some(asset) => {
                    let asset = Versioned { version: self.entries, asset: asset.clone() };
                    self.assets.insert(place, asset);
                }
                None => {
                    self.assets.remove(&place);
                }
            }
        }
        self.entries += 1;
    }
}

impl StateView for MemoryState {
    fn asset(&self, contract: &str, key: &str) -> Option<Versioned> {
        self.assets.get(&(contract.to_owned(), key.to_owned())).cloned()
    }
}
