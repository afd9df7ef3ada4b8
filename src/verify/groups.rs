//! Blocks in groups, so that the signatures of many are checked together.

use std::sync::OnceLock;

use crate::ahead::Ahead;
use crate::codec::DecodeError;
use crate::ledger::block;
use crate::limits::{MAX_VERIFY_GROUP_BLOCKS, MAX_VERIFY_GROUP_BYTES};
use crate::verify::{Group, Prepared};

/// Callback for each block, in order.
type Take<'a> = &'a mut dyn FnMut(Result<Prepared, DecodeError>);

/// Gathers blocks into groups, hands these to other threads, and gives the results in order.
pub(super) struct Groups<'a, 'p> {
    pub(super) ahead: &'a mut Ahead<'p, Group<Vec<u8>>, Group<Result<Prepared, DecodeError>>>,
    pub(super) next: Group<Vec<u8>>,
    /// Bytes in `next`.
    pub(super) bytes: usize,
    /// The ledger's name, once its first block was read.
    pub(super) name: &'a OnceLock<String>,
}

impl Groups<'_, '_> {
    /// Takes in a block. The first one goes alone: it names the ledger, which every signature covers.
    pub(super) fn push(&mut self, payload: Vec<u8>, take: Take<'_>) {
        self.bytes += payload.len();
        self.next.push(payload);
        if self.name.get().is_none() {
            return self.finish(take);
        }
        if self.next.len() >= MAX_VERIFY_GROUP_BLOCKS || self.bytes >= MAX_VERIFY_GROUP_BYTES {
            self.hand_on(take);
        }
    }

    /// Gives the results of all blocks so far.
    pub(super) fn finish(&mut self, take: Take<'_>) {
        if !self.next.is_empty() {
            self.hand_on(take);
        }
        while let Some(group) = self.ahead.take() {
            group.into_iter().for_each(&mut *take);
        }
    }

    fn hand_on(&mut self, take: Take<'_>) {
        let (group, bytes) = (std::mem::take(&mut self.next), std::mem::take(&mut self.bytes));
        let bytes = block::most_memory(bytes);
        while let Some(group) = self.ahead.make_room(bytes) {
            group.into_iter().for_each(&mut *take);
        }
        let oldest = self.ahead.push_sized(group, bytes);
        oldest.into_iter().flatten().for_each(&mut *take);
    }
}
