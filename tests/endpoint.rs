//! The endpoint answers every question about a ledger, bounded, in shapes that can be checked, and
//! refuses everything else with a reason.

// A test may stop at the first thing that is not as it should be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use common::endpoint::*;
use ledgerline::call::{Arguments, Function, Payload};
use ledgerline::clock::SystemClock;
use ledgerline::codec::Digest;
use ledgerline::event::{DeviceName, RecordDigests, SourcePosition};
use ledgerline::input::{Assignments, HealthReport};
use ledgerline::ledger::checkpoint::{Checkpoint, parse_verifier_key};
use ledgerline::ledger::embedded::EmbeddedReader;
use ledgerline::ledger::proof::EntryProof;
use ledgerline::ledger::tiles::{TileKind, TilePath, decode_bundle};
use ledgerline::ledger::{LedgerWriter as _, Progress, Work};
use ledgerline::limits::{MAX_REQUEST_HEAD_BYTES, MAX_REQUESTS};
use ledgerline::monitor::{self, AnswerCounts, Service};
use ledgerline::pipeline::status::Status;
use ledgerline::query::{Queries, Trial};
use ledgerline::state::World;
use ledgerline::transaction::{Signer, Submission, Transaction, leaf_hash, merkle_root};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use regex::Regex;
use serde_json::{Value, json};

