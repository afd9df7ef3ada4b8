//! The pages: HTML rendered on the server from the same views as the API's answers. Nothing is loaded
//! from elsewhere. Without script a page refreshes itself; with it, it follows the stream of events.
//! Addresses are written as if the endpoint had a host to itself, see [`crate::monitor::base_path`].

mod alerts;
mod api;
mod blocks;
mod changes;
mod chart;
mod definitions;
mod letters;
mod login;
mod map;
mod operations;
mod overview;
mod parts;
mod shell;
mod state;
mod transactions;
mod trial;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{Method, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{MethodRouter, get, post};
use serde::de::DeserializeOwned;

use crate::event::{PositionError, SourcePosition};
use crate::ledger::DefinitionKind;
use crate::monitor::access::Caller;
use crate::monitor::answer::{Problem, tagged};
use crate::monitor::asking::{App, ask};
use crate::monitor::body;
use crate::monitor::request::{InPath, Parameters};
use crate::monitor::route::{Needs, Route};
use crate::monitor::service::Service;
use crate::monitor::ui::operations::Sent;
use crate::monitor::ui::shell::{Content, Visitor};
use crate::query::QueryError;

const HTML: &str = "text/html; charset=utf-8";

/// The pages and what they load.
pub fn routes() -> Vec<Route> {
    let part =
        |kind: &'static str, text: &'static str| get(move || async move { kept(kind, text) });
    vec![
        Route::get("/", get(home)),
        Route::get("/blocks", page(blocks::list)),
        Route::get("/blocks/{number}", page_of(blocks::one)),
        Route::get("/transactions", page(transactions::list)),
        Route::get(
            "/transactions/{topic}/{partition}/{offset}/{output}",
            page_of(transactions::one),
        ),
        Route::get("/state", page(state::contracts)),
        Route::get("/state/{contract}", page_of(state::assets)),
        Route::get("/state/{contract}/{key}", page_of(state::asset)),
        Route::get("/alerts", page(alerts::list)),
        Route::get("/deadletters", page(letters::list)),
        Route::get("/deadletters/{topic}/{partition}/{offset}", page_of(letters::one)),
        Route::get("/definitions", get(definition_list)),
        Route::get(
            "/mappings/{name}",
            page_of(|service, name: &String, given| {
                definitions::one(service, (DefinitionKind::Mapping, name), given)
            }),
        ),
        Route::get(
            "/contracts/{name}",
            page_of(|service, name: &String, given| {
                definitions::one(service, (DefinitionKind::Contract, name), given)
            }),
        ),
        Route::get("/operations", get(operation_list)),
        Route::get("/operations/{contract}/{function}", get(operation_form))
            .and_post(Needs::OPERATOR, post(operation_sent)),
        Route::get("/try", page(trial::form)).and_post(Needs::VIEWER, post(tried)),
        Route::open("/login", get(login::page)).and_post(Needs::Nothing, post(login::enter)),
        Route::new("/logout", (Method::POST, Needs::Nothing), post(login::leave)),
        Route::get("/api", page(api::page)),
        Route::open("/style.css", part("text/css; charset=utf-8", include_str!("style.css"))),
        Route::get("/live.js", part("text/javascript; charset=utf-8", include_str!("live.js"))),
        Route::open("/icon.svg", part("image/svg+xml", include_str!("icon.svg"))),
    ]
}

/// A file of the program: the same until the next version.
fn kept(kind: &'static str, text: &'static str) -> Response {
    tagged((kind, "no-cache"), Bytes::from_static(text.as_bytes()))
}

/// The result of building a page.
type Made = Result<Content, QueryError>;

/// A page without a name in its address.
fn page(make: fn(&Service, Parameters) -> Made) -> MethodRouter<App> {
    get(move |app: App, caller: Option<Caller>, uri: Uri| async move {
        show(app, caller, move |service| make(service, Parameters::of(&uri)?)).await
    })
}

/// A page of what its address names.
fn page_of<T: DeserializeOwned + Send + 'static>(
    make: fn(&Service, &T, Parameters) -> Made,
) -> MethodRouter<App> {
    type Name<T> = Result<InPath<T>, Problem>;
    get(move |app: App, caller: Option<Caller>, name: Name<T>, uri: Uri| async move {
        match name {
            Ok(InPath(name)) => {
                show(app, caller, move |service| make(service, &name, Parameters::of(&uri)?)).await
            }
            Err(problem) => refused(&app.service, &problem),
        }
    })
}

