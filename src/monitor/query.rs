//! What can be looked at, whoever asks: the endpoint and the command line.
//!
//! Every answer is a page, found within a bounded number of steps. Only durable blocks are read, and
//! no lock is held while a file is read, so no question holds up ingestion.

use std::sync::{Arc, OnceLock};

use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::event::{SourcePartition, SourcePosition};
use crate::fault::did_you_mean;
use crate::ledger::checkpoint::{Checkpoint, CheckpointError, verifier_key};
use crate::ledger::embedded::Shared;
use crate::ledger::embedded::keys::LEDGER_ROLE;
use crate::ledger::proof::EntryProof;
use crate::ledger::tiles::{TileKind, TilePath, encode_bundle};
use crate::ledger::tree::TreeError;
use crate::ledger::{DefinitionKind, Entry, LedgerError, LedgerReader, leaf_bytes};
use crate::limits::MAX_SCANNED_ASSETS;
use crate::monitor::filter::TransactionFilter;
use crate::monitor::page::{AlertCursor, LetterPlace, gather};
use crate::monitor::views::{
    AlertCatalogue, AlertCountView, AlertedView, AssetView, BlockSummary, BlockView, ChangeView,
    DeadLetterSummary, DeadLetterView, DefinitionView, Page, ProofView, TransactionSummary,
    TransactionView, record_id,
};
use crate::state::history::{self, LetterCursor};
use crate::state::{Filter, StateError, StoredAsset, World};

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

/// Answers questions about a ledger and its state.
#[derive(Debug, Clone)]
pub struct Queries {
    ledger: Arc<Shared>,
    world: Arc<World>,
    alerts: Arc<OnceLock<AlertCatalogue>>,
}

impl Queries {
    /// Over a ledger and the state that was folded from it.
    #[must_use]
    pub fn new(ledger: Arc<Shared>, world: Arc<World>) -> Self {
        Self { ledger, world, alerts: Arc::default() }
    }

    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> &Shared {
        &self.ledger
    }

    /// The state.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
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

