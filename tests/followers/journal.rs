//! A follower as small as they come: a file with a line for each block. This file and the line that adds
//! it are all it takes.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use ledgerline::follower::{Follower, FollowerError};
use ledgerline::ledger::Block;

/// The follower.
pub struct Journal {
    folder: PathBuf,
    inner: Mutex<Inner>,
}

struct Inner {
    file: File,
    next: u64,
    saved: u64,
}

impl Journal {
    /// Goes on from the savepoint in this folder: blocks and bytes of the file. What came after it is
    /// cut off, and is taken in again.
    pub fn open(folder: &Path) -> std::io::Result<Self> {
        let (saved, bytes) = savepoint(folder);
        let options = &mut OpenOptions::new();
        let options = options.create(true).truncate(false).write(true);
        let mut file = options.open(folder.join("journal"))?;
        file.set_len(bytes)?;
        file.seek(SeekFrom::End(0))?;
        let inner = Mutex::new(Inner { file, next: saved, saved });
        Ok(Self { folder: folder.to_owned(), inner })
    }
}

/// The savepoint in a folder: blocks, and bytes of the file that hold them.
pub fn savepoint(folder: &Path) -> (u64, u64) {
    let text = std::fs::read_to_string(folder.join("savepoint")).unwrap_or_default();
    let mut words = text.split(' ').filter_map(|word| word.parse().ok());
    (words.next().unwrap_or(0), words.next().unwrap_or(0))
}

impl Follower for Journal {
    fn name(&self) -> &str {
        "journal"
    }

    fn next_block(&self) -> u64 {
        self.inner.lock().unwrap().next
    }

    fn saved_block(&self) -> u64 {
        self.inner.lock().unwrap().saved
    }

    fn apply(&self, block: &Block) -> Result<(), FollowerError> {
        if self.folder.join("closed").exists() {
            return Err(FollowerError::Held("the journal is closed".to_owned()));
        }
        let mut inner = self.inner.lock().unwrap();
        let line = format!("{} {}\n", block.header.number, block.header.hash());
        inner.file.write_all(line.as_bytes()).map_err(FollowerError::failed)?;
        inner.next = block.header.number + 1;
        Ok(())
    }

    fn save_some(&self) -> Result<bool, FollowerError> {
        let mut inner = self.inner.lock().unwrap();
        inner.file.sync_all().map_err(FollowerError::failed)?;
        let bytes = inner.file.stream_position().map_err(FollowerError::failed)?;
        let new = self.folder.join("savepoint.new");
        std::fs::write(&new, format!("{} {bytes}", inner.next)).map_err(FollowerError::failed)?;
        std::fs::rename(&new, self.folder.join("savepoint")).map_err(FollowerError::failed)?;
        inner.saved = inner.next;
        Ok(true)
    }
}
