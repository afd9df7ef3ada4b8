//! Access control: every kind of caller on every kind of route, by bearer token, identity provider
//! token and login; and the limits for strangers and pages of other sites.

// A test may stop at the first thing that is not as it should be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use common::endpoint::*;
use common::{program, succeed, until};
use ledgerline::clock::{Clock, SystemClock};
use ledgerline::limits::{
    FAILED_LOGIN_BURST, FAILED_LOGIN_EVERY, KEPT_STREAMS, MAX_BODIES, MAX_CLIENT_CONNECTIONS,
    MAX_LOGIN_BODY_BYTES, MAX_SESSIONS, MAX_STREAMS, MAX_TOKEN_BYTES, REQUEST_BURST, REQUEST_EVERY,
    SESSION_LIFETIME,
};
use ledgerline::monitor::access::tokens::{self, PREFIX};
use ledgerline::monitor::access::{AccessSettings, JwtSettings, KeySource, Role, Settings};
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

const NOW_MS: i64 = 1_800_000_000_000;
const FORM: &str = "application/x-www-form-urlencoded";

/// A clock that stands still until it is told otherwise.
#[derive(Debug)]
struct Still(AtomicI64);

impl Still {
    fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(NOW_MS)))
    }

    fn pass(&self, time: Duration) {
        self.0.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for Still {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.now_ms()).unwrap())
    }
}

/// A folder with a file of tokens, one for each role.
struct Tokens {
    folder: tempfile::TempDir,
    of_role: [String; 3],
    expired: String,
}

impl Tokens {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.yaml");
        let add =
            |name: &str, role, until| tokens::add(&path, (name, role), NOW_MS, until).unwrap();
        let of_role = Role::ALL.map(|role| add(&format!("some-{role}"), role, None));
        let expired = add("late", Role::Admin, Some(NOW_MS));
        Self { folder, of_role, expired }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("tokens.yaml")
    }

    fn settings(&self, anonymous: Option<Role>) -> Settings {
        let tokens = Some(self.path());
        let access = AccessSettings { anonymous, tokens, ..AccessSettings::default() };
        Settings { access, ..Settings::open(([127, 0, 0, 1], 0).into()) }
    }
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// Sends a request with more headers, each ended.
fn ask(address: SocketAddr, method: &str, path: &str, headers: &str) -> Reply {
    let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    let length = if method == "POST" { "Content-Length: 0\r\n" } else { "" };
    send(address, &format!("{head}{length}{headers}\r\n"))
}

/// The outcome of a request at the access check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// It came to whatever is behind.
    Passed,
    /// It is asked who it is: 401, or the page for logging in.
    Who,
    /// It may not: 403.
    Denied,
}

fn door(reply: &Reply) -> Door {
    match reply.status {
        401 => Door::Who,
        303 if reply.headers["location"].starts_with("/login?next=") => Door::Who,
        403 => Door::Denied,
        _ => Door::Passed,
    }
}

/// A method, a path, and the role that it needs.
const ROUTES: [(&str, &str, Option<Role>); 24] = [
    ("GET", "/healthz", None),
    ("GET", "/readyz", None),
    ("GET", "/login", None),
    ("POST", "/login", None),
    ("POST", "/logout", None),
    ("GET", "/style.css", None),
    ("GET", "/icon.svg", None),
    ("GET", "/", Some(Role::Viewer)),
    ("HEAD", "/", Some(Role::Viewer)),
    ("GET", "/state/cold_chain?limit=3", Some(Role::Viewer)),
    ("GET", "/try", Some(Role::Viewer)),
    ("GET", "/live.js", Some(Role::Viewer)),
    ("GET", "/metrics", Some(Role::Viewer)),
    ("GET", "/checkpoint", Some(Role::Viewer)),
    ("GET", "/tile/0/000", Some(Role::Viewer)),
    ("GET", "/api/v1/status", Some(Role::Viewer)),
    ("HEAD", "/api/v1/status", Some(Role::Viewer)),
    ("GET", "/api/v1/deadletters/telemetry/3/21", Some(Role::Viewer)),
    ("GET", "/api/v1/absent", Some(Role::Viewer)),
    ("GET", "/absent", Some(Role::Viewer)),
    ("POST", "/try", Some(Role::Viewer)),
    ("POST", "/api/v1/try", Some(Role::Viewer)),
    ("POST", "/api/v1/calls", Some(Role::Operator)),
    ("POST", "/operations/cold_chain/update", Some(Role::Operator)),
];

