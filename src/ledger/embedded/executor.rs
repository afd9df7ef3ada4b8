//! Executes work and builds its block: the only place where contracts run.

use std::sync::Arc;
use std::thread::{Builder, Scope, ScopedJoinHandle};

use crate::budget::Budget;
use crate::codec::{Digest, Hasher, Writer};
use crate::contract::{Asset, Call, ContractSet, Verdict};
use crate::ledger::block::{self, Block, BlockOutline, Header, Seal};
use crate::ledger::checkpoint::Checkpoint;
use crate::ledger::entry;
use crate::ledger::keys::{KeyRegistry, SUBMITTER_ROLE};
use crate::ledger::pending::{DurableState, PendingView};
use crate::ledger::tree::{Appended, Frontier};
use crate::ledger::{
    BlockFormat, Definition, Entry, LedgerError, Records, StoredWrite, SubmissionSeal, Work,
    leaf_bytes,
};
use crate::limits::MAX_BLOCK_BYTES;
use crate::transaction::{Encoded, SignatureCheck, Signer, Submission, SubmissionError, leaf_hash};

/// A block with all that the writer and the readers need.
#[derive(Debug)]
pub struct BuiltBlock {
    /// The block without its entries.
    pub outline: BlockOutline,
    /// The block.
    pub block: Arc<Block>,
    /// The frame's payload.
    pub payload: Vec<u8>,
    /// Its leaves.
    pub appended: Appended,
    /// Root of the tree with all of them.
    pub tree_root: Digest,
}

/// The position of the ledger, durable or not.
#[derive(Debug, Default)]
pub struct Position {
    /// Number of the next block.
    pub number: u64,
    /// Hash of the newest block.
    pub previous: Digest,
    /// Entries so far: the number of the next one.
    pub entries: u64,
    /// Right edge of the tree.
    pub frontier: Frontier,
    /// Newest link of the effects chain.
    pub effects: Digest,
    /// Time of the newest block.
    pub time_ms: i64,
    /// The registered keys.
    pub keys: KeyRegistry,
}

impl Position {
    /// Takes in the leaf of the next entry.
    fn append(&mut self, leaf: Digest, appended: &mut Appended) {
        self.frontier.append_and_note(leaf, appended);
        self.entries += 1;
    }
}

/// The executor.
pub struct Executor {
    name: Arc<str>,
    signers: Vec<Signer>,
    contracts: Arc<ContractSet>,
    position: Position,
    view: PendingView,
    /// Buffers of the block before, to be used again.
    buffers: (Vec<u8>, Vec<u8>),
}

impl Executor {
    /// An executor that goes on from a position. The first signer seals; all sign checkpoints.
    #[must_use]
    pub fn new(
        name: Arc<str>,
        signers: Vec<Signer>,
        contracts: Arc<ContractSet>,
        durable: Arc<dyn DurableState>,
        position: Position,
    ) -> Self {
        let view = PendingView::over(durable);
        Self { name, signers, contracts, position, view, buffers: Default::default() }
    }

    /// Seals with this key from the next block on.
    pub fn seal_with(&mut self, signers: Vec<Signer>) {
        self.signers = signers;
    }

    /// Executes work and gives its block. Work that is refused changes nothing; after
    /// [`LedgerError::Halted`] the executor must not be used again.
    pub fn build(&mut self, work: Work, now_ms: i64) -> Result<BuiltBlock, LedgerError> {
        self.check(&work)?;
        self.view.evict();
        let (entries, scratch) = std::mem::take(&mut self.buffers);
        let mut body = Body::onto(entries, scratch);
        for definition in work.definitions {
            self.position.keys.apply(&definition);
            let hash = body.push_definition(definition);
            self.position.append(hash, &mut body.appended);
        }
        let mut seals = Vec::with_capacity(work.submissions.len());
        let mut budget = Budget::new();
        for submission in work.submissions {
            seals.push(SubmissionSeal {
                signer: submission.signer(),
                root: submission.root(),
                signature: submission.signature(),
                count: submission.transactions().len() as u64,
            });
            for transaction in submission.into_transactions() {
                // The transactions of a record follow one another, counted from 0.
                if transaction.transaction().id.output == 0 {
                    budget = Budget::new();
                }
                self.execute(transaction, &budget, &mut body)?;
            }
        }
        let records = Records {
            submissions: seals,
            progress: work.progress,
            filtered: work.filtered,
            dead_letters: work.dead_letters,
        };
        self.finish(body, records, now_ms)
    }

