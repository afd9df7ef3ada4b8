//! The path under which a proxy serves the endpoint, such as `/ledger`.
//!
//! Routes, pages and handlers know nothing of it: they write addresses as if the endpoint had a host
//! to itself. The prefix is taken off a request before any route or access rule sees it, and put in
//! front of every address of an answer when all else is done. A request without the prefix is taken
//! as well, so it does not matter whether the proxy strips it.

use std::fmt;
use std::str::FromStr;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, Uri, header};
use axum::response::Response;

use crate::limits::MAX_BASE_PATH_BYTES;

/// First segments of our own addresses. A base path that began with one of them would make
/// `/state/…` mean two things.
const OWN: [&str; 21] = [
    "alerts",
    "api",
    "blocks",
    "checkpoint",
    "contracts",
    "deadletters",
    "definitions",
    "healthz",
    "icon.svg",
    "live.js",
    "login",
    "logout",
    "mappings",
    "metrics",
    "operations",
    "readyz",
    "state",
    "style.css",
    "tile",
    "transactions",
    "try",
];

/// Attributes of a page that hold addresses of ours, up to the slash that they begin with. Text and
/// values never contain a bare quotation mark, so nothing else looks like this.
const ADDRESSES: [&str; 3] = [" href=\"/", " src=\"/", " action=\"/"];

/// A path in front of every address, without a slash at its end; empty for none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BasePath(String);

/// The reason why a string is not a base path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BasePathError {
    /// It is relative, or a whole address.
    #[error("does not begin with `/`")]
    NotAbsolute,
    /// It ends with a slash.
    #[error("ends with `/`")]
    TrailingSlash,
    /// Two slashes in a row, or a segment of dots.
    #[error("has an empty, `.` or `..` segment")]
    Segment,
    /// A character that proxies and browsers write in several ways.
    #[error("may contain only letters, digits and `-`, `.`, `_`, `~` between its slashes")]
    Character,
    /// Longer than [`MAX_BASE_PATH_BYTES`].
    #[error("is longer than {MAX_BASE_PATH_BYTES} bytes")]
    TooLong,
    /// Its first segment is that of a page or of the API.
    #[error("starts like a path of the endpoint itself")]
    Own,
}

impl FromStr for BasePath {
    type Err = BasePathError;

