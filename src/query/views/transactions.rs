//! Transactions, their changes, and their inclusion proofs.

use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::codec::json::{self, Value};
use schemars::JsonSchema;
use serde::Serialize;

use crate::codec::Digest;
use crate::contract::{Asset, Verdict};
use crate::event::DeviceName;
use crate::ledger::{Entry, StoredWrite};
use crate::query::views::time_text;
use crate::state::StoredAsset;
use crate::state::history::Found;
use crate::transaction::Transaction;

/// A transaction in a list.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TransactionSummary {
    /// Its id: topic, partition, offset, output.
    pub id: String,
    /// Number of its entry.
    pub entry: u64,
    /// Time of the event.
    pub time: String,
    /// Device type; empty where the source knows none.
    pub device_type: String,
    /// Device id within its type.
    pub device_id: String,
    /// Contract.
    pub contract: String,
    /// Function.
    pub function: &'static str,
    /// Keys of the assets that it changed.
    pub keys: Vec<String>,
    /// `valid`, or the name of the reason.
    pub verdict: &'static str,
    /// Details of the reason; absent if valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl TransactionSummary {
    /// The device for people to read, `type:id`.
    #[must_use]
    pub fn device(&self) -> String {
        DeviceName::new(self.device_type.as_str(), self.device_id.as_str()).to_string()
    }

    /// Of a transaction and what came of it.
    #[must_use]
    pub fn new(
        index: u64,
        transaction: &Transaction,
        (verdict, writes): (&Verdict, &[StoredWrite]),
    ) -> Self {
        let detail = match verdict {
            Verdict::Valid => None,
            Verdict::Invalid { detail, .. } => Some(detail.clone()),
        };
        Self {
            id: transaction.id.to_string(),
            entry: index,
            time: time_text(transaction.time_ms),
            device_type: transaction.device.device_type.to_string(),
            device_id: transaction.device.id.to_string(),
            contract: transaction.contract.to_string(),
            function: transaction.function.name(),
            keys: writes.iter().map(|write| write.key.to_string()).collect(),
            verdict: verdict.name(),
            detail,
        }
    }

    /// Of an entry that was found; `None` for a definition.
    #[must_use]
    pub fn of(found: &Found) -> Option<Self> {
        match found.entry()? {
            Entry::Transaction { transaction, verdict, writes } => {
                Some(Self::new(found.number, transaction, (verdict, writes)))
            }
            Entry::Definition(_) => None,
        }
    }
}

/// A transaction with all that is known of it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TransactionView {
    /// As in a list.
    #[serde(flatten)]
    pub summary: TransactionSummary,
    /// The caller of a manual call; absent for a record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// Number of its block.
    pub block: u64,
    /// Creation time of the block.
    pub block_time: String,
    /// SHA-256 over the record's key, headers, timestamp and value; absent in transactions of
    /// format 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_digest: Option<Digest>,
    /// SHA-256 of the record's value as received.
    pub value_digest: Digest,
    /// SHA-256 of the mapping's text.
    pub mapping_digest: Digest,
    /// Its arguments.
    pub arguments: Value,
    /// The changes.
    pub writes: Vec<WriteView>,
}

impl TransactionView {
    /// Of an entry that was found; `None` for a definition.
    #[must_use]
    pub fn of(found: &Found) -> Option<Self> {
        let Entry::Transaction { transaction, writes, .. } = found.entry()? else { return None };
        Some(Self {
            summary: TransactionSummary::of(found)?,
            caller: transaction.caller().map(str::to_owned),
            block: found.block.header.number,
            block_time: time_text(found.block.header.time_ms),
            record_digest: transaction.record_digest,
            value_digest: transaction.value_digest,
            mapping_digest: transaction.mapping_digest,
            arguments: transaction.arguments.value().clone(),
            writes: writes.iter().map(WriteView::new).collect(),
        })
    }
}

