//! Connections of the endpoint: how many, how long, how large their requests.
//!
//! The endpoint runs on threads of its own and reads only what is durable, so a slow client holds up
//! neither ingestion nor another client.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{DATE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use jiff::fmt::rfc2822::DateTimePrinter;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use crate::limits::{
    CONNECTION_LIFETIME, ENDPOINT_STOP, HANDSHAKE_TIMEOUT, MAX_CONNECTIONS, MAX_REQUEST_HEAD_BYTES,
    MAX_REQUEST_HEADERS, REQUEST_HEAD_TIMEOUT,
};
use crate::monitor::access::tls::Tls;
use crate::monitor::access::{Access, AccessError, Peer};

/// How long accepting pauses when the system has no more sockets to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Files of the log, the state and the source beside connections.
const OTHER_FILES: u64 = 1_024;
/// Threads that move bytes; what reads the ledger runs beside them.
const WORKERS: usize = 2;

/// Why the endpoint does not start.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The address cannot be bound.
    #[error(
        "the endpoint cannot listen on {address}; choose another address, or stop what uses this one"
    )]
    Bind {
        /// The configured address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        error: std::io::Error,
    },
    /// Nobody could be let in as the configuration says.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// No thread for it.
    #[error("the endpoint cannot start its threads")]
    Threads(#[source] std::io::Error),
}

/// A running endpoint. Dropping it stops it.
#[derive(Debug)]
pub struct Endpoint {
    address: SocketAddr,
    is_secure: bool,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Endpoint {
    /// Listens on an address (port 0 chooses a free one), over TLS where access says so, and answers
    /// with these routes. What goes on beside them ends when a stop is asked for.
    pub fn start(
        address: SocketAddr,
        routes: Router,
        access: Arc<Access>,
        beside: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Self, EndpointError> {
        let bind = |error| EndpointError::Bind { address, error };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .max_blocking_threads(crate::limits::MAX_REQUESTS)
            .thread_name("endpoint")
            .enable_all()
            .build()
            .map_err(EndpointError::Threads)?;
        raise_file_limit();
        let listener = runtime.block_on(TcpListener::bind(address)).map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let (stop, stopped) = watch::channel(false);
        let mut beside_stopped = stopped.clone();
        runtime.spawn(async move {
            tokio::select! {
                () = beside => {}
                _ = beside_stopped.wait_for(|stopped| *stopped) => {}
            }
        });
        let is_secure = access.tls().is_some();
        let serve = move || {
            runtime.block_on(accept(listener, Answering { routes, access, stopped }));
            runtime.shutdown_timeout(ENDPOINT_STOP);
        };
        let thread = std::thread::Builder::new().name("endpoint".to_owned()).spawn(serve);
        Ok(Self { address, is_secure, stop, thread: Some(thread.map_err(EndpointError::Threads)?) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as programs and browsers name it, such as `https://127.0.0.1:8780`.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.is_secure { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Stops listening, lets answers on their way finish within [`ENDPOINT_STOP`], and returns.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // A panic there was reported by its thread; there is nothing left to stop.
            let _ = thread.join();
        }
    }
}

/// What answers on every connection.
#[derive(Clone)]
struct Answering {
    routes: Router,
    access: Arc<Access>,
    stopped: watch::Receiver<bool>,
}

/// Lets this process have a file for each connection, where the system allows it.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = MAX_CONNECTIONS as u64 + OTHER_FILES;
    let wanted = limit.maximum.map_or(wanted, |most| wanted.min(most));
    if limit.current.is_some_and(|current| current < wanted) {
        // Without it, fewer connections are accepted at a time, and the log says so.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit });
    }
}

async fn accept(listener: TcpListener, answering: Answering) {
    let mut stop = answering.stopped.clone();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            match listener.accept().await {
                Ok((stream, address)) => Some((stream, address.ip(), place)),
                Err(error) => {
                    tracing::warn!(%error, "no connection can be accepted");
                    sleep(ACCEPT_PAUSE).await;
                    None
                }
            }
        };
        tokio::select! {
            next = next => if let Some((stream, address, place)) = next
                && let Some(connected) = answering.access.connect(address)
            {
                let answering = answering.clone();
                tokio::spawn(async move {
                    welcome(stream, address, answering).await;
                    drop((place, connected));
                });
            },
            _ = stop.wait_for(|stopped| *stopped) => break,
        }
    }
    drop(listener);
    let all = u32::try_from(MAX_CONNECTIONS).unwrap_or(u32::MAX);
    // Over the time, the rest are cut off with the runtime.
    let _ = timeout(ENDPOINT_STOP, places.acquire_many(all)).await;
}

/// Begins a connection, with TLS where that is spoken here.
async fn welcome(stream: TcpStream, address: IpAddr, answering: Answering) {
    let Some(acceptor) = answering.access.tls().map(Tls::acceptor) else {
        let peer = Peer { address, is_secure: false, certified: None };
        return serve(stream, peer, answering).await;
    };
    let mut stop = answering.stopped.clone();
    let shaken = tokio::select! {
        shaken = timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)) => shaken,
        _ = stop.wait_for(|stopped| *stopped) => return,
    };
    match shaken {
        Ok(Ok(stream)) => {
            let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            let certified = shown.and_then(|shown| answering.access.certified(shown));
            serve(stream, Peer { address, is_secure: true, certified }, answering).await;
        }
        // Who speaks no TLS, or shows no certificate that is wanted, is told by the handshake.
        Ok(Err(error)) => tracing::debug!(%address, %error, "no TLS"),
        Err(_) => tracing::debug!(%address, "no TLS in time"),
    }
}

/// A time as the header `Date` writes it (RFC 9110, section 5.6.7); `None` where no calendar has it.
fn http_date(time_ms: i64) -> Option<HeaderValue> {
    let time = jiff::Timestamp::from_millisecond(time_ms).ok()?;
    let text = DateTimePrinter::new().timestamp_to_rfc9110_string(&time).ok()?;
    HeaderValue::from_str(&text).ok()
}

/// Serves one connection until it ends, grows too old or the endpoint stops.
async fn serve<S>(stream: S, peer: Peer, answering: Answering)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Answering { routes, access, mut stopped } = answering;
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        let (answer, access) = (routes.call(request), Arc::clone(&access));
        async move {
            let mut answer = answer.await?;
            if let Some(date) = http_date(access.now_ms()) {
                answer.headers_mut().insert(DATE, date);
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        // The library's own date panics where the clock is before 1970 or beyond the year 9999.
        .auto_date_header(false)
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_HEAD_TIMEOUT)
        .max_buf_size(MAX_REQUEST_HEAD_BYTES)
        .max_headers(MAX_REQUEST_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        // An error here is a client that went away or sent no HTTP: its own affair.
        _ = &mut connection => return,
        () = sleep(CONNECTION_LIFETIME) => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(ENDPOINT_STOP, connection).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_written_or_left_out() {
        let table = [
            (0, Some("Thu, 01 Jan 1970 00:00:00 GMT")),
            (1_798_761_599_999, Some("Thu, 31 Dec 2026 23:59:59 GMT")),
            (-1, Some("Wed, 31 Dec 1969 23:59:59 GMT")),
            (253_402_300_800_000, None), // the year 10000
            (i64::MAX, None),
            (i64::MIN, None),
        ];
        for (time_ms, expected) in table {
            let date = http_date(time_ms);
            let date = date.as_ref().map(|date| date.to_str().unwrap());
            assert_eq!(date, expected, "{time_ms}");
        }
    }
}
