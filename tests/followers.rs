//! A follower is one new file and one line: it takes in each block once, whatever ends the process, and
//! status, metrics, findings and pages tell how far it is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

mod common;
#[path = "followers/journal.rs"]
mod journal;

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;

use common::endpoint::get;
use common::{Deployment, Site, TOPIC, until};
use journal::{Journal, savepoint};
use ledgerline::app;
use ledgerline::follower::{Follower, FollowerError};
use ledgerline::ledger::embedded::open_read_only;
use ledgerline::ledger::{Block, LedgerReader};
use ledgerline::monitor::Endpoint;
use serde_json::{Value, json};

/// The configuration of the service that [`serve`] runs, and the folder of its journal.
const CONFIG: &str = "LEDGERLINE_TEST_CONFIG";
const FOLDER: &str = "LEDGERLINE_TEST_FOLDER";
/// The block at which the process dies.
const DIES_AT: &str = "LEDGERLINE_TEST_DIES_AT";

/// A journal whose process dies while it takes in a block.
struct Mortal {
    journal: Journal,
    dies_at: u64,
}

impl Follower for Mortal {
    fn name(&self) -> &str {
        self.journal.name()
    }

    fn next_block(&self) -> u64 {
        self.journal.next_block()
    }

    fn saved_block(&self) -> u64 {
        self.journal.saved_block()
    }

    fn apply(&self, block: &Block) -> Result<(), FollowerError> {
        self.journal.apply(block)?;
        if block.header.number == self.dies_at {
            std::process::abort();
        }
        Ok(())
    }

    fn save_some(&self) -> Result<bool, FollowerError> {
        self.journal.save_some()
    }
}

/// The service of the tests below, in a process of its own.
#[test]
#[ignore = "the tests below run it"]
#[allow(clippy::disallowed_methods)] // the tests below give it its folder by the environment
fn serve() {
    let Some(config) = std::env::var_os(CONFIG) else { return };
    let folder = std::env::var_os(FOLDER).unwrap();
    let folder = Path::new(&folder);
    let dies_at = std::env::var_os(DIES_AT);
    let dies_at = dies_at.map_or(u64::MAX, |number| number.to_str().unwrap().parse().unwrap());
    let config = ledgerline::config::load(Path::new(&config)).config.unwrap();
    let opened = app::open(config, &mut |_, _, _| {}).unwrap();
    let journal = Journal::open(folder).unwrap();
    let starts = folder.join("starts");
    let mut starts = OpenOptions::new().create(true).append(true).open(starts).unwrap();
    writeln!(starts, "{}", journal.next_block()).unwrap();
    opened.followers.add(Arc::new(Mortal { journal, dies_at }));
    let address = opened.endpoint.as_ref().map(Endpoint::address).unwrap().to_string();
    std::fs::write(folder.join("address.new"), address).unwrap();
    std::fs::rename(folder.join("address.new"), folder.join("address")).unwrap();
    opened.run().unwrap();
}

struct Scene {
    deployment: Deployment,
    site: Site,
}

impl Scene {
    fn new() -> Self {
        let site = Site::new();
        let deployment = site.configure("ledger", "file: { path: '-' }");
        Self { deployment, site }
    }

    fn folder(&self) -> &Path {
        self.site.path()
    }

    fn start(&self, dies_at: Option<u64>) -> (Child, ChildStdin) {
        let _ = std::fs::remove_file(self.folder().join("address"));
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "serve", "--ignored"]).env(CONFIG, &self.deployment.config);
        command.env(FOLDER, self.folder()).stdin(Stdio::piped()).stdout(Stdio::null());
        if let Some(number) = dies_at {
            command.env(DIES_AT, number.to_string());
        }
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take().unwrap();
        (child, input)
    }

    /// A life over so many records, each of which is offered again. Every few of them make a block.
    fn live(&self, records: u64, dies_at: Option<u64>) -> ExitStatus {
        let known = self.durable();
        let (mut child, mut input) = self.start(dies_at);
        let mut offer = |from, to| {
            // One that dies does not read all of it.
            let _ = input.write_all(lines(from..to).as_bytes());
            until("durable records", || {
                let is_over = child.try_wait().unwrap().is_some();
                (is_over || self.durable() >= to).then_some(())
            });
        };
        offer(0, known);
        (known..records).step_by(5).for_each(|from| offer(from, from + 5));
        drop(input);
        child.wait().unwrap()
    }

    /// Records that the ledger holds.
    fn durable(&self) -> u64 {
        let Ok(reader) = open_read_only(&self.deployment.ledger, &mut |_, _| {}) else { return 0 };
        reader.progress().first().map_or(0, |(_, next)| *next)
    }

    /// Number and hash of every block of the ledger.
    fn blocks(&self) -> Vec<String> {
        let reader = open_read_only(&self.deployment.ledger, &mut |_, _| {}).unwrap();
        let line = |number| format!("{number} {}", reader.block(number).unwrap().header.hash());
        (0..reader.head().height).map(line).collect()
    }

    fn lines_of(&self, file: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder().join(file)).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

