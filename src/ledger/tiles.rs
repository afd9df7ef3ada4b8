//! Names and contents of tiles after C2SP tlog-tiles: `/tile/<L>/<N>[.p/<W>]` for hashes,
//! `/tile/entries/<N>[.p/<W>]` for the entries themselves.
//!
//! Nothing here knows which tiles exist: that follows from a tree's size.

use std::fmt;

use crate::codec::DecodeError;
use crate::limits::{MAX_LEAF_BYTES, TILE_WIDTH};

/// Width of a full tile.
pub const FULL_WIDTH: u16 = 256;
/// Highest level of tiles that the specification allows.
const MAX_LEVEL: u8 = 63;
/// Longest path: a level, seven groups of digits, a width.
const MAX_PATH_BYTES: usize = 64;

/// The contents of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TileKind {
    /// Hashes of the tree's level 8 × this.
    Hashes(u8),
    /// The entries' bytes.
    Entries,
}

/// The name of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TilePath {
    /// Its contents.
    pub kind: TileKind,
    /// Its index within its level, from 0.
    pub index: u64,
    /// Number of hashes or entries, 1 to 256.
    pub width: u16,
}

impl TilePath {
    /// Reads a path such as `/tile/0/x001/x234/067.p/5`. There is one way to write each tile, every
    /// other is refused.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("/tile/").filter(|_| path.len() <= MAX_PATH_BYTES)?;
        let (level, rest) = rest.split_once('/')?;
        let kind = match level {
            "entries" => TileKind::Entries,
            level => TileKind::Hashes(decimal(level).filter(|level| *level <= MAX_LEVEL)?),
        };
        let (index, width) = match rest.split_once(".p/") {
            None => (rest, FULL_WIDTH),
            Some((index, width)) => {
                (index, decimal(width).filter(|width| (1..FULL_WIDTH).contains(width))?)
            }
        };
        let tile = Self { kind, index: parse_index(index)?, width };
        (tile.to_string() == path).then_some(tile)
    }

    /// Every tile of a tree: what is to be written so that an auditor needs nothing else.
    pub fn all(tree_size: u64) -> impl Iterator<Item = Self> {
        let levels = (0..8_u8)
            .map(move |level| (TileKind::Hashes(level), tree_size >> (u32::from(level) * 8)));
        levels
            .chain([(TileKind::Entries, tree_size)])
            .flat_map(|(kind, items)| Self::of_level(kind, items))
    }

    fn of_level(kind: TileKind, items: u64) -> impl Iterator<Item = Self> {
        let full = items / TILE_WIDTH;
        // Less than 256, so it fits.
        let rest = u16::try_from(items % TILE_WIDTH).unwrap_or_default();
        let partial = (rest > 0).then_some(Self { kind, index: full, width: rest });
        (0..full).map(move |index| Self { kind, index, width: FULL_WIDTH }).chain(partial)
    }

    /// Index of the first hash or entry within its level; `None` beyond 64 bits.
    #[must_use]
    pub fn first(&self) -> Option<u64> {
        self.index.checked_mul(TILE_WIDTH)
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes(level) => write!(f, "/tile/{level}/")?,
            TileKind::Entries => f.write_str("/tile/entries/")?,
        }
        let digits = self.index.to_string();
        let digits = format!("{digits:0>width$}", width = digits.len().div_ceil(3) * 3);
        for (at, digit) in digits.chars().enumerate() {
            if at % 3 == 0 {
                f.write_str(if at > 0 { "/" } else { "" })?;
                f.write_str(if at + 3 < digits.len() { "x" } else { "" })?;
            }
            write!(f, "{digit}")?;
        }
        if self.width < FULL_WIDTH {
            write!(f, ".p/{}", self.width)?;
        }
        Ok(())
    }
}

/// Groups of three digits, all but the last with an `x`. Leading groups of zeros fall to the
/// comparison with the canonical form.
fn parse_index(text: &str) -> Option<u64> {
    let mut index = 0_u64;
    for group in text.split('/') {
        let digits = group.strip_prefix('x').unwrap_or(group);
        if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        index = index.checked_mul(1_000)?.checked_add(digits.parse().ok()?)?;
    }
    Some(index)
}

/// Digits only; a sign or a leading zero falls to the comparison with the canonical form.
fn decimal<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// An entry that is too long for a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an entry of {0} bytes does not fit a bundle: its limit is {MAX_LEAF_BYTES}")]
pub struct EntryTooLong(pub usize);

