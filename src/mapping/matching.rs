//! Matching of events by mappings.

use super::document::{Document, Item, Part, Scope};
use crate::codec::json::Value;
use crate::event::{Cause, Rejection};
use crate::expression::{EvaluationError, Expression};
use crate::jsonpath::{path_below, path_of_names};

/// The conditions on an event.
#[derive(Debug, Default)]
pub(super) struct Matcher {
    pub topic: Option<Vec<Glob>>,
    pub device_type: Option<Vec<Glob>>,
    pub event_type: Option<Vec<Glob>>,
    pub condition: Option<Condition>,
}

impl Matcher {
    /// Checks all conditions for an event.
    pub fn takes(&self, document: &Document<'_>) -> Result<bool, Rejection> {
        Ok(self.mismatch(document)?.is_none())
    }

    /// The first part of it that does not hold for an event.
    pub fn mismatch(&self, document: &Document<'_>) -> Result<Option<Mismatch<'_>>, Rejection> {
        let event = document.event();
        let parts = [
            ("topic", &self.topic, &*event.partition.topic),
            ("device_type", &self.device_type, event.device.device_type.as_str()),
            ("event_type", &self.event_type, event.info.event_type.as_str()),
        ];
        for (name, globs, text) in parts {
            let Some(globs) = globs else { continue };
            if !globs.iter().any(|glob| glob.fits(text)) {
                return Ok(Some(Mismatch::Text(name, globs)));
            }
        }
        match &self.condition {
            Some(condition) if !condition.holds(document)? => {
                Ok(Some(Mismatch::Condition(condition.expression.source())))
            }
            _ => Ok(None),
        }
    }
}

/// Why a mapping does not take an event.
#[derive(Debug)]
pub(super) enum Mismatch<'a> {
    /// A string of the event is none of these.
    Text(&'static str, &'a [Glob]),
    /// The condition does not hold, or a field that it reads is absent.
    Condition(&'a str),
}

impl std::fmt::Display for Mismatch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(name, globs) => {
                let globs: Vec<_> = globs.iter().map(|glob| format!("`{glob}`")).collect();
                write!(f, "`{name}` is not {}", globs.join(" or "))
            }
            Self::Condition(source) => {
                write!(f, "the condition `{source}` is false, or one of its fields is absent")
            }
        }
    }
}

/// A string with wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Glob {
    Exact(String),
    Wild(Vec<char>),
}

impl Glob {
    pub fn new(text: &str) -> Self {
        match text.contains(['*', '?']) {
            true => Self::Wild(text.chars().collect()),
            false => Self::Exact(text.to_owned()),
        }
    }

    /// True if a string fits as a whole. Time grows with the product of both lengths at most.
    pub fn fits(&self, text: &str) -> bool {
        let pattern = match self {
            Self::Exact(exact) => return exact == text,
            Self::Wild(pattern) => pattern,
        };
        let text: Vec<char> = text.chars().collect();
        let (mut at, mut next) = (0, 0);
        // Where the last `*` stands, and how far the text was when it took nothing more.
        let mut star: Option<(usize, usize)> = None;
        while next < text.len() {
            match pattern.get(at) {
                Some('*') => {
                    star = Some((at, next));
                    at += 1;
                }
                Some(wanted) if *wanted == '?' || *wanted == text[next] => {
                    at += 1;
                    next += 1;
                }
                _ => match star {
                    None => return false,
                    Some((position, taken)) => {
                        star = Some((position, taken + 1));
                        at = position + 1;
                        next = taken + 1;
                    }
                },
            }
        }
        pattern[at..].iter().all(|left| *left == '*')
    }
}

impl std::fmt::Display for Glob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(text) => f.write_str(text),
            Self::Wild(pattern) => pattern.iter().try_for_each(|c| write!(f, "{c}")),
        }
    }
}

/// The condition of `where`.
#[derive(Debug)]
pub(super) struct Condition {
    pub expression: Expression,
    pub parts: Vec<Part>,
}

impl Condition {
    fn holds(&self, document: &Document<'_>) -> Result<bool, Rejection> {
        let scope = Scope { document, item: None };
        let variables = variables(scope, &self.parts);
        match self.expression.holds_within(&variables, document.budget()) {
            Ok(holds) => Ok(holds),
            Err(EvaluationError::Missing(_)) => Ok(false),
            Err(error) => {
                let message =
                    format!("the condition `{}` failed: {error}", self.expression.source());
                let place = place_of(&self.expression, Some(&error), None);
                Err(Rejection::new(cause_of(&error), place, message))
            }
        }
    }
}

/// The cause of a rejection for an expression that gives no value.
pub(super) fn cause_of(error: &EvaluationError) -> Cause {
    match error {
        EvaluationError::Exhausted(_) => Cause::Limit,
        EvaluationError::Missing(_) | EvaluationError::Failed(_) => Cause::Expression,
    }
}

/// The variables of an expression that are there.
pub(super) fn variables<'a>(scope: Scope<'a>, parts: &[Part]) -> Vec<(&'static str, &'a Value)> {
    let given = parts.iter().filter_map(|part| Some((part.name(), scope.part(*part)?)));
    given.collect()
}

/// The path that an expression's value or failure is about, where it can be told: within `for_each`,
/// of the element by its own place.
pub(super) fn place_of(
    expression: &Expression,
    error: Option<&EvaluationError>,
    item: Option<&Item<'_>>,
) -> String {
    let Some(path) = expression.path_at_fault(error) else { return String::new() };
    match (path, item) {
        ([part, names @ ..], Some(item)) if part == Part::Item.name() => {
            path_below(&item.location(), names)
        }
        (path, _) => path_of_names(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn globs() {
        for (pattern, text, fits) in [
            ("status", "status", true),
            ("status", "Status", false),
            ("*", "", true),
            ("?", "", false),
            ("a*", "a", true),
            ("*a", "banana", true),
            ("b*n*a", "banana", true),
            ("b*n?", "banana", true),
            ("b*n", "banana", false),
            ("??", "äö", true),
            ("a?c", "ac", false),
            ("a.c", "abc", false),
            ("", "", true),
        ] {
            assert_eq!(Glob::new(pattern).fits(text), fits, "{pattern} {text}");
        }
        assert!(!Glob::new(&"*a".repeat(500)).fits(&"b".repeat(10_000)));
    }

    proptest! {
        #[test]
        fn a_glob_agrees_with_its_regular_expression(
            pattern in "[ab?*]{0,8}",
            text in "[ab]{0,8}",
        ) {
            let expression = pattern.replace('*', ".*").replace('?', ".");
            let regex = regex::Regex::new(&format!("^(?:{expression})$")).unwrap();
            prop_assert_eq!(Glob::new(&pattern).fits(&text), regex.is_match(&text));
        }
    }
}
