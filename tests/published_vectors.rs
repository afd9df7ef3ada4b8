//! Proofs and signatures are judged as the published test vectors judge them.
//!
//! The vectors are found by `LEDGERLINE_VECTORS`, default `../shared/vectors`; where they are absent
//! the tests say so and do nothing.

// A test may stop at the first thing that is not as it should be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
#![allow(clippy::disallowed_methods)] // the environment says where the vectors are

use std::io::Read;
use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ledgerline::codec::Digest;
use ledgerline::ledger::tree::{LeafPlace, TreeRange, verify_consistency, verify_inclusion};
use ledgerline::transaction::KeyId;
use serde::Deserialize;

fn vectors(name: &str) -> Option<PathBuf> {
    let root = std::env::var("LEDGERLINE_VECTORS").unwrap_or("../shared/vectors".to_owned());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(root).join(name);
    if !path.exists() {
        println!("skipped: {} is not there; set LEDGERLINE_VECTORS", path.display());
        return None;
    }
    Some(path)
}

/// A hash of the vectors, which may be of another length than a hash has.
#[derive(Deserialize)]
#[serde(from = "String")]
struct Hash(Vec<u8>);

impl From<String> for Hash {
    fn from(text: String) -> Self {
        Self(BASE64_STANDARD.decode(text).expect("base64"))
    }
}

impl Hash {
    fn digest(&self) -> Option<Digest> {
        self.0.as_slice().try_into().ok().map(Digest)
    }

    /// For roots such as "don't care", of which only equality matters: a digest stands for them
    /// (with a prefix, as the digest of nothing is the root of the empty tree).
    fn digest_or_stand_in(&self) -> Digest {
        self.digest().unwrap_or_else(|| Digest::of_parts(&[b"stand-in", &self.0]))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inclusion {
    leaf_idx: u64,
    tree_size: u64,
    root: Hash,
    leaf_hash: Hash,
    proof: Option<Vec<Hash>>,
    want_err: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Consistency {
    size1: u64,
    size2: u64,
    root1: Hash,
    root2: Hash,
    proof: Option<Vec<Hash>>,
    want_err: bool,
}

fn digests(proof: Option<Vec<Hash>>) -> Vec<Digest> {
    proof.unwrap_or_default().iter().map(Hash::digest_or_stand_in).collect()
}

/// Runs every JSON file below a folder of the archive; gives how many were valid and how many not.
fn run_archive(folder: &str, check: impl Fn(&[u8]) -> (bool, bool)) -> Option<(usize, usize)> {
    let file = std::fs::File::open(vectors("rfc6962/testdata.tar.gz")?).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let (mut valid, mut invalid) = (0, 0);
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        if path.trim_start_matches("./").starts_with(folder) && path.ends_with(".json") {
            let mut json = Vec::new();
            entry.read_to_end(&mut json).unwrap();
            let (expected, found) = check(&json);
            assert_eq!(found, expected, "{path}");
            *if expected { &mut valid } else { &mut invalid } += 1;
        }
    }
    println!("{folder}: {valid} valid and {invalid} invalid proofs judged right");
    Some((valid, invalid))
}

#[test]
fn rfc_6962_inclusion() {
    let counts = run_archive("inclusion/", |json| {
        let case: Inclusion = serde_json::from_slice(json).unwrap();
        let place = LeafPlace { index: case.leaf_idx, size: case.tree_size };
        let proof = digests(case.proof);
        // A hash of another length is refused by its type.
        let found = case
            .leaf_hash
            .digest()
            .zip(case.root.digest())
            .is_some_and(|(leaf, root)| verify_inclusion(place, &leaf, &proof, &root));
        (!case.want_err, found)
    });
    assert!(counts.is_none_or(|(valid, invalid)| valid + invalid == 98 && valid > 0));
}

#[test]
fn rfc_6962_consistency() {
    let counts = run_archive("consistency/", |json| {
        let case: Consistency = serde_json::from_slice(json).unwrap();
        let sizes = TreeRange { from: case.size1, to: case.size2 };
        let proof = digests(case.proof);
        let (old, new) = (case.root1.digest_or_stand_in(), case.root2.digest_or_stand_in());
        (!case.want_err, verify_consistency(sizes, &old, &proof, &new))
    });
    assert!(counts.is_none_or(|(valid, invalid)| valid + invalid == 98 && valid > 0));
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wycheproof {
    test_groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    public_key: PublicKey,
    tests: Vec<SignatureCase>,
}

#[derive(Deserialize)]
struct PublicKey {
    pk: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignatureCase {
    tc_id: u32,
    msg: String,
    sig: String,
    result: String,
}

#[test]
fn wycheproof_ed25519() {
    let Some(path) = vectors("ed25519/wycheproof.json") else { return };
    let vectors: Wycheproof = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for group in &vectors.test_groups {
        let key = KeyId(hex::decode(&group.public_key.pk).unwrap().try_into().unwrap());
        for case in &group.tests {
            let (message, signature) = (hex::decode(&case.msg), hex::decode(&case.sig).unwrap());
            // A signature of another length is refused before a key sees it.
            let found = <&[u8; 64]>::try_from(signature.as_slice())
                .is_ok_and(|signature| key.verifies(&message.unwrap(), signature));
            assert_eq!(found, case.result == "valid", "case {}", case.tc_id);
            *if found { &mut valid } else { &mut invalid } += 1;
        }
    }
    println!("ed25519: {valid} valid and {invalid} invalid signatures judged right");
    assert_eq!((valid, invalid), (88, 63));
}
