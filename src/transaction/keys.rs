//! Ed25519 keys: PKCS#8 PEM files that only their owner can read.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, KeypairBytes};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use crate::disk::open_followed;

/// Largest key file that is read, in bytes; a real one has about 120.
const MAX_KEY_FILE_BYTES: u64 = 16 * 1024;

/// An error of a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("{doing} the key file {path}")]
    Io {
        /// Reading or creating.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        error: std::io::Error,
    },
    /// Others can read it.
    #[error(
        "the key file {path} has mode {mode:04o}, so other users can read it; run `chmod 600 {path}`, and create a new key if anyone may have read it"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not an Ed25519 key in PKCS#8 PEM.
    #[error(
        "the key file {path} has no Ed25519 private key in PKCS#8 PEM form; `ledgerline keygen` creates one"
    )]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// The system gives no randomness.
    #[error("cannot get random bytes from the system: {0}")]
    NoRandomness(String),
}

/// A public key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 32]);

impl KeyId {
    /// Checks a signature the strict way: no small-order key, no malleable form.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        SignatureCheck::default().passes(self, message, signature)
    }
}

/// Checks many signatures: a key is read anew only where it is another than before, which takes a
/// tenth of a check.
#[derive(Debug, Default)]
pub struct SignatureCheck {
    key: Option<(KeyId, VerifyingKey)>,
}

impl SignatureCheck {
    /// As [`KeyId::verifies`].
    pub fn passes(&mut self, key: &KeyId, message: &[u8], signature: &[u8; 64]) -> bool {
        if self.key.is_none_or(|(known, _)| known != *key) {
            self.key = VerifyingKey::from_bytes(&key.0).ok().map(|read| (*key, read));
        }
        let signature = Signature::from_bytes(signature);
        self.key.is_some_and(|(_, key)| key.verify_strict(message, &signature).is_ok())
    }
}

/// A message with the signature over it.
#[derive(Debug, Clone)]
pub struct Signed {
    /// Public key.
    pub key: KeyId,
    /// The signed bytes.
    pub message: Vec<u8>,
    /// Ed25519 signature.
    pub signature: [u8; 64],
}

/// Checks many signatures at once, in a third of the time that each takes alone. `true` only where
/// every one of them holds; `false` says nothing of any single one, which [`KeyId::verifies`] then
/// decides. Keys of small order are never taken. Other than the strict check of a single signature,
/// a batch may take one that the holder of the private key has made in an odd form on purpose.
#[must_use]
pub fn all_pass(signed: &[Signed]) -> bool {
    let mut known: Option<(KeyId, VerifyingKey)> = None;
    let mut keys = Vec::with_capacity(signed.len());
    for one in signed {
        if known.is_none_or(|(id, _)| id != one.key) {
            known = VerifyingKey::from_bytes(&one.key.0).ok().map(|read| (one.key, read));
        }
        match known {
            Some((_, key)) if !key.is_weak() => keys.push(key),
            _ => return false,
        }
    }
    let messages: Vec<&[u8]> = signed.iter().map(|one| one.message.as_slice()).collect();
    let signatures: Vec<_> =
        signed.iter().map(|one| Signature::from_bytes(&one.signature)).collect();
    ed25519_dalek::verify_batch(&messages, &signatures, &keys).is_ok()
}

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::fmt::Debug for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// A private key.
#[derive(Clone)]
pub struct Signer {
    key: SigningKey,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.id())
    }
}

impl Signer {
    /// A new key from the system's randomness.
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| KeyError::NoRandomness(error.to_string()))?;
        Ok(Self::from_seed(&seed))
    }

    /// The key of a seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self { key: SigningKey::from_bytes(seed) }
    }

    /// Its public key.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId(self.key.verifying_key().to_bytes())
    }

    /// Signs a message.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}

/// Makes a new key and its file with mode 0600; refuses a file that exists.
pub fn write_new_key_file(path: &Path) -> Result<Signer, KeyError> {
    let io = |error| KeyError::Io { doing: "creating", path: path.to_owned(), error };
    let signer = Signer::generate()?;
    // Without the public key (PKCS#8 version 1): OpenSSL 3.0 and others refuse a file that has it.
    let keypair = KeypairBytes { secret_key: signer.key.to_bytes(), public_key: None };
    let pem = keypair.to_pkcs8_pem(LineEnding::LF);
    let pem = pem.map_err(|_| KeyError::NotAKey { path: path.to_owned() })?;
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(io)?;
    }
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io)?;
    file.write_all(pem.as_bytes()).map_err(io)?;
    file.sync_all().map_err(io)?;
    Ok(signer)
}

