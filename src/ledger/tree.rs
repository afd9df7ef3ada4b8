//! The RFC 6962 Merkle tree over the ledger's entries.
//!
//! Two shapes of the same tree: a [`Frontier`] is what the one writer needs to give the next root, a
//! [`Tree`] is what readers need for proofs and tiles at any size up to the present one. A tree keeps
//! only the hashes of full groups of 2,048 leaves, of every eighth level above them, and the leaf hashes
//! of the last, incomplete group: a byte for each 64 entries. All other hashes are computed when they
//! are asked for. Leaf hashes of full groups come from a [`LeafSource`] and are checked.
//!
//! Nothing here reads a file or decides what a leaf is.

mod frontier;

pub use frontier::{Appended, Frontier};

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use tlog_tiles::{
    Error as TlogError, Hash, HashReader, check_record, check_tree, prove_record, prove_tree,
    split_stored_hash_index, tree_hash,
};

use crate::codec::Digest;
use crate::limits::TILE_WIDTH;
use crate::transaction::merkle_root;

/// Levels of the tree within one tile: 2⁸ = 256 leaves. Above the groups one level of so many is kept.
const TILE_HEIGHT: u8 = 8;
/// Levels of the tree within one group of leaves, whose hashes are not kept once it is full. Higher
/// takes less memory for each entry, and more reading for each proof.
const GROUP_HEIGHT: u8 = 11;
/// Leaves of a full group.
const GROUP_LEAVES: u64 = 1 << GROUP_HEIGHT;
/// Longest proof of a tree with 64-bit sizes: one hash a level, and one more for consistency.
const MAX_PROOF_HASHES: usize = 65;

/// The source of the leaf hashes of full tiles.
pub trait LeafSource {
    /// Why leaves cannot be read.
    type Error;

    /// The hashes of `count` leaves from `first` on. MUST give exactly as many, or an error. It is
    /// asked only for leaves that were appended to the tree, at most 2,048 at a time.
    fn leaf_hashes(&self, first: u64, count: usize) -> Result<Vec<Digest>, Self::Error>;
}

/// Why the tree does not answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError<E> {
    /// The tree has not that many leaves, or the question makes no sense (an empty tile, a
    /// consistency proof from nothing).
    #[error("the tree of size {size} has no {what}")]
    NotThere {
        /// The requested part.
        what: String,
        /// Entries that are there.
        size: u64,
    },
    /// The source of leaf hashes failed.
    #[error("reading entries for a proof")]
    Source(#[source] E),
    /// The entries that were read are not those that were appended.
    #[error(
        "entries {first} to {last} do not match the hashes that were appended; run `ledgerline verify` on the ledger's directory"
    )]
    Damaged {
        /// First entry of the group.
        first: u64,
        /// Last entry of the group.
        last: u64,
    },
}

/// The tree as readers need it. It may be shared: appending holds its lock for the time of copying
/// hashes only, and reading entries happens outside of the lock.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: RwLock<Nodes>,
}

#[derive(Debug, Default)]
struct Nodes {
    /// `levels[i]` holds the hashes of all full subtrees of 2^(11 + 8i) leaves.
    levels: Vec<Vec<Digest>>,
    /// Leaf hashes behind the last full group.
    tail: Vec<Digest>,
}

impl Nodes {
    fn full_groups(&self) -> u64 {
        self.levels.first().map_or(0, |groups| groups.len() as u64)
    }

    fn size(&self) -> u64 {
        self.full_groups() * GROUP_LEAVES + self.tail.len() as u64
    }

    fn extend(&mut self, appended: &Appended) {
        let mut leaves = appended.leaves.as_slice();
        for group in &appended.groups {
            let missing = (1 << GROUP_HEIGHT) - self.tail.len();
            let (last, behind) = leaves.split_at(missing.min(leaves.len()));
            debug_assert_eq!(*group, merkle_root([&self.tail, last].concat()));
            leaves = behind;
            self.tail.clear();
            self.append_group(*group);
        }
        self.tail.extend_from_slice(leaves);
    }

