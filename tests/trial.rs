//! Trying an event shows what the pipeline makes of it, says why where nothing comes of it, and changes
//! nothing.

// A test may stop at the first thing that is not as it should be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::net::SocketAddr;

use common::endpoint::*;
use ledgerline::call::{Arguments, Function, Payload};
use ledgerline::codec::Digest;
use ledgerline::event::{DeviceName, RecordDigests, SourcePosition};
use ledgerline::ledger::{LedgerReader, LedgerWriter, Progress, Work};
use ledgerline::transaction::{Signer, Submission, Transaction};
use serde_json::{Value, json};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

fn key(device_type: &str) -> String {
    json!({"deviceType": device_type, "deviceId": "C1", "timestamp": "2024-05-01T12:00:00Z"})
        .to_string()
}

fn record(device_type: &str, value: &str) -> Value {
    json!({"topic": "telemetry", "key": key(device_type), "value": value})
}

fn reading(asset: &str, temperature: impl Into<Value>) -> String {
    json!({"d": {"assetID": asset, "temperature": temperature.into()}}).to_string()
}

fn attempt(address: SocketAddr, record: &Value) -> Value {
    let reply = post(address, "/api/v1/try", JSON, &record.to_string());
    assert_eq!((reply.status, reply.kind()), (200, JSON), "{record}: {}", reply.text());
    reply.json()
}

#[test]
fn every_outcome_says_why() {
    let running = run();
    let address = running.endpoint.address();
    let reefer = |value: &str| record("reefer-40", value);
    let mut no_value = reefer("");
    no_value.as_object_mut().unwrap().remove("value");
    let elsewhere = json!({"topic": "archive", "key": key("reefer-40"), "value": reading("C1", 4)});
    let base64 = json!({"topic": "telemetry", "key": key("reefer-40"), "value_base64": "/w=="});
    for (record, outcome, pointer, expected) in [
        (reefer(&reading("N-1", 4)), "mapped", "/transactions/0/verdict", json!("valid")),
        (reefer(&reading("N-1", 4)), "mapped", "/transactions/0/writes/0/before", Value::Null),
        (
            reefer(&reading("N-1", 9)),
            "mapped",
            "/transactions/0/writes/0/after/alerts/raised",
            json!(["OVERTEMP"]),
        ),
        (reefer(&reading("N-1", 9)), "mapped", "/event/time", json!("2024-05-01T12:00:00.000Z")),
        (reefer(&reading("N-1", 9)), "mapped", "/mappings/0/matches", json!(true)),
        (elsewhere, "filtered", "/mappings/0/reason", json!("`topic` is not `telemetry`")),
        (
            record("tanker", &reading("C1", 4)),
            "filtered",
            "/mappings/0/reason",
            json!("`device_type` is not `reefer-*`"),
        ),
        (
            reefer(&reading("", 4)),
            "filtered",
            "/mappings/0/reason",
            json!(
                "the condition `payload.d.assetID != ''` is false, or one of its fields is absent"
            ),
        ),
        (reefer("{\"d\": nope}"), "dead_lettered", "/rejection/place", json!("line 1, column 8")),
        (reefer("{\"d\": nope}"), "dead_lettered", "/rejection/cause", json!("not_json")),
        (reefer(&reading("C1", "warm")), "dead_lettered", "/rejection/cause", json!("field_type")),
        (
            reefer(&reading("C1", "warm")),
            "dead_lettered",
            "/rejection/place",
            json!("$.payload.d.temperature"),
        ),
        (no_value, "filtered", "/mappings/0/matches", json!(false)),
        (reefer(""), "dead_lettered", "/rejection/cause", json!("empty")),
        (base64, "dead_lettered", "/rejection/cause", json!("not_utf8")),
    ] {
        let view = attempt(address, &record);
        assert_eq!(view["outcome"], outcome, "{record}: {view}");
        assert_eq!(view.pointer(pointer).unwrap_or(&Value::Null), &expected, "{record}: {view}");
    }
}

/// The transaction that the mapping of the fixture makes of a reading.
fn transaction(offset: u64, arguments: &Value) -> Transaction {
    let id = SourcePosition { partition: partition(), offset, output: 0 };
    let payload = Payload {
        contract: "cold_chain".into(),
        function: Function::Update,
        arguments: Arguments::from_value(arguments.clone().into()).unwrap(),
        mapping: Digest::of(MAPPING.as_bytes()),
    };
    let digests = RecordDigests { record: Digest::of(b"record"), value: Digest::of(b"value") };
    Transaction::new(id, (0, DeviceName::new("reefer-40", "C1")), digests, payload)
}