    fn check(&self, work: &Work) -> Result<(), LedgerError> {
        let mut allowed = self.position.keys.clone();
        work.definitions.iter().for_each(|definition| allowed.apply(definition));
        for submission in &work.submissions {
            if !allowed.allows(SUBMITTER_ROLE, submission.signer()) {
                return Err(LedgerError::Key(format!(
                    "the submission is signed with {}, a key that is not registered in this ledger",
                    submission.signer()
                )));
            }
        }
        check_signatures(&self.name, &work.submissions)?;
        Ok(())
    }

    fn execute(
        &mut self,
        encoded: Encoded,
        budget: &Budget,
        body: &mut Body,
    ) -> Result<(), LedgerError> {
        let version = self.position.entries;
        let transaction = encoded.transaction();
        let call = Call {
            function: transaction.function,
            arguments: transaction.arguments.value(),
            time_ms: transaction.time_ms,
        };
        let contract = &transaction.contract;
        let effects = self.contracts.execute_within(contract, call, &self.view, budget);
        let mut writes = Vec::with_capacity(effects.writes.len());
        for write in effects.writes {
            // A write over a deleted asset names the deletion, so that history goes on behind it.
            let replaced =
                write.replaced.or_else(|| self.view.newest_version(contract, &write.key));
            let value = body.stored(write.asset.as_deref());
            self.view.put(contract, &write.key, (version, write.asset));
            writes.push(StoredWrite { key: write.key, value, replaced });
        }
        if let Some(reason) = self.view.take_failure() {
            return Err(LedgerError::Halted(reason));
        }
        let verdict = effects.verdict;
        let hash = body.push_executed(&encoded, &verdict, &writes);
        self.position.append(hash, &mut body.appended);
        let mut transaction = encoded.into_transaction();
        // Blocks are kept for readers and followers, who ask for it seldom.
        if let Some(transaction) = Arc::get_mut(&mut transaction) {
            transaction.arguments.forget_value();
        }
        body.list.push(Entry::Transaction { transaction, verdict, writes });
        Ok(())
    }

    fn finish(
        &mut self,
        mut body: Body,
        records: Records,
        now_ms: i64,
    ) -> Result<BuiltBlock, LedgerError> {
        let position = &mut self.position;
        let (entries_end, count) = (position.entries, body.list.len() as u64);
        let effects = body.effects.finish();
        let format = BlockFormat::NEWEST;
        let header = Header {
            format,
            number: position.number,
            previous: position.previous,
            first_entry: entries_end - count,
            entries_end,
            first_leaf: position.frontier.size() - count,
            entries_root: position.frontier.root(),
            effects: block::chain_effects(&position.effects, &effects),
            records: block::records_digest(&records, format),
            time_ms: now_ms.max(position.time_ms),
        };
        position.number += 1;
        position.previous = header.hash();
        position.effects = header.effects;
        position.time_ms = header.time_ms;
        let (outline, tree_root) = self.seal(header, records, &mut body.appended)?;
        let entries = body.entries.into_bytes();
        let payload = block::encode(&outline, body.list.len(), &entries);
        self.buffers = (entries, body.scratch);
        if payload.len() > MAX_BLOCK_BYTES {
            let reason = format!("a block of {} bytes is over the limit", payload.len());
            return Err(LedgerError::Halted(reason));
        }
        let block = Arc::new(Block {
            header: outline.header.clone(),
            seal: outline.seal.clone(),
            checkpoint: outline.checkpoint.clone(),
            records: outline.records.clone(),
            entries: body.list,
        });
        Ok(BuiltBlock { outline, block, payload, appended: body.appended, tree_root })
    }

    /// Seals a block, appends its own leaf to the tree and signs the tree's head; gives its root too.
    fn seal(
        &mut self,
        header: Header,
        records: Records,
        appended: &mut Appended,
    ) -> Result<(BlockOutline, Digest), LedgerError> {
        let no_key = || LedgerError::Key("the ledger has no sealing key".to_owned());
        let signer = self.signers.first().ok_or_else(no_key)?;
        let seal = Seal::sign(&self.name, signer, &header.hash());
        let frontier = &mut self.position.frontier;
        if let Some(leaf) = block::own_leaf(&header, &seal) {
            frontier.append_and_note(leaf_hash(&leaf), appended);
        }
        let (origin, size, root) = (self.name.to_string(), frontier.size(), frontier.root());
        let checkpoint = Checkpoint { origin, size, root };
        let signers: Vec<_> = self.signers.iter().collect();
        let checkpoint = checkpoint
            .sign(&signers)
            .map_err(|error| LedgerError::Key(format!("signing the checkpoint: {error}")))?;
        Ok((BlockOutline { header, seal, checkpoint: checkpoint.into(), records }, root))
    }
}

