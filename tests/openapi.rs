//! The API is what its description says: every operation, with any values of its parameters, answers in
//! the described forms and never fails; what is described is what is taken; the examples are real.

// A test may stop at the first thing that is not as it should be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use common::Random;
use common::endpoint::*;
use common::openapi::{Document, Operation};
use ledgerline::clock::SystemClock;
use ledgerline::monitor::access::{Role, Settings};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

/// Set to write the examples anew from what the endpoint answers.
const WRITE_EXAMPLES: &str = "LEDGERLINE_WRITE_EXAMPLES";
/// Fields that differ between runs.
const MEASURED: &[&str] = &["commit_seconds"];
/// Without an example: figures of the moment, and the document itself.
const WITHOUT_EXAMPLE: &[&str] = &["getMetrics", "getDocument"];

/// The request of an operation's example.
fn request_of(operation: &Operation) -> String {
    let (method, path) = (&operation.method, operation.example());
    let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    match &operation.described["requestBody"]["content"]["application/json"]["example"] {
        Value::Null => format!("{head}\r\n"),
        body => {
            let body = body.to_string();
            let length = body.len();
            format!(
                "{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
            )
        }
    }
}

/// The answer to an operation's example; of the stream its first event.
fn answer_to_example(address: SocketAddr, operation: &Operation) -> Reply {
    let request = request_of(operation);
    let is_first =
        |text: &str| text.split("data: ").nth(1).is_some_and(|data| data.contains("\n\n"));
    let mut reply = send_until(address, &request, is_first);
    if operation.id == "stream" {
        let text = reply.text();
        let (hello, events) = text.split_once("\n\n").unwrap();
        reply.body = format!("{hello}\n\n{}\n\n", events.split("\n\n").next().unwrap()).into();
    }
    reply
}

/// Runs cases whose seed was printed.
fn runner(cases: u32, random: &mut Random) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let seed = [(); 4].map(|()| random.below(u64::MAX).to_le_bytes()).concat();
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
}

/// An answer as an example shows it.
fn as_example(reply: &Reply) -> Value {
    if reply.kind() != "application/json" {
        return json!(reply.text());
    }
    let mut value = reply.json();
    for name in MEASURED {
        set(&mut value, name);
    }
    value
}

fn set(value: &mut Value, name: &str) {
    match value {
        Value::Object(members) => {
            for (found, value) in members {
                if found == name { *value = json!(0.0) } else { set(value, name) }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| set(element, name)),
        _ => {}
    }
}

#[test]
fn the_examples_are_what_the_endpoint_answers() {
    let running = run_for(Role::Operator);
    let address = running.endpoint.address();
    let document = Document::of(address);
    let mut answered = BTreeMap::new();
    for operation in &document.operations {
        let reply = answer_to_example(address, operation);
        assert_eq!(reply.status, 200, "{}: {}", operation.id, reply.text());
        assert_eq!(document.wrong(operation, &reply), None, "{}", operation.id);
        if !WITHOUT_EXAMPLE.contains(&operation.id.as_str()) {
            answered.insert(operation.id.clone(), as_example(&reply));
        }
    }
    if std::env::var_os(WRITE_EXAMPLES).is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/monitor/api/examples.json");
        let text = serde_json::to_string_pretty(&answered).unwrap();
        std::fs::write(path, format!("{text}\n")).unwrap();
        return;
    }
    for operation in &document.operations {
        let content = &operation.described["responses"]["200"]["content"];
        let mut shown =
            content.as_object().unwrap().values().filter_map(|form| form.get("example"));
        assert_eq!(
            shown.next(),
            answered.get(&operation.id),
            "the example of {} is old: run this test with {WRITE_EXAMPLES}=1",
            operation.id
        );
    }
}

