//! Blocks: the unit of durability.
//!
//! A block's header covers everything in it: the entries by the tree's root, all else by the digest
//! of the records. The seal is the ledger's signature over the header's hash. Header and seal are
//! themselves a leaf of the tree, the last one of the block, so that a signed tree head covers all
//! that the blocks hold and not their entries alone.

use crate::codec::{DecodeError, Digest, Reader, Writer};
use crate::ledger::checkpoint::{Checkpoint, CheckpointError};
use crate::ledger::{Entry, Records};
use crate::limits::{MAX_BLOCK_BYTES, MAX_BLOCK_ITEMS, MAX_BLOCK_MEMORY_BYTES};
use crate::transaction::{KeyId, Signed, Signer};

/// Domain separator of a block's hash, so that it is valid for nothing else.
const HASH_DOMAIN_V1: &[u8] = b"ledgerline/block/v1\n";
/// The same for blocks of format 2.
const HASH_DOMAIN_V2: &[u8] = b"ledgerline/block/v2\n";
/// Domain separator of a seal.
const SEAL_DOMAIN: &[u8] = b"ledgerline/seal/v1\n";

/// First bytes of a block whose format is named: no canonical integer begins so, and a block of
/// format 1 begins with its number.
const FORMAT_MARK: [u8; 2] = [0x80, 0x00];
/// First byte of a block's leaf, where an entry's leaf has the kind of the entry.
pub const BLOCK_LEAF: u8 = 3;

/// Formats of blocks, as the ledger's definition names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BlockFormat {
    /// The tree holds entries only: header, seal and records are under the block's seal alone.
    V1 = 1,
    /// The tree also holds a leaf for each block, over its header and seal.
    V2 = 2,
}

impl BlockFormat {
    /// The format in which blocks are written.
    pub const NEWEST: Self = Self::V2;

    /// The format that a ledger's definition names.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        [Self::V1, Self::V2].into_iter().find(|format| format.text() == text)
    }

    /// Its text in a ledger's definition.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::V1 => "1",
            Self::V2 => "2",
        }
    }
}

/// A block's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Format of the block.
    pub format: BlockFormat,
    /// Number, from 0.
    pub number: u64,
    /// Hash of the block before; zeros for the first.
    pub previous: Digest,
    /// Number of its first entry: the entries of the ledger in front of this block.
    pub first_entry: u64,
    /// Entries of the ledger with this block's.
    pub entries_end: u64,
    /// Index of its first leaf: the size of the tree in front of this block. In format 1, where
    /// every leaf is an entry, this is the number of its first entry.
    pub first_leaf: u64,
    /// Root of the RFC 6962 tree up to this block's entries, without its own leaf.
    pub entries_root: Digest,
    /// Chained digest over all verdicts and writes so far.
    pub effects: Digest,
    /// Digest over the block's [`Records`].
    pub records: Digest,
    /// Creation time, in milliseconds since 1970; never before that of the previous block.
    pub time_ms: i64,
}

impl Header {
    fn encode(&self, writer: &mut Writer) {
        if self.format >= BlockFormat::V2 {
            writer.raw(&FORMAT_MARK);
            writer.uint(self.format as u64);
        }
        writer.uint(self.number);
        writer.digest(&self.previous);
        writer.uint(self.first_entry);
        writer.uint(self.entries_end);
        if self.format >= BlockFormat::V2 {
            writer.uint(self.first_leaf);
        }
        writer.digest(&self.entries_root);
        writer.digest(&self.effects);
        writer.digest(&self.records);
        writer.int(self.time_ms);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let format = match reader.remaining().starts_with(&FORMAT_MARK) {
            false => BlockFormat::V1,
            true => {
                reader.raw(FORMAT_MARK.len(), "block format")?;
                match reader.uint("block format")? {
                    2 => BlockFormat::V2,
                    _ => return Err(DecodeError::Malformed("block format")),
                }
            }
        };
        let number = reader.uint("block number")?;
        let previous = reader.digest("previous hash")?;
        let first_entry = reader.uint("first entry")?;
        let entries_end = reader.uint("number of entries")?;
        let first_leaf = match format {
            BlockFormat::V1 => first_entry,
            BlockFormat::V2 => reader.uint("first leaf")?,
        };
        Ok(Self {
            format,
            number,
            previous,
            first_entry,
            entries_end,
            first_leaf,
            entries_root: reader.digest("tree root")?,
            effects: reader.digest("effects hash")?,
            records: reader.digest("records hash")?,
            time_ms: reader.int("block time")?,
        })
    }

