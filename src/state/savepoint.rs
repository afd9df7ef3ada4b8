//! How far the store has come, and what it then holds.

use crate::codec::{DecodeError, Digest, Reader, Writer};
use crate::state::Totals;

/// Raised when the meaning of the stored data changes: an older store is then built again.
const PROJECTION_VERSION: u64 = 2;

/// The place in the log that the store has taken in, and the fingerprint of what it then holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Savepoint {
    /// Blocks taken in.
    pub blocks: u64,
    /// Hash of the newest of them.
    pub block_hash: Digest,
    /// Entries taken in.
    pub entries: u64,
    /// Counts up to here.
    pub totals: Totals,
    /// Over every asset.
    pub fingerprint: Fingerprint,
}

impl Savepoint {
    /// The bytes that are stored.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.uint(PROJECTION_VERSION);
        writer.uint(self.blocks);
        writer.digest(&self.block_hash);
        writer.uint(self.entries);
        self.totals.encode(&mut writer);
        self.fingerprint.sum.iter().for_each(|lane| writer.uint(*lane));
        writer.uint(self.fingerprint.count);
        writer.into_bytes()
    }

    /// Reads what [`Savepoint::encode`] wrote; refuses what another version of the store has.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        if reader.uint("projection version")? != PROJECTION_VERSION {
            return Err(DecodeError::Malformed("projection version"));
        }
        let blocks = reader.uint("blocks")?;
        let block_hash = reader.digest("block hash")?;
        let entries = reader.uint("entries")?;
        let totals = Totals::decode(&mut reader)?;
        let mut fingerprint = Fingerprint::default();
        for lane in &mut fingerprint.sum {
            *lane = reader.uint("fingerprint")?;
        }
        fingerprint.count = reader.uint("fingerprint")?;
        reader.finish()?;
        Ok(Self { blocks, block_hash, entries, totals, fingerprint })
    }
}

/// A digest over a set, to which members can be added and taken away in any order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fingerprint {
    sum: [u64; 4],
    count: u64,
}

/// What one asset adds to a fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member([u64; 4]);

impl Member {
    /// A key and a value, as they are stored.
    #[must_use]
    pub fn of(key: &[u8], value: &[u8]) -> Self {
        let len = (key.len() as u64).to_le_bytes();
        let digest = Digest::of_parts(&[&len, key, value]).0;
        let mut lanes = [0; 4];
        for (lane, bytes) in lanes.iter_mut().zip(digest.chunks_exact(8)) {
            *lane = bytes.iter().fold(0, |lane, byte| lane << 8 | u64::from(*byte));
        }
        Self(lanes)
    }
}

impl Fingerprint {
    /// Adds a member.
    pub fn add(&mut self, member: &Member) {
        for (sum, lane) in self.sum.iter_mut().zip(member.0) {
            *sum = sum.wrapping_add(lane);
        }
        self.count = self.count.wrapping_add(1);
    }

    /// Takes a member away.
    pub fn remove(&mut self, member: &Member) {
        for (sum, lane) in self.sum.iter_mut().zip(member.0) {
            *sum = sum.wrapping_sub(lane);
        }
        self.count = self.count.wrapping_sub(1);
    }

    /// Number of members.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(names: &[String]) -> Fingerprint {
        let mut fingerprint = Fingerprint::default();
        names.iter().for_each(|name| fingerprint.add(&Member::of(name.as_bytes(), b"v")));
        fingerprint
    }

    proptest! {
        #[test]
        fn a_set_has_one_fingerprint_and_its_count(
            names in proptest::collection::hash_set("[a-z]{1,8}", 1..20),
            gone in any::<proptest::sample::Index>(),
        ) {
            let mut names: Vec<_> = names.into_iter().collect();
            let mut fingerprint = of(&names);
            prop_assert_eq!(fingerprint.count(), names.len() as u64);
            let gone = names.remove(gone.index(names.len()));
            prop_assert_ne!(fingerprint, of(&names));
            fingerprint.remove(&Member::of(gone.as_bytes(), b"v"));
            names.reverse();
            prop_assert_eq!(fingerprint, of(&names));
        }

        #[test]
        fn a_savepoint_comes_back(blocks: u64, entries: u64, block_hash: [u8; 32]) {
            let block_hash = Digest(block_hash);
            let fingerprint = of(&["a".to_owned()]);
            let savepoint =
                Savepoint { blocks, block_hash, entries, totals: Totals::default(), fingerprint };
            let bytes = savepoint.encode();
            prop_assert_eq!(Savepoint::decode(&bytes), Ok(savepoint));
            prop_assert!(Savepoint::decode(&bytes[..bytes.len() - 1]).is_err());
        }
    }
}
