//! Connections of the endpoint: limits on their number, lifetime and request size.
//!
//! The endpoint runs on threads of its own and reads only what is durable, so a slow client holds up
//! neither ingestion nor another client.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::clock::{Clock as _, SystemClock};
use crate::limits::{
    CONNECTION_LIFETIME, ENDPOINT_STOP, HANDSHAKE_TIMEOUT, MAX_CONNECTIONS, MAX_REQUEST_HEAD_BYTES,
    MAX_REQUEST_HEADERS, REQUEST_HEAD_TIMEOUT,
};
use crate::monitor::access::tls::Tls;
use crate::monitor::access::{Access, AccessError, Connected, Peer};
use crate::monitor::http::answer::Problem;
use crate::query::json;
use crate::threads::{self, TooFewThreads};

/// Pause in accepting when the system has no more sockets.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Files of the log, the state and the source beside connections.
const OTHER_FILES: u64 = 1_024;
/// Threads that move bytes; what reads the ledger runs beside them.
const WORKERS: usize = 2;
/// Times that HTTP can write as a date, in milliseconds since 1970: to the end of the year 9999.
const HTTP_DATES_MS: Range<i64> = 1..253_402_300_800_000;
/// Threads beside them that must be there: the one that accepts, and one that reads the ledger.
const SPARE_THREADS: usize = 2;

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
        /// The system's error.
        #[source]
        error: std::io::Error,
    },
    /// Nobody could be let in as the configuration says.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// No thread for it.
    #[error("the endpoint cannot start its threads")]
    Threads(#[source] TooFewThreads),
    /// The system gives it no means to wait for connections.
    #[error("the endpoint cannot be started")]
    System(#[source] std::io::Error),
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
        // The runtime panics where there are too few.
        threads::check(WORKERS + SPARE_THREADS).map_err(EndpointError::Threads)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .max_blocking_threads(crate::limits::MAX_REQUESTS)
            .thread_name("endpoint")
            .enable_all()
            .build()
            .map_err(EndpointError::System)?;
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
        Ok(Self { address, is_secure, stop, thread: Some(thread.map_err(EndpointError::System)?) })
    }

    /// The address that it listens on.
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

/// The service of every connection.
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
    // Every connection holds a sender: they have all ended once the receiver hears of it.
    let (open, mut all_ended) = mpsc::channel::<()>(1);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stopped| *stopped) => break,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // The system may have no more files for this process: one is given back.
                let is_closed = answering.access.close_one();
                tracing::warn!(%error, is_closed, "no connection can be accepted");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let address = address.ip();
        let Some(connected) = answering.access.connect(address) else { continue };
        let (answering, open, connected) = (answering.clone(), open.clone(), Arc::new(connected));
        let connected_too = Arc::clone(&connected);
        let peer = Peer { address, is_secure: false, certified: None, connected: Some(connected) };
        tokio::spawn(async move {
            welcome(stream, peer, &connected_too, answering).await;
            drop(open);
        });
    }
    drop((listener, open));
    // Over the time, the rest are cut off with the runtime.
    let _ = timeout(ENDPOINT_STOP, all_ended.recv()).await;
}

/// Begins a connection, with TLS where that is spoken here, and ends it where it is closed for
/// another one.
async fn welcome(stream: TcpStream, peer: Peer, connected: &Connected, answering: Answering) {
    let address = peer.address;
    tokio::select! {
        () = begin(stream, peer, answering) => {}
        () = connected.is_closed() => {
            tracing::debug!(%address, "closed: too many connections, and this one proved least");
        }
    }
}

async fn begin(stream: TcpStream, peer: Peer, answering: Answering) {
    let Some(acceptor) = answering.access.tls().map(Tls::acceptor) else {
        return serve(stream, peer, answering).await;
    };
    let address = peer.address;
    let mut stop = answering.stopped.clone();
    let shaken = tokio::select! {
        shaken = timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)) => shaken,
        _ = stop.wait_for(|stopped| *stopped) => return,
    };
    match shaken {
        Ok(Ok(stream)) => {
            let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            let certified = shown.and_then(|shown| answering.access.certified(shown));
            serve(stream, Peer { is_secure: true, certified, ..peer }, answering).await;
        }
        // Who speaks no TLS, or shows no certificate that is wanted, is told by the handshake.
        Ok(Err(error)) => tracing::debug!(%address, %error, "no TLS"),
        Err(_) => tracing::debug!(%address, "no TLS in time"),
    }
}

/// True if HTTP can write the machine's date. The library panics at one that it cannot write, also
/// where no such header is wanted.
fn is_date_writable() -> bool {
    HTTP_DATES_MS.contains(&SystemClock::new().now_ms())
}

/// Works on a connection until it ends or the date cannot be written any more.
async fn work_on<F: Future>(mut connection: Pin<&mut F>) {
    let step = |context: &mut Context<'_>| match is_date_writable() {
        // An error is a client that went away or sent no HTTP: its own affair.
        true => connection.as_mut().poll(context).map(drop),
        false => Poll::Ready(()),
    };
    poll_fn(step).await;
}

/// Answers a connection without the library: the machine's clock was never set, or is set wrong.
async fn answer_without_date<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let detail = "the clock of this machine is set to a date that HTTP cannot write; set it";
    let problem = json::to_text(&Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n\
         Connection: close\r\nRetry-After: 60\r\nContent-Length: {}\r\n\r\n{problem}",
        problem.len()
    );
    let exchange = async {
        // A request that nobody reads would take the answer with it.
        let _length = stream.read(&mut [0; 4_096]).await?;
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    };
    // Whoever sends nothing or does not read hears nothing.
    let _ = timeout(REQUEST_HEAD_TIMEOUT, exchange).await;
}

/// Serves one connection until it ends, grows too old or the endpoint stops.
async fn serve<S>(stream: S, peer: Peer, answering: Answering)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if !is_date_writable() {
        return answer_without_date(stream).await;
    }
    let Answering { routes, access, mut stopped } = answering;
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        access.base_path().strip(request.uri_mut());
        routes.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Ours is of the service's clock, and is added with the other headers.
        .auto_date_header(false)
        .header_read_timeout(REQUEST_HEAD_TIMEOUT)
        .max_buf_size(MAX_REQUEST_HEAD_BYTES)
        .max_headers(MAX_REQUEST_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        () = work_on(connection.as_mut()) => return,
        () = sleep(CONNECTION_LIFETIME) => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(ENDPOINT_STOP, work_on(connection)).await;
}
