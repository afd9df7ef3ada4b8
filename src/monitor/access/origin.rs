//! Whether a browser sends a request for a page of another site (CSRF). Browsers say so themselves
//! (`Sec-Fetch-Site`, Fetch Metadata); older ones at least name the page's origin. Other programs
//! say neither, and no site makes them send anything.

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Uri};

use crate::monitor::host::Host;

/// Whether a page of another site is behind a request that changes something.
#[must_use]
pub fn is_foreign(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all("sec-fetch-site").iter().peekable();
    if sites.peek().is_some() {
        return !sites.all(|site| site == "same-origin" || site == "none");
    }
    let host = headers.get(HOST).and_then(|host| Host::parse(host.to_str().ok()?));
    headers.get_all(ORIGIN).iter().any(|origin| {
        let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
        !origin.as_ref().zip(host.as_ref()).is_some_and(|(origin, host)| is_at(origin, host))
    })
}

/// Whether an origin is at a host. A port that neither names is that of the origin's scheme.
fn is_at(origin: &Uri, host: &Host) -> bool {
    let usual = match origin.scheme_str() {
        Some("http") => Some(80),
        Some("https") => Some(443),
        _ => None,
    };
    let authority = origin.authority().and_then(|authority| Host::parse(authority.as_str()));
    authority.is_some_and(|authority| authority.is(host, usual))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_its_own_send_forms() {
        for (given, expected) in [
            (&[][..], false),
            (&[("sec-fetch-site", "same-origin")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("sec-fetch-site", "cross-site")], true),
            (&[("sec-fetch-site", "x")], true),
            (&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], true),
            (&[("sec-fetch-site", "cross-site"), ("origin", "https://ledger:8780")], true),
            (&[("origin", "https://ledger:8780")], false),
            (&[("origin", "http://LEDGER:8780")], false),
            (&[("origin", "https://ledger")], true),
            (&[("origin", "https://ledger.:8780")], false),
            (&[("origin", "https://user@ledger:8780")], true),
            (&[("origin", "https://ledger:8780.evil.example")], true),
            (&[("origin", "https://evil.example")], true),
            (&[("origin", "null")], true),
            (&[("origin", "")], true),
            (&[("origin", "https://ledger:8780"), ("origin", "https://evil.example")], true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, "ledger:8780".parse().unwrap());
            for (name, value) in given {
                headers.append(*name, value.parse().unwrap());
            }
            assert_eq!(is_foreign(&headers), expected, "{given:?}");
        }
    }
    #[test]
    fn the_usual_port_of_a_scheme_need_not_be_named() {
        for (host, origin, expected) in [
            ("ledger", "https://ledger", false),
            ("ledger:443", "https://ledger", false),
            ("ledger", "https://ledger:443", false),
            ("ledger:80", "http://ledger", false),
            ("ledger:80", "https://ledger", true),
            ("ledger:443", "http://ledger", true),
            ("ledger:80@evil.example", "http://ledger", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().unwrap());
            headers.insert(ORIGIN, origin.parse().unwrap());
            assert_eq!(is_foreign(&headers), expected, "{host} {origin}");
        }
    }
}
