//! The HTTP machinery of the endpoint: server, routes, the checks in front of every request, its limits,
//! and the forms of requests and answers.
//!
//! Nothing here answers a question of its own: operations of the API are in `api`, pages
//! in `ui`.

pub(super) mod answer;
pub(super) mod answer_counts;
pub(super) mod asking;
pub mod base_path;
pub(super) mod body;
pub(super) mod conditional;
pub(super) mod gate;
pub(super) mod host;
pub(super) mod large;
pub(super) mod parameter;
pub(super) mod path;
pub(super) mod request;
pub(super) mod route;
pub(super) mod server;
pub(super) mod share;
