//! The API: its operations, and the OpenAPI document of those that stand in the table of routes.

mod document;
pub mod ledger;
mod operation;
pub mod service;
pub mod state;
mod stream;
pub mod tiles;

pub use operation::{About, Entry, Operation, Tag, nothing, question};

use serde_json::Value;

use crate::monitor::http::asking::App;
use crate::monitor::http::route::Table;
use crate::query::json;

/// The OpenAPI document of a table of routes, as JSON.
pub fn document(table: &Table) -> &Value {
    table.document(document::document)
}

/// The same as text, for an endpoint below a path.
pub fn text(app: &App) -> String {
    let (document, base_path) = (document(&app.table), app.access.base_path());
    if base_path.is_root() {
        return json::to_text(document);
    }
    let mut document = document.clone();
    document["servers"][0]["url"] = base_path.as_path().into();
    json::to_text(&document)
}
