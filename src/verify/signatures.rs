//! Signatures: seals, checkpoints, submissions, and the keys that the ledger registered.

use std::collections::BTreeSet;

use crate::codec::Digest;
use crate::ledger::checkpoint::{Checkpoint, CheckpointError};
use crate::ledger::keys::{KeyRegistry, LEDGER_ROLE, SUBMITTER_ROLE, key_of};
use crate::ledger::{Block, BlockFormat, Definition, DefinitionKind, Entry, SubmissionSeal};
use crate::limits::MAX_VERIFY_SIGNATURES;
use crate::transaction::{KeyId, SignatureCheck, Signed, all_pass, root_message, verify_root};
use crate::verify::Problems;
use crate::verify::tree::BlockHashes;

/// Values computed from a block's bytes.
#[derive(Clone, Copy)]
pub struct Computed<'a> {
    /// Hashes of its entries.
    pub hashes: &'a BlockHashes,
    /// Root of the tree with it.
    pub tree_root: Digest,
    /// True if [`all_hold`] is true of a group with this block.
    pub is_signed: bool,
}

/// True if every signature of some blocks holds: seals, checkpoints and submissions. `false` where
/// one does not, or a checkpoint has another signature than the one of the key that sealed its
/// block.
pub fn all_hold<'a>(
    name: &str,
    blocks: impl Iterator<Item = (&'a Block, &'a BlockHashes)>,
) -> bool {
    let mut signed: Vec<Signed> = Vec::new();
    for (block, hashes) in blocks {
        let note = block.checkpoint.as_bytes();
        let Some(checkpoint) = Checkpoint::only_signature(note, block.seal.signer) else {
            return false;
        };
        signed.extend([block.seal.signed(name, &block.header.hash()), checkpoint]);
        if !covers_each(&block.records.submissions, hashes.transactions) {
            return false;
        }
        let mut before = None;
        for seal in &block.records.submissions {
            // The same one again need not be checked again.
            let this = (seal.signer, seal.root, seal.signature);
            if before.replace(this) == Some(this) {
                continue;
            }
            signed.push(Signed {
                key: seal.signer,
                message: root_message(name, &seal.root),
                signature: seal.signature,
            });
            if signed.len() >= MAX_VERIFY_SIGNATURES {
                if !all_pass(&signed) {
                    return false;
                }
                signed.clear();
            }
        }
    }
    all_pass(&signed)
}

/// True if each submission has a transaction at least, and each transaction a submission.
fn covers_each(submissions: &[SubmissionSeal], transactions: usize) -> bool {
    let counts = || submissions.iter().map(|seal| seal.count);
    counts().all(|count| count > 0) && counts().fold(0, u64::saturating_add) == transactions as u64
}

/// Checks signatures block by block.
pub struct Signatures {
    name: Option<String>,
    /// The format that the ledger has named last.
    format: Option<BlockFormat>,
    keys: KeyRegistry,
    ever: BTreeSet<KeyId>,
    first_key: Option<KeyId>,
    expected: Option<KeyId>,
}

impl Signatures {
    /// Starts with the key that the first block must have, where it is known from elsewhere.
    #[must_use]
    pub fn new(expected: Option<KeyId>) -> Self {
        let (keys, ever) = (KeyRegistry::default(), BTreeSet::new());
        Self { name: None, format: None, keys, ever, first_key: None, expected }
    }

