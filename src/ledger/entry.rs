//! One leaf of the ledger's tree.
//!
//! An entry holds nothing of the block or batch it happened to stand in, so that the same records in
//! the same order give the same entries on every run. The version that a write replaces is the number
//! of an entry, which does not count the blocks' own leaves.

use std::borrow::Cow;
use std::sync::Arc;

use crate::codec::{ALLOCATION_BYTES, DecodeError, Digest, Reader, Writer};
use crate::contract::{InvalidCode, Verdict};
use crate::limits::{MAX_BLOCK_MEMORY_BYTES, MAX_LEAF_BYTES};
use crate::transaction::{Transaction, TransactionForm};

/// A transaction of format 1.
const TRANSACTION_V1: u8 = 1;
const DEFINITION: u8 = 2;
// 3 is the leaf of a block, which is not an entry: `block::BLOCK_LEAF`.
/// A transaction of format 2.
const TRANSACTION_V2: u8 = 4;
/// First byte of a leaf that stands for longer content by its digest.
pub(super) const BY_DIGEST: u8 = 0xff;

/// One entry.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A call of a contract and what came of it.
    Transaction {
        /// The call.
        transaction: Arc<Transaction>,
        /// The contract's verdict.
        verdict: Verdict,
        /// The changes.
        writes: Vec<StoredWrite>,
    },
    /// A mapping, a contract, a key or the ledger itself.
    Definition(Definition),
}

/// One change of one asset, as it stands in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredWrite {
    /// Key within the transaction's contract.
    pub key: Arc<str>,
    /// Canonical bytes of the new [`crate::contract::Asset`]; `None` deletes it.
    pub value: Option<Arc<[u8]>>,
    /// Number of the entry that wrote the version that it replaces.
    pub replaced: Option<u64>,
}

/// A definition, recorded before its first use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Of what.
    pub kind: DefinitionKind,
    /// Its name; for keys the role, `ledger` or `submitter`.
    pub name: String,
    /// Version; 0 where there is none.
    pub version: u32,
    /// The text as written by its author; for keys the public key in hexadecimal.
    pub text: Arc<str>,
}

impl Definition {
    /// About how many bytes it takes in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.text.len()
    }

    /// SHA-256 of the text.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.text.as_bytes())
    }
}

/// Kinds of definitions. Numbers stand in ledgers and are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum DefinitionKind {
    /// The ledger: its name, and the version of its format as text.
    Ledger = 1,
    /// A key may sign from the next entry on.
    Key = 2,
    /// A key may no longer sign.
    KeyEnd = 3,
    /// A mapping.
    Mapping = 4,
    /// A contract.
    Contract = 5,
}

impl DefinitionKind {
    const ALL: [Self; 5] = [Self::Ledger, Self::Key, Self::KeyEnd, Self::Mapping, Self::Contract];

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == code)
    }

    /// The name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Key => "key",
            Self::KeyEnd => "key_end",
            Self::Mapping => "mapping",
            Self::Contract => "contract",
        }
    }
}

impl Entry {
    /// Bytes of memory of an entry in a list, without what it points to, and of its hashes.
    pub const MEMORY_BYTES: usize = size_of::<Self>() + 2 * size_of::<Digest>();

    /// Appends the canonical bytes. Returns where, in the writer, the effects (verdict and writes)
    /// begin.
    pub fn encode(&self, writer: &mut Writer) -> usize {
        match self {
            Self::Transaction { transaction, verdict, writes } => {
                writer.byte(kind_of(transaction.form()));
                transaction.encode(writer);
                encode_effects(verdict, writes, writer)
            }
            Self::Definition(definition) => {
                writer.byte(DEFINITION);
                writer.byte(definition.kind as u8);
                writer.text(&definition.name);
                writer.uint(u64::from(definition.version));
                writer.text(&definition.text);
                writer.len()
            }
        }
    }

