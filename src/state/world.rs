//! World state: the newest value of every asset.
//!
//! Written behind: changes gather in memory, each key once, and go to the store with every savepoint.
//! Reads look at what has gathered, then at what is being written, then at the store, so they always
//! see every block that was taken in.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::codec::Digest;
use crate::contract::Asset;
use crate::ledger::embedded::{DurableState, StateOf};
use crate::ledger::{Block, Entry, LedgerReader};
use crate::limits::OVERLAY_STEP;
use crate::state::alerts::{ActiveAlerts, Since};
use crate::state::filter::Filter;
use crate::state::overlay::Overlay;
use crate::state::savepoint::{Mark, Place, Savepoint};
use crate::state::store::{AssetKey, Store, Stored, holds_files, set_aside};
use crate::state::{Projection, StateError, Totals};
use crate::transaction::Transaction;

/// An asset with its key and version.
#[derive(Debug, Clone)]
pub struct StoredAsset {
    /// Name of the contract.
    pub contract: Arc<str>,
    /// Key within the contract.
    pub key: String,
    /// Index of the entry that wrote it.
    pub version: u64,
    /// The state.
    pub asset: Asset,
}

#[derive(Debug, Default)]
struct Layers {
    gathered: Overlay,
    writing: Arc<Overlay>,
    place: Place,
    /// Blocks that the newest savepoint holds.
    saved_blocks: u64,
    alerts: ActiveAlerts,
}

/// The projection.
#[derive(Debug)]
pub struct World {
    path: PathBuf,
    layers: RwLock<Layers>,
    store: Store,
    /// What the store holds. Locked while a savepoint is written: one at a time.
    held: Mutex<Savepoint>,
}

/// What opening the state found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    New,
    /// A store that fits the log.
    Usable,
    /// A store that does not; it was set aside, with the reason.
    Unusable(String),
}

impl World {
    /// Opens the state next to a ledger. A store that is damaged, older in form, ahead of the log or
    /// of another ledger is set aside.
    pub fn open(path: &Path, ledger: &dyn LedgerReader) -> Result<(Self, Found), StateError> {
        let is_there = holds_files(path);
        let opened = Store::open(path).and_then(|opened| {
            check_place(&opened.1, ledger)?;
            // sled may take files for empty that are damaged, and then not keep what it is given.
            if is_there && opened.1 == Savepoint::default() {
                let reason = "its files hold no savepoint".to_owned();
                return Err(StateError::Store { path: path.to_owned(), reason });
            }
            Ok(opened)
        });
        let (found, (store, held, alerts)) = match opened {
            Ok(opened) if opened.1 == Savepoint::default() => (Found::New, opened),
            Ok(opened) => (Found::Usable, opened),
            Err(error @ StateError::InUse(_)) => return Err(error),
            Err(error) => {
                let reason = crate::fault::chain(&error);
                set_aside(path)?;
                (Found::Unusable(reason), Store::open(path)?)
            }
        };
        let place = held.place.clone();
        let saved_blocks = place.mark.blocks;
        let layers = Layers { place, saved_blocks, alerts, ..Layers::default() };
        let (layers, held) = (RwLock::new(layers), Mutex::new(held));
        Ok((Self { path: path.to_owned(), layers, store, held }, found))
    }

    fn read(&self) -> RwLockReadGuard<'_, Layers> {
        // A block is taken in by plain inserts; one that is cut short is never marked as taken in.
        self.layers.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Layers> {
        self.layers.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Directory of the store.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Counts over every block that was taken in.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.read().place.totals.clone()
    }

    /// Blocks that the newest savepoint holds: a start after a crash takes in those behind it.
    #[must_use]
    pub fn saved_blocks(&self) -> u64 {
        self.read().saved_blocks
    }

    fn stored(&self, contract: &str, key: &str) -> Result<Option<Stored>, StateError> {
        let layers = self.read();
        let found =
            layers.gathered.get(contract, key).or_else(|| layers.writing.get(contract, key));
        let found = found.cloned();
        drop(layers);
        match found {
            Some(stored) => Ok(Some(stored)),
            None => self.store.asset(contract, key),
        }
    }

    /// An asset; `None` where it was never written or is deleted.
    pub fn get(&self, contract: &str, key: &str) -> Result<Option<StoredAsset>, StateError> {
        Ok(self.stored(contract, key)?.and_then(|stored| stored_asset(contract, key, &stored)))
    }