#[test]
fn what_is_tried_is_what_the_ledger_then_decides() {
    let mut running = run();
    let address = running.endpoint.address();
    let signer = Signer::from_seed(&[7; 32]);
    let first = running.ledger.reader().progress()[0].1;
    for step in 0..60_u64 {
        // Assets that are there and new ones; too warm, far too warm and not.
        let (asset, temperature) = (
            format!("C-{:03}", step * 7 % 50),
            [4, 9, 81, 7, 8][usize::try_from(step % 5).unwrap()],
        );
        let view = attempt(address, &record("reefer-40", &reading(&asset, temperature)));
        let tried = &view["transactions"][0];
        assert_eq!(tried["arguments"], json!({"assetID": asset, "temperature": temperature}));
        let offset = first + step;
        let work = Work {
            submissions: vec![Submission::sign(
                LEDGER,
                &signer,
                [transaction(offset, &tried["arguments"])],
            )],
            progress: vec![Progress {
                partition: partition(),
                from: offset,
                next: offset + 1,
                records: 1,
                last: None,
            }],
            ..Work::default()
        };
        running.ledger.append(work).unwrap().wait().unwrap();
        running.follow();
        let path = format!("/api/v1/transactions/telemetry/3/{offset}/0");
        let decided = get(address, &path).json();
        assert_eq!(tried["verdict"], decided["verdict"], "step {step}");
        let (tried, decided) = (&tried["writes"][0], &decided["writes"][0]);
        assert_eq!(
            (&tried["key"], &tried["after"]),
            (&decided["key"], &decided["asset"]),
            "step {step}"
        );
        assert_eq!(tried["before"].is_null(), decided.get("replaced").is_none(), "step {step}");
    }
}

#[test]
fn each_transaction_sees_those_before_it() {
    let running = run();
    let value = json!({"asset": "two", "readings": [{"temperature": 9}, {"temperature": 10}]});
    let record = json!({"topic": "batches", "key": key("any"), "value": value.to_string()});
    let view = attempt(running.endpoint.address(), &record);
    let writes = |number: usize| &view["transactions"][number]["writes"][0];
    assert_eq!(writes(0)["before"], Value::Null, "{view}");
    assert_eq!(writes(1)["before"], writes(0)["after"], "{view}");
    assert_eq!(writes(1)["after"]["alerts"]["raised"], json!([]), "raised by the first: {view}");
}

#[test]
fn an_answer_has_a_bound() {
    let running = run();
    let readings = vec![json!({"temperature": 4}); 150];
    let cargo = json!({"text": "x".repeat(20_000)});
    let value = json!({"asset": "large", "cargo": cargo, "readings": readings}).to_string();
    let record = json!({"topic": "batches", "key": key("any"), "value": &value});
    let reply = post(running.endpoint.address(), "/api/v1/try", JSON, &record.to_string());
    assert!(reply.body.len() < 6 * 1024 * 1024, "{} bytes", reply.body.len());
    let view = reply.json();
    let tried = view["transactions"].as_array().unwrap().len();
    assert!(tried > 10, "{tried}");
    assert_eq!(view["not_tried"], json!(150 - tried));
    let page = format!("topic=batches&key={}&value={}", encoded(&key("any")), encoded(&value));
    let page = post(running.endpoint.address(), "/try", FORM, &page).text();
    assert!(page.contains("more were not tried"), "{} bytes", page.len());
    // A body of many values takes many times its text, and is not even read.
    let dense = format!("{{\"topic\": [{}1]}}", "1,".repeat(500_000));
    let reply = post(running.endpoint.address(), "/api/v1/try", JSON, &dense);
    assert_eq!(reply.status, 400);
    assert!(reply.text().contains("more than 131172 values"), "{}", reply.text());
}

#[test]
fn nothing_is_changed() {
    let running = run();
    let address = running.endpoint.address();
    let all = || get(address, "/api/v1/state/cold_chain?limit=500").body;
    let (head, before) = (running.ledger.reader().head(), all());
    for asset in ["C-001", "new", HOSTILE] {
        let view = attempt(address, &record("reefer-40", &reading(asset, 50)));
        assert_eq!(view["transactions"][0]["verdict"], "valid", "{view}");
    }
    assert_eq!(running.ledger.reader().head(), head);
    assert_eq!(all(), before);
}