    /// Adds a full group's hash and joins full rows of hashes upwards.
    fn append_group(&mut self, mut hash: Digest) {
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let hashes = &mut self.levels[level];
            hashes.push(hash);
            if !hashes.len().is_multiple_of(1 << TILE_HEIGHT) {
                return;
            }
            hash = merkle_root(hashes[hashes.len() - (1 << TILE_HEIGHT)..].to_vec());
        }
    }

    /// The hash of a full subtree of 2^level leaves, where it is kept or follows from the tail.
    fn node(&self, level: u8, index: u64) -> Option<Digest> {
        let at = usize::try_from(index).ok()?;
        if let Some(above) = level.checked_sub(GROUP_HEIGHT) {
            let hashes = self.levels.get(usize::from(above / TILE_HEIGHT))?;
            let width = 1_usize << (above % TILE_HEIGHT);
            let first = at.checked_mul(width)?;
            let below = hashes.get(first..first.checked_add(width)?)?;
            return Some(merkle_root(below.to_vec()));
        }
        let first = (index << level).checked_sub(self.full_groups() * GROUP_LEAVES)?;
        let first = usize::try_from(first).ok()?;
        Some(merkle_root(self.tail.get(first..first + (1 << level))?.to_vec()))
    }
}

impl Tree {
    /// The empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn nodes(&self) -> RwLockReadGuard<'_, Nodes> {
        // A push is the only change, so even a panicked writer leaves a usable tree.
        self.nodes.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.nodes().size()
    }

    /// Appends what was appended to a [`Frontier`] that was as large as this tree.
    pub fn extend(&self, appended: &Appended) {
        self.nodes.write().unwrap_or_else(PoisonError::into_inner).extend(appended);
    }

    /// The root of the first `size` leaves.
    pub fn root_at<S: LeafSource>(
        &self,
        size: u64,
        leaves: &S,
    ) -> Result<Digest, TreeError<S::Error>> {
        self.within(size <= self.size(), || format!("root at size {size}"))?;
        self.read(leaves, |reader| tree_hash(size, reader).map(|hash| vec![hash]))
            .map(|hashes| hashes.first().copied().unwrap_or_default())
    }

    /// The right edge of the first `size` leaves, from which roots behind it follow.
    pub fn frontier_at<S: LeafSource>(
        &self,
        size: u64,
        leaves: &S,
    ) -> Result<Frontier, TreeError<S::Error>> {
        self.within(size <= self.size(), || format!("right edge at size {size}"))?;
        // All in front of a subtree is larger than it, so its index follows from the bits above.
        let levels = (0..64_u8).rev().filter(|level| size >> level & 1 == 1);
        let coordinates: Vec<_> = levels.map(|level| (level, (size >> level) - 1)).collect();
        Ok(Frontier { size, subtrees: self.hashes(&coordinates, leaves)? })
    }

    /// The proof that leaf `index` is in the tree of the first `size` leaves: RFC 6962 section
    /// 2.1.1, the lowest level first.
    pub fn inclusion_proof<S: LeafSource>(
        &self,
        (index, size): (u64, u64),
        leaves: &S,
    ) -> Result<Vec<Digest>, TreeError<S::Error>> {
        self.within(index < size && size <= self.size(), || {
            format!("inclusion proof of entry {index} at size {size}")
        })?;
        self.read(leaves, |reader| prove_record(size, index, reader))
    }

    /// The proof that the tree of the first `to` leaves extends that of the first `from`, at least
    /// one: RFC 6962 section 2.1.2.
    pub fn consistency_proof<S: LeafSource>(
        &self,
        (from, to): (u64, u64),
        leaves: &S,
    ) -> Result<Vec<Digest>, TreeError<S::Error>> {
        self.within(from >= 1 && from <= to && to <= self.size(), || {
            format!("consistency proof from size {from} to {to}")
        })?;
        self.read(leaves, |reader| prove_tree(to, from, reader))
    }

    /// The bytes of a C2SP tile: `width` hashes (1 to 256) of 32 bytes each, of the tree's level
    /// 8 × `level`, from hash 256 × `index` on.
    pub fn tile<S: LeafSource>(
        &self,
        (level, index, width): (u8, u64, u16),
        leaves: &S,
    ) -> Result<Vec<u8>, TreeError<S::Error>> {
        let shift = u32::from(level) * u32::from(TILE_HEIGHT);
        let hashes = self.size().checked_shr(shift).unwrap_or(0);
        let first = index.checked_mul(TILE_WIDTH);
        let end = first.and_then(|first| first.checked_add(u64::from(width)));
        let there = end.is_some_and(|end| end <= hashes);
        let width_fits = (1..=TILE_WIDTH).contains(&u64::from(width));
        self.within(there && width_fits, || {
            format!("tile {index} of width {width} at level {level}")
        })?;
        let (first, end) = (first.unwrap_or_default(), end.unwrap_or_default());
        let coordinates: Vec<_> = (first..end).map(|at| (level * TILE_HEIGHT, at)).collect();
        let hashes = self.hashes(&coordinates, leaves)?;
        Ok(hashes.iter().flat_map(|hash| hash.0).collect())
    }

    fn within<E>(&self, there: bool, what: impl FnOnce() -> String) -> Result<(), TreeError<E>> {
        there.then_some(()).ok_or_else(|| TreeError::NotThere { what: what(), size: self.size() })
    }

    /// Hashes of full subtrees given by level and index. What memory does not have is recomputed
    /// from the leaves, after the lock was given back.
    fn hashes<S: LeafSource>(
        &self,
        coordinates: &[(u8, u64)],
        leaves: &S,
    ) -> Result<Vec<Digest>, TreeError<S::Error>> {
        let mut groups: BTreeMap<u64, Digest> = BTreeMap::new();
        let kept: Vec<Option<Digest>> = {
            let nodes = self.nodes();
            let mut look_up = |&(level, index): &(u8, u64)| {
                nodes.node(level, index).or_else(|| {
                    let group = (index << level) / GROUP_LEAVES;
                    groups.insert(group, nodes.node(GROUP_HEIGHT, group)?);
                    None
                })
            };
            coordinates.iter().map(&mut look_up).collect()
        };
        let mut recomputed = BTreeMap::new();
        for (group, expected) in groups {
            recomputed.insert(group, checked_group(group, expected, leaves)?);
        }
        let resolve = |(&(level, index), kept): (&(u8, u64), Option<Digest>)| {
            kept.or_else(|| {
                let first = index << level;
                let hashes = recomputed.get(&(first / GROUP_LEAVES))?;
                let start = usize::try_from(first % GROUP_LEAVES).ok()?;
                Some(merkle_root(hashes.get(start..start + (1 << level))?.to_vec()))
            })
            .ok_or_else(|| TreeError::NotThere {
                what: format!("hash {index} at level {level}"),
                size: self.size(),
            })
        };
        coordinates.iter().zip(kept).map(resolve).collect()
    }

    /// Runs a function of the library.
    fn read<S: LeafSource>(
        &self,
        leaves: &S,
        ask: impl FnOnce(&Reader<'_, S>) -> Result<Vec<Hash>, TlogError>,
    ) -> Result<Vec<Digest>, TreeError<S::Error>> {
        let reader = Reader { tree: self, leaves, failure: RefCell::new(None) };
        match (ask(&reader), reader.failure.into_inner()) {
            (_, Some(failure)) => Err(failure),
            (Ok(hashes), None) => Ok(hashes.into_iter().map(|hash| Digest(hash.0)).collect()),
            (Err(error), None) => {
                Err(TreeError::NotThere { what: error.to_string(), size: self.size() })
            }
        }
    }
}

