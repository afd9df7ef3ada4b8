//! The newest checkpoint, kept outside the ledger's directory: who restores an old copy of the ledger
//! is told, and does not give it a second history under the same name.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{Disk, SystemDisk, read_whole, replace};
use crate::ledger::checkpoint::Checkpoint;
use crate::ledger::embedded::EmbeddedReader;
use crate::ledger::keys::{LEDGER_ROLE, key_of};
use crate::ledger::{LedgerError, LedgerReader};
use crate::limits::MAX_CHECKPOINT_BYTES;

/// Keeps a signed checkpoint in a file, whole at any time: no ledger fits an empty one.
pub fn keep_checkpoint(disk: &dyn Disk, path: &Path, note: &str) -> io::Result<()> {
    replace(disk, path, note.as_bytes())
}

/// A checkpoint that was kept outside a ledger's directory.
#[derive(Debug, Clone)]
pub struct KeptCheckpoint {
    /// Its file.
    pub path: PathBuf,
    /// The signed note.
    pub note: Vec<u8>,
}

/// Default place of the checkpoint copy of a ledger: `DIRECTORY.checkpoint`.
#[must_use]
pub fn default_checkpoint_copy(directory: &Path) -> PathBuf {
    // Without a slash at its end; `.` and `..` have no name that anything could be put behind.
    let mut path: PathBuf = directory.components().collect();
    if path.file_name().is_none() {
        path = path.canonicalize().unwrap_or(path);
    }
    let mut path = path.into_os_string();
    path.push(".checkpoint");
    path.into()
}

/// Reads a kept checkpoint; `None` where there is none. Whoever compares it with a log that grows
/// reads it first.
pub fn read_kept(disk: &dyn Disk, path: &Path) -> Result<Option<KeptCheckpoint>, LedgerError> {
    match read_whole(disk, path, MAX_CHECKPOINT_BYTES) {
        Ok(note) => Ok(Some(KeptCheckpoint { path: path.to_owned(), note })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LedgerError::Io {
            doing: "reading the checkpoint kept in",
            path: path.to_owned(),
            error,
        }),
    }
}

/// Reads a checkpoint that was asked for.
pub fn require_kept(path: &Path) -> Result<KeptCheckpoint, LedgerError> {
    let absent = || LedgerError::Io {
        doing: "reading the checkpoint kept in",
        path: path.to_owned(),
        error: io::ErrorKind::NotFound.into(),
    };
    read_kept(&SystemDisk, path)?.ok_or_else(absent)
}

/// Compares a ledger with the checkpoint that was kept of it; the entries that it covers.
pub fn check_kept(kept: &KeptCheckpoint, shared: &EmbeddedReader) -> Result<u64, LedgerError> {
    let KeptCheckpoint { path, note } = kept;
    let ever: Vec<_> = shared
        .definitions()
        .iter()
        .filter(|(_, definition)| definition.name == LEDGER_ROLE)
        .filter_map(|(_, definition)| key_of(definition))
        .collect();
    let head = shared.head();
    let signed = Checkpoint::unverified(note).map_or(0, |checkpoint| checkpoint.size);
    let rolled_back =
        || LedgerError::RolledBack { path: path.clone(), signed, found: head.tree_size };
    if signed > head.tree_size {
        return Err(rolled_back());
    }
    let opened = Checkpoint::open(note, shared.name(), &ever);
    let fits =
        opened.is_ok_and(|kept| shared.root_at(kept.size).is_ok_and(|root| root == kept.root));
    if fits {
        return Ok(signed);
    }
    Err(LedgerError::Inconsistent {
        number: head.height,
        reason: format!(
            "the checkpoint kept in {} is not one of this ledger's own: the ledger was replaced or \
             forked. Keep both copies and find out which one was published; remove that file only if this ledger is the right one",
            path.display()
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checkpoint_is_kept_beside_the_directory() {
        for directory in ["/var/ledger", "/var/ledger/", "/var/./ledger//"] {
            let kept = default_checkpoint_copy(Path::new(directory));
            assert_eq!(kept, Path::new("/var/ledger.checkpoint"), "{directory}");
        }
        assert_eq!(default_checkpoint_copy(Path::new("ledger")), Path::new("ledger.checkpoint"));
        let here = Path::new(".").canonicalize().unwrap();
        for here_too in [".", "./", "src/.."] {
            let kept = default_checkpoint_copy(Path::new(here_too));
            assert_eq!(kept, default_checkpoint_copy(&here), "{here_too}");
        }
    }
}