    /// `/` is the same as none.
    fn from_str(text: &str) -> Result<Self, BasePathError> {
        let Some(segments) = text.strip_prefix('/') else { return Err(BasePathError::NotAbsolute) };
        if segments.is_empty() {
            return Ok(Self::default());
        }
        if text.len() > MAX_BASE_PATH_BYTES {
            return Err(BasePathError::TooLong);
        }
        if text.ends_with('/') {
            return Err(BasePathError::TrailingSlash);
        }
        for segment in segments.split('/') {
            if matches!(segment, "" | "." | "..") {
                return Err(BasePathError::Segment);
            }
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            if !segment.bytes().all(is_plain) {
                return Err(BasePathError::Character);
            }
        }
        if segments.split('/').next().is_some_and(|first| OWN.contains(&first)) {
            return Err(BasePathError::Own);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for BasePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl BasePath {
    /// True if the endpoint has a host to itself.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path of everything here, as cookies and the API document name it.
    #[must_use]
    pub fn as_path(&self) -> &str {
        if self.is_root() { "/" } else { &self.0 }
    }

    /// Takes the prefix off a request's target, where it has it.
    pub fn strip(&self, target: &mut Uri) {
        if self.is_root() {
            return;
        }
        let Some(whole) = target.path_and_query() else { return };
        let Some(rest) = whole.as_str().strip_prefix(self.0.as_str()) else { return };
        let inner = match rest.as_bytes().first() {
            Some(b'/') => rest.to_owned(),
            None | Some(b'?') => format!("/{rest}"),
            // Another path that begins with the same letters.
            Some(_) => return,
        };
        let mut parts = std::mem::take(target).into_parts();
        // What remains of a valid target is valid: it only lost its first segments.
        parts.path_and_query = inner.parse().ok();
        *target = Uri::from_parts(parts).unwrap_or_default();
    }

    /// Puts the prefix in front of the addresses of an answer: `Location`, and those of a page.
    pub async fn answer(&self, mut response: Response) -> Response {
        if self.is_root() {
            return response;
        }
        let location = response.headers().get(header::LOCATION).and_then(|text| text.to_str().ok());
        let location = location.filter(|text| text.starts_with('/'));
        let location =
            location.and_then(|text| HeaderValue::from_str(&format!("{self}{text}")).ok());
        if let Some(location) = location {
            response.headers_mut().insert(header::LOCATION, location);
        }
        let kind = response.headers().get(header::CONTENT_TYPE);
        let is_page = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        if is_page { self.page(response).await } else { response }
    }

    async fn page(&self, response: Response) -> Response {
        let (mut head, body) = response.into_parts();
        // A page is in memory already: this neither waits nor fails.
        let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        // The length of an answer to HEAD would be that of the page without prefixes.
        head.headers.remove(header::CONTENT_LENGTH);
        Response::from_parts(head, Body::from(self.in_page(text)))
    }

    fn in_page(&self, page: String) -> String {
        ADDRESSES.iter().fold(page, |page, address| {
            let name = address.trim_end_matches('/');
            page.replace(address, &format!("{name}{self}/"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> BasePath {
        text.parse().unwrap()
    }

    #[test]
    fn a_base_path_is_read_or_refused() {
        for (text, expected) in [
            ("/", Ok("")),
            ("/ledger", Ok("/ledger")),
            ("/tools/ledger-2.a_b~c", Ok("/tools/ledger-2.a_b~c")),
            ("/ledger/state", Ok("/ledger/state")),
            ("", Err(BasePathError::NotAbsolute)),
            ("ledger", Err(BasePathError::NotAbsolute)),
            ("https://example.com/ledger", Err(BasePathError::NotAbsolute)),
            ("/ledger/", Err(BasePathError::TrailingSlash)),
            ("//", Err(BasePathError::TrailingSlash)),
            ("//evil.example", Err(BasePathError::Segment)),
            ("/a//b", Err(BasePathError::Segment)),
            ("/a/../b", Err(BasePathError::Segment)),
            ("/.", Err(BasePathError::Segment)),
            ("/a b", Err(BasePathError::Character)),
            ("/a?b", Err(BasePathError::Character)),
            ("/a\"b", Err(BasePathError::Character)),
            ("/a;b", Err(BasePathError::Character)),
            ("/%61", Err(BasePathError::Character)),
            ("/ü", Err(BasePathError::Character)),
            ("/state", Err(BasePathError::Own)),
            ("/api/ledger", Err(BasePathError::Own)),
        ] {
            let read = text.parse::<BasePath>().map(|base| base.to_string());
            assert_eq!(read, expected.map(str::to_owned), "{text}");
        }
        let long = format!("/{}", "x".repeat(MAX_BASE_PATH_BYTES));
        assert_eq!(long.parse::<BasePath>(), Err(BasePathError::TooLong));
    }

    #[test]
    fn a_target_loses_the_prefix_and_nothing_else() {
        for (base_path, target, expected) in [
            ("/ledger", "/ledger/blocks?before=3", "/blocks?before=3"),
            ("/ledger", "/ledger/", "/"),
            ("/ledger", "/ledger", "/"),
            ("/ledger", "/ledger?x=1", "/?x=1"),
            ("/ledger", "/blocks", "/blocks"),
            ("/ledger", "/ledgers/blocks", "/ledgers/blocks"),
            ("/ledger", "/ledger/ledger/x", "/ledger/x"),
            ("/ledger", "/Ledger/x", "/Ledger/x"),
            ("/ledger", "/ledger//login", "//login"),
            ("/ledger", "http://h:1/ledger/x", "http://h:1/x"),
            ("/ledger", "*", "*"),
            ("/a/b", "/a/b/state/c%2Fd", "/state/c%2Fd"),
            ("/", "/ledger/x", "/ledger/x"),
        ] {
            let mut uri: Uri = target.parse().unwrap();
            base(base_path).strip(&mut uri);
            assert_eq!(uri.to_string(), expected, "{target} below {base_path}");
        }
    }

    #[test]
    fn an_answer_leads_below_the_prefix() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for (base_path, location, expected) in [
            ("/l", "/api/v1/transactions/t/0/1/0", "/l/api/v1/transactions/t/0/1/0"),
            ("/l", "https://id.example/", "https://id.example/"),
            ("/", "/blocks", "/blocks"),
        ] {
            for (kind, body, shown) in [
                ("text/html; charset=utf-8", "<a href=\"/\">", "<a href=\"/l/\">"),
                ("application/json", "\" href=\"/", "\" href=\"/"),
            ] {
                let response = Response::builder()
                    .header(header::LOCATION, location)
                    .header(header::CONTENT_TYPE, kind)
                    .body(Body::from(body))
                    .unwrap();
                let answer = runtime.block_on(base(base_path).answer(response));
                assert_eq!(answer.headers()[header::LOCATION], expected);
                let bytes = runtime.block_on(to_bytes(answer.into_body(), usize::MAX)).unwrap();
                let shown = if base_path == "/" { body } else { shown };
                assert_eq!(bytes, shown.as_bytes());
            }
        }
    }

    #[test]
    fn a_page_leads_below_the_prefix() {
        let page = "<a href=\"/\"><img src=\"/icon.svg\"><form action=\"/try\"><a href=\"#main\">\
                    <p title=\"&quot; href=&quot;/\"> href=&quot;/</p>";
        let expected = "<a href=\"/l/\"><img src=\"/l/icon.svg\"><form action=\"/l/try\">\
                        <a href=\"#main\"><p title=\"&quot; href=&quot;/\"> href=&quot;/</p>";
        assert_eq!(base("/l").in_page(page.to_owned()), expected);
    }
}
