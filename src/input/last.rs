//! The last record that a ledger took of a partition: by it a start can tell whether the partition
//! is still the one that was read. Offsets alone cannot, once a topic that was deleted and made again
//! has grown past the position.

use std::sync::Arc;

use crate::codec::Digest;
use crate::event::SourcePartition;

/// Offset and digest of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastTaken {
    /// Offset.
    pub offset: u64,
    /// Digest of the whole record, see [`crate::event::RecordDigests::record`].
    pub digest: Digest,
}

/// Asks a ledger for the last record that it took of a partition; `None` where it took none or does
/// not say.
pub type LastTakenOf = Arc<dyn Fn(&SourcePartition) -> Option<LastTaken> + Send + Sync>;