fn lines(numbers: std::ops::Range<u64>) -> String {
    numbers.fold(String::new(), |mut text, n| {
        let key = json!({
            "orgId": "o", "deviceType": "press", "deviceId": "m-1", "eventType": "reading",
            "format": "json", "timestamp": "2026-01-31T12:00:00.000Z",
        });
        let record = json!({
            "topic": TOPIC, "partition": 0, "offset": n, "tstype": "create",
            "ts": 1_769_860_800_000_u64 + n, "key": key.to_string(),
            "payload": json!({"d": {"temperature": n % 100}}).to_string(),
        });
        writeln!(text, "{record}").unwrap();
        text
    })
}

#[test]
fn it_takes_in_each_block_once_across_deaths() {
    let scene = Scene::new();
    assert!(scene.live(40, None).success());
    let mut starts = vec![0];
    for (records, further) in [(120, 2), (160, 9), (200, 0)] {
        let (saved, _) = savepoint(scene.folder());
        starts.push(saved);
        let status = scene.live(records, Some(saved + further));
        assert!(!status.success(), "it did not die at block {}", saved + further);
        let taken = scene.lines_of("journal").len() as u64;
        assert!(savepoint(scene.folder()).0 < taken, "it died without anything unsaved");
    }
    starts.push(savepoint(scene.folder()).0);
    assert!(scene.live(240, None).success());
    assert_eq!(scene.lines_of("journal"), scene.blocks());
    assert!(scene.blocks().len() > 40, "too few blocks to say anything");
    let starts: Vec<_> = starts.iter().map(u64::to_string).collect();
    assert_eq!(scene.lines_of("starts"), starts, "it goes on from its savepoint");
    assert_ne!(starts[1], "0", "an orderly end saves what was taken in");
}

#[test]
fn one_that_is_held_up_is_seen_everywhere_and_holds_up_nothing_else() {
    let scene = Scene::new();
    let closed = scene.folder().join("closed");
    std::fs::write(&closed, "").unwrap();
    let (mut child, mut input) = scene.start(None);
    input.write_all(lines(0..30).as_bytes()).unwrap();
    let address = scene.folder().join("address");
    let address = until("an address", || std::fs::read_to_string(&address).ok()?.parse().ok());
    let status = |what: &str, holds: &dyn Fn(&Value) -> bool| {
        until(what, || Some(get(address, "/api/v1/status").json()).filter(holds))
    };
    let read = |status: &Value| status["records"]["read"] == 30;
    let of_journal = |status: &Value| {
        let followers = status["followers"].as_array().unwrap();
        followers.iter().find(|one| one["name"] == "journal").unwrap().clone()
    };
    let held = status("the state goes on without it", &|status| {
        read(status) && !of_journal(status)["held"].is_null()
    });
    let (journal, height) = (of_journal(&held), held["height"].as_u64().unwrap());
    assert_eq!(journal["held"]["reason"], "the journal is closed");
    assert!(journal["held"]["since"].is_string(), "{journal}");
    assert_eq!(journal["lag_blocks"], height);
    assert_eq!((&journal["next_block"], &journal["saved_block"]), (&json!(0), &json!(0)));
    assert_eq!(held["followers"][0]["name"], "state");
    assert_eq!(held["followers"][0]["held"], Value::Null);
    let findings = get(address, "/api/v1/findings").json();
    let is_held = |finding: &&Value| finding["code"] == "follower_held";
    let finding = findings.as_array().unwrap().iter().find(is_held).unwrap();
    let what = finding["what"].as_str().unwrap();
    assert!(what.contains("`journal`") && what.contains("the journal is closed"), "{what}");
    let metrics = get(address, "/metrics").text();
    for (sample, value) in [
        ("ledgerline_follower_held{follower=\"journal\"}", 1),
        ("ledgerline_follower_held{follower=\"state\"}", 0),
        ("ledgerline_follower_lag_blocks{follower=\"journal\"}", height),
        ("ledgerline_follower_lag_blocks{follower=\"state\"}", 0),
        ("ledgerline_follower_savepoint_lag_blocks{follower=\"journal\"}", height),
        ("ledgerline_findings{code=\"follower_held\"}", 1),
    ] {
        assert!(metrics.contains(&format!("{sample} {value}\n")), "{sample}: {metrics}");
    }
    let page = get(address, "/").text();
    assert!(page.contains("Followers of the ledger") && page.contains("the journal is closed"));
    std::fs::remove_file(&closed).unwrap();
    status("it goes on by itself", &|status| {
        let journal = of_journal(status);
        journal["held"].is_null() && journal["saved_block"] == status["height"]
    });
    drop(input);
    assert!(child.wait().unwrap().success());
    assert_eq!(scene.lines_of("journal"), scene.blocks());
}
