//! Savepoints of the state: some assets at a time, each as it is then.

use std::sync::{Arc, PoisonError};

use super::World;
use crate::codec::json::Text;
use crate::follower::Follower;
use crate::state::StateError;
use crate::state::savepoint::{Mark, Place, Savepoint};
use crate::state::store::{Change, Store, Stored};

/// Savepoints: one at a time.
#[derive(Debug)]
pub(super) struct Saving {
    /// The store's current savepoint.
    pub held: Savepoint,
    /// Target of the savepoint in progress.
    pub aim: Option<Place>,
}

impl World {
    /// A step of a savepoint; whether it was the last.
    pub(super) fn step(&self) -> Result<bool, StateError> {
        // In memory there is nothing to be made lasting.
        let Some(store) = self.store.get() else { return Ok(true) };
        let mut saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let Saving { held, aim } = &mut *saving;
        // Up to there the alerts may be those of newer assets, and not agree with what is in memory.
        let next = self.next_block();
        if held.begun.is_some_and(|begun| begun.blocks > next) {
            return Ok(true);
        }
        let place = match aim {
            Some(place) => place,
            None => aim.insert(self.begin_savepoint(store)?),
        };
        let (changes, mark) = self.still_to_write();
        if !changes.is_empty() {
            *held = store.write(&changes, held.begin(mark))?;
            self.written(&changes);
            return Ok(false);
        }
        *held = store.write(&[], held.complete(place))?;
        store.flush()?;
        self.write().saved_blocks = place.mark.blocks;
        *aim = None;
        Ok(true)
    }

    /// Whatever savepoint is under way, the next step begins one of all that was taken in.
    pub(super) fn begin_anew(&self) {
        self.saving.lock().unwrap_or_else(PoisonError::into_inner).aim = None;
    }

    /// Begins a savepoint of everything applied so far. Returns its target.
    fn begin_savepoint(&self, store: &Store) -> Result<Place, StateError> {
        store.check_space(self.read().resident.unsaved_bytes() as u64)?;
        let mut layers = self.write();
        layers.resident.begin();
        Ok(layers.place.clone())
    }

    /// The contents of the next batch, and the newest block that may have written some of it.
    fn still_to_write(&self) -> (Vec<Change>, Mark) {
        let layers = self.read();
        let changes = layers.resident.still_to_write(self.room.batch_assets);
        let change = |(contract, key, stored): (&Arc<str>, &Text, &Stored)| Change {
            contract: contract.clone(),
            key: key.clone(),
            stored: stored.clone(),
            alerts: layers.alerts.of(contract, key).to_vec(),
        };
        (changes.map(change).collect(), layers.place.mark)
    }

    fn written(&self, changes: &[Change]) {
        let mut layers = self.write();
        for Change { contract, key, stored, .. } in changes {
            layers.resident.written(contract, key, stored.version);
        }
        layers.resident.let_go(self.room.bytes);
    }
}
