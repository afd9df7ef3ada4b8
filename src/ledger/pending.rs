//! The executor's view of the state: durable data, overlaid with undurable decisions.
//!
//! Runs ahead of durability: what was decided but the state has not taken in yet is kept here
//! and seen by the next call.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::codec::json::Text;
use crate::contract::{Asset, StateView, Versioned};
use crate::limits::MAX_PENDING_ASSETS;

/// Version of an asset, and the asset; none once it is deleted.
pub type StateOf = (u64, Option<Arc<Asset>>);

/// The state that durable blocks have written, as the state holds it.
pub trait DurableState: Send + Sync {
    /// Number of the entry that last wrote or deleted an asset, and the asset where it exists. An
    /// error halts the ledger: without the state nothing can be decided.
    fn newest(&self, contract: &str, key: &str) -> Result<Option<StateOf>, String>;

    /// Entries that it has taken in: every write of an entry below this is visible.
    fn applied_entries(&self) -> u64;
}

/// Durable state, and over it what was decided since.
pub struct PendingView {
    durable: Arc<dyn DurableState>,
    /// By contract, of which there are few.
    pending: BTreeMap<Arc<str>, HashMap<Text, StateOf>>,
    count: usize,
    /// Above this it is looked through for what may be forgotten.
    evict_above: usize,
    /// Contract, key and version of the newest look into the durable state: a call that writes what is not
    /// there asks twice.
    looked_up: RefCell<Option<(Text, Text, Option<u64>)>>,
    /// Why the durable state could not be read.
    failure: RefCell<Option<String>>,
}

impl PendingView {
    /// A view over durable state, with nothing decided since.
    #[must_use]
    pub fn over(durable: Arc<dyn DurableState>) -> Self {
        let (looked_up, failure) = (RefCell::new(None), RefCell::new(None));
        let (pending, evict_above) = (BTreeMap::new(), MAX_PENDING_ASSETS);
        Self { durable, pending, count: 0, evict_above, looked_up, failure }
    }

    /// Takes in what was decided of an asset.
    pub fn put(&mut self, contract: &Arc<str>, key: &str, asset: StateOf) {
        if !self.pending.contains_key(contract) {
            self.pending.insert(contract.clone(), HashMap::new());
        }
        let Some(assets) = self.pending.get_mut(contract) else { return };
        if assets.insert(key.into(), asset).is_none() {
            self.count += 1;
        }
    }

    /// The entry that last wrote or deleted an asset.
    #[must_use]
    pub fn newest_version(&self, contract: &str, key: &str) -> Option<u64> {
        match self.pending.get(contract).and_then(|assets| assets.get(key)) {
            Some((version, _)) => Some(*version),
            None => match &*self.looked_up.borrow() {
                Some((of, looked_up, version)) if of == contract && looked_up == key => *version,
                _ => self.durable(contract, key).map(|(version, _)| version),
            },
        }
    }

    fn durable(&self, contract: &str, key: &str) -> Option<StateOf> {
        self.durable.newest(contract, key).unwrap_or_else(|reason| {
            self.failure.replace(Some(reason));
            None
        })
    }

    /// Why the durable state could not be read, where that happened since the last question.
    #[must_use]
    pub fn take_failure(&self) -> Option<String> {
        self.failure.take()
    }

    /// Forgets what the state has taken in, once much has gathered: until then it also
    /// serves as a cache. Where they are behind and little is forgotten, it is looked through again
    /// only when as much has come: a look at each block would take longer than the block.
    pub fn evict(&mut self) {
        if self.count <= self.evict_above {
            return;
        }
        let applied = self.durable.applied_entries();
        for assets in self.pending.values_mut() {
            assets.retain(|_, (version, _)| *version >= applied);
        }
        self.count = self.pending.values().map(HashMap::len).sum();
        self.evict_above = MAX_PENDING_ASSETS.max(2 * self.count);
    }
}

impl StateView for PendingView {
    fn asset(&self, contract: &str, key: &str) -> Option<Versioned> {
        match self.pending.get(contract).and_then(|assets| assets.get(key)) {
            Some((version, asset)) => {
                let asset = asset.clone()?;
                Some(Versioned { version: *version, asset })
            }
            None => {
                let found = self.durable(contract, key);
                let version = found.as_ref().map(|(version, _)| *version);
                self.looked_up.replace(Some((contract.into(), key.into(), version)));
                let (version, asset) = found?;
                Some(Versioned { version, asset: asset? })
            }
        }
    }
}
