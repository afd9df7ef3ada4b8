//! What an answer tells a browser that it may do with it.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// What a page of ours may do: load from here, and nothing else.
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
        let private = HeaderValue::from_str(&text.replace("public", "private"));
        *keep = private.unwrap_or(HeaderValue::from_static("no-store"));
    }
}
