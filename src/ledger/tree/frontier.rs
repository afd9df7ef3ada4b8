//! The right edge of the tree: the hashes that the writer needs to compute the next root.

use super::GROUP_HEIGHT;
use crate::codec::Digest;
use crate::transaction::{merkle_root, node_hash};

/// The hashes of the full subtrees along the right edge: enough to append and to give the root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    pub(super) size: u64,
    /// One hash for each bit set in `size`, the largest subtree first.
    pub(super) subtrees: Vec<Digest>,
}

impl Frontier {
    /// The empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf by its hash ([`crate::transaction::leaf_hash`]).
    pub fn append(&mut self, leaf_hash: Digest) {
        self.push(leaf_hash);
    }

    /// The same, and notes it for the [`Tree`](super::Tree).
    pub fn append_and_note(&mut self, leaf_hash: Digest, appended: &mut Appended) {
        appended.leaves.push(leaf_hash);
        appended.groups.extend(self.push(leaf_hash));
    }

    /// Appends a leaf; gives the hash of the full group that ends with it.
    fn push(&mut self, leaf_hash: Digest) -> Option<Digest> {
        let (mut hash, mut group) = (leaf_hash, None);
        for height in 1..=self.size.trailing_ones() {
            // As many subtrees are there as bits are set, so each trailing one has its hash.
            let Some(left) = self.subtrees.pop() else { break };
            hash = node_hash(&left, &hash);
            if height == u32::from(GROUP_HEIGHT) {
                group = Some(hash);
            }
        }
        self.subtrees.push(hash);
        self.size += 1;
        group
    }

    /// The root: RFC 6962 section 2.1; of the empty tree the hash of nothing.
    #[must_use]
    pub fn root(&self) -> Digest {
        let joined =
            self.subtrees.iter().rev().copied().reduce(|right, left| node_hash(&left, &right));
        joined.unwrap_or_else(|| merkle_root(Vec::new()))
    }
}

/// Leaves that were appended to a [`Frontier`] one behind the other, with what was computed of them:
/// for the [`Tree`](super::Tree).
#[derive(Debug, Default)]
pub struct Appended {
    /// Hash of each leaf.
    pub(super) leaves: Vec<Digest>,
    /// Hash of each full group that ends among them.
    pub(super) groups: Vec<Digest>,
}