#[test]
fn every_caller_on_every_route() {
    let tokens = Tokens::new();
    for anonymous in [None, Some(Role::Viewer)] {
        let running = run_with(&tokens.settings(anonymous), Still::new());
        let address = running.endpoint.address();
        let mut callers = vec![(String::new(), anonymous)];
        for (token, role) in tokens.of_role.iter().zip(Role::ALL) {
            callers.push((bearer(token), Some(role)));
            callers.push((format!("AUTHORIZATION: bearer  {token}\r\n"), Some(role)));
        }
        // A login of a proxy's in front is none of ours.
        callers.push(("Authorization: Basic YTpi\r\n".to_owned(), anonymous));
        for (headers, role) in &callers {
            let is_known = headers.to_ascii_lowercase().contains("bearer");
            for (method, path, needed) in ROUTES {
                let reply = ask(address, method, path, headers);
                let expected = match needed {
                    None => Door::Passed,
                    Some(needed) if role.is_some_and(|role| role >= needed) => Door::Passed,
                    Some(_) if is_known => Door::Denied,
                    Some(_) => Door::Who,
                };
                let said = (method, path, headers, role);
                assert_eq!(door(&reply), expected, "{said:?}: {} {}", reply.status, reply.text());
                assert_eq!(reply.headers.contains_key("www-authenticate"), reply.status == 401);
            }
        }
    }
}

#[test]
fn a_token_that_is_not_known_lets_nobody_in() {
    let tokens = Tokens::new();
    let viewer = &tokens.of_role[0];
    let (first, rest) = viewer.split_at(PREFIX.len() + 5);
    let altered = format!("{first}{}{}", if rest.starts_with('A') { 'B' } else { 'A' }, &rest[1..]);
    let file = std::fs::read_to_string(tokens.path()).unwrap();
    let digest = file.split("sha256: \"").nth(1).unwrap().split('"').next().unwrap();
    for anonymous in [None, Some(Role::Viewer)] {
        for (token, said) in [
            (altered.as_str(), "unknown token"),
            (&viewer[..viewer.len() - 1], "unknown token"),
            (&viewer.to_uppercase(), "unknown token"),
            (digest, "unknown token"),
            ("some-viewer", "unknown token"),
            ("", "unknown token"),
            (&"x".repeat(MAX_TOKEN_BYTES), "unknown token"),
            (&tokens.expired, "has expired"),
        ] {
            let running = run_with(&tokens.settings(anonymous), Still::new());
            let address = running.endpoint.address();
            // A wrong token is not as good as none: its sender should know.
            for path in ["/api/v1/status", "/metrics", "/"] {
                let reply = get_with(address, path, &bearer(token));
                assert_eq!(reply.status, 401, "{path} {token}: {}", reply.text());
                assert!(reply.headers["www-authenticate"].contains("error=\"invalid_token\""));
                assert!(reply.text().contains(said), "{token}: {}", reply.text());
                assert!(!reply.text().contains("cold_chain") && !reply.text().contains(viewer));
            }
            assert_eq!(get_with(address, "/healthz", &bearer(token)).status, 200);
        }
    }
}

#[test]
fn without_any_access_set_up_the_way_to_it_is_told() {
    let running = run();
    let address = running.endpoint.address();
    let reply = ask(address, "POST", "/api/v1/calls", "");
    assert_eq!((reply.status, reply.kind()), (403, "application/problem+json"));
    for part in [
        "operator",
        "`ledgerline token NAME --role operator --file tokens.yaml`",
        "monitor.access.tokens",
    ] {
        assert!(reply.text().contains(part), "{part}: {}", reply.text());
    }
    let reply = ask(address, "POST", "/operations/cold_chain/update", "");
    assert_eq!((reply.status, reply.kind()), (403, "text/html; charset=utf-8"));
    assert!(reply.text().contains("ledgerline token"), "{}", reply.text());
    assert!(!get(address, "/").text().contains("Log in"), "there is nothing to log in with");
}

#[test]
fn a_token_that_is_taken_back_ends_and_a_new_one_begins() {
    let tokens = Tokens::new();
    let running = run_with(&tokens.settings(None), Arc::new(SystemClock::new()));
    let address = running.endpoint.address();
    let status = |token: &str| get_with(address, "/api/v1/status", &bearer(token)).status;
    let [viewer, operator, _] = &tokens.of_role;
    let cookie = log_in(address, viewer);
    assert_eq!((status(viewer), status(operator)), (200, 200));
    let text = std::fs::read_to_string(tokens.path()).unwrap();
    let without: String = text
        .lines()
        .filter(|line| !line.contains("some-viewer"))
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(tokens.path(), without).unwrap();
    let new = tokens::add(&tokens.path(), ("new", Role::Viewer), NOW_MS, None).unwrap();
    until("the file is read again", || (status(&new) == 200).then_some(()));
    assert_ne!(status(viewer), 200);
    assert_eq!(status(operator), 200);
    let session = get_with(address, "/api/v1/status", &format!("Cookie: {cookie}\r\n"));
    assert_eq!(session.status, 401, "its login has ended too");
    std::fs::remove_file(tokens.path()).unwrap();
    until("nobody is let in", || (status(&new) != 200 && status(operator) != 200).then_some(()));
}

