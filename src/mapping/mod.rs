//! Mappings: declared in YAML, compiled once, evaluated for each event without IO or time.

pub mod jsonpath;

use std::sync::Arc;

use crate::call::Payload;
use crate::codec::Digest;
use crate::event::{Event, Rejection};

/// One compiled mapping.
#[derive(Debug)]
pub struct Mapping {
    /// Unique name.
    pub name: Arc<str>,
    /// The text of its YAML document, as it goes into the ledger.
    pub text: Arc<str>,
    /// SHA-256 of the text.
    pub digest: Digest,
    /// Contract that it calls.
    pub contract: Arc<str>,
}

/// What mappings make of an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Payloads in the order of the mappings, then of `for_each`.
    Mapped(Vec<Payload>),
    /// No mapping matches.
    NotMatched,
    /// A mapping matches and cannot be carried out.
    Rejected(Rejection),
}

/// Every mapping of a configuration.
#[derive(Debug, Default)]
pub struct MappingSet {
    /// In the order of files and documents.
    pub mappings: Vec<Mapping>,
}

impl MappingSet {
    /// What all mappings together make of an event: one rejection rejects the record as a whole.
    #[must_use]
    pub fn evaluate(&self, event: &Event) -> Outcome {
        let _ = event;
        Outcome::NotMatched
    }
}
