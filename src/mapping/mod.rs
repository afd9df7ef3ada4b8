//! Mappings: declared in YAML, compiled once, evaluated for each event without IO or time.
//!
//! ```yaml
//! mapping: container_readings
//! match: {topic: telemetry, device_type: "reefer-*", where: "payload.d.temperature > -100"}
//! contract: cold_chain
//! function: update
//! fields:
//!   asset_id: $.device.id
//!   temperature: {path: $.payload.d.temperature, type: number}
//!   door: {path: $.payload.d.door, lookup: {0: closed, 1: open}, required: false}
//!   temperature_f: {expression: payload.d.temperature * 1.8 + 32.0}
//! extension: true
//! tests:
//!   - name: a reading
//!     event: {device: {id: CON123, type: reefer-40}, payload: {d: {temperature: 4, fan: 2}}}
//!     expect:
//!       payloads:
//!         - {asset_id: CON123, temperature: 4, temperature_f: 39.2, extension: {d: {fan: 2}}}
//! ```
//!
//! A mapping file holds one or more such documents, divided by `---`. The form, with every option,
//! is in [`form`]; [`json_schema`] gives it to editors.
//!
//! # What a mapping promises
//!
//! - A value arrives as it was sent, or is converted exactly, or rejects the record with its path.
//!   Null counts as absent.
//! - The same event and the same text give the same payloads, on every machine.
//! - One rejection rejects the record as a whole: a record is never half mapped.
//! - Whatever a body holds, evaluation is bounded and does not panic.
//!
//! Nothing here does IO, asks the time or knows what a contract does with a payload.

mod compile;
mod convert;
mod descent;
mod document;
mod evaluate;
mod extension;
mod field;
pub mod form;
mod layout;
mod lookup;
mod matching;
mod origin;
mod testing;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use convert::FieldType;
pub use field::Field;
pub use testing::Example;

use crate::budget::Budget;
use crate::call::{Function, Payload};
use crate::codec::yaml::Located;
use crate::codec::{Digest, yaml};
use crate::diagnostic::{Diagnostic, Place, TestResult};
use crate::event::{Event, Rejection};
use crate::expression::Expression;

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
    /// Function of the contract.
    pub function: Function,
    /// The file it stands in, as the user named it.
    pub file: PathBuf,
    /// Position of its name.
    pub place: Place,
    /// Position of the contract's name.
    pub contract_place: Place,
    /// Position of the function's name.
    pub function_place: Place,
    /// Dotted name under which what no field takes is kept, where it is.
    pub extension_target: Option<String>,
    fields: Vec<Field>,
    layout: layout::Layout,
    descent: descent::Descent,
    matcher: matching::Matcher,
    for_each: Option<Each>,
    /// True if fields ask where the elements of `for_each` stand.
    asks_origin: bool,
    extension: Option<Vec<String>>,
    tests: Arc<[Located<form::TestForm>]>,
    /// The topic of tests that do not name one.
    topics: Option<Arc<str>>,
    device_type: Option<Arc<str>>,
    event_type: Option<Arc<str>>,
}

/// The source of the elements of `for_each`.
#[derive(Debug)]
enum Each {
    /// Values of the payload.
    Query(field::Query),
    /// A list that an expression gives.
    Expression { expression: Expression, parts: Vec<document::Part> },
}

impl Each {
    /// The path that it reads, for rejections.
    fn place(&self) -> Cow<'_, str> {
        match self {
            Self::Query(query) => Cow::Borrowed(query.path.text()),
            Self::Expression { expression, .. } => {
                Cow::Owned(matching::place_of(expression, None, None))
            }
        }
    }
}

/// The outcome of mapping an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Payloads in the order of the mappings, then of `for_each`; at least one.
    Mapped(Vec<Payload>),
    /// No mapping matches, or those that do find nothing for their `for_each` in an empty array.
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

impl Mapping {
    /// The arguments it gives, in the order of the file.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// True if it may take events of a topic: it names none, or this one.
    #[must_use]
    pub fn may_take(&self, topic: &str) -> bool {
        let globs = self.matcher.topic.as_ref();
        globs.is_none_or(|globs| globs.iter().any(|glob| glob.fits(topic)))
    }

    /// The topics that it names, as they are written; empty where it takes any.
    #[must_use]
    pub fn named_topics(&self) -> Vec<String> {
        self.matcher.topic.iter().flatten().map(ToString::to_string).collect()
    }

    /// True if `match` takes some of these device types.
    #[must_use]
    pub fn may_take_types(&self, types: &[&str]) -> bool {
        fit_any(self.matcher.device_type.as_deref(), types)
    }