/// Checks submissions, on all processors where there are many.
fn check_signatures(ledger: &str, submissions: &[Submission]) -> Result<(), SubmissionError> {
    // How many processors there are is asked only where it matters: the answer stands in files.
    if submissions.len() < 2 * MIN_SHARED_CHECKS {
        return check_each(ledger, submissions);
    }
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let share = submissions.len().div_ceil(processors).max(MIN_SHARED_CHECKS);
    std::thread::scope(|scope| {
        let (mine, others) = submissions.split_at(share);
        let others: Vec<_> =
            others.chunks(share).map(|some| (some, spawn_check(scope, ledger, some))).collect();
        check_each(ledger, mine)?;
        others.into_iter().try_for_each(|(some, thread)| match thread.map(ScopedJoinHandle::join) {
            Some(Ok(checked)) => checked,
            // No thread was to be had, or it failed: they are checked all the same.
            Some(Err(_)) | None => check_each(ledger, some),
        })
    })
}

fn spawn_check<'scope>(
    scope: &'scope Scope<'scope, '_>,
    ledger: &'scope str,
    some: &'scope [Submission],
) -> Option<ScopedJoinHandle<'scope, Result<(), SubmissionError>>> {
    let check = move || check_each(ledger, some);
    Builder::new().name("signatures".to_owned()).spawn_scoped(scope, check).ok()
}

fn check_each(ledger: &str, some: &[Submission]) -> Result<(), SubmissionError> {
    let mut check = SignatureCheck::default();
    some.iter().try_for_each(|one| one.verify(ledger, &mut check))
}

/// Signatures that are worth a thread: it takes as long to start as one of them to check.
const MIN_SHARED_CHECKS: usize = 32;

/// The parts of a block under construction.
struct Body {
    entries: Writer,
    effects: Hasher,
    scratch: Vec<u8>,
    appended: Appended,
    list: Vec<Entry>,
}

impl Body {
    /// An empty body in these buffers.
    fn onto(mut entries: Vec<u8>, scratch: Vec<u8>) -> Self {
        entries.clear();
        Self {
            entries: Writer::onto(entries),
            effects: Hasher::default(),
            scratch,
            appended: Appended::default(),
            list: Vec::new(),
        }
    }

    /// An asset as the ledger keeps it.
    fn stored(&mut self, asset: Option<&Asset>) -> Option<Arc<[u8]>> {
        let asset = asset?;
        self.scratch.clear();
        asset.write_to(&mut self.scratch);
        Some(self.scratch.as_slice().into())
    }

    /// Appends the bytes of an executed transaction; gives the hash of its leaf.
    fn push_executed(
        &mut self,
        encoded: &Encoded,
        verdict: &Verdict,
        writes: &[StoredWrite],
    ) -> Digest {
        self.scratch.clear();
        let mut effects = Writer::onto(std::mem::take(&mut self.scratch));
        entry::encode_effects(verdict, writes, &mut effects);
        let effects = effects.into_bytes();
        self.effects.update(&effects);
        let transaction = encoded.bytes();
        let len = entry::executed_len(transaction, &effects);
        self.entries.uint(len as u64);
        let start = self.entries.len();
        let form = encoded.transaction().form();
        entry::encode_executed(form, transaction, &effects, &mut self.entries);
        self.scratch = effects;
        self.leaf_hash(start)
    }

    /// Appends a definition, which has no effects; gives the hash of its leaf.
    fn push_definition(&mut self, definition: Definition) -> Digest {
        let entry = Entry::Definition(definition);
        let bytes = entry.to_bytes();
        self.entries.uint(bytes.len() as u64);
        let start = self.entries.len();
        self.entries.raw(&bytes);
        self.list.push(entry);
        self.leaf_hash(start)
    }

    /// The hash of the leaf of the entry that begins there, the last one.
    fn leaf_hash(&self, start: usize) -> Digest {
        leaf_hash(&leaf_bytes(self.entries.since(start)))
    }
}
