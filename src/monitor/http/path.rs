//! The names in addresses that belong together.

use serde::Deserialize;

use crate::event::{PositionError, SourcePosition};
use crate::query::QueryError;
use crate::state::AssetRef;

/// A record: `{topic}/{partition}/{offset}`.
#[derive(Debug, Deserialize)]
pub struct RecordPath {
    topic: String,
    partition: String,
    offset: String,
}

impl RecordPath {
    /// The position of its first output.
    pub fn position(&self) -> Result<SourcePosition, QueryError> {
        position(&format!("{}/{}/{}/0", self.topic, self.partition, self.offset))
    }
}

/// A transaction: `{topic}/{partition}/{offset}/{output}`.
#[derive(Debug, Deserialize)]
pub struct TransactionPath {
    topic: String,
    partition: String,
    offset: String,
    output: String,
}

impl TransactionPath {
    /// Its position, which is its id.
    pub fn position(&self) -> Result<SourcePosition, QueryError> {
        let Self { topic, partition, offset, output } = self;
        position(&format!("{topic}/{partition}/{offset}/{output}"))
    }
}

/// An asset: `{contract}/{key}`.
#[derive(Debug, Deserialize)]
pub struct AssetPath {
    /// Name of the contract.
    pub contract: String,
    /// Key of the asset.
    pub key: String,
}

impl AssetPath {
    /// The asset.
    pub fn asset(&self) -> AssetRef<'_> {
        AssetRef { contract: &self.contract, key: &self.key }
    }
}

/// A function of a contract: `{contract}/{function}`.
#[derive(Debug, Deserialize)]
pub struct FunctionPath {
    /// Name of the contract.
    pub contract: String,
    /// Name of the function.
    pub function: String,
}

/// Reads the id of a transaction.
pub fn position(text: &str) -> Result<SourcePosition, QueryError> {
    text.parse().map_err(|error: PositionError| QueryError::Malformed(error.to_string()))
}
