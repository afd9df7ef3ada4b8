//! Real readings of a machine that failed and of an office, end to end: every record is in the
//! ledger with its digits, the ledger verifies, and the alerts tell of the failures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // it is a test

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;

const DAY_MS: i64 = 86_400_000;
/// Days from 1970 to 2013-12-01.
const DECEMBER_2013: i64 = 16_040;

/// The published windows around the machine's known failures, as days of December 2013: the shutdown
/// of the 16th, the one of 28 January that was hard to see coming, and the end on 8 February.
const FAILURES: [(&str, std::ops::RangeInclusive<i64>); 3] =
    [("December", 15..=17), ("January", 58..=60), ("February", 69..=71)];

/// The readings as lines; nothing where they are not there.
fn readings() -> Option<String> {
    let directory = std::env::var_os("LEDGERLINE_DATA").unwrap_or_else(|| "../shared/data".into());
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(directory).join("device-readings.kcat.jsonl.gz");
    let Ok(file) = std::fs::File::open(&path) else {
        println!("skipped: there is no {}", path.display());
        return None;
    };
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    Some(text)
}

/// A folder with a configuration of the shipped mapping and contract over a file of readings.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(readings: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        std::fs::write(folder.path("readings.jsonl"), readings).unwrap();
        let here = env!("CARGO_MANIFEST_DIR");
        let config = format!(
            "ledger: {{name: example.com/readings, directory: ledger, key: key.pem}}\n\
             source: {{file: {{path: readings.jsonl}}}}\n\
             mappings: [{here}/mappings/machine_condition.yaml]\n\
             contracts: [{here}/contracts/machine_condition.yaml]\n\
             monitor: {{listen: null}}\n"
        );
        std::fs::write(folder.path("ledgerline.yaml"), config).unwrap();
        folder.succeed(&["keygen", "key.pem"]);
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs the program in the folder; what it printed.
    fn succeed(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ledgerline"));
        let assert = command.current_dir(self.0.path()).args(arguments).assert().success();
        String::from_utf8(assert.get_output().stdout.clone()).unwrap()
    }

    /// The transactions of the ledger in its order.
    fn transactions(&self) -> Vec<Value> {
        let lines = self.succeed(&["export", "ledger"]);
        let entries = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        entries.filter(|entry| entry.get("id").is_some()).collect()
    }
}

/// Id and arguments that each line must have come to, by partition in order.
fn expected(readings: &str) -> BTreeMap<String, Vec<(String, Value)>> {
    let mut expected: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for line in readings.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let inner =
            |name: &str| serde_json::from_str::<Value>(record[name].as_str().unwrap()).unwrap();
        let (key, payload) = (inner("key"), inner("payload"));
        let partition = format!("{}/{}", record["topic"].as_str().unwrap(), record["partition"]);
        let id = format!("{partition}/{}/0", record["offset"]);
        let arguments = serde_json::json!({
            "assetID": key["deviceId"],
            "kind": key["deviceType"],
            "temperature": payload["d"]["temperature"],
            "unit": "F",
        });
        expected.entry(partition).or_default().push((id, arguments));
    }
    expected
}

fn found(transactions: &[Value]) -> BTreeMap<String, Vec<(String, Value)>> {
    let mut found: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for transaction in transactions {
        assert_eq!(transaction["verdict"], "valid", "{transaction}");
        let id = transaction["id"].as_str().unwrap();
        let partition = id.rsplitn(3, '/').nth(2).unwrap();
        let call = (id.to_owned(), transaction["arguments"].clone());
        found.entry(partition.to_owned()).or_default().push(call);
    }
    found
}

/// The alerts of one device in December 2013: the days on which each was raised, and the days on
/// which any was active.
#[derive(Debug, Default)]
struct Alerts {
    raised: BTreeMap<String, Vec<i64>>,
    active: BTreeSet<i64>,
    days: BTreeSet<i64>,
}