#[test]
fn what_cannot_be_tried_is_refused() {
    let running = run();
    let address = running.endpoint.address();
    for (kind, body, status, part) in [
        (JSON, "{", 400, "the input ends inside an object"),
        (JSON, "{}", 400, "topic"),
        (JSON, r#"{"topic": "a/b"}"#, 400, "`topic` cannot be `a/b`"),
        (JSON, r#"{"topic": "t", "vlaue": "x"}"#, 400, "vlaue"),
        (
            JSON,
            r#"{"topic": "t", "value": "x", "value_base64": "eA=="}"#,
            400,
            "mutually exclusive",
        ),
        (JSON, r#"{"topic": "t", "key_base64": "?"}"#, 400, "base64"),
        (JSON, r#"{"topic": "t", "timestamp": "soon"}"#, 400, "timestamp"),
        ("text/plain", r#"{"topic": "t"}"#, 415, "application/json"),
        (FORM, "topic=t", 415, "application/json"),
    ] {
        let reply = post(address, "/api/v1/try", kind, body);
        let found = (reply.status, reply.kind());
        assert_eq!(found, (status, "application/problem+json"), "{body}: {}", reply.text());
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(part), "{body}: {detail}");
    }
    let long = format!(r#"{{"topic": "{}"}}"#, "t".repeat(5 * 1024 * 1024));
    assert_eq!(post(address, "/api/v1/try", JSON, &long).status, 413);
    for (path, allowed) in
        [("/api/v1/try", "POST, OPTIONS"), ("/api/v1/status", "GET, HEAD, OPTIONS")]
    {
        let reply = send(
            address,
            &format!("PUT {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
        );
        assert_eq!((reply.status, reply.headers["allow"].as_str()), (405, allowed), "{path}");
    }
    let nothing_to_read = get(address, "/api/v1/try");
    let found = (nothing_to_read.status, nothing_to_read.kind());
    assert_eq!(found, (405, "application/problem+json"), "{:?}", nothing_to_read.headers);
}

fn submit(address: SocketAddr, fields: &[(&str, &str)]) -> String {
    let pairs: Vec<_> =
        fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    let reply = post(address, "/try", FORM, &pairs.join("&"));
    assert_eq!((reply.status, reply.kind()), (200, "text/html; charset=utf-8"));
    reply.text()
}

#[test]
fn the_page_shows_it_and_keeps_what_was_filled_in() {
    let running = run();
    let address = running.endpoint.address();
    let key = key("reefer-40");
    let empty = get(address, "/try").text();
    assert!(
        empty.contains("reefers: too warm")
            && empty.contains("&quot;assetID&quot;: &quot;C1&quot;")
    );
    let (warm, broken) = (reading("C-002", 99), "{\"d\":\r\n <b>}".to_owned());
    for (fields, parts) in [
        (
            vec![("topic", "telemetry"), ("key", &*key), ("value", &*warm)],
            vec![
                "One transaction",
                "badge critical",
                "OVERTEMP",
                ">99<",
                "/state/cold_chain/C-002",
            ],
        ),
        (
            vec![("topic", "telemetry"), ("key", &*key), ("value", &*broken)],
            vec!["dead letter:", "<mark>&lt;</mark>b&gt;}", "line 2, column 2"],
        ),
        (vec![("topic", "telemetry"), ("headers", "no colon")], vec!["`no colon` is not a header"]),
        (
            vec![("topic", "a b"), ("value", "kept <i>")],
            vec!["`topic` cannot be", "kept &lt;i&gt;"],
        ),
        (vec![("topic", "t"), ("value", "_"), ("value_form", "base64")], vec!["not valid base64"]),
    ] {
        let page = submit(address, &fields);
        for part in parts {
            assert!(page.contains(part), "{fields:?} shows no {part}: {page}");
        }
    }
}

#[test]
fn a_dead_letter_can_be_tried_again() {
    let running = run();
    let address = running.endpoint.address();
    let letters = get(address, "/api/v1/deadletters").json();
    let id = letters["items"][0]["id"].as_str().unwrap();
    let link = format!("/try?letter={}", id.replace('/', "%2F"));
    assert!(get(address, &format!("/deadletters/{id}")).text().contains(&link));
    let page = get(address, &link).text();
    // Its key is no UTF-8, its value has a control character: both are shown in base64.
    assert!(page.contains("a2V5IP8=") && page.contains("ezxzY3JpcHQ+Gw=="), "{page}");
    assert_eq!(get(address, "/try?letter=telemetry/3/0").status, 404);
    assert_eq!(get(address, "/try?letter=x").status, 400);
    assert_eq!(get(address, "/try?mapping=nope").status, 404);
}
