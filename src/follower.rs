//! Followers of the log. State, dead-letter topic and all others differ only in what they do with a
//! block; the [driver](crate::pipeline::FollowerDriver) runs them all alike.
//!
//! ```
//! use std::sync::atomic::{AtomicU64, Ordering};
//!
//! use ledgerline::follower::{Follower, FollowerError};
//! use ledgerline::ledger::Block;
//!
//! /// Counts blocks, and begins again at each start.
//! #[derive(Default)]
//! struct Counter(AtomicU64);
//!
//! impl Follower for Counter {
//!     fn name(&self) -> &str {
//!         "counter"
//!     }
//!
//!     fn next_block(&self) -> u64 {
//!         self.0.load(Ordering::Relaxed)
//!     }
//!
//!     fn saved_block(&self) -> u64 {
//!         self.next_block()
//!     }
//!
//!     fn apply(&self, block: &Block) -> Result<(), FollowerError> {
//!         self.0.store(block.header.number + 1, Ordering::Relaxed);
//!         Ok(())
//!     }
//!
//!     fn save_some(&self) -> Result<bool, FollowerError> {
//!         Ok(true)
//!     }
//! }
//!
//! let followers = ledgerline::pipeline::Followers::default();
//! followers.add(std::sync::Arc::new(Counter::default()));
//! ```

use std::error::Error;
use std::time::Duration;

use crate::backoff::Backoff;
use crate::ledger::{Block, LedgerError};

/// Takes in the log's blocks, one after the other, and keeps its own place.
///
/// An implementation MUST keep its place so that, whenever it ends, taking in the blocks from there on
/// gives the result of an undisturbed run: savepoint and data are one atomic write, or what it does
/// twice has the same identity both times. It MUST do the same for the same blocks, and MUST NOT decide
/// anything that the block does not say.
pub trait Follower: Send + Sync {
    /// The name in metrics, logs, status and findings, and of its thread. It never changes, and no other
    /// follower of the process has it.
    fn name(&self) -> &str;

    /// Number of the block that it needs next.
    fn next_block(&self) -> u64;

    /// Number of the block that it would need next after a crash: the savepoint holds everything
    /// before it. This MUST NOT wait for a destination.
    fn saved_block(&self) -> u64;

    /// Takes in the next block.
    fn apply(&self, block: &Block) -> Result<(), FollowerError>;

    /// Does a step of a savepoint, which takes milliseconds and not seconds; the first begins it. After
    /// `true`, all that was taken in before the first step is lasting, together with its place. Blocks
    /// may be taken in between two steps.
    fn save_some(&self) -> Result<bool, FollowerError>;

    /// Makes everything that it took in lasting, together with its place.
    fn savepoint(&self) -> Result<(), FollowerError> {
        while !self.save_some()? {}
        Ok(())
    }

    /// True if so much is waiting for a savepoint that one is due before its time.
    fn is_full(&self) -> bool {
        false
    }

    /// The action after [`FollowerError::Held`].
    fn retry(&self) -> Retry {
        Retry::DESTINATION
    }

    /// True if the service is useless without it. A failure of an essential follower ends the
    /// service; any other ends alone, and status and findings report it until the next start
    /// resumes it.
    fn is_essential(&self) -> bool {
        false
    }
}

/// The time at which a blocked follower retries.
///
/// Once the pipeline has drained, each follower has one more attempt. What is still held up then stays
/// in the log for the next start, and is not a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Never: being held up is a failure.
    Never,
    /// After a pause, which doubles with each attempt.
    WithPauses {
        /// The first pause.
        first: Duration,
        /// The longest pause.
        longest: Duration,
    },
}

impl Retry {
    /// For a destination outside, which may be away for hours.
    pub const DESTINATION: Self =
        Self::WithPauses { first: Duration::from_secs(1), longest: Duration::from_secs(30) };
    /// For something on this machine, such as space on its disk.
    pub const LOCAL: Self =
        Self::WithPauses { first: Duration::from_secs(1), longest: Duration::from_secs(1) };

    /// The pauses between attempts; `None` where there is no further attempt.
    #[must_use]
    pub fn pauses(self) -> Option<Backoff> {
        match self {
            Self::Never => None,
            Self::WithPauses { first, longest } => Some(Backoff::new(first, longest)),
        }
    }
}

/// Why a follower does not go on.
#[derive(Debug, thiserror::Error)]
pub enum FollowerError {
    /// Something is missing for now, such as a destination or space on a disk. The follower is where its
    /// [`Follower::next_block`] says, and [`Retry`] says when it tries again.
    #[error("{0}")]
    Held(String),
    /// It cannot go on.
    #[error(transparent)]
    Failed(Box<dyn Error + Send + Sync>),
    /// The log could not be read, which ends the service.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl FollowerError {
    /// A failure that no further attempt would change.
    pub fn failed(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_has_the_pauses_that_it_names() {
        let pauses = |retry: Retry| {
            let mut pauses = retry.pauses()?;
            Some([(); 7].map(|()| pauses.pause().as_secs()))
        };
        assert_eq!(pauses(Retry::Never), None);
        assert_eq!(pauses(Retry::LOCAL), Some([1; 7]));
        assert_eq!(pauses(Retry::DESTINATION), Some([1, 2, 4, 8, 16, 30, 30]));
    }
}