impl Alerts {
    fn days_raised(&self) -> BTreeSet<i64> {
        self.raised.values().flatten().copied().collect()
    }

    fn of(transactions: &[Value], device: &str) -> Self {
        let mut alerts = Self::default();
        for transaction in transactions.iter().filter(|t| t["keys"][0] == device) {
            let asset = &transaction["writes"][0]["asset"];
            let time: jiff::Timestamp = transaction["time"].as_str().unwrap().parse().unwrap();
            let day = time.as_millisecond().div_euclid(DAY_MS) - DECEMBER_2013 + 1;
            alerts.days.insert(day);
            for alert in asset["alerts"]["raised"].as_array().unwrap() {
                let days = alerts.raised.entry(alert.as_str().unwrap().to_owned()).or_default();
                days.push(day);
            }
            if asset["compliant"] == false {
                alerts.active.insert(day);
            }
        }
        println!(
            "{device}: {} days; alerts were raised on {} of them and active on {}: {:?}",
            alerts.days.len(),
            alerts.days_raised().len(),
            alerts.active.len(),
            alerts.raised
        );
        alerts
    }
}

#[test]
fn real_readings_end_in_the_ledger_and_their_alerts_tell_of_the_failures() {
    let Some(readings) = readings() else { return };
    let folder = Folder::new(&readings);
    folder.succeed(&["run"]);
    let transactions = folder.transactions();

    // Every record, once, in order, with the digits that were sent.
    let expected = expected(&readings);
    let found = found(&transactions);
    assert!(expected == found, "the ledger differs from the readings");
    assert_eq!(folder.succeed(&["deadletters", "list", "ledger"]), "");
    let report = folder.succeed(&["verify", "ledger"]);
    assert_eq!(report.lines().last(), Some("verified"), "{report}");
    assert!(report.contains(" 29,962, each with one disposition"), "{report}");

    // A second run over the same file finds nothing to add.
    folder.succeed(&["run"]);
    assert_eq!(folder.succeed(&["verify", "ledger"]), report);

    the_machine(&Alerts::of(&transactions, "press-7"));
    the_office(&folder, &Alerts::of(&transactions, "floor-3"));
}

fn the_machine(alerts: &Alerts) {
    let days = alerts.days_raised();
    for (failure, window) in FAILURES {
        assert!(days.iter().any(|day| window.contains(day)), "nothing in {failure}: {days:?}");
    }
    // Where the machine stood still, that is what was said.
    assert!(alerts.raised["STOPPED"].contains(&16) && alerts.raised["STOPPED"].contains(&69));
    // It jumped at the first, and in the days before and after the last.
    assert_eq!(
        BTreeSet::from_iter(&alerts.raised["SUDDENCHANGE"]),
        BTreeSet::from([&16, &65, &71])
    );
    // It never got too hot.
    assert!(!alerts.raised.contains_key("OVERHEATED"), "{alerts:?}");
    // Most days are quiet: of eleven weeks, fewer than one in five has news.
    assert_eq!(alerts.days.len(), 80);
    assert!(days.len() * 5 < alerts.days.len() && alerts.active.len() * 3 < alerts.days.len());
}

fn the_office(folder: &Folder, alerts: &Alerts) {
    let shown = folder.succeed(&["state", "ledger", "machine_condition", "floor-3", "--json"]);
    let asset: Value = serde_json::from_str(&shown).unwrap();
    // Its own band, in which a machine would idle.
    let limits = &asset["derived"]["limits"];
    assert_eq!((&limits["high"], &limits["low"]), (&80.into(), &60.into()), "{asset}");
    // 2013-12-22 and 2014-04-13 are the failures that are known.
    assert!(alerts.raised["RUNSHOT"].contains(&22), "{alerts:?}");
    assert!(alerts.raised["RUNSCOLD"].contains(&134), "{alerts:?}");
    assert!(alerts.days_raised().len() * 20 < alerts.days.len(), "{alerts:?}");
}
