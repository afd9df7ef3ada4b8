//! Queries for assets: now, and at any earlier time.

use crate::codec::json::Value;
use crate::diagnostic::did_you_mean;
use crate::ledger::{DefinitionKind, LedgerReader};
use crate::limits::{MAX_SCANNED_ASSETS, MAX_WALKED_CHANGES};
use crate::query::page::gather;
use crate::query::views::{AssetView, ChangeView, Page, PastView, asset_value};
use crate::query::{Queries, QueryError, joined, not_found};
use crate::state::{Filter, history};

/// A point in the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// After this block.
    Block(u64),
    /// At this time, in milliseconds since 1970: with the blocks that had been made by then.
    Time(i64),
}

impl Queries {
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
    pub(crate) fn known_contract(&self, contract: &str) -> Result<(), QueryError> {
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
            Some(_) => format!("the asset `{key}` of `{contract}` is deleted; its history remains"),
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
        let newest = self.newest_change((contract, key))?;
        let from = from.unwrap_or(newest).min(newest);
        gather(Some(from), limit, |from, step| {
            let from = from.unwrap_or(newest);
            let (found, next) = history::of_asset(&*self.ledger, (contract, key), from, step)?;
            Ok((found.iter().filter_map(|found| ChangeView::of(found, key)).collect(), next))
        })
    }

    /// Number of the entry that last wrote or deleted an asset.
    pub fn newest_change(&self, (contract, key): (&str, &str)) -> Result<u64, QueryError> {
        let newest = self.world.newest_version(contract, key)?;
        match newest {
            Some(newest) => Ok(newest),
            None => {
                self.known_contract(contract)?;
                Err(not_found(format!("`{contract}` never had an asset `{key}`")))
            }
        }
    }

    /// An asset as a past block left it. It walks back from the newest change, or from the entry
    /// `from`, over at most [`MAX_WALKED_CHANGES`].
    pub fn asset_at(
        &self,
        (contract, key): (&str, &str),
        at: At,
        from: Option<u64>,
    ) -> Result<PastView, QueryError> {
        let height = self.ledger.head().height;
        let number = match at {
            At::Block(number) => number,
            At::Time(time_ms) => {
                let next = history::first_block_since(&*self.ledger, time_ms.saturating_add(1))?;
                let too_early = || not_found("the ledger had no block at that time".to_owned());
                next.checked_sub(1).ok_or_else(too_early)?
            }
        };
        if number >= height {
            return Err(not_found(format!("there is no block {number}; the ledger has {height}")));
        }
        let end = self.ledger.block(number)?.header.entries_end;
        let newest = self.newest_change((contract, key))?;
        let mut next = Some(from.map_or(newest, |from| from.min(newest)));
        for _ in 0..MAX_WALKED_CHANGES {
            let Some(entry) = next else { return Ok(PastView::absent(number)) };
            let found = history::entry(&*self.ledger, entry)?;
            let write = found.as_ref().and_then(|found| found.write_of(contract, key));
            let Some(write) = write else { return Ok(PastView::absent(number)) };
            if entry < end {
                return Ok(PastView::new(number, entry, write));
            }
            next = write.replaced.filter(|replaced| *replaced < entry);
        }
        Err(QueryError::Malformed(format!(
            "block {number} is more than {MAX_WALKED_CHANGES} changes of `{key}` back; continue with \
             `from={}`",
            next.unwrap_or_default()
        )))
    }

    /// The asset as an entry wrote it; `None` if the entry deleted it or did not write it.
    pub fn asset_at_entry(
        &self,
        (contract, key): (&str, &str),
        entry: u64,
    ) -> Result<Option<Value>, QueryError> {
        let found = history::entry(&*self.ledger, entry)?;
        let write = found.as_ref().and_then(|found| found.write_of(contract, key));
        let bytes = write.and_then(|write| write.value.as_deref());
        Ok(bytes.map(asset_value))
    }
}
