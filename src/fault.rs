//! A fault in a file that a person wrote: what, where and what helps.
//!
//! Configuration, mappings and contracts all report their faults in this form, so that `check`
//! prints them alike and an editor can jump to the place.

use std::fmt;
use std::path::{Path, PathBuf};

/// A place in a text: line and column, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
}

impl Place {
    /// The start of a file, for faults of the file as a whole.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// How bad a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// `run` refuses to start.
    Error,
    /// Allowed, but probably not what was meant.
    Warning,
}

/// One fault in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Whether it stops `run`.
    pub severity: Severity,
    /// The file as the user named it.
    pub file: PathBuf,
    /// Where in the file.
    pub place: Place,
    /// What is wrong.
    pub message: String,
    /// What helps; empty where the message says it all.
    pub help: String,
}

impl Fault {
    /// An error at a place.
    pub fn error(file: &Path, place: Place, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            file: file.to_owned(),
            place,
            message: message.into(),
            help: String::new(),
        }
    }

    /// A warning at a place.
    pub fn warning(file: &Path, place: Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(file, place, message) }
    }

    /// The same fault with what helps.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let (file, place) = (self.file.display(), self.place);
        write!(f, "{file}:{}:{}: {severity}: {}", place.line, place.column, self.message)?;
        if !self.help.is_empty() {
            write!(f, "\n  help: {}", self.help)?;
        }
        Ok(())
    }
}
