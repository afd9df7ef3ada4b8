//! Read access to a store: opened from a copy, so that nothing in a ledger's folder changes.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::disk::{ScratchFolder, open_regular, require_directory, space};
use crate::limits::{MAX_STATE_COPY_BYTES, MAX_STATE_COPY_FILES, MIN_STATE_SPACE_BYTES};
use crate::state::StateError;

/// The file of a store that its user holds a lock on.
const LOCKED_FILE: &str = "db";
/// Times that a store in use is tried, as its threads hold the lock for a moment after its last user
/// has gone, and the pause between these.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
    let path = path.to_owned();
    move |error| StateError::Io { doing, path, error }
}

fn not_copied(path: &Path, reason: String) -> StateError {
    StateError::NotCopied { path: path.to_owned(), reason }
}

/// Copies a store that nobody uses into a folder of its own. Whatever in it is neither a regular file
/// nor a directory is refused.
pub fn copy(store: &Path) -> Result<ScratchFolder, StateError> {
    require_directory(store).map_err(io_error("reading", store))?;
    require_unused(store)?;
    let files = files(store)?;
    let all = files.iter().fold(0_u64, |sum, (_, size)| sum.saturating_add(*size));
    let folder = ScratchFolder::new();
    let no_folder = |error: io::Error| {
        let place = std::env::temp_dir();
        not_copied(
            store,
            format!("cannot create a temporary folder in {}: {error}", place.display()),
        )
    };
    let folder = folder.map_err(no_folder)?;
    let free = space(folder.path()).map_or(u64::MAX, |space| space.free_bytes);
    if all > MAX_STATE_COPY_BYTES.min(free.saturating_sub(MIN_STATE_SPACE_BYTES)) {
        let place = folder.path().parent().unwrap_or(folder.path()).display();
        return Err(not_copied(
            store,
            format!("its {all} bytes do not fit into a copy in {place}"),
        ));
    }
    for (name, size) in &files {
        let (from, to) = (store.join(name), folder.path().join(name));
        copy_file(&from, &to, *size).map_err(io_error("copying", &from))?;
    }
    // It may have been opened meanwhile.
    require_unused(store)?;
    Ok(folder)
}

fn copy_file(from: &Path, to: &Path, size: u64) -> io::Result<()> {
    if let Some(above) = to.parent() {
        fs::create_dir_all(above)?;
    }
    let file = open_regular(from, OpenOptions::new().read(true))?;
    io::copy(&mut file.take(size), &mut File::create_new(to)?).map(drop)
}

/// The regular files of a store and of the directories in it, each with its size.
fn files(store: &Path) -> Result<Vec<(PathBuf, u64)>, StateError> {
    let mut files = Vec::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(below) = directories.pop() {
        let directory = store.join(&below);
        let reading = || io_error("reading", &directory);
        for entry in fs::read_dir(&directory).map_err(reading())? {
            let entry = entry.map_err(reading())?;
            let name = below.join(entry.file_name());
            let metadata = entry.metadata().map_err(reading())?;
            // A store has one level of directories.
            match (metadata.is_dir(), metadata.is_file()) {
                (true, _) if below.as_os_str().is_empty() => directories.push(name),
                (_, true) => files.push((name, metadata.len())),
                _ => {
                    let path = store.join(name);
                    let reason = "it is neither a regular file nor a directory of a state store";
                    let error = io::Error::new(io::ErrorKind::InvalidInput, reason);
                    return Err(io_error("reading", &path)(error));
                }
            }
            if files.len() + directories.len() > MAX_STATE_COPY_FILES {
                let reason = format!("it has more than {MAX_STATE_COPY_FILES} files");
                return Err(not_copied(store, reason));
            }
        }
    }
    Ok(files)
}

/// Refuses a store that someone has open.
fn require_unused(store: &Path) -> Result<(), StateError> {
    let path = store.join(LOCKED_FILE);
    let file = match open_regular(&path, OpenOptions::new().read(true)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error("reading", &path)(error)),
    };
    for tries_left in (0..LOCK_TRIES).rev() {
        // Given back at once: who opens the store would else be told that it is in use.
        match file.try_lock_shared().map(|()| file.unlock()) {
            Ok(_) => return Ok(()),
            Err(TryLockError::WouldBlock) if tries_left > 0 => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => return Err(StateError::InUse(store.to_owned())),
            // A file system without locks: what was copied in the middle of a change does not fit
            // its savepoint.
            Err(TryLockError::Error(_)) => return Ok(()),
        }
    }
    Ok(())
}
