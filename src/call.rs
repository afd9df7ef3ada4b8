//! What is asked of a contract: function, arguments. The one vocabulary of mappings, transactions
//! and contracts.

use std::sync::Arc;

use crate::codec::json::Value;

/// The functions of a contract. Numbers stand in ledgers and are never reused.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
#[repr(u8)]
pub enum Function {
    /// A new asset; an error where it exists.
    Create = 1,
    /// Deep merge into the state; creates an absent asset unless the contract forbids it.
    Update = 2,
    /// The whole state anew.
    Replace = 3,
    /// The state goes; its history stays.
    Delete = 4,
    /// Takes properties out of the state, by dotted paths.
    DeleteProperties = 5,
}

impl Function {
    /// Every function, in the order of their numbers.
    pub const ALL: [Self; 5] =
        [Self::Create, Self::Update, Self::Replace, Self::Delete, Self::DeleteProperties];

    /// The number that stands in the ledger.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The function with this number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|function| function.code() == code)
    }

    /// The name in YAML and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Replace => "replace",
            Self::Delete => "delete",
            Self::DeleteProperties => "deleteProperties",
        }
    }
}

impl std::fmt::Display for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What a mapping makes of an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Payload {
    /// Name of the contract.
    pub contract: Arc<str>,
    /// Its function.
    pub function: Function,
    /// The arguments, always an object. For `deleteProperties`: the key's property and
    /// `"properties": ["dotted.path", …]`.
    pub arguments: Value,
    /// Digest of the mapping's text.
    pub mapping: crate::codec::Digest,
}
