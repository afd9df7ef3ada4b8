//! Diagnostics of files that people write: message, place and help.
//!
//! Configuration, mappings and contracts report problems in this one form, so that `check` prints them
//! alike and an editor can jump to the place.

use std::fmt;
use std::path::{Path, PathBuf};

/// A place in a string: line and column, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
}

impl Place {
    /// The start of a file, for diagnostics of the file as a whole.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// The severity of a diagnostic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// `run` refuses to start.
    Error,
    /// Allowed, but probably not what was meant.
    Warning,
}

/// One problem in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Severity: an error stops `run`.
    pub severity: Severity,
    /// The file as the user named it.
    pub file: PathBuf,
    /// The position in the file.
    pub place: Place,
    /// The problem.
    pub message: String,
    /// The remedy; empty if the message already states it.
    pub help: String,
}

impl Diagnostic {
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

    /// Adds help.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }
}

impl fmt::Display for Diagnostic {
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

/// An error and its sources in one line, each said once.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// The result of one of a mapping's or contract's own tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestResult {
    /// The file as the user named it.
    pub file: PathBuf,
    /// The position of the test in the file.
    pub place: Place,
    /// Name of the mapping or contract.
    pub definition: String,
    /// Name of the test.
    pub test: String,
    /// `None` where the test holds; else what differs, as lines for people.
    pub failure: Option<String>,
}

/// The help for a name that does not exist: the closest one that does, else all of them.
#[must_use]
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup();
    let closest = known.iter().map(|candidate| (edits(name, candidate), *candidate)).min();
    match closest {
        Some((distance, candidate)) if distance <= 1 + candidate.chars().count() / 4 => {
            format!("did you mean `{candidate}`?")
        }
        Some(_) => format!("known are: {}", known.join(", ")),
        None => String::new(),
    }
}

/// Number of letters to put in, take out or change, without regard to case.
fn edits(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().flat_map(char::to_lowercase).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().flat_map(char::to_lowercase).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in right.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_name_is_offered() {
        let known = ["temperature", "threshold", "door"];
        let cases = [
            ("temprature", "did you mean `temperature`?"),
            ("Threshold", "did you mean `threshold`?"),
            ("doors", "did you mean `door`?"),
            ("humidity", "known are: door, temperature, threshold"),
        ];
        for (name, expected) in cases {
            assert_eq!(did_you_mean(name, known), expected, "{name}");
        }
        assert_eq!(did_you_mean("door", []), "");
    }
}
