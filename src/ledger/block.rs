//! Blocks: what is made durable in one step.
//!
//! A block's header covers everything in it: the entries by the tree's root, all else by the digest
//! of the records. The seal is the ledger's signature over the header's hash.

use crate::codec::{DecodeError, Digest, Reader, Writer};
use crate::ledger::{Entry, Records};
use crate::limits::MAX_BLOCK_ITEMS;
use crate::transaction::{KeyId, Signer};

/// What a block's hash is for, so that it serves nothing else.
const HASH_DOMAIN: &[u8] = b"ledgerline/block/v1\n";
/// What a seal is for.
const SEAL_DOMAIN: &[u8] = b"ledgerline/seal/v1\n";

/// A block's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Number, from 0.
    pub number: u64,
    /// Hash of the block before; zeros for the first.
    pub previous: Digest,
    /// Index of its first entry.
    pub first_entry: u64,
    /// Entries in the tree with this block.
    pub tree_size: u64,
    /// Root of the RFC 6962 tree with this block.
    pub tree_root: Digest,
    /// Chained digest over all verdicts and writes so far.
    pub effects: Digest,
    /// Digest over the block's [`Records`].
    pub records: Digest,
    /// When it was made, in milliseconds since 1970; never before the block in front.
    pub time_ms: i64,
}

impl Header {
    fn encode(&self, writer: &mut Writer) {
        writer.uint(self.number);
        writer.digest(&self.previous);
        writer.uint(self.first_entry);
        writer.uint(self.tree_size);
        writer.digest(&self.tree_root);
        writer.digest(&self.effects);
        writer.digest(&self.records);
        writer.int(self.time_ms);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            number: reader.uint("block number")?,
            previous: reader.digest("previous hash")?,
            first_entry: reader.uint("first entry")?,
            tree_size: reader.uint("tree size")?,
            tree_root: reader.digest("tree root")?,
            effects: reader.digest("effects hash")?,
            records: reader.digest("records hash")?,
            time_ms: reader.int("block time")?,
        })
    }

    /// The block's hash.
    #[must_use]
    pub fn hash(&self) -> Digest {
        let mut writer = Writer::onto(HASH_DOMAIN.to_vec());
        self.encode(&mut writer);
        Digest::of(&writer.into_bytes())
    }
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

    /// Whether it covers the hash.
    #[must_use]
    pub fn verifies(&self, ledger: &str, hash: &Digest) -> bool {
        self.signer.verifies(&message(ledger, hash), &self.signature)
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
    /// Entries in order.
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

/// Digest over a block's records.
#[must_use]
pub fn records_digest(records: &Records) -> Digest {
    let mut writer = Writer::new();
    records.encode(&mut writer);
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
    outline.records.encode(&mut writer);
    writer.uint(entry_count as u64);
    writer.raw(entries);
    writer.into_bytes()
}

impl BlockOutline {
    /// Reads everything but the entries; what is left in the reader are those.
    pub fn decode<'a>(bytes: &'a [u8]) -> Result<(Self, EntryBytes<'a>), DecodeError> {
        let mut reader = Reader::new(bytes);
        let header = Header::decode(&mut reader)?;
        let seal = Seal { signer: KeyId(reader.array("seal")?), signature: reader.array("seal")? };
        let checkpoint = reader.text("checkpoint")?.into();
        let records = Records::decode(&mut reader)?;
        let count = reader.count("entries")?;
        if count > MAX_BLOCK_ITEMS {
            return Err(DecodeError::Malformed("number of entries"));
        }
        if header.first_entry.checked_add(count as u64) != Some(header.tree_size) {
            return Err(DecodeError::Malformed("tree size"));
        }
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
        let (outline, entries) = BlockOutline::decode(bytes)?;
        let entries = entries.map(|entry| Entry::decode(entry?)).collect::<Result<_, _>>()?;
        let BlockOutline { header, seal, checkpoint, records } = outline;
        Ok(Self { header, seal, checkpoint, records, entries })
    }

    /// Index and entry, in order.
    pub fn indexed_entries(&self) -> impl Iterator<Item = (u64, &Entry)> {
        (self.header.first_entry..self.header.tree_size).zip(&self.entries)
    }

    /// The entry with this index in the tree.
    #[must_use]
    pub fn entry(&self, index: u64) -> Option<&Entry> {
        let at = index.checked_sub(self.header.first_entry)?;
        self.entries.get(usize::try_from(at).ok()?)
    }
}