    /// The block's hash.
    #[must_use]
    pub fn hash(&self) -> Digest {
        let domain = match self.format {
            BlockFormat::V1 => HASH_DOMAIN_V1,
            BlockFormat::V2 => HASH_DOMAIN_V2,
        };
        let mut writer = Writer::onto(domain.to_vec());
        self.encode(&mut writer);
        Digest::of(&writer.into_bytes())
    }

    /// Leaves of the tree with this block, its own leaf included: the size that its checkpoint names.
    #[must_use]
    pub fn tree_size(&self) -> u64 {
        // A ledger does not reach the sizes at which this saturates; the checkpoint then does not fit.
        let entries_leaves = self.leaf_of(self.entries_end);
        match self.format {
            BlockFormat::V1 => entries_leaves,
            BlockFormat::V2 => entries_leaves.saturating_add(1),
        }
    }

    /// Index of the leaf of an entry of this block.
    #[must_use]
    pub fn leaf_of(&self, entry: u64) -> u64 {
        self.first_leaf.saturating_add(entry.saturating_sub(self.first_entry))
    }
}

/// The block's own leaf, the last of its leaves; `None` in format 1, whose tree holds entries only.
#[must_use]
pub fn own_leaf(header: &Header, seal: &Seal) -> Option<Vec<u8>> {
    (header.format >= BlockFormat::V2).then(|| {
        let mut writer = Writer::new();
        writer.byte(BLOCK_LEAF);
        header.encode(&mut writer);
        writer.raw(&seal.signer.0);
        writer.raw(&seal.signature);
        writer.into_bytes()
    })
}

/// The ledger's signature over a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// Public key.
    pub signer: KeyId,
    /// Ed25519 signature.
    pub signature: [u8; 64],
}

impl Seal {
    /// Seals a block hash of a ledger.
    #[must_use]
    pub fn sign(ledger: &str, signer: &Signer, hash: &Digest) -> Self {
        Self { signer: signer.id(), signature: signer.sign(&message(ledger, hash)) }
    }

    /// True if it covers the hash.
    #[must_use]
    pub fn verifies(&self, ledger: &str, hash: &Digest) -> bool {
        let Signed { key, message, signature } = self.signed(ledger, hash);
        key.verifies(&message, &signature)
    }

    /// The seal as the signature of a message.
    #[must_use]
    pub fn signed(&self, ledger: &str, hash: &Digest) -> Signed {
        Signed { key: self.signer, message: message(ledger, hash), signature: self.signature }
    }
}

fn message(ledger: &str, hash: &Digest) -> Vec<u8> {
    let mut writer = Writer::onto(SEAL_DOMAIN.to_vec());
    writer.text(ledger);
    writer.digest(hash);
    writer.into_bytes()
}

/// One block.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// Header.
    pub header: Header,
    /// The ledger's signature over the header's hash.
    pub seal: Seal,
    /// The signed checkpoint at this block's tree size (C2SP signed note).
    pub checkpoint: Box<str>,
    /// Progress, dispositions and submissions' signatures.
    pub records: Records,
    /// Entries in order, without the block's own leaf.
    pub entries: Vec<Entry>,
}

/// A block without its entries read: what an index needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockOutline {
    /// Header.
    pub header: Header,
    /// The ledger's signature.
    pub seal: Seal,
    /// The signed checkpoint.
    pub checkpoint: Box<str>,
    /// Progress, dispositions and submissions' signatures.
    pub records: Records,
}

/// Most memory that blocks of so many bytes together take decoded, with their own bytes: set aside
/// for them until it is known what they do take.
#[must_use]
pub fn most_memory(len: usize) -> usize {
    // No value takes more for each of its bytes; most take two or three.
    len.saturating_mul(32).min(MAX_BLOCK_MEMORY_BYTES + MAX_BLOCK_BYTES)
}

/// Digest over a block's records.
#[must_use]
pub fn records_digest(records: &Records, format: BlockFormat) -> Digest {
    let mut writer = Writer::new();
    records.encode(format, &mut writer);
    Digest::of(&writer.into_bytes())
}

/// The next link of the effects chain: over the one before and the effects' bytes of a block.
#[must_use]
pub fn chain_effects(previous: &Digest, effects: &Digest) -> Digest {
    Digest::of_parts(&[&previous.0, &effects.0])
}

