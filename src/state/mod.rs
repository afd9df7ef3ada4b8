//! Folds over the log: world state in sled, totals, history, alerts. None of them is the truth: each
//! may be deleted at any time and is built again from the log.

mod alerts;
mod copy;
mod filter;
mod known;
mod resident;
mod savepoint;
mod store;
mod totals;

pub mod history;
pub mod world;

pub use alerts::{ActiveAlerts, AlertNames, Since};
pub use filter::Filter;
pub use savepoint::{Fingerprint, Mark, Member, Place, Savepoint};
pub use store::{Rest, StoreSummary, member, summary};
pub use totals::Totals;
pub use world::{Room, StoredAsset, World};

use std::path::PathBuf;

use crate::codec::{DecodeError, Digest};
use crate::follower::FollowerError;
use crate::ledger::LedgerError;

/// Folder of the world state within a ledger's directory.
pub const STATE_DIRECTORY: &str = "state";

/// Why a fold cannot go on. It is then set aside and built again.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The store failed.
    #[error("the state store in {path}: {reason}")]
    Store {
        /// Its directory.
        path: PathBuf,
        /// The store's error.
        reason: String,
    },
    /// The disk is nearly full. Nothing was written; it may be tried again.
    #[error(
        "not enough disk space for the state store in {path}; the state is saved once there is"
    )]
    NoSpace {
        /// Its directory.
        path: PathBuf,
    },
    /// Another process has it open.
    #[error("the state store in {0} is in use by another process; try again when it has stopped")]
    InUse(PathBuf),
    /// It could not be copied to be looked at.
    #[error("the state store in {path} was not compared: {reason}")]
    NotCopied {
        /// Its directory.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A file operation failed.
    #[error("{doing} {path}")]
    Io {
        /// The operation.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// The system's error.
        #[source]
        error: std::io::Error,
    },
    /// An asset's bytes are not those of an asset.
    #[error("the state of `{key}` of `{contract}` cannot be read by this version: {reason}")]
    Unreadable {
        /// Its contract.
        contract: String,
        /// Its key.
        key: String,
        /// The problem.
        reason: String,
    },
    /// A value is not what was written.
    #[error("the state store holds a value that cannot be read")]
    Decode(#[from] DecodeError),
    /// A block does not follow from what was taken in before.
    #[error("block {number} does not follow the savepoint's block, whose hash is {savepoint}")]
    NotNext {
        /// Number of the block.
        number: u64,
        /// Hash of the newest block that was taken in.
        savepoint: Digest,
    },
    /// The log could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<StateError> for FollowerError {
    fn from(error: StateError) -> Self {
        match error {
            error @ StateError::NoSpace { .. } => Self::Held(error.to_string()),
            StateError::Ledger(error) => Self::Ledger(error),
            error => Self::failed(error),
        }
    }
}
