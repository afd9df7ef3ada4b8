//! The tree, recomputed from the entries of each block.

use crate::codec::{Digest, Writer};
use crate::ledger::tree::Frontier;
use crate::ledger::{Block, leaf_bytes};
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

/// What one block's entries hash to.
pub struct BlockRoots {
    /// Digest over the block's verdicts and writes.
    pub effects: Digest,
    /// Leaf hash of each transaction's own bytes, for the submissions' roots.
    pub transactions: Vec<Digest>,
}

impl BlockRoots {
    /// Root over some of the transactions, as a submission has it.
    #[must_use]
    pub fn submission_root(&self, first: usize, count: usize) -> Option<Digest> {
        let leaves = self.transactions.get(first..first.checked_add(count)?)?;
        Some(merkle_root(leaves.to_vec()))
    }
}

impl TreeCheck {
    /// Root over every entry so far.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.now.root()
    }

    /// Takes in a block.
    pub fn block(&mut self, block: &Block, problems: &mut Problems<'_>) -> BlockRoots {
        self.before = self.now.clone();
        self.leaves.clear();
        let mut effects = Writer::new();
        let mut transactions = Vec::new();
        for entry in &block.entries {
            let mut writer = Writer::new();
            let effects_at = entry.encode(&mut writer);
            effects.raw(writer.since(effects_at));
            let bytes = writer.into_bytes();
            if entry.transaction().is_some() {
                // A transaction's own bytes stand between the entry's kind and its effects.
                transactions.push(leaf_hash(&bytes[1..effects_at]));
            }
            let leaf = leaf_hash(&leaf_bytes(&bytes));
            self.now.append(leaf);
            self.leaves.push(leaf);
        }
        let root = self.now.root();
        problems.check(
            root == block.header.tree_root,
            "its tree root does not follow from the entries",
        );
        BlockRoots { effects: Digest::of(&effects.into_bytes()), transactions }
    }

    /// Root at a size that the newest block has reached or passed.
    #[must_use]
    pub fn root_at(&self, size: u64, block: &Block) -> Option<Digest> {
        let take = usize::try_from(size.checked_sub(block.header.first_entry)?).ok()?;
        let mut frontier = self.before.clone();
        self.leaves.get(..take)?.iter().for_each(|leaf| frontier.append(*leaf));
        Some(frontier.root())
    }
}
