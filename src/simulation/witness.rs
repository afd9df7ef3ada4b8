//! A follower that only notes which blocks it saw: across all deaths each of them once, and in order.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::codec::Digest;
use crate::disk::{Disk, read_whole, replace};
use crate::follower::{Follower, FollowerError};
use crate::ledger::{Block, LedgerReader};

/// Bytes that a witness of a whole simulation is far below.
const MAX_NOTE_BYTES: usize = 1 << 20;
const DIGEST_BYTES: usize = size_of::<Digest>();

/// The follower.
pub(crate) struct Witness {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    /// Hashes of the blocks, in the order in which they came.
    seen: Vec<[u8; DIGEST_BYTES]>,
    /// The number of them in the file.
    saved: usize,
}

impl Witness {
    /// Goes on from what its file holds, which is written in one piece.
    pub(crate) fn open(disk: &Arc<dyn Disk>, path: &Path) -> io::Result<Self> {
        let bytes = match read_whole(&**disk, path, MAX_NOTE_BYTES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        let (seen, _) = bytes.as_chunks::<DIGEST_BYTES>();
        let notes = Mutex::new(Notes { seen: seen.to_vec(), saved: seen.len() });
        Ok(Self { disk: disk.clone(), path: path.to_owned(), notes })
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks that its records are a prefix of the log.
    pub(crate) fn check(&self, reader: Option<&dyn LedgerReader>) -> Result<(), String> {
        let notes = self.notes();
        for (number, seen) in (0..).zip(&notes.seen) {
            let block = reader.map(|reader| reader.block(number)).transpose();
            let block =
                block.map_err(|error| format!("the witness saw block {number}: {error}"))?;
            if block.is_none_or(|block| block.header.hash().0 != *seen) {
                return Err(format!("in the place of block {number} the witness saw another"));
            }
        }
        Ok(())
    }
}

impl Follower for Witness {
    fn name(&self) -> &str {
        "witness"
    }

    fn next_block(&self) -> u64 {
        self.notes().seen.len() as u64
    }

    fn saved_block(&self) -> u64 {
        self.notes().saved as u64
    }

    fn apply(&self, block: &Block) -> Result<(), FollowerError> {
        self.notes().seen.push(block.header.hash().0);
        Ok(())
    }

    fn save_some(&self) -> Result<bool, FollowerError> {
        let mut notes = self.notes();
        let held = |error: io::Error| FollowerError::Held(error.to_string());
        replace(&*self.disk, &self.path, notes.seen.as_flattened()).map_err(held)?;
        notes.saved = notes.seen.len();
        Ok(true)
    }
}
