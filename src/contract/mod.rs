//! Contracts: functions and rules over an asset's state, declared in YAML, executed without IO or
//! time. A contract runs once, when its transaction is appended; replay applies what it decided.
//!
//! # What a call does
//!
//! 1. The function must be on offer, the arguments an object with the asset's key.
//! 2. The arguments change the device's state: `create` and `replace` set it, `update` merges
//!    (objects deeply; arrays and scalars replace), `deleteProperties` takes out, `delete` ends the
//!    asset. `null` is a value, unless the contract says that it deletes.
//! 3. The new state must fit its bound and its schema, and no `reject` rule may hold.
//! 4. `derive` rules compute fields, then `alert` rules raise and clear, each in the order of the
//!    file. Both see the state before and after, what was derived before, and the arguments.
//! 5. The asset is compliant when no alert is active.
//!
//! | was active | rule says | active | raised | cleared |
//! |---|---|---|---|---|
//! | no | raise | yes | yes | no |
//! | yes | raise | yes | no | no |
//! | yes | clear | no | no | yes |
//! | no | clear | no | no | no |
//!
//! A rule that lacks a field has a defined answer: `reject` does not hold, `derive` gives nothing,
//! an alert is clear. Any other failure of a rule makes the transaction invalid.
//!
//! # What a device cannot do
//!
//! All that a contract computes stands in [`Asset`] beside the state and never in it. A device that
//! sends `alerts`, `compliant` or `derived` only writes fields of its own state. Keys of assets are
//! never absent or empty and share a namespace with nothing else.

mod asset;
mod checks;
mod compile;
mod cross_check;
mod execute;
mod form;
mod inputs;
mod memory;
mod rules;
mod samples;
mod schema;
mod schema_bounds;
mod schema_cost;
mod schema_fields;
mod schema_value;
mod set;
mod state;
mod verdict;

pub use asset::{Alerts, Asset};
pub use form::{AlertSeverity, json_schema};
pub use inputs::{Input, arguments_of};
pub use memory::MemoryState;
pub use schema::{FieldType, JsonType, same_value};
pub use set::ContractSet;
pub use verdict::{InvalidCode, Verdict};

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::codec::json::Value;

use crate::call::Function;
use crate::codec::Digest;
use crate::contract::rules::{AlertRule, DeriveRule, RejectRule};
use crate::contract::schema::StateSchema;
use crate::contract::state::{Fields, Nulls};
use crate::diagnostic::Place;

/// One compiled contract.
#[derive(Debug)]
pub struct Contract {
    /// Unique name; also the namespace of its assets.
    pub name: Arc<str>,
    /// Version, raised by its author with every change of the text.
    pub version: u32,
    /// The text of its YAML document, as it goes into the ledger.
    pub text: Arc<str>,
    /// SHA-256 of the text.
    pub digest: Digest,
    /// The purpose of the contract.
    pub description: String,
    file: PathBuf,
    version_place: Place,
    key: Vec<String>,
    functions: Functions,
    schema: StateSchema,
    constants: Fields,
    rejects: Vec<RejectRule>,
    derives: Vec<DeriveRule>,
    alerts: Vec<AlertRule>,
    tests: Vec<form::TestForm>,
}

/// The functions on offer.
#[derive(Debug)]
struct Functions {
    offered: Vec<Function>,
    update_creates: bool,
    replace_creates: bool,
    nulls: Nulls,
}

impl Functions {
    fn offers(&self, function: Function) -> bool {
        self.offered.contains(&function)
    }
}

/// The contract's definition of one of its alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlertInfo<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its severity.
    pub severity: AlertSeverity,
    /// Its meaning and the recommended action.
    pub description: &'a str,
}

/// An asset's state and the ledger entry that wrote it.
#[derive(Debug, Clone)]
pub struct Versioned {
    /// Number of the entry in the ledger.
    pub version: u64,
    /// The state.
    pub asset: Arc<Asset>,
}

/// The state that a contract sees: everything that was decided before, durable or not.
pub trait StateView {
    /// The asset of a contract with this key.
    fn asset(&self, contract: &str, key: &str) -> Option<Versioned>;
}

/// One call.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The function to call.
    pub function: Function,
    /// The payload, an object.
    pub arguments: &'a Value,
    /// Time of the event, in milliseconds since 1970.
    pub time_ms: i64,
}

/// One change that a contract decided.
#[derive(Debug, Clone)]
pub struct Write {
    /// Key of the asset within its contract.
    pub key: Arc<str>,
    /// The new state; `None` deletes the asset.
    pub asset: Option<Arc<Asset>>,
    /// Version that it replaces; `None` where the asset did not exist.
    pub replaced: Option<u64>,
}

/// The result of a call.
#[derive(Debug, Clone)]
pub struct Effects {
    /// Valid, or why not.
    pub verdict: Verdict,
    /// The changes; none where the verdict is invalid.
    pub writes: Vec<Write>,
}

impl Contract {
    /// The functions on offer, in the order of their numbers.
    #[must_use]
    pub fn functions(&self) -> &[Function] {
        &self.functions.offered
    }

    /// Dotted path of the asset's key in the arguments.
    #[must_use]
    pub fn key(&self) -> String {
        self.key.join(".")
    }

    /// JSON Schema of the device's state, as it was written.
    #[must_use]
    pub fn state_schema(&self) -> &serde_json::Value {
        self.schema.document()
    }

    /// The alerts that its rules can raise, by name.
    pub fn alerts(&self) -> impl Iterator<Item = AlertInfo<'_>> {
        self.alerts.iter().map(|rule| AlertInfo {
            name: &rule.name,
            severity: rule.severity,
            description: &rule.description,
        })
    }

    /// Dotted names of the fields that its rules derive, in their order.
    pub fn derived(&self) -> impl Iterator<Item = &str> {
        self.derives.iter().map(|rule| rule.name.as_str())
    }

    /// The type of a field in the state schema, by its dotted name.
    #[must_use]
    pub fn field_type(&self, dotted: &str) -> FieldType {
        let path: Vec<String> = dotted.split('.').map(str::to_owned).collect();
        self.schema.field(&path)
    }

    /// File of the contract and the place of its version in it, for messages.
    #[must_use]
    pub fn version_place(&self) -> (&Path, Place) {
        (&self.file, self.version_place)
    }

    /// Values that the state schema allows for a field, where it lists them (`enum` or `const`).
    #[must_use]
    pub fn allowed_values(&self, dotted: &str) -> Option<Vec<serde_json::Value>> {
        let path: Vec<String> = dotted.split('.').map(str::to_owned).collect();
        self.schema.allowed_values(&path)
    }

    /// Names of the fields that every state must have.
    #[must_use]
    pub fn required_fields(&self) -> Vec<&str> {
        self.schema.required()
    }

    /// Names that the state schema declares beside a field, for hints: those below `a.b` for
    /// `a.b.c`.
    #[must_use]
    pub fn fields_beside(&self, dotted: &str) -> Vec<&str> {
        let mut path: Vec<String> = dotted.split('.').map(str::to_owned).collect();
        path.pop();
        self.schema.names(&path)
    }
}

#[cfg(test)]
mod tests;
