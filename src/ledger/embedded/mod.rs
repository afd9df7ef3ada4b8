//! The embedded ledger: one writer, an append-only block log, and a tree over it.
//!
//! ```text
//! append → executor (contracts, leaf hashes, header, seal) → writer (group commit) → shared (readers)
//! ```
//!
//! Opening reads the log once, checks that every block follows from the one before and gives the
//! same tree, cuts a torn tail and refuses damage.

pub mod executor;
pub mod frame;
mod index;
mod kept;
pub mod log;
mod open;
mod reader;
mod rising;
pub mod tail;
mod writer;

pub use kept::{
    KeptCheckpoint, check_kept, default_checkpoint_copy, keep_checkpoint, read_kept, require_kept,
};
pub use open::{OpenLedger, Opening, TornTail, lock, open, open_on, open_read_only, open_to_look};
pub use reader::{EmbeddedReader, WriterCounts, WriterHealth};

use std::fs::File;
use std::sync::Arc;

use crate::clock::Clock;
use crate::contract::ContractSet;
use crate::ledger::embedded::executor::{Executor, Position};
use crate::ledger::embedded::log::LogWriter;
use crate::ledger::embedded::writer::WriterQueue;
use crate::ledger::keys::{self, LEDGER_ROLE, SUBMITTER_ROLE};
use crate::ledger::{
    BlockFormat, Definition, DefinitionKind, DurableState, LedgerError, LedgerReader, LedgerWriter,
    Pending, Work,
};
use crate::limits::MAX_DEFINITIONS_BYTES;
use crate::transaction::{KeyId, Signer};

/// The keys that a ledger is opened with.
#[derive(Debug, Clone)]
pub struct LedgerKeys {
    /// Seals blocks and signs checkpoints.
    pub signer: Signer,
    /// The key before, during a rotation: ends when the new one is registered, and still signs
    /// checkpoints beside it, for those who only know the old one.
    pub previous: Option<Signer>,
    /// Public key of whoever signs submissions.
    pub submitter: KeyId,
}

/// An embedded ledger that takes work.
pub struct EmbeddedLedger {
    name: Arc<str>,
    executor: Executor,
    queue: WriterQueue,
    clock: Arc<dyn Clock>,
    shared: Arc<EmbeddedReader>,
    /// Held open for as long as the ledger is: the operating system gives it back with the process.
    _lock: File,
}

/// The writer's side of an open ledger, before it is started.
pub struct WriterParts {
    log: LogWriter,
    position: Position,
    lock: File,
    /// The format that the ledger was last written in; `None` for a new one.
    format: Option<BlockFormat>,
}

impl OpenLedger {
    /// The readers' side. The state must have caught up with it before [`OpenLedger::start`].
    #[must_use]
    pub fn reader(&self) -> Arc<EmbeddedReader> {
        self.shared.clone()
    }

    /// Starts the writer: registers the keys of a new ledger, or carries a rotation out.
    pub fn start(
        self,
        keys: &LedgerKeys,
        contracts: Arc<ContractSet>,
        durable: Arc<dyn DurableState>,
        clock: Arc<dyn Clock>,
    ) -> Result<EmbeddedLedger, LedgerError> {
        self.start_with(keys, (contracts, durable), clock, WriterQueue::start)
    }

    /// The same without a thread: blocks become durable when someone waits for one or calls
    /// [`EmbeddedLedger::step`], so that the same calls always come to the same.
    pub fn start_stepped(
        self,
        keys: &LedgerKeys,
        contracts: Arc<ContractSet>,
        durable: Arc<dyn DurableState>,
        clock: Arc<dyn Clock>,
    ) -> Result<EmbeddedLedger, LedgerError> {
        self.start_with(keys, (contracts, durable), clock, |log, shared, clock| {
            Ok(WriterQueue::stepped(log, shared, clock))
        })
    }

