//! A proof that an entry is in a ledger, in the text form of C2SP tlog-proof: index, Merkle path and
//! signed checkpoint in one file that can be checked offline.
//!
//! Nothing in the file is believed: the leaf's hash and the keys come from whoever checks.

use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::codec::Digest;
use crate::ledger::checkpoint::{Checkpoint, CheckpointError};
use crate::ledger::tree::verify_inclusion;
use crate::transaction::{KeyId, leaf_hash};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// An inclusion proof with the checkpoint it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryProof {
    /// The leaf itself, in the proof's `extra` line: nothing signs that line, but the leaf's hash is
    /// where the path begins.
    pub leaf: Option<Vec<u8>>,
    /// Index of the entry's leaf in the tree.
    pub index: u64,
    /// RFC 6962 section 2.1.1, the lowest level first.
    pub hashes: Vec<Digest>,
    /// Signed note of the tree head.
    pub checkpoint: String,
}

/// Why a proof does not convince.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Not in the form of C2SP tlog-proof.
    #[error("this is not a proof in the form {FIRST_LINE}")]
    Malformed,
    /// The checkpoint in it does not hold.
    #[error("the proof's checkpoint is not valid")]
    Checkpoint(#[from] CheckpointError),
    /// The path does not lead from the leaf to the root.
    #[error("the path does not lead from this leaf at index {index} to the checkpoint's root")]
    Path {
        /// Index of the leaf.
        index: u64,
    },
}

impl EntryProof {
    /// The text form.
    #[must_use]
    pub fn to_text(&self) -> String {
        let hashes: String =
            self.hashes.iter().map(|hash| BASE64_STANDARD.encode(hash.0) + "\n").collect();
        let extra = self
            .leaf
            .as_ref()
            .map_or_else(String::new, |leaf| format!("extra {}\n", BASE64_STANDARD.encode(leaf)));
        format!("{FIRST_LINE}\n{extra}index {}\n{hashes}\n{}", self.index, self.checkpoint)
    }

    /// Reads the text form.
    pub fn parse(text: &str) -> Result<Self, ProofError> {
        let (head, checkpoint) = text.split_once("\n\n").ok_or(ProofError::Malformed)?;
        let parse = || {
            let mut lines = head.split('\n').peekable();
            lines.next().filter(|line| *line == FIRST_LINE)?;
            let extra = lines.next_if(|line| line.starts_with("extra "));
            let extra = extra.and_then(|line| line.strip_prefix("extra "));
            let leaf = extra.map(|text| BASE64_STANDARD.decode(text)).transpose().ok()?;
            let digits = lines.next()?.strip_prefix("index ")?;
            let index = digits.parse::<u64>().ok().filter(|index| index.to_string() == digits)?;
            let hash = |line| BASE64_STANDARD.decode(line).ok()?.try_into().ok().map(Digest);
            Some(Self {
                leaf,
                index,
                hashes: lines.map(hash).collect::<Option<_>>()?,
                checkpoint: checkpoint.to_owned(),
            })
        };
        parse().ok_or(ProofError::Malformed)
    }

    /// Checks that the leaf is in the ledger with this name, by at least one of its keys. Gives the
    /// tree head that was proven.
    pub fn verify(
        &self,
        leaf: &[u8],
        origin: &str,
        keys: &[KeyId],
    ) -> Result<Checkpoint, ProofError> {
        let head = Checkpoint::open(self.checkpoint.as_bytes(), origin, keys)?;
        let place = (self.index, head.size);
        if verify_inclusion(place, &leaf_hash(leaf), &self.hashes, &head.root) {
            Ok(head)
        } else {
            Err(ProofError::Path { index: self.index })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::transaction::{Signer, node_hash};

    /// The proof of the second of two leaves.
    fn proof() -> EntryProof {
        let (first, second) = (leaf_hash(b"first"), leaf_hash(b"second"));
        let root = node_hash(&first, &second);
        let head = Checkpoint { origin: "test".to_owned(), size: 2, root };
        let checkpoint = head.sign(&[&Signer::from_seed(&[1; 32])]).unwrap();
        EntryProof { leaf: None, index: 1, hashes: vec![first], checkpoint }
    }

    fn keys() -> [KeyId; 1] {
        [Signer::from_seed(&[1; 32]).id()]
    }

    #[test]
    fn text_and_back() {
        let text = proof().to_text();
        assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 1\n"), "{text}");
        assert_eq!(EntryProof::parse(&text), Ok(proof()));
        let with_extra = text.replacen("\nindex", "\nextra QQ==\nindex", 1);
        let with_leaf = EntryProof { leaf: Some(b"A".to_vec()), ..proof() };
        assert_eq!(EntryProof::parse(&with_extra), Ok(with_leaf.clone()));
        assert_eq!(EntryProof::parse(&with_leaf.to_text()), Ok(with_leaf));
        let single = EntryProof { index: 0, hashes: Vec::new(), ..proof() };
        assert_eq!(EntryProof::parse(&single.to_text()), Ok(single));
    }

    #[test]
    fn only_the_right_leaf_at_its_place_is_proven() {
        assert_eq!(proof().verify(b"second", "test", &keys()).unwrap().size, 2);
        let path = |index| Err(ProofError::Path { index });
        assert_eq!(proof().verify(b"first", "test", &keys()), path(1));
        let moved = EntryProof { index: 0, ..proof() };
        assert_eq!(moved.verify(b"second", "test", &keys()), path(0));
        assert!(matches!(
            proof().verify(b"second", "other", &keys()),
            Err(ProofError::Checkpoint(_))
        ));
        assert!(matches!(proof().verify(b"second", "test", &[]), Err(ProofError::Checkpoint(_))));
    }

    #[test]
    fn other_texts_are_refused() {
        let text = proof().to_text();
        for bad in [
            "",
            "c2sp.org/tlog-proof@v1\n",
            &text.replacen("v1", "v2", 1),
            &text.replacen("index 1", "index 01", 1),
            &text.replacen("index 1", "index -1", 1),
            &text.replacen("index 1\n", "index 1\nAAAA\n", 1),
            &text.replacen("\n\n", "\n", 2),
        ] {
            assert_eq!(EntryProof::parse(bad), Err(ProofError::Malformed), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_changed_byte_proves_nothing(at: usize, bit in 0_u32..7) {
            let mut bytes = proof().to_text().into_bytes();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            let taken = String::from_utf8(bytes).ok()
                .and_then(|text| EntryProof::parse(&text).ok())
                .is_some_and(|proof| proof.verify(b"second", "test", &keys()).is_ok());
            prop_assert!(!taken);
        }
    }
}
