//! Assets that changed and are not in the store yet: each key once, found by key and listed in order.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use crate::state::store::Stored;

/// Changed assets by contract, of which there are few.
#[derive(Debug, Clone, Default)]
pub struct Overlay {
    contracts: BTreeMap<Arc<str>, Assets>,
}

/// Changed assets of one contract. Most writes meet a key that is here already, and then the order
/// stays as it is.
#[derive(Debug, Clone, Default)]
struct Assets {
    newest: HashMap<Arc<str>, Stored>,
    order: BTreeSet<Arc<str>>,
}

impl Overlay {
    /// Takes in the newest value of an asset.
    pub fn put(&mut self, contract: &Arc<str>, key: &Arc<str>, stored: Stored) {
        if !self.contracts.contains_key(contract) {
            self.contracts.insert(contract.clone(), Assets::default());
        }
        let Some(assets) = self.contracts.get_mut(contract) else { return };
        match assets.newest.get_mut(key) {
            Some(slot) => *slot = stored,
            None => assets.add(key.clone(), stored),
        }
    }

    /// Takes in what came later.
    pub fn extend(&mut self, later: Self) {
        for (contract, later) in later.contracts {
            let assets = self.contracts.entry(contract).or_default();
            // Nearly always nothing is left of before, and what came goes over as it is.
            if assets.newest.is_empty() {
                *assets = later;
                continue;
            }
            for (key, stored) in later.newest {
                assets.add(key, stored);
            }
        }
    }

    /// The newest value of an asset, where it is here.
    #[must_use]
    pub fn get(&self, contract: &str, key: &str) -> Option<&Stored> {
        self.contracts.get(contract)?.newest.get(key)
    }

    /// Assets of a contract from a key on, in order of keys.
    pub fn range<'a>(
        &'a self,
        contract: &str,
        from: &str,
    ) -> impl Iterator<Item = (&'a Arc<str>, &'a Stored)> + use<'a> {
        let from = (Bound::Included(from), Bound::Unbounded);
        let keys =
            self.contracts.get(contract).map(|assets| (assets, assets.order.range::<str, _>(from)));
        keys.into_iter()
            .flat_map(|(assets, keys)| keys.filter_map(|key| Some((key, assets.newest.get(key)?))))
    }

    /// Contract, key and newest value of each asset, a contract's in order of keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &Stored)> {
        self.contracts.keys().flat_map(|contract| {
            self.range(contract, "").map(|(key, stored)| (&**contract, &**key, stored))
        })
    }

    /// Number of assets.
    #[must_use]
    pub fn len(&self) -> usize {
        self.contracts.values().map(|assets| assets.newest.len()).sum()
    }

    /// Bytes of their keys and values.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let value = |stored: &Stored| stored.value.as_ref().map_or(0, |value| value.len());
        self.iter().map(|(_, key, stored)| (key.len() + value(stored)) as u64).sum()
    }
}

impl Assets {
    fn add(&mut self, key: Arc<str>, stored: Stored) {
        if self.newest.insert(key.clone(), stored).is_none() {
            self.order.insert(key);
        }
    }
}
