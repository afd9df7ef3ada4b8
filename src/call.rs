//! The vocabulary of a contract call: function, arguments. Mappings, manual calls, transactions and
//! contracts share it.

use std::sync::{Arc, OnceLock};

use crate::codec::json::{self, Unreadable, Value};
use crate::codec::{DecodeError, Reader, Writer};

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

/// The call that a mapping derives from an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Payload {
    /// Name of the contract.
    pub contract: Arc<str>,
    /// Its function.
    pub function: Function,
    /// The arguments, always an object. For `deleteProperties`: the key's property and
    /// `"properties": ["dotted.path", …]`.
    pub arguments: Arguments,
    /// Digest of the mapping's text.
    pub mapping: crate::codec::Digest,
}

/// A call that a person makes, not a device.
#[derive(Debug, Clone, PartialEq)]
pub struct ManualCall {
    /// The person's name; the transaction's device is `operator:NAME`.
    pub caller: String,
    /// Name of the contract.
    pub contract: Arc<str>,
    /// Its function.
    pub function: Function,
    /// Its arguments.
    pub arguments: Arguments,
    /// Time of the call's event, in milliseconds since 1970; the time of the call if absent.
    pub time_ms: Option<i64>,
}

impl ManualCall {
    /// The value of its record.
    #[must_use]
    pub fn encode(&self, now_ms: i64) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.text(&self.caller);
        writer.text(&self.contract);
        writer.byte(self.function.code());
        writer.bytes(self.arguments.bytes());
        writer.int(self.time_ms.unwrap_or(now_ms));
        writer.into_bytes()
    }

    /// Reads the value of a record.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(value);
        let call = Self {
            caller: reader.text("a caller")?.to_owned(),
            contract: reader.text("a contract's name")?.into(),
            function: Function::from_code(reader.byte("a function")?)
                .ok_or(DecodeError::Malformed("a function"))?,
            arguments: Arguments::from_bytes(reader.bytes("arguments")?),
            time_ms: Some(reader.int("a time")?),
        };
        reader.finish()?;
        Ok(call)
    }
}

/// Arguments of a call: the bytes that are signed, and their value where it was needed.
#[derive(Debug, Clone)]
pub struct Arguments {
    bytes: Vec<u8>,
    value: OnceLock<Value>,
}

impl Arguments {
    /// Serialises a value to its canonical bytes and keeps both.
    ///
    /// # Errors
    ///
    /// Why nobody could read the bytes.
    pub fn from_value(value: Value) -> Result<Self, Unreadable> {
        let mut bytes = Vec::with_capacity(USUAL_ARGUMENT_BYTES);
        value.write_readable(&mut bytes)?;
        Ok(Self { bytes, value: OnceLock::from(value) })
    }

    /// Takes bytes that were signed before.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self { bytes: bytes.into(), value: OnceLock::new() }
    }

    /// The signed bytes: one JSON object.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets the value, which takes several times the memory of the bytes; whoever asks for it again
    /// waits for it to be read.
    pub fn forget_value(&mut self) {
        self.value.take();
    }

    /// The value; `null` where the bytes are no JSON, which no honest signer writes.
    #[must_use]
    pub fn value(&self) -> &Value {
        self.value.get_or_init(|| json::parse(&self.bytes).unwrap_or_default())
    }
}

impl PartialEq for Arguments {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

/// Room for the arguments of some ten fields.
const USUAL_ARGUMENT_BYTES: usize = 256;
