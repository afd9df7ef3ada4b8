//! Answers of the endpoint: JSON, and errors as `application/problem+json` (RFC 9457).

use axum::body::Bytes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use crate::diagnostic::chain;
use crate::monitor::http::conditional;
use crate::query::QueryError;
use crate::query::json;

/// An error in the form of RFC 9457. The detail says what was looked for and what helps.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Problem {
    /// The status in words.
    title: &'static str,
    /// HTTP status code.
    status: u16,
    /// The subject of the request, and the reason for the failure.
    detail: String,
}

impl Problem {
    /// A problem of this status.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self { title, status: status.as_u16(), detail: detail.into() }
    }

    /// The status in words.
    pub fn title(&self) -> &'static str {
        self.title
    }

    /// The subject of the request, and the reason for the failure.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// An answer of this status in any form.
    pub fn answer(&self, kind: &'static str, body: String) -> Response {
        let mut response = (self.status(), body).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            let seconds = HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.answer("application/problem+json", json::to_text(&self))
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        let status = match &error {
            QueryError::NotFound(_) => StatusCode::NOT_FOUND,
            QueryError::Malformed(_) => StatusCode::BAD_REQUEST,
            QueryError::NotReady(_) => StatusCode::SERVICE_UNAVAILABLE,
            QueryError::Unknown(_) => StatusCode::GATEWAY_TIMEOUT,
            QueryError::Ledger(_) | QueryError::Proof(_) | QueryError::State(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        if status.is_server_error() {
            tracing::error!(error = chain(&error), "a request could not be answered");
        }
        Self::new(status, chain(&error))
    }
}

/// JSON text that changes as the ledger grows.
pub fn json_text(text: String) -> Response {
    changing("application/json", text)
}

/// Text that changes with the ledger, with its entity tag: it may be kept, but is asked for anew.
pub fn changing(kind: &'static str, text: String) -> Response {
    tagged((kind, "no-cache"), text.into())
}

/// Text that is another one whenever it is asked for.
pub fn live(kind: &'static str, text: String) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text).into_response()
}

/// Bytes that never change: tiles. What was asked for with credentials stays with who asked.
pub fn immutable(bytes: Vec<u8>) -> Response {
    tagged(("application/octet-stream", "public, max-age=31536000, immutable"), bytes.into())
}

/// Bytes with their media type, how they may be kept, and their entity tag.
pub fn tagged((kind, kept): (&'static str, &'static str), bytes: Bytes) -> Response {
    let tag = (header::ETAG, conditional::tag(&bytes));
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, kept)];
    ([tag], headers, bytes).into_response()
}
