//! Looking at a ledger that may be at rest or in use: no lock, no change to the log.

use std::path::Path;
use std::sync::Arc;

use crate::app::{AppError, Observe};
use crate::ledger::embedded::{self, Shared};
use crate::monitor::Queries;
use crate::pipeline::catch_up;
use crate::state::{STATE_DIRECTORY, StateError, World};

/// A ledger and its state, opened to be looked at.
pub struct Looking {
    /// Answers questions.
    pub queries: Queries,
    /// Holds a state that was folded for this look only.
    _folder: Option<TemporaryFolder>,
}

/// Opens a ledger to look at it. Where a running service has the state open, it is folded from the
/// log into a temporary folder.
pub fn look(directory: &Path, observe: Observe<'_>) -> Result<Looking, AppError> {
    let reader = open_log(directory, observe)?;
    let (world, folder) = match World::open(&directory.join(STATE_DIRECTORY), &*reader) {
        Ok((world, _)) => (world, None),
        Err(StateError::InUse(_)) => {
            let folder = TemporaryFolder::new()?;
            let (world, _) = World::open(&folder.0, &*reader)?;
            (world, Some(folder))
        }
        Err(error) => return Err(error.into()),
    };
    catch_up(&*reader, &world, &mut |done, all| observe("building the state", done, all))?;
    Ok(Looking { queries: Queries::new(reader, Arc::new(world)), _folder: folder })
}

/// Opens the log only.
pub fn open_log(directory: &Path, observe: Observe<'_>) -> Result<Arc<Shared>, AppError> {
    let read = &mut |done, all| observe("reading the log", done, all);
    Ok(embedded::open_read_only(directory, read)?)
}

/// Deletes the state and builds it again from the log; the number of blocks taken in.
pub fn rebuild(directory: &Path, observe: Observe<'_>) -> Result<u64, AppError> {
    let _lock = embedded::lock(directory)?;
    let reader = open_log(directory, observe)?;
    let path = directory.join(STATE_DIRECTORY);
    let removing = |error| AppError::Io { doing: "removing", path: path.clone(), error };
    if path.exists() {
        std::fs::remove_dir_all(&path).map_err(removing)?;
    }
    let (world, _) = World::open(&path, &*reader)?;
    catch_up(&*reader, &world, &mut |done, all| observe("building the state", done, all))?;
    Ok(crate::state::Projection::next_block(&world))
}

/// A folder that goes with its value.
pub struct TemporaryFolder(pub std::path::PathBuf);

impl TemporaryFolder {
    /// Makes a folder of its own under the system's temporary one.
    pub fn new() -> Result<Self, AppError> {
        let mut random = [0; 8];
        let no_randomness = |error: getrandom::Error| AppError::Demo(error.to_string());
        getrandom::fill(&mut random).map_err(no_randomness)?;
        let path = std::env::temp_dir().join(format!("ledgerline-{}", hex::encode(random)));
        let made = std::fs::create_dir(&path);
        made.map_err(|error| AppError::Io { doing: "making", path: path.clone(), error })?;
        Ok(Self(path))
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // What is left in the system's temporary folder harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
