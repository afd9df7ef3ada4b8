//! The API: every operation with its route, and the document that describes them all.

mod document;
mod ledger;
mod operation;
mod service;
mod state;
mod stream;

use std::sync::OnceLock;

use serde_json::Value;

use crate::monitor::http::base_path::BasePath;
use crate::monitor::http::route::Route;
use crate::query::json;

use operation::Operation;

/// Every operation, in the order of the document.
fn operations() -> Vec<Operation> {
    [service::operations(), ledger::operations(), state::operations()]
        .into_iter()
        .flatten()
        .collect()
}

/// Routes of all operations.
pub fn routes() -> Vec<Route> {
    let route = |operation: Operation| {
        let Operation { about, method, needs, route, .. } = operation;
        Route::new(about.path, (method, needs), route)
    };
    operations().into_iter().map(route).collect()
}

/// The document as JSON.
pub fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| document::document(&operations()))
}

/// The document as text, for an endpoint below a path.
pub fn text(base_path: &BasePath) -> String {
    static TEXT: OnceLock<String> = OnceLock::new();
    if base_path.is_root() {
        return TEXT.get_or_init(|| json::to_text(document())).clone();
    }
    let mut document = document().clone();
    document["servers"][0]["url"] = base_path.as_path().into();
    json::to_text(&document)
}
