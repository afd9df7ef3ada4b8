//! Routes of the endpoint. Each handler reads its parameters, asks [`Queries`](super::Queries) on a
//! thread that may wait for a disk, and answers with what came back.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::event::SourcePosition;
use crate::ledger::DefinitionKind;
use crate::ledger::tiles::TilePath;
use crate::monitor::access::Caller;
use crate::monitor::answer::{Problem, changing, immutable, json_text};
use crate::monitor::asking::{Answer, App, ask, ask_json};
use crate::monitor::host::Hosts;
use crate::monitor::operations::{self, CallRequest};
use crate::monitor::query::QueryError;
use crate::monitor::request::{InPath, Parameters, alert_cursor, letter_cursor};
use crate::monitor::service::Service;
use crate::monitor::trial::TrialRequest;
use crate::monitor::{access, body, findings, json, metrics, stream, ui};
use crate::state::Filter;

/// All routes, for requests to these hosts by those who may.
pub fn routes(app: App, hosts: Hosts) -> Router {
    let gate = Gate { hosts, app: app.clone() };
    let api = Router::new()
        .route("/status", get(status))
        .route("/stream", get(stream::stream))
        .route("/samples", get(samples))
        .route("/findings", get(findings))
        .route("/blocks", get(blocks))
        .route("/blocks/{number}", get(block))
        .route("/blocks/{number}/verification", get(verification))
        .route("/transactions", get(transactions))
        .route("/transactions/{topic}/{partition}/{offset}/{output}", get(transaction))
        .route("/transactions/{topic}/{partition}/{offset}/{output}/proof", get(proof))
        .route("/state/{contract}", get(assets))
        .route("/state/{contract}/{key}", get(asset))
        .route("/state/{contract}/{key}/history", get(history))
        .route("/alerts", get(alerts))
        .route("/recent", get(recent))
        .route("/try", post(try_record))
        .route("/calls", post(call))
        .route("/deadletters", get(dead_letters))
        .route("/deadletters/{topic}/{partition}/{offset}", get(dead_letter))
        .merge(definition_routes("/mappings", DefinitionKind::Mapping))
        .merge(definition_routes("/contracts", DefinitionKind::Contract));
    Router::new()
        .nest("/api/v1", api)
        .route("/checkpoint", get(checkpoint))
        .route("/tile/{*path}", get(tile))
        .route("/healthz", get(|| async { changing("text/plain; charset=utf-8", "alive\n") }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_text))
        .merge(ui::routes())
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(from_fn(move |request, next| guard(gate.clone(), request, next)))
        .with_state(app)
}

fn definition_routes(path: &str, kind: DefinitionKind) -> Router<App> {
    let list = move |app, uri| definitions(app, uri, kind);
    let one = move |app, name, uri| definition((app, name, uri), kind);
    Router::new().route(path, get(list)).route(&format!("{path}/{{name}}"), get(one))
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
            Ok(()) => next.run(request).await,
            Err(refused) => refused.answer(&request, |problem| ui::turned_away(&service, problem)),
        },
    };
    access.protect(&mut response);
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
    let detail = format!("there is nothing at {}; the API begins at /api/v1/status", uri.path());
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

async fn status(State(app): State<App>, uri: Uri) -> Answer {
    Parameters::of(&uri)?.finish()?;
    ask_json(app, |service| Ok(service.status())).await
}

async fn samples(State(app): State<App>, uri: Uri) -> Answer {
    Parameters::of(&uri)?.finish()?;
    Ok(json_text(json::to_text(&app.watched.samples())))
}

async fn findings(State(app): State<App>, uri: Uri) -> Answer {
    Parameters::of(&uri)?.finish()?;
    let samples = app.watched.samples();
    ask_json(app, move |service| Ok(findings::findings(&service.status(), &samples.samples))).await
}

async fn blocks(State(app): State<App>, uri: Uri) -> Answer {
    let mut parameters = Parameters::of(&uri)?;
    let (before, limit) = (parameters.parsed("before")?, parameters.limit()?);
    parameters.finish()?;
    ask_json(app, move |service| service.queries.blocks(before, limit)).await
}

async fn block(State(app): State<App>, InPath(number): InPath<String>, uri: Uri) -> Answer {
    let mut parameters = Parameters::of(&uri)?;
    let from = parameters.parsed("from")?.unwrap_or(0);
    let limit = parameters.limit()?;
    parameters.finish()?;
    let number = number_in_path("block number", &number)?;
    ask_json(app, move |service| service.queries.block(number, from, limit)).await
}

