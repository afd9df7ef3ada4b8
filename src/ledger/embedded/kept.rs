//! The newest checkpoint, kept outside the ledger's directory: who restores an old copy of the ledger
//! is told, and does not give it a second history under the same name.

use std::io;
use std::path::Path;

use crate::disk::{Disk, read_whole, replace};
use crate::ledger::checkpoint::Checkpoint;
use crate::ledger::embedded::Shared;
use crate::ledger::embedded::keys::{LEDGER_ROLE, key_of};
use crate::ledger::{LedgerError, LedgerReader};

/// Keeps a signed checkpoint in a file, whole at any time: no ledger fits an empty one.
pub fn keep_checkpoint(disk: &dyn Disk, path: &Path, note: &str) -> io::Result<()> {
    replace(disk, path, note.as_bytes())
}

/// Compares the ledger with the checkpoint that is kept outside its directory.
pub(super) fn check_copy(disk: &dyn Disk, path: &Path, shared: &Shared) -> Result<(), LedgerError> {
    let io = |error| LedgerError::Io {
        doing: "reading the checkpoint kept in",
        path: path.to_owned(),
        error,
    };
    let note = match read_whole(disk, path) {
        Ok(note) => note,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error)),
    };
    let ever: Vec<_> = shared
        .definitions()
        .iter()
        .filter(|(_, definition)| definition.name == LEDGER_ROLE)
        .filter_map(|(_, definition)| key_of(definition))
        .collect();
    let head = shared.head();
    let signed = Checkpoint::unverified(&note).map_or(0, |checkpoint| checkpoint.size);
    let rolled_back =
        || LedgerError::RolledBack { path: path.to_owned(), signed, found: head.tree_size };
    if signed > head.tree_size {
        return Err(rolled_back());
    }
    let opened = Checkpoint::open(&note, shared.name(), &ever);
    let fits =
        opened.is_ok_and(|kept| shared.root_at(kept.size).is_ok_and(|root| root == kept.root));
    if fits {
        return Ok(());
    }
    Err(LedgerError::Inconsistent {
        number: head.height,
        reason: format!(
            "the checkpoint kept in {} is not one of this ledger's own: the ledger was replaced or \
             forked. Keep both copies and find out which one was given out; remove that file only \
             if this ledger is the right one",
            path.display()
        ),
    })
}