#[test]
fn what_is_described_is_what_is_taken() {
    let running = run_for(Role::Operator);
    let address = running.endpoint.address();
    let document = Document::of(address);
    assert!(document.operations.len() > 20);
    let ids: BTreeSet<_> = document.operations.iter().map(|operation| &operation.id).collect();
    assert_eq!(ids.len(), document.operations.len(), "{ids:?}");
    for operation in &document.operations {
        let path = operation.example().split('?').next().unwrap();
        let required =
            operation.parameters("query").into_iter().filter(|one| one["required"] == true);
        let required: String =
            required.map(|one| format!("{}=x&", one["name"].as_str().unwrap())).collect();
        let refused = request_of(operation).replacen(
            operation.example(),
            &format!("{path}?{required}surely-unknown=1"),
            1,
        );
        let refused = send(address, &refused);
        assert_eq!(refused.status, 400, "{path}");
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        let known = match detail.split_once("known here: ") {
            Some((_, known)) => known.split(", ").map(str::to_owned).collect(),
            None => BTreeSet::new(),
        };
        let described = operation.parameters("query");
        let name = |parameter: &&Value| parameter["name"].as_str().unwrap().to_owned();
        let described: BTreeSet<_> = described.iter().map(name).collect();
        assert_eq!(described, known, "{}", operation.id);
        let in_path: Vec<_> = operation.parameters("path").iter().map(name).collect();
        let braces = operation.path.split(['{', '}']).skip(1).step_by(2);
        assert_eq!(in_path, braces.collect::<Vec<_>>(), "{}", operation.id);
        for parameter in operation.described["parameters"].as_array().unwrap() {
            assert_ne!(parameter["description"], json!(""), "{} {parameter}", operation.id);
            let schema = &parameter["schema"];
            let is_valid = jsonschema::is_valid(schema, &parameter["example"]);
            assert!(is_valid, "{}: {parameter}", operation.id);
        }
    }
}

#[test]
fn whoever_may_not_ask_is_told_as_described() {
    let known = run_for(Role::Operator);
    let document = Document::of(known.endpoint.address());
    let mut settings = Settings::open(([127, 0, 0, 1], 0).into());
    settings.access.anonymous = None;
    let strangers = run_with(&settings, Arc::new(SystemClock::new()));
    let viewers = run();
    for operation in &document.operations {
        let role = operation.described["x-role"].as_str();
        let for_strangers = if role.is_none() { 200 } else { 401 };
        let for_viewers = if matches!(role, None | Some("viewer")) { 200 } else { 403 };
        let is_open = operation.described["security"] == json!([]);
        assert_eq!(is_open, role.is_none(), "{}", operation.id);
        for (running, status) in [(&strangers, for_strangers), (&viewers, for_viewers)] {
            let reply = send(running.endpoint.address(), &request_of(operation));
            assert_eq!(reply.status, status, "{}: {}", operation.id, reply.text());
            assert_eq!(document.wrong(operation, &reply), None, "{}", operation.id);
        }
    }
}

#[test]
fn schemas_say_what_each_member_is() {
    let running = run_for(Role::Operator);
    let document = Document::of(running.endpoint.address());
    let sent: BTreeSet<_> = document
        .operations
        .iter()
        .filter_map(|operation| {
            let schema =
                &operation.described["requestBody"]["content"]["application/json"]["schema"];
            Some(schema["$ref"].as_str()?.rsplit('/').next()?.to_owned())
        })
        .collect();
    assert_eq!(sent.len(), 2, "{sent:?}");
    let mut members = 0;
    for (name, schema) in document.whole["components"]["schemas"].as_object().unwrap() {
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (member, property) in schema["properties"].as_object().into_iter().flatten() {
            members += 1;
            let place = format!("{name}.{member}");
            let about = property["description"].as_str().unwrap_or_default();
            assert!(!about.is_empty(), "{place} says nothing");
            assert!(!about.contains("[`"), "{place} says what only our source knows: {about}");
            let may_be_absent = !required.contains(&json!(member)) && !sent.contains(name);
            assert!(!may_be_absent || property["type"] != json!(["string", "null"]), "{place}");
        }
    }
    assert!(members > 150, "only {members}");
}