async fn verification(State(app): State<App>, InPath(number): InPath<String>, uri: Uri) -> Answer {
    Parameters::of(&uri)?.finish()?;
    let number = number_in_path("block number", &number)?;
    ask_json(app, move |service| service.queries.verify_block(number)).await
}

async fn transactions(State(app): State<App>, uri: Uri) -> Answer {
    let mut parameters = Parameters::of(&uri)?;
    let filter = parameters.transaction_filter()?;
    let (before, limit) = (parameters.parsed("before")?, parameters.limit()?);
    parameters.finish()?;
    ask_json(app, move |service| service.queries.transactions(&filter, before, limit)).await
}

/// Topic, partition, offset and output in a path.
type IdParts = InPath<(String, String, String, String)>;

async fn transaction(State(app): State<App>, InPath(parts): IdParts, uri: Uri) -> Answer {
    Parameters::of(&uri)?.finish()?;
    let id = transaction_id(&parts)?;
    ask_json(app, move |service| service.queries.transaction(&id)).await
}

async fn proof(State(app): State<App>, InPath(parts): IdParts, uri: Uri) -> Answer {
    let mut parameters = Parameters::of(&uri)?;
    let format = parameters.text("format")?;
    parameters.finish()?;
    let id = transaction_id(&parts)?;
    match format.as_deref() {
        None | Some("json") => ask_json(app, move |service| service.queries.proof(&id)).await,
        Some("tlog-proof") => {
            let proof = ask(app, move |service| service.queries.proof(&id)).await?;
            Ok(changing("text/plain; charset=utf-8", proof.tlog_proof))
        }
        Some(other) => Err(malformed(format!(
            "the parameter `format` cannot be `{other}`: known are json and tlog-proof"
        ))),
    }
}

fn malformed(detail: String) -> Problem {
    QueryError::Malformed(detail).into()
}

fn transaction_id(
    (topic, partition, offset, output): &(String, String, String, String),
) -> Result<SourcePosition, Problem> {
    let text = format!("{topic}/{partition}/{offset}/{output}");
    text.parse().map_err(|error: crate::event::PositionError| malformed(error.to_string()))
}

fn number_in_path(what: &str, text: &str) -> Result<u64, Problem> {
    text.parse().map_err(|_| malformed(format!("`{text}` is no {what}")))
}

async fn assets(State(app): State<App>, InPath(contract): InPath<String>, uri: Uri) -> Answer {
    let mut parameters = Parameters::of(&uri)?;
    let alerts_only = parameters.parsed("alerts_only")?.unwrap_or(false);
    let prefix = parameters.text("prefix")?.unwrap_or_default();
    let fields = parameters.with_prefix("where.");
    let filter = Filter { prefix, fields, alerts_only };
    let (after, limit) = (parameters.text("after")?, parameters.limit()?);
    parameters.finish()?;
    ask_json(app, move |service| {
        service.queries.assets(&contract, after.as_deref(), &filter, limit)
    })
    .await
}

type KeyParts = InPath<(String, String)>;

async fn asset(State(app): State<App>, InPath((contract, key)): KeyParts, uri: Uri) -> Answer {
    let mut parameters = Parameters::of(&uri)?;
    let (at, from) = (parameters.at()?, parameters.parsed("from")?);
    parameters.finish()?;
    match at {
        None => ask_json(app, move |service| service.queries.asset(&contract, &key)).await,
        Some(at) => {
            let past =
                move |service: &Service| service.queries.asset_at((&contract, &key), at, from);
            ask_json(app, past).await
        }
    }
}

async fn history(State(app): State<App>, InPath((contract, key)): KeyParts, uri: Uri) -> Answer {
    let mut parameters = Parameters::of(&uri)?;
    let (from, limit) = (parameters.parsed("from")?, parameters.limit()?);
    parameters.finish()?;
    ask_json(app, move |service| service.queries.history((&contract, &key), from, limit)).await
}

async fn alerts(State(app): State<App>, uri: Uri) -> Answer {
    let mut parameters = Parameters::of(&uri)?;
    let after = parameters.text("after")?;
    let limit = parameters.limit()?;
    parameters.finish()?;
    let after = after.as_deref().map(alert_cursor).transpose()?;
    ask_json(app, move |service| service.queries.alerts(after, limit)).await
}

