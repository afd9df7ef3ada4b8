//! Everything that is served, and what holds for every request: who may ask whom, what a browser may
//! do with an answer, and when there is nothing new to answer.

use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::ledger::tiles::TilePath;
use crate::monitor::access::{Asker, Role, is_page};
use crate::monitor::answer::{Problem, immutable};
use crate::monitor::asking::{Answer, App, ask};
use crate::monitor::conditional::Condition;
use crate::monitor::host::Hosts;
use crate::monitor::large::paced;
use crate::monitor::request::check_encoding;
use crate::monitor::route::{Methods, Needs, Route, Table, router};
use crate::monitor::service::Service;
use crate::monitor::{api, ui};
use crate::query::QueryError;

/// All routes, for requests to these hosts by those who may.
pub fn routes(app: App, hosts: Hosts) -> Router {
    let mut routes = api::routes();
    routes.push(Route::get("/tile/{*path}", get(tile)));
    routes.extend(ui::routes());
    let (router, table) = router(routes);
    let gate = Gate { hosts, app: app.clone(), table: Arc::new(table) };
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
    table: Arc<Table>,
}

/// Refuses what no route takes and whoever may not ask, and says on every answer what a browser may
/// do with it.
async fn guard(gate: Gate, mut request: Request, next: Next) -> Response {
    let App { service, access, .. } = &gate.app;
    let path = request.extensions().get::<MatchedPath>();
    let methods = path.and_then(|path| gate.table.of(path.as_str()));
    let mut asker = Asker::default();
    let mut response = match turned_away(&gate, &mut request, methods) {
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
fn turned_away(gate: &Gate, request: &mut Request, methods: Option<&Methods>) -> Option<Response> {
    let App { service, access, .. } = &gate.app;
    let page = |problem: &Problem| ui::turned_away(service, problem);
    if let Err(refused) = access.limit(request) {
        return Some(refused.answer(request, page));
    }
    if let Some(response) = refusal((gate.hosts, service), request, methods) {
        return Some(response);
    }
    let needed = needed(methods, request.method());
    let refused = access.admit(request, needed).err()?;
    Some(refused.answer(request, page))
}

/// The role that a request needs. That an address is not known is told to those who may look.
fn needed(methods: Option<&Methods>, method: &Method) -> Option<Role> {
    let of_route = |methods: &Methods| methods.needs(method).unwrap_or(Needs::Role(Role::Admin));
    methods.map_or(Needs::VIEWER, of_route).role()
}

/// The answer to a request that no route is asked about: its form is wrong, or its method.
fn refusal(
    (hosts, service): (Hosts, &Service),
    request: &Request,
    methods: Option<&Methods>,
) -> Option<Response> {
    if let Err(problem) = hosts.check(request) {
        return Some(problem.into_response());
    }
    if let Err(problem) = check_encoding(request.uri()) {
        return Some(match is_page(request.uri().path()) {
            true => ui::turned_away(service, &problem),
            false => problem.into_response(),
        });
    }
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
    match uri.path().starts_with("/api/") {
        true => problem.into_response(),
        false => ui::refused(&app.service, &problem),
    }
}

async fn tile(app: App, uri: Uri) -> Answer {
    let Some(path) = TilePath::parse(uri.path()) else {
        let form = "/tile/<L>/<N>[.p/<W>] or /tile/entries/<N>[.p/<W>]";
        let detail = format!("{} is not a tile; the form is {form}", uri.path());
        return Err(QueryError::Malformed(detail).into());
    };
    ask(app, move |service| service.queries.tile(path)).await.map(immutable)
}
