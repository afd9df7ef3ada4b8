//! Every line of the table of routes is served as it says: callers below its role are refused, others are
//! answered, OpenAPI describes it, the navigation leads to it, the documentation names it.

// A test may stop at the first thing that is not as it should be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use common::endpoint::*;
use common::openapi::Document;
use ledgerline::monitor::access::{AccessSettings, Role, Settings, tokens};
use ledgerline::monitor::routes::{self, Kind, Place, Row};
use regex::Regex;
use serde_json::json;

/// Values of the names in addresses, in the ledger of the test.
const NAMES: [(&str, &str); 11] = [
    ("/mappings/{name}", "/mappings/reefers"),
    ("/contracts/{name}", "/contracts/cold_chain"),
    ("/deadletters/{topic}/{partition}/{offset}", "/deadletters/telemetry/3/21"),
    ("{number}", "3"),
    ("{topic}", "telemetry"),
    ("{partition}", "3"),
    ("{offset}", "1"),
    ("{output}", "0"),
    ("{contract}", "cold_chain"),
    ("{key}", "C-001"),
    ("{function}", "update"),
];

/// A request for a route.
struct Asked {
    method: String,
    address: String,
    kind: &'static str,
    body: String,
}

impl Asked {
    /// The request of an operation's example, or one made of the names of an address.
    fn of(row: &Row, method: &str, document: &Document, token: &str) -> Self {
        let is_it =
            |one: &&common::openapi::Operation| one.path == row.path && one.method == method;
        if let Some(operation) = document.operations.iter().find(is_it) {
            let body = &operation.described["requestBody"]["content"]["application/json"];
            let body = match method {
                "POST" => body["example"].to_string(),
                _ => String::new(),
            };
            let address = operation.example().to_owned();
            return Self { method: method.to_owned(), address, kind: "application/json", body };
        }
        let mut address = row.path.replace("{*path}", "0/000");
        for (name, value) in NAMES {
            address = address.replace(name, value);
        }
        let body = if address == "/login" { format!("token={token}") } else { String::new() };
        Self { method: method.to_owned(), address, kind: "application/x-www-form-urlencoded", body }
    }

    fn send(&self, to: SocketAddr, headers: &str) -> Reply {
        let Self { method, address, kind, body } = self;
        let body = match method.as_str() {
            "POST" => {
                format!("Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            }
            _ => "\r\n".to_owned(),
        };
        let head = "Host: localhost\r\nConnection: close\r\n";
        send(to, &format!("{method} {address} HTTP/1.1\r\n{head}{headers}{body}"))
    }
}

/// Status of the refusal of a request; `None` for one that was answered.
fn refusal(reply: &Reply) -> Option<u16> {
    let is_login = reply.headers.get("location").is_some_and(|to| to.starts_with("/login?next="));
    match reply.status {
        303 if is_login => Some(401),
        401 | 403 => Some(reply.status),
        _ => None,
    }
}

#[test]
fn every_route_refuses_callers_below_its_role_and_answers_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.yaml");
    let tokens =
        Role::ALL.map(|role| tokens::add(&path, (&format!("some-{role}"), role), 0, None).unwrap());
    let access = AccessSettings { tokens: Some(path), ..AccessSettings::default() };
    let settings = Settings { access, ..Settings::open(([127, 0, 0, 1], 0).into()) };
    let bearer = |token: &String| format!("Authorization: Bearer {token}\r\n");
    let mut callers = vec![(String::new(), None)];
    callers.extend(tokens.iter().zip(Role::ALL).map(|(token, role)| (bearer(token), Some(role))));
    let open = run();
    let document = Document::of(open.endpoint.address());
    let mut routes = 0;
    for (headers, role) in callers {
        // One endpoint for each, as each may send a limited number of requests.
        let running = run_with_routes(&settings, routes::all());
        let address = running.endpoint.address();
        for route in routes::all() {
            let row = route.row();
            for rule in row.methods.rules() {
                routes += 1;
                let asked = Asked::of(row, rule.method.as_str(), &document, &tokens[0]);
                let reply = asked.send(address, &headers);
                let expected = match (rule.needs.role(), role) {
                    (Some(_), None) => Some(401),
                    (Some(needed), Some(role)) if role < needed => Some(403),
                    _ => None,
                };
                let said = format!("{} {} for {role:?}", asked.method, asked.address);
                assert_eq!(refusal(&reply), expected, "{said}: {} {}", reply.status, reply.text());
                if expected.is_none() {
                    let is_answered = match asked.method.as_str() {
                        "GET" => reply.status == 200,
                        _ => reply.status < 500 && ![404, 405, 415].contains(&reply.status),
                    };
                    assert!(is_answered, "{said}: {} {}", reply.status, reply.text());
                }
            }
            let unlisted =
                Asked { method: "DELETE".to_owned(), ..Asked::of(row, "GET", &document, "") };
            assert_eq!(unlisted.send(address, &headers).status, 405, "DELETE {}", row.path);
        }
    }
    assert!(routes > 4 * 60, "{routes}");
}

/// Method and path of every operation in a table.
fn operations(routes: &[routes::Route]) -> BTreeSet<(String, String)> {
    let rows = routes.iter().map(routes::Route::row);
    let operations = rows.filter(|row| matches!(row.kind, Kind::Operation(_)));
    let methods =
        operations.flat_map(|row| row.methods.rules().iter().map(move |rule| (rule, row)));
    methods.map(|(rule, row)| (rule.method.to_string(), row.path.to_owned())).collect()
}

#[test]
fn openapi_describes_every_operation_with_its_role_and_nothing_else() {
    let running = run();
    let document = Document::of(running.endpoint.address());
    let described: BTreeSet<_> =
        document.operations.iter().map(|one| (one.method.clone(), one.path.clone())).collect();
    let table = routes::all();
    assert_eq!(described, operations(&table));
    for route in &table {
        let row = route.row();
        for rule in row.methods.rules() {
            let is_it = |one: &&common::openapi::Operation| {
                one.path == row.path && one.method == rule.method.as_str()
            };
            let Some(operation) = document.operations.iter().find(is_it) else { continue };
            let role = rule.needs.role().map(|role| json!(role.to_string())).unwrap_or_default();
            assert_eq!(operation.described["x-role"], role, "{}", row.path);
        }
    }
}

/// Address and name of each link of a page's navigation, and the address of the current one.
fn navigation(page: &str) -> (Vec<(String, String)>, Option<String>) {
    let nav = page.split("aria-label=\"Pages of this ledger\"").nth(1).unwrap();
    let nav = nav.split("</nav>").next().unwrap();
    let link = Regex::new("<a href=\"([^\"]+)\"( aria-current=\"page\")?>([^<]+)</a>").unwrap();
    let found: Vec<_> = link.captures_iter(nav).collect();
    let current = found.iter().find(|one| one.get(2).is_some()).map(|one| one[1].to_owned());
    (found.iter().map(|one| (one[1].to_owned(), one[3].replace("&amp;", "&"))).collect(), current)
}

#[test]
fn the_navigation_leads_to_every_page() {
    let running = run_for(Role::Operator);
    let address = running.endpoint.address();
    let document = Document::of(address);
    let table = routes::all();
    let places = table.iter().filter_map(|route| match route.row().kind {
        Kind::Page(place) => Some((route.row(), place)),
        _ => None,
    });
    let places: Vec<_> = places.collect();
    let links: Vec<_> = places
        .iter()
        .filter_map(|(row, place)| match place {
            Place::Linked(name) => Some((row.path.to_owned(), (*name).to_owned())),
            _ => None,
        })
        .collect();
    assert!(links.len() > 5, "{links:?}");
    for (row, place) in &places {
        let expected = match place {
            Place::Linked(_) => Some(row.path.to_owned()),
            Place::Below(section) => Some((*section).to_owned()),
            Place::Outside => None,
        };
        if expected.is_none() && row.path != "/api" {
            continue;
        }
        let page = Asked::of(row, "GET", &document, "").send(address, "").text();
        assert_eq!(navigation(&page), (links.clone(), expected), "{}", row.path);
    }
    let outside: BTreeSet<_> = places
        .iter()
        .filter(|(_, place)| *place == Place::Outside)
        .map(|(row, _)| row.path)
        .collect();
    // Header and footer of every page lead there.
    assert_eq!(outside, BTreeSet::from(["/api", "/login", "/logout"]));
}

#[test]
fn the_documentation_names_every_route() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.md");
    let text = std::fs::read_to_string(page).unwrap();
    let spans: BTreeSet<_> =
        text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).collect();
    for route in routes::all() {
        let row = route.row();
        // What pages load is theirs alone; tiles have a form of their own.
        let named = match (&row.kind, row.path) {
            (Kind::File, "/tile/{*path}") => "/tile/…",
            (Kind::File, _) => continue,
            (_, path) => path,
        };
        let is_named = spans.contains(named) || spans.contains(format!("POST {named}").as_str());
        assert!(is_named, "docs/api.md does not name {named}");
    }
}