    /// True if `match` takes some of these event types.
    #[must_use]
    pub fn may_take_events(&self, types: &[&str]) -> bool {
        fit_any(self.matcher.event_type.as_deref(), types)
    }

    /// The device types in `match`, as they are written; empty where it takes any.
    #[must_use]
    pub fn named_types(&self) -> Vec<String> {
        self.matcher.device_type.iter().flatten().map(ToString::to_string).collect()
    }

    /// The event types in `match`, as they are written; empty where it takes any.
    #[must_use]
    pub fn named_events(&self) -> Vec<String> {
        self.matcher.event_type.iter().flatten().map(ToString::to_string).collect()
    }

    /// The events of its own tests as records, in the order of the file.
    pub fn examples(&self) -> impl Iterator<Item = Example> {
        testing::examples(self)
    }
}

fn fit_any(globs: Option<&[matching::Glob]>, texts: &[&str]) -> bool {
    globs.is_none_or(|globs| texts.iter().any(|text| globs.iter().any(|glob| glob.fits(text))))
}

impl MappingSet {
    /// Compiles the texts of files. Documents with errors are left out of the set; their faults,
    /// and warnings, come in the order of the files.
    #[must_use]
    pub fn from_texts(files: &[(PathBuf, String)]) -> (Self, Vec<Diagnostic>) {
        let mut set = Self::default();
        let mut diagnostics = Vec::new();
        for (file, text) in files {
            set.add(file, text, &mut diagnostics);
        }
        (set, diagnostics)
    }

    fn add(&mut self, file: &Path, text: &str, diagnostics: &mut Vec<Diagnostic>) {
        let documents = match yaml::documents(file, text) {
            Ok(documents) => documents,
            Err(diagnostic) => return diagnostics.push(diagnostic),
        };
        if documents.is_empty() {
            diagnostics.push(Diagnostic::warning(
                file,
                Place::START,
                "the file contains no mapping",
            ));
        }
        for document in documents {
            let (mapping, found) = compile::compile(file, &document);
            diagnostics.extend(found);
            let Some(mapping) = mapping else { continue };
            match self.mappings.iter().find(|other| other.name == mapping.name) {
                None => self.mappings.push(mapping),
                Some(other) => {
                    let message = format!("duplicate mapping name `{}`", mapping.name);
                    let (file, Place { line, .. }) = (other.file.display(), other.place);
                    diagnostics.push(
                        Diagnostic::error(&mapping.file, mapping.place, message)
                            .help(format!("the first is in {file}, line {line}")),
                    );
                }
            }
        }
    }

    /// The combined result of all mappings for an event: one rejection rejects the whole record.
    #[must_use]
    pub fn evaluate(&self, event: &Event) -> Outcome {
        self.evaluate_within(event, &Budget::new())
    }

    /// The same within a budget, which all mappings share.
    #[must_use]
    pub fn evaluate_within(&self, event: &Event, budget: &Budget) -> Outcome {
        evaluate_all(&self.mappings, event, budget)
    }

    /// Says of each mapping why it does not take an event: `None` where it does, also where it then
    /// rejects it.
    #[must_use]
    pub fn mismatches(&self, event: &Event) -> Vec<(&Mapping, Option<String>)> {
        let budget = Budget::new();
        let document = document::Document::new(event, &budget);
        let mismatch = |mapping: &Mapping| match mapping.matcher.mismatch(&document) {
            Ok(mismatch) => mismatch.map(|mismatch| mismatch.to_string()),
            Err(_) => None,
        };
        self.mappings.iter().map(|mapping| (mapping, mismatch(mapping))).collect()
    }

    /// Runs the tests that stand in the mappings' files, each on its own mapping.
    #[must_use]
    pub fn run_tests(&self) -> Vec<TestResult> {
        self.mappings.iter().flat_map(testing::run).collect()
    }
}

fn evaluate_all(mappings: &[Mapping], event: &Event, budget: &Budget) -> Outcome {
    let document = document::Document::new(event, budget);
    let mut outputs = evaluate::Outputs::default();
    for mapping in mappings {
        if let Err(rejection) = mapping.map(&document, &mut outputs) {
            return Outcome::Rejected(rejection);
        }
    }
    match outputs.payloads.is_empty() {
        true => Outcome::NotMatched,
        false => Outcome::Mapped(outputs.payloads),
    }
}

/// JSON Schema of a mapping document, for editors.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(form::MappingForm).to_value()
}

#[cfg(test)]
mod tests;