/// Requests beside the examples that must be answered, by operation.
fn more_requests() -> Vec<(&'static str, String)> {
    let hostile = encoded(HOSTILE);
    let mut requests = vec![
        ("getProof", "/api/v1/transactions/telemetry/3/1/0/proof?format=tlog-proof".to_owned()),
        ("getAsset", format!("/api/v1/state/cold_chain/{hostile}?at_block=20")),
        ("getAsset", format!("/api/v1/state/cold_chain/{hostile}?at_block=0")),
        ("exportState", "/api/v1/export/state/cold_chain".to_owned()),
        ("exportHistory", format!("/api/v1/export/history/cold_chain/{hostile}")),
        ("listAlertHistory", "/api/v1/alerts/history?limit=500".to_owned()),
        ("listTransactions", "/api/v1/transactions?limit=500".to_owned()),
        ("listAssets", "/api/v1/state/cold_chain?limit=500".to_owned()),
        ("listAlerts", "/api/v1/alerts?limit=500".to_owned()),
        ("listRecent", "/api/v1/recent?limit=500".to_owned()),
        ("listDeadLetters", "/api/v1/deadletters?limit=500".to_owned()),
        ("getHistory", format!("/api/v1/state/cold_chain/{hostile}/history?limit=500")),
        ("getRecord", "/api/v1/records/telemetry/3/20".to_owned()),
        ("getRecord", "/api/v1/records/telemetry/3/21".to_owned()),
        ("getRecord", "/api/v1/records/telemetry/3/99999".to_owned()),
    ];
    for number in 0..BLOCKS + 2 {
        requests.push(("getBlock", format!("/api/v1/blocks/{number}?limit=500")));
        requests.push(("verifyBlock", format!("/api/v1/blocks/{number}/verification")));
    }
    requests
}

