//! The pages show what the ledger holds: every link leads somewhere, nothing comes from elsewhere, what
//! devices sent is never markup, and the past is shown as it was.

// A test may stop at the first thing that is not as it should be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;

use common::endpoint::*;
use ledgerline::monitor::http::base_path::{BasePath, BasePathError};
use regex::Regex;
use serde_json::json;

/// Pages that the crawl stops after: far more than there are kinds of them.
const MOST_PAGES: usize = 400;

/// The values of all attributes with this name.
fn attributes(page: &str, name: &str) -> Vec<String> {
    let pattern = Regex::new(&format!(" {name}=\"([^\"]*)\"")).unwrap();
    let found = pattern.captures_iter(page).map(|found| found[1].to_owned());
    found.map(|text| text.replace("&amp;", "&").replace("&quot;", "\"")).collect()
}

fn page(address: SocketAddr, path: &str) -> String {
    let reply = get(address, path);
    assert_eq!((reply.status, reply.kind()), (200, "text/html; charset=utf-8"), "{path}");
    reply.text()
}

/// Holds a page to what every page promises.
fn check_page(path: &str, page: &str) {
    let count = |part: &str| page.matches(part).count();
    assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\">"), "{path}");
    for once in ["<h1>", "<main ", "<title>", "<nav aria-label=\"Pages of this ledger\"", "</html>"]
    {
        assert_eq!(count(once), 1, "{path}: {once}");
    }
    for never in ["<script>", " style=", " onclick", " onload", "javascript:", "<iframe", "<object"]
    {
        assert_eq!(count(never), 0, "{path}: {never}");
    }
    assert!(!page.contains("<b>") && page.contains(' '), "{path}");
    // A field gives back what it holds, and turns no direction but its own.
    let held = Regex::new("<input [^>]* value=\"[^\"]*\"").unwrap().replace_all(page, "");
    assert!(!held.contains('\u{202e}'), "{path}");
    assert!(!page.chars().any(|c| c.is_control() && c != '\n'), "{path}");
    let ids = attributes(page, "id");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{path}: {ids:?}");
    for name in ["aria-labelledby", "aria-describedby"] {
        for id in attributes(page, name) {
            assert!(ids.contains(&id), "{path}: nothing has the id {id}");
        }
    }
    for name in ["href", "src", "action"] {
        for address in attributes(page, name) {
            let is_here =
                address.starts_with('#') || address.starts_with('/') && !address.starts_with("//");
            assert!(is_here, "{path} leads to {address}");
        }
    }
}

#[test]
fn every_link_leads_to_something() {
    let running = run();
    let address = running.endpoint.address();
    let mut seen = BTreeSet::from(["/".to_owned()]);
    let mut left = VecDeque::from(["/".to_owned()]);
    let mut pages = 0;
    while let Some(path) = left.pop_front() {
        let reply = get(address, &path);
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        if !reply.kind().starts_with("text/html") {
            continue;
        }
        pages += 1;
        let text = reply.text();
        check_page(&path, &text);
        let links = [attributes(&text, "href"), attributes(&text, "src")].concat();
        for link in links {
            let link = link.split('#').next().unwrap().to_owned();
            let is_new = !link.is_empty() && seen.len() < MOST_PAGES && seen.insert(link.clone());
            if is_new {
                left.push_back(link);
            }
        }
    }
    assert!(pages > 100, "only {pages} pages were found");
    // Below a path that begins like one of these, an address would mean two things.
    let document = get(address, "/api/v1/openapi.json").json();
    let operations = document["paths"].as_object().unwrap().keys();
    let others = ["/login", "/logout", "/tile/0/000"].map(str::to_owned);
    for path in seen.iter().chain(operations).chain(&others).filter(|path| *path != "/") {
        let first = path.split(['/', '?']).nth(1).unwrap();
        let refused = format!("/{first}/x").parse::<BasePath>();
        assert_eq!(refused, Err(BasePathError::Own), "{path} is not known to be ours");
    }
    for kind in [
        "/blocks/",
        "/transactions/",
        "/state/cold_chain/",
        "/deadletters/",
        "/contracts/",
        "/mappings/",
    ] {
        assert!(seen.iter().any(|path| path.starts_with(kind)), "no link to {kind}");
    }
}