async fn definition_list(app: App, caller: Option<Caller>, uri: Uri) -> Response {
    let samples = app.watched.samples().samples;
    let make = move |service: &Service| definitions::list(service, &samples, Parameters::of(&uri)?);
    show(app, caller, make).await
}

async fn operation_list(app: App, caller: Caller, uri: Uri) -> Response {
    let visitor = Some(caller.clone());
    let make = move |service: &Service| operations::list(service, &caller, Parameters::of(&uri)?);
    show(app, visitor, make).await
}

/// Contract and function in a path.
type OperationParts = Result<InPath<(String, String)>, Problem>;

async fn operation_form(app: App, caller: Caller, names: OperationParts, uri: Uri) -> Response {
    match names {
        Ok(InPath(names)) => {
            let visitor = Some(caller.clone());
            let make = move |service: &Service| {
                operations::form(service, &caller, &names, Parameters::of(&uri)?)
            };
            show(app, visitor, make).await
        }
        Err(problem) => refused(&app.service, &problem),
    }
}

async fn operation_sent(
    app: App,
    caller: Caller,
    names: OperationParts,
    request: Request,
) -> Response {
    let service = Arc::clone(&app.service);
    let visitor = visitor(&app, Some(caller.clone()));
    let sent = async {
        let InPath(names) = names?;
        let given = body::form(&app, request).await?;
        ask(app, move |service| match operations::sent(service, &caller, &names, given)? {
            Sent::Page(content) => Ok(html(shell::page(service, &visitor, &content))),
            Sent::Done(address) => Ok(Redirect::to(&address).into_response()),
        })
        .await
    };
    sent.await.unwrap_or_else(|problem| refused(&service, &problem))
}

async fn tried(app: App, caller: Option<Caller>, request: Request) -> Response {
    match body::form(&app, request).await {
        Ok(given) => show(app, caller, move |service| trial::tried(service, given)).await,
        Err(problem) => refused(&app.service, &problem),
    }
}

async fn home(app: App, caller: Option<Caller>, uri: Uri) -> Response {
    let samples = app.watched.samples();
    show(app, caller, move |service| overview::overview(service, &samples, Parameters::of(&uri)?))
        .await
}

/// The visitor of a page.
fn visitor(app: &App, caller: Option<Caller>) -> Visitor {
    Visitor { caller, can_log_in: app.access.takes_tokens(), is_stranger: false }
}

/// Makes a page on a thread that may wait for a disk; where that fails, one that says why.
async fn show(
    app: App,
    caller: Option<Caller>,
    make: impl FnOnce(&Service) -> Made + Send + 'static,
) -> Response {
    let service = Arc::clone(&app.service);
    let visitor = visitor(&app, caller);
    let made = ask(app, move |service| {
        make(service).map(|content| shell::page(service, &visitor, &content))
    });
    match made.await {
        Ok(page) => html(page),
        Err(problem) => refused(&service, &problem),
    }
}

fn html(page: String) -> Response {
    ([(header::CONTENT_TYPE, HTML)], page).into_response()
}

/// A page that says why there is no other.
pub fn refused(service: &Service, problem: &Problem) -> Response {
    problem.answer(HTML, shell::problem(service, &Visitor::default(), problem))
}

/// The same for someone who was not let in.
pub fn turned_away(service: &Service, problem: &Problem) -> Response {
    let stranger = Visitor { is_stranger: true, ..Visitor::default() };
    problem.answer(HTML, shell::problem(service, &stranger, problem))
}

/// An item that a page names, or why its name is none.
fn position(text: &str) -> Result<SourcePosition, QueryError> {
    text.parse().map_err(|error: PositionError| QueryError::Malformed(error.to_string()))
}
