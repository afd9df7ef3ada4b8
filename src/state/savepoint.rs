//! Savepoint: progress and fingerprint of the store.

use crate::codec::{DecodeError, Digest, Reader, Writer};
use crate::state::Totals;

/// Raised when the meaning of the stored data changes: an older store is then built again.
const PROJECTION_VERSION: u64 = 3;

/// A log up to one of its blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    /// Number of blocks.
    pub blocks: u64,
    /// Hash of the newest of them.
    pub block_hash: Digest,
}

/// Progress of a fold over the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// Blocks taken in.
    pub mark: Mark,
    /// Entries taken in.
    pub entries: u64,
    /// Counts up to here.
    pub totals: Totals,
}

/// The store's record of its own progress. It is written with every change of an asset.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Savepoint {
    /// All that these blocks wrote is there.
    pub place: Place,
    /// Set while a savepoint is in progress; the store may already hold writes up to this block,
    /// and blocks may arrive meanwhile. Also set after a crash during a savepoint. Replay is
    /// idempotent.
    pub begun: Option<Mark>,
    /// Over every asset that is there.
    pub fingerprint: Fingerprint,
}

impl Savepoint {
    /// The same store with some of what blocks up to this mark wrote; it is behind all that was begun
    /// before.
    #[must_use]
    pub fn begin(&self, mark: Mark) -> Self {
        Self { begun: Some(mark), ..self.clone() }
    }

    /// The same store at this place.
    #[must_use]
    pub fn complete(&self, place: &Place) -> Self {
        let begun = self.begun.filter(|mark| mark.blocks > place.mark.blocks);
        Self { place: place.clone(), begun, fingerprint: self.fingerprint }
    }

    /// The bytes that are stored.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.uint(PROJECTION_VERSION);
        self.place.mark.encode(&mut writer);
        writer.uint(self.place.entries);
        self.place.totals.encode(&mut writer);
        writer.option(self.begun, |writer, mark| mark.encode(writer));
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
        let mark = Mark::decode(&mut reader)?;
        let entries = reader.uint("entries")?;
        let totals = Totals::decode(&mut reader)?;
        let begun = reader.option("begun savepoint", Mark::decode)?;
        let mut fingerprint = Fingerprint::default();
        for lane in &mut fingerprint.sum {
            *lane = reader.uint("fingerprint")?;
        }
        fingerprint.count = reader.uint("fingerprint")?;
        reader.finish()?;
        Ok(Self { place: Place { mark, entries, totals }, begun, fingerprint })
    }
}

impl Mark {
    fn encode(&self, writer: &mut Writer) {
        writer.uint(self.blocks);
        writer.digest(&self.block_hash);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { blocks: reader.uint("blocks")?, block_hash: reader.digest("block hash")? })
    }
}

/// A digest over a set, to which members can be added and taken away in any order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fingerprint {
    sum: [u64; 4],
    count: u64,
}

/// Contribution of one asset to a fingerprint.
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
        fn a_savepoint_comes_back(
            blocks: u64, entries: u64, block_hash: [u8; 32], begun: Option<u64>,
        ) {
            let mark = |blocks| Mark { blocks, block_hash: Digest(block_hash) };
            let place = Place { mark: mark(blocks), entries, totals: Totals::default() };
            let begun = begun.map(mark);
            let savepoint = Savepoint { place, begun, fingerprint: of(&["a".to_owned()]) };
            let bytes = savepoint.encode();
            prop_assert_eq!(Savepoint::decode(&bytes), Ok(savepoint));
            prop_assert!(Savepoint::decode(&bytes[..bytes.len() - 1]).is_err());
        }
    }
}
