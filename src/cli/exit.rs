//! Exit statuses of errors that only the service has; [`command::exit`] has the others.

use crate::app::AppError;
use crate::cli::top::AwayError;
use crate::command;
pub use crate::command::exit::{ExitStatus, UsageError};
use crate::command::exit::{of_io, of_key, of_ledger};
use crate::demo::DemoError;
use crate::follower::FollowerError;
use crate::input::InputError;
use crate::monitor::EndpointError;
use crate::monitor::access::tokens::TokenError;
use crate::pipeline::PipelineError;
use crate::query::QueryError;
use crate::state::StateError;

/// The status for an error.
#[must_use]
pub fn exit_status(error: &anyhow::Error) -> ExitStatus {
    if let Some(error) = error.downcast_ref::<QueryError>() {
        return of_query(error);
    }
    if let Some(error) = error.downcast_ref::<TokenError>() {
        return of_token(error);
    }
    if let Some(error) = error.downcast_ref::<DemoError>() {
        return of_demo(error);
    }
    if error.is::<AwayError>() {
        return ExitStatus::Unavailable;
    }
    match error.downcast_ref::<AppError>() {
        Some(error) => of_app(error),
        None => command::exit::exit_status(error),
    }
}

fn of_token(error: &TokenError) -> ExitStatus {
    match error {
        TokenError::Name(_) | TokenError::Time => ExitStatus::Usage,
        TokenError::Form(_) | TokenError::Full { .. } => ExitStatus::Config,
        TokenError::NoRandomness(_) => ExitStatus::Software,
        TokenError::Io { error, .. } => of_io(error),
    }
}

fn of_query(error: &QueryError) -> ExitStatus {
    match error {
        QueryError::NotFound(_) => ExitStatus::NoInput,
        QueryError::Malformed(_) => ExitStatus::Usage,
        QueryError::NotReady(_) | QueryError::Unknown(_) => ExitStatus::Temporary,
        QueryError::Ledger(error) => of_ledger(error),
        QueryError::State(error) => of_state(error),
        QueryError::Proof(_) => ExitStatus::Data,
    }
}

fn of_app(error: &AppError) -> ExitStatus {
    match error {
        AppError::Key(error) => of_key(error),
        AppError::Ledger(error) => of_ledger(error),
        AppError::State(error) => of_state(error),
        AppError::Follower(error) | AppError::Pipeline(PipelineError::Follower { error, .. }) => {
            of_follower(error)
        }
        AppError::Input(error) | AppError::Pipeline(PipelineError::Input { error, .. }) => {
            of_source(error)
        }
        AppError::Pipeline(PipelineError::Ledger(error)) => of_ledger(error),
        AppError::Pipeline(PipelineError::Thread(_))
        | AppError::Endpoint(EndpointError::Threads(_)) => ExitStatus::System,
        AppError::Pipeline(PipelineError::Panicked(_) | PipelineError::SharedName(_)) => {
            ExitStatus::Software
        }
        AppError::Traces(_) => ExitStatus::Config,
        AppError::Endpoint(_) => ExitStatus::Unavailable,
        AppError::NotDrained(_) => ExitStatus::Temporary,
        AppError::Io { error, .. } => of_io(error),
    }
}

fn of_demo(error: &DemoError) -> ExitStatus {
    match error {
        DemoError::Failed(_) => ExitStatus::Software,
        DemoError::Key(error) => of_key(error),
        DemoError::Ledger(error) => of_ledger(error),
        DemoError::Io { error, .. } => of_io(error),
    }
}

fn of_state(error: &StateError) -> ExitStatus {
    match error {
        StateError::InUse(_) | StateError::NoSpace { .. } => ExitStatus::Temporary,
        StateError::Io { error, .. } => of_io(error),
        StateError::Ledger(error) => of_ledger(error),
        StateError::Store { .. } => ExitStatus::Io,
        StateError::NotCopied { .. } => ExitStatus::Io,
        StateError::Unreadable { .. } | StateError::Decode(_) | StateError::NotNext { .. } => {
            ExitStatus::Data
        }
    }
}

fn of_follower(error: &FollowerError) -> ExitStatus {
    match error {
        FollowerError::Held(_) => ExitStatus::Temporary,
        FollowerError::Failed(error) => {
            error.downcast_ref::<StateError>().map_or(ExitStatus::Unavailable, of_state)
        }
        FollowerError::Ledger(error) => of_ledger(error),
    }
}

fn of_source(error: &InputError) -> ExitStatus {
    match error {
        InputError::File { error, .. } | InputError::MemberId { error, .. } => of_io(error),
        InputError::Kafka(_) => ExitStatus::Unavailable,
        InputError::LostByRetention { .. }
        | InputError::TopicShrank { .. }
        | InputError::RecordChanged { .. }
        | InputError::TopicReplaced { .. }
        | InputError::LineChanged { .. }
        | InputError::Fenced(_)
        | InputError::TakenByAnotherLedger { .. }
        | InputError::OutOfOrder { .. } => ExitStatus::Data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_from_a_lack_of_threads() {
        let status = |error: PipelineError| exit_status(&AppError::from(error).into());
        assert_eq!(status(PipelineError::Thread("mapper".into())), ExitStatus::System);
        assert_eq!(status(PipelineError::Panicked("mapper".into())), ExitStatus::Software);
    }
}
