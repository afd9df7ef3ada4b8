//! The HTTP client for everything that is asked of other servers: key sets, collectors of traces, the
//! endpoint that `top` shows.
//!
//! Connections are kept alive and go through the proxy that `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`
//! name, but never to this machine itself. Redirects are not followed. Each request has a time limit, and each reply a size limit.

pub mod tls;

pub use tls::Trust;

use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, StatusCode, Url};
use tokio_rustls::rustls;

use crate::diagnostic::chain;

/// Timeout for connecting. A request's own limit may be shorter.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Lifetime of an idle connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Another server.
#[derive(Debug, Clone)]
pub struct Peer {
    client: Client,
    url: Url,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// Method.
    pub method: Method,
    /// Path and query; the server's own address where empty.
    pub path: String,
    /// Headers besides the host.
    pub headers: HeaderMap,
    /// Body; empty for none.
    pub body: Vec<u8>,
}

impl Request {
    /// Reads a path.
    #[must_use]
    pub fn get(path: &str) -> Self {
        let (headers, body) = (HeaderMap::new(), Vec::new());
        Self { method: Method::GET, path: path.to_owned(), headers, body }
    }
}

/// Limits of one request.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Time until the whole reply is there.
    pub timeout: Duration,
    /// Bytes of the reply's body.
    pub max_bytes: usize,
}

/// A reply, of any status.
#[derive(Debug)]
pub struct Reply {
    /// Status.
    pub status: StatusCode,
    /// Body.
    pub body: Vec<u8>,
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// No connection.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The certificate is not trusted, or the other side does not speak TLS.
    #[error("cannot establish TLS: {0}")]
    Tls(String),
    /// The reply is not HTTP, or ended too early.
    #[error("not a usable HTTP reply: {0}")]
    Protocol(String),
    /// The reply is over its limit.
    #[error("the reply exceeds {0} bytes")]
    TooLong(usize),
    /// The reply did not come in time.
    #[error("no reply within {} s", .0.as_secs())]
    Timeout(Duration),
}

impl Peer {
    /// The server at an address such as `https://example.com/base`. Asks nothing yet.
    ///
    /// # Errors
    ///
    /// In words, what is wrong with the address or with a file of [`Trust`].
    pub fn new(address: &str, trust: &Trust) -> Result<Self, String> {
        let url =
            Url::parse(address).map_err(|error| format!("`{address}` is not a URL: {error}"))?;
        // A URL's parser takes any number of slashes in front of the host.
        let has_host = address.split_once("://").is_some_and(|(_, rest)| !rest.starts_with('/'));
        if !matches!(url.scheme(), "http" | "https") || !has_host {
            return Err(format!("`{address}` does not start with http://HOST or https://HOST"));
        }
        let mut builder = Client::builder()
            .redirect(Policy::none())
            .referer(false)
            .http1_only()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .user_agent(concat!("ledgerline/", env!("CARGO_PKG_VERSION")));
        // The library would load the system's authorities for plain HTTP too.
        builder = match url.scheme() {
            "https" => builder.tls_backend_preconfigured(tls::client_config(trust)?),
            _ => builder.tls_backend_preconfigured(tls::plain_config()?),
        };
        if is_local(&url) {
            // A proxy would be somebody on the way, and on another machine would mean itself.
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| chain(&error))?;
        Ok(Self { client, url })
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// True if it is asked over TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// True if its address can only mean this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        is_local(&self.url)
    }

    /// Sends a request and reads the whole reply.
    pub async fn send(&self, request: Request, bounds: Bounds) -> Result<Reply, OutboundError> {
        let failed = |error| explained(&error, bounds);
        let Request { method, path, headers, body } = request;
        let mut url = self.url.clone();
        if !path.is_empty() {
            let (path, query) = path.split_once('?').map_or((&*path, None), |(p, q)| (p, Some(q)));
            url.set_path(path);
            url.set_query(query);
        }
        let request = self.client.request(method, url).headers(headers).timeout(bounds.timeout);
        let request = if body.is_empty() { request } else { request.body(body) };
        let mut reply = request.send().await.map_err(failed)?;
        let status = reply.status();
        let mut body = Vec::new();
        while let Some(piece) = reply.chunk().await.map_err(failed)? {
            if body.len() + piece.len() > bounds.max_bytes {
                return Err(OutboundError::TooLong(bounds.max_bytes));
            }
            body.extend_from_slice(&piece);
        }
        Ok(Reply { status, body })
    }
}

fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// The cause of a failure, without the library's own layers around it.
fn explained(error: &reqwest::Error, bounds: Bounds) -> OutboundError {
    let mut deepest: &dyn Error = error;
    let mut is_tls = false;
    while let Some(source) = deepest.source() {
        is_tls |= is_of_tls(source);
        deepest = source;
    }
    let reason = deepest.to_string();
    match error {
        _ if is_tls => OutboundError::Tls(reason),
        error if error.is_timeout() => OutboundError::Timeout(bounds.timeout),
        error if error.is_connect() => OutboundError::Connect(reason),
        _ => OutboundError::Protocol(reason),
    }
}

/// True if an error is of TLS, or wraps one: the source of an [`io::Error`] passes over what it
/// wraps.
fn is_of_tls(error: &(dyn Error + 'static)) -> bool {
    let Some(error) = error.downcast_ref::<io::Error>() else {
        return error.is::<rustls::Error>();
    };
    error.kind() == io::ErrorKind::InvalidData
        || error.get_ref().is_some_and(|inner| is_of_tls(inner))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    const BOUNDS: Bounds = Bounds { timeout: Duration::from_secs(30), max_bytes: 100 };

    /// A server that takes connections in turn: on each it answers one request after another with
    /// these texts, and hangs up when there is no more. Gives its address and what was asked.
    fn serve(connections: Vec<Vec<String>>) -> (String, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let work = move || {
            let mut asked = Vec::new();
            for replies in connections {
                let (mut stream, _) = listener.accept().unwrap();
                for reply in replies {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let mut byte = [0];
                        stream.read_exact(&mut byte).unwrap();
                        head.extend(byte);
                    }
                    asked.push(String::from_utf8(head).unwrap());
                    // A client that has enough may be gone before the end.
                    let _ = stream.write_all(reply.as_bytes());
                }
            }
            asked
        };
        (url, std::thread::spawn(work))
    }

    fn reply(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    }

    fn send(peer: &Peer, path: &str) -> Result<Reply, OutboundError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(peer.send(Request::get(path), BOUNDS))
    }

    #[test]
    fn a_connection_serves_more_than_one_request() {
        let replies = vec![reply("200 OK", "one"), reply("503 Busy", "two")];
        let (url, server) = serve(vec![replies]);
        let peer = Peer::new(&format!("{url}/base?a=1"), &Trust::default()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (one, two) = runtime.block_on(async {
            let one = peer.send(Request::get(""), BOUNDS).await.unwrap();
            (one, peer.send(Request::get("/other?b=2"), BOUNDS).await.unwrap())
        });
        assert_eq!((one.status.as_u16(), &*one.body), (200, &b"one"[..]));
        assert_eq!((two.status.as_u16(), &*two.body), (503, &b"two"[..]));
        let asked = server.join().unwrap();
        assert!(asked[0].starts_with("GET /base?a=1 HTTP/1.1\r\n"), "{}", asked[0]);
        assert!(asked[1].starts_with("GET /other?b=2 HTTP/1.1\r\n"), "{}", asked[1]);
    }

    #[test]
    fn a_redirect_is_a_reply_and_leads_nowhere() {
        let away =
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
        let (url, server) = serve(vec![vec![away.to_owned()]]);
        let found = send(&Peer::new(&url, &Trust::default()).unwrap(), "/").unwrap();
        assert_eq!(found.status.as_u16(), 302);
        server.join().unwrap();
    }

    #[test]
    fn a_failure_says_what_it_is() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let peer = Peer::new(&format!("http://{free}"), &Trust::default()).unwrap();
        assert!(matches!(send(&peer, "/"), Err(OutboundError::Connect(_))));
        for (text, expected) in [
            (reply("200 OK", &"x".repeat(101)), "exceeds 100 bytes"),
            ("SSH-2.0\r\n".to_owned(), "not a usable HTTP reply"),
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nx".to_owned(), "not a usable HTTP reply"),
        ] {
            let (url, server) = serve(vec![vec![text.clone()]]);
            let error = send(&Peer::new(&url, &Trust::default()).unwrap(), "/").unwrap_err();
            assert!(error.to_string().contains(expected), "{text}: {error}");
            server.join().unwrap();
        }
    }

    #[test]
    fn addresses_are_checked() {
        for (address, expected) in [
            ("example.com", "is not a URL"),
            ("ftp://example.com", "does not start with http://"),
            ("https:///path", "does not start with http://"),
            ("http://", "is not a URL"),
        ] {
            let error = Peer::new(address, &Trust::default()).unwrap_err();
            assert!(error.contains(expected), "{address}: {error}");
        }
        for (address, local) in [
            ("http://127.0.0.1:1", true),
            ("http://[::1]/x", true),
            ("http://localhost", true),
            ("http://example.com", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(
                Peer::new(address, &Trust::default()).unwrap().is_local(),
                local,
                "{address}"
            );
        }
    }
}
