//! Assets in memory: all that the store does not hold yet, and of the others those that were there
//! first, as long as there is space.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use crate::codec::json::Text;
use crate::limits::{RESIDENT_ASSET_BYTES, STATE_BATCH_ASSETS};
use crate::state::store::Stored;

/// Contract and key. A key stands in each order itself: to follow a pointer for each that is compared
/// takes longer, as hardly any of a million is in the processor's cache.
type Name = (Arc<str>, Text);

/// Assets by contract, of which there are few.
#[derive(Debug, Default)]
pub struct Resident {
    contracts: BTreeMap<Arc<str>, Assets>,
    /// Each of them once: in this order they are let go.
    queue: VecDeque<Name>,
    bytes: usize,
    unsaved_bytes: usize,
    unsaved: usize,
}

/// Assets of one contract. An asset that the store does not hold stands in one of the two orders.
#[derive(Debug, Default)]
struct Assets {
    newest: HashMap<Text, Slot>,
    /// Assets changed since the current savepoint began.
    changed: BTreeSet<Text>,
    /// Assets that the current savepoint has yet to write.
    writing: BTreeSet<Text>,
}

#[derive(Debug)]
struct Slot {
    stored: Stored,
    /// The store holds it.
    is_saved: bool,
}

/// The map, one of the two orders and the queue.
const KEY_COPIES: usize = 3;

fn bytes(key: &str, stored: &Stored) -> usize {
    RESIDENT_ASSET_BYTES
        + KEY_COPIES * key.len()
        + stored.value.as_ref().map_or(0, |value| value.len())
}

impl Resident {
    /// Takes in the newest value of an asset.
    pub fn put(&mut self, contract: &Arc<str>, key: &str, stored: Stored) {
        if !self.contracts.contains_key(contract) {
            self.contracts.insert(contract.clone(), Assets::default());
        }
        let Some(assets) = self.contracts.get_mut(contract) else { return };
        let now = bytes(key, &stored);
        let Some(slot) = assets.newest.get_mut(key) else {
            let key = Text::new(key);
            assets.newest.insert(key.clone(), Slot { stored, is_saved: false });
            assets.changed.insert(key.clone());
            self.queue.push_back((contract.clone(), key));
            self.bytes += now;
            self.unsaved_bytes += now;
            self.unsaved += 1;
            return;
        };
        let before = bytes(key, &slot.stored);
        slot.stored = stored;
        self.bytes = self.bytes + now - before;
        if std::mem::take(&mut slot.is_saved) {
            assets.changed.insert(Text::new(key));
            self.unsaved_bytes += now;
            self.unsaved += 1;
        } else {
            self.unsaved_bytes = self.unsaved_bytes + now - before;
        }
    }

    /// The newest value of an asset, where it is here.
    #[must_use]
    pub fn get(&self, contract: &str, key: &str) -> Option<&Stored> {
        Some(&self.contracts.get(contract)?.newest.get(key)?.stored)
    }

    /// Some assets of a contract that the store does not hold, from a key on, and the key up to which
    /// these are all; `None` for all there are.
    #[must_use]
    pub fn unsaved_from(
        &self,
        contract: &str,
        from: &str,
        step: usize,
    ) -> (BTreeMap<String, Stored>, Option<String>) {
        let (mut some, mut horizon) = (BTreeMap::new(), None::<&Text>);
        let Some(assets) = self.contracts.get(contract) else { return (some, None) };
        for order in [&assets.writing, &assets.changed] {
            let behind = order.range::<str, _>((Bound::Included(from), Bound::Unbounded));
            let taken: Vec<_> = behind.take(step).collect();
            if let (true, Some(end)) = (taken.len() == step, taken.last()) {
                horizon = Some(horizon.map_or(*end, |horizon| horizon.min(*end)));
            }
            let slots = taken.iter().filter_map(|key| Some((key, assets.newest.get(*key)?)));
            some.extend(slots.map(|(key, slot)| (key.to_string(), slot.stored.clone())));
        }
        (some, horizon.map(|key| key.to_string()))
    }

    /// Begins a savepoint of all that the store does not hold.
    pub fn begin(&mut self) {
        for assets in self.contracts.values_mut() {
            assets.writing.append(&mut assets.changed);
        }
    }

    /// The first so many assets that the savepoint has still to write, a contract's in order of keys.
    pub fn still_to_write(
        &self,
        count: usize,
    ) -> impl Iterator<Item = (&Arc<str>, &Text, &Stored)> {
        self.contracts.iter().flat_map(|(contract, assets)| assets.to_write(contract)).take(count)
    }

    /// Takes note that the store holds what an entry wrote of an asset.
    pub fn written(&mut self, contract: &str, key: &str, version: u64) {
        let Some(assets) = self.contracts.get_mut(contract) else { return };
        let Some(slot) = assets.newest.get_mut(key) else { return };
        let Some(key) = assets.writing.take(key) else { return };
        if slot.stored.version != version {
            assets.changed.insert(key);
            return;
        }
        slot.is_saved = true;
        self.unsaved_bytes -= bytes(&key, &slot.stored);
        self.unsaved -= 1;
    }

    /// Lets some go that the store holds, where all take more bytes than this.
    pub fn let_go(&mut self, max_bytes: usize) {
        // What changed meanwhile stays, for a savepoint to come. Few are looked at: readers wait.
        for _ in 0..2 * STATE_BATCH_ASSETS {
            if self.bytes <= max_bytes {
                return;
            }
            let Some(name) = self.queue.pop_front() else { return };
            let Some(assets) = self.contracts.get_mut(&name.0) else { continue };
            match assets.newest.get(&name.1) {
                Some(slot) if slot.is_saved => {
                    self.bytes -= bytes(&name.1, &slot.stored);
                    assets.newest.remove(&name.1);
                }
                Some(_) => self.queue.push_back(name),
                None => {}
            }
        }
    }

    /// Number of assets that the store does not hold.
    #[must_use]
    pub fn unsaved(&self) -> usize {
        self.unsaved
    }

    /// Bytes of all.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of those that the store does not hold.
    #[must_use]
    pub fn unsaved_bytes(&self) -> usize {
        self.unsaved_bytes
    }
}

impl Assets {
    fn to_write<'a>(
        &'a self,
        contract: &'a Arc<str>,
    ) -> impl Iterator<Item = (&'a Arc<str>, &'a Text, &'a Stored)> {
        let stored = move |key| Some((contract, key, &self.newest.get(key)?.stored));
        self.writing.iter().filter_map(stored)
    }
}