/// One change of one asset.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WriteView {
    /// Key of the asset.
    pub key: String,
    /// Its new state; `null` where it was deleted. Bytes that are not JSON stand as base64 in the one
    /// member `unreadable`.
    pub asset: Option<Value>,
    /// The version that it replaced: number of the entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced: Option<u64>,
}

impl WriteView {
    fn new(write: &StoredWrite) -> Self {
        Self {
            key: write.key.to_string(),
            asset: write.value.as_deref().map(asset_value),
            replaced: write.replaced,
        }
    }
}

/// An asset's bytes as JSON. What cannot be read must not look as if it were deleted.
#[must_use]
pub fn asset_value(bytes: &[u8]) -> Value {
    json::parse(bytes).unwrap_or_else(|_| {
        Value::from(serde_json::json!({ "unreadable": BASE64_STANDARD.encode(bytes) }))
    })
}

/// An asset as it is now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AssetView {
    /// Contract.
    pub contract: String,
    /// Key.
    pub key: String,
    /// Number of the entry that wrote it.
    pub version: u64,
    /// The state sent by devices, and everything the contract computed.
    #[serde(flatten)]
    pub asset: Asset,
}

impl From<StoredAsset> for AssetView {
    fn from(stored: StoredAsset) -> Self {
        let StoredAsset { contract, key, version, asset } = stored;
        Self { contract: contract.to_string(), key, version, asset }
    }
}

/// An asset as it was.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PastView {
    /// The block that left it so.
    pub block: u64,
    /// Number of the entry that wrote it; absent where it did not exist yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The asset; `null` where it did not exist, or no more. Bytes that are not JSON stand as base64
    /// in the one member `unreadable`.
    pub asset: Option<Value>,
}

impl PastView {
    /// Of the newest write up to a block.
    #[must_use]
    pub fn new(block: u64, version: u64, write: &StoredWrite) -> Self {
        let asset = write.value.as_deref().map(asset_value);
        Self { block, version: Some(version), asset }
    }

    /// No write up to this block.
    #[must_use]
    pub fn absent(block: u64) -> Self {
        Self { block, version: None, asset: None }
    }
}

/// An asset as it is now, or as it was.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum AssetAnswer {
    /// Now.
    Now(AssetView),
    /// As a block left it.
    Then(PastView),
}

/// One change in an asset's history.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ChangeView {
    /// The transaction that made it.
    #[serde(flatten)]
    pub transaction: TransactionSummary,
    /// Number of its block.
    pub block: u64,
    /// The change.
    pub write: WriteView,
}

impl ChangeView {
    /// The change of an asset by an entry; `None` if the entry did not write it.
    #[must_use]
    pub fn of(found: &Found, key: &str) -> Option<Self> {
        let transaction = TransactionSummary::of(found)?;
        let write = found.write_of(&transaction.contract, key).map(WriteView::new)?;
        Some(Self { transaction, block: found.block.header.number, write })
    }
}

/// The proof that an entry is in the ledger.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProofView {
    /// Name of the ledger.
    pub ledger: String,
    /// Id of the transaction.
    pub id: String,
    /// Number of its entry.
    pub entry: u64,
    /// Index of the entry's leaf in the tree: in front of it also stand the leaves of blocks.
    pub leaf_index: u64,
    /// Size of the tree that the proof leads to.
    pub tree_size: u64,
    /// Root of that tree.
    pub tree_root: Digest,
    /// The entry's leaf, base64: its hash is SHA-256 over a zero byte and these bytes.
    pub leaf: String,
    /// RFC 6962 section 2.1.1, the lowest level first.
    pub hashes: Vec<Digest>,
    /// The signed checkpoint of that tree.
    pub checkpoint: String,
    /// The same proof as one C2SP tlog-proof file.
    pub tlog_proof: String,
    /// The ledger's keys in the form that C2SP tools take. Whoever checks should have them from
    /// elsewhere.
    pub verifier_keys: Vec<String>,
}
