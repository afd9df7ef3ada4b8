//! Tiles of the ledger's tree (C2SP tlog-tiles): files that never change.

use axum::http::Uri;

use crate::ledger::tiles::TilePath;
use crate::monitor::http::answer::immutable;
use crate::monitor::http::asking::{Answer, App, ask};
use crate::query::QueryError;

/// Answers with a tile.
pub async fn tile(app: App, uri: Uri) -> Answer {
    let Some(path) = TilePath::parse(uri.path()) else {
        let form = "/tile/<L>/<N>[.p/<W>] or /tile/entries/<N>[.p/<W>]";
        let detail = format!("{} is not a tile; the form is {form}", uri.path());
        return Err(QueryError::Malformed(detail).into());
    };
    ask(app, move |service| service.queries.tile(path)).await.map(immutable)
}
