//! Exit statuses, after sysexits.

use std::io::ErrorKind;

use crate::app::AppError;
use crate::cli::top::AwayError;
use crate::demo::DemoError;
use crate::follower::FollowerError;
use crate::input::InputError;
use crate::ledger::LedgerError;
use crate::monitor::EndpointError;
use crate::monitor::access::tokens::TokenError;
use crate::pipeline::PipelineError;
use crate::query::QueryError;
use crate::state::StateError;
use crate::threads::TooFewThreads;
use crate::transaction::KeyError;

/// Exit status of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// Success.
    Ok = 0,
    /// Wrong usage.
    Usage = 64,
    /// Data that does not verify, tests that fail.
    Data = 65,
    /// A file that is not there.
    NoInput = 66,
    /// A service that is not there.
    Unavailable = 69,
    /// An internal error.
    Software = 70,
    /// The system gives no more threads.
    System = 71,
    /// A file that cannot be made.
    CannotCreate = 73,
    /// A failed read or write.
    Io = 74,
    /// Try again later.
    Temporary = 75,
    /// Not permitted.
    NoPermission = 77,
    /// A wrong configuration.
    Config = 78,
}

impl From<ExitStatus> for std::process::ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status as u8)
    }
}

/// Arguments that the command line's own grammar lets pass and that still make no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

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
    if error.is::<TooFewThreads>() {
        return ExitStatus::System;
    }
    if error.is::<UsageError>() {
        return ExitStatus::Usage;
    }
    if error.is::<AwayError>() {
        return ExitStatus::Unavailable;
    }
    if let Some(error) = error.downcast_ref::<std::io::Error>() {
        return of_io(error);
    }
    error.downcast_ref::<AppError>().map_or(ExitStatus::Software, of_app)
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

fn of_io(error: &std::io::Error) -> ExitStatus {
    match error.kind() {
        ErrorKind::NotFound => ExitStatus::NoInput,
        ErrorKind::PermissionDenied => ExitStatus::NoPermission,
        ErrorKind::AlreadyExists => ExitStatus::CannotCreate,
        // A thread that could not be started.
        ErrorKind::WouldBlock => ExitStatus::System,
        // A link or a special file in the place of a file, or more than is read.
        ErrorKind::InvalidInput | ErrorKind::InvalidData => ExitStatus::Data,
        _ => ExitStatus::Io,
    }
}

fn of_key(error: &KeyError) -> ExitStatus {
    match error {
        // A folder or a special file in its place.
        KeyError::Io { error, .. } if error.kind() == ErrorKind::InvalidInput => ExitStatus::Config,
        KeyError::Io { error, .. } => of_io(error),
        KeyError::Exposed { .. } => ExitStatus::NoPermission,
        KeyError::NotAKey { .. } => ExitStatus::Config,
        KeyError::NoRandomness(_) => ExitStatus::Software,
    }
}

fn of_ledger(error: &LedgerError) -> ExitStatus {
    match error {
        LedgerError::Io { error, .. } => of_io(error),
        LedgerError::Locked(_) => ExitStatus::Temporary,
        LedgerError::Absent(_) | LedgerError::NoBlock { .. } => ExitStatus::NoInput,
        LedgerError::Name { .. }
        | LedgerError::Key(_)
        | LedgerError::Definition(_)
        | LedgerError::Format(_) => ExitStatus::Config,
        LedgerError::Damaged { .. }
        | LedgerError::Inconsistent { .. }
        | LedgerError::RolledBack { .. }
        | LedgerError::Decode { .. } => ExitStatus::Data,
        LedgerError::Submission(_) => ExitStatus::Software,
        LedgerError::Halted(_) => ExitStatus::Io,
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
