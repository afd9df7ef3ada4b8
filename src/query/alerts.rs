//! Queries for alerts: active ones, and the times at which each was raised and cleared.

use std::sync::Arc;

use crate::contract::{AlertSeverity, Alerts};
use crate::ledger::{Entry, StoredWrite};
use crate::limits::MAX_WALKED_ALERT_CHANGES;
use crate::query::page::{AlertCursor, gather};
use crate::query::views::{
    AlertCatalogue, AlertChange, AlertCountView, AlertEventView, AlertView, AlertedView, FleetView,
    Page,
};
use crate::query::{Queries, QueryError};
use crate::state::StoredAsset;
use crate::state::history::{self, Found};

/// The assets whose alerts are asked for; all by default.
#[derive(Debug, Clone, Default)]
pub struct AlertFilter {
    /// Contract.
    pub contract: Option<String>,
    /// Key of the asset.
    pub key: Option<String>,
}

impl AlertFilter {
    fn takes(&self, contract: &str, write: &StoredWrite) -> bool {
        self.contract.as_deref().is_none_or(|asked| asked == contract)
            && self.key.as_deref().is_none_or(|asked| asked == &*write.key)
    }
}

impl Queries {
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

    /// The active alerts of one asset.
    #[must_use]
    pub fn alerts_of(&self, contract: &str, key: &str) -> Vec<AlertView> {
        let since = self.world.alerts_since(contract, key);
        self.alert_catalogue().describe(contract, since)
    }

    /// The number of assets with each alert, by contract and alert. Includes every alert that a
    /// contract defines or an asset has.
    #[must_use]
    pub fn alert_counts(&self) -> Vec<AlertCountView> {
        self.alert_catalogue().count(self.world.alert_counts())
    }

    /// Assets with active alerts, by the worst of each.
    #[must_use]
    pub fn fleet(&self) -> FleetView {
        self.alert_catalogue().fleet(self.world.assets_by_alerts())
    }

    /// Severity of an alert; `None` where the contract's newest version no longer has it.
    #[must_use]
    pub fn severity(&self, contract: &str, alert: &str) -> Option<AlertSeverity> {
        self.alert_catalogue().severity(contract, alert)
    }

    /// Contracts are recorded before the first question, so what they say is read once.
    fn alert_catalogue(&self) -> &AlertCatalogue {
        self.alerts.get_or_init(|| AlertCatalogue::new(&self.ledger.definitions()))
    }

    /// Alerts that were raised or cleared by entries below `before`, newest first. `limit` counts
    /// transactions, each of which may have changed several.
    pub fn alert_history(
        &self,
        filter: &AlertFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<AlertEventView>, QueryError> {
        let takes = |entry: &Entry| {
            let Entry::Transaction { transaction, writes, .. } = entry else { return false };
            writes
                .iter()
                .any(|write| filter.takes(&transaction.contract, write) && changes_alerts(write))
        };
        let range = 0..before.unwrap_or(u64::MAX);
        let (found, next) = history::search(&*self.ledger, range, limit, takes)?;
        let mut events = Vec::new();
        let mut walks = MAX_WALKED_ALERT_CHANGES;
        for found in &found {
            self.events_of(found, filter, &mut walks, &mut events)?;
        }
        Ok(Page { items: events, next: next.map(|next| next.to_string()) })
    }

    fn events_of(
        &self,
        found: &Found,
        filter: &AlertFilter,
        walks: &mut usize,
        events: &mut Vec<AlertEventView>,
    ) -> Result<(), QueryError> {
        let Some(Entry::Transaction { transaction, writes, .. }) = found.entry() else {
            return Ok(());
        };
        let contract = &transaction.contract;
        for write in writes.iter().filter(|write| filter.takes(contract, write)) {
            let Some(changes) = write.value.as_deref().and_then(Alerts::of_asset) else { continue };
            let event = |alert: &str, change| {
                let severity = self.alert_catalogue().severity(contract, alert);
                AlertEventView::new(
                    found.number,
                    transaction,
                    &write.key,
                    (alert, severity, change),
                )
            };
            events.extend(changes.raised.iter().map(|alert| event(alert, AlertChange::Raised)));
            for alert in &changes.cleared {
                let raised_ms = self.raised_before((contract, &write.key), write, alert, walks)?;
                let lasted = raised_ms.map(|raised| transaction.time_ms.saturating_sub(raised));
                events.push(event(alert, AlertChange::Cleared).lasting(lasted));
            }
        }
        Ok(())
    }

    /// Time of the event that raised an alert which a write cleared; `None` where that is further back
    /// than is looked.
    fn raised_before(
        &self,
        (contract, key): (&str, &str),
        cleared: &StoredWrite,
        alert: &str,
        walks: &mut usize,
    ) -> Result<Option<i64>, QueryError> {
        let mut next = cleared.replaced;
        while let Some(entry) = next.filter(|_| *walks > 0) {
            *walks -= 1;
            let (found, older) = history::of_asset(&*self.ledger, (contract, key), entry, 1)?;
            let Some(found) = found.first() else { break };
            let value = found.write_of(contract, key).and_then(|write| write.value.as_deref());
            let changes = value.and_then(Alerts::of_asset);
            if changes.is_some_and(|changes| changes.raised.iter().any(|name| name == alert)) {
                return Ok(found.transaction().map(|transaction| transaction.time_ms));
            }
            next = older;
        }
        Ok(None)
    }
}

fn changes_alerts(write: &StoredWrite) -> bool {
    let changes = write.value.as_deref().and_then(Alerts::of_asset);
    changes.is_some_and(|changes| !changes.are_unchanged())
}