/// Logs in; the cookie.
fn log_in(address: SocketAddr, token: &str) -> String {
    let reply = post(address, "/login", FORM, &format!("token={token}&next=%2Fblocks"));
    assert_eq!((reply.status, reply.headers["location"].as_str()), (303, "/blocks"));
    let cookie = &reply.headers["set-cookie"];
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    cookie.split(';').next().unwrap().to_owned()
}

#[test]
fn a_browser_logs_in_and_out() {
    let tokens = Tokens::new();
    let clock = Still::new();
    let running = run_with(&tokens.settings(None), clock.clone());
    let address = running.endpoint.address();
    let with = |cookie: &str, path: &str| get_with(address, path, &format!("Cookie: {cookie}\r\n"));
    let asked = get(address, "/state/cold_chain?prefix=C-00");
    assert_eq!(asked.status, 303);
    let login = get(address, &asked.headers["location"]).text();
    assert!(login.contains("name=\"next\" value=\"/state/cold_chain?prefix=C-00\""), "{login}");
    assert!(login.contains("type=\"password\"") && !login.contains("<script"), "{login}");
    let cookies: Vec<_> = tokens.of_role.iter().map(|token| log_in(address, token)).collect();
    assert_ne!(cookies[0], cookies[1]);
    for (cookie, role) in cookies.iter().zip(Role::ALL) {
        let page = with(cookie, "/").text();
        assert!(page.contains(&format!("<bdi>some-{role}</bdi> ({role})")), "{role}");
        assert!(page.contains("Log out"));
        let header = format!("Cookie: other=1; {cookie}\r\n");
        let call = door(&ask(address, "POST", "/api/v1/calls", &header));
        let expected = if role < Role::Operator { Door::Denied } else { Door::Passed };
        assert_eq!(call, expected, "{role}");
    }
    for (token, said) in
        [("x", "unknown token"), (&*tokens.expired, "has expired"), ("", "unknown token")]
    {
        let reply = post(address, "/login", FORM, &format!("token={token}"));
        assert_eq!((reply.status, reply.kind()), (401, "text/html; charset=utf-8"));
        assert!(reply.text().contains(said) && !reply.headers.contains_key("set-cookie"));
    }
    for next in ["%2F%2Fevil.example", "https:%2F%2Fevil.example", "%2F%5Cevil.example"] {
        let body = format!("token={}&next={next}", tokens.of_role[0]);
        assert_eq!(post(address, "/login", FORM, &body).headers["location"], "/");
    }
    let out = ask(address, "POST", "/logout", &format!("Cookie: {}\r\n", cookies[0]));
    assert_eq!((out.status, out.headers["location"].as_str()), (303, "/login"));
    assert!(out.headers["set-cookie"].contains("Max-Age=0"));
    assert_eq!(with(&cookies[0], "/").status, 303);
    assert_eq!(with(&cookies[1], "/").status, 200);
    clock.pass(SESSION_LIFETIME);
    assert_eq!(with(&cookies[1], "/").status, 303, "a login does not last for ever");
    assert_eq!(with("ledgerline=", "/").status, 303);
}

#[test]
fn a_page_of_another_site_can_do_nothing() {
    let tokens = Tokens::new();
    let running = run_with(&tokens.settings(Some(Role::Viewer)), Still::new());
    let address = running.endpoint.address();
    let cookie = log_in(address, &tokens.of_role[1]);
    for (headers, is_refused) in [
        ("", false),
        ("Sec-Fetch-Site: same-origin\r\n", false),
        ("Sec-Fetch-Site: none\r\n", false),
        ("Sec-Fetch-Site: same-site\r\n", true),
        ("Sec-Fetch-Site: cross-site\r\n", true),
        ("Origin: http://localhost\r\n", false),
        ("Origin: http://localhost:81\r\n", true),
        ("Origin: https://evil.example\r\n", true),
        ("Origin: null\r\n", true),
        ("Sec-Fetch-Site: cross-site\r\nOrigin: http://localhost\r\n", true),
    ] {
        for path in [
            "/api/v1/calls",
            "/operations/cold_chain/update",
            "/api/v1/try",
            "/try",
            "/login",
            "/logout",
        ] {
            let reply = ask(address, "POST", path, &format!("Cookie: {cookie}x\r\n{headers}"));
            let is_foreign = reply.status == 403 && reply.text().contains("another site");
            assert_eq!(
                is_foreign,
                is_refused,
                "{path} {headers}: {} {}",
                reply.status,
                reply.text()
            );
        }
        assert_eq!(get_with(address, "/", headers).status, 200, "to look is no harm: {headers}");
    }
}

