//! World state: the newest value of every asset.
//!
//! Written behind: changes gather in memory, each key once, and go to the store with every savepoint,
//! some at a time while further blocks are taken in. Reads look into the memory, then into the store, so
//! they always see every block that was taken in.

mod saving;

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::codec::Digest;
use crate::contract::Asset;
use crate::follower::{Follower, FollowerError, Retry};
use crate::ledger::{Block, DurableState, Entry, LedgerReader, StateOf};
use crate::limits::{MAX_RESIDENT_BYTES, MAX_UNSAVED_BYTES, STATE_BATCH_ASSETS, UNSAVED_STEP};
use crate::state::alerts::{ActiveAlerts, AlertNames, Since};
use crate::state::filter::Filter;
use crate::state::resident::Resident;
use crate::state::savepoint::{Mark, Place, Savepoint};
use crate::state::store::{AssetKey, Store, Stored, holds_files, set_aside};
use crate::state::{StateError, Totals};
use crate::transaction::Transaction;
use saving::Saving;

/// An asset with its key and version.
#[derive(Debug, Clone)]
pub struct StoredAsset {
    /// Name of the contract.
    pub contract: Arc<str>,
    /// Key within the contract.
    pub key: String,
    /// Number of the entry that wrote it.
    pub version: u64,
    /// The state.
    pub asset: Asset,
}

#[derive(Debug, Default)]
struct Layers {
    resident: Resident,
    place: Place,
    /// Blocks that the newest savepoint holds.
    saved_blocks: u64,
    alerts: ActiveAlerts,
}

/// The world state, which is a follower of the log.
#[derive(Debug)]
pub struct World {
    path: PathBuf,
    layers: RwLock<Layers>,
    /// Absent as long as all is in memory, which only a state has that is folded to be looked at.
    store: OnceLock<Store>,
    room: Room,
    saving: Mutex<Saving>,
}

/// Memory limit of the state, and the batch size of writes to the store.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Bytes of assets; with more of them, those that the store holds are read from it.
    pub bytes: usize,
    /// Bytes of assets that the store does not hold, from which on a savepoint is due.
    pub unsaved_bytes: usize,
    /// Assets that go to the store in one batch.
    pub batch_assets: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            bytes: MAX_RESIDENT_BYTES,
            unsaved_bytes: MAX_UNSAVED_BYTES,
            batch_assets: STATE_BATCH_ASSETS,
        }
    }
}

/// The result of opening the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    New,
    /// A store that fits the log.
    Usable,
    /// A store that does not; it was set aside, with the reason.
    Unusable(String),
}

/// Limits of a scan over assets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanLimits {
    /// Assets that are returned at most.
    pub limit: usize,
    /// Assets that are looked at, at most.
    pub max_scanned: usize,
}

impl World {
    /// The name of this follower.
    pub const NAME: &'static str = "state";

    /// Opens the state next to a ledger. A store that is damaged, older in form, ahead of the log or
    /// of another ledger is set aside.
    pub fn open(path: &Path, ledger: &dyn LedgerReader) -> Result<(Self, Found), StateError> {
        Self::open_within(path, ledger, Room::default())
    }

    /// The same with another bound on memory.
    pub fn open_within(
        path: &Path,
        ledger: &dyn LedgerReader,
        room: Room,
    ) -> Result<(Self, Found), StateError> {
        let is_there = holds_files(path);
        let opened = Store::open(path).and_then(|opened| {
            check_place(&opened.1, ledger)?;
            // sled may take files for empty that are damaged, and then not keep what it is given.
            if is_there && opened.1 == Savepoint::default() {
                let reason = "its files contain no savepoint".to_owned();
                return Err(StateError::Store { path: path.to_owned(), reason });
            }
            Ok(opened)
        });
        let (found, (store, held, alerts)) = match opened {
            Ok(opened) if opened.1 == Savepoint::default() => (Found::New, opened),
            Ok(opened) => (Found::Usable, opened),
            Err(error @ StateError::InUse(_)) => return Err(error),
            Err(error) => {
                let reason = crate::diagnostic::chain(&error);
                set_aside(path)?;
                (Found::Unusable(reason), Store::open(path)?)
            }
        };
        let place = held.place.clone();
        let saved_blocks = place.mark.blocks;
        let layers = Layers { place, saved_blocks, alerts, ..Layers::default() };
        let (layers, saving) = (RwLock::new(layers), Mutex::new(Saving { held, aim: None }));
        let (path, store) = (path.to_owned(), OnceLock::from(store));
        Ok((Self { path, layers, store, room, saving }, found))
    }

