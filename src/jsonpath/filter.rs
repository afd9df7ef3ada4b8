//! Filters (RFC 9535, section 2.3.5).

use std::cmp::Ordering;

use crate::codec::json::Value;

use super::steps::{Step, resolve};
use super::walk::{NODE_WORK, Segment, Selector, Walk};
use super::{Node, SelectError};
use crate::codec::number;
use crate::limits::{MAX_PATH_BYTES, MAX_PATTERN_BYTES, PATH_WORK_PER_STEP};
use crate::pattern::Matcher;

/// The cost of compiling a regular expression.
const PATTERN_WORK: usize = MAX_PATTERN_BYTES;

/// A logical expression.
#[derive(Debug)]
pub(super) enum Filter {
    Or(Vec<Filter>),
    And(Vec<Filter>),
    Not(Box<Filter>),
    /// The query selects something.
    Exists(Query),
    Compare(Operand, Operator, Operand),
    /// `match` where `whole`, else `search`.
    Matches {
        text: Operand,
        pattern: Pattern,
        whole: bool,
    },
}

/// A query within a filter.
#[derive(Debug)]
pub(super) struct Query {
    /// `$` instead of `@`.
    pub from_root: bool,
    pub steps: Vec<Step>,
    pub segments: Vec<Segment>,
}

/// An operand that yields one value or nothing.
#[derive(Debug)]
pub(super) enum Operand {
    Literal(Value),
    /// A singular query, or `value(…)`: nothing where it selects none or several.
    Value(Query),
    Length(Box<Operand>),
    Count(Query),
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A regular expression.
#[derive(Debug)]
pub(super) enum Pattern {
    /// Written in the query; `None` where it is not a string, and nothing matches.
    Fixed(Option<Matcher>),
    /// Taken from the document.
    Dynamic(Operand),
}

/// A value of the document, or a computed one.
enum Given<'a> {
    Borrowed(&'a Value),
    Owned(Value),
}

impl Given<'_> {
    fn value(&self) -> &Value {
        match self {
            Self::Borrowed(value) => value,
            Self::Owned(value) => value,
        }
    }
}

impl Filter {
    /// Evaluates it for a value.
    pub fn holds<'a>(&self, walk: &Walk<'_, 'a>, current: &'a Value) -> Result<bool, SelectError> {
        match self {
            Self::Or(parts) => any(parts, |part| part.holds(walk, current)),
            Self::And(parts) => Ok(!any(parts, |part| Ok(!part.holds(walk, current)?))?),
            Self::Not(part) => Ok(!part.holds(walk, current)?),
            Self::Exists(query) => Ok(!query.nodes(walk, current)?.is_empty()),
            Self::Compare(left, operator, right) => {
                let (left, right) = (left.give(walk, current)?, right.give(walk, current)?);
                let values = (left.as_ref().map(Given::value), right.as_ref().map(Given::value));
                operator.holds(walk, values)
            }
            Self::Matches { text, pattern, whole } => {
                let text = text.give(walk, current)?;
                let Some(text) = text.as_ref().and_then(|text| text.value().as_str()) else {
                    return Ok(false);
                };
                pattern.matches(walk, current, text, *whole)
            }
        }
    }
}

fn any<T>(
    parts: &[T],
    holds: impl Fn(&T) -> Result<bool, SelectError>,
) -> Result<bool, SelectError> {
    for part in parts {
        if holds(part)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The name that follows a `$`.
pub(super) fn name_of(steps: &[Step]) -> Option<&str> {
    match steps.first() {
        Some(Step::Name(name)) => Some(name),
        _ => None,
    }
}

/// The names that follow each `$` within filters.
pub(super) fn names_within<'f>(segments: &'f [Segment], names: &mut Vec<Option<&'f str>>) {
    for segment in segments {
        let Segment::Choice { selectors, .. } = segment else { continue };
        for selector in selectors {
            if let Selector::Filter(filter) = selector {
                filter.names(names);
            }
        }
    }
}

impl Filter {
    fn names<'f>(&'f self, names: &mut Vec<Option<&'f str>>) {
        match self {
            Self::Or(parts) | Self::And(parts) => parts.iter().for_each(|part| part.names(names)),
            Self::Not(part) => part.names(names),
            Self::Exists(query) => query.names(names),
            Self::Compare(left, _, right) => {
                left.names(names);
                right.names(names);
            }
            Self::Matches { text, pattern, .. } => {
                text.names(names);
                if let Pattern::Dynamic(operand) = pattern {
                    operand.names(names);
                }
            }
        }
    }
}