#[test]
fn a_client_that_asks_too_often_is_told_to_wait() {
    let tokens = Tokens::new();
    let clock = Still::new();
    let settings = Settings { behind_proxy: true, ..tokens.settings(Some(Role::Viewer)) };
    let running = run_with(&settings, clock.clone());
    let address = running.endpoint.address();
    let from =
        |client: &str| get_with(address, "/healthz", &format!("X-Forwarded-For: {client}\r\n"));
    for _ in 0..REQUEST_BURST {
        assert_eq!(from("203.0.113.7").status, 200);
    }
    let reply = from("203.0.113.7");
    assert_eq!((reply.status, reply.headers["retry-after"].as_str()), (429, "1"));
    assert_eq!(from("198.51.100.1, 203.0.113.7").status, 429, "only the proxy's word counts");
    assert_eq!(from("203.0.113.8").status, 200, "another is not held up");
    assert_eq!(get(address, "/healthz").status, 200);
    clock.pass(REQUEST_EVERY);
    assert_eq!((from("203.0.113.7").status, from("203.0.113.7").status), (200, 429));
    // No form of request is free.
    for (method, path, headers, alone) in [
        ("OPTIONS", "/blocks", "", 204),
        ("OPTIONS", "*", "", 204),
        ("DELETE", "/blocks", "", 405),
        ("GET", "/%zz", "", 400),
        ("GET", "/api/%zz", "", 400),
        ("GET", "/blocks", "Host: localhost\r\n", 400),
        ("GET", "http://elsewhere.example/", "", 421),
        ("GET", "/blocks", "Content-Length: 1\r\n", 413),
    ] {
        let headers = format!("X-Forwarded-For: 203.0.113.7\r\n{headers}");
        let status = || ask(address, method, path, &headers).status;
        assert_eq!(status(), 429, "{method} {path} {headers}");
        clock.pass(REQUEST_EVERY);
        assert_eq!((status(), status()), (alone, 429), "{method} {path} {headers}");
    }

    let guess = |client: &str, token: &str| {
        let headers = format!("X-Forwarded-For: {client}\r\n{}", bearer(token));
        get_with(address, "/api/v1/status", &headers)
    };
    for _ in 0..FAILED_LOGIN_BURST {
        assert_eq!(guess("203.0.113.9", "x").status, 401);
    }
    let reply = guess("203.0.113.9", "x");
    assert_eq!((reply.status, reply.kind()), (429, "application/problem+json"));
    let wait = Duration::from_secs(reply.headers["retry-after"].parse().unwrap());
    assert!(wait >= FAILED_LOGIN_EVERY && wait <= FAILED_LOGIN_EVERY + Duration::from_secs(1));
    assert_eq!(guess("203.0.113.9", &tokens.of_role[0]).status, 200, "who is known may pass");
    assert_eq!(guess("203.0.113.10", "x").status, 401);
    let body = "token=x";
    let form = format!(
        "POST /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Forwarded-For: 203.0.113.9\r\n\
         Content-Type: {FORM}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(send(address, &form).status, 429, "logins are counted with them");
    clock.pass(wait);
    assert_eq!(guess("203.0.113.9", "x").status, 401);
}

/// An address of this machine that others reach; nothing is sent to find it.
fn outer_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|address| !address.is_loopback())
}

