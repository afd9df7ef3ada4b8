//! The host that a request is addressed to (RFC 9110, section 7.2).
//!
//! A page from elsewhere may let its own name lead to this machine (DNS rebinding) and would then
//! read an endpoint that only listens here. The browser still sends that page's name.

use std::net::{IpAddr, Ipv6Addr};

use axum::extract::Request;
use axum::http::{StatusCode, Version, header};

use crate::monitor::http::answer::Problem;

/// Longest name of a host (RFC 1035, section 2.3.4), with a dot at its end.
const MAX_NAME_BYTES: usize = 254;
/// Characters of a name besides letters and digits (RFC 3986, section 3.2.2).
const NAME_CHARACTERS: &[u8] = b"-._~!$&'()*+,;=%";

/// The names that an endpoint answers to.
#[derive(Debug, Clone, Copy)]
pub struct Hosts {
    /// The address that it listens on; `None` if every host name is accepted.
    only: Option<IpAddr>,
}

impl Hosts {
    /// For an endpoint that listens there. Only one that is reached from this machine alone is
    /// choosy: what others reach has the names that its operators give it.
    #[must_use]
    pub fn new(listens: IpAddr) -> Self {
        Self { only: Some(listens).filter(IpAddr::is_loopback) }
    }

    /// Refuses a request whose host is absent, double or malformed with 400, and one that is
    /// addressed to another machine with 421.
    pub fn check(&self, request: &Request) -> Result<(), Problem> {
        let malformed = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
        let mut lines = request.headers().get_all(header::HOST).iter();
        let (line, second) = (lines.next(), lines.next());
        if second.is_some() {
            return Err(malformed("duplicate header `Host`".to_owned()));
        }
        // HTTP/1.0 knows no such header, and no browser speaks it.
        if line.is_none() && request.version() > Version::HTTP_10 {
            return Err(malformed("the header `Host` is missing".to_owned()));
        }
        let line = line.map(|line| {
            let host = line.to_str().ok().and_then(Host::parse);
            host.ok_or_else(|| malformed(format!("the header `Host` has no host: {line:?}")))
        });
        // A target with a host of its own counts in place of the header (RFC 9112, section 3.2.2).
        let target = request.uri().authority().map(|target| {
            let host = Host::parse(target.as_str());
            host.ok_or_else(|| malformed(format!("the request target has no host: `{target}`")))
        });
        let (line, target) = (line.transpose()?, target.transpose()?);
        let (Some(listens), Some(host)) = (self.only, target.or(line)) else { return Ok(()) };
        if host.is_this_machine() {
            return Ok(());
        }
        let detail = format!(
            "this endpoint only serves this machine: use localhost or {listens}, also from a proxy, or \
             let it listen on an address that others can reach"
        );
        Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail))
    }
}

/// A host, with or without a port: `uri-host [ ":" port ]`.
#[derive(Debug, PartialEq, Eq)]
pub struct Host<'a> {
    name: Name<'a>,
    port: Option<u16>,
}

#[derive(Debug, PartialEq, Eq)]
enum Name<'a> {
    Address(IpAddr),
    /// Without a dot at its end.
    Name(&'a str),
}

impl<'a> Host<'a> {
    /// Reads a host. Users in front of it, zones of IPv6 addresses and ports beyond 65,535 are none.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (name, rest) = match text.strip_prefix('[') {
            Some(inner) => {
                let (address, rest) = inner.split_once(']')?;
                let address: Ipv6Addr = address.parse().ok()?;
                (Name::Address(IpAddr::V6(address)), rest)
            }
            None => {
                let end = text.find(':').unwrap_or(text.len());
                let (name, rest) = text.split_at(end);
                (Name::parse(name)?, rest)
            }
        };
        let port = match rest {
            "" | ":" => None,
            rest => Some(port(rest.strip_prefix(':')?)?),
        };
        Some(Self { name, port })
    }

    /// True if it can only be this machine.
    fn is_this_machine(&self) -> bool {
        match &self.name {
            Name::Address(address) => address.to_canonical().is_loopback(),
            Name::Name(name) => name.eq_ignore_ascii_case("localhost"),
        }
    }

    /// True if both are the same host and port, where a port that is not named is this one.
    #[must_use]
    pub fn is(&self, other: &Self, usual: Option<u16>) -> bool {
        let is_name = match (&self.name, &other.name) {
            (Name::Name(one), Name::Name(other)) => one.eq_ignore_ascii_case(other),
            (one, other) => one == other,
        };
        is_name && self.port.or(usual) == other.port.or(usual)
    }
}

