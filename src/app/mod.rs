//! Wiring: the only place that names the adapters and puts the parts together.

mod inputs;
pub mod offline;
pub mod preflight;
mod service;

pub use service::{Opened, Running, open};

use std::path::PathBuf;

use crate::follower::FollowerError;
use crate::input::InputError;
use crate::ledger::LedgerError;
use crate::monitor::EndpointError;
use crate::pipeline::PipelineError;
use crate::state::StateError;
use crate::transaction::KeyError;

/// Why the program cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A key file.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The state.
    #[error(transparent)]
    State(#[from] StateError),
    /// A follower of the log.
    #[error(transparent)]
    Follower(#[from] FollowerError),
    /// An input.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The pipeline.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// The endpoint.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The collector of traces.
    #[error("cannot export traces: {0}")]
    Traces(String),
    /// A stop was asked for and the pipeline could not drain in time.
    #[error(
        "could not drain within {0} s and is exiting; nothing is lost: the next start resumes after the last durable block"
    )]
    NotDrained(u64),
    /// A file operation.
    #[error("{doing} {path}")]
    Io {
        /// The operation.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// The system's error.
        #[source]
        error: std::io::Error,
    },
}

/// Told how far long work is: what is being done, how much is done, how much there is.
pub type Observe<'a> = &'a mut dyn FnMut(&'static str, u64, u64);