#[test]
fn one_client_cannot_take_every_connection() {
    let Some(outer) = outer_address() else {
        println!("skipped: this machine has no address but its own");
        return;
    };
    let running = run_with(&Settings::open(([0, 0, 0, 0], 0).into()), Still::new());
    let port = running.endpoint.address().port();
    let connect = || {
        let mut stream = TcpStream::connect((outer, port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let head = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
        // One that is turned away may be gone by now.
        let _ = stream.write_all(head.as_bytes());
        let is_in = stream.read(&mut [0; 1_024]).is_ok_and(|length| length > 0);
        is_in.then_some(stream)
    };
    let mut held: Vec<_> = (0..MAX_CLIENT_CONNECTIONS).map(|_| connect().unwrap()).collect();
    let is_closed = |stream: &mut TcpStream| matches!(stream.read(&mut [0; 1_024]), Ok(0) | Err(_));
    held.push(connect().unwrap());
    assert!(is_closed(&mut held[0]), "the oldest makes room for the newest");
    let here = SocketAddr::from(([127, 0, 0, 1], port));
    assert_eq!(get(here, "/healthz").status, 200, "others are not held up");
    // One that has been let in stays.
    held[1].write_all(b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert!(!is_closed(&mut held[1]));
    held.push(connect().unwrap());
    assert!(is_closed(&mut held[2]));
    held[1].write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert!(!is_closed(&mut held[1]));
}

/// A connection that has begun to send a body and goes no further.
fn begin_body(address: SocketAddr, path: &str, (kind, headers): (&str, &str)) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\
         Content-Type: {kind}\r\nContent-Length: 1000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(b"token=").unwrap();
    stream
}

#[test]
fn slow_bodies_lock_nobody_out() {
    let tokens = Tokens::new();
    let known = bearer(&tokens.of_role[1]);
    let call = |address| {
        let body = "{}";
        let length = body.len();
        let request = format!(
            "POST /api/v1/calls HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{known}\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        send(address, &request)
    };
    let running = run_with(&tokens.settings(None), Still::new());
    let address = running.endpoint.address();
    let slow: Vec<_> =
        (0..20 * MAX_BODIES).map(|_| begin_body(address, "/login", (FORM, ""))).collect();
    for token in &tokens.of_role {
        log_in(address, token);
        assert_eq!(call(address).status, 400, "an empty call is read and refused");
    }
    let first = slow.into_iter().next().unwrap();
    let late = exchange(first, "");
    assert_eq!(late.status, 408, "{}", late.text());
    // Who may do nothing but look has no more than its share.
    let running = run_with(&tokens.settings(Some(Role::Viewer)), Still::new());
    let address = running.endpoint.address();
    let kind = ("application/json", "");
    let _slow: Vec<_> = (0..MAX_BODIES).map(|_| begin_body(address, "/api/v1/try", kind)).collect();
    let is_full = || {
        let reply = post(address, "/api/v1/try", "application/json", "{}");
        (reply.status == 503).then_some(reply)
    };
    let reply = until("the places of strangers are taken", is_full);
    assert_eq!(reply.headers["retry-after"], "1");
    assert_eq!(call(address).status, 400, "a known caller still has a place");
    log_in(address, &tokens.of_role[1]);
}

#[test]
fn a_form_for_logging_in_is_short() {
    let tokens = Tokens::new();
    let running = run_with(&tokens.settings(None), Still::new());
    let address = running.endpoint.address();
    let token = &tokens.of_role[0];
    let long = "%2Fx".repeat(MAX_LOGIN_BODY_BYTES / 4);
    let reply = post(address, "/login", FORM, &format!("token={token}&next={long}"));
    assert_eq!(reply.status, 413, "{}", reply.text());
    let long = "x".repeat(MAX_TOKEN_BYTES);
    assert_eq!(post(address, "/login", FORM, &format!("token={long}")).status, 401);
}

#[test]
fn known_callers_have_places_when_all_others_are_taken() {
    let tokens = Tokens::new();
    let running = run_with(&tokens.settings(Some(Role::Viewer)), Still::new());
    let address = running.endpoint.address();
    let open = |headers: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let head = format!("GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut begin = [0; 12];
        stream.read_exact(&mut begin).unwrap();
        (begin == *b"HTTP/1.1 200").then_some(stream)
    };
    let strangers: Vec<_> = (0..MAX_STREAMS).map_while(|_| open("")).collect();
    assert_eq!(strangers.len(), MAX_STREAMS - KEPT_STREAMS);
    let known = bearer(&tokens.of_role[0]);
    let callers: Vec<_> = (0..MAX_STREAMS).map_while(|_| open(&known)).collect();
    assert_eq!(callers.len(), KEPT_STREAMS);
}

/// A clock that was never set, or is set to a date that nothing can write.
#[derive(Debug)]
struct Odd(i64);

impl Clock for Odd {
    fn now_ms(&self) -> i64 {
        self.0
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(1)
    }
}

#[test]
fn no_date_brings_it_down() {
    let tokens = Tokens::new();
    // The last moment that a timestamp can be of, in any offset.
    let last = 253_402_207_200_000;
    for now_ms in [0, -1, 1_000, last, last + 86_400_000, i64::MAX, i64::MIN] {
        let running = run_with(&tokens.settings(None), Arc::new(Odd(now_ms)));
        let address = running.endpoint.address();
        let known = bearer(&tokens.of_role[0]);
        for path in ["/", "/api/v1/status", "/metrics", "/blocks", "/state/cold_chain/C-001"] {
            let reply = get_with(address, path, &known);
            assert_eq!(reply.status, 200, "{now_ms} {path}: {}", reply.text());
            let has_date = reply.headers.contains_key("date");
            assert_eq!(has_date, (1_000..=last).contains(&now_ms), "{now_ms}");
        }
        let login = post(address, "/login", FORM, &format!("token={}", tokens.of_role[0]));
        assert_eq!(login.status, 303, "{now_ms}: {}", login.text());
    }
}

#[test]
fn an_answer_says_what_a_browser_may_do_with_it() {
    let tokens = Tokens::new();
    for (anonymous, tile) in [(Some(Role::Viewer), "public"), (None, "private")] {
        let running = run_with(&tokens.settings(anonymous), Still::new());
        let address = running.endpoint.address();
        let known = bearer(&tokens.of_role[0]);
        for (path, headers) in
            [("/", &*known), ("/api/v1/status", ""), ("/absent", ""), ("/login", "")]
        {
            let reply = get_with(address, path, headers);
            for (name, begin) in [
                ("content-security-policy", "default-src 'none'"),
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "no-referrer"),
                ("cross-origin-opener-policy", "same-origin"),
                ("cross-origin-resource-policy", "same-origin"),
                ("permissions-policy", "camera=()"),
                ("cache-control", "no-"),
            ] {
                assert!(reply.headers[name].starts_with(begin), "{path} {name}");
            }
            assert!(!reply.headers.contains_key("strict-transport-security"), "not without TLS");
            assert!(!reply.headers.contains_key("access-control-allow-origin"));
        }
        let kept = get_with(address, "/tile/0/000", &known).headers["cache-control"].clone();
        assert!(
            kept.starts_with(tile),
            "what not everyone may see, nobody keeps for others: {kept}"
        );
    }
}

#[test]
fn a_stranger_learns_nothing_but_that_it_is_one() {
    let tokens = Tokens::new();
    let running = run_with(&tokens.settings(None), Still::new());
    let address = running.endpoint.address();
    running.obstacles.lock().unwrap().push("the broker kafka:9092 is away".to_owned());
    let known = bearer(&tokens.of_role[0]);
    let secrets = [LEDGER, "kafka:9092", "32 blocks", "cold_chain", "reefers", "telemetry"];
    for (method, path, needed) in ROUTES {
        for headers in ["", "Sec-Fetch-Site: cross-site\r\n", &bearer("x")] {
            // What someone names is no secret to them.
            if needed.is_some_and(|_| path.contains("cold_chain") || path.contains("telemetry")) {
                continue;
            }
            let reply = ask(address, method, path, headers);
            let said = format!("{:?}{}", reply.headers, reply.text());
            for secret in secrets {
                assert!(!said.contains(secret), "{method} {path} {headers}: {secret} in {said}");
            }
        }
    }
    let said = get_with(address, "/readyz", &known);
    assert!(
        said.status == 503 && said.text().contains("kafka:9092"),
        "callers with the viewer role get the reasons"
    );
    assert_eq!(get(address, "/readyz").status, 503);
}

/// An identity provider with a key.
struct Provider {
    pair: EcdsaKeyPair,
    id: &'static str,
}

impl Provider {
    fn new(id: &'static str) -> Self {
        let (how, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(how, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(how, document.as_ref(), &random).unwrap();
        Self { pair, id }
    }

    fn key_set(&self) -> String {
        let point = self.pair.public_key().as_ref();
        let part = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let (x, y) = (part(&point[1..33]), part(&point[33..]));
        json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": self.id, "use": "sig", "x": x, "y": y}]})
            .to_string()
    }

    fn message(header: &Value, claims: &Value) -> String {
        [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string())).join(".")
    }

    fn sign(&self, claims: &Value) -> String {
        let message = Self::message(&json!({"alg": "ES256", "kid": self.id}), claims);
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

fn claims(role: &str) -> Value {
    json!({
        "iss": "https://id.example", "aud": ["ledgerline"], "sub": "ada@example.com",
        "exp": NOW_MS / 1_000 + 600, "roles": [role],
    })
}

fn with_provider(keys: KeySource) -> Settings {
    let jwt = JwtSettings {
        issuer: "https://id.example".to_owned(),
        audience: "ledgerline".to_owned(),
        keys,
        authorities: None,
        name_claim: "sub".to_owned(),
        role_claim: "roles".to_owned(),
        roles: Role::ALL.map(|role| (format!("ledger-{role}"), role)).into(),
    };
    let access = AccessSettings { jwt: Some(jwt), ..AccessSettings::default() };
    Settings { access, ..Settings::open(([127, 0, 0, 1], 0).into()) }
}

#[test]
fn an_identity_provider_says_who_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (file, provider) = (folder.path().join("keys.json"), Provider::new("one"));
    std::fs::write(&file, provider.key_set()).unwrap();
    let clock = Still::new();
    let running = run_with(&with_provider(KeySource::File(file.clone())), clock.clone());
    let address = running.endpoint.address();
    let status = |token: &str| get_with(address, "/api/v1/status", &bearer(token)).status;
    for role in Role::ALL {
        let token = bearer(&provider.sign(&claims(&format!("ledger-{role}"))));
        assert_eq!(get_with(address, "/api/v1/status", &token).status, 200);
        assert!(
            get_with(address, "/", &token)
                .text()
                .contains(&format!("ada@example.com</bdi> ({role})"))
        );
        let call = door(&ask(address, "POST", "/api/v1/calls", &token));
        assert_eq!(call == Door::Passed, role >= Role::Operator, "{role}");
    }
    let good = claims("ledger-viewer");
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        provider.sign(&claims)
    };
    let unsigned = |alg: &str| Provider::message(&json!({"alg": alg, "kid": "one"}), &good);
    let public = provider.pair.public_key().as_ref();
    let secret =
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, public), unsigned("HS256").as_bytes());
    let token = provider.sign(&good);
    for (what, token, expected) in [
        ("another issuer", with("iss", json!("https://other.example")), 401),
        ("another audience", with("aud", json!("other")), 401),
        ("expired", with("exp", json!(NOW_MS / 1_000 - 61)), 401),
        ("not yet", with("nbf", json!(NOW_MS / 1_000 + 61)), 401),
        ("no role", with("roles", json!(["staff"])), 403),
        ("another key", Provider::new("one").sign(&good), 401),
        ("an unknown key", Provider::new("two").sign(&good), 401),
        ("no signature", format!("{}.", unsigned("none")), 401),
        (
            "a public secret",
            format!("{}.{}", unsigned("HS256"), BASE64_URL_SAFE_NO_PAD.encode(secret)),
            401,
        ),
        ("altered", token.replacen(".ey", ".eY", 1), 401),
        ("cut", token[..token.len() - 1].to_owned(), 401),
    ] {
        assert_eq!(status(&token), expected, "{what}");
    }
    let login = post(address, "/login", FORM, &format!("token={token}"));
    let cookie = login.headers["set-cookie"].split(';').next().unwrap().to_owned();
    let session = || get_with(address, "/", &format!("Cookie: {cookie}\r\n")).status;
    assert_eq!((session(), status(&token)), (200, 200));
    clock.pass(Duration::from_secs(660));
    assert_eq!((session(), status(&token)), (303, 401), "a login ends with its token");
    let other = Provider::new("two");
    std::fs::write(&file, "{").unwrap();
    let late = json!(NOW_MS / 1_000 + 10_000);
    let mut later = good.clone();
    later["exp"] = late;
    assert_eq!(status(&provider.sign(&later)), 200);
    std::fs::write(&file, other.key_set()).unwrap();
    until("the keys are read again", || (status(&other.sign(&later)) == 200).then_some(()));
    assert_ne!(status(&provider.sign(&later)), 200);
}

#[test]
fn a_login_ends_when_the_key_of_its_token_is_withdrawn() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    // A provider may give a new key the name of the old one.
    for (old, new) in
        [(Provider::new("one"), Provider::new("two")), (Provider::new("one"), Provider::new("one"))]
    {
        std::fs::write(&file, old.key_set()).unwrap();
        let running = run_with(&with_provider(KeySource::File(file.clone())), Still::new());
        let address = running.endpoint.address();
        let log_in = |provider: &Provider| {
            let token = provider.sign(&claims("ledger-viewer"));
            let reply = post(address, "/login", FORM, &format!("token={token}"));
            let cookie = reply.headers.get("set-cookie")?.split(';').next().unwrap();
            Some(format!("Cookie: {cookie}\r\n"))
        };
        let first = log_in(&old).unwrap();
        assert_eq!(get_with(address, "/", &first).status, 200);
        std::fs::write(&file, new.key_set()).unwrap();
        let second = until("the keys are read again", || log_in(&new));
        assert_eq!(get_with(address, "/", &first).status, 303, "{} then {}", old.id, new.id);
        assert_eq!(get_with(address, "/", &second).status, 200);
    }
}

