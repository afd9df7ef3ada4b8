//! The ledger's tree head after C2SP tlog-checkpoint, signed as a C2SP signed note, so that tools
//! which no one here wrote can check it.
//!
//! The note's text holds the ledger's name (the *origin*), so a checkpoint of one ledger never
//! serves another. Nothing stands in its extension lines. Nothing here reads or writes a file.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use signed_note::{Note, NoteError, Signature, Verifier, VerifierList, is_key_name_valid, key_id};
use tlog_tiles::Hash;

use crate::codec::Digest;
use crate::transaction::{KeyId, Signed, Signer};

/// Signed-note's number for Ed25519.
const ALGORITHM_ED25519: u8 = 1;
/// Longest name of a ledger, in bytes.
pub const MAX_ORIGIN_BYTES: usize = 255;

/// A tree head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the ledger.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// RFC 6962 root over them.
    pub root: Digest,
}

/// An error of a checkpoint, or of the data for one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// A ledger cannot have this name.
    #[error(
        "a ledger cannot be named {0:?}: a name has 1 to {MAX_ORIGIN_BYTES} bytes and no space, control character or `+`"
    )]
    BadOrigin(String),
    /// Not a signed note with a tree head in it.
    #[error("this is not a signed checkpoint (C2SP tlog-checkpoint)")]
    Malformed,
    /// Of another ledger.
    #[error("the checkpoint is of the ledger {found:?}, not of {expected:?}")]
    OtherLedger {
        /// The name asked for.
        expected: String,
        /// The name in the checkpoint.
        found: String,
    },
    /// Signed by a known key, but not this text.
    #[error("the signature of the key {key} does not match the checkpoint's text")]
    BadSignature {
        /// Name and number of the key.
        key: String,
    },
    /// No known key signed it.
    #[error("none of the {known} known keys signed the checkpoint of {origin:?}")]
    UnknownSigner {
        /// Name of the ledger.
        origin: String,
        /// Number of keys that were tried.
        known: usize,
    },
    /// Not the text form of a public key.
    #[error(
        "this is not an Ed25519 verifier key; `ledgerline keygen` prints one, such as `name+1a2b3c4d+AQ…`"
    )]
    BadKey,
}

/// Checks the name of a ledger: it stands in checkpoints and in every signature.
pub fn check_origin(origin: &str) -> Result<(), CheckpointError> {
    let fits = origin.len() <= MAX_ORIGIN_BYTES
        && is_key_name_valid(origin)
        && !origin.chars().any(char::is_control);
    fits.then_some(()).ok_or_else(|| CheckpointError::BadOrigin(origin.to_owned()))
}

impl Checkpoint {
    /// The signed note. A rotation signs with the old and the new key for a while.
    pub fn sign(&self, signers: &[&Signer]) -> Result<String, CheckpointError> {
        check_origin(&self.origin)?;
        let text = tlog_tiles::Checkpoint::new(&self.origin, self.size, Hash(self.root.0), "")
            .map_err(|_| CheckpointError::Malformed)?
            .to_bytes();
        let signature = |signer: &&Signer| {
            let number = number_of(&self.origin, &signer.id());
            Signature::new(self.origin.clone(), number, signer.sign(&text).to_vec())
        };
        let signatures = signers.iter().map(signature).collect::<Result<Vec<_>, _>>();
        let note = signatures.and_then(|signatures| Note::new(&text, &signatures));
        let bytes = note.map_err(|_| CheckpointError::Malformed)?.to_bytes();
        String::from_utf8(bytes).map_err(|_| CheckpointError::Malformed)
    }

    /// Reads a signed note and checks it: the ledger's name, and at least one signature by one of
    /// `keys`. Signatures by other keys are ignored, one by a known key that does not fit is an
    /// error. Any bytes may be given.
    pub fn open(note: &[u8], origin: &str, keys: &[KeyId]) -> Result<Self, CheckpointError> {
        let note = Note::from_bytes(note).map_err(|_| CheckpointError::Malformed)?;
        let checkpoint = Self::of_text(note.text())?;
        if checkpoint.origin != origin {
            let (expected, found) = (origin.to_owned(), checkpoint.origin);
            return Err(CheckpointError::OtherLedger { expected, found });
        }
        let mut known = keys.to_vec();
        known.sort_unstable();
        known.dedup();
        let verifier = |key| Box::new(NoteKey::new(origin, key)) as Box<dyn Verifier>;
        match note.verify(&VerifierList::new(known.into_iter().map(verifier).collect())) {
            Ok(_) => Ok(checkpoint),
            Err(NoteError::InvalidSignature { name, id }) => {
                Err(CheckpointError::BadSignature { key: format!("{name}+{id:08x}") })
            }
            Err(NoteError::UnverifiedNote) => {
                let (origin, known) = (checkpoint.origin, keys.len());
                Err(CheckpointError::UnknownSigner { origin, known })
            }
            Err(_) => Err(CheckpointError::Malformed),
        }
    }

