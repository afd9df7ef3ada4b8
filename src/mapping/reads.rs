//! What of an event's payload mappings read.

use super::Mapping;
use super::document::Part;
use super::field::{Query, Source};
use super::jsonpath::{Path, Step};
use crate::codec::json::Wanted;
use crate::expression::Expression;

impl Mapping {
    /// Adds what it reads of a payload.
    pub(super) fn add_wanted(&self, wanted: &mut Wanted) {
        if self.extension.is_some() {
            *wanted = Wanted::Everything;
        }
        if let Some(condition) = &self.matcher.condition {
            add_expression(&condition.expression, wanted);
        }
        if let Some(Query { path, .. }) = &self.for_each {
            add_path(path, wanted);
        }
        for field in &self.fields {
            match &field.source {
                Source::Query(query) => add_path(&query.path, wanted),
                Source::Expression { expression, .. } => add_expression(expression, wanted),
                Source::Constant(_) => {}
            }
        }
    }
}

fn add_expression(expression: &Expression, wanted: &mut Wanted) {
    for path in expression.paths() {
        if let Some((_, names)) = path.split_first().filter(|(part, _)| is_payload(part)) {
            wanted.add(names.iter().map(String::as_str));
        }
    }
}

/// A query begins with names; what follows may select anything below.
fn add_path(path: &Path, wanted: &mut Wanted) {
    let mut names = path.steps().iter().map_while(|step| match step {
        Step::Name(name) => Some(name.as_str()),
        Step::Index(_) => None,
    });
    if names.next().is_none_or(is_payload) {
        wanted.add(names);
    }
    // The first is its own `$`, the others stand in filters.
    if path.names().into_iter().skip(1).any(|name| name.is_none_or(is_payload)) {
        *wanted = Wanted::Everything;
    }
}

fn is_payload(part: &str) -> bool {
    part == Part::Payload.name()
}