/// A page and an operation, as a file of their own would hold them.
mod hello {
    use ledgerline::monitor::routes::{
        About, App, Content, Operation, Parameters, Place, Route, Tag, nothing, page, question,
    };

    pub fn operation() -> Operation {
        let about = About {
            id: "sayHello",
            tag: Tag::Service,
            path: "/api/v1/hello",
            names: &[],
            summary: "Says hello.",
            more: "",
            example: "",
        };
        question(about, nothing, |app: &App, (): (), ()| {
            Ok(format!("hello from {}", app.service.queries.world().totals().records))
        })
    }

    pub fn route() -> Route {
        page("/hello", Place::Linked("Hello"), |_, given: Parameters| {
            given.finish()?;
            let body = maud::html! { p { "Hello." } };
            Ok(Content { title: "Hello".to_owned(), is_live: false, body })
        })
    }
}

#[test]
fn one_line_in_the_table_serves_describes_and_links_a_new_route() {
    let table = || {
        let mut table = routes::all();
        table.push(hello::operation().into());
        table.push(hello::route());
        table
    };
    let mut settings = Settings::open(([127, 0, 0, 1], 0).into());
    settings.access.anonymous = None;
    let closed = run_with_routes(&settings, table());
    let closed = closed.endpoint.address();
    assert_eq!(["/hello", "/api/v1/hello"].map(|path| get(closed, path).status), [303, 401]);
    settings.access.anonymous = Some(Role::Viewer);
    let running = run_with_routes(&settings, table());
    let address = running.endpoint.address();
    let document = Document::of(address);
    let operation = document.operation("sayHello");
    assert_eq!(operation.described["x-role"], "viewer");
    let reply = get(address, "/api/v1/hello");
    assert_eq!(document.wrong(operation, &reply), None);
    assert!(get(address, "/api").text().contains("sayHello"));
    let page = get(address, "/hello").text();
    assert!(page.contains("<title>Hello · ") && page.contains("<p>Hello.</p>"), "{page}");
    let (links, current) = navigation(&page);
    assert_eq!(links.last().unwrap().1, "Hello");
    assert_eq!(current.as_deref(), Some("/hello"));
    assert_eq!(get(address, "/hello?odd=1").status, 400);
}
