//! What the ledger keeps of an asset: the device's own state, and apart from it all that the
//! contract computes, where no device can reach it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Alerts after one call. Names are sorted and unique.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Alerts {
    /// Raised now or before and not cleared.
    pub active: Vec<String>,
    /// Active now and not before this call.
    pub raised: Vec<String>,
    /// Active before this call and not now.
    pub cleared: Vec<String>,
}

/// The state of one asset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asset {
    /// What the contract computes of alerts.
    pub alerts: Alerts,
    /// No active alert.
    pub compliant: bool,
    /// Fields that the contract's rules derive.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub derived: Map<String, Value>,
    /// What devices sent, merged.
    pub state: Map<String, Value>,
}

impl Asset {
    /// Canonical bytes: compact JSON with sorted names.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // A map with text keys and JSON values always serialises.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what [`Asset::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}