#[test]
fn one_caller_cannot_log_the_others_out() {
    let tokens = Tokens::new();
    let clock = Still::new();
    let running = run_with(&tokens.settings(None), clock.clone());
    let address = running.endpoint.address();
    let [viewer, operator, _] = &tokens.of_role;
    let other = log_in(address, operator);
    // The oldest of all.
    clock.pass(Duration::from_secs(1));
    for _ in 0..=MAX_SESSIONS {
        log_in(address, viewer);
    }
    let cookie = format!("Cookie: {other}\r\n");
    assert_eq!(get_with(address, "/", &cookie).status, 200);
}

/// A browser's request over plain HTTP names the page's origin and nothing else. Whoever is no proxy
/// of ours cannot say which host it was for.
#[test]
fn the_word_of_a_proxy_for_its_host_counts_behind_one_alone() {
    let tokens = Tokens::new();
    for behind_proxy in [false, true] {
        let settings = Settings { behind_proxy, ..tokens.settings(Some(Role::Viewer)) };
        let running = run_with(&settings, Still::new());
        let address = running.endpoint.address();
        for (host, origin, is_own) in [
            ("ledger.example", "http://ledger.example", true),
            ("ledger.example", "http://evil.example", false),
            ("evil.example, ledger.example", "http://evil.example", false),
        ] {
            let headers = format!("X-Forwarded-Host: {host}\r\nOrigin: {origin}\r\n");
            let reply = ask(address, "POST", "/logout", &headers);
            let expected = if is_own && behind_proxy { 303 } else { 403 };
            assert_eq!(reply.status, expected, "{behind_proxy} {headers}: {}", reply.text());
        }
        // A script of another site that would forge the header asks first, and is not allowed.
        let reply = ask(
            address,
            "OPTIONS",
            "/api/v1/calls",
            "Origin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n\
             Access-Control-Request-Headers: x-forwarded-host\r\n",
        );
        let allows = |name: &String| name.starts_with("access-control-");
        assert!(!reply.headers.keys().any(allows), "{:?}", reply.headers);
    }
}