/// Reads the leaf hashes of a full group and checks them against the group's kept hash.
fn checked_group<S: LeafSource>(
    group: u64,
    expected: Digest,
    leaves: &S,
) -> Result<Vec<Digest>, TreeError<S::Error>> {
    let (first, last) = (group * GROUP_LEAVES, (group + 1) * GROUP_LEAVES - 1);
    let hashes = leaves.leaf_hashes(first, 1 << GROUP_HEIGHT).map_err(TreeError::Source)?;
    if hashes.len() != 1 << GROUP_HEIGHT || merkle_root(hashes.clone()) != expected {
        return Err(TreeError::Damaged { first, last });
    }
    Ok(hashes)
}

/// A tree and its leaves in the form that `tlog_tiles` asks for hashes.
struct Reader<'a, S: LeafSource> {
    tree: &'a Tree,
    leaves: &'a S,
    /// Why a read failed: the library's error has no room for it.
    failure: RefCell<Option<TreeError<S::Error>>>,
}

impl<S: LeafSource> HashReader for Reader<'_, S> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, TlogError> {
        let coordinates: Vec<_> =
            indexes.iter().map(|&index| split_stored_hash_index(index)).collect();
        match self.tree.hashes(&coordinates, self.leaves) {
            Ok(hashes) => Ok(hashes.iter().map(as_hash).collect()),
            Err(failure) => {
                self.failure.replace(Some(failure));
                Err(TlogError::IndexesNotInTree)
            }
        }
    }
}

