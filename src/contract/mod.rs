//! Contracts: functions and rules over an asset's state, declared in YAML, executed without IO or
//! time. A contract runs once, when its transaction is appended; replay applies what it decided.

mod asset;
mod verdict;

pub use asset::{Alerts, Asset};
pub use verdict::{InvalidCode, Verdict};

use std::sync::Arc;

use serde_json::Value;

use crate::call::Function;
use crate::codec::Digest;

/// One compiled contract.
#[derive(Debug)]
pub struct Contract {
    /// Unique name; also the namespace of its assets.
    pub name: Arc<str>,
    /// Version, raised by its author with every change of the text.
    pub version: u32,
    /// The text of its YAML document, as it goes into the ledger.
    pub text: Arc<str>,
    /// SHA-256 of the text.
    pub digest: Digest,
}

/// An asset's state and the ledger entry that wrote it.
#[derive(Debug, Clone)]
pub struct Versioned {
    /// Index of the entry in the ledger's tree.
    pub version: u64,
    /// The state.
    pub asset: Arc<Asset>,
}

/// The state that a contract sees: everything that was decided before, durable or not.
pub trait StateView {
    /// The asset of a contract with this key.
    fn asset(&self, contract: &str, key: &str) -> Option<Versioned>;
}

/// One call.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// What to do.
    pub function: Function,
    /// The payload, an object.
    pub arguments: &'a Value,
    /// When the event happened, in milliseconds since 1970.
    pub time_ms: i64,
}

/// One change that a contract decided.
#[derive(Debug, Clone)]
pub struct Write {
    /// Key of the asset within its contract.
    pub key: String,
    /// The new state; `None` deletes the asset.
    pub asset: Option<Arc<Asset>>,
    /// Version that it replaces; `None` where the asset did not exist.
    pub replaced: Option<u64>,
}

/// What a call came to.
#[derive(Debug, Clone)]
pub struct Effects {
    /// Valid, or why not.
    pub verdict: Verdict,
    /// The changes; none where the verdict is invalid.
    pub writes: Vec<Write>,
}

impl Contract {
    /// Carries out one call on the state. Never fails: what goes wrong is a verdict.
    #[must_use]
    pub fn execute(&self, call: Call<'_>, state: &dyn StateView) -> Effects {
        let _ = (call, state);
        unimplemented!()
    }
}

/// Every contract of a configuration.
#[derive(Debug, Default)]
pub struct ContractSet {
    contracts: std::collections::BTreeMap<Arc<str>, Contract>,
}

impl ContractSet {
    /// The contract with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Contract> {
        self.contracts.get(name)
    }
}
