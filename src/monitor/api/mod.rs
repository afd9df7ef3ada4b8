//! The API: every operation with its route, and the document that describes them all.

mod document;
mod ledger;
mod operation;
mod service;
mod state;

use std::sync::OnceLock;

use serde_json::Value;

use crate::monitor::json;
use crate::monitor::route::Route;

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

/// The document as text.
pub fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| json::to_text(document()))
}
