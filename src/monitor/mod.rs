//! The HTTP endpoint of a running service: routes, access control, metrics and pages over the answers
//! of [`query`](crate::query).
//!
//! Nothing here writes or decides: a dry run leaves nothing behind, and a manual call is handed to the
//! pipeline like any other record. The endpoint runs on threads of its own and reads durable blocks and
//! the state folded from them.

pub mod access;
mod api;
mod export;
mod findings;
pub mod http;
mod metrics;
mod operations;
pub mod routes;
pub mod service;
pub mod traces;
mod ui;
mod watch;

pub use http::answer_counts::AnswerCounts;
pub use http::server::{Endpoint, EndpointError};
pub use service::{InputStatus, Service};

use std::net::SocketAddr;
use std::sync::Arc;

use crate::monitor::access::{Access, Settings};
use crate::monitor::http::asking::App;
use crate::monitor::http::gate::guarded;
use crate::monitor::http::host::Hosts;
use crate::monitor::http::route::{Route, router};
use crate::monitor::watch::Watcher;

/// Starts the endpoint of a service on an address, where everyone may look and nobody may do
/// anything; port 0 chooses a free one.
pub fn start(address: SocketAddr, service: Arc<Service>) -> Result<Endpoint, EndpointError> {
    start_with(&Settings::open(address), service)
}

/// Starts the endpoint of a service.
pub fn start_with(settings: &Settings, service: Arc<Service>) -> Result<Endpoint, EndpointError> {
    start_with_routes(settings, service, routes::all())
}

/// Starts an endpoint with these routes: [`routes::all`], or those and more.
pub fn start_with_routes(
    settings: &Settings,
    service: Arc<Service>,
    routes: Vec<Route>,
) -> Result<Endpoint, EndpointError> {
    let (watcher, watched) = Watcher::new(Arc::clone(&service));
    let access = Arc::new(Access::new(settings, Arc::clone(&service.clock))?);
    let (router, table) = router(routes);
    let app = App::new(service, watched, Arc::clone(&access), table);
    let guarded = guarded(router, app, Hosts::new(settings.listen.ip()));
    let following = Arc::clone(&access).follow();
    let beside = async { _ = tokio::join!(watcher.run(), following) };
    Endpoint::start(settings.listen, guarded, access, beside)
}
