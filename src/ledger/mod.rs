//! The ledger: blocks of entries, the tree over them, and its reader and writer traits.
//!
//! Readers of a ledger find everything here; only code that opens a log names [`embedded`].
//!
//! The log of blocks is the only truth. Nothing here forgets an acknowledged byte, and nothing
//! decides twice: verdicts and writes stand in the block and are applied, never computed again.

pub mod tree;

pub mod checkpoint;
pub mod proof;
pub mod tiles;

pub mod keys;

mod entry;
mod leaf;
mod pending;
mod records;

pub mod block;

pub mod embedded;

pub use block::{Block, BlockFormat, Header};
pub use embedded::{
    EmbeddedReader, KeptCheckpoint, check_kept, default_checkpoint_copy, log, read_kept,
    require_kept,
};
pub use entry::{Definition, DefinitionKind, Entry, StoredWrite, leaf_bytes};
pub use leaf::Leaf;
pub use pending::{DurableState, PendingView, StateOf};
pub use records::{DeadLetter, Filtered, LastRecord, Progress, Records, SubmissionSeal};

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::codec::{DecodeError, Digest};
use crate::contract::Verdict;
use crate::event::{SourcePartition, SourcePosition};
use crate::transaction::{Submission, SubmissionError};

/// A unit of work for the ledger, which becomes durable in one step.
#[derive(Debug, Default)]
pub struct Work {
    /// Definitions to record, before the transactions.
    pub definitions: Vec<Definition>,
    /// Signed transactions.
    pub submissions: Vec<Submission>,
    /// Source progress of everything in this work.
    pub progress: Vec<Progress>,
    /// Records that no mapping matched.
    pub filtered: Vec<Filtered>,
    /// Records that could not become a transaction.
    pub dead_letters: Vec<DeadLetter>,
}

/// The result of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Transaction id; `None` for a definition.
    pub id: Option<SourcePosition>,
    /// Block number.
    pub block: u64,
    /// Number of the entry, from 0.
    pub entry: u64,
    /// The contract's verdict.
    pub verdict: Verdict,
}

/// The newest durable block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Number of blocks; the newest has the number `height - 1`.
    pub height: u64,
    /// Entries.
    pub entries: u64,
    /// Leaves of the tree: entries, and one for each block since format 2.
    pub tree_size: u64,
    /// Root of the tree.
    pub tree_root: Digest,
    /// Hash of the newest block's header.
    pub block_hash: Digest,
    /// Its time, in milliseconds since 1970.
    pub time_ms: i64,
}

/// A promise of receipts.
pub trait Pending: Send {
    /// Waits until the work is durable. It is never answered before.
    fn wait(self: Box<Self>) -> Result<Vec<Receipt>, LedgerError>;

    /// The time at which the work became durable, on the monotonic clock; `None` until then. Does
    /// not wait.
    fn durable_at(&mut self) -> Option<Duration>;
}

/// The one writer of a ledger.
pub trait LedgerWriter: Send {
    /// Name of the ledger, which every signature covers.
    fn name(&self) -> &str;

    /// Executes and appends. MUST keep the order of calls, MUST put the progress into the same
    /// durable step as the transactions it belongs to, and MUST push back (block) when its queue is
    /// full. It returns when the work has its place; [`Pending::wait`] tells when it is durable.
    fn append(&mut self, work: Work) -> Result<Box<dyn Pending>, LedgerError>;

    /// Why it takes nothing more, once it has halted. Also asked where there is nothing to append.
    fn check(&self) -> Result<(), LedgerError>;
}

/// Reads durable blocks. Shared by followers, monitor and commands.
pub trait LedgerReader: Send + Sync {
    /// Name of the ledger.
    fn name(&self) -> &str;

    /// The newest durable block.
    fn head(&self) -> Head;

    /// One block.
    fn block(&self, number: u64) -> Result<Arc<Block>, LedgerError>;

    /// Bytes of the largest block, before it is decoded.
    fn largest_block(&self) -> usize;

    /// Waits until the ledger has at least this many blocks or the time is over; the head then.
    fn wait_for(&self, height: u64, wait: Duration) -> Head;

    /// Number of the block that holds an entry.
    fn block_of_entry(&self, entry: u64) -> Option<u64>;

    /// Numbers of the blocks whose progress covers a record, at most one.
    fn block_of_record(&self, partition: &SourcePartition, offset: u64) -> Option<u64>;

    /// Numbers of blocks below `before` that hold dead letters, newest first.
    fn blocks_with_dead_letters(&self, before: u64, limit: usize) -> Vec<u64>;

    /// Next offset of each partition that was ever read.
    fn progress(&self) -> Vec<(SourcePartition, u64)>;
}

/// An error of a ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A file operation failed.
    #[error("{doing} {path}")]
    Io {
        /// The operation.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// The system's error.
        #[source]
        error: std::io::Error,
    },
    /// Another process has the ledger open.
    #[error(
        "the ledger in {0} is in use by another process; a ledger has one writer: stop the other process first"
    )]
    Locked(PathBuf),
    /// No ledger in the directory.
    #[error("{0} is not a ledger (it has no `log` directory); `ledgerline run` creates one")]
    Absent(PathBuf),
    /// The ledger has another name than configured.
    #[error(
        "the ledger in {directory} is named `{found}`, the configuration says `{expected}`; signatures cover the name, so it cannot be changed"
    )]
    Name {
        /// The ledger's directory.
        directory: PathBuf,
        /// Its name.
        found: String,
        /// The configured name.
        expected: String,
    },
    /// The ledger is in a format that this program does not know.
    #[error(
        "the ledger is in format `{0}`, this program reads formats up to {newest}; use a newer version of Ledgerline",
        newest = BlockFormat::NEWEST.name()
    )]
    Format(String),
    /// Bytes in the middle of the log are damaged.
    #[error(
        "{path} is damaged at byte {offset} ({reason}), and intact blocks follow; nothing was changed. Restore this file from a copy, then run `ledgerline verify` on the ledger"
    )]
    Damaged {
        /// Segment file.
        path: PathBuf,
        /// The byte offset in it.
        offset: u64,
        /// The problem at this offset.
        reason: String,
    },
    /// Blocks do not follow from one another.
    #[error("block {number}: {reason}; run `ledgerline verify` on the ledger for a full report")]
    Inconsistent {
        /// Block number.
        number: u64,
        /// The inconsistency.
        reason: String,
    },
    /// The ledger is older than a checkpoint that was given out.
    #[error(
        "the ledger ends at tree size {found}, but {path} holds a signed checkpoint of tree size {signed}: this is an old copy of the ledger, or its end was damaged. Restore the newer copy; continuing would create two histories under one name"
    )]
    RolledBack {
        /// The checkpoint kept outside.
        path: PathBuf,
        /// Its size.
        signed: u64,
        /// Entries here.
        found: u64,
    },
    /// The key is not the one that the ledger registered.
    #[error("{0}")]
    Key(String),
    /// A definition cannot be recorded.
    #[error("{0}")]
    Definition(String),
    /// A submission is not taken.
    #[error(transparent)]
    Submission(#[from] SubmissionError),
    /// No such block.
    #[error("there is no block {number}; the ledger has {height}")]
    NoBlock {
        /// Asked for.
        number: u64,
        /// Blocks there are.
        height: u64,
    },
    /// A block's bytes are not what a writer gives.
    #[error("block {number} cannot be read")]
    Decode {
        /// Block number.
        number: u64,
        /// Why.
        #[source]
        error: DecodeError,
    },
    /// The writer has stopped after a failure that must not be retried.
    #[error("the ledger has halted: {0}")]
    Halted(String),
}
