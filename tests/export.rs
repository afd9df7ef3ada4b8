//! A state or history can be had as one file: everything once, in forms that other programs read, while
//! the ledger grows and however slowly it is read.

// A test may stop at the first thing that is not as it should be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use common::endpoint::*;
use ledgerline::call::{Arguments, Function, Payload};
use ledgerline::codec::Digest;
use ledgerline::event::{DeviceName, RecordDigests, SourcePosition};
use ledgerline::ledger::{LedgerReader, LedgerWriter, Progress, Work};
use ledgerline::limits::MAX_EXPORTS;
use ledgerline::transaction::{Signer, Submission, Transaction};
use serde_json::{Value, json};

const STATE: &str = "/api/v1/export/state/cold_chain";

fn export(address: SocketAddr, path: &str) -> Reply {
    let reply = get_with(address, path, "TE: trailers\r\n");
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    assert!(reply.is_whole, "{path}");
    reply
}

fn lines(reply: &Reply) -> Vec<Value> {
    assert_eq!(reply.kind(), "application/jsonl");
    assert!(reply.body.is_empty() || reply.body.ends_with(b"\n"));
    reply.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Rows by their headings.
fn rows(reply: &Reply) -> Vec<BTreeMap<String, String>> {
    assert_eq!(reply.kind(), "text/csv; charset=utf-8; header=present");
    let mut reader = csv::Reader::from_reader(reply.body.as_slice());
    reader.deserialize().map(|row| row.unwrap()).collect()
}

/// Appends updates of assets by these arguments and lets the state take them in.
fn update(running: &mut Running, arguments: impl Iterator<Item = Value>) {
    let signer = Signer::from_seed(&[7; 32]);
    let from = running.ledger.reader().progress()[0].1;
    let transaction = |(offset, arguments): (u64, Value)| {
        let arguments = Arguments::from_value(arguments.into()).unwrap();
        let (contract, function) = ("cold_chain".into(), Function::Update);
        let payload = Payload { contract, function, arguments, mapping: Digest::of(b"mapping") };
        let id = SourcePosition { partition: partition(), offset, output: 0 };
        let device = (1_700_000_000_000, DeviceName::new("reefer", "x"));
        let digests = RecordDigests { record: Digest::of(b"record"), value: Digest::of(b"value") };
        Transaction::new(id, device, digests, payload)
    };
    let transactions: Vec<_> = (from..).zip(arguments).map(transaction).collect();
    let next = from + transactions.len() as u64;
    let progress =
        Progress { partition: partition(), from, next, records: next - from, last: None };
    let work = Work {
        submissions: vec![Submission::sign(LEDGER, &signer, transactions)],
        progress: vec![progress],
        ..Work::default()
    };
    running.ledger.append(work).unwrap().wait().unwrap();
    running.follow();
}

#[test]
fn a_file_holds_what_the_pages_hold() {
    let running = run();
    let address = running.endpoint.address();
    for query in [
        "",
        "prefix=C-00",
        "alerts_only=true",
        "where.temperature=4&where.cargo.n=1",
        "prefix=nothing",
        "after=C-010",
    ] {
        let page = get(address, &format!("/api/v1/state/cold_chain?limit=500&{query}")).json();
        assert_eq!(page.get("next"), None);
        let listed = page["items"].as_array().unwrap().clone();
        let file = export(address, &format!("{STATE}?{query}"));
        assert_eq!(lines(&file), listed, "{query}");
        let disposition =
            "attachment; filename=\"cold_chain.jsonl\"; filename*=UTF-8''cold%5Fchain.jsonl";
        assert_eq!(file.headers["content-disposition"], disposition);
        let rows = rows(&export(address, &format!("{STATE}?format=csv&{query}")));
        let keys: Vec<_> =
            rows.iter().map(|row| row["key"].replace("\\u202e", "\u{202e}")).collect();
        let expected: Vec<_> = listed.iter().map(|asset| asset["key"].as_str().unwrap()).collect();
        assert_eq!(keys, expected, "{query}");
        for (row, asset) in rows.iter().zip(&listed) {
            assert_eq!(row["version"], asset["version"].to_string());
            assert_eq!(row["compliant"], asset["compliant"].to_string());
            assert_eq!(row["state.temperature"], asset["state"]["temperature"].to_string());
            let other: Value = serde_json::from_str(&row["other"]).unwrap();
            let cargo = &asset["state"]["cargo"];
            let expected = json!({"state.cargo.kind": cargo["kind"], "state.cargo.n": cargo["n"]});
            assert_eq!(other, expected);
        }
    }
    let status = get(address, "/api/v1/status").json();
    let file = export(address, STATE);
    assert_eq!(file.headers["ledgerline-height"], status["height"].to_string());
    assert_eq!(file.headers["ledgerline-entries"], status["entries"].to_string());
    assert_eq!(file.trailers["ledgerline-height-at-end"], status["height"].to_string());
}

#[test]
fn a_file_holds_the_whole_history() {
    let running = run();
    let address = running.endpoint.address();
    for key in ["C-001", HOSTILE] {
        let key = encoded(key);
        let listed =
            walk(address, &format!("/api/v1/state/cold_chain/{key}/history?limit=9"), "from");
        let path = format!("/api/v1/export/history/cold_chain/{key}");
        assert_eq!(lines(&export(address, &path)), listed);
        let rows = rows(&export(address, &format!("{path}?format=csv")));
        assert_eq!(rows.len(), listed.len());
        for (row, change) in rows.iter().zip(&listed) {
            assert_eq!(row["entry"], change["entry"].to_string());
            assert_eq!(row["time"], change["time"].as_str().unwrap());
            let replaced = change["write"].get("replaced").map(Value::to_string);
            assert_eq!(row["replaced"], replaced.unwrap_or_default());
            let temperature = &change["write"]["asset"]["state"]["temperature"];
            assert_eq!(row["state.temperature"], temperature.to_string());
            assert_eq!(row["deleted"], "false");
        }
        // Where a line says that the one it replaced is, the rest is.
        let from = &rows[1]["replaced"];
        assert_eq!(lines(&export(address, &format!("{path}?from={from}"))), listed[2..]);
    }
}

#[test]
fn what_cannot_be_exported_is_refused() {
    let running = run();
    let address = running.endpoint.address();
    for (path, status, hint) in [
        ("/api/v1/export/state/cold_chian", 404, "did you mean `cold_chain`?"),
        ("/api/v1/export/state/cold_chain?format=xml", 400, "known are jsonl and csv"),
        ("/api/v1/export/state/cold_chain?limit=3", 400, "known here: format, alerts_only"),
        ("/api/v1/export/history/cold_chain/C-999", 404, "never had an asset"),
        ("/api/v1/export/history/cold_chian/C-001", 404, "did you mean `cold_chain`?"),
        ("/api/v1/export/history/cold_chain/C-001?from=x", 400, "`from` cannot be `x`"),
    ] {
        let reply = get(address, path);
        assert_eq!((reply.status, reply.kind()), (status, "application/problem+json"), "{path}");
        assert!(reply.text().contains(hint), "{path}: {}", reply.text());
    }
}

#[test]
fn a_spreadsheet_takes_no_text_for_a_formula() {
    let mut running = run();
    let hostile = ["=HYPERLINK(\"http://x\")", "+1", "-2+3", "@x", "'quoted", "a,b\"c"];
    let temperatures = ["-4.50", "1E5", "-900719925474099", "0.1", "-0", "7"];
    let texts = hostile.iter().zip(temperatures).map(|(text, temperature)| {
        serde_json::from_str(&format!(
            "{{\"assetID\": {}, \"temperature\": {temperature}}}",
            json!(text)
        ))
        .unwrap()
    });
    update(&mut running, texts);
    let address = running.endpoint.address();
    let found = rows(&export(address, &format!("{STATE}?format=csv")));
    for (text, shown) in hostile.iter().zip([
        "'=HYPERLINK(\"http://x\")",
        "'+1",
        "'-2+3",
        "'@x",
        "''quoted",
        "a,b\"c",
    ]) {
        let row = found.iter().find(|row| row["key"] == shown);
        let row = row.unwrap_or_else(|| panic!("no row {shown} in {found:?}"));
        assert_eq!(row["state.assetID"], shown);
        let asset = get(address, &format!("/api/v1/state/cold_chain/{}", encoded(text))).json();
        assert_eq!(row["state.temperature"], asset["state"]["temperature"].to_string());
    }
    let numbers = found.iter().map(|row| row["state.temperature"].as_str());
    assert!(numbers.clone().any(|number| number.starts_with('-')), "numbers stay numbers");
    assert!(numbers.clone().any(|number| number == "-900719925474099"));
}

/// Assets whose state takes more than the buffers of a connection.
fn large(running: &mut Running, version: u64) {
    for part in 0..6_u64 {
        let pad = "x".repeat(60_000);
        let arguments = (0..50_u64).map(|at| {
            let key = format!("L-{:04}", part * 50 + at);
            json!({"assetID": key, "temperature": version, "pad": pad})
        });
        update(running, arguments);
    }
}

#[test]
fn a_file_is_read_while_the_ledger_grows() {
    let mut running = run();
    large(&mut running, 1);
    let address = running.endpoint.address();
    let height = get(address, "/api/v1/status").json()["height"].as_u64().unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!(
        "GET {STATE}?prefix=L- HTTP/1.1\r\nHost: localhost\r\nTE: trailers\r\nConnection: close, TE\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = vec![0; 100_000];
    stream.read_exact(&mut bytes).unwrap();
    // The reader has the beginning, and its file is being made.
    large(&mut running, 2);
    stream.read_to_end(&mut bytes).unwrap();
    let reply = Reply::read(&bytes);
    assert!(reply.is_whole);
    let assets = lines(&reply);
    let keys: Vec<_> = assets.iter().map(|asset| asset["key"].as_str().unwrap()).collect();
    let expected: Vec<_> = (0..300).map(|at| format!("L-{at:04}")).collect();
    assert_eq!(keys, expected, "each once");
    assert_eq!(reply.headers["ledgerline-height"], height.to_string());
    assert_eq!(reply.trailers["ledgerline-height-at-end"], (height + 6).to_string());
    let entries: u64 = reply.headers["ledgerline-entries"].parse().unwrap();
    let mut seen = [0, 0];
    for asset in &assets {
        let is_later = asset["version"].as_u64().unwrap() >= entries;
        seen[usize::from(is_later)] += 1;
        // As it was before, or as it became: whole in either case.
        let expected = if is_later { 2 } else { 1 };
        assert_eq!(asset["state"]["temperature"], json!(expected), "{}", asset["key"]);
    }
    assert!(seen[0] > 0 && seen[1] > 0, "both kinds are there: {seen:?}");
    let key = assets.iter().find(|asset| asset["version"].as_u64().unwrap() >= entries).unwrap();
    let key = key["key"].as_str().unwrap();
    let past = get(address, &format!("/api/v1/state/cold_chain/{key}?at_block={}", height - 1));
    assert_eq!(past.json()["asset"]["state"]["temperature"], json!(1));
}

#[test]
fn saved_and_unsaved_assets_stand_in_one_order() {
    let mut running = run();
    let address = running.endpoint.address();
    let asset =
        |at: u64, version: u64| json!({"assetID": format!("M-{at:04}"), "temperature": version});
    update(&mut running, (0..400).map(|at| asset(at, 1)));
    running.save();
    update(&mut running, (0..500).filter(|at| at % 3 == 0).map(|at| asset(at, 2)));
    let expected: Vec<_> = (0..500_u64)
        .filter(|at| at % 3 == 0 || *at < 400)
        .map(|at| (format!("M-{at:04}"), if at % 3 == 0 { 2 } else { 1 }))
        .collect();
    for (query, version) in
        [("", None), ("&where.temperature=1", Some(1)), ("&where.temperature=2", Some(2))]
    {
        let is_asked = |of: &&(String, i32)| version.is_none_or(|version| of.1 == version);
        let expected: Vec<_> =
            expected.iter().filter(is_asked).map(|(key, version)| json!([key, version])).collect();
        let shown = |assets: Vec<Value>| -> Vec<Value> {
            let shown = |asset: &Value| json!([asset["key"], asset["state"]["temperature"]]);
            assets.iter().map(shown).collect()
        };
        for limit in [1, 63, 64, 65, 500] {
            let path = format!("/api/v1/state/cold_chain?prefix=M-&limit={limit}{query}");
            assert_eq!(shown(walk(address, &path, "after")), expected, "{path}");
        }
        let file = export(address, &format!("{STATE}?prefix=M-{query}"));
        assert_eq!(shown(lines(&file)), expected, "{query}");
    }
}

#[test]
fn exports_are_bounded_and_free_again() {
    let mut running = run();
    large(&mut running, 1);
    let address = running.endpoint.address();
    let begin = || {
        let mut stream = TcpStream::connect(address).unwrap();
        let request = format!("GET {STATE} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        stream.read_exact(&mut [0; 100]).unwrap();
        stream
    };
    let slow: Vec<_> = (0..MAX_EXPORTS).map(|_| begin()).collect();
    let refused = get(address, STATE);
    assert_eq!((refused.status, refused.kind()), (503, "application/problem+json"));
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(get(address, "/api/v1/status").status, 200, "others are not held up");
    drop(slow);
    // As soon as it is known that the readers went away.
    while get(address, &format!("{STATE}?prefix=C-")).status == 503 {}
}

#[test]
fn a_file_that_is_cut_off_does_not_look_whole() {
    let mut running = run();
    large(&mut running, 1);
    let mut stream = TcpStream::connect(running.endpoint.address()).unwrap();
    let request = format!("GET {STATE}?prefix=L- HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = vec![0; 100_000];
    stream.read_exact(&mut bytes).unwrap();
    let Running { endpoint, .. } = running;
    endpoint.stop();
    let _ = stream.read_to_end(&mut bytes);
    let reply = Reply::read(&bytes);
    assert_eq!(reply.status, 200);
    assert!(!reply.is_whole);
    // What came is enough to go on from.
    let text = reply.text();
    let whole = text.rsplit_once('\n').unwrap().0;
    assert!(whole.lines().count() > 1);
    assert!(whole.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
}
