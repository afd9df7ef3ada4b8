//! The parts of the endpoint's answers that `top` reads. Any text in them may come from a device,
//! so it is made safe for a terminal when it is decoded.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::command::output::safe;

/// A string that a terminal may show.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct SafeText(pub String);

impl<'de> Deserialize<'de> for SafeText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(safe(&text)))
    }
}

impl fmt::Display for SafeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The answers of one round.
#[derive(Debug, Clone, Serialize)]
pub struct Answers {
    /// `/api/v1/status`.
    pub status: Status,
    /// `/api/v1/alerts`: assets with active alerts.
    pub alerted: Vec<Alerted>,
    /// `/api/v1/blocks`, newest first.
    pub blocks: Vec<Block>,
    /// `/api/v1/deadletters`, newest first.
    pub letters: Vec<Letter>,
}

/// A page of a list.
#[derive(Debug, Clone, Deserialize)]
pub struct Page<T> {
    /// The items on this page.
    pub items: Vec<T>,
}

/// The state of the service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// Name of the ledger.
    pub ledger: SafeText,
    /// Version of the program there.
    pub version: SafeText,
    /// True if it takes records in.
    pub ready: bool,
    /// Why not.
    pub obstacles: Vec<SafeText>,
    /// Number of blocks.
    pub height: u64,
    /// Number of entries.
    pub entries: u64,
    /// Age of the newest block in seconds.
    pub block_age_seconds: Option<f64>,
    /// Outcomes of all records.
    pub records: Records,
    /// Progress of the state.
    pub state: State,
    /// The number of assets with each alert.
    pub alerts: Vec<AlertCount>,
    /// Copies of dead letters, where a topic takes them.
    pub dead_letter_topic: Option<Copies>,
    /// Followers of the ledger; absent in earlier versions.
    #[serde(default)]
    pub followers: Vec<Follower>,
    /// Partitions of the source.
    pub partitions: Vec<Partition>,
    /// Age of the newest event when its state could be read, in seconds.
    pub freshness_seconds: Option<f64>,
}

/// Outcomes of all records.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Records {
    /// Records read.
    pub read: u64,
    /// Records that no mapping matched.
    pub filtered: u64,
    /// Records that could not become a transaction.
    pub dead_lettered: u64,
    /// The same by cause.
    pub dead_letters: BTreeMap<SafeText, u64>,
    /// Valid transactions.
    pub valid: u64,
    /// Transactions that are not valid.
    pub invalid: u64,
    /// The same by reason.
    pub invalid_reasons: BTreeMap<SafeText, u64>,
}

/// Progress of the state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    /// Blocks that it has not taken in.
    pub blocks_behind: u64,
    /// Changed assets that wait for the next savepoint.
    pub unsaved_assets: u64,
}

/// Copies of dead letters on a topic.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Copies {
    /// Blocks whose dead letters were not copied yet.
    pub blocks_behind: u64,
}

/// A follower of the ledger.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Follower {
    /// Its name.
    pub name: SafeText,
    /// Blocks that it has not taken in yet.
    pub lag_blocks: u64,
    /// Present where it takes nothing in.
    pub held: Option<Held>,
}

/// Why a follower takes nothing in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Held {
    /// In words for a person.
    pub reason: SafeText,
}

/// One partition of the source.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Partition {
    /// Topic, epoch and partition.
    pub partition: SafeText,
    /// True if the service reads it now.
    pub assigned: bool,
    /// Records that are not durable yet, where known.
    pub lag: Option<u64>,
}

/// The number of assets with an alert.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AlertCount {
    /// Contract.
    pub contract: SafeText,
    /// Name of the alert.
    pub alert: SafeText,
    /// Its severity, if the contract still has it.
    pub severity: Option<SafeText>,
    /// Assets that have it now.
    pub assets: u64,
}

/// An asset with active alerts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Alerted {
    /// Contract.
    pub contract: SafeText,
    /// Key of the asset.
    pub key: SafeText,
    /// Its active alerts.
    pub active_alerts: Vec<ActiveAlert>,
}

/// One of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ActiveAlert {
    /// Its name.
    pub alert: SafeText,
}

/// A block.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Block {
    /// Its number.
    pub number: u64,
    /// Valid transactions in it.
    pub valid: u64,
    /// Transactions in it that are not valid.
    pub invalid: u64,
    /// Dead letters in it.
    pub dead_letters: u64,
}

/// A dead letter.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Letter {
    /// Topic, partition and offset of its record.
    pub id: SafeText,
    /// Why it gave no transaction.
    pub cause: SafeText,
    /// The position in the record.
    pub place: SafeText,
    /// In words.
    pub message: SafeText,
}