    fn start_with(
        self,
        keys: &LedgerKeys,
        (contracts, durable): (Arc<ContractSet>, Arc<dyn DurableState>),
        clock: Arc<dyn Clock>,
        start: impl FnOnce(
            LogWriter,
            Arc<EmbeddedReader>,
            Arc<dyn Clock>,
        ) -> Result<WriterQueue, LedgerError>,
    ) -> Result<EmbeddedLedger, LedgerError> {
        let Self { name, shared, parts, .. } = self;
        let WriterParts { log, position, lock, format } = parts;
        let first_seal = sealing_key(keys, &position, format.is_none())?;
        let mut definitions: Vec<_> = format_definition(&name, format).into_iter().collect();
        definitions.extend(key_definitions(keys, &position));
        let signers: Vec<_> =
            std::iter::once(keys.signer.clone()).chain(keys.previous.clone()).collect();
        let mut first_signers = signers.clone();
        first_signers.sort_by_key(|signer| signer.id() != first_seal);
        let executor = Executor::new(name.clone(), first_signers, contracts, durable, position);
        let queue = start(log, shared.clone(), clock.clone())?;
        let mut ledger = EmbeddedLedger { name, executor, queue, clock, shared, _lock: lock };
        if !definitions.is_empty() {
            ledger.append(Work { definitions, ..Work::default() })?.wait()?;
        }
        ledger.executor.seal_with(signers);
        Ok(ledger)
    }
}

/// The key that may seal the next block: the configured one, or during a rotation the one before.
fn sealing_key(keys: &LedgerKeys, position: &Position, is_new: bool) -> Result<KeyId, LedgerError> {
    let allowed = |signer: &Signer| position.keys.allows(LEDGER_ROLE, signer.id());
    if is_new || allowed(&keys.signer) {
        return Ok(keys.signer.id());
    }
    if let Some(previous) = keys.previous.as_ref().filter(|signer| allowed(signer)) {
        return Ok(previous.id());
    }
    let registered: Vec<_> = position.keys.of_role(LEDGER_ROLE).collect();
    Err(LedgerError::Key(unregistered_key(keys.signer.id(), &registered)))
}

/// Says that a key may not seal a ledger, and what helps.
#[must_use]
pub fn unregistered_key(key: KeyId, registered: &[KeyId]) -> String {
    let registered: Vec<_> = registered.iter().map(KeyId::to_string).collect();
    format!(
        "the key {key} may not seal this ledger, which has registered {}; configure that key's file, or \
         to change the key, set `ledger.previous_key` to the old file",
        registered.join(", ")
    )
}

/// The definition of the ledger's name and block format: recorded in a new ledger, and in one that
/// continues in a newer format.
fn format_definition(name: &str, format: Option<BlockFormat>) -> Option<Definition> {
    let text = BlockFormat::NEWEST.name();
    (format != Some(BlockFormat::NEWEST)).then(|| Definition {
        kind: DefinitionKind::Ledger,
        name: name.to_owned(),
        version: 0,
        text: text.into(),
    })
}

fn key_definitions(keys: &LedgerKeys, position: &Position) -> Vec<Definition> {
    let mut definitions = Vec::new();
    for (role, wanted) in [(LEDGER_ROLE, keys.signer.id()), (SUBMITTER_ROLE, keys.submitter)] {
        if !position.keys.allows(role, wanted) {
            definitions.push(keys::definition(DefinitionKind::Key, role, wanted));
        }
        for other in position.keys.of_role(role).filter(|key| *key != wanted) {
            definitions.push(keys::definition(DefinitionKind::KeyEnd, role, other));
        }
    }
    definitions
}

impl EmbeddedLedger {
    /// The readers' side.
    #[must_use]
    pub fn reader(&self) -> Arc<EmbeddedReader> {
        self.shared.clone()
    }

    /// Makes one group of queued blocks durable, where no thread does that. Whether there was one.
    pub fn step(&self) -> bool {
        self.queue.step()
    }

    /// Records mappings and contracts that the ledger does not hold yet in this text, and waits
    /// until they are durable. A version that is known with another text is refused.
    pub fn define(&mut self, wanted: Vec<Definition>) -> Result<usize, LedgerError> {
        let known = self.shared.definitions();
        let mut definitions = Vec::new();
        for definition in wanted {
            if is_new(&definition, &known)? {
                definitions.push(definition);
            }
        }
        let all = known.iter().map(|(_, definition)| definition).chain(&definitions);
        if all.map(Definition::memory_bytes).sum::<usize>() > MAX_DEFINITIONS_BYTES / 2 {
            return Err(LedgerError::Definition(format!(
                "the ledger has {} bytes of mappings and contracts, the limit; start a new ledger for \
                 further versions",
                MAX_DEFINITIONS_BYTES / 2
            )));
        }
        let count = definitions.len();
        if count > 0 {
            self.append(Work { definitions, ..Work::default() })?.wait()?;
        }
        Ok(count)
    }
}