impl<'a> Name<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || NAME_CHARACTERS.contains(&byte);
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() || text.len() > MAX_NAME_BYTES || !text.bytes().all(is_known) {
            return None;
        }
        Some(name.parse().map_or(Self::Name(name), Self::Address))
    }
}

fn port(text: &str) -> Option<u16> {
    text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_as_the_standard_says() {
        let here = |port| Some((true, port));
        let elsewhere = |port| Some((false, port));
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        for (text, expected) in [
            ("localhost", here(None)),
            ("LOCALHOST", here(None)),
            ("localhost.", here(None)),
            ("localhost:80", here(Some(80))),
            ("localhost:", here(None)),
            ("localhost:065535", here(Some(65_535))),
            ("127.0.0.1", here(None)),
            ("127.0.0.1.:1", here(Some(1))),
            ("127.255.255.254", here(None)),
            ("[::1]", here(None)),
            ("[::1]:8780", here(Some(8_780))),
            ("[0:0:0:0:0:0:0:1]", here(None)),
            ("[::ffff:127.0.0.1]", here(None)),
            ("[::2]", elsewhere(None)),
            ("[::ffff:10.0.0.1]", elsewhere(None)),
            ("0.0.0.0", elsewhere(None)),
            ("[::]", elsewhere(None)),
            ("127.1", elsewhere(None)),
            ("0x7f000001", elsewhere(None)),
            ("2130706433", elsewhere(None)),
            ("localhost..", elsewhere(None)),
            ("localhost.evil.example", elsewhere(None)),
            ("evil.example:80", elsewhere(Some(80))),
            ("my_host", elsewhere(None)),
            ("%6cocalhost", elsewhere(None)),
            ("[::1].evil.example", None),
            ("[::1]x", None),
            ("[::1]:80:80", None),
            ("[::1%25lo]", None),
            ("[::1%lo]", None),
            ("[::1", None),
            ("[127.0.0.1]", None),
            ("[localhost]", None),
            ("[]", None),
            ("::1", None),
            ("localhost:80@evil.example", None),
            ("localhost@evil.example", None),
            ("user:password@localhost", None),
            ("localhost:65536", None),
            ("localhost:-1", None),
            ("localhost:+80", None),
            ("localhost:80 ", None),
            ("localhost:8o", None),
            ("localhost:80:80", None),
            (" localhost", None),
            ("localhost/evil", None),
            ("localhost?", None),
            ("localhost#", None),
            ("local\\host", None),
            ("localhost, evil.example", None),
            ("", None),
            (".", None),
            (":80", None),
            (long.as_str(), None),
        ] {
            let found = Host::parse(text).map(|host| (host.is_this_machine(), host.port));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn hosts_are_compared_with_their_ports() {
        let is = |one: &str, other: &str, usual| {
            Host::parse(one).unwrap().is(&Host::parse(other).unwrap(), usual)
        };
        assert!(is("ledger", "LEDGER.", None) && is("ledger:80", "ledger", Some(80)));
        assert!(is("[::1]", "[0::1]", None) && is("ledger:443", "ledger:443", Some(80)));
        assert!(!is("ledger:81", "ledger", Some(80)) && !is("ledger", "ledger2", None));
        assert!(!is("ledger:80", "ledger", None) && !is("127.0.0.1", "localhost", None));
    }
}
