//! State that the writer's thread publishes and all readers share.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use crate::codec::Digest;
use crate::disk::Disk;
use crate::event::SourcePartition;
use crate::ledger::block::{self, BlockOutline};
use crate::ledger::embedded::executor::BuiltBlock;
use crate::ledger::embedded::index::Index;
use crate::ledger::embedded::log::{self, Location, Segment};
use crate::ledger::tree::{Frontier, LeafSource, Tree, TreeError};
use crate::ledger::{Block, Definition, Head, LastRecord, LedgerError, LedgerReader, leaf_bytes};
use crate::timing::TimeCounts;
use crate::transaction::{KeyId, leaf_hash};

/// Counters of the writer, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriterCounts {
    /// Group commits.
    pub commits: u64,
    /// Blocks.
    pub blocks: u64,
    /// Bytes of the log.
    pub bytes: u64,
    /// Time in write and sync of each commit.
    pub times: TimeCounts,
    /// The slowest commit.
    pub slowest: Duration,
}

/// The health of the writer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriterHealth {
    /// Why it stopped for good.
    pub halted: Option<String>,
    /// Why it waits: the disk is full.
    pub full: Option<String>,
}

/// Readers' side of an embedded ledger.
#[derive(Debug)]
pub struct EmbeddedReader {
    disk: Arc<dyn Disk>,
    name: Arc<str>,
    directory: PathBuf,
    index: RwLock<Index>,
    tree: Tree,
    status: Mutex<(WriterCounts, WriterHealth)>,
    /// Height, and a bell for those who wait for it.
    height: Mutex<u64>,
    grown: Condvar,
}

/// A poisoned lock guards values that every change leaves whole, so it may be used on.
fn unpoisoned<'a, T>(
    guard: Result<MutexGuard<'a, T>, PoisonError<MutexGuard<'a, T>>>,
) -> MutexGuard<'a, T> {
    guard.unwrap_or_else(PoisonError::into_inner)
}

impl EmbeddedReader {
    /// The readers' side of a ledger that was read up to its end.
    #[must_use]
    pub fn new(
        (disk, directory): (Arc<dyn Disk>, &Path),
        name: Arc<str>,
        index: Index,
        tree: Tree,
    ) -> Self {
        let height = Mutex::new(index.height());
        Self {
            disk,
            name,
            directory: directory.to_owned(),
            index: RwLock::new(index),
            tree,
            status: Mutex::default(),
            height,
            grown: Condvar::new(),
        }
    }