    /// Transactions below the entry `before`, newest first.
    pub fn transactions(
        &self,
        filter: &TransactionFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<TransactionSummary>, QueryError> {
        let takes = |entry: &Entry| filter.takes(entry);
        let (found, next) = history::search(&*self.ledger, before, limit, takes)?;
        let items = found.iter().filter_map(TransactionSummary::of).collect();
        Ok(Page { items, next: next.map(|next| next.to_string()) })
    }

    /// One transaction.
    pub fn transaction(&self, id: &SourcePosition) -> Result<TransactionView, QueryError> {
        let found = history::transaction(&*self.ledger, id)?;
        found.as_ref().and_then(TransactionView::of).ok_or_else(|| self.no_transaction(id))
    }

    /// Says what became of a record that gave no transaction, or not this one.
    fn no_transaction(&self, id: &SourcePosition) -> QueryError {
        let record = record_id(&id.partition, id.offset);
        let Some(number) = self.ledger.block_of_record(&id.partition, id.offset) else {
            return not_found(format!("the ledger has not read the record {record}"));
        };
        let Ok(block) = self.ledger.block(number) else {
            return not_found(format!("there is no transaction {id}"));
        };
        let is_it = |partition: &SourcePartition| *partition == id.partition;
        let records = &block.records;
        let letters = &records.dead_letters;
        let lies_in = |(first, count): &(u64, u64)| (*first..first + count).contains(&id.offset);
        not_found(if letters.iter().any(|l| is_it(&l.partition) && l.offset == id.offset) {
            format!("the record {record} is a dead letter: see /api/v1/deadletters/{record}")
        } else if records.filtered.iter().any(|f| is_it(&f.partition) && f.runs.iter().any(lies_in))
        {
            format!("no mapping matched the record {record}, so it gave no transaction")
        } else {
            format!("the record {record} is in block {number}, but gave no transaction {id}")
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
        let hashes = self.ledger.inclusion_proof(found.index, head.size)?;
        let proof = EntryProof { index: found.index, hashes, checkpoint };
        let name = self.ledger.name();
        let keys = self.ledger.keys_of(LEDGER_ROLE);
        Ok(ProofView {
            ledger: name.to_owned(),
            id: id.to_string(),
            entry: found.index,
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
            return Err(not_found(format!("the tree of {size} entries has no tile {path}")));
        }
        let leaves = self.ledger.leaves(path.first().unwrap_or(level), usize::from(width))?;
        encode_bundle(leaves.iter().map(Vec::as_slice))
            .map_err(|error| QueryError::NotReady(error.to_string()))
    }

    /// Assets of a contract behind the key `after`, in order of keys.
    pub fn assets(
        &self,
        contract: &str,
        after: Option<&str>,
        filter: &Filter,
        limit: usize,
    ) -> Result<Page<AssetView>, QueryError> {
        let page = gather(after.map(str::to_owned), limit, |after, step| {
            let bounds = (step, MAX_SCANNED_ASSETS);
            let (assets, next) = self.world.list(contract, after.as_deref(), filter, bounds)?;
            Ok((assets.into_iter().map(AssetView::from).collect(), next))
        })?;
        if page.items.is_empty() && page.next.is_none() {
            self.known_contract(contract)?;
        }
        Ok(page)
    }

    /// Refuses a contract that the ledger never recorded.
    fn known_contract(&self, contract: &str) -> Result<(), QueryError> {
        let definitions = self.ledger.definitions();
        let contracts = definitions.iter().filter(|(_, d)| d.kind == DefinitionKind::Contract);
        let names: Vec<_> = contracts.map(|(_, definition)| definition.name.as_str()).collect();
        if names.contains(&contract) {
            return Ok(());
        }
        let help = did_you_mean(contract, names);
        Err(not_found(joined(format!("the ledger has no contract `{contract}`"), &help)))
    }

    /// One asset.
    pub fn asset(&self, contract: &str, key: &str) -> Result<AssetView, QueryError> {
        if let Some(asset) = self.world.get(contract, key)? {
            return Ok(asset.into());
        }
        self.known_contract(contract)?;
        Err(not_found(match self.world.newest_version(contract, key)? {
            Some(_) => format!("the asset `{key}` of `{contract}` is deleted; its history stays"),
            None => format!("`{contract}` has no asset `{key}`"),
        }))
    }

    /// The changes of an asset from the entry `from` on back, newest first. Also of a deleted one.
    pub fn history(
        &self,
        (contract, key): (&str, &str),
        from: Option<u64>,
        limit: usize,
    ) -> Result<Page<ChangeView>, QueryError> {
        let newest = self.world.newest_version(contract, key)?;
        let Some(newest) = newest else {
            self.known_contract(contract)?;
            return Err(not_found(format!("`{contract}` never had an asset `{key}`")));
        };
        let from = from.unwrap_or(newest).min(newest);
        gather(Some(from), limit, |from, step| {
            let from = from.unwrap_or(newest);
            let (found, next) = history::of_asset(&*self.ledger, (contract, key), from, step)?;
            Ok((found.iter().filter_map(|found| ChangeView::of(found, key)).collect(), next))
        })
    }

    /// Assets with an active alert behind a contract and key, in order of contract and key.
    pub fn alerts(
        &self,
        after: Option<(String, String)>,
        limit: usize,
    ) -> Result<Page<AlertedView>, QueryError> {
        let catalogue = self.alert_catalogue();
        gather(after.map(AlertCursor), limit, |after, step| {
            let after = after.map(|AlertCursor((contract, key))| (Arc::from(contract), key));
            let (assets, next) = self.world.alerts(after.as_ref(), step)?;
            let next = next.map(|(contract, key)| AlertCursor((contract.to_string(), key)));
            let view = |asset: StoredAsset| {
                let since = self.world.alerts_since(&asset.contract, &asset.key);
                AlertedView::new(asset, since, catalogue)
            };
            Ok((assets.into_iter().map(view).collect(), next))
        })
    }

    /// How many assets have each alert that contracts know or assets have, by contract and alert.
    #[must_use]
    pub fn alert_counts(&self) -> Vec<AlertCountView> {
        self.alert_catalogue().count(self.world.alert_counts())
    }

    /// Contracts are recorded before the first question, so what they say is read once.
    fn alert_catalogue(&self) -> &AlertCatalogue {
        self.alerts.get_or_init(|| AlertCatalogue::new(&self.ledger.definitions()))
    }

    /// The newest change of each asset, newest first.
    pub fn recent(&self, limit: usize) -> Result<Page<ChangeView>, QueryError> {
        let recent = history::recent_assets(&*self.ledger, limit)?;
        let items = recent.iter().filter_map(|(found, key)| ChangeView::of(found, key)).collect();
        Ok(Page { items, next: None })
    }

    /// Dead letters before a place, newest first.
    pub fn dead_letters(
        &self,
        before: Option<LetterCursor>,
        limit: usize,
    ) -> Result<Page<DeadLetterSummary>, QueryError> {
        gather(before.map(LetterPlace), limit, |before, step| {
            let before = before.map(|LetterPlace(place)| place);
            let (found, next) = history::dead_letters(&*self.ledger, before, step)?;
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
            return Err(not_found(format!("the ledger has not read the record {record}")));
        };
        let block = self.ledger.block(number)?;
        let mut letters = block.records.dead_letters.iter();
        let letter = letters.find(|l| l.partition == *partition && l.offset == offset);
        let letter = letter.ok_or_else(|| not_found(format!("{record} is no dead letter")))?;
        Ok(DeadLetterView::new(&block, letter))
    }

    /// Definitions of a kind behind the entry `after`, in the order they were recorded, without
    /// their texts.
    #[must_use]
    pub fn definitions(
        &self,
        kind: DefinitionKind,
        after: Option<u64>,
        limit: usize,
    ) -> Page<DefinitionView> {
        let definitions = self.ledger.definitions();
        let mut of_kind = definitions
            .iter()
            .filter(|(_, definition)| definition.kind == kind)
            .filter(|(entry, _)| after.is_none_or(|after| *entry > after));
        let view = |(entry, definition): &_| DefinitionView::new(*entry, definition, false);
        let items: Vec<_> = of_kind.by_ref().take(limit).map(view).collect();
        let next = of_kind.next().and(items.last()).map(|last| last.entry.to_string());
        Page { items, next }
    }

    /// The newest definition of a kind with this name, with its text; or the one with this digest.
    pub fn definition(
        &self,
        kind: DefinitionKind,
        name: &str,
        digest: Option<&str>,
    ) -> Result<DefinitionView, QueryError> {
        let definitions = self.ledger.definitions();
        let of_kind = definitions.iter().rev().filter(|(_, definition)| definition.kind == kind);
        let is_it = |digest: &str, found: String| found == digest;
        let found = of_kind.clone().find(|(_, definition)| {
            definition.name == name
                && digest.is_none_or(|digest| is_it(digest, definition.digest().to_string()))
        });
        let Some((entry, definition)) = found else {
            let help = did_you_mean(name, of_kind.map(|(_, definition)| definition.name.as_str()));
            let kind = kind.name();
            let message = format!("the ledger has no such {kind} `{name}`");
            return Err(not_found(joined(message, &help)));
        };
        Ok(DefinitionView::new(*entry, definition, true))
    }
}