    /// The one signature of a note, where it has no other and this key made it; not checked.
    #[must_use]
    pub fn only_signature(note: &[u8], key: KeyId) -> Option<Signed> {
        let parsed = Note::from_bytes(note).ok()?;
        let text = parsed.text();
        // A note is its text, a line feed and its signatures, each a line.
        let lines = note.strip_prefix(text)?.strip_prefix(b"\n")?.strip_suffix(b"\n")?;
        let line = (!lines.contains(&b'\n')).then_some(lines)?;
        let signature = Signature::from_bytes(line).ok()?;
        let origin = Self::of_text(text).ok()?.origin;
        let is_its = signature.name() == origin && signature.id() == number_of(&origin, &key);
        let bytes = signature.signature().try_into().ok()?;
        is_its.then(|| Signed { key, message: text.to_vec(), signature: bytes })
    }

    /// The tree head of a signed note whose signatures nobody checks: for showing it only.
    pub fn unverified(note: &[u8]) -> Result<Self, CheckpointError> {
        let note = Note::from_bytes(note).map_err(|_| CheckpointError::Malformed)?;
        Self::of_text(note.text())
    }

    fn of_text(text: &[u8]) -> Result<Self, CheckpointError> {
        let parsed = tlog_tiles::Checkpoint::from_bytes(text);
        let parsed = parsed.map_err(|_| CheckpointError::Malformed)?;
        let root = Digest(parsed.hash().0);
        Ok(Self { origin: parsed.origin().to_owned(), size: parsed.size(), root })
    }
}

/// The 32-bit number by which a signature line names its key.
fn number_of(origin: &str, key: &KeyId) -> u32 {
    key_id(origin, &encoded(key))
}

fn encoded(key: &KeyId) -> Vec<u8> {
    [&[ALGORITHM_ED25519], key.0.as_slice()].concat()
}

/// The text form of a ledger's public key that auditors give to their tools:
/// `<name>+<number>+<base64>`.
#[must_use]
pub fn verifier_key(origin: &str, key: &KeyId) -> String {
    let number = number_of(origin, key);
    format!("{origin}+{number:08x}+{}", BASE64_STANDARD.encode(encoded(key)))
}

/// Reads what [`verifier_key`] gave: the ledger's name and its key.
pub fn parse_verifier_key(text: &str) -> Result<(String, KeyId), CheckpointError> {
    let parse = || {
        let (origin, rest) = text.trim().split_once('+')?;
        let bytes = BASE64_STANDARD.decode(rest.split_once('+')?.1).ok()?;
        let (algorithm, key) = bytes.split_first()?;
        let key = KeyId(key.try_into().ok()?);
        let fits = *algorithm == ALGORITHM_ED25519
            && check_origin(origin).is_ok()
            && verifier_key(origin, &key) == text.trim();
        fits.then(|| (origin.to_owned(), key))
    };
    parse().ok_or(CheckpointError::BadKey)
}

/// A key under the name of its ledger, checked the strict way (the library's own verifier is not).
struct NoteKey {
    origin: String,
    number: u32,
    key: KeyId,
}

impl NoteKey {
    fn new(origin: &str, key: KeyId) -> Self {
        Self { origin: origin.to_owned(), number: number_of(origin, &key), key }
    }
}

impl Verifier for NoteKey {
    fn name(&self) -> &str {
        &self.origin
    }

    fn key_id(&self) -> u32 {
        self.number
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        signature.try_into().is_ok_and(|signature| self.key.verifies(message, signature))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use signed_note::StandardVerifier;

    use super::*;

    const ORIGIN: &str = "example.com/cold-chain";

    fn signer(seed: u8) -> Signer {
        Signer::from_seed(&[seed; 32])
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: ORIGIN.to_owned(), size: 923_748, root: Digest::of(b"root") }
    }

    #[test]
    fn signed_and_opened() {
        let note = checkpoint().sign(&[&signer(1)]).unwrap();
        let opened = Checkpoint::open(note.as_bytes(), ORIGIN, &[signer(1).id()]);
        assert_eq!(opened, Ok(checkpoint()));
        assert_eq!(Checkpoint::unverified(note.as_bytes()), Ok(checkpoint()));
        let lines: Vec<_> = note.lines().collect();
        assert_eq!(lines[..2], [ORIGIN, "923748"]);
        assert_eq!(lines[3], "");
        assert!(lines[4].starts_with("— example.com/cold-chain "), "{note}");
        assert_eq!(lines.len(), 5);
    }