/// True if a ledger with these definitions has yet to record one. Refuses a version that is known
/// with another text.
pub fn is_new(wanted: &Definition, known: &[(u64, Definition)]) -> Result<bool, LedgerError> {
    let same_name =
        |(_, other): &&(u64, Definition)| other.kind == wanted.kind && other.name == wanted.name;
    let newest = known.iter().rev().find(same_name).map(|(_, newest)| newest);
    if newest.is_some_and(|newest| newest.text == wanted.text) {
        return Ok(false);
    }
    refuse_second_text(wanted, known).map(|()| true)
}

fn refuse_second_text(
    definition: &Definition,
    known: &[(u64, Definition)],
) -> Result<(), LedgerError> {
    let clash = |(_, other): &(u64, Definition)| {
        other.kind == DefinitionKind::Contract
            && other.kind == definition.kind
            && other.name == definition.name
            && other.version >= definition.version
    };
    if known.iter().any(clash) {
        return Err(LedgerError::Definition(format!(
            "the ledger already holds version {} (or a later one) of contract `{}` with another \
             text; raise `version` in its file",
            definition.version, definition.name
        )));
    }
    Ok(())
}

impl LedgerWriter for EmbeddedLedger {
    fn name(&self) -> &str {
        &self.name
    }

    fn append(&mut self, work: Work) -> Result<Box<dyn Pending>, LedgerError> {
        self.check()?;
        let built = self.executor.build(work, self.clock.now_ms())?;
        self.queue.push(built)
    }

    fn check(&self) -> Result<(), LedgerError> {
        match self.shared.health().halted {
            Some(_) => Err(self.shared.halted_error()),
            None => Ok(()),
        }
    }
}

