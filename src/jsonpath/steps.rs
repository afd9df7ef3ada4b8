//! Singular queries: fixed steps down a document.

use std::fmt::Write as _;

use crate::codec::json::Value;

use super::Root;

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Into the member of an object.
    Name(String),
    /// Into the element of an array; negative ones count from the end.
    Index(i64),
}

impl Step {
    /// The value one step down.
    #[must_use]
    pub fn down<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        match (self, value) {
            (Self::Name(name), Value::Object(members)) => members.get(name),
            (Self::Index(index), Value::Array(elements)) => {
                elements.get(position(*index, elements.len())?)
            }
            _ => None,
        }
    }
}

/// The value at the end of these steps.
#[must_use]
pub fn resolve<'a>(root: &'a Value, steps: &[Step]) -> Option<&'a Value> {
    steps.iter().try_fold(root, |value, step| step.down(value))
}

/// The position that an index means in an array of this length.
fn position(index: i64, length: usize) -> Option<usize> {
    let magnitude = usize::try_from(index.unsigned_abs()).ok()?;
    if index < 0 { length.checked_sub(magnitude) } else { Some(magnitude) }
}

/// The normalized path of the value at the end of these steps, which are there.
pub(super) fn location(root: Root<'_, '_>, steps: &[Step]) -> String {
    let mut location = "$".to_owned();
    for (at, step) in steps.iter().enumerate() {
        match step {
            Step::Name(name) => push_name(&mut location, name),
            Step::Index(index) => {
                let array = root.resolve(&steps[..at]).and_then(Value::as_array);
                let length = array.map_or(0, Vec::len);
                // Writing to a string does not fail.
                let _ = write!(location, "[{}]", position(*index, length).unwrap_or_default());
            }
        }
    }
    location
}

/// The path of names that lead down from the root, the first of which is a part of the document:
/// `$.payload.a['b.c']`.
#[must_use]
pub fn path_of_names(names: &[String]) -> String {
    match names.split_first() {
        None => "$".to_owned(),
        Some((part, names)) => path_below(&format!("$.{part}"), names),
    }
}

/// The path of names that lead further down from a path.
#[must_use]
pub fn path_below(path: &str, names: &[String]) -> String {
    let mut path = path.to_owned();
    for name in names {
        let is_plain = |c: char| c.is_alphanumeric() || c == '_';
        if !name.is_empty()
            && !name.starts_with(|c: char| c.is_numeric())
            && name.chars().all(is_plain)
        {
            path.push('.');
            path.push_str(name);
        } else {
            push_name(&mut path, name);
        }
    }
    path
}

/// Appends the selector of a name as RFC 9535, section 2.7, has it.
pub(super) fn push_name(location: &mut String, name: &str) {
    location.push_str("['");
    for character in name.chars() {
        match character {
            '\u{8}' => location.push_str("\\b"),
            '\u{c}' => location.push_str("\\f"),
            '\n' => location.push_str("\\n"),
            '\r' => location.push_str("\\r"),
            '\t' => location.push_str("\\t"),
            '\'' | '\\' => location.extend(['\\', character]),
            control if control < ' ' => {
                // Writing to a string does not fail.
                let _ = write!(location, "\\u{:04x}", u32::from(control));
            }
            other => location.push(other),
        }
    }
    location.push_str("']");
}
