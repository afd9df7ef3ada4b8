//! A document with syntax errors: all of them, and the other errors that can be trusted.

use std::cell::RefCell;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_saphyr::Error;
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};

use super::outline::Outline;
use super::recover::{Found, Recovery};
use super::{options, place_of};
use crate::diagnostic::{Diagnostic, Place, did_you_mean};
use crate::limits::MAX_FORM_READINGS;

/// A document with faults of form.
#[derive(Debug)]
pub struct Unsound<T> {
    /// The errors, in the order of their positions.
    pub diagnostics: Vec<Diagnostic>,
    /// The document with other values in place of those at fault: good for finding more faults,
    /// and for nothing else. `None` where too much is wrong.
    pub rest: Option<T>,
    outline: Option<Outline>,
    /// Names that the document lacks.
    missing: Vec<&'static str>,
}

/// Parts of a document that are taken to be independent of one another.
struct Parts<'a> {
    /// The start of each document and top-level entry; entries with their names.
    starts: Vec<(Place, Option<&'a str>)>,
    /// Indexes of those with a syntax error, plus one.
    broken: Vec<usize>,
}

impl Parts<'_> {
    /// The number of the part that a place is in, from 1.
    fn number(&self, place: Place) -> usize {
        self.starts.partition_point(|(start, _)| *start <= place)
    }

    fn is_broken(&self, name: &str) -> bool {
        let mut starts = self.starts.iter().zip(1..);
        starts.any(|((_, top), number)| *top == Some(name) && self.broken.contains(&number))
    }
}

impl<T> Unsound<T> {
    /// Keeps those of `found` that no fault of form can have caused: they are in another top-level
    /// entry or, within the entries named in `parted`, in another part. Keeps nothing where one of
    /// `foundations` is at fault: all other entries depend on these.
    #[must_use]
    pub fn sift(
        &self,
        found: Vec<Diagnostic>,
        parted: &[&str],
        foundations: &[&str],
    ) -> Vec<Diagnostic> {
        let parts = self.parts(parted);
        let is_lost = |name: &&str| self.missing.contains(name) || parts.is_broken(name);
        if foundations.iter().any(is_lost) {
            return Vec::new();
        }
        let is_independent = |diagnostic: &Diagnostic| {
            diagnostic.place != Place::START
                && !parts.broken.contains(&parts.number(diagnostic.place))
        };
        found.into_iter().filter(is_independent).collect()
    }

    /// True if these top-level entries are there and free of faults of form.
    #[must_use]
    pub fn is_sound(&self, names: &[&str]) -> bool {
        let parts = self.parts(&[]);
        !names.iter().any(|name| self.missing.contains(name) || parts.is_broken(name))
    }

    fn parts(&self, parted: &[&str]) -> Parts<'_> {
        let mut starts = Vec::new();
        if let Some(Outline::Mapping(entries)) = &self.outline {
            for (name, value) in entries {
                let text = name.value.as_deref().unwrap_or_default();
                starts.push((name.place, Some(text)));
                if parted.contains(&text) {
                    starts.extend(value.value.places().into_iter().map(|place| (place, None)));
                }
            }
        }
        let mut parts = Parts { starts, broken: Vec::new() };
        parts.broken =
            self.diagnostics.iter().map(|diagnostic| parts.number(diagnostic.place)).collect();
        parts
    }
}

/// Every fault of form of a document whose reading failed. `text` has its places of the file.
pub(super) fn read<T: DeserializeOwned>(file: &Path, text: &str, first: &Error) -> Unsound<T> {
    let mut unsound =
        Unsound { diagnostics: Vec::new(), rest: None, outline: None, missing: Vec::new() };
    let mut options = options();
    options.duplicate_keys = DuplicateKeyPolicy::PassThrough;
    options.non_finite_float_policy = NonFiniteFloatPolicy::PassThrough;
    let outline = match serde_saphyr::from_str_with_options::<Outline>(text, options) {
        Ok(outline) => outline,
        // This is not YAML: what the rest means, and what came before, cannot be trusted.
        Err(error) => {
            unsound.diagnostics.push(diagnostic(file, &error));
            return unsound;
        }
    };
    outline.duplicates(&mut |place, name| {
        let message = format!("duplicate mapping key: {name}");
        unsound.diagnostics.push(Diagnostic::error(file, place, message));
    });
    unsound.outline = Some(outline);
    read_on(&mut unsound, file, text);
    if unsound.diagnostics.is_empty() {
        // Keys that are one number in two spellings.
        unsound.diagnostics.push(diagnostic(file, first));
    }
    unsound.diagnostics.sort_by_key(|diagnostic| diagnostic.place);
    unsound
}