#[test]
fn a_page_shows_what_the_api_says() {
    let running = run();
    let address = running.endpoint.address();
    let block = get(address, "/api/v1/blocks/5").json();
    let hostile = format!("/state/cold_chain/{}", encoded(HOSTILE));
    let hostile_shown = "A/1 &lt;b&gt;&amp;\\u202e";
    for (path, parts) in [
        (
            "/",
            vec![
                "Healthy:</strong> ingesting",
                "4 assets critical",
                "660</strong> records read",
                "OVERTEMP",
                LEDGER,
                "telemetry/3",
            ],
        ),
        ("/blocks", vec!["href=\"/blocks/31\"", "rel=\"next\""]),
        ("/blocks?before=3", vec!["href=\"/blocks/0\"", "← newest"]),
        (
            "/blocks/5",
            vec![block["hash"].as_str().unwrap(), block["entries_root"].as_str().unwrap(), LEDGER],
        ),
        (
            "/transactions?verdict=unknown_contract",
            vec!["href=\"/transactions/telemetry/3/651/0\"", "absent</bdi>.update"],
        ),
        (
            "/transactions?id=telemetry/3/1",
            vec![
                "<h1><bdi>Transaction telemetry/3/1/0</bdi></h1>",
                "state.temperature",
                "tlog-proof",
            ],
        ),
        ("/transactions/telemetry/3/1/0", vec!["reefer:C-001", "version 1", "a new asset"]),
        ("/state", vec!["href=\"/state/cold_chain\"", "version 1"]),
        (
            "/state/cold_chain?where=cargo.kind%3Dfish&prefix=C-00",
            vec![
                "C-001",
                "temperature 4",
                "/api/v1/export/state/cold_chain?format=csv&amp;prefix=C-00&amp;where.cargo.kind=fish\"",
            ],
        ),
        (&hostile, vec![hostile_shown, "History", "cargo.kind"]),
        ("/alerts", vec!["Too warm.", "badge critical"]),
        (
            "/deadletters?cause=not_json",
            vec!["expected a name", "href=\"/deadletters/telemetry/3/659\""],
        ),
        (
            "/deadletters/telemetry/3/21",
            vec!["{<mark>&lt;</mark>script&gt;\\u001b", "base64", "Fix the sender"],
        ),
        ("/definitions", vec!["href=\"/contracts/cold_chain\"", "href=\"/mappings/reefers\""]),
        ("/contracts/cold_chain", vec!["Too warm.", "The definition has no tests."]),
    ] {
        let text = page(address, path);
        for part in parts {
            let main = text.split("<main").nth(1).unwrap_or_default();
            assert!(text.contains(part), "{path} lacks {part}: {}", &main[..main.len().min(3_000)]);
        }
    }
}

#[test]
fn an_alert_has_the_colour_of_its_severity_everywhere() {
    let running = run();
    let address = running.endpoint.address();
    let chip = "<span class=\"badge critical\" title=\"critical\"><bdi>OVERTEMP</bdi></span>";
    for path in ["/", "/alerts", "/state/cold_chain?alerts_only=true", "/state/cold_chain/C-009"] {
        let text = page(address, path);
        let alerts = text.matches("<bdi>OVERTEMP</bdi>").count();
        assert!(alerts > 0, "{path} shows no alert");
        assert_eq!(text.matches(chip).count(), alerts, "{path}: {text}");
    }
    let asset = page(address, "/state/cold_chain/C-009");
    for part in ["<p class=\"alert critical\">".to_owned(), format!("raised {chip}")] {
        assert!(asset.contains(&part), "{part}: {asset}");
    }
}