#[test]
fn every_question_has_an_answer() {
    let running = run();
    let address = running.endpoint.address();
    let hostile = encoded(HOSTILE);
    let table: Vec<(String, &str, Value)> = vec![
        ("/api/v1/status".into(), "/ledger", json!(LEDGER)),
        ("/api/v1/status".into(), "/ready", json!(true)),
        ("/api/v1/status".into(), "/records/read", json!(660)),
        ("/api/v1/status".into(), "/records/dead_letters/not_json", json!(30)),
        ("/api/v1/status".into(), "/partitions/0/partition", json!("telemetry/3")),
        ("/api/v1/status".into(), "/partitions/0/lag", json!(340)),
        ("/api/v1/blocks?limit=3".into(), "/items/0/number", json!(31)),
        ("/api/v1/blocks/2".into(), "/dead_letters", json!(1)),
        ("/api/v1/blocks/2".into(), "/progress/0/records", json!(22)),
        ("/api/v1/blocks/1".into(), "/entries/0/definition", json!("contract")),
        ("/api/v1/transactions?limit=1".into(), "/items/0/id", json!("telemetry/3/657/0")),
        ("/api/v1/transactions/telemetry/3/1/0".into(), "/verdict", json!("valid")),
        ("/api/v1/transactions/telemetry/3/1/0".into(), "/writes/0/key", json!("C-001")),
        ("/api/v1/transactions/telemetry/3/7/0".into(), "/verdict", json!("unknown_contract")),
        ("/api/v1/state/cold_chain?limit=1".into(), "/items/0/key", json!(HOSTILE)),
        ("/api/v1/state/cold_chain/C-001".into(), "/state/assetID", json!("C-001")),
        (format!("/api/v1/state/cold_chain/{hostile}"), "/key", json!(HOSTILE)),
        (
            format!("/api/v1/state/cold_chain/{hostile}/history"),
            "/items/0/write/key",
            json!(HOSTILE),
        ),
        ("/api/v1/alerts".into(), "/items/0/alerts/active/0", json!("OVERTEMP")),
        ("/api/v1/alerts".into(), "/items/0/active_alerts/0/alert", json!("OVERTEMP")),
        ("/api/v1/alerts".into(), "/items/0/active_alerts/0/severity", json!("critical")),
        ("/api/v1/alerts".into(), "/items/0/active_alerts/0/description", json!("Too warm.")),
        ("/api/v1/status".into(), "/alerts/0/severity", json!("critical")),
        ("/api/v1/status".into(), "/alerts/1/alert", json!("WARM")),
        ("/api/v1/status".into(), "/alerts/1/severity", json!("warning")),
        ("/api/v1/status".into(), "/alerts/1/assets", json!(0)),
        ("/api/v1/recent?limit=1".into(), "/items/0/id", json!("telemetry/3/657/0")),
        ("/api/v1/deadletters".into(), "/items/0/id", json!("telemetry/3/659")),
        ("/api/v1/deadletters/telemetry/3/21".into(), "/value/text", json!("{<script>\u{1b}")),
        ("/api/v1/deadletters/telemetry/3/21".into(), "/key/base64", json!("a2V5IP8=")),
        ("/api/v1/mappings".into(), "/items/0/name", json!("reefers")),
        ("/api/v1/mappings/reefers".into(), "/text", json!(MAPPING)),
        ("/api/v1/contracts".into(), "/items/0/version", json!(1)),
        ("/api/v1/contracts/cold_chain".into(), "/text", json!(CONTRACT)),
    ];
    for (path, pointer, expected) in table {
        let reply = get(address, &path);
        assert_eq!((reply.status, reply.kind()), (200, "application/json"), "{path}");
        let value = reply.json();
        assert_eq!(value.pointer(pointer), Some(&expected), "{path} {pointer} {value:#}");
    }
    for (path, kind, begin) in [
        ("/", "text/html; charset=utf-8", "<!DOCTYPE html>"),
        ("/style.css", "text/css; charset=utf-8", ":root"),
        ("/live.js", "text/javascript; charset=utf-8", "\"use strict\""),
        ("/checkpoint", "text/plain; charset=utf-8", LEDGER),
        ("/healthz", "text/plain; charset=utf-8", "alive"),
        ("/readyz", "text/plain; charset=utf-8", "ready"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8", "# HELP ledgerline_"),
    ] {
        let reply = get(address, path);
        assert_eq!((reply.status, reply.kind()), (200, kind), "{path}");
        assert!(reply.text().starts_with(begin), "{path}: {}", reply.text());
        let policy = &reply.headers["content-security-policy"];
        assert!(policy.starts_with("default-src 'none'; script-src 'self'"), "{policy}");
        assert_eq!(reply.headers["x-content-type-options"], "nosniff");
    }
    let head =
        send(address, "HEAD /checkpoint HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn pages_lead_through_everything_once() {
    let running = run();
    let address = running.endpoint.address();
    let names = |items: &[Value], field: &str| -> Vec<String> {
        items.iter().map(|item| item[field].to_string()).collect()
    };
    let unique = |names: &[String]| names.iter().collect::<BTreeSet<_>>().len();
    let blocks = walk(address, "/api/v1/blocks?limit=7", "before");
    let numbers: Vec<_> = blocks.iter().map(|block| block["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..BLOCKS + 2).rev().collect::<Vec<_>>());
    let (all, valid) = (count(|_| true), count(is_valid));
    for (query, count) in [
        ("limit=37", all),
        ("limit=500", all),
        ("limit=37&device_type=reefer&device_id=C-001", count(|offset| offset % 40 == 1)),
        ("limit=37&device_type=reefer", all),
        ("limit=37&device_type=reefer:C-001", 0),
        ("limit=37&contract=absent", all - valid),
        ("limit=37&verdict=valid", valid),
        ("limit=37&verdict=invalid", all - valid),
        ("limit=37&verdict=unknown_contract&contract=absent", all - valid),
        ("limit=37&verdict=schema_violation", 0),
    ] {
        let ids = names(&walk(address, &format!("/api/v1/transactions?{query}"), "before"), "id");
        assert_eq!((ids.len(), unique(&ids)), (count, count), "{query}");
    }
    let letters = names(&walk(address, "/api/v1/deadletters?limit=4", "before"), "id");
    assert_eq!((letters.len(), unique(&letters)), (30, 30));
    let assets = names(&walk(address, "/api/v1/state/cold_chain?limit=5", "after"), "key");
    assert_eq!((assets.len(), unique(&assets)), (33, 33));
    assert!(assets.is_sorted());
    for (query, count) in [
        ("prefix=C-00", 8),
        ("where.cargo.kind=fish", 33),
        ("where.cargo.kind=meat", 0),
        ("where.temperature=4&where.cargo.kind=fish&prefix=C-001", 1),
        ("where.temperature=4&where.temperature=5", 0),
        ("where.temperature=%224%22", 0),
        ("where.humidity=4", 0),
    ] {
        let assets = walk(address, &format!("/api/v1/state/cold_chain?limit=3&{query}"), "after");
        assert_eq!(assets.len(), count, "{query}");
    }
    let alerting = walk(address, "/api/v1/state/cold_chain?limit=3&alerts_only=true", "after");
    let alerts = walk(address, "/api/v1/alerts?limit=2", "after");
    assert_eq!(names(&alerting, "key"), names(&alerts, "key"));
    assert!(!alerts.is_empty());
    let status = get(address, "/api/v1/status").json();
    assert_eq!(status["assets_with_alerts"], json!(alerts.len()));
    assert_eq!(status["alerts"][0]["assets"], json!(alerts.len()));
    for alert in &alerts {
        let key = encoded(alert["key"].as_str().unwrap());
        let history =
            walk(address, &format!("/api/v1/state/cold_chain/{key}/history?limit=5"), "from");
        let active =
            |change: &&Value| change["write"]["asset"]["alerts"]["active"] == json!(["OVERTEMP"]);
        let raising = history.iter().take_while(active).last().unwrap();
        assert_eq!(alert["active_alerts"][0]["since"], raising["time"], "{alert}");
    }
    let path = format!("/api/v1/state/cold_chain/{}/history?limit=9", encoded(HOSTILE));
    let history = walk(address, &path, "from");
    let entries: Vec<_> = history.iter().map(|change| change["entry"].as_u64().unwrap()).collect();
    assert!(entries.is_sorted_by(|newer, older| newer > older), "newest first, none twice");
    assert_eq!(history.last().unwrap()["write"].get("replaced"), None);
    assert_eq!(entries.len(), count(|offset| offset.is_multiple_of(5) && is_valid(offset)));
}

#[test]
fn an_auditor_can_check_everything() {
    let running = run();
    let address = running.endpoint.address();
    let key = get(address, "/api/v1/status").json()["verifier_keys"][0].clone();
    let (origin, key) = parse_verifier_key(key.as_str().unwrap()).unwrap();
    assert_eq!(origin, LEDGER);
    let note = get(address, "/checkpoint");
    let head = Checkpoint::open(&note.body, LEDGER, &[key]).unwrap();
    for offset in [0, 7, 300, 657] {
        let path = format!("/api/v1/transactions/telemetry/3/{offset}/0/proof");
        let view = get(address, &path).json();
        let leaf = BASE64_STANDARD.decode(view["leaf"].as_str().unwrap()).unwrap();
        let text = get(address, &format!("{path}?format=tlog-proof")).text();
        assert_eq!(view["tlog_proof"].as_str(), Some(text.as_str()));
        let proof = EntryProof::parse(&text).unwrap();
        assert_eq!(proof.verify(&leaf, LEDGER, &[key]).unwrap(), head);
        let hashes: Vec<_> = proof.hashes.iter().map(Digest::to_string).collect();
        assert_eq!(view["hashes"], json!(hashes));
        let mut other = leaf.clone();
        *other.last_mut().unwrap() ^= 1;
        assert!(proof.verify(&other, LEDGER, &[key]).is_err());
    }
    let mut leaves = Vec::new();
    let mut from_entries = Vec::new();
    for tile in TilePath::all(head.size) {
        let reply = get(address, &tile.to_string());
        assert_eq!((reply.status, reply.kind()), (200, "application/octet-stream"), "{tile}");
        assert!(reply.headers["cache-control"].contains("immutable"));
        match tile.kind {
            TileKind::Hashes(0) => {
                leaves.extend(reply.body.chunks(32).map(|hash| Digest(hash.try_into().unwrap())));
            }
            TileKind::Hashes(_) => {}
            TileKind::Entries => {
                let entries = decode_bundle(&reply.body).unwrap();
                assert_eq!(entries.len(), usize::from(tile.width));
                from_entries.extend(entries.into_iter().map(leaf_hash));
            }
        }
    }
    assert_eq!(leaves, from_entries);
    assert_eq!(merkle_root(leaves), head.root);
}

#[test]
fn what_cannot_be_answered_is_refused_with_a_reason() {
    let running = run();
    let address = running.endpoint.address();
    for (path, status, hint) in [
        ("/api/v2/status", 404, "the API is described at /api"),
        ("/api/v1/blocks/32", 404, "the ledger has 32"),
        ("/api/v1/blocks/x", 400, "`x` is not a block number"),
        ("/api/v1/blocks/-1", 400, "`-1` is not a block number"),
        ("/api/v1/blocks?limit=1000000000", 400, "1 to 500 items"),
        ("/api/v1/blocks?limit=0", 400, "1 to 500 items"),
        ("/api/v1/blocks?lmit=3", 400, "known here: before, limit"),
        ("/api/v1/blocks?limit=3&limit=4", 400, "is given twice"),
        ("/api/v1/status?x=1", 400, "this address takes no parameters"),
        ("/api/v1/transactions?verdict=rejectd", 400, "did you mean `rejected`?"),
        ("/api/v1/transactions?before=-1", 400, "`before` cannot be `-1`"),
        ("/api/v1/transactions/telemetry/3/x/0", 400, "is not a transaction id"),
        ("/api/v1/transactions/telemetry/3/20/0", 404, "no mapping matched"),
        ("/api/v1/transactions/telemetry/3/21/0", 404, "/api/v1/deadletters/telemetry/3/21"),
        ("/api/v1/transactions/telemetry/3/1/1", 404, "produced no transaction telemetry/3/1/1"),
        ("/api/v1/transactions/telemetry/3/9999/0", 404, "is not in the ledger"),
        ("/api/v1/transactions/telemetry/4/1/0/proof", 404, "is not in the ledger"),
        ("/api/v1/transactions/telemetry/3/1/0/proof?format=xml", 400, "json and tlog-proof"),
        ("/api/v1/state/cold_chian", 404, "did you mean `cold_chain`?"),
        ("/api/v1/state/cold_chain/C-999", 404, "has no asset `C-999`"),
        ("/api/v1/state/cold_chain/C-999/history", 404, "never had an asset"),
        ("/api/v1/state/cold_chain/%ff", 400, "cannot be decoded"),
        ("/api/v1/transactions?device_id=", 400, "is empty"),
        ("/api/v1/transactions?since=", 400, "is empty"),
        ("/api/v1/blocks?limit=", 400, "is empty"),
        ("/api/v1/blocks?limit=%2B5", 400, "begins with `+`"),
        ("/api/v1/blocks?before=18446744073709551616", 400, "too large"),
        ("/api/v1/blocks?before=-1", 400, "`before` cannot be `-1`"),
        ("/api/v1/state/cold_chain/C-001?from=3", 400, "goes with `at_block`"),
        ("/api/v1/deadletters?before=1/%2B2", 400, "the `next` of a page"),
        ("/api/v1/transactions/%2e%2e/3/1/0", 400, "is not a transaction id"),
        ("/api/v1/blocks/32/verification", 404, "the ledger has 32"),
        ("/api/v1/state/cold_chain/C-001?at_block=32", 404, "the ledger has 32"),
        ("/api/v1/state/cold_chain/C-001?at_time=yesterday", 400, "is not a time"),
        ("/api/v1/state/cold_chain/C-001?at_time=1999-01-01T00:00:00Z", 404, "no block at that"),
        (
            "/api/v1/state/cold_chain/C-001?at_block=1&at_time=2026-01-01T00:00Z",
            400,
            "leave one out",
        ),
        ("/api/v1/state/cold_chain/C-999?at_block=3", 404, "never had an asset"),
        ("/api/v1/transactions?since=now", 400, "is not a time"),
        ("/api/v1/deadletters?cause=not_jsn", 400, "did you mean `not_json`?"),
        ("/api/v1/stream?events=blocks", 400, "there is no event `blocks`"),
        ("/api/v1/alerts?after=x", 400, "the `next` of a page"),
        ("/api/v1/deadletters?before=x", 400, "the `next` of a page"),
        ("/api/v1/deadletters/telemetry/3/1", 404, "is not a dead letter"),
        ("/api/v1/mappings/refers", 404, "did you mean `reefers`?"),
        ("/tile/0/x000/001", 400, "is not a tile"),
        ("/tile/0/003", 404, "has no tile"),
        ("/tile/0/000.p/0", 400, "is not a tile"),
        ("/tile/63/000", 404, "has no tile"),
        ("/tile/entries/002.p/255", 404, "has no tile"),
        ("/tile/entries/x018/x446/x744/x073/x709/x551/615", 404, "has no tile"),
    ] {
        let reply = get(address, path);
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
        assert_eq!(reply.kind(), "application/problem+json", "{path}");
        let problem = reply.json();
        assert_eq!(problem["status"], json!(status), "{path}");
        assert!(problem["detail"].as_str().unwrap().contains(hint), "{path}: {problem}");
    }
}

/// Targets of requests: near the real ones, and any bytes.
fn targets() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        4 => prop::sample::select(vec![
            "api", "v1", "status", "blocks", "transactions", "state", "cold_chain", "C-001",
            "history", "alerts", "recent", "deadletters", "mappings", "reefers", "contracts",
            "telemetry", "tile", "entries", "0", "3", "1", "proof", "18446744073709551616", "x001",
            "000.p", "..", "", "-1",
        ])
        .prop_map(str::to_owned),
        1 => proptest::collection::vec(any::<u8>(), 0..6)
            .prop_map(|bytes| bytes.iter().map(|byte| format!("%{byte:02X}")).collect()),
        // What else a target may hold; more is no HTTP, and ends there.
        1 => "[A-Za-z0-9_.~!$&'()*+,;=:@%-]{0,8}",
    ];
    let name = prop::sample::select(vec![
        "limit",
        "before",
        "after",
        "from",
        "cursor",
        "contract",
        "verdict",
        "device_type",
        "prefix",
        "alerts",
        "field.temperature",
        "cause",
        "version",
        "x",
        "%zz",
    ]);
    let parameter = (name, word.clone()).prop_map(|(name, value)| format!("{name}={value}"));
    let path = proptest::collection::vec(word, 0..7);
    let under_api = prop_oneof![3 => Just("/api/v1/"), 1 => Just("/")];
    (under_api, path, proptest::collection::vec(parameter, 0..4)).prop_map(
        |(root, path, parameters)| format!("{root}{}?{}", path.join("/"), parameters.join("&")),
    )
}

#[test]
fn any_question_is_answered_or_refused() {
    let running = run();
    let mut runner =
        TestRunner::new(Config { cases: 1_500, failure_persistence: None, ..Config::default() });
    let asked = |target: String| {
        let reply = get(running.endpoint.address(), &target);
        prop_assert!(reply.status < 500, "{target}: {}", reply.text());
        if reply.status >= 400 {
            let is_page = !target.starts_with("/api/") && reply.kind().starts_with("text/html");
            let is_problem = reply.kind() == "application/problem+json";
            prop_assert!(is_page || is_problem, "{}: {}", target, reply.kind());
        }
        Ok(())
    };
    runner.run(&targets(), asked).unwrap();
}

/// A request of any method and path, with more behind the first headers.
fn request(method: &str, path: &str, more: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n")
}

#[test]
fn each_address_answers_its_methods_and_names_them() {
    let running = run();
    let address = running.endpoint.address();
    let reading = "GET, HEAD, OPTIONS";
    for (path, allowed) in [
        ("/api/v1/status", reading),
        ("/api/v1/state/cold_chain/C-001", reading),
        ("/api/v1/stream", reading),
        ("/tile/0/000", reading),
        ("/checkpoint", reading),
        ("/metrics", reading),
        ("/healthz", reading),
        ("/", reading),
        ("/style.css", reading),
        ("/operations", reading),
        ("/api/v1/try", "POST, OPTIONS"),
        ("/api/v1/calls", "POST, OPTIONS"),
        ("/logout", "POST, OPTIONS"),
        ("/login", "GET, HEAD, POST, OPTIONS"),
        ("/try", "GET, HEAD, POST, OPTIONS"),
        ("/operations/cold_chain/update", "GET, HEAD, POST, OPTIONS"),
    ] {
        let methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"];
        for method in methods.into_iter().filter(|method| !allowed.contains(method)) {
            for body in ["", "Content-Length: 2\r\n", "Transfer-Encoding: chunked\r\n"] {
                let reply = send(address, &request(method, path, body));
                assert_eq!(reply.status, 405, "{method} {path} {body}: {}", reply.text());
                assert_eq!(reply.headers["allow"], allowed, "{method} {path}");
                if method != "HEAD" {
                    assert_eq!(reply.kind(), "application/problem+json", "{method} {path}");
                }
            }
        }
        let reply = send(address, &request("OPTIONS", path, ""));
        assert_eq!((reply.status, &*reply.headers["allow"]), (204, allowed), "{path}");
        assert!(
            reply.body.is_empty() && !reply.headers.contains_key("access-control-allow-origin")
        );
        if allowed.contains("HEAD") && path != "/api/v1/stream" {
            let [get, head] =
                ["GET", "HEAD"].map(|method| send(address, &request(method, path, "")));
            assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
            assert_eq!(head.headers.get("content-type"), get.headers.get("content-type"));
        }
    }
    let reply = send(address, &request("OPTIONS", "*", ""));
    assert_eq!((reply.status, &*reply.headers["allow"]), (204, "GET, HEAD, POST, OPTIONS"));
    for method in ["GET", "POST", "PUT", "OPTIONS", "BREW"] {
        for path in ["/absent", "/api/v1/absent", "/api/v1/blocks/1/2/3", "/operationsx"] {
            assert_eq!(send(address, &request(method, path, "")).status, 404, "{method} {path}");
        }
    }
}

#[test]
fn no_body_is_taken_where_none_is_asked_for() {
    let running = run();
    let address = running.endpoint.address();
    for body in [
        "Content-Length: 10000000\r\n\r\n{}",
        "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ] {
        let reply = send(address, &request("GET", "/api/v1/status", body));
        assert_eq!((reply.status, reply.kind()), (413, "application/problem+json"), "{body}");
    }
    for empty in ["Content-Length: 0\r\n", "Content-Length: 00\r\n"] {
        assert_eq!(send(address, &request("GET", "/api/v1/status", empty)).status, 200, "{empty}");
    }
    let long = "x".repeat(2 * MAX_REQUEST_HEAD_BYTES);
    let request = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {long}\r\n\r\n");
    assert_eq!(send(address, &request).status, 431);
    let many = "X-H: 1\r\n".repeat(1_000);
    assert_eq!(
        send(address, &format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n")).status,
        431
    );
}

#[test]
fn addresses_that_cannot_be_decoded_are_refused() {
    let running = run();
    let address = running.endpoint.address();
    for path in [
        "/api/v1/state/cold_chain/%",
        "/api/v1/state/cold_chain/%zz",
        "/api/v1/state/cold_chain/%ff",
        "/api/v1/transactions?device_id=%ff",
        "/api/v1/transactions?device_id=%",
        "/api/v1/transactions?%c3=1",
        "/transactions?device_id=%ff",
        "/state/%ff",
        "/%ff",
    ] {
        let reply = get(address, path);
        let kind = match path.starts_with("/api/") {
            true => "application/problem+json",
            false => "text/html; charset=utf-8",
        };
        assert_eq!((reply.status, reply.kind()), (400, kind), "{path}");
        assert!(reply.text().contains("cannot be decoded"), "{path}: {}", reply.text());
    }
}

#[test]
fn a_page_of_another_name_cannot_read_a_local_endpoint() {
    let running = run();
    let address = running.endpoint.address();
    let port = address.port();
    let ask = |version: &str, host: &str| {
        send(address, &format!("GET /healthz HTTP/{version}\r\n{host}Connection: close\r\n\r\n"))
    };
    for host in ["localhost", "LocalHost", "localhost.", "127.0.0.1", "127.1.2.3", "[::1]"] {
        assert_eq!(ask("1.1", &format!("Host: {host}\r\n")).status, 200, "{host}");
        assert_eq!(ask("1.1", &format!("Host: {host}:{port}\r\n")).status, 200, "{host}");
    }
    assert_eq!(ask("1.0", "").status, 200, "no browser leaves it out");
    for (host, status) in [
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("10.0.0.1", 421),
        ("[::2]", 421),
        ("localhost@evil.example", 400),
        ("localhost:80@evil.example", 400),
        ("[::1].evil.example", 400),
        ("[::1", 400),
        ("[::1%25lo]", 400),
        ("localhost:65536", 400),
        ("localhost:x", 400),
        ("", 400),
        ("\u{fffd}", 400),
        ("localhost\r\nHost: evil.example", 400),
        ("localhost\r\nHost: localhost", 400),
    ] {
        for version in ["1.0", "1.1"] {
            let reply = ask(version, &format!("Host: {host}\r\n"));
            assert_eq!(
                (reply.status, reply.kind()),
                (status, "application/problem+json"),
                "{host}"
            );
            let hint = if status == 421 { "127.0.0.1" } else { "`Host`" };
            assert!(reply.text().contains(hint), "{host}: {}", reply.text());
        }
    }
    assert_eq!(ask("1.1", "").status, 400, "without a host");
    for (target, host, status) in [
        ("http://localhost/healthz", "localhost", 200),
        ("http://evil.example/healthz", "localhost", 421),
        // What the target names counts in place of the header.
        ("http://localhost/healthz", "evil.example", 200),
        ("http://localhost:80@evil.example/healthz", "localhost", 400),
        ("http://user@localhost/healthz", "localhost", 400),
        ("http://[::1].evil.example/healthz", "localhost", 400),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert_eq!(send(address, &request).status, status, "{target} {host}");
    }
}

/// A path as browsers and proxies write it anew (WHATWG URL, 4.4): without its steps.
fn without_steps(target: &str) -> String {
    let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
    let mut kept = Vec::new();
    for part in path.split('/').skip(1) {
        match part.to_ascii_lowercase().replace("%2e", ".").as_str() {
            "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(part),
        }
    }
    let path = format!("/{}", kept.join("/"));
    query.map_or(path.clone(), |query| format!("{path}?{query}"))
}

#[test]
fn every_key_has_an_address_that_nobody_rewrites() {
    let mut running = run();
    let address = running.endpoint.address();
    let keys = [
        ".", "..", "...", "a/b", "/", "//", "a/../b", "./x", "100%", "%2e", "%2F", "a?b=c", "a#b",
        "a&b=c", "a+b", "a b", " ", "\\", "\"", "é", "🦀", "key", "history", "<b>",
    ];
    let from = BLOCKS * (PER_BLOCK + 2);
    let transactions = keys.iter().zip(from..).map(|(key, offset)| {
        let arguments = json!({"assetID": key, "temperature": 9});
        let payload = Payload {
            contract: "cold_chain".into(),
            function: Function::Update,
            arguments: Arguments::from_value(arguments.into()).unwrap(),
            mapping: Digest::of(b"mapping"),
        };
        let id = SourcePosition { partition: partition(), offset, output: 0 };
        let digests = RecordDigests { record: Digest::of(b"record"), value: Digest::of(b"value") };
        Transaction::new(id, (1_700_000_000_000, DeviceName::new("reefer", "x")), digests, payload)
    });
    let signer = Signer::from_seed(&[7; 32]);
    let count = keys.len() as u64;
    let work = Work {
        submissions: vec![Submission::sign(LEDGER, &signer, transactions.collect::<Vec<_>>())],
        progress: vec![Progress {
            partition: partition(),
            from,
            next: from + count,
            records: count,
            last: None,
        }],
        ..Work::default()
    };
    running.ledger.append(work).unwrap().wait().unwrap();
    running.follow();
    let links = Regex::new("href=\"([^\"]+)\"").unwrap();
    let list = get(address, "/state/cold_chain?limit=500").text();
    let links: Vec<_> = links
        .captures_iter(&list)
        .map(|found| found[1].replace("&amp;", "&"))
        .filter(|link| link.starts_with("/state/cold_chain"))
        .collect();
    for key in keys {
        let asked = format!("key={}", encoded(key));
        let asset = get(address, &format!("/api/v1/asset/cold_chain?{asked}")).json();
        assert_eq!((&asset["key"], &asset["state"]["assetID"]), (&json!(key), &json!(key)));
        let history = get(address, &format!("/api/v1/asset/cold_chain/history?{asked}")).json();
        assert_eq!(history["items"][0]["write"]["key"], json!(key), "{history}");
        let export = get(address, &format!("/api/v1/export/history/cold_chain?{asked}"));
        assert_eq!((export.status, export.text().lines().count()), (200, 1), "{key}");
        let then = get(address, &format!("/api/v1/asset/cold_chain?{asked}&at_block=32")).json();
        assert_eq!(then["asset"]["state"]["assetID"], json!(key), "{then}");
        let path = format!("/api/v1/state/cold_chain/{}", encoded(key));
        assert_eq!(get(address, &path).json()["key"], json!(key), "and in the path, as it is sent");
        // The page that a list leads to is the asset's, whoever rewrites the address.
        let title = format!("<bdi>{} of cold_chain</bdi></h1>", escaped(key));
        let leads = |link: &&String| {
            let page = get(address, &without_steps(link));
            page.status == 200 && page.text().contains(&title)
        };
        let link = links.iter().find(leads).unwrap_or_else(|| panic!("no link leads to {key}"));
        assert_eq!(&without_steps(link), link);
        let older = format!("{link}{}at_block=32", if link.contains('?') { '&' } else { '?' });
        assert_eq!(get(address, &older).status, 200, "{older}");
    }
    let reply = get(address, "/api/v1/asset/cold_chain");
    assert_eq!((reply.status, reply.text().contains("`key` is missing")), (400, true));
    assert_eq!(get(address, "/api/v1/asset/cold_chain?key=absent").status, 404);
}

/// A string as a page shows it.
fn escaped(text: &str) -> String {
    let entities = [('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;")];
    let entity = |letter: char| entities.iter().find(|(from, _)| *from == letter);
    text.chars()
        .map(|letter| entity(letter).map_or(letter.to_string(), |(_, to)| (*to).to_owned()))
        .collect()
}

#[test]
fn texts_of_devices_are_escaped() {
    let running = run();
    let address = running.endpoint.address();
    for path in [
        "/api/v1/transactions?limit=50",
        "/api/v1/state/cold_chain",
        "/api/v1/recent",
        "/api/v1/blocks/5",
        "/api/v1/deadletters/telemetry/3/21",
        "/api/v1/state/cold_chain/%3Cscript%3E%1b%5B31m",
        "/api/v1/blocks?%3Cscript%3E=1",
    ] {
        let text = get(address, path).text();
        assert!(!text.chars().any(|c| c.is_control() || "<>".contains(c)), "{path}: {text}");
        assert!(text.contains("\\u003c") || text.contains("%3C"), "{path}: {text}");
    }
}

#[test]
fn readiness_names_what_is_in_the_way() {
    let running = run();
    let address = running.endpoint.address();
    running.obstacles.lock().unwrap().push("the broker kafka:9092 is away".to_owned());
    let reply = get(address, "/readyz");
    assert_eq!((reply.status, reply.kind()), (503, "application/problem+json"));
    assert!(reply.text().contains("the broker kafka:9092 is away"));
    assert_eq!(get(address, "/healthz").status, 200, "alive all the same");
    assert_eq!(get(address, "/api/v1/status").json()["ready"], json!(false));
    assert!(get(address, "/metrics").text().contains("\nledgerline_ready 0\n"));
}

#[test]
fn metrics_follow_the_rules() {
    let running = run();
    let address = running.endpoint.address();
    for path in ["/api/v1/status", "/nothing", "/api/v1/blocks?limit=x", "/nothing/else"] {
        get(address, path);
    }
    let text = get(address, "/metrics").text();
    for line in [
        "ledgerline_answers_total{status=\"200\"} 1",
        "ledgerline_answers_total{status=\"400\"} 1",
        "ledgerline_answers_total{status=\"404\"} 2",
        "ledgerline_records_total 660",
        "ledgerline_records_filtered_total 30",
        "ledgerline_dead_letters_total{cause=\"not_json\"} 30",
        &format!("ledgerline_transactions_total{{verdict=\"valid\"}} {}", count(is_valid)),
        "ledgerline_source_lag_records{partition=\"telemetry/3\"} 340",
        "ledgerline_blocks 32",
        "ledgerline_state_blocks_behind 0",
        "ledgerline_receipt_seconds_bucket{le=\"+Inf\"} 0",
        "ledgerline_commit_seconds_count 32",
        "ledgerline_savepoint_blocks_behind 0",
        "ledgerline_halted 0",
        "ledgerline_disk_full 0",
        "ledgerline_alerts_active{contract=\"cold_chain\",alert=\"WARM\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    let mut kinds = BTreeMap::new();
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(kinds.insert(name, kind).is_none(), "{name} is given twice");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            assert!(!name.contains("_ms") && !name.contains("_us"), "base units: {name}");
        }
    }
    assert!(kinds.len() > 15);
    assert!(!text.contains("reefer:") && !text.contains("C-0"), "no device in a label");
}

#[test]
fn a_slow_client_holds_nobody_up_and_a_stop_is_quick() {
    let running = run();
    let address = running.endpoint.address();
    let mut slow: Vec<_> = (0..20).map(|_| TcpStream::connect(address).unwrap()).collect();
    for stream in &mut slow {
        stream.write_all(b"GET /api/v1/blocks?limit=500 HTTP/1.1\r\nHost").unwrap();
    }
    assert_eq!(get(address, "/api/v1/status").status, 200);
    running.endpoint.stop();
    let mut rest = Vec::new();
    let ended = slow[0].read_to_end(&mut rest);
    assert!(ended.is_err() || rest.is_empty(), "an unfinished request is not answered");
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[test]
fn too_many_questions_at_a_time_are_turned_away() {
    let running = run();
    let reader: Arc<EmbeddedReader> = running.ledger.reader();
    let directory = tempfile::tempdir().unwrap();
    let (world, _) = World::open(directory.path(), &*reader).unwrap();
    let gate = Arc::new(Mutex::new(()));
    let waiting = Arc::new(AtomicUsize::new(0));
    let (at_gate, inside) = (gate.clone(), waiting.clone());
    let service = Service {
        queries: Queries::new(reader, Arc::new(world)),
        status: Arc::new(Status::default()),
        assignments: Arc::new(Assignments::new([])),
        inputs: vec![input(Box::new(move || {
            inside.fetch_add(1, Ordering::SeqCst);
            drop(at_gate.lock());
            HealthReport::default()
        }))],
        followers: Arc::default(),
        calls: None,
        trial: Trial::default(),
        answers: AnswerCounts::default(),
        clock: Arc::new(SystemClock::new()),
    };
    let endpoint = monitor::start(([127, 0, 0, 1], 0).into(), Arc::new(service)).unwrap();
    let address = endpoint.address();
    let closed = gate.lock().unwrap();
    let ask = || std::thread::spawn(move || get(address, "/api/v1/status").status);
    let asking: Vec<_> = (0..MAX_REQUESTS).map(|_| ask()).collect();
    while waiting.load(Ordering::SeqCst) < MAX_REQUESTS {
        std::thread::sleep(Duration::from_millis(1));
    }
    let reply = get(address, "/api/v1/status");
    assert_eq!((reply.status, reply.kind()), (503, "application/problem+json"));
    assert_eq!(reply.headers["retry-after"], "1");
    assert_eq!(get(address, "/healthz").status, 200, "what needs no place is answered");
    drop(closed);
    let metrics = get(address, "/metrics").text();
    assert!(metrics.contains("ledgerline_blocks 32"), "also without a partition: {metrics}");
    for asked in asking {
        assert_eq!(asked.join().unwrap(), 200);
    }
    assert_eq!(get(address, "/api/v1/status").status, 200, "the places are free again");
}