/// Reads a document until a reading gets through.
fn read_on<T: DeserializeOwned>(unsound: &mut Unsound<T>, file: &Path, text: &str) {
    let recovery = RefCell::new(Recovery::default());
    // Names that were probably meant, with the mappings that they are in.
    let mut misspelt = Vec::new();
    for _ in 0..MAX_FORM_READINGS {
        let mut options = options();
        options.duplicate_keys = DuplicateKeyPolicy::FirstWins;
        let read = serde_saphyr::with_deserializer_from_str_with_options(text, options, |inner| {
            T::deserialize(Recovery::root(&recovery, inner))
        });
        let error = match read {
            Ok(form) => {
                unsound.rest = Some(form);
                return;
            }
            Err(error) => error,
        };
        let missing = missing(&error);
        let found = recovery.borrow_mut().note(missing);
        let diagnostic = diagnostic(file, &error);
        let is_last = found == Found::Last;
        match found {
            Found::New(parent) => {
                if parent.is_empty() {
                    unsound.missing.extend(missing);
                }
                let help = |name: &str| format!("did you mean `{name}`?");
                if missing.is_some_and(|name| misspelt.contains(&(parent.clone(), help(name)))) {
                    continue;
                }
                misspelt.push((parent, diagnostic.help.clone()));
            }
            Found::Known => continue,
            Found::Stuck => return,
            Found::Last => {}
        }
        if !unsound.diagnostics.contains(&diagnostic) {
            unsound.diagnostics.push(diagnostic);
        }
        if is_last {
            return;
        }
    }
    let message = format!("these are the first {} errors in the file", unsound.diagnostics.len());
    let help = "fix them and check again; there may be more";
    unsound.diagnostics.push(Diagnostic::error(file, Place::START, message).help(help));
}

/// The name that a mapping lacks, where that is the fault.
fn missing(error: &Error) -> Option<&'static str> {
    match error {
        Error::SerdeMissingField { field, .. } => Some(field),
        Error::WithSnippet { error, .. } | Error::AliasError { error, .. } => missing(error),
        _ => None,
    }
}

/// The library's error as a fault.
pub(super) fn diagnostic(file: &Path, error: &Error) -> Diagnostic {
    let place = error.location().map_or(Place::START, place_of);
    explained(file, place, &error.without_snippet().to_string())
}

/// The library's messages, and what they mean to a reader of the file.
const PLAIN: &[(&str, &str)] = &[
    ("invalid u16", "a whole number from 0 to 65535 is expected"),
    ("invalid u", "a whole number is expected, 0 or more"),
    ("invalid i", "a whole number is expected"),
    ("invalid f", "a number is expected"),
    ("invalid boolean", "`true` or `false` is expected"),
    ("non-finite float", "a number is expected: JSON has no `.nan` and no `.inf`"),
    ("expected string scalar", "a string is expected, not a list or a mapping"),
    ("expected sequence start", "a list is expected: `[a, b]`"),
    ("expected mapping start", "a mapping is expected: `name: value`"),
];

/// A fault of the library's message, without the place at its end; with the closest name that is
/// known, where a name is not.
fn explained(file: &Path, place: Place, message: &str) -> Diagnostic {
    let end = message.find(" at line ").unwrap_or(message.len());
    // What is said of the library's own settings helps nobody.
    let message = message[..end].split(", set DuplicateKeyPolicy").next().unwrap_or_default();
    if let Some((_, plain)) = PLAIN.iter().find(|(jargon, _)| message.starts_with(jargon)) {
        return Diagnostic::error(file, place, *plain);
    }
    if message.starts_with("cannot deserialize null into string") {
        return Diagnostic::error(file, place, "`null` where a string is expected")
            .help("write `'null'` for the word; leave the key out for an absent value");
    }
    let Some((unknown, known)) = message.split_once(", expected one of ") else {
        return Diagnostic::error(file, place, message);
    };
    let name = unknown.split('`').nth(1).unwrap_or_default();
    let known = known.split(", ").map(|name| name.trim_matches('`'));
    Diagnostic::error(file, place, unknown).help(did_you_mean(name, known))
}
