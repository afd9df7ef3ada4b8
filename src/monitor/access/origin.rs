//! Protection against cross-site requests (CSRF). Browsers report the origin of a request
//! (`Sec-Fetch-Site`, Fetch Metadata), but only over TLS or to this machine; otherwise they at
//! least send the page's origin. Other programs send neither, and no site can make them send
//! requests.

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, Uri};

use crate::monitor::access::client::last_forwarded;
use crate::monitor::http::host::Host;

const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// True if a page of another site is behind a request that changes something. Behind a proxy, the
/// host that the browser asked is the one that the proxy forwards, where it does. A page cannot
/// forge it: a form sets no headers, and a script that sets this one needs permission that is given
/// to no other site (CORS).
#[must_use]
pub fn is_foreign(headers: &HeaderMap, behind_proxy: bool) -> bool {
    let mut sites = headers.get_all("sec-fetch-site").iter().peekable();
    if sites.peek().is_some() {
        return !sites.all(|site| site == "same-origin" || site == "none");
    }
    let host = match behind_proxy && headers.contains_key(FORWARDED_HOST) {
        true => last_forwarded(headers, FORWARDED_HOST),
        false => headers.get(HOST).and_then(|host| host.to_str().ok()),
    };
    let host = host.and_then(Host::parse);
    headers.get_all(ORIGIN).iter().any(|origin| {
        let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
        !origin.as_ref().zip(host.as_ref()).is_some_and(|(origin, host)| is_at(origin, host))
    })
}

/// True if an origin is at a host. A port that neither names is that of the origin's scheme.
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
            assert_eq!(is_foreign(&headers, false), expected, "{given:?}");
            assert_eq!(is_foreign(&headers, true), expected, "behind a proxy: {given:?}");
        }
    }

    #[test]
    fn the_host_that_a_proxy_forwards_counts_behind_a_proxy_alone() {
        let site = "http://ledger.example:8080";
        for (forwarded, origin, expected) in [
            (&["ledger.example:8080"][..], site, false),
            (&["LEDGER.example:8080"], site, false),
            (&["ledger.example:8080"], "http://evil.example", true),
            (&["ledger.example"], site, true),
            // Only the word of the nearest proxy counts.
            (&["evil.example, ledger.example:8080"], site, false),
            (&["evil.example", "ledger.example:8080"], site, false),
            (&["ledger.example:8080, evil.example"], site, true),
            (&["ledger.example:8080", "evil.example"], site, true),
            // What names no host is at no origin, not even where `Host` is.
            (&[""], "http://127.0.0.1:8780", true),
            (&["a b"], "http://127.0.0.1:8780", true),
            (&["ledger.example:8080"], "http://127.0.0.1:8780", true),
            (&[], "http://127.0.0.1:8780", false),
            (&[], site, true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, "127.0.0.1:8780".parse().unwrap());
            headers.insert(ORIGIN, origin.parse().unwrap());
            for host in forwarded {
                headers.append(FORWARDED_HOST, host.parse().unwrap());
            }
            assert_eq!(is_foreign(&headers, true), expected, "{forwarded:?} {origin}");
            let is_direct = origin == "http://127.0.0.1:8780";
            assert_eq!(is_foreign(&headers, false), !is_direct, "{forwarded:?} {origin}");
            headers.insert("sec-fetch-site", "cross-site".parse().unwrap());
            assert!(is_foreign(&headers, true), "the browser's own word comes first");
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
            assert_eq!(is_foreign(&headers, false), expected, "{host} {origin}");
        }
    }
}
