//! What the ledger keeps of an asset: the device's own state, and apart from it all that the
//! contract computes, where no device can reach it.

use crate::codec::json::{self, Map, Value, write_text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Alerts after one call. Names are sorted and unique.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Alerts {
    /// Raised now or before and not cleared.
    pub active: Vec<String>,
    /// Active now and not before this call.
    pub raised: Vec<String>,
    /// Active before this call and not now.
    pub cleared: Vec<String>,
}

/// The state of one asset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Asset {
    /// What the contract computes of alerts.
    pub alerts: Alerts,
    /// No active alert.
    pub compliant: bool,
    /// Fields that the contract's rules derive.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub derived: Map,
    /// What devices sent, merged.
    pub state: Map,
}

impl Asset {
    /// Canonical bytes: compact JSON with sorted names.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(USUAL_BYTES);
        self.write_to(&mut bytes);
        bytes
    }

    /// Appends them.
    pub fn write_to(&self, bytes: &mut Vec<u8>) {
        let Alerts { active, raised, cleared } = &self.alerts;
        let lists: [(&[u8], _); 3] = [
            (br#"{"alerts":{"active":"#, active),
            (br#","raised":"#, raised),
            (br#","cleared":"#, cleared),
        ];
        for (name, list) in lists {
            bytes.extend_from_slice(name);
            write_names(list, bytes);
        }
        bytes.extend_from_slice(br#"},"compliant":"#);
        Value::Bool(self.compliant).write_to(bytes);
        if !self.derived.is_empty() {
            bytes.extend_from_slice(br#","derived":"#);
            self.derived.write_to(bytes);
        }
        bytes.extend_from_slice(br#","state":"#);
        self.state.write_to(bytes);
        bytes.push(b'}');
    }

    /// Reads what [`Asset::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        // `serde_json` takes three times as long, and says what is wrong.
        match json::parse(bytes).ok().and_then(Self::of_value) {
            Some(asset) => Ok(asset),
            None => serde_json::from_slice(bytes),
        }
    }

    fn of_value(value: Value) -> Option<Self> {
        let Value::Object(mut members) = value else { return None };
        let Value::Object(mut alerts) = members.remove("alerts")? else { return None };
        let mut names = |name| names(alerts.remove(name)?);
        let alerts = Alerts {
            active: names("active")?,
            raised: names("raised")?,
            cleared: names("cleared")?,
        };
        let Value::Bool(compliant) = members.remove("compliant")? else { return None };
        let derived = members.remove("derived").unwrap_or(Value::Object(Map::new()));
        let Value::Object(derived) = derived else { return None };
        let Value::Object(state) = members.remove("state")? else { return None };
        Some(Self { alerts, compliant, derived, state })
    }
}

fn names(value: Value) -> Option<Vec<String>> {
    let Value::Array(names) = value else { return None };
    let name = |value| match value {
        Value::String(name) => Some(name.into()),
        _ => None,
    };
    names.into_iter().map(name).collect()
}

/// Room for an asset of some twenty fields.
const USUAL_BYTES: usize = 512;

fn write_names(names: &[String], bytes: &mut Vec<u8>) {
    bytes.push(b'[');
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            bytes.push(b',');
        }
        write_text(name, bytes);
    }
    bytes.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::json::json;

    #[test]
    fn its_bytes_are_its_json() {
        let fields = |value: Value| value.as_object().cloned().unwrap();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let state = fields(json!({"b": [1.50, null], "a": {"\"": "\n"}}));
        for (active, derived) in [(names(&[]), Map::new()), (names(&["A", "\""]), state.clone())] {
            let alerts = Alerts { active, raised: names(&["B"]), cleared: names(&["C", "D"]) };
            let asset = Asset { alerts, compliant: false, derived, state: state.clone() };
            let bytes = asset.to_bytes();
            assert_eq!(bytes, serde_json::to_vec(&asset).unwrap());
            assert_eq!(Asset::from_bytes(&bytes).unwrap(), asset);
            assert_eq!(json::parse(&bytes).ok().and_then(Asset::of_value), Some(asset));
        }
        let error = Asset::from_bytes(br#"{"alerts":{},"compliant":true,"state":{}}"#).unwrap_err();
        assert!(error.to_string().contains("missing field `active`"), "{error}");
    }
}
