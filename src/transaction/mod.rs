//! Transactions, and submissions that carry a batch of them under one signature.
//!
//! Nothing here executes a transaction or asks for the time.

mod keys;
mod submission;

pub use keys::{
    KeyError, KeyId, SignatureCheck, Signed, Signer, all_pass, read_key_file, write_new_key_file,
};
pub use submission::{
    Submission, SubmissionError, leaf_hash, merkle_root, node_hash, root_message, root_of,
    verify_root,
};

use std::sync::Arc;

use crate::call::{Arguments, Function, ManualCall, Payload};
use crate::codec::{ALLOCATION_BYTES, DecodeError, Digest, Reader, Writer};
use crate::event::{DeviceName, Event, RecordDigests, SourcePartition, SourcePosition};

/// Stands as the device type of people in their manual calls.
pub const OPERATOR_TYPE: &str = "operator";

/// A call of a contract, caused by one record through one mapping, or by hand.
#[derive(Debug, Clone, PartialEq)]
pub struct Transaction {
    /// The position of its record: the transaction's id.
    pub id: SourcePosition,
    /// Time of the event, in milliseconds since 1970. The broker's time if the event has none; 0 if
    /// there is neither.
    pub time_ms: i64,
    /// The device; of a manual call the type [`OPERATOR_TYPE`] and the caller's name.
    pub device: DeviceName,
    /// SHA-256 over the whole record (see [`RecordDigests::record`]); of a manual call, over what
    /// was asked for. `None` in transactions of format 1, which covered the value alone.
    pub record_digest: Option<Digest>,
    /// SHA-256 of the record's value as received; of a manual call the same as the record's.
    pub value_digest: Digest,
    /// SHA-256 of the mapping's text; zero of a manual call.
    pub mapping_digest: Digest,
    /// Name of the contract.
    pub contract: Arc<str>,
    /// Its function.
    pub function: Function,
    /// Its arguments.
    pub arguments: Arguments,
}

impl Transaction {
    /// The transactions of an event, one for each payload, in order.
    #[must_use]
    pub fn of_event(event: &Event, payloads: Vec<Payload>) -> Vec<Encoded> {
        let device = event.device.name();
        let time_ms = event.info.time_ms.or(event.timestamp_ms).unwrap_or(0);
        let transaction = |(output, payload)| {
            let partition = event.partition.clone();
            let id = SourcePosition { partition, offset: event.offset, output };
            Self::new(id, (time_ms, device.clone()), event.digests, payload).into()
        };
        (0..).zip(payloads).map(transaction).collect()
    }

    /// The transaction of one payload.
    #[must_use]
    pub fn new(
        id: SourcePosition,
        (time_ms, device): (i64, DeviceName),
        digests: RecordDigests,
        payload: Payload,
    ) -> Self {
        Self {
            id,
            time_ms,
            device,
            record_digest: Some(digests.record),
            value_digest: digests.value,
            mapping_digest: payload.mapping,
            contract: payload.contract,
            function: payload.function,
            arguments: payload.arguments,
        }
    }

    /// The transaction of a manual call. No mapping made it, and it holds all that the caller asked for:
    /// its record's digest is over that.
    #[must_use]
    pub fn of_call(call: ManualCall, id: SourcePosition) -> Self {
        let mut transaction = Self {
            id,
            time_ms: call.time_ms.unwrap_or(0),
            device: DeviceName::new(OPERATOR_TYPE, call.caller),
            record_digest: Some(Digest::default()),
            value_digest: Digest::default(),
            mapping_digest: Digest::default(),
            contract: call.contract,
            function: call.function,
            arguments: call.arguments,
        };
        let asked = call_digest(&transaction);
        (transaction.record_digest, transaction.value_digest) = (Some(asked), asked);
        transaction
    }

    /// True if a mapping made it, and not a person.
    #[must_use]
    pub fn is_mapped(&self) -> bool {
        self.mapping_digest != Digest::default()
    }

    /// The person who made a manual call; `None` for a transaction of a mapping.
    #[must_use]
    pub fn caller(&self) -> Option<&str> {
        let is_by_hand = self.id.partition.is_calls() && !self.is_mapped();
        (is_by_hand && self.device.device_type == OPERATOR_TYPE).then_some(&self.device.id)
    }

