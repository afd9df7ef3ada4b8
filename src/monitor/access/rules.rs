//! Which role a request needs: the one place that says so. What is not named here needs most.

use axum::http::Method;

use crate::monitor::access::caller::Role;

/// Doors that are open to anyone: whether the process lives, and what the page for logging in needs.
const OPEN: [&str; 6] = ["/healthz", "/readyz", "/login", "/logout", "/style.css", "/icon.svg"];

/// Where logins begin and end.
const LOGINS: [&str; 2] = ["/login", "/logout"];

/// Where trying an event in the page submits nothing.
const TRIES: [&str; 2] = ["/try", "/api/v1/try"];

/// The role that a request needs; `None` where anyone may ask.
#[must_use]
pub fn needed(method: &Method, path: &str) -> Option<Role> {
    if OPEN.contains(&path) {
        return None;
    }
    Some(match *method {
        Method::GET | Method::HEAD => Role::Viewer,
        Method::POST if TRIES.contains(&path) => Role::Viewer,
        Method::POST if submits(path) => Role::Operator,
        _ => Role::Admin,
    })
}

/// Whether a POST means something there. What it takes, its handler says.
#[must_use]
pub fn takes_body(path: &str) -> bool {
    LOGINS.contains(&path) || TRIES.contains(&path) || submits(path)
}

/// Where a call is submitted by hand.
fn submits(path: &str) -> bool {
    path == "/api/v1/calls" || path == "/operations" || path.starts_with("/operations/")
}

/// Whether a request is of someone with a browser, who can be led to the page for logging in.
#[must_use]
pub fn is_page(path: &str) -> bool {
    let others = ["/api/", "/tile/"];
    let is_other = others.iter().any(|other| path.starts_with(other));
    !is_other && !["/metrics", "/checkpoint", "/live.js"].contains(&path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_needs_most() {
        let viewer = Some(Role::Viewer);
        for (method, path, expected) in [
            (Method::GET, "/healthz", None),
            (Method::HEAD, "/readyz", None),
            (Method::POST, "/login", None),
            (Method::POST, "/logout", None),
            (Method::GET, "/", viewer),
            (Method::GET, "/metrics", viewer),
            (Method::GET, "/api/v1/status", viewer),
            (Method::GET, "/operations", viewer),
            (Method::GET, "/login/", viewer),
            (Method::GET, "//login", viewer),
            (Method::POST, "/try", viewer),
            (Method::POST, "/api/v1/try", viewer),
            (Method::POST, "/try/x", Some(Role::Admin)),
            (Method::POST, "/api/v1/calls", Some(Role::Operator)),
            (Method::POST, "/operations/cold_chain/update", Some(Role::Operator)),
            (Method::POST, "/operationsx", Some(Role::Admin)),
            (Method::PUT, "/api/v1/calls", Some(Role::Admin)),
            (Method::DELETE, "/", Some(Role::Admin)),
            (Method::OPTIONS, "/api/v1/status", Some(Role::Admin)),
        ] {
            assert_eq!(needed(&method, path), expected, "{method} {path}");
            if method == Method::POST {
                assert_eq!(takes_body(path), expected != Some(Role::Admin), "{path}");
            }
        }
    }
}