#[test]
fn keys_are_asked_for_and_strangers_cannot_make_that_often() {
    let provider = Provider::new("one");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let (count, body) = (asked.clone(), provider.key_set());
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut head = [0; 4_096];
            let length = stream.read(&mut head).unwrap();
            assert!(head[..length].starts_with(b"GET /keys HTTP/1.1\r\n"));
            count.fetch_add(1, Ordering::SeqCst);
            let length = body.len();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let running = run_with(&with_provider(KeySource::Url(url)), Still::new());
    let address = running.endpoint.address();
    let status = |token: &str| get_with(address, "/api/v1/status", &bearer(token)).status;
    let token = provider.sign(&claims("ledger-viewer"));
    until("the keys are there", || (status(&token) == 200).then_some(()));
    for _ in 0..10 {
        assert_ne!(status(&Provider::new("two").sign(&claims("ledger-viewer"))), 200);
    }
    assert_eq!(status(&token), 200);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[test]
fn the_command_makes_tokens_that_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens.yaml");
    let path = file.to_str().unwrap();
    let made = succeed(&["token", "ada", "--role", "operator", "--file", path, "--days", "30"]);
    let token = made.trim();
    assert!(token.starts_with(PREFIX) && made.lines().count() == 1, "{made}");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("name: \"ada\", role: operator") && text.contains("expires"), "{text}");
    assert!(!text.contains(token));
    let access = AccessSettings { tokens: Some(file.clone()), ..AccessSettings::default() };
    let settings = Settings { access, ..Settings::open(([127, 0, 0, 1], 0).into()) };
    let running = run_with(&settings, Arc::new(SystemClock::new()));
    let address = running.endpoint.address();
    assert_eq!(get_with(address, "/api/v1/status", &bearer(token)).status, 200);
    for (arguments, code, said) in [
        (&["token", "a b", "--role", "viewer", "--file", path][..], 64, "`a b`"),
        (&["token", "ada", "--role", "root", "--file", path], 64, "viewer, operator and admin"),
        (&["token", "ada", "--role", "viewer", "--file", "/no/such/folder/t.yaml"], 66, "/no/such"),
    ] {
        let ended = program(arguments);
        let error = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(said) && ended.stdout.is_empty(), "{error}");
    }
    std::fs::write(&file, "- x\n").unwrap();
    assert_eq!(
        program(&["token", "ada", "--role", "viewer", "--file", path]).status.code(),
        Some(78)
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "- x\n");
}