    /// A state in memory alone, of no block so far. Once it is full it needs a store to go on: see
    /// [`World::spill_into`].
    #[must_use]
    pub fn in_memory(room: Room) -> Self {
        let saving = Saving { held: Savepoint::default(), aim: None };
        let (layers, saving) = (RwLock::default(), Mutex::new(saving));
        Self { path: PathBuf::new(), layers, store: OnceLock::new(), room, saving }
    }

    /// Gives a state in memory a new store in an empty folder. Nothing of it is there before the next
    /// savepoint.
    pub fn spill_into(&self, path: &Path) -> Result<(), StateError> {
        let (store, ..) = Store::open(path)?;
        // One that has a store keeps it.
        let _ = self.store.set(store);
        Ok(())
    }

    /// True if everything is in memory.
    #[must_use]
    pub fn is_in_memory(&self) -> bool {
        self.store.get().is_none()
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

    fn stored(&self, contract: &str, key: &str) -> Result<Option<Stored>, StateError> {
        let found = self.read().resident.get(contract, key).cloned();
        match found {
            Some(stored) => Ok(Some(stored)),
            None => match self.store.get() {
                Some(store) => store.asset(contract, key),
                None => Ok(None),
            },
        }
    }

    /// An asset; `None` where it was never written or is deleted.
    pub fn get(&self, contract: &str, key: &str) -> Result<Option<StoredAsset>, StateError> {
        match self.stored(contract, key)? {
            Some(stored) => stored_asset(contract, key, &stored),
            None => Ok(None),
        }
    }

    /// Number of the entry that last wrote or deleted an asset.
    pub fn newest_version(&self, contract: &str, key: &str) -> Result<Option<u64>, StateError> {
        Ok(self.stored(contract, key)?.map(|stored| stored.version))
    }

    /// Assets of a contract behind a key, in order of keys, within limits. The second value is the
    /// cursor of the next page.
    pub fn list(
        &self,
        contract: &str,
        after: Option<&str>,
        filter: &Filter,
        ScanLimits { limit, max_scanned }: ScanLimits,
    ) -> Result<(Vec<StoredAsset>, Option<String>), StateError> {
        // The key directly behind a key is that key and a zero byte.
        let behind = |key: &str| format!("{key}\0");
        let mut from = after.map(behind).unwrap_or_default().max(filter.prefix.clone());
        let (mut page, mut last, mut scanned) = (Vec::new(), None, 0);
        loop {
            // First the memory, then the store: what is saved in between is found in one of them. Few
            // at a time: while they are copied, no block is taken in.
            let (unsaved, horizon) =
                self.read().resident.unsaved_from(contract, &from, UNSAVED_STEP);
            let stored = self.store.get().map(|store| store.assets(contract, &from));
            let merged = Merge {
                unsaved: unsaved.into_iter().peekable(),
                stored: stored.into_iter().flatten().peekable(),
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
                let asset = stored_asset(contract, &key, &stored)?;
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

    /// Bytes of memory that assets take.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.read().resident.bytes()
    }

    /// Changed assets that the store does not hold.
    #[must_use]
    pub fn unsaved_assets(&self) -> usize {
        self.read().resident.unsaved()
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

    /// Assets with alerts, by contract and the alerts that they have together: each asset once.
    #[must_use]
    pub fn assets_by_alerts(&self) -> BTreeMap<(Arc<str>, AlertNames), u64> {
        self.read().alerts.together().clone()
    }
}

/// Merges unsaved assets over stored ones, in order of keys.
struct Merge<I: Iterator<Item = Result<(String, Stored), StateError>>> {
    unsaved: Peekable<std::collections::btree_map::IntoIter<String, Stored>>,
    stored: Peekable<I>,
}

impl<I: Iterator<Item = Result<(String, Stored), StateError>>> Iterator for Merge<I> {
    type Item = Result<(String, Stored), StateError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some((over, _)) = self.unsaved.peek() else { return self.stored.next() };
        match self.stored.peek() {
            Some(Err(_)) => self.stored.next(),
            Some(Ok((stored, _))) if stored < over => self.stored.next(),
            Some(Ok((stored, _))) => {
                if stored == over {
                    self.stored.next();
                }
                self.unsaved.next().map(Ok)
            }
            None => self.unsaved.next().map(Ok),
        }
    }
}

/// An asset that is stored; `None` where it is deleted.
fn stored_asset(
    contract: &str,
    key: &str,
    stored: &Stored,
) -> Result<Option<StoredAsset>, StateError> {
    let Some(bytes) = stored.value.as_deref() else { return Ok(None) };
    let asset = Asset::from_bytes(bytes).map_err(|error| StateError::Unreadable {
        contract: contract.to_owned(),
        key: key.escape_debug().to_string(),
        reason: error.to_string(),
    })?;
    let version = stored.version;
    Ok(Some(StoredAsset { contract: contract.into(), key: key.to_owned(), version, asset }))
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

impl Follower for World {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn next_block(&self) -> u64 {
        self.read().place.mark.blocks
    }

    fn saved_block(&self) -> u64 {
        self.read().saved_blocks
    }

    fn apply(&self, block: &Block) -> Result<(), FollowerError> {
        let mut layers = self.write();
        let Mark { blocks, block_hash } = layers.place.mark;
        let previous = if blocks == 0 { Digest::default() } else { block_hash };
        if block.header.number != blocks || block.header.previous != previous {
            let (number, savepoint) = (block.header.number, block_hash);
            return Err(StateError::NotNext { number, savepoint }.into());
        }
        let Layers { resident, alerts, .. } = &mut *layers;
        for (version, entry) in block.numbered_entries() {
            let Entry::Transaction { transaction, writes, .. } = entry else { continue };
            let Transaction { contract, time_ms, .. } = &**transaction;
            for write in writes {
                alerts.take_in(contract, &write.key, write.value.as_deref(), *time_ms);
                let stored = Stored { version, value: write.value.clone() };
                resident.put(contract, &write.key, stored);
            }
        }
        layers.place.totals.add(block);
        layers.place.entries = block.header.entries_end;
        layers.place.mark = Mark { blocks: blocks + 1, block_hash: block.header.hash() };
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.read().resident.unsaved_bytes() >= self.room.unsaved_bytes
    }

    fn save_some(&self) -> Result<bool, FollowerError> {
        Ok(self.step()?)
    }

    fn savepoint(&self) -> Result<(), FollowerError> {
        self.begin_anew();
        while !self.step()? {}
        Ok(())
    }

    /// Space on its disk.
    fn retry(&self) -> Retry {
        Retry::LOCAL
    }

    /// Contracts are executed over it.
    fn is_essential(&self) -> bool {
        true
    }
}

impl DurableState for World {
    fn newest(&self, contract: &str, key: &str) -> Result<Option<StateOf>, String> {
        let stored =
            self.stored(contract, key).map_err(|error| crate::diagnostic::chain(&error))?;
        let Some(Stored { version, value }) = stored else { return Ok(None) };
        let asset = value.as_deref().map(Asset::from_bytes).transpose();
        let asset = asset.map_err(|error| format!("the state of `{key}`: {error}"))?;
        Ok(Some((version, asset.map(Arc::new))))
    }

    fn applied_entries(&self) -> u64 {
        self.read().place.entries
    }
}
