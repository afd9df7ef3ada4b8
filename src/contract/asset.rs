//! An asset as the ledger stores it: the device's own state, and separately everything the contract
//! computes, which no device can write.

use std::sync::OnceLock;

use crate::codec::json::{self, Map, Value, write_text};
use crate::contract::state::Size;
use schemars::JsonSchema;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

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

impl Alerts {
    /// The alerts in an asset's canonical bytes, without reading the rest.
    #[must_use]
    pub fn of_asset(bytes: &[u8]) -> Option<Self> {
        Canonical(bytes).alerts()
    }

    /// True if the call left the alerts as they were.
    #[must_use]
    pub fn are_unchanged(&self) -> bool {
        self.raised.is_empty() && self.cleared.is_empty()
    }
}

/// The state of one asset.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Asset {
    /// Alerts, as computed by the contract.
    pub alerts: Alerts,
    /// No active alert.
    pub compliant: bool,
    /// Fields that the contract's rules derive.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub derived: Map,
    /// The merged state sent by devices.
    pub state: Map,
    /// Steps of a copy of the state, counted at most once.
    #[serde(skip)]
    copy_steps: OnceLock<u64>,
}

impl PartialEq for Asset {
    fn eq(&self, other: &Self) -> bool {
        // Whether the steps were counted yet says nothing about the asset.
        let Self { alerts, compliant, derived, state, copy_steps: _ } = self;
        (alerts, compliant, derived, state)
            == (&other.alerts, &other.compliant, &other.derived, &other.state)
    }
}

impl Asset {
    /// An asset with this state and what the contract computes beside it; it is compliant when no
    /// alert is active.
    #[must_use]
    pub fn new(state: Map, derived: Map, alerts: Alerts) -> Self {
        let compliant = alerts.active.is_empty();
        Self { alerts, compliant, derived, state, copy_steps: OnceLock::new() }
    }

    /// The same, of whose state the size is known.
    pub(super) fn with_size(self, size: Size) -> Self {
        Self { copy_steps: OnceLock::from(size.copy_steps), ..self }
    }

    /// Steps of a copy of the state, for the budget of a record that reads or writes it.
    pub(super) fn copy_steps(&self) -> u64 {
        *self.copy_steps.get_or_init(|| Size::of(&self.state).copy_steps)
    }

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
        for (name, list) in [(ACTIVE, active), (RAISED, raised), (CLEARED, cleared)] {
            bytes.extend_from_slice(name);
            write_names(list, bytes);
        }
        bytes.extend_from_slice(COMPLIANT);
        Value::Bool(self.compliant).write_to(bytes);
        if !self.derived.is_empty() {
            bytes.extend_from_slice(DERIVED);
            self.derived.write_to(bytes);
        }
        bytes.extend_from_slice(STATE);
        self.state.write_to(bytes);
        bytes.push(b'}');
    }

    /// True if bytes have an asset's form and members, of which nothing is kept.
    #[must_use]
    pub fn is_well_formed(bytes: &[u8]) -> bool {
        let is_form = |text| serde_json::from_str::<Form>(text).is_ok();
        std::str::from_utf8(bytes).is_ok_and(is_form) && json::has_no_spaces(bytes)
    }

    /// Reads what [`Asset::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        // `serde_json` takes many times as long, and says what is wrong.
        match Canonical(bytes).asset() {
            Some(asset) => Ok(asset),
            None => serde_json::from_slice(bytes),
        }
    }
}

/// The members of an asset, without their content.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    #[serde(rename = "alerts")]
    _alerts: FormOfAlerts,
    #[serde(rename = "compliant")]
    _compliant: bool,
    #[serde(rename = "derived", default)]
    _derived: Fields,
    #[serde(rename = "state")]
    _state: Fields,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FormOfAlerts {
    #[serde(rename = "active")]
    _active: Vec<String>,
    #[serde(rename = "raised")]
    _raised: Vec<String>,
    #[serde(rename = "cleared")]
    _cleared: Vec<String>,
}

/// An object, whatever its members are.
#[derive(Default)]
struct Fields;

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self)
    }
}

impl<'de> Visitor<'de> for Fields {
    type Value = Self;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self)
    }
}

/// The rest of an asset's canonical bytes: names that always stand there are passed, not read.
struct Canonical<'a>(&'a [u8]);