    #[test]
    fn the_librarys_own_verifier_agrees() {
        let note = checkpoint().sign(&[&signer(1)]).unwrap();
        let key = StandardVerifier::new(&verifier_key(ORIGIN, &signer(1).id())).unwrap();
        let note = Note::from_bytes(note.as_bytes()).unwrap();
        let (verified, unverified) = note.verify(&VerifierList::new(vec![Box::new(key)])).unwrap();
        assert_eq!((verified.len(), unverified.len()), (1, 0));
    }

    #[test]
    fn a_rotation_is_readable_with_either_key() {
        let note = checkpoint().sign(&[&signer(1), &signer(2)]).unwrap();
        for keys in [vec![signer(1).id()], vec![signer(2).id()], vec![signer(2).id(); 3]] {
            assert_eq!(Checkpoint::open(note.as_bytes(), ORIGIN, &keys), Ok(checkpoint()));
        }
    }

    #[test]
    fn foreign_and_forged_checkpoints_are_refused() {
        let note = checkpoint().sign(&[&signer(1)]).unwrap();
        let known = [signer(1).id()];
        let open = |note: &str, origin: &str, keys: &[KeyId]| {
            Checkpoint::open(note.as_bytes(), origin, keys).unwrap_err()
        };
        assert!(matches!(
            open(&note, ORIGIN, &[signer(3).id()]),
            CheckpointError::UnknownSigner { known: 1, .. }
        ));
        assert!(matches!(
            open(&note, "example.com/other", &known),
            CheckpointError::OtherLedger { .. }
        ));
        assert!(matches!(
            open(&note.replace("923748", "923749"), ORIGIN, &known),
            CheckpointError::BadSignature { .. }
        ));
        let renamed = note.replace(ORIGIN, "example.com/other");
        assert!(matches!(
            open(&renamed, "example.com/other", &known),
            CheckpointError::UnknownSigner { .. }
        ));
        assert_eq!(open("", ORIGIN, &known), CheckpointError::Malformed);
        assert_eq!(open(note.trim_end(), ORIGIN, &known), CheckpointError::Malformed);
    }

    #[test]
    fn a_key_of_small_order_signs_nothing() {
        // The neutral element: under it, verification that is not strict takes R = identity, S = 0.
        let mut weak = [0; 32];
        weak[0] = 1;
        let key = KeyId(weak);
        let text = format!("{ORIGIN}\n1\n{}\n", Hash(Digest::of(b"root").0));
        let mut forged = vec![0; 64];
        forged[0] = 1;
        let signature = Signature::new(ORIGIN.to_owned(), number_of(ORIGIN, &key), forged).unwrap();
        let note = Note::new(text.as_bytes(), &[signature]).unwrap().to_bytes();
        assert!(matches!(
            Checkpoint::open(&note, ORIGIN, &[key]),
            Err(CheckpointError::BadSignature { .. })
        ));
        let lax = StandardVerifier::new(&verifier_key(ORIGIN, &key)).unwrap();
        let note = Note::from_bytes(&note).unwrap();
        assert!(
            note.verify(&VerifierList::new(vec![Box::new(lax)])).is_ok(),
            "the forgery is one that only the strict check sees"
        );
    }

    #[test]
    fn names_of_ledgers() {
        for origin in ["a", "example.com/log", "kühlkette", &"n".repeat(MAX_ORIGIN_BYTES)] {
            assert_eq!(check_origin(origin), Ok(()), "{origin}");
        }
        let long = "n".repeat(MAX_ORIGIN_BYTES + 1);
        for origin in ["", " ", "a b", "a+b", "a\u{a0}b", "a\nb", "a\u{7f}b", "a\tb", &long] {
            assert!(check_origin(origin).is_err(), "{origin:?}");
            let bad = Checkpoint { origin: origin.to_owned(), ..checkpoint() };
            assert!(bad.sign(&[&signer(1)]).is_err(), "{origin:?}");
        }
    }

    #[test]
    fn keys_in_text_come_back() {
        let text = verifier_key(ORIGIN, &signer(1).id());
        assert_eq!(parse_verifier_key(&text), Ok((ORIGIN.to_owned(), signer(1).id())));
        let wrong_number = text.replacen(&text[23..31], "00000000", 1);
        for bad in ["", "a", "a+b", "a+b+c", &text[..text.len() - 4], &wrong_number] {
            assert_eq!(parse_verifier_key(bad), Err(CheckpointError::BadKey), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_never_taken(at: usize, bit in 0_u32..8) {
            let note = checkpoint().sign(&[&signer(1)]).unwrap().into_bytes();
            let at = at % note.len();
            let mut changed = note.clone();
            changed[at] ^= 1 << bit;
            prop_assert!(Checkpoint::open(&changed, ORIGIN, &[signer(1).id()]).is_err());
        }

        #[test]
        fn any_bytes_may_be_opened(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Checkpoint::open(&bytes, ORIGIN, &[signer(1).id()]).is_err());
        }
    }
}