#[test]
fn an_error_is_a_page_too() {
    let running = run();
    let address = running.endpoint.address();
    for (path, status, hint) in [
        ("/nothing", 404, "not found: /nothing"),
        ("/%3Cscript%3E", 404, "not found: /"),
        ("/blocks/32", 404, "the ledger has 32"),
        ("/blocks/x", 400, "`x` is not a block number"),
        ("/blocks?limit=0", 400, "1 to 500 items"),
        ("/transactions?id=x", 400, "is not a transaction id"),
        ("/transactions?verdict=rejectd", 400, "did you mean `rejected`?"),
        ("/transactions/telemetry/3/20/0", 404, "no mapping matched"),
        ("/state/cold_chian", 404, "did you mean `cold_chain`?"),
        ("/state/cold_chain?where=x", 400, "use the form `cargo.kind=fish`"),
        ("/state/cold_chain/C-999", 404, "never had an asset"),
        ("/state/cold_chain/%ff", 400, "the path of the address cannot be decoded"),
        ("/deadletters?before=x", 400, "the `next` of a page"),
        ("/mappings/refers", 404, "did you mean `reefers`?"),
    ] {
        let reply = get(address, path);
        assert_eq!((reply.status, reply.kind()), (status, "text/html; charset=utf-8"), "{path}");
        let text = reply.text();
        check_page(path, &text);
        assert!(text.contains(hint), "{path}: {text}");
    }
}

#[test]
fn the_past_is_shown_as_it_was() {
    let running = run();
    let address = running.endpoint.address();
    for key in ["C-001", HOSTILE] {
        let asset = format!("/api/v1/state/cold_chain/{}", encoded(key));
        let history = walk(address, &format!("{asset}/history?limit=50"), "from");
        assert!(history.len() > 3);
        for number in 0..BLOCKS + 2 {
            let past = get(address, &format!("{asset}?at_block={number}")).json();
            let expected =
                history.iter().find(|change| change["block"].as_u64().unwrap() <= number);
            assert_eq!(
                past["asset"],
                expected.map_or(json!(null), |c| c["write"]["asset"].clone())
            );
            assert_eq!(past.get("version"), expected.map(|change| &change["entry"]));
            assert_eq!(past["block"], json!(number));
            let time = get(address, &format!("/api/v1/blocks/{number}")).json()["time"].clone();
            let at_time = format!("{asset}?at_time={}", time.as_str().unwrap());
            let at_time = get(address, &at_time).json();
            // Blocks of one millisecond are told apart by their number only.
            assert!(at_time["block"].as_u64().unwrap() >= number);
        }
        let past = page(address, &format!("/state/cold_chain/{}?at_block=0", encoded(key)));
        assert!(past.contains("The asset did not exist at that time."), "{past}");
    }
}

#[test]
fn every_block_is_verified_step_by_step() {
    let running = run();
    let address = running.endpoint.address();
    for number in 0..BLOCKS + 2 {
        let steps = get(address, &format!("/api/v1/blocks/{number}/verification")).json();
        let steps = steps.as_array().unwrap();
        assert_eq!(steps.len(), 4);
        assert!(steps.iter().all(|step| step["holds"] == json!(true)), "block {number}: {steps:?}");
    }
    let text = page(address, "/blocks/5?verify=1");
    assert_eq!(text.matches("<li class=\"good\">").count(), 4, "{text}");
}

#[test]
fn figures_of_the_last_minutes_are_kept() {
    let running = run();
    let address = running.endpoint.address();
    let samples = get(address, "/api/v1/samples").json();
    let first = &samples["samples"][0];
    assert_eq!(
        (&first["records"], &first["dead_lettered"]),
        (&json!(660), &json!(30)),
        "{samples}"
    );
    assert_eq!((&first["lag"], &first["height"]), (&json!(340), &json!(BLOCKS + 2)));
    assert_eq!(get(address, "/api/v1/findings").json(), json!([]));
    running.obstacles.lock().unwrap().push("no Kafka broker is reachable: refused".to_owned());
    let findings = get(address, "/api/v1/findings").json();
    assert_eq!(findings[0]["gravity"], "critical");
    assert!(page(address, "/").contains("Records wait in Kafka and none is lost."));
}