    /// Goes on behind blocks with these definitions, the first of which was sealed with a key.
    #[must_use]
    pub fn behind<'a>(definitions: impl Iterator<Item = &'a Definition>) -> Self {
        let mut signatures = Self::new(None);
        definitions.for_each(|definition| {
            signatures.first_key = signatures.first_key.or(key_of(definition));
            _ = signatures.take_in(definition);
        });
        signatures
    }

    /// The ledger's name; empty before its first block.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// The key that sealed the first block.
    #[must_use]
    pub fn first_key(&self) -> Option<KeyId> {
        self.first_key
    }

    /// Every key that ever sealed or may have sealed a block.
    #[must_use]
    pub fn ever_ledger_keys(&self) -> Vec<KeyId> {
        self.ever.iter().copied().collect()
    }

    /// Takes in a block.
    pub fn block(&mut self, block: &Block, computed: Computed<'_>, problems: &mut Problems<'_>) {
        let signer = block.seal.signer;
        let allowed_before = self.keys.allows(LEDGER_ROLE, signer);
        self.definitions(block, problems);
        let allowed = match self.first_key {
            // The first block registers the very key that it is sealed with.
            None => self.keys.allows(LEDGER_ROLE, signer),
            Some(_) => allowed_before,
        };
        problems
            .check(allowed, "it is sealed with a key that was not registered or had been retired");
        let fits = computed.is_signed || block.seal.verifies(self.name(), &block.header.hash());
        problems.check(fits, "its seal does not match");
        if self.first_key.is_none() {
            self.first_key = Some(signer);
            let expected = self.expected.is_none_or(|expected| expected == signer);
            problems.check(expected, "it is not sealed with the requested key");
        }
        self.checkpoint(block, computed, problems);
        self.submissions(block, computed, problems);
    }

    fn definitions(&mut self, block: &Block, problems: &mut Problems<'_>) {
        if self.name.is_none() {
            let first = block.entries.first().and_then(Entry::definition);
            let names = first.is_some_and(|first| first.kind == DefinitionKind::Ledger);
            problems.check(names, "its first entry does not name the ledger");
        }
        for definition in block.entries.iter().filter_map(Entry::definition) {
            if definition.kind == DefinitionKind::KeyEnd {
                let key = key_of(definition);
                let is_known = key.is_some_and(|key| self.keys.allows(&definition.name, key));
                problems.check(is_known, "it retires a key that is not active");
            }
            let may_stand = self.take_in(definition);
            problems.check(may_stand, "it names the ledger a second time, or an invalid format");
        }
        problems.check(self.name.is_some(), "no block has named the ledger");
        let fits = self.format == Some(block.header.format);
        problems.check(fits, "its format differs from the ledger's");
    }

    /// Takes in a definition; whether it may stand where it stands.
    fn take_in(&mut self, definition: &Definition) -> bool {
        self.keys.apply(definition);
        if definition.name == LEDGER_ROLE {
            self.ever.extend(key_of(definition));
        }
        if definition.kind != DefinitionKind::Ledger {
            return true;
        }
        // A ledger is named once, and again only where it goes on in a newer format.
        let format = BlockFormat::from_name(&definition.text);
        let same_name = self.name.as_ref().is_none_or(|name| *name == definition.name);
        let may_stand = same_name && format > self.format;
        self.name.get_or_insert_with(|| definition.name.clone());
        self.format = format;
        may_stand
    }

    fn checkpoint(&self, block: &Block, computed: Computed<'_>, problems: &mut Problems<'_>) {
        match self.opened(block, computed.is_signed) {
            Ok(checkpoint) => {
                let fits = checkpoint.size == block.header.tree_size()
                    && checkpoint.root == computed.tree_root;
                problems.check(fits, "its checkpoint does not match its tree");
            }
            Err(error) => problems.add(format!("its checkpoint: {error}")),
        }
    }

    /// The block's checkpoint, signed by a key of the ledger.
    fn opened(&self, block: &Block, is_signed: bool) -> Result<Checkpoint, CheckpointError> {
        let note = block.checkpoint.as_bytes();
        if is_signed && self.ever.contains(&block.seal.signer) {
            let checkpoint = Checkpoint::unverified(note)?;
            if checkpoint.origin == self.name() {
                return Ok(checkpoint);
            }
        }
        Checkpoint::open(note, self.name(), &self.ever_ledger_keys())
    }

    fn submissions(&self, block: &Block, computed: Computed<'_>, problems: &mut Problems<'_>) {
        let Computed { hashes, is_signed, .. } = computed;
        let mut check = SignatureCheck::default();
        let submissions = &block.records.submissions;
        if !covers_each(submissions, hashes.transactions) {
            // Nor would it say anything of these transactions that a signature holds.
            return problems.add(
                "a transaction is not in any signed submission, or a submission has no transactions",
            );
        }
        for (seal, root) in submissions.iter().zip(&hashes.submissions) {
            let known = self.keys.allows(SUBMITTER_ROLE, seal.signer);
            problems.check(known, "a submission's key was not registered or had been retired");
            problems.check(
                *root == Some(seal.root),
                "a submission's root does not match its transactions",
            );
            let signed = (&seal.signer, &seal.root, &seal.signature);
            let signed = is_signed || verify_root(self.name(), signed, &mut check);
            if !signed {
                // One is enough: each check takes its time.
                return problems.add("a submission's signature does not match");
            }
        }
    }
}