#[test]
fn every_answer_is_as_described() {
    let running = run_for(Role::Operator);
    let address = running.endpoint.address();
    let document = Document::of(address);
    let stream = "/api/v1/stream?from=0&events=block,transaction,alert,dead_letter,status";
    let request = format!("GET {stream} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let told = send_until(address, &request, |text| text.contains("event: status")).text();
    let mut names = BTreeSet::new();
    for event in told.split("\n\n") {
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
        if let (Some(name), Some(data)) = (field("event: "), field("data: ")) {
            // The last one may not be whole.
            let Ok(data) = serde_json::from_str(data) else { continue };
            assert_eq!(document.wrong_event(name, &data), None);
            names.insert(name);
        }
    }
    assert!(names.len() >= 4, "{names:?}");
    for (id, path) in more_requests() {
        let reply = get(address, &path);
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        assert_eq!(document.wrong(document.operation(id), &reply), None, "{path}");
    }
    running.obstacles.lock().unwrap().push("no Kafka broker is reachable: refused".to_owned());
    for id in ["getStatus", "listFindings", "getReadiness"] {
        let operation = document.operation(id);
        let reply = get(address, operation.example());
        assert_eq!(document.wrong(operation, &reply), None, "{id}");
    }
}

/// Spoils a value in every place: leaves a member out, adds one, gives another type.
fn spoilt(value: &Value) -> Vec<Value> {
    let Value::Object(members) = value else { return vec![json!({"spoilt": value})] };
    let mut spoilt = vec![json!(7)];
    for (name, member) in members {
        let mut without = members.clone();
        without.remove(name);
        // What may be left out says nothing.
        let mut other = without.clone();
        other.insert(name.clone(), json!({"spoilt": member}));
        spoilt.push(Value::Object(other));
    }
    let mut more = members.clone();
    more.insert("spoilt".to_owned(), json!(1));
    spoilt.push(Value::Object(more));
    spoilt
}

#[test]
fn a_spoilt_answer_is_noticed() {
    let running = run_for(Role::Operator);
    let address = running.endpoint.address();
    let document = Document::of(address);
    // Members that hold any JSON.
    let open =
        ["event", "state", "arguments", "asset", "derived", "dead_letters", "invalid_reasons"];
    let mut noticed = 0;
    for operation in &document.operations {
        let reply = send(address, &request_of(operation));
        if reply.kind() != "application/json" || operation.id == "getDocument" {
            continue;
        }
        let value = reply.json();
        let item = value["items"].get(0);
        let in_items = item.map(spoilt).unwrap_or_default().into_iter().map(|item| {
            let mut value = value.clone();
            value["items"][0] = item;
            value
        });
        for value in spoilt(&value).into_iter().chain(in_items) {
            let is_spoilt =
                |value: &Value| open.iter().any(|name| value[name].get("spoilt").is_some());
            let is_open = is_spoilt(&value) || is_spoilt(&value["items"][0]);
            if is_open {
                continue;
            }
            let body = value.to_string().into_bytes();
            let reply = Reply { body, ..reply.clone() };
            assert!(document.wrong(operation, &reply).is_some(), "{}: {value}", operation.id);
            noticed += 1;
        }
    }
    assert!(noticed > 100, "only {noticed}");
}

/// Values that some part of a program might not expect.
const HOSTILE_VALUES: &[&str] = &[
    "",
    "0",
    "-1",
    "1",
    "7",
    "4294967296",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775809",
    "99999999999999999999999999999999",
    "1e9",
    "0x10",
    "NaN",
    "null",
    "true",
    "C-001",
    "A/1 <b>&\u{202e}",
    "../../etc/passwd",
    "..",
    ".",
    "a/b",
    "\0",
    "\r\nX: 1",
    "\u{1b}[31m",
    "'",
    "\"",
    "%",
    "%00",
    "{}",
    "[]",
    "\u{ffff}",
    "{number}",
    "0/0",
    "1/0",
    "9999999999999999999/1",
    "/",
    "//",
    "7.3",
    "block,status",
    "1970-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999999Z",
    "-262143-01-01T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "cold_chain",
    "reefers",
    "telemetry",
    "telemetry@4294967295",
];

/// A value of a parameter: as described, or anything.
fn values(parameter: &Value) -> BoxedStrategy<String> {
    let schema = &parameter["schema"];
    let example = match &parameter["example"] {
        Value::String(text) => text.clone(),
        Value::Object(_) => "fish".to_owned(),
        other => other.to_string(),
    };
    let mut good = vec![encoded(&example)];
    good.extend(
        schema["enum"].as_array().into_iter().flatten().map(|one| encoded(one.as_str().unwrap())),
    );
    for bound in ["minimum", "maximum"] {
        good.extend(schema.get(bound).map(Value::to_string));
    }
    let long = prop::sample::select(vec!["x", "9", "/", "%F0%9F%92%A9"]);
    prop_oneof![
        4 => prop::sample::select(good),
        3 => prop::sample::select(HOSTILE_VALUES).prop_map(encoded),
        1 => proptest::collection::vec(any::<u8>(), 0..8)
            .prop_map(|bytes| bytes.iter().map(|byte| format!("%{byte:02X}")).collect()),
        1 => any::<String>().prop_map(|text| encoded(&text.chars().take(20).collect::<String>())),
        1 => (long, 1..500_usize).prop_map(|(piece, times)| piece.repeat(times)),
    ]
    .boxed()
}

/// A target of an operation: every name filled, any of its parameters given, perhaps others too.
fn targets(operation: &Operation) -> BoxedStrategy<String> {
    let path = operation.path.clone();
    let names: Vec<_> = operation.parameters("path").iter().map(|name| values(name)).collect();
    let parameter = |parameter: &&Value| {
        let name = parameter["name"].as_str().unwrap().to_owned();
        let is_prefix = name.ends_with('.');
        let name = if is_prefix { format!("{name}cargo.kind") } else { name };
        let given = values(parameter).prop_map(move |value| format!("{name}={value}"));
        prop::option::weighted(0.4, given).boxed()
    };
    let parameters: Vec<_> = operation.parameters("query").iter().map(parameter).collect();
    let other =
        prop::sample::select(vec!["x=1", "limit=3", "limit", "%FF=%FF", "&&", "=", "a[]=1"]);
    (names, parameters, prop::option::weighted(0.1, other))
        .prop_map(move |(names, parameters, other)| {
            let mut pieces = path.split(['{', '}']);
            let mut target = pieces.next().unwrap_or_default().to_owned();
            for (name, piece) in names.iter().zip(pieces.skip(1).step_by(2)) {
                target.push_str(name);
                target.push_str(piece);
            }
            let given: Vec<_> =
                parameters.into_iter().flatten().chain(other.map(str::to_owned)).collect();
            if given.is_empty() { target } else { format!("{target}?{}", given.join("&")) }
        })
        .boxed()
}

/// Bodies that are none, or an example with any of its members replaced.
fn spoilt_bodies(example: &Value) -> BoxedStrategy<String> {
    let none = [
        "{}",
        "null",
        "[",
        "{\"a\": 1}",
        "\0",
        "x=1",
        "\u{feff}{}",
        "[[[[[[[[",
        "\"\\ud800\"",
        "1e999",
    ];
    let mut bodies: Vec<_> = none.into_iter().map(str::to_owned).collect();
    let values = [
        json!(null),
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        json!("\0"),
        json!("\u{202e}<b>"),
        json!([]),
        json!([{"name": "a", "value": "\u{1b}"}]),
        json!({}),
        json!("9".repeat(3_000)),
        json!("/w=="),
        json!("{"),
    ];
    for name in example.as_object().into_iter().flat_map(|members| members.keys()) {
        for value in &values {
            let mut body = example.clone();
            body[name] = value.clone();
            bodies.push(body.to_string());
        }
    }
    prop::sample::select(bodies).boxed()
}

/// Everything else of a request: mostly what the document says, with headers and bodies of any kind.
fn requests(operation: &Operation) -> BoxedStrategy<String> {
    let own = operation.method.clone();
    let others = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"];
    let others = others.into_iter().filter(|other| *other != own).collect::<Vec<_>>();
    let method =
        prop_oneof![9 => Just(own), 1 => prop::sample::select(others).prop_map(str::to_owned)];
    let headers = prop::sample::select(vec![
        "",
        "",
        "",
        "",
        "",
        "If-None-Match: *\r\n",
        "If-None-Match: \"x\", W/\"y\"\r\n",
        "If-None-Match: \u{e9}\"\r\n",
        "Last-Event-ID: 3.1\r\n",
        "Last-Event-ID: \u{e9}\r\n",
        "Last-Event-ID: 18446744073709551615.18446744073709551615\r\n",
        "Accept: image/png\r\n",
        "Range: bytes=5-1\r\n",
        "Expect: 100-continue\r\n",
        "Content-Type: application/json\r\n",
        "Authorization: Bearer x\r\n",
        "Content-Encoding: gzip\r\n",
    ]);
    let described = &operation.described["requestBody"]["content"]["application/json"];
    let bodies = match described["example"].as_object() {
        None => prop_oneof![9 => Just(String::new()), 1 => spoilt_bodies(&Value::Null)].boxed(),
        Some(_) => prop_oneof![
            3 => Just(described["example"].to_string()),
            3 => spoilt_bodies(&described["example"]),
            1 => Just(String::new()),
        ]
        .boxed(),
    };
    let kind = prop_oneof![
        9 => Just("Content-Type: application/json\r\n"),
        1 => prop::sample::select(vec!["", "Content-Type: text/plain\r\n"]),
    ];
    let body = (kind, bodies);
    (method, targets(operation), headers, body)
        .prop_map(|(method, target, headers, (kind, body))| {
            let length = match body.len() {
                0 => String::new(),
                length => format!("{kind}Content-Length: {length}\r\n"),
            };
            format!(
                "{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                 {headers}{length}\r\n{body}"
            )
        })
        .boxed()
}

/// Checks that the document allows the answer to any request of an operation.
fn hold(
    document: &Document,
    operation: &Operation,
    request: &str,
    reply: &Reply,
) -> Option<String> {
    let method = request.split(' ').next().unwrap();
    if reply.status >= 500 && reply.status != 503 {
        return Some(format!("{}: {}", reply.status, reply.text()));
    }
    if method == "HEAD" {
        return (!reply.body.is_empty()).then(|| "HEAD with a body".to_owned());
    }
    // Names without any letter make another address, perhaps one of a page.
    let path = request.split([' ', '?']).nth(1).unwrap();
    if path.matches('/').count() != operation.path.matches('/').count()
        || path.ends_with('/')
        || path.contains("//")
    {
        return (reply.status == 200).then(|| "another address is found".to_owned());
    }
    // What cannot be decoded is refused before anything else.
    let is_undecodable = reply.status == 400 && reply.text().contains("cannot be decoded");
    if method == "OPTIONS" && !is_undecodable {
        return (reply.status != 204).then(|| format!("OPTIONS is answered with {}", reply.status));
    }
    let is_own = method == operation.method;
    // A wrong token is refused before anything else, and many of them for a while.
    let is_wrong_token = request.contains("Bearer x") && matches!(reply.status, 401 | 429);
    if !is_own && !is_wrong_token && !is_undecodable && reply.status != 405 {
        return Some(format!("{method} is answered with {}", reply.status));
    }
    document.wrong(operation, reply)
}

#[test]
fn any_request_is_answered_as_described() {
    let running = run_for(Role::Operator);
    let address = running.endpoint.address();
    let document = Document::of(address);
    let mut random = Random::new();
    let mut statuses = BTreeMap::<_, u32>::new();
    for operation in &document.operations {
        let mut runner = runner(150, &mut random);
        let counted = std::cell::RefCell::new(&mut statuses);
        let held = runner.run(&requests(operation), |request| {
            let reply = send(address, &request);
            *counted.borrow_mut().entry(reply.status).or_default() += 1;
            let wrong = hold(&document, operation, &request, &reply);
            prop_assert_eq!(wrong, None, "{}", request);
            Ok(())
        });
        if let Err(error) = held {
            panic!("{}: {error}", operation.id);
        }
    }
    println!("answers by status: {statuses:?}");
    for status in [200, 304, 400, 401, 404, 405, 413, 415, 429] {
        assert!(statuses.contains_key(&status), "no request led to {status}: {statuses:?}");
    }
}

#[test]
fn an_answer_that_is_known_is_not_sent_again() {
    let mut running = run_for(Role::Operator);
    let address = running.endpoint.address();
    let document = Document::of(address);
    let mut tags = Vec::new();
    let files = ["/style.css", "/live.js", "/icon.svg", "/tile/0/000", "/tile/entries/000"];
    let tagged = document.operations.iter().filter(|operation| operation.is_tagged());
    let paths: Vec<_> = tagged.map(Operation::example).chain(files).collect();
    assert!(paths.len() > 20);
    for path in paths {
        let reply = get(address, path);
        assert!(
            ["no-cache", "public, max-age=31536000, immutable"]
                .contains(&&*reply.headers["cache-control"])
        );
        let tag = reply.headers["etag"].clone();
        for condition in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
            let known = get_with(address, path, &format!("If-None-Match: {condition}\r\n"));
            assert_eq!((known.status, known.body.len()), (304, 0), "{path} {condition}");
            for name in ["etag", "cache-control", "content-security-policy"] {
                assert_eq!(known.headers.get(name), reply.headers.get(name), "{path} {name}");
            }
        }
        let other = get_with(address, path, "If-None-Match: \"x\"\r\n");
        assert_eq!((other.status, &other.body), (200, &reply.body), "{path}");
        let head = format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        assert_eq!(send(address, &head).headers.get("etag"), Some(&tag), "{path}");
        tags.push((path, tag));
    }
    for operation in document.operations.iter().filter(|operation| !operation.is_tagged()) {
        let reply = send(address, &request_of(operation));
        assert_eq!(reply.headers.get("etag"), None, "{}", operation.id);
    }
    running.append(BLOCKS);
    let changed = |path: &str, tag: &str| {
        get_with(address, path, &format!("If-None-Match: {tag}\r\n")).status == 200
    };
    let changed: BTreeSet<_> =
        tags.iter().filter(|(path, tag)| changed(path, tag)).map(|(path, _)| *path).collect();
    for path in ["/api/v1/blocks?limit=2", "/api/v1/transactions?limit=2", "/checkpoint"] {
        assert!(changed.contains(path), "{path} is another one now: {changed:?}");
    }
    for path in ["/api/v1/blocks/2?limit=2", "/api/v1/contracts/cold_chain", "/tile/0/000"] {
        assert!(!changed.contains(path), "{path} never changes");
    }
}