/// Reads a key file; refuses one that group or others can read.
pub fn read_key_file(path: &Path) -> Result<Signer, KeyError> {
    let io = |error| KeyError::Io { doing: "reading", path: path.to_owned(), error };
    let file = open_followed(path).map_err(io)?;
    let mode = file.metadata().map_err(io)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed { path: path.to_owned(), mode });
    }
    let mut pem = String::new();
    let read = file.take(MAX_KEY_FILE_BYTES).read_to_string(&mut pem);
    let key = read.ok().and_then(|_| SigningKey::from_pkcs8_pem(&pem).ok());
    key.map(|key| Signer { key }).ok_or_else(|| KeyError::NotAKey { path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::pkcs8::PublicKeyBytes;

    #[test]
    fn a_key_file_is_private_and_comes_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys/ledger.pem");
        let signer = write_new_key_file(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read_key_file(&path).unwrap().id(), signer.id());
        assert!(write_new_key_file(&path).is_err(), "an existing key is never overwritten");
    }

    #[test]
    fn a_key_file_with_its_public_key_is_read_too() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.pem");
        let signer = Signer::from_seed(&[7; 32]);
        for public_key in [None, Some(PublicKeyBytes(signer.id().0))] {
            let version = u8::from(public_key.is_some());
            let keypair = KeypairBytes { secret_key: [7; 32], public_key };
            let pem = keypair.to_pkcs8_pem(LineEnding::LF).unwrap();
            assert_eq!(keypair.to_pkcs8_der().unwrap().as_bytes()[4], version);
            fs::write(&path, pem.as_bytes()).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            assert_eq!(read_key_file(&path).unwrap().id(), signer.id());
        }
    }

    #[test]
    fn a_key_file_may_say_what_it_is_for_but_not_without_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.pem");
        let signer = write_new_key_file(&path).unwrap();
        let pem = fs::read_to_string(&path).unwrap();
        let read_behind = |bytes: usize| {
            fs::write(&path, format!("{}\n{pem}", "key of plant 1. ".repeat(bytes / 16))).unwrap();
            read_key_file(&path).map(|signer| signer.id())
        };
        assert_eq!(read_behind(15_000).unwrap(), signer.id());
        assert!(matches!(read_behind(20_000), Err(KeyError::NotAKey { .. })));
    }

    #[test]
    fn an_exposed_key_file_is_refused_with_its_mode() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.pem");
        write_new_key_file(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = read_key_file(&path).unwrap_err().to_string();
        assert!(error.contains("0640"), "{error}");
    }

    #[test]
    fn a_check_of_many_decides_as_one_alone_whatever_keys_come() {
        let signers = [Signer::from_seed(&[1; 32]), Signer::from_seed(&[2; 32])];
        let signatures = signers.each_ref().map(|signer| signer.sign(b"m"));
        // No point has the bytes of the last.
        let keys = [signers[0].id(), signers[1].id(), KeyId([2; 32])];
        assert!(VerifyingKey::from_bytes(&keys[2].0).is_err());
        let mut check = SignatureCheck::default();
        for of_key in [0, 0, 1, 2, 2, 0, 2, 1, 1, 0] {
            for (of_signature, signature) in signatures.iter().enumerate() {
                for (message, is_same) in [(b"m", true), (b"n", false)] {
                    let passes = check.passes(&keys[of_key], message, signature);
                    assert_eq!(
                        passes,
                        is_same && of_key == of_signature,
                        "{of_key} {of_signature}"
                    );
                    assert_eq!(passes, keys[of_key].verifies(message, signature));
                }
            }
        }
    }

    #[test]
    fn a_batch_holds_only_where_each_signature_does() {
        let signed = |seed: u8, message: &[u8]| {
            let signer = Signer::from_seed(&[seed; 32]);
            let (key, signature) = (signer.id(), signer.sign(message));
            Signed { key, message: message.to_vec(), signature }
        };
        let honest: Vec<_> = (0..20).map(|n| signed(n % 3, &[n; 40])).collect();
        assert!(all_pass(&honest) && all_pass(&[]));
        for at in 0..honest.len() {
            for change in [
                (|one| one.message[7] ^= 1) as fn(&mut Signed),
                |one| one.signature[3] ^= 1,
                |one| one.signature[40] ^= 1,
                |one| one.key = Signer::from_seed(&[9; 32]).id(),
                // The neutral element signs everything where a check is not strict.
                |one| {
                    one.key = KeyId(std::array::from_fn(|at| u8::from(at == 0)));
                    one.signature = std::array::from_fn(|at| u8::from(at == 0));
                },
            ] {
                let mut forged = honest.clone();
                change(&mut forged[at]);
                assert!(!all_pass(&forged), "{at}");
            }
        }
    }
}
