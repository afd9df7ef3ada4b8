//! A key can be changed without a break, the old one ends with it, and the checkpoint that is kept
//! outside tells an old copy of a ledger from the newest.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

mod common;

use std::path::{Path, PathBuf};

use common::{Deployment, LEDGER_NAME, PROGRAM, Site, assert_sound, program, records, succeed};

/// A ledger over a file of records, and the lines of its configuration.
struct Ledger {
    site: Site,
    deployment: Deployment,
}

impl Ledger {
    fn new() -> Self {
        let site = Site::new();
        let deployment = site.configure("ledger", "file: { path: records.jsonl }");
        let ledger = Self { site, deployment };
        ledger.offer(50);
        ledger
    }

    /// The file holds this many records now.
    fn offer(&self, records: u64) {
        std::fs::write(self.path("records.jsonl"), records::lines(1, 0..records)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.site.path().join(name)
    }

    /// Makes a key file; its public key as verifiers take it.
    fn keygen(&self, name: &str) -> String {
        let file = self.path(name);
        succeed(&["keygen", file.to_str().unwrap(), "--name", LEDGER_NAME]).trim().to_owned()
    }

    /// Writes these keys into the configuration.
    fn name_keys(&self, keys: &str) {
        let text = std::fs::read_to_string(&self.deployment.config).unwrap();
        let (before, rest) = text.split_once("key: ").unwrap();
        let (_, after) = rest.split_once(" }").unwrap();
        std::fs::write(&self.deployment.config, format!("{before}{keys} }}{after}")).unwrap();
    }

    fn run(&self) -> std::process::Output {
        program(&["run", "--config", self.deployment.config.to_str().unwrap()])
    }

    /// Runs to the file's end.
    fn succeed(&self) {
        let output = self.run();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Entries and signatures of the checkpoint outside.
    fn checkpoint(&self) -> (u64, Vec<String>) {
        let note = std::fs::read_to_string(self.path("ledger.checkpoint")).unwrap();
        let size = note.lines().nth(1).unwrap().parse().unwrap();
        let signatures = note.lines().filter(|line| line.starts_with("— ")).map(str::to_owned);
        (size, signatures.collect())
    }

    fn tree_size(&self) -> u64 {
        let report = succeed(&["verify", self.deployment.ledger.to_str().unwrap()]);
        let tree = report.lines().find_map(|line| line.strip_prefix("tree          ")).unwrap();
        tree.split_once(" leaves").unwrap().0.replace(',', "").parse().unwrap()
    }
}

/// The part of a note's signature that tells the key.
fn key_hash(signature: &str) -> String {
    signature.rsplit(' ').next().unwrap().chars().take(5).collect()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap().path();
        std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

#[test]
fn a_key_is_changed_and_the_old_one_ends() {
    let ledger = Ledger::new();
    ledger.succeed();
    let directory = ledger.deployment.ledger.to_str().unwrap();
    let before = ledger.path("before.checkpoint");
    std::fs::copy(ledger.path("ledger.checkpoint"), &before).unwrap();
    let first = succeed(&["verify", directory]);
    let first = first.lines().find_map(|line| line.strip_prefix("begun with    ")).unwrap();

    // The new key alone is refused, with what helps.
    let second = ledger.keygen("second.pem");
    ledger.name_keys("key: second.pem");
    let refused = ledger.run();
    assert_eq!(refused.status.code(), Some(78));
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("previous_key"), "{message}");

    // Beside the old one it takes over. The old one seals the block that says so, and that block is
    // in the checkpoint outside though no record came with it, signed by both.
    let (size, old) = ledger.checkpoint();
    ledger.name_keys("key: second.pem, previous_key: key.pem");
    ledger.succeed();
    let (now, signatures) = ledger.checkpoint();
    assert!(now > size && now == ledger.tree_size() && signatures.len() == 2, "{signatures:?}");

    // Both go on signing, for those who know the old one only; at last the new one alone.
    ledger.offer(80);
    ledger.succeed();
    let (_, both) = ledger.checkpoint();
    assert_eq!(both.len(), 2, "{both:?}");
    ledger.name_keys("key: second.pem");
    ledger.offer(110);
    ledger.succeed();
    let (size, alone) = ledger.checkpoint();
    assert_eq!((size, alone.len()), (ledger.tree_size(), 1), "{alone:?}");
    assert_ne!(key_hash(&alone[0]), key_hash(&old[0]));
    assert_sound(&ledger.deployment.ledger);

    // The old key has ended.
    ledger.name_keys("key: key.pem");
    assert_eq!(ledger.run().status.code(), Some(78));

    // Who knew the first key, or an old checkpoint, can still follow; the second did not begin it.
    succeed(&["verify", directory, "--key", first]);
    let from = before.to_str().unwrap();
    let report = succeed(&["verify", directory, "--from-checkpoint", from]);
    assert!(report.contains("the log extends the older checkpoint"), "{report}");
    assert_eq!(program(&["verify", directory, "--key", &second]).status.code(), Some(65));
}

#[test]
fn an_old_copy_of_a_ledger_is_refused() {
    let ledger = Ledger::new();
    ledger.succeed();
    let (log, kept) = (ledger.deployment.ledger.join("log"), ledger.path("kept"));
    copy(&log, &kept);
    ledger.offer(120);
    ledger.succeed();
    assert_eq!(ledger.checkpoint().0, ledger.tree_size());

    // The backup of the log alone is a whole ledger: it verifies, and its state is built from it.
    let restored = ledger.path("restored");
    copy(&kept, &restored.join("log"));
    assert_sound(&restored);
    succeed(&["rebuild", restored.to_str().unwrap()]);
    assert_sound(&restored);

    // In the place of the newer one it is refused: two histories would have one name.
    std::fs::remove_dir_all(&ledger.deployment.ledger).unwrap();
    copy(&kept, &log);
    let refused = ledger.run();
    assert_eq!(refused.status.code(), Some(65));
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("this is an old copy of the ledger"), "{message}");

    // Who means it removes the checkpoint outside, and the rest of the records comes again.
    std::fs::remove_file(ledger.path("ledger.checkpoint")).unwrap();
    ledger.succeed();
    assert_sound(&ledger.deployment.ledger);
    assert_eq!(ledger.checkpoint().0, ledger.tree_size());
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let ledger = Ledger::new();
    let key = ledger.path("key.pem");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let refused = ledger.run();
    assert_eq!(refused.status.code(), Some(77));
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("640") && message.contains("key.pem"), "{message}");
    // A key file is never written over.
    let again = std::process::Command::new(PROGRAM).arg("keygen").arg(&key).output().unwrap();
    assert_eq!(again.status.code(), Some(73));
}