    /// The canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        self.encode(&mut writer);
        writer.into_bytes()
    }

    /// Reads what [`Entry::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut room = MAX_BLOCK_MEMORY_BYTES;
        Self::decode_within(bytes, &mut room).map(|(entry, _)| entry)
    }

    /// The same for one of many entries, which together may take so much memory. What the entry
    /// itself takes, [`Entry::MEMORY_BYTES`], is counted by whoever makes the list of them. Also tells
    /// where its effects begin.
    pub fn decode_within(bytes: &[u8], room: &mut usize) -> Result<(Self, usize), DecodeError> {
        let mut reader = Reader::within(bytes, *room);
        let form = match reader.byte("entry kind")? {
            TRANSACTION_V1 => Some(TransactionForm::V1),
            TRANSACTION_V2 => Some(TransactionForm::V2),
            DEFINITION => None,
            _ => return Err(DecodeError::Malformed("entry kind")),
        };
        let mut effects_at = bytes.len();
        let entry = match form {
            Some(form) => {
                let transaction = Arc::new(Transaction::decode(&mut reader, form)?);
                effects_at -= reader.remaining().len();
                let verdict = decode_verdict(&mut reader)?;
                let writes = decode_writes(&mut reader)?;
                Self::Transaction { transaction, verdict, writes }
            }
            None => Self::Definition(Definition {
                kind: DefinitionKind::from_code(reader.byte("definition kind")?)
                    .ok_or(DecodeError::Malformed("definition kind"))?,
                name: reader.kept_text("definition name")?,
                version: reader.small("definition version")?,
                text: reader.kept_text("definition text")?,
            }),
        };
        *room = reader.room();
        reader.finish()?;
        Ok((entry, effects_at))
    }

    /// About how many bytes it takes in memory, with its hashes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        Self::MEMORY_BYTES
            + match self {
                Self::Definition(definition) => definition.memory_bytes(),
                Self::Transaction { transaction, writes, .. } => {
                    let of_write = |write: &StoredWrite| {
                        let value = write.value.as_ref().map_or(0, |value| value.len());
                        WRITE_MEMORY_BYTES + write.key.len() + value
                    };
                    let of_writes = writes.iter().map(of_write).sum::<usize>();
                    transaction.memory_bytes() + of_writes
                }
            }
    }

    /// True if canonical bytes are those of a definition.
    #[must_use]
    pub fn is_definition(bytes: &[u8]) -> bool {
        bytes.first() == Some(&DEFINITION)
    }

    /// The transaction, where it is one.
    #[must_use]
    pub fn transaction(&self) -> Option<&Arc<Transaction>> {
        match self {
            Self::Transaction { transaction, .. } => Some(transaction),
            Self::Definition(_) => None,
        }
    }

    /// The definition, where it is one.
    #[must_use]
    pub fn definition(&self) -> Option<&Definition> {
        match self {
            Self::Transaction { .. } => None,
            Self::Definition(definition) => Some(definition),
        }
    }
}

/// Bytes of memory of a write, without key and value, and of what is computed of it.
const WRITE_MEMORY_BYTES: usize = size_of::<StoredWrite>() + size_of::<Digest>();

fn kind_of(form: TransactionForm) -> u8 {
    match form {
        TransactionForm::V1 => TRANSACTION_V1,
        TransactionForm::V2 => TRANSACTION_V2,
    }
}

/// Appends the bytes of a transaction's entry: its own canonical bytes and those of its effects.
pub fn encode_executed(
    form: TransactionForm,
    transaction: &[u8],
    effects: &[u8],
    writer: &mut Writer,
) {
    writer.byte(kind_of(form));
    writer.raw(transaction);
    writer.raw(effects);
}

/// Number of the bytes that [`encode_executed`] appends.
#[must_use]
pub fn executed_len(transaction: &[u8], effects: &[u8]) -> usize {
    1 + transaction.len() + effects.len()
}

/// Appends what came of a transaction. Returns where, in the writer, it begins.
pub fn encode_effects(verdict: &Verdict, writes: &[StoredWrite], writer: &mut Writer) -> usize {
    let effects = writer.len();
    encode_verdict(verdict, writer);
    writer.uint(writes.len() as u64);
    for write in writes {
        write.encode(writer);
    }
    effects
}

impl StoredWrite {
    fn encode(&self, writer: &mut Writer) {
        writer.text(&self.key);
        writer.option(self.value.as_deref(), Writer::bytes);
        writer.option(self.replaced, Writer::uint);
    }
}

fn decode_writes(reader: &mut Reader<'_>) -> Result<Vec<StoredWrite>, DecodeError> {
    let count = reader.count("writes")?;
    reader.charge(count, WRITE_MEMORY_BYTES, "writes")?;
    let mut writes = Vec::with_capacity(count);
    for _ in 0..count {
        writes.push(StoredWrite {
            key: reader.kept_text("asset key")?,
            value: reader.option("asset", |r| {
                let value = r.bytes("asset")?;
                r.charge(1, value.len() + ALLOCATION_BYTES, "asset")?;
                Ok(value.into())
            })?,
            replaced: reader.option("replaced version", |r| r.uint("replaced version"))?,
        });
    }
    Ok(writes)
}

