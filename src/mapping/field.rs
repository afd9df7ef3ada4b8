//! One argument: the source of its value, and its conversion.

use std::borrow::Cow;

use crate::codec::json::Value;

use super::convert::FieldType;
use super::document::{Part, Scope};
use super::extension::Taken;
use super::lookup::Lookup;
use super::matching::{cause_of, place_of, variables};
use crate::budget::{Budget, Exhausted, copy_steps};
use crate::diagnostic::Place;
use crate::event::time::TimeReader;
use crate::event::{Cause, Rejection};
use crate::expression::{EvaluationError, Expression};
use crate::jsonpath::{Path, Step};

/// A compiled field.
#[derive(Debug)]
pub struct Field {
    /// Dotted name of the argument.
    pub target: String,
    /// Declared type; of what is found as of `default`, `constant` and the values of `lookup`.
    pub declared: FieldType,
    /// True if every payload has it: it is required, a constant, or has a default.
    pub always: bool,
    /// Position of its name in the file.
    pub place: Place,
    /// The target's names, one within the other.
    pub(super) names: Vec<String>,
    pub(super) source: Source,
    pub(super) required: bool,
    pub(super) default: Option<Value>,
    pub(super) lookup: Option<Lookup>,
    /// The time format, if `declared` is a timestamp.
    pub(super) times: TimeReader,
}

/// The source of a value.
#[derive(Debug)]
pub(super) enum Source {
    Query(Query),
    Constant(Value),
    Expression { expression: Expression, parts: Vec<Part> },
}

/// A JSONPath whose first name is a part of the event.
#[derive(Debug)]
pub(super) struct Query {
    pub path: Path,
    pub part: Part,
}

/// Texts of so many bytes are copied with their value.
const SHORT_TEXT_BYTES: usize = 24;
/// Most steps of a way; a longer path is followed by itself.
pub(super) const MAX_WAY_STEPS: usize = 8;

/// The result of a query.
pub(super) enum Selected<'a> {
    Nothing,
    One(Cow<'a, Value>),
    Many(Vec<&'a Value>),
}

impl Field {
    /// Values that are written in the mapping and that the field may get.
    #[must_use]
    pub fn written_values(&self) -> Vec<&Value> {
        let constant = match &self.source {
            // The table converts it.
            Source::Constant(value) if self.lookup.is_none() => Some(value),
            _ => None,
        };
        let table = self.lookup.iter().flat_map(Lookup::values);
        constant.into_iter().chain(&self.default).chain(table).collect()
    }
}

impl Query {
    /// Names after the part; all of a singular query.
    pub fn steps(&self) -> &[Step] {
        self.path.steps().get(self.part.width()..).unwrap_or_default()
    }

    /// True if it is the broker's timestamp, which is in milliseconds.
    pub fn is_broker_time(&self) -> bool {
        let steps = self.path.singular().map(|_| self.steps());
        self.part == Part::Kafka && matches!(steps, Some([Step::Name(name)]) if name == "timestamp")
    }

    /// True if it is a way down a part that the device sent. The ways of a mapping's fields are
    /// gone together, before any field is evaluated.
    pub fn is_way(&self) -> bool {
        self.path.singular().is_some()
            && self.part.members().is_empty()
            && self.steps().len() <= MAX_WAY_STEPS
    }

    pub fn select<'a>(
        &self,
        scope: Scope<'a>,
        taken: &mut Taken,
    ) -> Result<Selected<'a>, Rejection> {
        if self.path.singular().is_some() {
            let found = scope.resolve(self.part, self.steps());
            if let Some(Cow::Borrowed(value)) = found {
                taken.add(value);
            }
            return Ok(found.map_or(Selected::Nothing, Selected::One));
        }
        let nodes = scope.nodes(&self.path).map_err(|error| {
            Rejection::new(Cause::Limit, self.location(scope), error.to_string())
        })?;
        let values: Vec<&Value> = nodes.into_iter().map(|node| node.value).collect();
        values.iter().for_each(|value| taken.add(value));
        Ok(Selected::Many(values))
    }

    /// True if there is a list or an object for it to select from.
    fn has_elements(&self, scope: Scope<'_>) -> bool {
        let found = scope.resolve(self.part, self.steps());
        found.is_some_and(|value| matches!(*value, Value::Array(_) | Value::Object(_)))
    }

    /// True if a string stands on the way.
    fn ends_in_text(&self, scope: Scope<'_>) -> bool {
        let steps = self.steps();
        let at = |count: usize| scope.resolve(self.part, &steps[..count]);
        (0..steps.len()).any(|count| at(count).is_some_and(|value| value.as_str().is_some()))
    }

    /// The path that it reads, relative to the event; for an element of `for_each`, with its index.
    pub fn location(&self, scope: Scope<'_>) -> String {
        let text = self.path.text();
        let below =
            ["$.item", "$['item']", "$[\"item\"]"].iter().find_map(|item| text.strip_prefix(item));
        match (self.part, scope.item, below) {
            (Part::Item, Some(item), Some(below)) => format!("{}{below}", item.location()),
            _ => text.to_owned(),
        }
    }
}

