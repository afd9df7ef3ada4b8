//! Decoding of tree leaves, for showing the content of a proof.

use crate::codec::{DecodeError, Digest, Reader};
use crate::ledger::block::BLOCK_LEAF;
use crate::ledger::entry::BY_DIGEST;
use crate::ledger::{Entry, Header};
use crate::transaction::KeyId;

/// The content of one leaf.
#[derive(Debug, Clone, PartialEq)]
pub enum Leaf {
    /// An entry.
    Entry(Box<Entry>),
    /// An entry that is too long for a leaf, by its digest and its length in bytes.
    ByDigest {
        /// SHA-256 of the entry.
        digest: Digest,
        /// Its length in bytes.
        len: u64,
    },
    /// A block's own leaf: its header.
    Block(Box<Header>),
}

impl Leaf {
    /// Reads a leaf.
    pub fn parse(leaf: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(leaf);
        match leaf.first() {
            Some(&BY_DIGEST) => {
                reader.byte("leaf")?;
                let digest = reader.digest("digest of an entry")?;
                let len = u64::from_be_bytes(reader.array("length of an entry")?);
                reader.finish()?;
                Ok(Self::ByDigest { digest, len })
            }
            Some(&BLOCK_LEAF) => {
                reader.byte("leaf")?;
                let header = Header::decode(&mut reader)?;
                let _signer = KeyId(reader.array("seal")?);
                let _signature: [u8; 64] = reader.array("seal")?;
                reader.finish()?;
                Ok(Self::Block(Box::new(header)))
            }
            _ => Ok(Self::Entry(Box::new(Entry::decode(leaf)?))),
        }
    }
}