#[test]
fn people_can_read_it_too() {
    let running = run_for(Role::Operator);
    let address = running.endpoint.address();
    let document = Document::of(address);
    let page = get(address, "/api");
    assert_eq!((page.status, page.kind()), (200, "text/html; charset=utf-8"));
    let page = page.text();
    for operation in &document.operations {
        let (method, path, id) = (&operation.method, &operation.path, &operation.id);
        assert!(
            page.contains(&format!("<h3 id=\"{id}\">{method} <code>{path}</code></h3>")),
            "{id}"
        );
        let example = operation.example().replace('&', "&amp;");
        assert!(page.contains(&format!("$LEDGERLINE{example}&quot;")), "{id}: {example}");
    }
    assert!(get(address, "/").text().contains("href=\"/api\""));
}

/// All items of an operation's list, page by page, as its link `next` says.
fn walked(address: SocketAddr, operation: &Operation, query: &str) -> Vec<Value> {
    let next = &operation.described["responses"]["200"]["links"]["next"];
    let parameters = next["parameters"].as_object().unwrap();
    let (cursor, value) = parameters.iter().next().unwrap();
    assert_eq!(value, "$response.body#/next");
    let path = operation.example().split('?').next().unwrap();
    let list = if operation.id == "getBlock" { "entries" } else { "items" };
    let mut items = Vec::new();
    let mut more = String::new();
    // A parameter that must be given is that of the example.
    let required = operation.example().split(['?', '&']).filter(|pair| pair.starts_with("key="));
    let required: String = required.map(|pair| format!("{pair}&")).collect();
    let query = format!("{required}{query}");
    for _ in 0..2_000 {
        let reply = get(address, &format!("{path}?{query}{more}"));
        assert_eq!(reply.status, 200, "{path}?{query}{more}: {}", reply.text());
        let page = reply.json();
        items.extend(page[list].as_array().unwrap().iter().cloned());
        match page.get("next") {
            None => return items,
            Some(Value::String(next)) => more = format!("&{cursor}={}", encoded(next)),
            Some(next) => more = format!("&{cursor}={next}"),
        }
    }
    panic!("{path}?{query} never ends");
}

