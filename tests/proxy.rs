//! The endpoint works behind a real nginx: events pass its buffers as they happen, and below a path
//! every link, form, redirect, cookie and stream stays below that path.

// A test may stop at the first thing that is not as it should be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::collections::{BTreeSet, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use common::endpoint::*;
use common::nginx::Nginx;
use ledgerline::clock::SystemClock;
use ledgerline::monitor::access::{AccessSettings, Role, Settings, tokens};
use regex::Regex;
use serde_json::json;

/// Pages that a crawl stops after.
const MOST_PAGES: usize = 150;
const FORM: &str = "application/x-www-form-urlencoded";

/// An endpoint below a path where anyone may look and one operator may log in.
struct Below {
    running: Running,
    token: String,
    _folder: tempfile::TempDir,
}

impl Below {
    fn start(base_path: &str) -> Self {
        Self::start_for(base_path, Some(Role::Viewer))
    }

    /// The same with what anyone may do.
    fn start_for(base_path: &str, anonymous: Option<Role>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.yaml");
        let token = tokens::add(&path, &tokens::Grant::new("ada", Role::Operator), 0).unwrap();
        let access = AccessSettings { anonymous, tokens: Some(path), ..AccessSettings::default() };
        let settings = Settings {
            access,
            base_path: base_path.parse().unwrap(),
            behind_proxy: true,
            ..Settings::open(([127, 0, 0, 1], 0).into())
        };
        let running = run_with(&settings, Arc::new(SystemClock::new()));
        Self { running, token, _folder: folder }
    }

    fn address(&self) -> SocketAddr {
        self.running.endpoint.address()
    }

    /// nginx in front of it, once so that it strips the path and once so that it does not.
    fn proxies(&self, base_path: &str) -> Option<[Nginx; 2]> {
        let proxy = |rest: &str| {
            Nginx::start(&format!(
                "location {base_path}/ {{ proxy_pass http://{}{rest}; \
                 proxy_set_header X-Forwarded-For $remote_addr; }}",
                self.address()
            ))
        };
        Some([proxy("/")?, proxy("")?])
    }
}

/// Addresses that a page leads to.
fn links(page: &str) -> Vec<String> {
    let pattern = Regex::new(" (?:href|src|action)=\"([^\"]*)\"").unwrap();
    let found = pattern.captures_iter(page).map(|found| found[1].replace("&amp;", "&"));
    found.collect()
}

