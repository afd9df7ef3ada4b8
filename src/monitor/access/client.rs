//! The client of a request, before authentication.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::{COOKIE, HeaderValue};
use axum::http::{HeaderMap, HeaderName};

use crate::limits::SESSION_LIFETIME;
use crate::monitor::access::caller::Caller;
use crate::monitor::access::connections::{Connected, Standing};
use crate::monitor::http::base_path::BasePath;

/// Cookie of a login where it cannot be read or set on the way (RFC 6265bis, 4.1.3.2: only by this
/// host, only over TLS).
const SECURE_COOKIE: &str = "__Host-ledgerline";
/// The same below a path of a host that others share: such a cookie names its path, which the prefix
/// above forbids.
const SECURE_PATH_COOKIE: &str = "__Secure-ledgerline";
/// Cookie of a login without TLS.
const PLAIN_COOKIE: &str = "ledgerline";

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The last element of a header that proxies append to: the word of the nearest one.
pub fn last_forwarded(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let line = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    line.rsplit(',').next().map(str::trim)
}

/// The address of an element of `X-Forwarded-For`. Some proxies add the client's port.
fn address_of(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    text.parse().ok().or_else(with_port).or_else(bracketed)
}

/// The other end of a connection. Every request carries it.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// True if the connection is encrypted.
    pub is_secure: bool,
    /// The caller identified by its client certificate.
    pub certified: Option<Caller>,
    /// The connection itself, where it is counted.
    pub connected: Option<Arc<Connected>>,
}

/// The client of a request, as far as the connection identifies it.
#[derive(Debug)]
pub struct Client {
    /// Its address.
    pub address: IpAddr,
    /// True if what it sends is encrypted on the way.
    is_secure: bool,
    /// The caller identified by its client certificate.
    pub certified: Option<Caller>,
    connected: Option<Arc<Connected>>,
}

impl Client {
    /// Of a request. A proxy's word counts only where there is one, and only its own: the last.
    pub fn of(request: &Request, behind_proxy: bool) -> Self {
        let unknown = Peer {
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            is_secure: false,
            certified: None,
            connected: None,
        };
        let peer = request.extensions().get::<Peer>().unwrap_or(&unknown);
        let last = |name| last_forwarded(request.headers(), name);
        let (mut address, mut is_secure) = (peer.address, peer.is_secure);
        if behind_proxy {
            address = last(FORWARDED_FOR).and_then(address_of).unwrap_or(address);
            is_secure |= last(FORWARDED_PROTO).is_some_and(|last| last == "https");
        }
        let (certified, connected) = (peer.certified.clone(), peer.connected.clone());
        Self { address, is_secure, certified, connected }
    }

    /// Notes for its connection what a request has proved.
    pub fn prove(&self, standing: Standing) {
        if let Some(connected) = &self.connected {
            connected.prove(standing);
        }
    }

    fn cookie_name(&self, base_path: &BasePath) -> &'static str {
        match (self.is_secure, base_path.is_root()) {
            (true, true) => SECURE_COOKIE,
            (true, false) => SECURE_PATH_COOKIE,
            (false, _) => PLAIN_COOKIE,
        }
    }

    /// The cookie of its login.
    pub fn cookie<'a>(&self, headers: &'a HeaderMap, base_path: &BasePath) -> Option<&'a str> {
        let texts = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.split_once('='));
        let wanted = self.cookie_name(base_path);
        let (_, value) = pairs.find(|(name, _)| name.trim() == wanted)?;
        Some(value.trim())
    }

    /// The header that sets that cookie below a path; an empty value takes it away.
    pub fn set_cookie(&self, value: &str, base_path: &BasePath) -> Option<HeaderValue> {
        let (name, path) = (self.cookie_name(base_path), base_path.as_path());
        let secure = if self.is_secure { "; Secure" } else { "" };
        let seconds = if value.is_empty() { 0 } else { SESSION_LIFETIME.as_secs() };
        let rest = format!("Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
        HeaderValue::from_str(&format!("{name}={value}; {rest}")).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)]) -> Request {
        let mut request = Request::default();
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        let peer = Peer {
            address: [192, 0, 2, 1].into(),
            is_secure: false,
            certified: None,
            connected: None,
        };
        request.extensions_mut().insert(peer);
        request
    }

    #[test]
    fn only_the_word_of_a_proxy_of_ours_counts() {
        let forged =
            [("x-forwarded-for", "198.51.100.9"), ("x-forwarded-for", "10.0.0.1, 203.0.113.7")];
        for (headers, behind_proxy, expected) in [
            (&forged[..], false, "192.0.2.1"),
            (&forged[..], true, "203.0.113.7"),
            (&[("x-forwarded-for", "2001:db8::1")], true, "2001:db8::1"),
            (&[("x-forwarded-for", "203.0.113.7:49152")], true, "203.0.113.7"),
            (&[("x-forwarded-for", "[2001:db8::1]:49152")], true, "2001:db8::1"),
            (&[("x-forwarded-for", "[2001:db8::1]")], true, "2001:db8::1"),
            (&[("x-forwarded-for", "203.0.113.7:x")], true, "192.0.2.1"),
            (&[("x-forwarded-for", "somewhere")], true, "192.0.2.1"),
            (&[], true, "192.0.2.1"),
        ] {
            let client = Client::of(&request(headers), behind_proxy);
            assert_eq!(client.address.to_string(), expected, "{headers:?}");
        }
    }

    #[test]
    fn a_cookie_is_for_this_host_alone_and_out_of_scripts_reach() {
        let cookies = [("cookie", "a=1; __Host-ledgerline=x;ledgerline=y"), ("cookie", "b=2")];
        let plain = request(&cookies);
        let root = BasePath::default();
        let client = Client::of(&plain, true);
        assert_eq!(client.cookie(plain.headers(), &root), Some("y"));
        let expected = "ledgerline=v; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict";
        assert_eq!(client.set_cookie("v", &root).unwrap(), expected);
        let mut secure = request(&cookies);
        secure.headers_mut().insert(FORWARDED_PROTO, "https".parse().unwrap());
        let client = Client::of(&secure, true);
        assert_eq!(client.cookie(secure.headers(), &root), Some("x"));
        let expected = "__Host-ledgerline=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict; Secure";
        assert_eq!(client.set_cookie("", &root).unwrap(), expected);
        assert_eq!(Client::of(&secure, false).cookie(secure.headers(), &root), Some("y"));
    }

    #[test]
    fn below_a_path_a_cookie_is_for_that_path_alone() {
        let cookies = [("cookie", "__Host-ledgerline=x; __Secure-ledgerline=z; ledgerline=y")];
        let base_path: BasePath = "/tools/ledger".parse().unwrap();
        for (proto, name, value, secure) in
            [("http", "ledgerline", "y", ""), ("https", "__Secure-ledgerline", "z", "; Secure")]
        {
            let mut request = request(&cookies);
            request.headers_mut().insert(FORWARDED_PROTO, proto.parse().unwrap());
            let client = Client::of(&request, true);
            assert_eq!(client.cookie(request.headers(), &base_path), Some(value));
            let expected = format!(
                "{name}=v; Path=/tools/ledger; Max-Age=43200; HttpOnly; SameSite=Strict{secure}"
            );
            assert_eq!(client.set_cookie("v", &base_path).unwrap(), &expected);
        }
    }
}
