//! A client of the stream misses nothing, however often it was away, and holds up nobody.

// A test may stop at the first thing that is not as it should be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use common::endpoint::*;
use ledgerline::limits::MAX_STREAMS;
use serde_json::{Value, json};

/// One event as a client reads it.
#[derive(Debug, Clone, PartialEq)]
struct Event {
    name: String,
    id: String,
    data: Value,
}

/// A client that reads events one after the other.
struct Client(BufReader<TcpStream>);

impl Client {
    /// Asks for a stream, having seen the event with an id.
    fn open(address: SocketAddr, query: &str, last: Option<&str>) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let request =
            format!("GET /api/v1/stream{query} HTTP/1.1\r\nHost: localhost\r\n{last}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut client = Self(BufReader::new(stream));
        assert!(client.line().starts_with("HTTP/1.1 200"));
        while !client.line().is_empty() {}
        client
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The next event; what carries it (chunks, comments, the time to come back) is passed over.
    fn next(&mut self) -> Event {
        let mut event = Event { name: String::new(), id: String::new(), data: Value::Null };
        loop {
            let line = self.line();
            let Some((field, value)) = line.split_once(": ").or_else(|| line.split_once(':'))
            else {
                continue;
            };
            match field {
                "event" => event.name = value.to_owned(),
                "id" => event.id = value.to_owned(),
                "data" => event.data = serde_json::from_str(value).unwrap(),
                _ => continue,
            }
            // Data comes last.
            if field == "data" {
                return event;
            }
        }
    }
}

const EVERYTHING: &str = "events=block,transaction,alert,dead_letter";

/// Everything from the first block to the last, read in one go.
fn everything(address: SocketAddr) -> Vec<Event> {
    let mut client = Client::open(address, &format!("?from=0&{EVERYTHING}"), None);
    let mut events = Vec::new();
    loop {
        let event = client.next();
        let is_last = event.name == "block" && event.data["number"] == json!(BLOCKS + 1);
        events.push(event);
        if is_last {
            return events;
        }
    }
}

#[test]
fn a_stream_tells_all_that_is_in_the_log() {
    let running = run();
    let address = running.endpoint.address();
    let events = everything(address);
    let of = |name: &str| events.iter().filter(|event| event.name == name).collect::<Vec<_>>();
    let blocks: Vec<_> = of("block").iter().map(|event| event.data["number"].clone()).collect();
    assert_eq!(blocks, (0..BLOCKS + 2).map(|number| json!(number)).collect::<Vec<_>>());
    let transactions = of("transaction");
    assert_eq!(transactions.len(), count(|_| true));
    assert_eq!(of("dead_letter").len(), 30);
    let listed = walk(address, "/api/v1/transactions?limit=100", "before");
    let told: Vec<_> = transactions.iter().rev().map(|event| event.data.clone()).collect();
    assert_eq!(told, listed);
    // What was raised and not cleared again is active.
    let mut active = std::collections::BTreeSet::new();
    for event in of("alert") {
        let key = event.data["key"].to_string();
        match event.data["change"].as_str().unwrap() {
            "raised" => assert!(active.insert(key), "raised twice"),
            _ => assert!(active.remove(&key), "cleared without being raised"),
        }
    }
    assert_eq!(active.len(), walk(address, "/api/v1/alerts?limit=100", "after").len());
}

#[test]
fn whoever_was_away_goes_on_where_it_was() {
    let running = run();
    let address = running.endpoint.address();
    let events = everything(address);
    for at in [0, 1, 2, 30, 31, 100, events.len() / 2, events.len() - 2] {
        let mut client = Client::open(address, &format!("?{EVERYTHING}"), Some(&events[at].id));
        for expected in events[at + 1..].iter().take(50) {
            assert_eq!(client.next(), *expected, "behind {}", events[at].id);
        }
    }
    // An id means the same whatever is asked for.
    let letter = events.iter().find(|event| event.name == "dead_letter").unwrap();
    let mut client = Client::open(address, "?events=block", Some(&letter.id));
    let block = client.next();
    assert_eq!((block.name.as_str(), &block.data["number"]), ("block", &letter.data["block"]));
    // Through a proxy that asks for less.
    let mut client =
        Client::open(address, "?from=0&events=transaction&verdict=unknown_contract", None);
    assert_eq!(client.next().data["verdict"], json!("unknown_contract"));
}

#[test]
fn what_happens_is_told_as_it_happens() {
    let mut running = run();
    let address = running.endpoint.address();
    let mut client = Client::open(address, "", None);
    let mut status = Client::open(address, "?events=status", None);
    assert_eq!(status.next().data["height"], json!(BLOCKS + 2));
    running.append(BLOCKS);
    loop {
        let event = client.next();
        assert_ne!(event.name, "transaction", "nobody asked for it");
        if event.name == "block" {
            assert_eq!(event.data["number"], json!(BLOCKS + 2));
            break;
        }
    }
    while status.next().data["height"] != json!(BLOCKS + 3) {}
}

#[test]
fn streams_are_bounded_and_end_with_the_endpoint() {
    let running = run();
    let address = running.endpoint.address();
    let clients: Vec<_> = (0..MAX_STREAMS)
        // Half of them never read.
        .map(|at| {
            Client::open(address, if at % 2 == 0 { "" } else { "?from=0&events=transaction" }, None)
        })
        .collect();
    let refused = get(address, "/api/v1/stream");
    assert_eq!((refused.status, refused.kind()), (503, "application/problem+json"));
    assert_eq!(get(address, "/api/v1/status").status, 200, "others are not held up");
    let bad = get_with(address, "/api/v1/stream", "Last-Event-ID: x\r\n");
    assert_eq!(bad.status, 400, "{}", bad.text());
    let Running { endpoint, .. } = running;
    endpoint.stop();
    for mut client in clients {
        // The rest of what was sent, then the end.
        let mut rest = Vec::new();
        let _ = std::io::Read::read_to_end(&mut client.0, &mut rest);
    }
}
