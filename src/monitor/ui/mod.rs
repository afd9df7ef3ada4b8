//! The pages: HTML rendered on the server from the same views as the API's answers. Nothing is loaded
//! from elsewhere. Without script a page refreshes itself; with it, it follows the stream of events.
//! Addresses are written as if the endpoint had a host to itself, see [`crate::monitor::http::base_path`].

pub mod alerts;
mod api;
pub mod blocks;
mod changes;
mod chart;
pub mod definitions;
pub mod letters;
pub mod login;
mod map;
mod operations;
mod overview;
mod parts;
mod shell;
pub mod state;
pub mod transactions;
pub mod trial;

pub use shell::Content;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use serde::de::DeserializeOwned;

use crate::event::{PositionError, SourcePosition};
use crate::monitor::access::Caller;
use crate::monitor::api::document;
use crate::monitor::http::answer::{Problem, tagged};
use crate::monitor::http::asking::{App, ask};
use crate::monitor::http::body;
use crate::monitor::http::request::{InPath, Parameters};
use crate::monitor::http::route::{Place, Route};
use crate::monitor::service::Service;
use crate::monitor::ui::operations::Sent;
use crate::monitor::ui::shell::Visitor;
use crate::query::QueryError;

const HTML: &str = "text/html; charset=utf-8";

/// The style sheet.
pub async fn style() -> Response {
    kept("text/css; charset=utf-8", include_str!("style.css"))
}

/// The script that keeps pages up to date.
pub async fn script() -> Response {
    kept("text/javascript; charset=utf-8", include_str!("live.js"))
}

/// The icon.
pub async fn icon() -> Response {
    kept("image/svg+xml", include_str!("icon.svg"))
}

/// A file of the program: the same until the next version.
fn kept(kind: &'static str, text: &'static str) -> Response {
    tagged((kind, "no-cache"), Bytes::from_static(text.as_bytes()))
}

/// A page, or why there is none.
type Made = Result<Content, QueryError>;

/// A page without a name in its address.
pub fn page(
    path: &'static str,
    place: Place,
    make: fn(&Service, Parameters) -> Result<Content, QueryError>,
) -> Route {
    let handler = move |app: App, caller: Option<Caller>, uri: Uri| async move {
        show(app, caller, move |service| make(service, Parameters::of(&uri)?)).await
    };
    Route::page(path, place, get(handler))
}

/// A page of the item that its address names.
pub fn page_of<T: DeserializeOwned + Send + 'static>(
    path: &'static str,
    place: Place,
    make: fn(&Service, &T, Parameters) -> Result<Content, QueryError>,
) -> Route {
    type Name<T> = Result<InPath<T>, Problem>;
    let handler = move |app: App, caller: Option<Caller>, name: Name<T>, uri: Uri| async move {
        match name {
            Ok(InPath(name)) => {
                show(app, caller, move |service| make(service, &name, Parameters::of(&uri)?)).await
            }
            Err(problem) => refused(&app, &problem),
        }
    };
    Route::page(path, place, get(handler))
}

/// `/`.
pub async fn overview_page(app: App, caller: Option<Caller>, uri: Uri) -> Response {
    let samples = app.watched.samples();
    show(app, caller, move |service| overview::overview(service, &samples, Parameters::of(&uri)?))
        .await
}

/// `/definitions`.
pub async fn definitions_page(app: App, caller: Option<Caller>, uri: Uri) -> Response {
    let samples = app.watched.samples().samples;
    let make = move |service: &Service| definitions::list(service, &samples, Parameters::of(&uri)?);
    show(app, caller, make).await
}

/// `/operations`.
pub async fn operations_page(app: App, caller: Caller, uri: Uri) -> Response {
    let visitor = Some(caller.clone());
    let make = move |service: &Service| operations::list(service, &caller, Parameters::of(&uri)?);
    show(app, visitor, make).await
}

/// `/api`.
pub async fn api_page(app: App, caller: Option<Caller>, uri: Uri) -> Response {
    let table = Arc::clone(&app.table);
    let make = move |_: &Service| api::page(document(&table), Parameters::of(&uri)?);
    show(app, caller, make).await
}

/// Contract and function in a path.
type OperationParts = Result<InPath<(String, String)>, Problem>;

/// `/operations/{contract}/{function}`.
pub async fn operation_form(app: App, caller: Caller, names: OperationParts, uri: Uri) -> Response {
    match names {
        Ok(InPath(names)) => {
            let visitor = Some(caller.clone());
            let make = move |service: &Service| {
                operations::form(service, &caller, &names, Parameters::of(&uri)?)
            };
            show(app, visitor, make).await
        }
        Err(problem) => refused(&app, &problem),
    }
}

/// `POST /operations/{contract}/{function}`.
pub async fn operation_sent(
    app: App,
    caller: Caller,
    names: OperationParts,
    request: Request,
) -> Response {
    let visitor = Visitor::of(&app, Some(caller.clone()));
    let asking = app.clone();
    let sent = async {
        let InPath(names) = names?;
        let given = body::form(&asking, request).await?;
        ask(asking, move |service| match operations::sent(service, &caller, &names, given)? {
            Sent::Page(content) => Ok(html(shell::page(service, &visitor, &content))),
            Sent::Done(address) => Ok(Redirect::to(&address).into_response()),
        })
        .await
    };
    sent.await.unwrap_or_else(|problem| refused(&app, &problem))
}

/// `POST /try`.
pub async fn trial_sent(app: App, caller: Option<Caller>, request: Request) -> Response {
    match body::form(&app, request).await {
        Ok(given) => show(app, caller, move |service| trial::tried(service, given)).await,
        Err(problem) => refused(&app, &problem),
    }
}

/// Makes a page on a thread that may wait for a disk; where that fails, one that says why.
async fn show(
    app: App,
    caller: Option<Caller>,
    make: impl FnOnce(&Service) -> Made + Send + 'static,
) -> Response {
    let visitor = Visitor::of(&app, caller);
    let made = ask(app.clone(), move |service| {
        make(service).map(|content| shell::page(service, &visitor, &content))
    });
    match made.await {
        Ok(page) => html(page),
        Err(problem) => refused(&app, &problem),
    }
}

fn html(page: String) -> Response {
    ([(header::CONTENT_TYPE, HTML)], page).into_response()
}

/// A page that says why there is no other.
pub fn refused(app: &App, problem: &Problem) -> Response {
    problem.answer(HTML, shell::problem(&app.service, &Visitor::of_error(app), problem))
}

/// The same for a reader who was not admitted.
pub fn turned_away(app: &App, problem: &Problem) -> Response {
    problem.answer(HTML, shell::problem(&app.service, &Visitor::stranger(app), problem))
}

/// An item that a page names, or why its name is none.
fn position(text: &str) -> Result<SourcePosition, QueryError> {
    text.parse().map_err(|error: PositionError| QueryError::Malformed(error.to_string()))
}
