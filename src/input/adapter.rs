//! The border between configuration and inputs: options as written, checked options, an open input.
//!
//! A new kind of input implements [`InputOptions`], [`Adapter`] and [`Input`] in a file of its own and
//! is registered with one line in the configuration's list of kinds.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::clock::Clock;
use crate::diagnostic::{Diagnostic, Place};
use crate::input::streams::Prefixed;
use crate::input::{
    Assignments, FileCounts, Input, InputError, InputHealth, KafkaSettings, LastTakenOf,
    StreamNames, StreamPrefix,
};

/// Options of an input as they are written in the configuration.
pub trait InputOptions {
    /// Checks everything that can be checked without the other side, and adds all diagnostics. `None`
    /// where one of them is an error.
    fn check(self: Box<Self>, checking: &mut Checking<'_>) -> Option<Arc<dyn Adapter>>;
}

/// Resolves references to the environment and to files in a text at a place.
pub type Resolve<'a> = &'a dyn Fn(Place, &mut String) -> Result<(), Diagnostic>;

/// The surroundings of a check of options.
pub struct Checking<'a> {
    /// The configuration file.
    pub file: &'a Path,
    /// Place of the options in it.
    pub place: Place,
    /// Makes a path that was written relative to the configuration file.
    pub at: &'a dyn Fn(&Path) -> PathBuf,
    /// Resolves references in values that may be secrets.
    pub resolve: Resolve<'a>,
    /// The diagnostics, for additions.
    pub diagnostics: &'a mut Vec<Diagnostic>,
}

/// Checked options of an input, which can open it.
pub trait Adapter: fmt::Debug + Send + Sync {
    /// The name of its options in the configuration, such as `kafka`.
    fn kind(&self) -> &'static str;

    /// The streams that it may give, named with a prefix.
    fn streams(&self, prefix: &StreamPrefix) -> StreamNames;

    /// Looks whether what it names on this machine can be read. Nothing is opened that could be read
    /// only once.
    fn preflight(&self) -> Result<(), InputError> {
        Ok(())
    }

    /// The only thing of its kind that it uses up, in words: no other input may name it too.
    fn exclusive(&self) -> Option<&'static str> {
        None
    }

    /// True if its records are events, which have an identity, a body format and topics. Otherwise the
    /// options for these are refused.
    fn gives_events(&self) -> bool {
        true
    }

    /// Opens the input. Each partition MUST begin where the ledger is.
    fn open(&self, opening: &Opening<'_>) -> Result<Opened, InputError>;

    /// The cluster, where it is one that topics can be written to.
    fn cluster(&self) -> Option<&KafkaSettings> {
        None
    }
}

/// The arguments for opening an input.
pub struct Opening<'a> {
    /// Positions, by the input's own topic names.
    pub assignments: Arc<Assignments>,
    /// Asks the ledger for the last record of a partition.
    pub last_taken: LastTakenOf,
    /// Directory of the ledger, in which an input may keep a note.
    pub directory: &'a Path,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// The kind of records of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Events of devices, which mappings map.
    Events,
    /// Calls of people, which are transactions as they stand.
    Calls,
}

/// An open input.
pub struct Opened {
    /// The input.
    pub input: Box<dyn Input>,
    /// The kind of its records.
    pub content: Content,
    /// True if the service goes on as long as this input has not ended.
    pub keeps_service_alive: bool,
    /// Its connection, where it has one.
    pub health: Option<Arc<InputHealth>>,
    /// Counts of a file that is read to its end.
    pub counts: Option<Arc<FileCounts>>,
    /// Submits calls to it, where it takes them.
    pub calls: Option<super::Calls>,
}

impl Opened {
    /// An input of events that keeps the service alive and has nothing else to offer.
    #[must_use]
    pub fn of(input: Box<dyn Input>) -> Self {
        Self {
            input,
            content: Content::Events,
            keeps_service_alive: true,
            health: None,
            counts: None,
            calls: None,
        }
    }
}

/// Opens an input whose streams have a prefix. Everything in `opening` is by names of streams.
pub fn open_with_prefix(
    adapter: &dyn Adapter,
    prefix: &StreamPrefix,
    opening: &Opening<'_>,
) -> Result<Opened, InputError> {
    let opening = Opening {
        assignments: Arc::new(opening.assignments.with_prefix(prefix.clone())),
        last_taken: prefix.last_taken(opening.last_taken.clone()),
        directory: opening.directory,
        clock: opening.clock.clone(),
    };
    let opened = adapter.open(&opening)?;
    Ok(Opened { input: Prefixed::wrap(opened.input, prefix.clone()), ..opened })
}
