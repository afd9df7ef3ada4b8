//! Questions about a ledger and its state, and the JSON form of each answer: used by the API, the
//! pages and the offline commands alike.
//!
//! Every answer is a page, found within a bounded number of steps. Only durable blocks are read, and
//! no lock is held while a file is read, so no question holds up ingestion.

pub mod json;
pub mod views;

mod alerts;
mod definitions;
mod filter;
pub mod page;
mod records;
mod state;
pub mod trial;

pub use alerts::AlertFilter;
pub use filter::{TransactionFilter, VerdictFilter};
pub use records::FilteredFilter;
pub use state::At;
pub use trial::{Trial, TrialInput};

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::diagnostic::did_you_mean;
use crate::event::{Cause, SourcePartition, SourcePosition};
use crate::ledger::checkpoint::{Checkpoint, CheckpointError, verifier_key};
use crate::ledger::keys::LEDGER_ROLE;
use crate::ledger::proof::EntryProof;
use crate::ledger::tiles::{TileKind, TilePath, encode_bundle};
use crate::ledger::tree::{LeafPlace, TreeError};
use crate::ledger::{DeadLetter, EmbeddedReader, Entry, LedgerError, LedgerReader, leaf_bytes};
use crate::query::page::{ChangePlace, LetterPlace, gather};
use crate::query::views::{
    AlertCatalogue, BlockSummary, BlockView, ChangeView, DeadLetterSummary, DeadLetterView, Page,
    ProofView, StepView, TransactionSummary, TransactionView, record_id,
};
use crate::state::history::{self, ChangeCursor, LetterCursor};
use crate::state::{StateError, World};
use crate::verify::{Before, one_block};

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// It is not there.
    #[error("{0}")]
    NotFound(String),
    /// The question cannot be understood.
    #[error("{0}")]
    Malformed(String),
    /// Not yet.
    #[error("{0}")]
    NotReady(String),
    /// It was begun and how it ends is not known yet.
    #[error("{0}")]
    Unknown(String),
    /// The log cannot be read.
    #[error("reading the ledger")]
    Ledger(#[from] LedgerError),
    /// A proof cannot be made.
    #[error("reading the tree")]
    Proof(#[source] TreeError<LedgerError>),
    /// The state cannot be read.
    #[error("reading the state")]
    State(#[from] StateError),
}

impl From<TreeError<LedgerError>> for QueryError {
    fn from(error: TreeError<LedgerError>) -> Self {
        match error {
            TreeError::NotThere { .. } => Self::NotFound(error.to_string()),
            TreeError::Source(_) | TreeError::Damaged { .. } => Self::Proof(error),
        }
    }
}

fn not_found(what: impl Into<String>) -> QueryError {
    QueryError::NotFound(what.into())
}

/// A message with what helps, where anything does.
fn joined(message: String, help: &str) -> String {
    if help.is_empty() { message } else { format!("{message}; {help}") }
}

/// Answers questions about a ledger from its log alone.
#[derive(Debug, Clone)]
pub struct LogQueries {
    ledger: Arc<EmbeddedReader>,
}

/// Answers questions about a ledger and its state.
#[derive(Debug, Clone)]
pub struct Queries {
    log: LogQueries,
    world: Arc<World>,
    alerts: Arc<OnceLock<AlertCatalogue>>,
}

/// Whoever may ask about the state may ask about the log.
impl Deref for Queries {
    type Target = LogQueries;

    fn deref(&self) -> &LogQueries {
        &self.log
    }
}

impl Queries {
    /// Over a ledger and the state that was folded from it.
    #[must_use]
    pub fn new(ledger: Arc<EmbeddedReader>, world: Arc<World>) -> Self {
        Self { log: LogQueries::new(ledger), world, alerts: Arc::default() }
    }

    /// The state.
    #[must_use]
    pub fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// The newest change of each asset from a place on, newest first.
    pub fn recent(
        &self,
        from: Option<ChangeCursor>,
        limit: usize,
    ) -> Result<Page<ChangeView>, QueryError> {
        gather(from.map(ChangePlace), limit, |from, step| {
            let from = from.map(|ChangePlace(place)| place);
            // What the state has not taken in yet has no version there.
            let is_newest = |contract: &str, key: &str, entry| {
                let newest = self.world.newest_version(contract, key)?;
                Ok::<_, QueryError>(newest.is_none_or(|newest| newest <= entry))
            };
            let (found, next) = history::recent_assets(&*self.ledger, from, step, is_newest)?;
            let items = found.iter().filter_map(|(found, key)| ChangeView::of(found, key));
            Ok((items.collect(), next.map(ChangePlace)))
        })
    }
}

impl LogQueries {
    /// Over a ledger.
    #[must_use]
    pub fn new(ledger: Arc<EmbeddedReader>) -> Self {
        Self { ledger }
    }

    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> &EmbeddedReader {
        &self.ledger
    }

    /// Blocks below `before`, newest first.
    pub fn blocks(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<BlockSummary>, QueryError> {
        let end = self.ledger.head().height.min(before.unwrap_or(u64::MAX));
        let numbers = (0..end).rev().take(limit);
        let read = |number| Ok(BlockSummary::new(&*self.ledger.block(number)?));
        let items = numbers.map(read).collect::<Result<Vec<_>, QueryError>>()?;
        let next = items.last().map(|oldest| oldest.number).filter(|oldest| *oldest > 0);
        Ok(Page { items, next: next.map(|next| next.to_string()) })
    }

    /// One block with a page of its entries, from the entry `from` on.
    pub fn block(&self, number: u64, from: u64, limit: usize) -> Result<BlockView, QueryError> {
        match self.ledger.block(number) {
            Ok(block) => Ok(BlockView::new(&block, from, limit)),
            Err(error @ LedgerError::NoBlock { .. }) => Err(not_found(error.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    /// Checks one block from its bytes, step by step.
    pub fn verify_block(&self, number: u64) -> Result<Vec<StepView>, QueryError> {
        let read = |number| match self.ledger.block(number) {
            Err(error @ LedgerError::NoBlock { .. }) => Err(not_found(error.to_string())),
            read => Ok(read?),
        };
        let block = read(number)?;
        let previous = number.checked_sub(1).map(read).transpose()?;
        let first = block.header.first_entry;
        let definitions = self.ledger.definitions();
        let earlier = definitions.iter().filter(|(entry, _)| *entry < first);
        let head = previous.as_ref().map(|previous| previous.tree_head()).transpose();
        let head = head.map_err(|error| QueryError::NotReady(error.to_string()))?;
        let before = Before {
            header: previous.as_ref().map(|previous| &previous.header),
            tree_root: head.map(|head| head.root),
            frontier: self.ledger.frontier_at(block.header.first_leaf)?,
            definitions: earlier.map(|(_, definition)| definition).collect(),
        };
        Ok(one_block(&block, before).into_iter().map(StepView::from).collect())
    }

    /// Transactions below the entry `before`, newest first.
    pub fn transactions(
        &self,
        filter: &TransactionFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<TransactionSummary>, QueryError> {
        let takes = |entry: &Entry| filter.takes(entry);
        let first = self.first_entry_since(filter.since_ms)?.unwrap_or(0);
        let end = self.first_entry_since(filter.until_ms)?.unwrap_or(u64::MAX);
        let range = first..end.min(before.unwrap_or(u64::MAX));
        let (found, next) = history::search(&*self.ledger, range, limit, takes)?;
        let items = found.iter().filter_map(TransactionSummary::of).collect();
        Ok(Page { items, next: next.map(|next| next.to_string()) })
    }

    /// The first entry of the blocks that were made at a time or later.
    fn first_entry_since(&self, time_ms: Option<i64>) -> Result<Option<u64>, QueryError> {
        let Some(time_ms) = time_ms else { return Ok(None) };
        let number = history::first_block_since(&*self.ledger, time_ms)?;
        match number < self.ledger.head().height {
            true => Ok(Some(self.ledger.block(number)?.header.first_entry)),
            false => Ok(Some(u64::MAX)),
        }
    }

    /// One transaction.
    pub fn transaction(&self, id: &SourcePosition) -> Result<TransactionView, QueryError> {
        let found = history::transaction(&*self.ledger, id)?;
        found.as_ref().and_then(TransactionView::of).ok_or_else(|| self.no_transaction(id))
    }

    /// The disposition of a record that produced no transaction, or not this one.
    fn no_transaction(&self, id: &SourcePosition) -> QueryError {
        let record = record_id(&id.partition, id.offset);
        let Some(number) = self.ledger.block_of_record(&id.partition, id.offset) else {
            return not_found(format!("the record {record} is not in the ledger"));
        };
        let Ok(block) = self.ledger.block(number) else {
            return not_found(format!("there is no transaction {id}"));
        };
        let is_it = |partition: &SourcePartition| *partition == id.partition;
        let letters = &block.records.dead_letters;
        not_found(if letters.iter().any(|l| is_it(&l.partition) && l.offset == id.offset) {
            format!("the record {record} is a dead letter: see /api/v1/deadletters/{record}")
        } else if records::is_filtered(&block, &id.partition, id.offset) {
            format!("no mapping matched the record {record}, so it produced no transaction")
        } else {
            format!("the record {record} is in block {number}, but produced no transaction {id}")
        })
    }

    /// The proof that a transaction is in the ledger, towards the newest checkpoint.
    pub fn proof(&self, id: &SourcePosition) -> Result<ProofView, QueryError> {
        let found = history::transaction(&*self.ledger, id)?;
        let found = found.ok_or_else(|| self.no_transaction(id))?;
        let entry = found.entry().ok_or_else(|| self.no_transaction(id))?.to_bytes();
        let checkpoint = self.checkpoint()?;
        let unreadable = |error: CheckpointError| QueryError::NotReady(error.to_string());
        let head = Checkpoint::unverified(checkpoint.as_bytes()).map_err(unreadable)?;
        let index = found.block.header.leaf_of(found.number);
        let hashes = self.ledger.inclusion_proof(LeafPlace { index, size: head.size })?;
        let leaf = Some(leaf_bytes(&entry).into_owned());
        let proof = EntryProof { leaf, index, hashes, checkpoint };
        let name = self.ledger.name();
        let keys = self.ledger.keys_of(LEDGER_ROLE);
        Ok(ProofView {
            ledger: name.to_owned(),
            id: id.to_string(),
            entry: found.number,
            leaf_index: index,
            tree_size: head.size,
            tree_root: head.root,
            leaf: BASE64_STANDARD.encode(leaf_bytes(&entry)),
            tlog_proof: proof.to_text(),
            hashes: proof.hashes,
            checkpoint: proof.checkpoint,
            verifier_keys: keys.iter().map(|key| verifier_key(name, key)).collect(),
        })
    }

    /// The newest signed checkpoint.
    pub fn checkpoint(&self) -> Result<String, QueryError> {
        let checkpoint = self.ledger.checkpoint();
        if checkpoint.is_empty() {
            return Err(QueryError::NotReady("the ledger has no block yet".to_owned()));
        }
        Ok(checkpoint)
    }

    /// The bytes of a tile.
    pub fn tile(&self, path: TilePath) -> Result<Vec<u8>, QueryError> {
        let TilePath { kind, index, width } = path;
        let level = match kind {
            TileKind::Hashes(level) => return Ok(self.ledger.tile(level, index, width)?),
            TileKind::Entries => 0,
        };
        let size = self.ledger.head().tree_size;
        let end = path.first().and_then(|first| first.checked_add(u64::from(width)));
        if end.is_none_or(|end| end > size) {
            return Err(not_found(format!("the tree of size {size} has no tile {path}")));
        }
        let leaves = self.ledger.leaves(path.first().unwrap_or(level), usize::from(width))?;
        encode_bundle(leaves.iter().map(Vec::as_slice))
            .map_err(|error| QueryError::NotReady(error.to_string()))
    }

    /// Dead letters before a place, newest first: all, or those of one cause.
    pub fn dead_letters(
        &self,
        before: Option<LetterCursor>,
        cause: Option<&str>,
        limit: usize,
    ) -> Result<Page<DeadLetterSummary>, QueryError> {
        let names = Cause::ALL.map(Cause::name);
        if let Some(unknown) = cause.filter(|cause| !names.contains(cause)) {
            let help = did_you_mean(unknown, names);
            let message = format!("no dead letter has the cause `{unknown}`");
            return Err(QueryError::Malformed(joined(message, &help)));
        }
        let takes =
            |letter: &DeadLetter| cause.is_none_or(|cause| letter.rejection.cause.name() == cause);
        gather(before.map(LetterPlace), limit, |before, step| {
            let before = before.map(|LetterPlace(place)| place);
            let (found, next) = history::dead_letters(&*self.ledger, before, step, takes)?;
            let view = |found: &history::FoundLetter| {
                Some(DeadLetterSummary::new(&found.block, found.letter()?))
            };
            Ok((found.iter().filter_map(view).collect(), next.map(LetterPlace)))
        })
    }

    /// The dead letter of a record.
    pub fn dead_letter(
        &self,
        partition: &SourcePartition,
        offset: u64,
    ) -> Result<DeadLetterView, QueryError> {
        let record = record_id(partition, offset);
        let Some(number) = self.ledger.block_of_record(partition, offset) else {
            return Err(not_found(format!("the record {record} is not in the ledger")));
        };
        let block = self.ledger.block(number)?;
        let mut letters = block.records.dead_letters.iter();
        let letter = letters.find(|l| l.partition == *partition && l.offset == offset);
        let letter = letter.ok_or_else(|| not_found(format!("{record} is not a dead letter")))?;
        Ok(DeadLetterView::new(&block, letter))
    }
}
