//! One block by itself, checked by the same means as the whole ledger, against what stands before it.

use crate::codec::Digest;
use crate::ledger::tree::Frontier;
use crate::ledger::{Block, Definition, Header, block};
use crate::verify::signatures::{Computed, Signatures};
use crate::verify::tree::{BlockHashes, TreeCheck};
use crate::verify::{Problems, Report, chain, content};

/// The state before a block.
#[derive(Debug)]
pub struct Before<'a> {
    /// Header of the block before; `None` for the first.
    pub header: Option<&'a Header>,
    /// Root of the tree that the checkpoint of the block before signs; `None` for the first.
    pub tree_root: Option<Digest>,
    /// The tree's right edge before its entries.
    pub frontier: Frontier,
    /// Definitions recorded before its entries.
    pub definitions: Vec<&'a Definition>,
}

/// The result of one step of the check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The subject of the check.
    pub what: &'static str,
    /// True if it holds.
    pub holds: bool,
    /// The computed value, or the problem.
    pub found: String,
}

/// Checks a block from its bytes: its place in the chain, its effects, its tree, its signatures. What
/// hangs on all blocks before it (that no record is missing) only the whole check can tell.
#[must_use]
pub fn one_block(block: &Block, before: Before<'_>) -> Vec<Step> {
    let header = &block.header;
    let hashes = BlockHashes::of(block);
    let step = |what, found: String, check: &mut dyn FnMut(&mut Problems<'_>)| {
        let mut report = Report::default();
        check(&mut Problems { number: header.number, report: &mut report });
        let wrong = report.problems.join("; ");
        Step { what, holds: wrong.is_empty(), found: if wrong.is_empty() { found } else { wrong } }
    };
    let records = format!(
        "{} ranges of the source, digest {}; its header hashes to {}",
        block.records.progress.len(),
        header.records,
        header.hash()
    );
    let previous = before.header.map(Header::hash).unwrap_or_default();
    let effects = before.header.map(|header| header.effects).unwrap_or_default();
    let effects = block::chain_effects(&effects, &hashes.effects);
    let leaves = format!("{} entries lead to {}", hashes.leaves.len(), header.entries_root);
    let signed = format!(
        "seal by {}, checkpoint of {} leaves, {} signed submissions",
        block.seal.signer,
        header.tree_size(),
        block.records.submissions.len()
    );
    let mut tree = TreeCheck::behind(before.frontier);
    let mut signatures = Signatures::behind(before.definitions.into_iter());
    let before_root = tree.root();
    let mut tree_root = before_root;
    let expected = before.tree_root.unwrap_or(before_root);
    vec![
        step(
            "It follows the previous block",
            format!("whose header hashes to {previous}; {records}"),
            &mut |problems| {
                chain(before.header, block, problems);
                content::faults(block).into_iter().for_each(|fault| problems.add(fault));
            },
        ),
        step(
            "Its verdicts and writes continue the effects hash",
            effects.to_string(),
            &mut |problems| {
                problems.check(effects == header.effects, "its effects hash does not match");
            },
        ),
        step("Its entries extend the tree", leaves, &mut |problems| {
            problems.check(before_root == expected, "the previous tree is a different one");
            tree.block(block, hashes.leaves.clone(), problems);
            tree_root = tree.root();
        }),
        step("It is signed", signed, &mut |problems| {
            let computed = Computed { hashes: &hashes, tree_root, is_signed: false };
            signatures.block(block, computed, problems);
        }),
    ]
}
