//! Active alerts: meaning, severity and start.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::contract::{AlertSeverity, ContractSet};
use crate::ledger::{Definition, DefinitionKind};
use crate::query::views::seconds;
use crate::query::views::{AssetView, time_text};
use crate::state::{AlertNames, Since, StoredAsset};
use crate::transaction::Transaction;

/// Definitions of the contracts' alerts, by contract and alert.
#[derive(Debug, Default)]
pub struct AlertCatalogue(BTreeMap<(String, String), (AlertSeverity, String)>);

impl AlertCatalogue {
    /// Of the newest version of each contract among a ledger's definitions.
    #[must_use]
    pub fn new(definitions: &[(u64, Definition)]) -> Self {
        let mut texts = BTreeMap::new();
        for (_, definition) in definitions {
            if definition.kind == DefinitionKind::Contract {
                texts.insert(definition.name.as_str(), &definition.text);
            }
        }
        let mut alerts = BTreeMap::new();
        for (name, text) in texts {
            // What a later version of this program no longer reads has no severities.
            let (contracts, _) = ContractSet::load(&[(name.into(), text.to_string())]);
            for alert in contracts.get(name).iter().flat_map(|contract| contract.alerts()) {
                let described = (alert.severity, alert.description.to_owned());
                alerts.insert((name.to_owned(), alert.name.to_owned()), described);
            }
        }
        Self(alerts)
    }

    /// The number of assets with each alert, zeros included.
    #[must_use]
    pub fn count(&self, active: BTreeMap<(Arc<str>, Box<str>), u64>) -> Vec<AlertCountView> {
        let mut counts: BTreeMap<_, _> = self.0.keys().map(|alert| (alert.clone(), 0)).collect();
        let active = active.into_iter();
        counts.extend(active.map(|((contract, alert), assets)| {
            ((contract.to_string(), alert.into_string()), assets)
        }));
        let view = |((contract, alert), assets): ((String, String), u64)| {
            let severity = self.severity(&contract, &alert);
            AlertCountView { contract, alert, severity, assets }
        };
        counts.into_iter().map(view).collect()
    }

    /// Assets with alerts by the worst of each.
    #[must_use]
    pub fn fleet(&self, assets: BTreeMap<(Arc<str>, AlertNames), u64>) -> FleetView {
        let mut fleet = FleetView::default();
        for ((contract, names), assets) in assets {
            let worst = names.iter().filter_map(|name| self.severity(&contract, name)).max();
            *match worst {
                Some(AlertSeverity::Critical) => &mut fleet.critical,
                Some(AlertSeverity::Warning) => &mut fleet.warning,
                Some(AlertSeverity::Info) => &mut fleet.info,
                None => &mut fleet.unknown,
            } += assets;
        }
        fleet
    }

    /// Details of the alerts of an asset.
    #[must_use]
    pub fn describe(&self, contract: &str, since: Vec<Since>) -> Vec<AlertView> {
        let view = |(name, time_ms): Since| {
            let described = self.get(contract, &name);
            AlertView {
                severity: described.map(|(severity, _)| *severity),
                description: described.map(|(_, text)| text.clone()).unwrap_or_default(),
                since: time_text(time_ms),
                alert: name.into(),
            }
        };
        since.into_iter().map(view).collect()
    }

    /// The severity of an alert, if the contract defines it.
    #[must_use]
    pub fn severity(&self, contract: &str, alert: &str) -> Option<AlertSeverity> {
        self.get(contract, alert).map(|(severity, _)| *severity)
    }

    fn get(&self, contract: &str, alert: &str) -> Option<&(AlertSeverity, String)> {
        self.0.get(&(contract.to_owned(), alert.to_owned()))
    }
}

/// An asset with active alerts.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AlertedView {
    /// The asset.
    #[serde(flatten)]
    pub asset: AssetView,
    /// Its active alerts.
    pub active_alerts: Vec<AlertView>,
}

/// One active alert of an asset.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AlertView {
    /// Its name.
    pub alert: String,
    /// Severity; `null` if the contract's newest version no longer has the alert.
    pub severity: Option<AlertSeverity>,
    /// Meaning and recommended action.
    pub description: String,
    /// Time of the event that raised it.
    pub since: String,
}

impl AlertedView {
    /// Of an asset and its alerts.
    #[must_use]
    pub fn new(asset: StoredAsset, since: Vec<Since>, catalogue: &AlertCatalogue) -> Self {
        let active_alerts = catalogue.describe(&asset.contract, since);
        Self { asset: asset.into(), active_alerts }
    }
}

/// Assets with an active alert, each counted once, by the worst of its alerts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FleetView {
    /// Assets with a critical alert.
    pub critical: u64,
    /// Assets with a warning and nothing worse.
    pub warning: u64,
    /// Assets with alerts of severity `info` only.
    pub info: u64,
    /// Assets whose alerts are no longer in the contract.
    pub unknown: u64,
}

/// The number of assets with an alert.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AlertCountView {
    /// Contract.
    pub contract: String,
    /// Name of the alert.
    pub alert: String,
    /// Severity; `null` if the contract's newest version no longer has the alert.
    pub severity: Option<AlertSeverity>,
    /// Assets that have it now.
    pub assets: u64,
}

/// A change of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertChange {
    /// It was not active before.
    Raised,
    /// It is not active any more.
    Cleared,
}

/// An alert that a transaction raised or cleared.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AlertEventView {
    /// Name of the alert.
    pub alert: String,
    /// Raised or cleared.
    pub change: AlertChange,
    /// Severity; `null` if the contract's newest version no longer has the alert.
    pub severity: Option<AlertSeverity>,
    /// Contract.
    pub contract: String,
    /// Key of the asset.
    pub key: String,
    /// Time of the event.
    pub time: String,
    /// Id of the transaction.
    pub transaction: String,
    /// Number of its entry.
    pub entry: u64,
    /// Active time in seconds; absent if it was raised, or too far back to be found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lasted_seconds: Option<f64>,
}

impl AlertEventView {
    /// Of an alert, how bad it is and what a transaction did to it.
    #[must_use]
    pub fn new(
        entry: u64,
        transaction: &Transaction,
        key: &str,
        (alert, severity, change): (&str, Option<AlertSeverity>, AlertChange),
    ) -> Self {
        Self {
            alert: alert.to_owned(),
            change,
            severity,
            contract: transaction.contract.to_string(),
            key: key.to_owned(),
            time: time_text(transaction.time_ms),
            transaction: transaction.id.to_string(),
            entry,
            lasted_seconds: None,
        }
    }

    /// With how long it was active, in milliseconds.
    #[must_use]
    pub fn lasting(self, ms: Option<i64>) -> Self {
        Self { lasted_seconds: ms.map(seconds), ..self }
    }
}
