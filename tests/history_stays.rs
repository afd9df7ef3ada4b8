//! A contract decides once. A new version is an entry of its own, judges what comes after it, and
//! changes nothing that the ledger has; not even when the state is built again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

mod common;

use common::{Deployment, Site, assert_sound, program, records, succeed};
use serde_json::Value;

struct Ledger {
    site: Site,
    deployment: Deployment,
}

impl Ledger {
    fn new() -> Self {
        let site = Site::new();
        let deployment = site.configure("ledger", "file: { path: records.jsonl }");
        Self { site, deployment }
    }

    fn directory(&self) -> &str {
        self.deployment.ledger.to_str().unwrap()
    }

    /// Runs over this many records.
    fn run(&self, records: u64) -> std::process::Output {
        let lines = records::lines(1, 0..records);
        std::fs::write(self.site.path().join("records.jsonl"), lines).unwrap();
        program(&["run", "--config", self.deployment.config.to_str().unwrap()])
    }

    fn change_contract(&self, from: &str, to: &str) {
        let path = self.site.path().join("contracts/machine.yaml");
        let before = std::fs::read_to_string(&path).unwrap();
        assert_eq!(before.matches(from).count(), 1, "{from}");
        std::fs::write(path, before.replace(from, to)).unwrap();
    }

    fn entries(&self) -> Vec<String> {
        succeed(&["export", self.directory()]).lines().map(str::to_owned).collect()
    }

    fn state(&self) -> String {
        succeed(&["state", self.directory(), "machine", "--json"])
    }
}

#[test]
fn a_new_version_judges_what_comes_and_leaves_what_was() {
    let ledger = Ledger::new();
    assert!(ledger.run(50).status.success());
    let (entries, state) = (ledger.entries(), ledger.state());

    // Another text under the same version is refused.
    ledger.change_contract(
        "raise_when: state.temperature > 100",
        "raise_when: state.temperature > -500",
    );
    let refused = ledger.run(50);
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(78), "{message}");
    assert!(message.contains("raise `version`"), "{message}");
    assert_eq!(ledger.entries(), entries);

    // The new version is one entry more. Nothing is judged again, nor by a state built anew.
    ledger.change_contract("version: 1", "version: 2");
    assert!(ledger.run(50).status.success());
    let with_version = ledger.entries();
    let (before, added) = with_version.split_at(entries.len());
    assert_eq!(before, entries);
    let added: Vec<Value> = added.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(added.len(), 1);
    assert_eq!((&added[0]["definition"], &added[0]["version"]), (&"contract".into(), &2.into()));
    assert_eq!(ledger.state(), state);
    succeed(&["rebuild", ledger.directory()]);
    assert_eq!(ledger.state(), state);

    // What comes after it is judged by it.
    assert!(ledger.run(60).status.success());
    let all = ledger.entries();
    assert_eq!(all[..with_version.len()], with_version);
    let raised = |entry: &String| entry.contains(r#""active":["HOT"]"#);
    let valid = |entry: &&String| entry.contains(r#""verdict":"valid""#);
    let new: Vec<_> = all[with_version.len()..].iter().filter(valid).collect();
    assert!(new.len() > 5 && new.iter().all(|entry| raised(entry)), "{new:?}");
    assert!(!entries.iter().filter(valid).all(raised));
    assert_sound(&ledger.deployment.ledger);
}