async fn recent(State(app): State<App>, uri: Uri) -> Answer {
    let mut parameters = Parameters::of(&uri)?;
    let limit = parameters.limit()?;
    parameters.finish()?;
    ask_json(app, move |service| service.queries.recent(limit)).await
}

async fn try_record(State(app): State<App>, request: Request) -> Answer {
    Parameters::of(request.uri())?.finish()?;
    let asked: TrialRequest = body::json(&app, request).await?;
    ask_json(app, move |service| service.trial.run(&service.queries, asked)).await
}

async fn call(State(app): State<App>, caller: Caller, request: Request) -> Answer {
    let mut parameters = Parameters::of(request.uri())?;
    let is_check = parameters.parsed("dry_run")?.unwrap_or(false);
    parameters.finish()?;
    let asked: CallRequest = body::json(&app, request).await?;
    if is_check {
        let check =
            move |service: &Service| operations::check(service, &asked.by(service, caller.name())?);
        return ask_json(app, check).await;
    }
    let submit =
        move |service: &Service| operations::submit(service, &asked.by(service, caller.name())?);
    let done = ask(app, submit).await?;
    let location = format!("/api/v1/transactions/{}", done.summary.id);
    let body = json_text(json::to_text(&done));
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], body).into_response())
}

async fn dead_letters(State(app): State<App>, uri: Uri) -> Answer {
    let mut parameters = Parameters::of(&uri)?;
    let (before, cause) = (parameters.text("before")?, parameters.text("cause")?);
    let limit = parameters.limit()?;
    parameters.finish()?;
    let before = before.as_deref().map(letter_cursor).transpose()?;
    ask_json(app, move |service| service.queries.dead_letters(before, cause.as_deref(), limit))
        .await
}

async fn dead_letter(
    State(app): State<App>,
    InPath((topic, partition, offset)): InPath<(String, String, String)>,
    uri: Uri,
) -> Answer {
    Parameters::of(&uri)?.finish()?;
    // A record is a position without an output.
    let id = transaction_id(&(topic, partition, offset, "0".to_owned()))?;
    let SourcePosition { partition, offset, .. } = id;
    ask_json(app, move |service| service.queries.dead_letter(&partition, offset)).await
}

async fn definitions(State(app): State<App>, uri: Uri, kind: DefinitionKind) -> Answer {
    let mut parameters = Parameters::of(&uri)?;
    let (after, limit) = (parameters.parsed("after")?, parameters.limit()?);
    parameters.finish()?;
    ask_json(app, move |service| Ok(service.queries.definitions(kind, after, limit))).await
}

async fn definition(
    (State(app), InPath(name), uri): (State<App>, InPath<String>, Uri),
    kind: DefinitionKind,
) -> Answer {
    let mut parameters = Parameters::of(&uri)?;
    let digest = parameters.text("digest")?;
    parameters.finish()?;
    ask_json(app, move |service| service.queries.definition(kind, &name, digest.as_deref())).await
}

async fn checkpoint(State(app): State<App>) -> Answer {
    let checkpoint = ask(app, |service| service.queries.checkpoint()).await?;
    Ok(changing("text/plain; charset=utf-8", checkpoint))
}

async fn tile(State(app): State<App>, uri: Uri) -> Answer {
    let Some(path) = TilePath::parse(uri.path()) else {
        let form = "/tile/<L>/<N>[.p/<W>] or /tile/entries/<N>[.p/<W>]";
        return Err(malformed(format!("{} names no tile; the form is {form}", uri.path())));
    };
    ask(app, move |service| service.queries.tile(path)).await.map(immutable)
}

/// Anyone may ask, but what is in the way may name brokers and folders.
async fn ready(State(app): State<App>, caller: Option<Caller>) -> Answer {
    let obstacles = app.service.obstacles();
    if obstacles.is_empty() {
        return Ok(changing("text/plain; charset=utf-8", "ready\n"));
    }
    let detail = match caller {
        Some(_) => obstacles.join("; "),
        None => "not ready; who may look is told why".to_owned(),
    };
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail))
}

/// Answers also when all places are taken: that is when someone looks.
async fn metrics_text(State(app): State<App>) -> Answer {
    match metrics::to_text(&app.service) {
        Ok(text) => Ok(changing(metrics::CONTENT_TYPE, text)),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            let detail = format!("the metrics cannot be written: {error}");
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail))
        }
    }
}