impl Query {
    fn names<'f>(&'f self, names: &mut Vec<Option<&'f str>>) {
        if self.from_root {
            names.push(name_of(&self.steps));
        }
        names_within(&self.segments, names);
    }
    fn nodes<'a>(
        &self,
        walk: &Walk<'_, 'a>,
        current: &'a Value,
    ) -> Result<Vec<Node<'a>>, SelectError> {
        walk.spend(NODE_WORK)?;
        let start = match self.from_root {
            true => walk.root.resolve(&self.steps),
            false => resolve(current, &self.steps),
        };
        match start {
            None => Ok(Vec::new()),
            Some(value) => walk.segments(&self.segments, Node { value, location: String::new() }),
        }
    }

    fn only<'a>(
        &self,
        walk: &Walk<'_, 'a>,
        current: &'a Value,
    ) -> Result<Option<&'a Value>, SelectError> {
        Ok(match self.nodes(walk, current)?.as_slice() {
            [node] => Some(node.value),
            _ => None,
        })
    }
}

impl Operand {
    fn names<'f>(&'f self, names: &mut Vec<Option<&'f str>>) {
        match self {
            Self::Literal(_) => {}
            Self::Value(query) | Self::Count(query) => query.names(names),
            Self::Length(operand) => operand.names(names),
        }
    }

    fn give<'g, 'a: 'g>(
        &'g self,
        walk: &Walk<'_, 'a>,
        current: &'a Value,
    ) -> Result<Option<Given<'g>>, SelectError> {
        Ok(match self {
            Self::Literal(value) => Some(Given::Borrowed(value)),
            Self::Value(query) => query.only(walk, current)?.map(Given::Borrowed),
            Self::Count(query) => Some(Given::Owned(query.nodes(walk, current)?.len().into())),
            Self::Length(operand) => match operand.give(walk, current)? {
                None => None,
                Some(given) => length(walk, given.value())?.map(|n| Given::Owned(n.into())),
            },
        })
    }
}

/// RFC 9535, section 2.4.4.
fn length(walk: &Walk<'_, '_>, value: &Value) -> Result<Option<usize>, SelectError> {
    Ok(match value {
        Value::String(text) => {
            walk.spend(text.len())?;
            Some(text.chars().count())
        }
        Value::Array(elements) => Some(elements.len()),
        Value::Object(members) => Some(members.len()),
        _ => None,
    })
}

impl Operator {
    /// RFC 9535, section 2.3.5.2.2.
    fn holds(
        self,
        walk: &Walk<'_, '_>,
        (left, right): (Option<&Value>, Option<&Value>),
    ) -> Result<bool, SelectError> {
        let equal = || match (left, right) {
            (None, None) => Ok(true),
            (Some(left), Some(right)) => equal(walk, left, right),
            _ => Ok(false),
        };
        let order = match (left, right) {
            (Some(Value::Number(left)), Some(Value::Number(right))) => {
                Some(number::compare(left, right))
            }
            (Some(Value::String(left)), Some(Value::String(right))) => {
                walk.spend(left.len().min(right.len()))?;
                Some(left.cmp(right))
            }
            _ => None,
        };
        match self {
            Self::Equal => equal(),
            Self::NotEqual => Ok(!equal()?),
            Self::Less => Ok(order == Some(Ordering::Less)),
            Self::Greater => Ok(order == Some(Ordering::Greater)),
            Self::LessOrEqual => Ok(order == Some(Ordering::Less) || equal()?),
            Self::GreaterOrEqual => Ok(order == Some(Ordering::Greater) || equal()?),
        }
    }
}

