//! The tree, recomputed from the entries of each block.

use crate::codec::{Digest, Hasher, Writer};
use crate::ledger::tree::Frontier;
use crate::ledger::{Block, Entry, leaf_bytes};
use crate::transaction::{leaf_hash, merkle_root};
use crate::verify::Problems;

/// Recomputes roots block by block.
#[derive(Default)]
pub struct TreeCheck {
    /// Before the newest block, for roots at a size within it.
    before: Frontier,
    now: Frontier,
    leaves: Vec<Digest>,
}

/// The hashes of one block's entries.
pub struct BlockHashes {
    /// Leaf hash of each entry.
    pub leaves: Vec<Digest>,
    /// Digest over the block's verdicts and writes.
    pub effects: Digest,
    /// Number of transactions.
    pub transactions: usize,
    /// For each submission the root over its transactions; none where there are not so many.
    pub submissions: Vec<Option<Digest>>,
}

impl BlockHashes {
    /// Hashes a block's entries. Needs no other block.
    #[must_use]
    pub fn of(block: &Block) -> Self {
        let mut hashing = Hashing::default();
        let mut bytes = Vec::new();
        for entry in &block.entries {
            bytes.clear();
            let mut writer = Writer::onto(bytes);
            let effects_at = entry.encode(&mut writer);
            bytes = writer.into_bytes();
            hashing.entry(entry, &bytes, effects_at);
        }
        hashing.finish(block)
    }
}

/// Hashes a block's entries one after the other.
#[derive(Default)]
pub struct Hashing {
    leaves: Vec<Digest>,
    transactions: Vec<Digest>,
    effects: Hasher,
}

impl Hashing {
    /// Takes in an entry with its bytes, and where in them its effects begin.
    pub fn entry(&mut self, entry: &Entry, bytes: &[u8], effects_at: usize) {
        self.effects.update(&bytes[effects_at..]);
        if entry.transaction().is_some() {
            // A transaction's own bytes stand between the entry's kind and its effects.
            self.transactions.push(leaf_hash(&bytes[1..effects_at]));
        }
        self.leaves.push(leaf_hash(&leaf_bytes(bytes)));
    }

    /// The hashes, once each entry of the block was taken in.
    #[must_use]
    pub fn finish(self, block: &Block) -> BlockHashes {
        let Self { leaves, transactions, effects } = self;
        let mut first = 0_usize;
        let root = |count: u64| {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            let leaves = transactions.get(first..first.checked_add(count)?)?;
            first += count;
            Some(merkle_root(leaves.to_vec()))
        };
        let submissions = block.records.submissions.iter().map(|seal| seal.count).map(root);
        let submissions = submissions.collect();
        let (effects, transactions) = (effects.finish(), transactions.len());
        BlockHashes { leaves, effects, transactions, submissions }
    }
}

impl TreeCheck {
    /// Goes on behind a tree with this right edge.
    #[must_use]
    pub fn behind(now: Frontier) -> Self {
        Self { now, ..Self::default() }
    }

    /// Root over every entry so far.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.now.root()
    }

    /// Takes in a block with the leaf hashes of its entries.
    pub fn block(&mut self, block: &Block, leaves: Vec<Digest>, problems: &mut Problems<'_>) {
        self.before = self.now.clone();
        leaves.iter().for_each(|leaf| self.now.append(*leaf));
        self.leaves = leaves;
        let root = self.now.root();
        problems
            .check(root == block.header.entries_root, "its tree root does not match its entries");
        if let Some(leaf) = block.own_leaf().map(|leaf| leaf_hash(&leaf)) {
            self.now.append(leaf);
            self.leaves.push(leaf);
        }
    }

    /// Root at a size that the newest block has reached or passed.
    #[must_use]
    pub fn root_at(&self, size: u64, block: &Block) -> Option<Digest> {
        let take = usize::try_from(size.checked_sub(block.header.first_leaf)?).ok()?;
        let mut frontier = self.before.clone();
        self.leaves.get(..take)?.iter().for_each(|leaf| frontier.append(*leaf));
        Some(frontier.root())
    }
}