    /// Index of the entry that last wrote or deleted an asset.
    pub fn newest_version(&self, contract: &str, key: &str) -> Result<Option<u64>, StateError> {
        Ok(self.stored(contract, key)?.map(|stored| stored.version))
    }

    /// Assets of a contract behind a key, in order of keys: at most `limit`, out of at most
    /// `max_scanned` that were looked at. The second value is where to go on.
    pub fn list(
        &self,
        contract: &str,
        after: Option<&str>,
        filter: &Filter,
        (limit, max_scanned): (usize, usize),
    ) -> Result<(Vec<StoredAsset>, Option<String>), StateError> {
        // The key directly behind a key is that key and a zero byte.
        let behind = |key: &str| format!("{key}\0");
        let mut from = after.map(behind).unwrap_or_default().max(filter.prefix.clone());
        let (mut page, mut last, mut scanned) = (Vec::new(), None, 0);
        loop {
            // First the overlay, then the store: what is saved in between is found in one of them.
            let (overlay, horizon) = self.overlay(contract, &from);
            let merged = Merge {
                overlay: overlay.into_iter().peekable(),
                stored: self.store.assets(contract, &from).peekable(),
            };
            for pair in merged {
                let (key, stored) = pair?;
                if horizon.as_ref().is_some_and(|horizon| key > *horizon) {
                    break;
                }
                if !key.starts_with(&filter.prefix) {
                    return Ok((page, None));
                }
                if page.len() == limit || scanned == max_scanned {
                    return Ok((page, last));
                }
                let asset = stored_asset(contract, &key, &stored);
                page.extend(asset.filter(|asset| filter.holds(&key, &asset.asset)));
                last = Some(key);
                scanned += 1;
            }
            match horizon {
                None => return Ok((page, None)),
                Some(horizon) => from = behind(&horizon),
            }
        }
    }

    /// The next assets of a contract that are not in the store yet, from a key on. The second value is
    /// the key up to which these are all; `None` for all there are. Few at a time: while they are
    /// copied, no block is taken in.
    fn overlay(&self, contract: &str, from: &str) -> (BTreeMap<String, Stored>, Option<String>) {
        let layers = self.read();
        let mut merged = BTreeMap::new();
        let mut horizon: Option<String> = None;
        for layer in [&*layers.writing, &layers.gathered] {
            let taken = layer.range(contract, from).take(OVERLAY_STEP);
            let taken: Vec<_> =
                taken.map(|(key, stored)| (key.to_string(), stored.clone())).collect();
            if let (OVERLAY_STEP, Some((end, _))) = (taken.len(), taken.last()) {
                let nearer = horizon.as_ref().is_none_or(|horizon| end < horizon);
                horizon = if nearer { Some(end.clone()) } else { horizon };
            }
            merged.extend(taken);
        }
        (merged, horizon)
    }

    /// Assets with an active alert, in order of contract and key.
    pub fn alerts(
        &self,
        after: Option<&AssetKey>,
        limit: usize,
    ) -> Result<(Vec<StoredAsset>, Option<AssetKey>), StateError> {
        let candidates = self.read().alerts.behind(after, limit + 1);
        let mut page = Vec::new();
        let mut last = None;
        for (number, candidate) in candidates.into_iter().enumerate() {
            if number == limit {
                return Ok((page, last));
            }
            let asset = self.get(&candidate.0, &candidate.1)?;
            page.extend(asset.filter(|asset| !asset.asset.alerts.active.is_empty()));
            last = Some(candidate);
        }
        Ok((page, None))
    }

    /// Active alerts of an asset, each with the time of the event that raised it, in milliseconds
    /// since 1970.
    #[must_use]
    pub fn alerts_since(&self, contract: &str, key: &str) -> Vec<Since> {
        self.read().alerts.of(contract, key).to_vec()
    }

    /// Number of assets with an active alert.
    #[must_use]
    pub fn assets_with_alerts(&self) -> usize {
        self.read().alerts.assets()
    }

    /// Assets with each active alert, by contract and alert.
    #[must_use]
    pub fn alert_counts(&self) -> BTreeMap<(Arc<str>, Box<str>), u64> {
        self.read().alerts.counts().clone()
    }
}

/// What has gathered over what is stored, in order of keys.
struct Merge<I: Iterator<Item = Result<(String, Stored), StateError>>> {
    overlay: Peekable<std::collections::btree_map::IntoIter<String, Stored>>,
    stored: Peekable<I>,
}