#[test]
fn events_pass_the_buffers_of_nginx_as_they_happen() {
    let mut running = run();
    let location = format!("location / {{ proxy_pass http://{}; }}", running.endpoint.address());
    let Some(nginx) = Nginx::start(&location) else { return };
    let mut stream = TcpStream::connect(nginx.address).unwrap();
    // Shorter than a stream lives: at its end nginx would give out what it held.
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
        .write_all(b"GET /api/v1/stream?events=block HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut lines = BufReader::new(stream).lines().map(|line| line.expect("an event in time"));
    assert!(lines.next().unwrap().contains(" 200 "));
    // The first bytes come before anything happens.
    assert!(lines.by_ref().any(|line| line.starts_with("retry:")));
    for number in BLOCKS..BLOCKS + 3 {
        running.append(number);
        let data = lines.by_ref().find_map(|line| line.strip_prefix("data: ").map(str::to_owned));
        let data: serde_json::Value = serde_json::from_str(&data.unwrap()).unwrap();
        assert_eq!(data["number"], json!(number + 2));
    }
}

#[test]
fn a_stream_tells_proxies_not_to_hold_it_back() {
    let running = run();
    let reply = get(running.endpoint.address(), "/api/v1/stream");
    assert_eq!(reply.kind(), "text/event-stream");
    assert_eq!(reply.headers["x-accel-buffering"], "no");
    assert_eq!(reply.headers["cache-control"], "no-cache, no-transform");
}

#[test]
fn below_a_path_every_link_leads_to_something() {
    for base_path in ["/ledger", "/tools/ledger"] {
        let below = Below::start(base_path);
        let Some(proxies) = below.proxies(base_path) else { return };
        for (nginx, strips) in proxies.iter().zip([true, false]) {
            let start = format!("{base_path}/");
            let mut seen = BTreeSet::from([start.clone()]);
            let mut left = VecDeque::from([start]);
            let mut pages = 0;
            while let Some(path) = left.pop_front() {
                let reply = get(nginx.address, &path);
                assert_eq!(reply.status, 200, "{path}: {}", reply.text());
                if !reply.kind().starts_with("text/html") {
                    continue;
                }
                pages += 1;
                for link in links(&reply.text()) {
                    let link = link.split('#').next().unwrap().to_owned();
                    let is_below = link.is_empty() || link.starts_with(&format!("{base_path}/"));
                    assert!(is_below, "{path} leads to {link}");
                    // nginx decodes an address that it changes: `a%2Fb` becomes two names.
                    let is_lost = link.is_empty() || strips && link.contains("%2F");
                    if !is_lost && seen.len() < MOST_PAGES && seen.insert(link.clone()) {
                        left.push_back(link);
                    }
                }
            }
            assert!(pages > 50, "only {pages} pages were found below {base_path}");
        }
    }
}

#[test]
fn below_a_path_logins_redirects_and_the_api_stay_there() {
    let below = Below::start("/ledger");
    let Some(proxies) = below.proxies("/ledger") else { return };
    for nginx in proxies {
        let address = nginx.address;
        let body = format!("token={}&next=%2Fstate%2Fcold_chain", below.token);
        let reply = post(address, "/ledger/login", FORM, &body);
        assert_eq!(
            (reply.status, reply.headers["location"].as_str()),
            (303, "/ledger/state/cold_chain")
        );
        let cookie = reply.headers["set-cookie"].clone();
        assert!(
            cookie.starts_with("ledgerline=") && cookie.contains("; Path=/ledger;"),
            "{cookie}"
        );
        let cookie = format!("Cookie: {}\r\n", cookie.split(';').next().unwrap());
        let page = get_with(address, "/ledger/operations/cold_chain/update", &cookie).text();
        assert!(page.contains("action=\"/ledger/operations/cold_chain/update\""), "{page}");
        assert!(page.contains("action=\"/ledger/logout\""), "{page}");
        let reply = post(address, "/ledger/logout", FORM, "");
        assert_eq!((reply.status, reply.headers["location"].as_str()), (303, "/ledger/login"));
        // A login that goes wrong keeps the way it was going.
        let reply = post(address, "/ledger/login", FORM, "token=x&next=%2Fblocks");
        assert_eq!(reply.status, 401);
        assert!(reply.text().contains("href=\"/ledger/blocks\""), "{}", reply.text());
        let document = get(address, "/ledger/api/v1/openapi.json").json();
        assert_eq!(document["servers"][0]["url"], json!("/ledger"));
        let page = get(address, "/ledger/blocks?limit=3").text();
        assert!(page.contains("href=\"/ledger/blocks?before=29\" rel=\"next\""), "{page}");
        let reply = get(address, "/ledger/api/v1/stream?events=status");
        assert_eq!((reply.status, reply.kind()), (200, "text/event-stream"));
        let reply = get(address, "/ledger/nothing");
        assert_eq!((reply.status, reply.kind()), (404, "text/html; charset=utf-8"));
        assert!(reply.text().contains("href=\"/ledger/style.css\""), "{}", reply.text());
    }
    // Health checks and scrapes that do not pass the proxy need no path.
    for path in ["/readyz", "/ledger/readyz", "/metrics", "/ledger", "/ledger?", "/ledger/"] {
        assert_eq!(get(below.address(), path).status, 200, "{path}");
    }
    for path in ["/ledgers/", "/ledger/ledger/", "/ledger//blocks", "/Ledger/"] {
        assert_eq!(get(below.address(), path).status, 404, "{path}");
    }
    let head = "HEAD /ledger/blocks HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let reply = send(below.address(), head);
    assert_eq!((reply.status, reply.body.len()), (200, 0));
}

#[test]
fn below_a_path_strangers_are_led_to_the_login_and_back() {
    let below = Below::start_for("/ledger", None);
    let Some(proxies) = below.proxies("/ledger") else { return };
    for nginx in proxies {
        let address = nginx.address;
        let reply = get(address, "/ledger/state/cold_chain?prefix=C");
        let login = reply.headers["location"].clone();
        assert_eq!(reply.status, 303);
        assert_eq!(login, "/ledger/login?next=%2Fstate%2Fcold%5Fchain%3Fprefix%3DC");
        let page = get(address, &login).text();
        assert!(page.contains("action=\"/ledger/login\""), "{page}");
        let next = "name=\"next\" value=\"/state/cold_chain?prefix=C\"";
        assert!(page.contains(next), "{page}");
        let body = format!("token={}&next=/state/cold_chain?prefix=C", below.token);
        let reply = post(address, "/ledger/login", FORM, &body);
        let back = &reply.headers["location"];
        assert_eq!((reply.status, back.as_str()), (303, "/ledger/state/cold_chain?prefix=C"));
        let cookie = reply.headers["set-cookie"].split(';').next().unwrap();
        let page = get_with(address, back, &format!("Cookie: {cookie}\r\n"));
        assert_eq!(page.status, 200, "{}", page.text());
    }
}

#[test]
fn behind_a_plain_proxy_with_a_host_of_its_own_browsers_log_in() {
    let below = Below::start("/");
    let location = format!(
        "location / {{ proxy_pass http://{}; proxy_set_header X-Forwarded-For $remote_addr; \
         proxy_set_header X-Forwarded-Host $http_host; }}",
        below.address()
    );
    let Some(nginx) = Nginx::start(&location) else { return };
    let port = nginx.address.port();
    let log_in = |headers: &str| {
        let body = format!("token={}", below.token);
        let request = format!(
            "POST /login HTTP/1.1\r\nHost: ledger.example:{port}\r\nConnection: close\r\n\
             Content-Type: {FORM}\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            body.len()
        );
        send(nginx.address, &request).status
    };
    let (own, foreign) = (format!("http://ledger.example:{port}"), "http://evil.example");
    assert_eq!(log_in(&format!("Origin: {own}\r\n")), 303);
    assert_eq!(log_in(&format!("Origin: {foreign}\r\n")), 403);
    // nginx replaces what a client says of the host.
    let forged = format!("Origin: {foreign}\r\nX-Forwarded-Host: evil.example\r\n");
    assert_eq!(log_in(&forged), 403);
}

#[test]
fn below_a_path_the_roles_are_the_same() {
    let below = Below::start("/ledger");
    let address = below.address();
    let call = r#"{"contract":"cold_chain","function":"update","arguments":{"assetID":"X"}}"#;
    for path in ["/api/v1/calls?dry_run=true", "/ledger/api/v1/calls?dry_run=true"] {
        assert_eq!(post(address, path, "application/json", call).status, 401, "{path}");
        let head = "Host: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n";
        let (token, length) = (&below.token, call.len());
        let request = format!(
            "POST {path} HTTP/1.1\r\n{head}Authorization: Bearer {token}\r\n\
             Content-Length: {length}\r\n\r\n{call}"
        );
        assert_eq!(send(address, &request).status, 200, "{path}");
    }
    let reply = send(
        address,
        "DELETE /ledger/blocks HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(reply.status, 405);
}