impl Field {
    /// The value of the event that the argument is as it stands there: the usual case, in which it is
    /// copied once and to its place. `found` is what stands at the end of its way.
    pub(super) fn as_it_is<'a>(
        &self,
        found: Option<&'a Value>,
        taken: &mut Taken,
    ) -> Option<&'a Value> {
        let value = found?;
        let is_kept = self.lookup.is_none() && !value.is_null() && self.declared.keeps(value);
        if is_kept {
            taken.add(value);
        }
        is_kept.then_some(value)
    }

    /// The argument's value; `None` where it is absent and may be.
    pub(super) fn evaluate<'a>(
        &self,
        scope: Scope<'a>,
        found: Option<&'a Value>,
        taken: &mut Taken,
    ) -> Result<Option<Value>, Rejection> {
        let mut absent = None;
        let found = match &self.source {
            Source::Constant(value) => return Ok(Some(value.clone())),
            Source::Query(query) if query.is_way() => {
                found.inspect(|value| taken.add(value)).map(Cow::Borrowed)
            }
            Source::Query(query) => match query.select(scope, taken)? {
                // A list without such elements is not an absent one.
                Selected::Many(values)
                    if values.is_empty()
                        && self.declared == FieldType::Array
                        && query.has_elements(scope) =>
                {
                    Some(Cow::Owned(Value::Array(Vec::new())))
                }
                selected => self.selected(selected, scope)?,
            },
            Source::Expression { expression, parts } => {
                match self.computed(expression, parts, scope, taken)? {
                    Ok(value) => Some(Cow::Owned(value)),
                    Err(error) => {
                        absent = Some(error);
                        None
                    }
                }
            }
        };
        match found.filter(|value| !value.is_null()) {
            Some(value) => self.convert(value, scope).map(Some),
            None => match &self.default {
                None if self.required => Err(self.missing(scope, absent.as_ref())),
                default => Ok(default.clone()),
            },
        }
    }

    /// One value of a query; a list where the field is one.
    fn selected<'a>(
        &self,
        selected: Selected<'a>,
        scope: Scope<'_>,
    ) -> Result<Option<Cow<'a, Value>>, Rejection> {
        match selected {
            Selected::Nothing => Ok(None),
            Selected::One(value) => Ok(Some(value)),
            Selected::Many(values) => match (values.as_slice(), self.declared) {
                ([], _) => Ok(None),
                (_, FieldType::Array) => {
                    let steps = values.iter().map(|value| copy_steps(value)).sum();
                    self.pay(scope, |budget| budget.spend(steps))?;
                    let list = values.into_iter().cloned().collect();
                    Ok(Some(Cow::Owned(Value::Array(list))))
                }
                ([value], _) => Ok(Some(Cow::Borrowed(*value))),
                (several, _) => {
                    let message = format!(
                        "the path selects {} values; `type: array` keeps them as a list",
                        several.len()
                    );
                    Err(self.reject(Cause::FieldType, scope, &message))
                }
            },
        }
    }

    /// An expression's value, or the field that it lacks.
    fn computed(
        &self,
        expression: &Expression,
        parts: &[Part],
        scope: Scope<'_>,
        taken: &mut Taken,
    ) -> Result<Result<Value, EvaluationError>, Rejection> {
        let variables = variables(scope, parts);
        taken.add_paths(expression, &variables);
        match expression.evaluate_within(&variables, scope.document.budget()) {
            Ok(value) => Ok(Ok(value)),
            Err(absent @ EvaluationError::Missing(_)) => Ok(Err(absent)),
            Err(error) => {
                let place = place_of(expression, Some(&error), scope.item);
                Err(self.rejection(cause_of(&error), place, &error.to_string()))
            }
        }
    }

    /// Pays for steps of the field.
    fn pay(
        &self,
        scope: Scope<'_>,
        spend: impl FnOnce(&Budget) -> Result<(), Exhausted>,
    ) -> Result<(), Rejection> {
        spend(scope.document.budget())
            .map_err(|exhausted| self.reject(Cause::Limit, scope, &exhausted.to_string()))
    }

    /// Pays for a copy of a value. Short ones are paid for with their payload.
    pub(super) fn pay_copy(&self, scope: Scope<'_>, value: &Value) -> Result<(), Rejection> {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
            Value::String(text) if text.len() <= SHORT_TEXT_BYTES => Ok(()),
            long => self.pay(scope, |budget| budget.spend_copy(long)),
        }
    }

    fn convert(&self, value: Cow<'_, Value>, scope: Scope<'_>) -> Result<Value, Rejection> {
        if let Cow::Borrowed(value) = value {
            self.pay_copy(scope, value)?;
        }
        match &self.lookup {
            None => self
                .declared
                .convert(value, &self.times, scope.document.event().timestamp_ms)
                .map_err(|message| self.reject(Cause::FieldType, scope, &message)),
            Some(lookup) => {
                lookup.find(&value).map_err(|(cause, message)| self.reject(cause, scope, &message))
            }
        }
    }

    fn missing(&self, scope: Scope<'_>, absent: Option<&EvaluationError>) -> Rejection {
        let message = match &self.source {
            Source::Expression { expression, .. } => {
                let place = place_of(expression, absent, scope.item);
                let message = match absent {
                    Some(absent) => absent.to_string(),
                    None => "the expression returns null".to_owned(),
                };
                return self.rejection(Cause::MissingField, place, &message);
            }
            Source::Query(query) if query.ends_in_text(scope) => {
                "the path leads into a string, which has no members; JSON within a string is not read"
            }
            Source::Query(_) | Source::Constant(_) => "the path selects nothing, or null",
        };
        self.reject(Cause::MissingField, scope, message)
    }

    fn reject(&self, cause: Cause, scope: Scope<'_>, message: &str) -> Rejection {
        let place = match &self.source {
            Source::Query(query) => query.location(scope),
            Source::Expression { expression, .. } => place_of(expression, None, scope.item),
            Source::Constant(_) => String::new(),
        };
        self.rejection(cause, place, message)
    }

    fn rejection(&self, cause: Cause, place: String, message: &str) -> Rejection {
        Rejection::new(cause, place, format!("field `{}`: {message}", self.target))
    }
}
