//! The HTTP endpoint of a running service: routes, access control, metrics and pages over the answers
//! of [`query`](crate::query).
//!
//! Nothing here writes or decides: what is tried leaves nothing behind, and a call by hand is handed to
//! the pipeline and takes the way of every record. The endpoint runs on threads of its own and reads
//! durable blocks and the state folded from them.

pub mod access;
mod answer;
mod answer_counts;
mod api;
mod asking;
pub mod base_path;
mod body;
mod conditional;
mod export;
mod findings;
mod host;
mod http;
mod large;
mod metrics;
mod operations;
mod parameter;
mod request;
mod route;
mod server;
pub mod service;
mod share;
mod stream;
pub mod traces;
mod ui;
mod watch;

pub use answer_counts::AnswerCounts;
pub use server::{Endpoint, EndpointError};
pub use service::{InputStatus, Service};

use std::net::SocketAddr;
use std::sync::Arc;

use crate::monitor::access::{Access, Settings};
use crate::monitor::asking::App;
use crate::monitor::host::Hosts;
use crate::monitor::watch::Watcher;

/// Starts the endpoint of a service on an address, where everyone may look and nobody may do
/// anything; port 0 chooses a free one.
pub fn start(address: SocketAddr, service: Arc<Service>) -> Result<Endpoint, EndpointError> {
    start_with(&Settings::open(address), service)
}

/// Starts the endpoint of a service.
pub fn start_with(settings: &Settings, service: Arc<Service>) -> Result<Endpoint, EndpointError> {
    let (watcher, watched) = Watcher::new(Arc::clone(&service));
    let access = Arc::new(Access::new(settings, Arc::clone(&service.clock))?);
    let app = App::new(service, watched, Arc::clone(&access));
    let routes = http::routes(app, Hosts::new(settings.listen.ip()));
    let following = Arc::clone(&access).follow();
    let beside = async { _ = tokio::join!(watcher.run(), following) };
    Endpoint::start(settings.listen, routes, access, beside)
}