/// Encodes a block whose entries' bytes are there already, each with its length in front.
#[must_use]
pub fn encode(outline: &BlockOutline, entry_count: usize, entries: &[u8]) -> Vec<u8> {
    let mut writer = Writer::onto(Vec::with_capacity(entries.len() + 1024));
    outline.header.encode(&mut writer);
    writer.raw(&outline.seal.signer.0);
    writer.raw(&outline.seal.signature);
    writer.text(&outline.checkpoint);
    outline.records.encode(outline.header.format, &mut writer);
    writer.uint(entry_count as u64);
    writer.raw(entries);
    writer.into_bytes()
}

impl BlockOutline {
    /// Reads everything but the entries; what is left in the reader are those.
    pub fn decode<'a>(bytes: &'a [u8]) -> Result<(Self, EntryBytes<'a>), DecodeError> {
        let mut reader = Reader::within(bytes, MAX_BLOCK_MEMORY_BYTES);
        let header = Header::decode(&mut reader)?;
        let seal = Seal { signer: KeyId(reader.array("seal")?), signature: reader.array("seal")? };
        let checkpoint = reader.kept_text("checkpoint")?;
        let records = Records::decode(header.format, &mut reader)?;
        let count = reader.count("entries")?;
        if count > MAX_BLOCK_ITEMS {
            return Err(DecodeError::Malformed("number of entries"));
        }
        if header.first_entry.checked_add(count as u64) != Some(header.entries_end) {
            return Err(DecodeError::Malformed("number of entries"));
        }
        reader.charge(count, Entry::MEMORY_BYTES, "entries")?;
        let outline = Self { header, seal, checkpoint, records };
        Ok((outline, EntryBytes { reader, left: count }))
    }
}

/// The bytes of a block's entries, one after the other.
#[derive(Debug, Clone)]
pub struct EntryBytes<'a> {
    reader: Reader<'a>,
    left: usize,
}

impl EntryBytes<'_> {
    /// Entries that are still to come.
    #[must_use]
    pub fn left(&self) -> usize {
        self.left
    }

    /// Bytes of memory that what they point to may take.
    #[must_use]
    pub fn room(&self) -> usize {
        self.reader.room()
    }
}

impl<'a> Iterator for EntryBytes<'a> {
    type Item = Result<&'a [u8], DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            let end = std::mem::replace(&mut self.reader, Reader::new(&[]));
            return end.finish().err().map(Err);
        }
        self.left -= 1;
        let entry = self.reader.bytes("entry");
        if entry.is_err() {
            (self.left, self.reader) = (0, Reader::new(&[]));
        }
        Some(entry)
    }
}

impl Block {
    /// Reads what [`encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_with(bytes, &mut |_, _, _| {})
    }

    /// The same; `look` is shown each entry's bytes, with where in them its effects begin.
    pub fn decode_with(
        bytes: &[u8],
        look: &mut dyn FnMut(&Entry, &[u8], usize),
    ) -> Result<Self, DecodeError> {
        let (outline, entry_bytes) = BlockOutline::decode(bytes)?;
        let mut room = entry_bytes.room();
        let mut entries = Vec::with_capacity(entry_bytes.left());
        for bytes in entry_bytes {
            let bytes = bytes?;
            let (entry, effects_at) = Entry::decode_within(bytes, &mut room)?;
            look(&entry, bytes, effects_at);
            entries.push(entry);
        }
        let BlockOutline { header, seal, checkpoint, records } = outline;
        Ok(Self { header, seal, checkpoint, records, entries })
    }

    /// About how many bytes it takes in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let entries = self.entries.iter().map(Entry::memory_bytes);
        self.records.memory_bytes() + entries.sum::<usize>()
    }

    /// The block's own leaf, see [`own_leaf`].
    #[must_use]
    pub fn own_leaf(&self) -> Option<Vec<u8>> {
        own_leaf(&self.header, &self.seal)
    }

    /// The tree head that the block's checkpoint signs.
    pub fn tree_head(&self) -> Result<Checkpoint, CheckpointError> {
        Checkpoint::unverified(self.checkpoint.as_bytes())
    }

    /// Number and entry, in order.
    pub fn numbered_entries(&self) -> impl Iterator<Item = (u64, &Entry)> {
        (self.header.first_entry..self.header.entries_end).zip(&self.entries)
    }

    /// The entry with this number.
    #[must_use]
    pub fn entry(&self, number: u64) -> Option<&Entry> {
        let at = number.checked_sub(self.header.first_entry)?;
        self.entries.get(usize::try_from(at).ok()?)
    }
}