impl std::fmt::Debug for EmbeddedLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let height = LedgerReader::head(&*self.shared).height;
        write!(f, "EmbeddedLedger({}, {height} blocks)", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::disk::SystemDisk;
    use crate::ledger::StateOf;
    use crate::ledger::entry::tests::any_transaction;
    use crate::ledger::{Entry, Head};
    use crate::transaction::{Submission, Transaction};
    use proptest::prelude::*;
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    use std::path::Path;

    struct NoState;

    impl DurableState for NoState {
        fn newest(&self, _contract: &str, _key: &str) -> Result<Option<StateOf>, String> {
            Ok(None)
        }

        fn applied_entries(&self) -> u64 {
            0
        }
    }

    fn opening(directory: &Path, max_segment_bytes: u64) -> Opening {
        let checkpoint_copy = None;
        let name = "example.com/test".to_owned();
        Opening { directory: directory.to_owned(), name, checkpoint_copy, max_segment_bytes }
    }

    fn keys(seed: u8, previous: Option<u8>) -> LedgerKeys {
        let signer = Signer::from_seed(&[seed; 32]);
        let previous = previous.map(|seed| Signer::from_seed(&[seed; 32]));
        LedgerKeys { submitter: signer.id(), signer, previous }
    }

    fn start(opened: OpenLedger, keys: &LedgerKeys) -> Result<EmbeddedLedger, LedgerError> {
        let clock = Arc::new(SystemClock::new());
        opened.start(keys, Arc::new(ContractSet::default()), Arc::new(NoState), clock)
    }

    fn transactions(count: usize) -> Vec<Transaction> {
        let mut runner = TestRunner::deterministic();
        let transaction = any_transaction();
        (0..count).map(|_| transaction.new_tree(&mut runner).unwrap().current()).collect()
    }

    fn append(ledger: &mut EmbeddedLedger, keys: &LedgerKeys, transactions: Vec<Transaction>) {
        let submission = Submission::sign("example.com/test", &keys.signer, transactions);
        let work = Work { submissions: vec![submission], ..Work::default() };
        ledger.append(work).unwrap().wait().unwrap();
    }

    fn head(ledger: &EmbeddedLedger) -> Head {
        ledger.reader().head()
    }

    #[test]
    fn a_ledger_comes_back_with_the_same_head_over_many_segments() {
        let directory = tempfile::tempdir().unwrap();
        let opening = opening(directory.path(), 2_000);
        let keys = keys(1, None);
        let mut ledger = start(open(&opening, &mut |_, _| {}).unwrap(), &keys).unwrap();
        for batch in transactions(300).chunks(7) {
            append(&mut ledger, &keys, batch.to_vec());
        }
        let before = head(&ledger);
        assert!(matches!(open(&opening, &mut |_, _| {}), Err(LedgerError::Locked(_))));
        drop(ledger);
        assert!(log::segments(&SystemDisk, directory.path()).unwrap().len() > 3);
        let opened = open(&opening, &mut |_, _| {}).unwrap();
        assert_eq!(opened.reader().head(), before);
        assert_eq!(opened.reader().root_at(before.tree_size).unwrap(), before.tree_root);
        for entry in 0..before.entries {
            let number = opened.reader().block_of_entry(entry).unwrap();
            assert!(opened.reader().block(number).unwrap().entry(entry).is_some());
        }
        assert_eq!(opened.reader().block_of_entry(before.entries), None);
    }

    fn signatures(ledger: &EmbeddedLedger) -> usize {
        let checkpoint = ledger.reader().checkpoint();
        checkpoint.lines().filter(|line| line.starts_with('—')).count()
    }

    #[test]
    fn an_unregistered_key_is_refused_and_a_rotation_is_recorded() {
        let directory = tempfile::tempdir().unwrap();
        let opening = opening(directory.path(), 1 << 20);
        let reopen = || open(&opening, &mut |_, _| {}).unwrap();
        drop(start(reopen(), &keys(1, None)).unwrap());
        assert!(matches!(start(reopen(), &keys(2, None)), Err(LedgerError::Key(_))));
        let mut ledger = start(reopen(), &keys(2, Some(1))).unwrap();
        assert_eq!(signatures(&ledger), 2, "both vouch for the block that ends the old key");
        append(&mut ledger, &keys(2, None), transactions(1));
        let old =
            Submission::sign("example.com/test", &Signer::from_seed(&[1; 32]), transactions(1));
        let work = Work { submissions: vec![old], ..Work::default() };
        assert!(matches!(ledger.append(work), Err(LedgerError::Key(_))), "the old key has ended");
        assert_eq!(signatures(&ledger), 2);
        drop(ledger);
        assert!(start(reopen(), &keys(1, None)).is_err());
        assert!(start(reopen(), &keys(2, None)).is_ok());
    }

    #[test]
    fn a_submission_for_another_ledger_or_with_a_changed_transaction_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let keys = keys(1, None);
        let opened = open(&opening(directory.path(), 1 << 20), &mut |_, _| {}).unwrap();
        let mut ledger = start(opened, &keys).unwrap();
        let other = Submission::sign("example.com/other", &keys.signer, transactions(2));
        let signed = Submission::sign("example.com/test", &keys.signer, transactions(2));
        let mut changed = signed.transactions().to_vec();
        let mut transaction = Transaction::clone(changed[1].transaction());
        transaction.time_ms ^= 1;
        changed[1] = transaction.into();
        let changed = Submission::signed(signed.signer(), signed.signature(), changed);
        let before = head(&ledger);
        for submission in [other, changed] {
            let work = Work { submissions: vec![submission], ..Work::default() };
            assert!(matches!(ledger.append(work), Err(LedgerError::Submission(_))));
        }
        append(&mut ledger, &keys, transactions(1));
        assert_eq!(head(&ledger).entries, before.entries + 1, "nothing of them went in");
        assert_eq!(head(&ledger).tree_size, before.tree_size + 2, "the block has a leaf too");
    }

    #[test]
    fn a_call_of_an_unknown_contract_is_an_invalid_entry() {
        let directory = tempfile::tempdir().unwrap();
        let keys = keys(1, None);
        let opened = open(&opening(directory.path(), 1 << 20), &mut |_, _| {}).unwrap();
        let mut ledger = start(opened, &keys).unwrap();
        append(&mut ledger, &keys, transactions(1));
        let reader = ledger.reader();
        let block = reader.block(reader.head().height - 1).unwrap();
        let Entry::Transaction { verdict, writes, .. } = &block.entries[0] else { panic!() };
        assert_eq!((verdict.name(), writes.len()), ("unknown_contract", 0));
    }
}
