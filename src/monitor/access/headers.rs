//! Security headers of answers.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

/// Content security policy of our pages: they may load from here, and nothing else.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Powers of a browser that no page of ours asks for.
const PERMISSIONS_POLICY: &str = "camera=(), display-capture=(), geolocation=(), microphone=(), \
    midi=(), payment=(), usb=()";

const ALWAYS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), PERMISSIONS_POLICY),
];

/// For a year, TLS only (RFC 6797).
const STRICT_TRANSPORT_SECURITY: &str = "max-age=31536000";

/// Adds what every answer says. Where not everyone may see it, nothing between here and the browser
/// may keep it.
pub fn protect(headers: &mut HeaderMap, is_tls: bool, is_for_all: bool) {
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if is_tls {
        let strict = HeaderValue::from_static(STRICT_TRANSPORT_SECURITY);
        headers.insert(header::STRICT_TRANSPORT_SECURITY, strict);
    }
    let keep = headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if !is_for_all && let Ok(text) = keep.to_str() {
        // `no-cache` alone lets a cache on the way keep an answer, if not use it unasked.
        let private = match text.replace("public", "private") {
            text if text.contains("private") || text.contains("no-store") => text,
            text => format!("{text}, private"),
        };
        *keep = HeaderValue::from_str(&private).unwrap_or(HeaderValue::from_static("no-store"));
    }
}

/// Adds when an answer was made (RFC 9110, section 6.6.1). A clock that is before 1970 or behind the
/// year 9999 was never set: then nothing is said, as for a server without a clock.
pub fn date(headers: &mut HeaderMap, now_ms: i64) {
    let now = Timestamp::from_millisecond(now_ms).ok().filter(|_| now_ms > 0);
    let text = now.and_then(|now| DateTimePrinter::new().timestamp_to_rfc9110_string(&now).ok());
    if let Some(date) = text.and_then(|text| HeaderValue::from_str(&text).ok()) {
        headers.insert(header::DATE, date);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_not_everyone_may_see_is_kept_by_browsers_alone() {
        for (given, for_all, for_some) in [
            (None, "no-store", "no-store"),
            (Some("no-store"), "no-store", "no-store"),
            (Some("no-cache"), "no-cache", "no-cache, private"),
            (
                Some("no-cache, no-transform"),
                "no-cache, no-transform",
                "no-cache, no-transform, private",
            ),
            (
                Some("public, max-age=31536000, immutable"),
                "public, max-age=31536000, immutable",
                "private, max-age=31536000, immutable",
            ),
        ] {
            for (is_for_all, expected) in [(true, for_all), (false, for_some)] {
                let mut headers = HeaderMap::new();
                if let Some(given) = given {
                    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(given));
                }
                protect(&mut headers, false, is_for_all);
                assert_eq!(headers[header::CACHE_CONTROL], expected, "{given:?}");
            }
        }
    }

    #[test]
    fn a_date_is_said_where_http_can_write_it() {
        for (now_ms, expected) in [
            (784_111_777_000, Some("Sun, 06 Nov 1994 08:49:37 GMT")),
            (1_000, Some("Thu, 01 Jan 1970 00:00:01 GMT")),
            (253_402_207_200_000, Some("Thu, 30 Dec 9999 22:00:00 GMT")),
            (0, None),
            (-1, None),
            (253_402_300_800_000, None),
            (i64::MIN, None),
            (i64::MAX, None),
        ] {
            let mut headers = HeaderMap::new();
            date(&mut headers, now_ms);
            let said = headers.get(header::DATE).map(|date| date.to_str().unwrap());
            assert_eq!(said, expected, "{now_ms}");
        }
    }
}
