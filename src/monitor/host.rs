//! Whom a request must be addressed to. A page from elsewhere may let its own name lead to this
//! machine (DNS rebinding) and would then read an endpoint that only listens here; the browser still
//! sends that page's name.

use std::net::{IpAddr, Ipv6Addr};

use axum::extract::Request;
use axum::http::header;

/// The names that an endpoint answers to.
#[derive(Debug, Clone, Copy)]
pub struct Hosts {
    /// Where it listens; `None` where any name is as good as another.
    only: Option<IpAddr>,
}

impl Hosts {
    /// For an endpoint that listens there. Only one that is reached from this machine alone is
    /// choosy: what others reach has the names that its operators give it.
    #[must_use]
    pub fn new(listens: IpAddr) -> Self {
        Self { only: Some(listens).filter(IpAddr::is_loopback) }
    }

    /// Where it listens, for a request that is addressed elsewhere.
    #[must_use]
    pub fn refuses(&self, request: &Request) -> Option<IpAddr> {
        let listens = self.only?;
        let mut named = request.headers().get_all(header::HOST).iter();
        let is_here = named.all(|host| host.to_str().is_ok_and(is_loopback))
            && request.uri().authority().is_none_or(|whole| is_loopback(whole.as_str()));
        (!is_here).then_some(listens)
    }
}

/// Whether a host, with or without a port, can only be this machine.
fn is_loopback(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        let address = rest.split_once(']').map(|(address, _)| address.parse::<Ipv6Addr>());
        return address.is_some_and(|address| address.is_ok_and(|address| address.is_loopback()));
    }
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    let name = name.strip_suffix('.').unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