/// The bytes of an entry bundle: each entry with its length as two big-endian bytes in front.
pub fn encode_bundle<'a>(
    entries: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<u8>, EntryTooLong> {
    let mut bundle = Vec::new();
    for entry in entries {
        let length = u16::try_from(entry.len()).map_err(|_| EntryTooLong(entry.len()))?;
        bundle.extend_from_slice(&length.to_be_bytes());
        bundle.extend_from_slice(entry);
    }
    Ok(bundle)
}

/// The entries of a bundle.
pub fn decode_bundle(mut bundle: &[u8]) -> Result<Vec<&[u8]>, DecodeError> {
    let mut entries = Vec::new();
    while !bundle.is_empty() {
        let (length, rest) =
            bundle.split_first_chunk().ok_or(DecodeError::Truncated("an entry's length"))?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, rest) =
            rest.split_at_checked(length).ok_or(DecodeError::Truncated("an entry"))?;
        entries.push(entry);
        bundle = rest;
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_as_the_specification_writes_them() {
        let hashes = |level, index, width| TilePath { kind: TileKind::Hashes(level), index, width };
        let entries = |index, width| TilePath { kind: TileKind::Entries, index, width };
        for (path, tile) in [
            ("/tile/0/000", hashes(0, 0, 256)),
            ("/tile/3/x001/x234/067.p/8", hashes(3, 1_234_067, 8)),
            ("/tile/63/x018/x446/x744/x073/x709/x551/615", hashes(63, u64::MAX, 256)),
            ("/tile/entries/x123/456.p/255", entries(123_456, 255)),
            ("/tile/entries/999", entries(999, 256)),
        ] {
            assert_eq!(TilePath::parse(path), Some(tile), "{path}");
            assert_eq!(tile.to_string(), path);
        }
    }

    #[test]
    fn every_other_spelling_is_refused() {
        for path in [
            "",
            "/tile/0",
            "/tile/0/",
            "/tile/0/0",
            "/tile/0/0000",
            "/tile/00/000",
            "/tile/+1/000",
            "/tile/64/000",
            "/tile/256/000",
            "/tile/-1/000",
            "/tile/data/000",
            "/tile/0/x000/001",
            "/tile/0/001/234",
            "/tile/0/x001/x234",
            "/tile/0/001.p/0",
            "/tile/0/001.p/256",
            "/tile/0/001.p/05",
            "/tile/0/001.p/5/",
            "/tile/0/001.p/",
            "/tile/0/+01",
            "/tile/0/x018/x446/x744/x073/x709/x551/616",
            "/tile/0/x999/x999/x999/x999/x999/x999/999",
            "/tile/0/x001//234",
            "/tile/8/0/001",
            "tile/0/001",
        ] {
            assert_eq!(TilePath::parse(path), None, "{path}");
        }
    }

    #[test]
    fn all_tiles_of_a_tree() {
        let paths: Vec<_> = TilePath::all(256 * 256 + 300).map(|tile| tile.to_string()).collect();
        assert_eq!(paths.len(), 258 + 2 + 1 + 258, "{paths:?}");
        for path in ["/tile/0/257.p/44", "/tile/1/000", "/tile/1/001.p/1", "/tile/2/000.p/1"] {
            assert!(paths.iter().any(|there| there == path), "{path}");
        }
        assert!(paths.iter().any(|path| path == "/tile/entries/257.p/44"));
        assert_eq!(TilePath::all(0).count(), 0);
    }

    proptest! {
        #[test]
        fn parsing_never_panics(path in "(/tile/)?[0-9xp./a-z+-]{0,40}") {
            if let Some(tile) = TilePath::parse(&path) {
                prop_assert_eq!(tile.to_string(), path);
            }
        }

        #[test]
        fn paths_come_back(level in 0_u8..64, index: u64, width in 1_u16..=256) {
            for kind in [TileKind::Hashes(level), TileKind::Entries] {
                let tile = TilePath { kind, index, width };
                prop_assert_eq!(TilePath::parse(&tile.to_string()), Some(tile));
            }
        }

        #[test]
        fn bundles_come_back(entries in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..40), 0..20)) {
            let bundle = encode_bundle(entries.iter().map(Vec::as_slice)).unwrap();
            prop_assert_eq!(decode_bundle(&bundle).unwrap(), entries);
        }

        #[test]
        fn broken_bundles_are_errors(bundle in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(entries) = decode_bundle(&bundle) {
                prop_assert_eq!(encode_bundle(entries).unwrap(), bundle);
            }
        }
    }

    #[test]
    fn an_entry_has_at_most_65535_bytes() {
        let longest = vec![0; MAX_LEAF_BYTES];
        assert!(encode_bundle([longest.as_slice()]).is_ok());
        let longer = vec![0; MAX_LEAF_BYTES + 1];
        assert_eq!(encode_bundle([longer.as_slice()]), Err(EntryTooLong(65_536)));
    }
}
