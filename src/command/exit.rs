//! Exit statuses, after sysexits.

use std::io::ErrorKind;
use std::path::PathBuf;

use crate::ledger::LedgerError;
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

/// A file operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("{doing} {path}")]
pub struct FileError {
    /// The operation, such as `reading the older checkpoint`.
    pub doing: &'static str,
    /// The file.
    pub path: PathBuf,
    /// The system's error.
    #[source]
    pub error: std::io::Error,
}

/// The status for an error, where it is one that a command for auditors can end with; others count as
/// internal.
#[must_use]
pub fn exit_status(error: &anyhow::Error) -> ExitStatus {
    if error.is::<UsageError>() {
        return ExitStatus::Usage;
    }
    if error.is::<TooFewThreads>() {
        return ExitStatus::System;
    }
    if let Some(error) = error.downcast_ref::<std::io::Error>() {
        return of_io(error);
    }
    if let Some(error) = error.downcast_ref::<LedgerError>() {
        return of_ledger(error);
    }
    if let Some(error) = error.downcast_ref::<KeyError>() {
        return of_key(error);
    }
    error.downcast_ref::<FileError>().map_or(ExitStatus::Software, |failed| of_io(&failed.error))
}

pub(crate) fn of_io(error: &std::io::Error) -> ExitStatus {
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

pub(crate) fn of_key(error: &KeyError) -> ExitStatus {
    match error {
        // A folder or a special file in its place.
        KeyError::Io { error, .. } if error.kind() == ErrorKind::InvalidInput => ExitStatus::Config,
        KeyError::Io { error, .. } => of_io(error),
        KeyError::Exposed { .. } => ExitStatus::NoPermission,
        KeyError::NotAKey { .. } => ExitStatus::Config,
        KeyError::NoRandomness(_) => ExitStatus::Software,
    }
}

pub(crate) fn of_ledger(error: &LedgerError) -> ExitStatus {
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
