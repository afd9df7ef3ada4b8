//! The gate in front of every route: host, encoding, method, rate and role of a request, conditional
//! answers, and the headers that every answer has.

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};

use crate::monitor::access::{Asker, Role};
use crate::monitor::http::answer::Problem;
use crate::monitor::http::asking::App;
use crate::monitor::http::conditional::Condition;
use crate::monitor::http::host::Hosts;
use crate::monitor::http::large::paced;
use crate::monitor::http::request::check_encoding;
use crate::monitor::http::route::{Needs, Row, Table};
use crate::monitor::ui;

/// A router of these routes, behind the gate.
pub fn guarded(router: Router<App>, app: App, hosts: Hosts) -> Router {
    let gate = Gate { hosts, app: app.clone() };
    router
        .fallback(no_route)
        .layer(from_fn(move |request, next| guard(gate.clone(), request, next)))
        .with_state(app)
}

/// The checks in front of every route.
#[derive(Clone)]
struct Gate {
    hosts: Hosts,
    app: App,
}

/// Refuses requests that no route takes and callers that may not ask, and adds the headers that every
/// answer has.
async fn guard(gate: Gate, mut request: Request, next: Next) -> Response {
    let App { service, access, table, .. } = &gate.app;
    let path = request.extensions().get::<MatchedPath>();
    let row = path.and_then(|path| table.of(path.as_str()));
    let mut asker = Asker::default();
    let mut response = match turned_away(&gate, &mut request, row) {
        Some(response) => response,
        None => {
            let condition = Condition::of(&request);
            asker = request.extensions().get().copied().unwrap_or_default();
            condition.answer(next.run(request).await)
        }
    };
    response = access.base_path().answer(response).await;
    response = paced(&gate.app, asker, response).await;
    access.protect(&mut response);
    service.answers.add(response.status());
    response
}

/// The answer to a request that does not pass: too many were sent, it is malformed, or its caller may
/// not. All are counted, so that no form of request makes a flood free.
fn turned_away(gate: &Gate, request: &mut Request, row: Option<&Row>) -> Option<Response> {
    let access = &gate.app.access;
    let page = |problem: &Problem| ui::turned_away(&gate.app, problem);
    let page = is_for_people(row, request.uri().path()).then_some(page);
    if let Err(refused) = access.limit(request) {
        return Some(refused.answer(request, page));
    }
    if let Some(response) = refusal(gate, request, row) {
        return Some(response);
    }
    let refused = access.admit(request, needed(row, request.method())).err()?;
    Some(refused.answer(request, page))
}

/// True if a browser asks: an unknown address is a person's mistake, unless it is one of the API's.
fn is_for_people(row: Option<&Row>, path: &str) -> bool {
    let is_of_programs = || ["/api/", "/tile/"].iter().any(|of| path.starts_with(of));
    row.map_or_else(|| !is_of_programs(), Row::is_for_people)
}

/// The role that a request requires. Default deny: a method without a rule requires Admin. That an
/// address is unknown is told to viewers.
fn needed(row: Option<&Row>, method: &Method) -> Option<Role> {
    let of_row = |row: &Row| row.methods.needs(method).unwrap_or(Needs::Role(Role::Admin));
    row.map_or(Needs::VIEWER, of_row).role()
}

/// The answer to a request that no route is asked about: its form is wrong, or its method.
fn refusal(gate: &Gate, request: &Request, row: Option<&Row>) -> Option<Response> {
    if let Err(problem) = gate.hosts.check(request) {
        return Some(problem.into_response());
    }
    if let Err(problem) = check_encoding(request.uri()) {
        return Some(match is_for_people(row, request.uri().path()) {
            true => ui::turned_away(&gate.app, &problem),
            false => problem.into_response(),
        });
    }
    let methods = row.map(|row| &row.methods);
    let (method, path) = (request.method(), request.uri().path());
    let allowed = match methods {
        Some(methods) => methods.allowed(),
        None => Table::allowed_anywhere().to_owned(),
    };
    if *method == Method::OPTIONS && (methods.is_some() || path == "*") {
        return Some((StatusCode::NO_CONTENT, [(header::ALLOW, allowed)]).into_response());
    }
    if methods.is_some_and(|methods| methods.needs(method).is_none()) {
        let detail = format!("{path} answers {allowed}, not {method}");
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail);
        return Some(([(header::ALLOW, allowed)], problem).into_response());
    }
    (*method != Method::POST && has_body(request)).then(|| {
        let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "no body is accepted here");
        // The body that follows on the connection is never read.
        ([(header::CONNECTION, "close")], problem).into_response()
    })
}

fn has_body(request: &Request) -> bool {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let is_empty = |length: &[u8]| length.iter().all(|digit| *digit == b'0');
    length.is_some_and(|length| !is_empty(length.as_bytes()))
        || request.headers().contains_key(header::TRANSFER_ENCODING)
}

async fn no_route(State(app): State<App>, uri: Uri) -> Response {
    let detail = format!("not found: {}; the API is described at /api", uri.path());
    let problem = Problem::new(StatusCode::NOT_FOUND, detail);
    match is_for_people(None, uri.path()) {
        true => ui::refused(&app, &problem),
        false => problem.into_response(),
    }
}
