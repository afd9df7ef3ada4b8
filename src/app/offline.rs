//! Read access to a ledger that may be at rest or in use: takes no lock, writes nothing in its
//! folder.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::app::{AppError, Observe};
use crate::diagnostic::chain;
use crate::disk::{ScratchFolder, SystemDisk};
use crate::follower::{Follower, FollowerError};
use crate::ledger::Block;
use crate::ledger::embedded::{
    self, EmbeddedReader, KeptCheckpoint, check_kept, default_checkpoint_copy, read_kept,
    require_kept,
};
use crate::pipeline::catch_up;
use crate::query::Queries;
use crate::state::{Room, STATE_DIRECTORY, StateError, World};

/// A log, opened to be looked at.
pub struct OpenedLog {
    /// Reads it.
    pub reader: Arc<EmbeddedReader>,
    /// Notes for the user.
    pub notes: Vec<String>,
    /// A checkpoint that was kept outside the folder covers what the log does not have.
    pub is_cut_short: bool,
}

/// A ledger and its state, opened to be looked at.
pub struct Looking {
    /// Answers questions.
    pub queries: Queries,
    /// The log.
    pub log: OpenedLog,
    /// Holds what of the state does not fit into memory.
    _folder: Option<ScratchFolder>,
}

/// Opens a ledger to look at it. The state is folded from the log: the store beside it may be of any
/// time, belong to a running service, or say what the log does not.
pub fn look(
    directory: &Path,
    kept_checkpoint: Option<&Path>,
    observe: Observe<'_>,
) -> Result<Looking, AppError> {
    look_within(directory, kept_checkpoint, Room::default(), observe)
}

/// The same with another bound on memory.
pub fn look_within(
    directory: &Path,
    kept_checkpoint: Option<&Path>,
    room: Room,
    observe: Observe<'_>,
) -> Result<Looking, AppError> {
    let mut log = open_log(directory, kept_checkpoint, observe)?;
    let scratch = Scratch { world: World::in_memory(room), folder: OnceLock::new() };
    let reader = log.reader.clone();
    catch_up(&*reader, &scratch, &mut |done, all| observe("building the state", done, all))?;
    let Scratch { world, folder } = scratch;
    let folder = folder.into_inner();
    if let Some(folder) = &folder {
        let place = folder.path().display();
        log.notes.push(format!("the state does not fit into memory; a part of it is in {place}"));
    }
    Ok(Looking { queries: Queries::new(reader, Arc::new(world)), log, _folder: folder })
}

/// Opens the log only, and compares it with the checkpoint that is kept outside its folder, by default
/// in `DIRECTORY.checkpoint`.
pub fn open_log(
    directory: &Path,
    kept_checkpoint: Option<&Path>,
    observe: Observe<'_>,
) -> Result<OpenedLog, AppError> {
    let mut notes = Vec::new();
    // Before the log, which may be growing.
    let kept = kept(directory, kept_checkpoint, &mut notes)?;
    let read = &mut |done, all| observe("reading the log", done, all);
    let (reader, torn) = embedded::open_to_look(directory, read)?;
    if let Some(torn) = torn {
        notes.push(format!(
            "{}: {} bytes follow the last complete block and are not shown: an interrupted write, or one \
             in progress",
            torn.path.display(),
            torn.bytes
        ));
    }
    let checked = kept.map_or(Ok(0), |kept| check_kept(&kept, &reader));
    let is_cut_short = checked.is_err();
    notes.extend(checked.err().map(|error| chain(&error)));
    Ok(OpenedLog { reader, notes, is_cut_short })
}

fn kept(
    directory: &Path,
    path: Option<&Path>,
    notes: &mut Vec<String>,
) -> Result<Option<KeptCheckpoint>, AppError> {
    let by_default = || read_kept(&SystemDisk, &default_checkpoint_copy(directory));
    match path.map_or_else(by_default, |path| require_kept(path).map(Some)) {
        Ok(kept) => Ok(kept),
        Err(error) if path.is_some() => Err(error.into()),
        Err(error) => {
            notes.push(format!("the kept checkpoint was not compared: {}", chain(&error)));
            Ok(None)
        }
    }
}

/// A state that is folded for one look: in memory, and in a temporary folder once it is too large.
struct Scratch {
    world: World,
    folder: OnceLock<ScratchFolder>,
}

impl Follower for Scratch {
    fn name(&self) -> &str {
        self.world.name()
    }

    fn next_block(&self) -> u64 {
        self.world.next_block()
    }

    fn saved_block(&self) -> u64 {
        self.world.saved_block()
    }

    fn apply(&self, block: &Block) -> Result<(), FollowerError> {
        self.world.apply(block)
    }

    fn is_full(&self) -> bool {
        self.world.is_full()
    }

    fn save_some(&self) -> Result<bool, FollowerError> {
        self.world.save_some()
    }

    /// Nothing needs to last, so only what is too much for the memory is written.
    fn savepoint(&self) -> Result<(), FollowerError> {
        if !self.is_full() {
            return Ok(());
        }
        if self.world.is_in_memory() {
            let doing = "creating a folder for the state in";
            let io = |error| StateError::Io { doing, path: std::env::temp_dir(), error };
            let folder = ScratchFolder::new().map_err(io)?;
            self.world.spill_into(folder.path())?;
            // There is none yet.
            let _ = self.folder.set(folder);
        }
        self.world.savepoint()
    }
}

/// A folder under the system's temporary one, which goes with its value.
pub fn temporary_folder() -> Result<ScratchFolder, AppError> {
    let path = std::env::temp_dir();
    let doing = "creating a folder in";
    ScratchFolder::new().map_err(|error| AppError::Io { doing, path, error })
}

/// Deletes the state and builds it again from the log; the number of blocks taken in.
pub fn rebuild(directory: &Path, observe: Observe<'_>) -> Result<u64, AppError> {
    let _lock = embedded::lock(directory)?;
    let read = &mut |done, all| observe("reading the log", done, all);
    let reader = embedded::open_read_only(directory, read)?;
    let path = directory.join(STATE_DIRECTORY);
    let removing = |error| AppError::Io { doing: "removing", path: path.clone(), error };
    if path.exists() {
        std::fs::remove_dir_all(&path).map_err(removing)?;
    }
    let (world, _) = World::open(&path, &*reader)?;
    catch_up(&*reader, &world, &mut |done, all| observe("building the state", done, all))?;
    Ok(world.next_block())
}