impl<I: Iterator<Item = Result<(String, Stored), StateError>>> Iterator for Merge<I> {
    type Item = Result<(String, Stored), StateError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some((over, _)) = self.overlay.peek() else { return self.stored.next() };
        match self.stored.peek() {
            Some(Err(_)) => self.stored.next(),
            Some(Ok((stored, _))) if stored < over => self.stored.next(),
            Some(Ok((stored, _))) => {
                if stored == over {
                    self.stored.next();
                }
                self.overlay.next().map(Ok)
            }
            None => self.overlay.next().map(Ok),
        }
    }
}

fn stored_asset(contract: &str, key: &str, stored: &Stored) -> Option<StoredAsset> {
    let asset = Asset::from_bytes(stored.value.as_deref()?).ok()?;
    let version = stored.version;
    Some(StoredAsset { contract: contract.into(), key: key.to_owned(), version, asset })
}

/// A savepoint must name blocks of this very log.
fn check_place(savepoint: &Savepoint, ledger: &dyn LedgerReader) -> Result<(), StateError> {
    for Mark { blocks, block_hash } in
        [Some(savepoint.place.mark), savepoint.begun].iter().flatten()
    {
        let Some(number) = blocks.checked_sub(1) else { continue };
        let hash = match number + 1 == ledger.head().height {
            true => ledger.head().block_hash,
            false => ledger.block(number)?.header.hash(),
        };
        if hash != *block_hash {
            return Err(StateError::NotNext { number, savepoint: *block_hash });
        }
    }
    Ok(())
}

impl Projection for World {
    fn name(&self) -> &'static str {
        "state"
    }

    fn next_block(&self) -> u64 {
        self.read().place.mark.blocks
    }

    fn apply(&self, block: &Block) -> Result<(), StateError> {
        let mut layers = self.write();
        let Mark { blocks, block_hash } = layers.place.mark;
        let previous = if blocks == 0 { Digest::default() } else { block_hash };
        if block.header.number != blocks || block.header.previous != previous {
            let (number, savepoint) = (block.header.number, block_hash);
            return Err(StateError::NotNext { number, savepoint });
        }
        let Layers { gathered, alerts, .. } = &mut *layers;
        for (version, entry) in block.indexed_entries() {
            let Entry::Transaction { transaction, writes, .. } = entry else { continue };
            let Transaction { contract, time_ms, .. } = &**transaction;
            for write in writes {
                alerts.take_in(contract, &write.key, write.value.as_deref(), *time_ms);
                let stored = Stored { version, value: write.value.clone() };
                gathered.put(contract, &write.key, stored);
            }
        }
        layers.place.totals.add(block);
        layers.place.entries = block.header.tree_size;
        layers.place.mark = Mark { blocks: blocks + 1, block_hash: block.header.hash() };
        Ok(())
    }

    /// Changed assets.
    fn gathered(&self) -> usize {
        self.read().gathered.len()
    }

    fn savepoint(&self) -> Result<(), StateError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        // Up to there the alerts may be those of newer assets, and not agree with what is gathered.
        let next = self.next_block();
        if held.begun.is_some_and(|begun| begun.blocks > next) {
            return Ok(());
        }
        self.store.check_space(self.read().gathered.bytes())?;
        let mut layers = self.write();
        // What a failed savepoint left is written again, under what has gathered since.
        let mut writing = (*std::mem::take(&mut layers.writing)).clone();
        writing.extend(std::mem::take(&mut layers.gathered));
        layers.writing = Arc::new(writing);
        let writing = layers.writing.clone();
        let place = layers.place.clone();
        let alerts = layers.alerts.clone();
        drop(layers);
        self.store.save(writing.iter(), &alerts, &place, &mut held)?;
        let mut layers = self.write();
        layers.writing = Arc::default();
        layers.saved_blocks = place.mark.blocks;
        Ok(())
    }
}

impl DurableState for World {
    fn newest(&self, contract: &str, key: &str) -> Result<Option<StateOf>, String> {
        let stored = self.stored(contract, key).map_err(|error| crate::fault::chain(&error))?;
        let Some(Stored { version, value }) = stored else { return Ok(None) };
        let asset = value.as_deref().map(Asset::from_bytes).transpose();
        let asset = asset.map_err(|error| format!("the state of `{key}`: {error}"))?;
        Ok(Some((version, asset.map(Arc::new))))
    }

    fn applied_entries(&self) -> u64 {
        self.read().place.entries
    }
}