impl Canonical<'_> {
    fn asset(mut self) -> Option<Asset> {
        let alerts = self.alerts()?;
        self.pass(COMPLIANT)?;
        let compliant = match self.value()? {
            Value::Bool(compliant) => compliant,
            _ => return None,
        };
        let derived = match self.pass(DERIVED) {
            Some(()) => self.fields()?,
            None => Map::new(),
        };
        self.pass(STATE)?;
        let state = self.fields()?;
        let copy_steps = OnceLock::new();
        (self.0 == b"}").then_some(Asset { alerts, compliant, derived, state, copy_steps })
    }

    fn alerts(&mut self) -> Option<Alerts> {
        let active = self.names(ACTIVE)?;
        let raised = self.names(RAISED)?;
        let cleared = self.names(CLEARED)?;
        Some(Alerts { active, raised, cleared })
    }

    fn pass(&mut self, text: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    fn value(&mut self) -> Option<Value> {
        let (value, rest) = json::parse_first(self.0)?;
        self.0 = rest;
        Some(value)
    }

    fn fields(&mut self) -> Option<Map> {
        match self.value()? {
            Value::Object(fields) => Some(fields),
            _ => None,
        }
    }

    fn names(&mut self, name: &[u8]) -> Option<Vec<String>> {
        self.pass(name)?;
        if self.pass(b"[]").is_some() {
            return Some(Vec::new());
        }
        let Value::Array(names) = self.value()? else { return None };
        let name = |value| match value {
            Value::String(name) => Some(name.into()),
            _ => None,
        };
        names.into_iter().map(name).collect()
    }
}

/// Fixed bytes before each part of the canonical encoding.
const ACTIVE: &[u8] = br#"{"alerts":{"active":"#;
const RAISED: &[u8] = br#","raised":"#;
const CLEARED: &[u8] = br#","cleared":"#;
const COMPLIANT: &[u8] = br#"},"compliant":"#;
const DERIVED: &[u8] = br#","derived":"#;
const STATE: &[u8] = br#","state":"#;

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
            let mut asset = Asset::new(state.clone(), derived, alerts);
            asset.compliant = false;
            let bytes = asset.to_bytes();
            assert_eq!(bytes, serde_json::to_vec(&asset).unwrap());
            assert_eq!(Asset::from_bytes(&bytes).unwrap(), asset);
            assert_eq!(Alerts::of_asset(&bytes).as_ref(), Some(&asset.alerts));
            assert_eq!(Canonical(&bytes).asset(), Some(asset));
            assert!(Asset::is_well_formed(&bytes));
        }
        // What is no canonical form of it is read all the same: an exponent here, the order there.
        let canonical = r#"{"alerts":{"active":[],"raised":[],"cleared":[]},"compliant":true,"state":{"a":100000}}"#;
        let asset = Asset::from_bytes(canonical.as_bytes()).unwrap();
        assert_eq!(asset.to_bytes(), canonical.as_bytes());
        let exponent = canonical.replace("100000", "1e+5");
        assert_eq!(Canonical(exponent.as_bytes()).asset(), None);
        assert_eq!(Asset::from_bytes(exponent.as_bytes()).unwrap().to_bytes(), exponent.as_bytes());
        for other in [
            r#"{"state":{"a":100000},"alerts":{"active":[],"raised":[],"cleared":[]},"compliant":true}"#,
            &format!(" {canonical}"),
        ] {
            assert_eq!(Asset::from_bytes(other.as_bytes()).unwrap(), asset, "{other}");
        }
        for broken in [format!("{canonical} x"), canonical.replace("true", "1")] {
            assert!(Asset::from_bytes(broken.as_bytes()).is_err(), "{broken}");
        }
        assert!(Asset::is_well_formed(canonical.as_bytes()));
        for broken in [
            "rubbish",
            "{}",
            &canonical.replace("true", "1"),
            &canonical.replace("[]", "[1]"),
            &canonical.replace(r#"{"a":100000}"#, "7"),
            &canonical.replace("100000", "1 "),
            &canonical.replace("100000", "x"),
            &canonical.replace(r#""compliant""#, r#""more":1,"compliant""#),
        ] {
            assert!(!Asset::is_well_formed(broken.as_bytes()), "{broken}");
        }
        let error = Asset::from_bytes(br#"{"alerts":{},"compliant":true,"state":{}}"#).unwrap_err();
        assert!(error.to_string().contains("missing field `active`"), "{error}");
    }
}
