//! What can be seen of a running or resting ledger: JSON views, the HTTP endpoint, metrics and a
//! small page.
//!
//! Nothing here writes or decides. The endpoint runs on threads of its own and reads durable blocks
//! and the state folded from them.

mod answer;
mod filter;
mod host;
mod http;
pub mod json;
mod metrics;
mod overview;
mod page;
pub mod query;
mod request;
mod server;
pub mod service;
pub mod views;

pub use filter::{TransactionFilter, VerdictFilter};
pub use metrics::Verification;
pub use query::{Queries, QueryError};
pub use server::{Endpoint, EndpointError};
pub use service::Service;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::monitor::host::Hosts;

/// Starts the endpoint of a service on an address; port 0 chooses a free one.
pub fn start(address: SocketAddr, service: Arc<Service>) -> Result<Endpoint, EndpointError> {
    Endpoint::start(address, http::routes(service, Hosts::new(address.ip())))
}