    /// About how many bytes it takes in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let device = self.device.device_type.len() + self.device.id.len();
        TRANSACTION_MEMORY_BYTES + device + self.arguments.bytes().len()
    }

    /// The format that its canonical bytes are in.
    #[must_use]
    pub fn form(&self) -> TransactionForm {
        match self.record_digest {
            None => TransactionForm::V1,
            Some(_) => TransactionForm::V2,
        }
    }

    /// Appends the canonical bytes.
    pub fn encode(&self, writer: &mut Writer) {
        encode_partition(&self.id.partition, writer);
        writer.uint(self.id.offset);
        writer.uint(u64::from(self.id.output));
        writer.int(self.time_ms);
        match &self.record_digest {
            None => writer.text(&self.device.to_string()),
            Some(record_digest) => {
                writer.text(&self.device.device_type);
                writer.text(&self.device.id);
                writer.digest(record_digest);
            }
        }
        writer.digest(&self.value_digest);
        writer.digest(&self.mapping_digest);
        writer.text(&self.contract);
        writer.byte(self.function.code());
        writer.bytes(self.arguments.bytes());
    }

    /// Reads what [`Transaction::encode`] wrote.
    pub fn decode(reader: &mut Reader<'_>, form: TransactionForm) -> Result<Self, DecodeError> {
        reader.charge(1, TRANSACTION_MEMORY_BYTES, "a transaction")?;
        let content = reader.remaining().len();
        let partition = decode_partition(reader)?;
        let offset = reader.uint("offset")?;
        let output = reader.small("output index")?;
        let time_ms = reader.int("event time")?;
        let (device, record_digest) = match form {
            TransactionForm::V1 => (decode_joined_device(reader)?, None),
            TransactionForm::V2 => {
                let device =
                    DeviceName::new(reader.text("device type")?, reader.text("device id")?);
                (device, Some(reader.digest("record digest")?))
            }
        };
        let transaction = Self {
            id: SourcePosition { partition, offset, output },
            time_ms,
            device,
            record_digest,
            value_digest: reader.digest("value digest")?,
            mapping_digest: reader.digest("mapping digest")?,
            contract: reader.text("contract")?.into(),
            function: Function::from_code(reader.byte("function")?)
                .ok_or(DecodeError::Malformed("function"))?,
            arguments: Arguments::from_bytes(reader.bytes("arguments")?),
        };
        reader.charge(1, content - reader.remaining().len(), "a transaction")?;
        Ok(transaction)
    }
}

/// The digest of what a manual call asks for; its own digests are this one.
#[must_use]
pub fn call_digest(call: &Transaction) -> Digest {
    let mut asked = Writer::new();
    match call.form() {
        TransactionForm::V1 => asked.text(&call.device.to_string()),
        TransactionForm::V2 => {
            asked.text(&call.device.device_type);
            asked.text(&call.device.id);
        }
    }
    asked.int(call.time_ms);
    asked.text(&call.contract);
    asked.byte(call.function.code());
    asked.bytes(call.arguments.bytes());
    Digest::of(&asked.into_bytes())
}

/// Formats of a transaction's canonical bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionForm {
    /// Device type and id joined by a colon, and the digest of the record's value only.
    V1,
    /// Device type and id apart, and a digest of the whole record too.
    V2,
}

/// Reads the device of format 1, `type:id`. The type ends at the first colon: format 1 did not keep
/// where a type with a colon of its own ended.
fn decode_joined_device(reader: &mut Reader<'_>) -> Result<DeviceName, DecodeError> {
    let joined = reader.text("device")?;
    match joined.split_once(':') {
        Some(("", "")) => Err(DecodeError::Malformed("device")),
        Some((device_type, id)) => Ok(DeviceName::new(device_type, id)),
        None if joined.is_empty() => Ok(DeviceName::default()),
        None => Err(DecodeError::Malformed("device")),
    }
}

/// A transaction with its canonical bytes and their leaf hash: made of it once, and by nothing else,
/// so that whoever has one need not make them again.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    transaction: Arc<Transaction>,
    bytes: Vec<u8>,
    leaf_hash: Digest,
}

impl Encoded {
    /// The transaction.
    #[must_use]
    pub fn transaction(&self) -> &Arc<Transaction> {
        &self.transaction
    }

    /// Its canonical bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// RFC 6962 hash of the bytes as a leaf.
    #[must_use]
    pub fn leaf_hash(&self) -> Digest {
        self.leaf_hash
    }

    /// The transaction alone.
    #[must_use]
    pub fn into_transaction(self) -> Arc<Transaction> {
        self.transaction
    }
}

impl From<Transaction> for Encoded {
    fn from(transaction: Transaction) -> Self {
        let room = transaction.arguments.bytes().len() + USUAL_ENVELOPE_BYTES;
        let mut writer = Writer::onto(Vec::with_capacity(room));
        transaction.encode(&mut writer);
        let bytes = writer.into_bytes();
        let leaf_hash = leaf_hash(&bytes);
        Self { transaction: Arc::new(transaction), bytes, leaf_hash }
    }
}

/// Bytes of memory of a transaction without its content: itself, and what it points to.
const TRANSACTION_MEMORY_BYTES: usize = size_of::<Transaction>() + 6 * ALLOCATION_BYTES;
/// Room for what a transaction has around its arguments.
const USUAL_ENVELOPE_BYTES: usize = 224;

/// Appends a partition.
pub fn encode_partition(partition: &SourcePartition, writer: &mut Writer) {
    writer.text(&partition.topic);
    writer.uint(u64::from(partition.epoch));
    writer.uint(u64::from(partition.partition));
}

/// Reads what [`encode_partition`] wrote.
pub fn decode_partition(reader: &mut Reader<'_>) -> Result<SourcePartition, DecodeError> {
    Ok(SourcePartition {
        topic: reader.kept_text("topic")?,
        epoch: reader.small("epoch")?,
        partition: reader.small("partition")?,
    })
}
