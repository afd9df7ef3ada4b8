//! Whether a browser sends a request for a page of another site (CSRF). Browsers say so themselves
//! (`Sec-Fetch-Site`, Fetch Metadata); older ones at least name the page's origin. Other programs
//! say neither, and no site makes them send anything.

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Uri};

/// Whether a page of another site is behind a request that changes something.
#[must_use]
pub fn is_foreign(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all("sec-fetch-site").iter().peekable();
    if sites.peek().is_some() {
        return !sites.all(|site| site == "same-origin" || site == "none");
    }
    headers.get_all(ORIGIN).iter().any(|origin| {
        let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let same = origin.as_ref().and_then(Uri::authority).zip(host);
        !same.is_some_and(|(origin, host)| origin.as_str().eq_ignore_ascii_case(host))
    })
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
}