fn encode_verdict(verdict: &Verdict, writer: &mut Writer) {
    match verdict {
        Verdict::Valid => writer.uint(0),
        Verdict::Invalid { code, detail } => {
            writer.uint(u64::from(code.code()));
            writer.text(detail);
        }
    }
}

fn decode_verdict(reader: &mut Reader<'_>) -> Result<Verdict, DecodeError> {
    match reader.small::<u16>("verdict")? {
        0 => Ok(Verdict::Valid),
        code => Ok(Verdict::Invalid {
            code: InvalidCode::from_code(code).ok_or(DecodeError::Malformed("verdict"))?,
            detail: reader.kept_text("verdict detail")?,
        }),
    }
}

/// The leaf of an entry: its bytes, or, over [`MAX_LEAF_BYTES`], the byte 0xff, their SHA-256 and
/// their length as eight bytes, most significant first.
#[must_use]
pub fn leaf_bytes(entry: &[u8]) -> Cow<'_, [u8]> {
    if entry.len() <= MAX_LEAF_BYTES {
        return Cow::Borrowed(entry);
    }
    let mut leaf = vec![BY_DIGEST];
    leaf.extend_from_slice(&Digest::of(entry).0);
    leaf.extend_from_slice(&(entry.len() as u64).to_be_bytes());
    Cow::Owned(leaf)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::call::{Arguments, Function};
    use crate::event::{DeviceName, SourcePartition, SourcePosition};
    use proptest::prelude::*;

    /// Any transaction.
    pub(crate) fn any_transaction() -> impl Strategy<Value = Transaction> {
        let device =
            prop_oneof![Just((String::new(), String::new())), ("[a-z]{1,6}", "[a-z:]{0,12}"),];
        (any::<u32>(), any::<u64>(), any::<i64>(), device, any::<[u8; 32]>()).prop_map(
            |(partition, offset, time_ms, (device_type, id), digest)| Transaction {
                id: SourcePosition {
                    partition: SourcePartition::new("telemetry", partition),
                    offset,
                    output: partition % 7,
                },
                time_ms,
                device: DeviceName::new(device_type, id),
                // One in three is of format 1.
                record_digest: (offset % 3 != 0).then_some(Digest(digest)),
                value_digest: Digest::of(&digest[1..]),
                mapping_digest: Digest::of(&digest),
                contract: "cold_chain".into(),
                function: Function::ALL[usize::try_from(offset % 5).unwrap()],
                arguments: Arguments::from_bytes(format!("{{\"n\":{offset}}}").as_bytes()),
            },
        )
    }

    fn any_entry() -> impl Strategy<Value = Entry> {
        let write = ("[a-z]{1,9}", any::<Option<Vec<u8>>>(), any::<Option<u64>>()).prop_map(
            |(key, value, replaced)| StoredWrite {
                key: key.into(),
                value: value.map(Arc::from),
                replaced,
            },
        );
        let verdict = prop_oneof![
            Just(Verdict::Valid),
            Just(Verdict::invalid(InvalidCode::Rejected, "too warm")),
        ];
        let writes = proptest::collection::vec(write, 0..3);
        prop_oneof![
            (any_transaction(), verdict, writes).prop_map(|(transaction, verdict, writes)| {
                Entry::Transaction { transaction: Arc::new(transaction), verdict, writes }
            }),
            ("[a-z]{1,9}", any::<u32>(), ".{0,30}").prop_map(|(name, version, text)| {
                let kind = DefinitionKind::ALL[version as usize % DefinitionKind::ALL.len()];
                Entry::Definition(Definition { kind, name, version, text: text.into() })
            }),
        ]
    }

    proptest! {
        #[test]
        fn entries_come_back(entry in any_entry()) {
            prop_assert_eq!(Entry::decode(&entry.to_bytes()).unwrap(), entry);
        }

        #[test]
        fn changed_bytes_never_panic_and_never_read_the_same(
            entry in any_entry(), at: prop::sample::Index, flip in 1..=255_u8,
        ) {
            let mut bytes = entry.to_bytes();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            if let Ok(other) = Entry::decode(&bytes) {
                prop_assert_ne!(&other, &entry);
                prop_assert_eq!(other.to_bytes(), bytes, "one encoding of each entry");
            }
        }
    }

    #[test]
    fn a_long_entry_goes_in_by_its_digest() {
        let long = vec![7; MAX_LEAF_BYTES + 1];
        assert_eq!(leaf_bytes(&long).len(), 41);
        assert_eq!(leaf_bytes(&long[1..]).len(), MAX_LEAF_BYTES);
    }
}
