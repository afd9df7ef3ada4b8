//! Everything that is served, and what holds for every request: who may ask whom, what a browser may
//! do with an answer, and when there is nothing new to answer.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::ledger::tiles::TilePath;
use crate::monitor::answer::{Problem, immutable};
use crate::monitor::asking::{Answer, App, ask};
use crate::monitor::conditional::Condition;
use crate::monitor::host::Hosts;
use crate::monitor::query::QueryError;
use crate::monitor::{access, api, ui};

/// All routes, for requests to these hosts by those who may.
pub fn routes(app: App, hosts: Hosts) -> Router {
    let gate = Gate { hosts, app: app.clone() };
    api::routes()
        .route("/tile/{*path}", get(tile))
        .merge(ui::routes())
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(from_fn(move |request, next| guard(gate.clone(), request, next)))
        .with_state(app)
}

/// What stands in front of every route.
#[derive(Clone)]
struct Gate {
    hosts: Hosts,
    app: App,
}

/// Refuses what no route takes and whoever may not ask, and says on every answer what a browser may
/// do with it.
async fn guard(gate: Gate, mut request: Request, next: Next) -> Response {
    let Gate { hosts, app: App { service, access, .. } } = gate;
    let mut response = match refusal(hosts, &request) {
        Some(response) => response,
        None => match access.admit(&mut request) {
            Ok(()) => {
                let condition = Condition::of(&request);
                condition.answer(next.run(request).await)
            }
            Err(refused) => refused.answer(&request, |problem| ui::turned_away(&service, problem)),
        },
    };
    response = access.base_path().answer(response).await;
    access.protect(&mut response);
    service.answers.add(response.status());
    response
}

fn refusal(hosts: Hosts, request: &Request) -> Option<Response> {
    if let Some(listens) = hosts.refuses(request) {
        let detail = format!(
            "this endpoint is for this machine alone: ask for it as localhost or {listens}, also \
             from a proxy, or let it listen on an address that others reach"
        );
        return Some(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail).into_response());
    }
    let takes_body = access::takes_body(request.uri().path());
    match *request.method() {
        Method::GET | Method::HEAD => {}
        Method::POST if takes_body => return None,
        ref other => {
            let allowed = if takes_body { "GET, HEAD, POST" } else { "GET, HEAD" };
            let detail = format!("only {allowed} are answered here, not {other}");
            let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail);
            return Some(([(header::ALLOW, allowed)], problem).into_response());
        }
    }
    let length = request.headers().get(header::CONTENT_LENGTH);
    let has_body = length.is_some_and(|length| length.as_bytes() != b"0")
        || request.headers().contains_key(header::TRANSFER_ENCODING);
    has_body.then(|| {
        let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "no body is taken here");
        // What follows on the connection is the body that nobody will read.
        ([(header::CONNECTION, "close")], problem).into_response()
    })
}

async fn no_route(State(app): State<App>, uri: Uri) -> Response {
    let detail = format!("not found: {}; the API is described at /api", uri.path());
    let problem = Problem::new(StatusCode::NOT_FOUND, detail);
    match uri.path().starts_with("/api/") {
        true => problem.into_response(),
        false => ui::refused(&app.service, &problem),
    }
}

async fn no_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not answer {method}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}

async fn tile(State(app): State<App>, uri: Uri) -> Answer {
    let Some(path) = TilePath::parse(uri.path()) else {
        let form = "/tile/<L>/<N>[.p/<W>] or /tile/entries/<N>[.p/<W>]";
        let detail = format!("{} names no tile; the form is {form}", uri.path());
        return Err(QueryError::Malformed(detail).into());
    };
    ask(app, move |service| service.queries.tile(path)).await.map(immutable)
}