    /// The ledger's directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push_segment(&self, segment: Segment) {
        self.index.write().unwrap_or_else(PoisonError::into_inner).segments.push(segment);
    }

    pub(super) fn publish(&self, built: BuiltBlock, location: Location) {
        self.tree.extend(&built.appended);
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        index.push_block(built, location);
        let height = index.height();
        drop(index);
        *unpoisoned(self.height.lock()) = height;
        self.grown.notify_all();
    }

    pub(super) fn count_commit(&self, blocks: u64, bytes: u64, took: Duration) {
        let counts = &mut unpoisoned(self.status.lock()).0;
        counts.commits += 1;
        counts.blocks += blocks;
        counts.bytes += bytes;
        counts.times.add(took);
        counts.slowest = counts.slowest.max(took);
    }

    pub(super) fn halt(&self, reason: String) {
        unpoisoned(self.status.lock()).1.halted = Some(reason);
        self.grown.notify_all();
    }

    /// Notes a full disk, or that there is space again; whether that is news.
    pub(super) fn set_full(&self, reason: Option<String>) -> bool {
        let full = &mut unpoisoned(self.status.lock()).1.full;
        let news = full.is_some() != reason.is_some();
        *full = reason;
        news
    }

    pub(super) fn halted_error(&self) -> LedgerError {
        let halted = unpoisoned(self.status.lock()).1.halted.clone();
        LedgerError::Halted(halted.unwrap_or_else(|| "its writer has stopped".to_owned()))
    }

    /// Next offset of a partition, where it was ever read.
    #[must_use]
    pub fn next_offset(&self, partition: &SourcePartition) -> Option<u64> {
        self.index().next_offset(partition)
    }

    /// The last record that was read of a partition; `None` where none was, or where all blocks that
    /// read it are of format 1.
    #[must_use]
    pub fn last_record(&self, partition: &SourcePartition) -> Option<LastRecord> {
        self.index().last_record(partition)
    }

    /// The first offset of a partition that was ever read.
    #[must_use]
    pub fn first_offset(&self, partition: &SourcePartition) -> Option<u64> {
        self.index().first_offset(partition)
    }

    /// The counters of the writer.
    #[must_use]
    pub fn counts(&self) -> WriterCounts {
        unpoisoned(self.status.lock()).0
    }

    /// The health of the writer.
    #[must_use]
    pub fn health(&self) -> WriterHealth {
        unpoisoned(self.status.lock()).1.clone()
    }

    /// Every definition with the number of its entry, in order.
    #[must_use]
    pub fn definitions(&self) -> Vec<(u64, Definition)> {
        self.index().definitions.clone()
    }

    /// The keys that may sign in a role now.
    #[must_use]
    pub fn keys_of(&self, role: &str) -> Vec<KeyId> {
        self.index().keys.of_role(role).collect()
    }

    /// The newest signed checkpoint, a C2SP signed note.
    #[must_use]
    pub fn checkpoint(&self) -> String {
        self.index().checkpoint().to_owned()
    }

    /// The right edge of the tree of the first `size` leaves.
    pub fn frontier_at(&self, size: u64) -> Result<Frontier, TreeError<LedgerError>> {
        self.tree.frontier_at(size, self)
    }

    /// Root of the first `size` leaves.
    pub fn root_at(&self, size: u64) -> Result<Digest, TreeError<LedgerError>> {
        self.tree.root_at(size, self)
    }

    /// Proof that a leaf is in the tree of the first `size` leaves.
    pub fn inclusion_proof(
        &self,
        leaf: u64,
        size: u64,
    ) -> Result<Vec<Digest>, TreeError<LedgerError>> {
        self.tree.inclusion_proof((leaf, size), self)
    }

    /// Proof that the tree of `to` leaves extends the one of `from`.
    pub fn consistency_proof(
        &self,
        from: u64,
        to: u64,
    ) -> Result<Vec<Digest>, TreeError<LedgerError>> {
        self.tree.consistency_proof((from, to), self)
    }

    /// The hashes of one tile, 32 bytes each.
    pub fn tile(
        &self,
        level: u8,
        index: u64,
        width: u16,
    ) -> Result<Vec<u8>, TreeError<LedgerError>> {
        self.tree.tile((level, index, width), self)
    }

    /// The leaves' bytes from one leaf on.
    pub fn leaves(&self, first: u64, count: usize) -> Result<Vec<Vec<u8>>, LedgerError> {
        let mut leaves = Vec::with_capacity(count);
        let mut number = self.index().block_of_leaf(first);
        while let (Some(at), true) = (number, leaves.len() < count) {
            let payload = self.payload(at)?;
            let decode = |error| LedgerError::Decode { number: at, error };
            let (outline, entries) = BlockOutline::decode(&payload).map_err(decode)?;
            let header = &outline.header;
            for (leaf, entry) in (header.first_leaf..).zip(entries) {
                let entry = entry.map_err(decode)?;
                if leaf >= first && leaves.len() < count {
                    leaves.push(leaf_bytes(entry).into_owned());
                }
            }
            if let Some(leaf) = block::own_leaf(header, &outline.seal)
                && leaves.len() < count
            {
                leaves.push(leaf);
            }
            number = (header.number + 1 < self.head().height).then_some(at + 1);
        }
        Ok(leaves)
    }

    fn payload(&self, number: u64) -> Result<Vec<u8>, LedgerError> {
        let index = self.index();
        let location = index.location(number);
        let no_block = || LedgerError::NoBlock { number, height: index.height() };
        let location = location.ok_or_else(no_block)?;
        let segment = index.segments.get(location.segment as usize).cloned();
        let segment = segment.ok_or_else(no_block)?;
        drop(index);
        log::read_block(&*self.disk, &segment, location)
    }
}

impl LeafSource for EmbeddedReader {
    type Error = LedgerError;

    fn leaf_hashes(&self, first: u64, count: usize) -> Result<Vec<Digest>, LedgerError> {
        Ok(self.leaves(first, count)?.iter().map(|leaf| leaf_hash(leaf)).collect())
    }
}

impl LedgerReader for EmbeddedReader {
    fn name(&self) -> &str {
        &self.name
    }

    fn head(&self) -> Head {
        let empty = Head {
            height: 0,
            entries: 0,
            tree_size: 0,
            tree_root: Digest::of(&[]),
            block_hash: Digest::default(),
            time_ms: 0,
        };
        self.index().head().unwrap_or(empty)
    }

    fn block(&self, number: u64) -> Result<Arc<Block>, LedgerError> {
        if let Some(block) = self.index().recent(number) {
            return Ok(block);
        }
        let payload = self.payload(number)?;
        let block = Block::decode(&payload);
        block.map(Arc::new).map_err(|error| LedgerError::Decode { number, error })
    }

    fn largest_block(&self) -> usize {
        self.index().largest_block
    }

    fn wait_for(&self, height: u64, wait: Duration) -> Head {
        let guard = unpoisoned(self.height.lock());
        let waiting = |now: &mut u64| *now < height;
        drop(self.grown.wait_timeout_while(guard, wait, waiting));
        self.head()
    }

    fn block_of_entry(&self, entry: u64) -> Option<u64> {
        self.index().block_of_entry(entry)
    }

    fn block_of_record(&self, partition: &SourcePartition, offset: u64) -> Option<u64> {
        self.index().block_of_record(partition, offset)
    }

    fn blocks_with_dead_letters(&self, before: u64, limit: usize) -> Vec<u64> {
        self.index().blocks_with_dead_letters(before, limit)
    }

    fn progress(&self) -> Vec<(SourcePartition, u64)> {
        self.index().progress()
    }
}