#[test]
fn pages_of_any_size_hold_the_same() {
    let running = run_for(Role::Operator);
    let address = running.endpoint.address();
    let document = Document::of(address);
    let is_list =
        |operation: &&Operation| !operation.described["responses"]["200"]["links"].is_null();
    let lists: Vec<_> = document.operations.iter().filter(is_list).collect();
    let ids: Vec<_> = lists.iter().map(|list| list.id.as_str()).collect();
    assert_eq!(ids.len(), 12, "{ids:?}");
    let mut random = Random::new();
    for operation in lists {
        let queries = match operation.id.as_str() {
            "listTransactions" => vec!["", "verdict=invalid", "device_type=reefer&device_id=C-001"],
            "listAssets" => vec!["", "prefix=C-0", "alerts_only=true", "where.temperature=4"],
            "listDeadLetters" => vec!["", "cause=not_json"],
            "listAlertHistory" => vec!["", "contract=cold_chain&key=C-009"],
            _ => vec![""],
        };
        for query in queries {
            let whole = walked(address, operation, &format!("{query}&limit=500"));
            assert!(!whole.is_empty(), "{} {query}", operation.id);
            let mut seen = BTreeSet::new();
            assert!(whole.iter().all(|item| seen.insert(item.to_string())), "{}", operation.id);
            let held = runner(4, &mut random).run(&(1..60_usize), |limit| {
                let again = walked(address, operation, &format!("{query}&limit={limit}"));
                prop_assert_eq!(&again, &whole, "{}?{}&limit={}", operation.id, query, limit);
                Ok(())
            });
            held.unwrap();
        }
    }
}
