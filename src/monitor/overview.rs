//! The page at `/`: status, newest blocks, alerts and states at a glance, from the API.

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// The page and its parts.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let part =
        |kind: &'static str, text: &'static str| get(move || async move { answer(kind, text) });
    Router::new()
        .route("/", part("text/html; charset=utf-8", include_str!("overview.html")))
        .route("/overview.css", part("text/css; charset=utf-8", include_str!("overview.css")))
        .route("/overview.js", part("text/javascript; charset=utf-8", include_str!("overview.js")))
}

fn answer(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text).into_response()
}