fn as_hash(digest: &Digest) -> Hash {
    Hash(digest.0)
}

/// True if a proof shows that a leaf with this hash stands at `index` in the tree of `size` leaves
/// with this root. Any bytes may be given.
#[must_use]
pub fn verify_inclusion(
    (index, size): (u64, u64),
    leaf_hash: &Digest,
    proof: &[Digest],
    root: &Digest,
) -> bool {
    proof.len() <= MAX_PROOF_HASHES && {
        let proof = proof.iter().map(as_hash).collect();
        check_record(&proof, size, as_hash(root), index, as_hash(leaf_hash)).is_ok()
    }
}

/// True if a proof shows that the tree of `to` leaves with root `to_root` begins with the tree of
/// `from` leaves, at least one, with root `from_root`. Any bytes may be given.
#[must_use]
pub fn verify_consistency(
    (from, to): (u64, u64),
    from_root: &Digest,
    proof: &[Digest],
    to_root: &Digest,
) -> bool {
    proof.len() <= MAX_PROOF_HASHES && {
        let proof = proof.iter().map(as_hash).collect();
        check_tree(&proof, to, as_hash(to_root), from, as_hash(from_root)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;
    use crate::transaction::{leaf_hash, node_hash};

    struct Leaves(Vec<Digest>);

    impl LeafSource for Leaves {
        type Error = Infallible;

        fn leaf_hashes(&self, first: u64, count: usize) -> Result<Vec<Digest>, Infallible> {
            let first = usize::try_from(first).unwrap();
            Ok(self.0[first..first + count].to_vec())
        }
    }

    fn leaves(count: usize) -> Leaves {
        Leaves((0..count).map(|i| leaf_hash(format!("leaf {i}").as_bytes())).collect())
    }

    /// Leaves of two full groups and some behind them.
    const SOME_GROUPS: usize = 4_130;

    /// Sizes within the first tiles, and about the ends of both groups.
    fn is_telling(size: usize) -> bool {
        matches!(size, 0..=520 | 2_030..=2_070 | 4_080..=SOME_GROUPS)
    }

    #[test]
    fn the_right_edge_of_any_size_is_that_of_appending() {
        let leaves = leaves(SOME_GROUPS);
        let tree = tree_of(&leaves);
        let mut appended = Frontier::new();
        for size in 0..=SOME_GROUPS {
            if is_telling(size) {
                assert_eq!(tree.frontier_at(size as u64, &leaves).unwrap(), appended, "{size}");
            }
            leaves.0.get(size).into_iter().for_each(|leaf| appended.append(*leaf));
        }
        assert!(tree.frontier_at(SOME_GROUPS as u64 + 1, &leaves).is_err());
    }

    fn tree_of(leaves: &Leaves) -> Tree {
        let (tree, mut frontier) = (Tree::new(), Frontier::new());
        // Within one group, over the ends of several, and none at all.
        for some in leaves.0.chunks(2_500).chain([&[][..]]) {
            let (mut appended, (first, rest)) =
                (Appended::default(), some.split_at(some.len() / 3));
            first.iter().for_each(|leaf| frontier.append_and_note(*leaf, &mut appended));
            tree.extend(&std::mem::take(&mut appended));
            rest.iter().for_each(|leaf| frontier.append_and_note(*leaf, &mut appended));
            tree.extend(&appended);
        }
        tree
    }

    /// RFC 6962 section 2.1, word for word.
    fn naive_root(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => Digest::of(&[]),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(largest_power_below(leaves.len()));
                node_hash(&naive_root(left), &naive_root(right))
            }
        }
    }

    /// RFC 6962 section 2.1.1, word for word.
    fn naive_path(index: usize, leaves: &[Digest]) -> Vec<Digest> {
        if leaves.len() == 1 {
            return Vec::new();
        }
        let k = largest_power_below(leaves.len());
        let (left, right) = leaves.split_at(k);
        let (mut path, sibling) = if index < k {
            (naive_path(index, left), naive_root(right))
        } else {
            (naive_path(index - k, right), naive_root(left))
        };
        path.push(sibling);
        path
    }

    /// RFC 6962 section 2.1.2, word for word (SUBPROOF with its flag).
    fn naive_consistency(from: usize, leaves: &[Digest], whole: bool) -> Vec<Digest> {
        if from == leaves.len() {
            return if whole { Vec::new() } else { vec![naive_root(leaves)] };
        }
        let k = largest_power_below(leaves.len());
        let (left, right) = leaves.split_at(k);
        let (mut proof, sibling) = if from <= k {
            (naive_consistency(from, left, whole), naive_root(right))
        } else {
            (naive_consistency(from - k, right, false), naive_root(left))
        };
        proof.push(sibling);
        proof
    }

    fn largest_power_below(n: usize) -> usize {
        let mut k = 1;
        while k * 2 < n {
            k *= 2;
        }
        k
    }

    /// All ways to harm a proof by one step.
    fn mutations(proof: &[Digest], (at, bit): (usize, u8)) -> Vec<Vec<Digest>> {
        let mut harmed = vec![[proof, &[Digest::of(b"extra")]].concat()];
        if !proof.is_empty() {
            let at = at % proof.len();
            let mut flipped = proof.to_vec();
            flipped[at].0[usize::from(bit % 32)] ^= 1 << (bit % 8);
            harmed.push(flipped);
            let mut shorter = proof.to_vec();
            shorter.remove(at);
            harmed.push(shorter);
            let mut longer = proof.to_vec();
            longer.insert(at, proof[at]);
            harmed.push(longer);
        }
        if proof.len() > 1 {
            harmed.push(proof.iter().rev().copied().collect());
        }
        harmed
    }

    #[test]
    fn roots_follow_the_definition_at_every_size() {
        let leaves = leaves(SOME_GROUPS);
        let tree = tree_of(&leaves);
        let mut frontier = Frontier::new();
        for size in 0..=SOME_GROUPS {
            if is_telling(size) {
                let expected = naive_root(&leaves.0[..size]);
                assert_eq!(frontier.root(), expected, "frontier at {size}");
                assert_eq!(frontier.size(), size as u64);
                assert_eq!(tree.root_at(size as u64, &leaves).unwrap(), expected, "tree at {size}");
            }
            leaves.0.get(size).into_iter().for_each(|leaf| frontier.append(*leaf));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn inclusion_proofs(total in 1_usize..6_000, a: usize, b: usize, at: usize, bit: u8) {
            let leaves = leaves(total);
            let tree = tree_of(&leaves);
            let size = a % total + 1;
            let index = b % size;
            let place = (index as u64, size as u64);
            let root = naive_root(&leaves.0[..size]);
            let leaf = leaves.0[index];
            let proof = tree.inclusion_proof(place, &leaves).unwrap();
            prop_assert_eq!(&proof, &naive_path(index, &leaves.0[..size]));
            prop_assert!(verify_inclusion(place, &leaf, &proof, &root));
            for harmed in mutations(&proof, (at, bit)) {
                let same = harmed == proof;
                prop_assert!(same || !verify_inclusion(place, &leaf, &harmed, &root));
            }
            prop_assert!(!verify_inclusion(place, &Digest::of(b"other"), &proof, &root));
            prop_assert!(!verify_inclusion(place, &leaf, &proof, &Digest::of(b"other")));
            prop_assert!(!verify_inclusion((index as u64 ^ 1, size as u64), &leaf, &proof, &root)
                || size == 1);
        }

        #[test]
        fn consistency_proofs(total in 1_usize..6_000, a: usize, b: usize, at: usize, bit: u8) {
            let leaves = leaves(total);
            let tree = tree_of(&leaves);
            let to = a % total + 1;
            let from = b % to + 1;
            let sizes = (from as u64, to as u64);
            let (old, new) = (naive_root(&leaves.0[..from]), naive_root(&leaves.0[..to]));
            let proof = tree.consistency_proof(sizes, &leaves).unwrap();
            prop_assert_eq!(&proof, &naive_consistency(from, &leaves.0[..to], true));
            prop_assert!(verify_consistency(sizes, &old, &proof, &new));
            for harmed in mutations(&proof, (at, bit)) {
                let same = harmed == proof;
                prop_assert!(same || !verify_consistency(sizes, &old, &harmed, &new));
            }
            prop_assert!(!verify_consistency(sizes, &Digest::of(b"other"), &proof, &new));
            prop_assert!(!verify_consistency(sizes, &old, &proof, &Digest::of(b"other")));
        }

        #[test]
        fn hostile_proofs_are_refused(
            first: u64, second: u64,
            proof in proptest::collection::vec(any::<[u8; 32]>().prop_map(Digest), 0..80),
        ) {
            let root = Digest::of(b"root");
            for (a, b) in [(first, second), (first, u64::MAX), (0, second), (u64::MAX, u64::MAX)] {
                prop_assert!(!verify_inclusion((a, b), &Digest::of(b"leaf"), &proof, &root));
                prop_assert!(!verify_consistency((a, b), &Digest::of(b"old"), &proof, &root));
            }
        }
    }

    #[test]
    fn tiles_equal_recomputation() {
        // 66,000 leaves reach level 2 of the tiles.
        let leaves = leaves(66_000);
        let tree = tree_of(&leaves);
        for size in [256, 2_048, 40_000, 65_535, 65_536, 66_000] {
            let root = naive_root(&leaves.0[..size]);
            assert_eq!(tree.root_at(size as u64, &leaves).unwrap(), root, "at {size}");
        }
        let mut level_hashes = leaves.0.clone();
        for level in 0..3 {
            for (index, expected) in level_hashes.chunks(1 << TILE_HEIGHT).enumerate() {
                for width in [1, expected.len() / 2, expected.len()] {
                    let Some(width @ 1..) = u16::try_from(width).ok() else { continue };
                    let bytes = tree.tile((level, index as u64, width), &leaves).unwrap();
                    let expected: Vec<u8> =
                        expected[..width.into()].iter().flat_map(|hash| hash.0).collect();
                    assert!(bytes == expected, "level {level}, index {index}, width {width}");
                }
            }
            let full = level_hashes.chunks_exact(1 << TILE_HEIGHT);
            level_hashes = full.map(naive_root).collect();
        }
        assert!(level_hashes.is_empty(), "all levels were seen");
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let leaves = leaves(300);
        let tree = tree_of(&leaves);
        assert!(tree.root_at(301, &leaves).is_err());
        assert!(tree.inclusion_proof((300, 300), &leaves).is_err());
        assert!(tree.inclusion_proof((0, 301), &leaves).is_err());
        assert!(tree.consistency_proof((0, 300), &leaves).is_err());
        assert!(tree.consistency_proof((20, 10), &leaves).is_err());
        assert!(tree.consistency_proof((1, 301), &leaves).is_err());
        for (level, index, width) in [
            (0, 0, 0),
            (0, 0, 257),
            (0, 1, 45),
            (1, 0, 2),
            (2, 0, 1),
            (8, 0, 1),
            (255, 0, 1),
            (0, u64::MAX, 1),
            (0, u64::MAX / 256, 256),
        ] {
            assert!(tree.tile((level, index, width), &leaves).is_err(), "{level} {index} {width}");
        }
    }

    #[test]
    fn entries_that_changed_on_disk_give_no_proof() {
        let mut leaves = leaves(5_000);
        let tree = tree_of(&leaves);
        leaves.0[2_100] = Digest::of(b"changed");
        let damaged = TreeError::Damaged { first: 2_048, last: 4_095 };
        assert_eq!(tree.inclusion_proof((2_101, 5_000), &leaves), Err(damaged));
        assert!(tree.inclusion_proof((3, 5_000), &leaves).is_ok(), "other groups still answer");
    }

    #[test]
    fn a_failing_source_is_reported() {
        struct Failing;
        impl LeafSource for Failing {
            type Error = &'static str;
            fn leaf_hashes(&self, _: u64, _: usize) -> Result<Vec<Digest>, &'static str> {
                Err("gone")
            }
        }
        let tree = tree_of(&leaves(5_000));
        assert_eq!(tree.inclusion_proof((3, 5_000), &Failing), Err(TreeError::Source("gone")));
        assert!(tree.root_at(5_000, &Failing).is_ok(), "the present root needs no entry");
    }
}