/// Equality of values; numbers by value.
fn equal(walk: &Walk<'_, '_>, left: &Value, right: &Value) -> Result<bool, SelectError> {
    walk.spend(NODE_WORK)?;
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            Ok(number::compare(left, right) == Ordering::Equal)
        }
        (Value::String(left), Value::String(right)) => {
            walk.spend(left.len().min(right.len()))?;
            Ok(left == right)
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            let mut pairs = left.iter().zip(right);
            all(&mut pairs, |(left, right)| equal(walk, left, right))
        }
        (Value::Object(left), Value::Object(right)) if left.len() == right.len() => {
            // Both are sorted by name.
            let mut pairs = left.iter().zip(right);
            all(&mut pairs, |((left_name, left), (right_name, right))| {
                walk.spend(left_name.len().min(right_name.len()))?;
                Ok(left_name == right_name && equal(walk, left, right)?)
            })
        }
        (Value::Bool(left), Value::Bool(right)) => Ok(left == right),
        (Value::Null, Value::Null) => Ok(true),
        _ => Ok(false),
    }
}

fn all<T>(
    items: &mut impl Iterator<Item = T>,
    holds: impl Fn(T) -> Result<bool, SelectError>,
) -> Result<bool, SelectError> {
    for item in items {
        if !holds(item)? {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Pattern {
    /// The pattern of a query's literal, or of its operand. A literal that would match nothing
    /// whatever arrives is refused.
    pub fn of(operand: Operand, whole: bool) -> Result<Self, String> {
        let Operand::Literal(value) = operand else { return Ok(Self::Dynamic(operand)) };
        let Some(text) = value.as_str() else { return Ok(Self::Fixed(None)) };
        match compile(text, whole) {
            Some(matcher) => Ok(Self::Fixed(Some(matcher))),
            None => Err(format!("`{text}` is not a regular expression, or too large a one")),
        }
    }

    fn matches<'a>(
        &self,
        walk: &Walk<'_, 'a>,
        current: &'a Value,
        text: &str,
        whole: bool,
    ) -> Result<bool, SelectError> {
        let operand = match self {
            Self::Fixed(matcher) => return is_match(walk, matcher.as_ref(), text),
            Self::Dynamic(operand) => operand,
        };
        let pattern = operand.give(walk, current)?;
        let Some(pattern) = pattern.as_ref().and_then(|pattern| pattern.value().as_str()) else {
            return Ok(false);
        };
        let key = format!("{whole}{pattern}");
        let mut cached = walk.pattern.borrow_mut();
        if cached.as_ref().is_none_or(|(last, _)| *last != key) {
            walk.spend(PATTERN_WORK)?;
            *cached = Some((key, compile(pattern, whole)));
        }
        is_match(walk, cached.as_ref().and_then(|(_, matcher)| matcher.as_ref()), text)
    }
}

fn is_match(
    walk: &Walk<'_, '_>,
    matcher: Option<&Matcher>,
    text: &str,
) -> Result<bool, SelectError> {
    let Some(matcher) = matcher else { return Ok(false) };
    let steps = usize::try_from(matcher.steps(text)).unwrap_or(usize::MAX);
    walk.spend(steps.saturating_mul(PATH_WORK_PER_STEP))?;
    Ok(matcher.is_match(text))
}

/// Compiles an I-Regexp (RFC 9485): a `.` takes neither `\n` nor `\r` (section 5.3).
fn compile(pattern: &str, whole: bool) -> Option<Matcher> {
    if pattern.len() > MAX_PATH_BYTES {
        return None;
    }
    let mut translated = String::with_capacity(pattern.len() + 8);
    let mut characters = pattern.chars();
    let mut in_class = false;
    while let Some(character) = characters.next() {
        match character {
            '.' if !in_class => {
                translated.push_str("[^\\n\\r]");
                continue;
            }
            '\\' => {
                translated.push('\\');
                translated.extend(characters.next());
                continue;
            }
            '[' => in_class = true,
            ']' => in_class = false,
            _ => {}
        }
        translated.push(character);
    }
    if whole {
        translated = format!("^(?:{translated})$");
    }
    Matcher::new(&translated).ok()
}
