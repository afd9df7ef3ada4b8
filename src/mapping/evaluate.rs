//! From an event to payloads.

use std::borrow::Cow;
use std::sync::Arc;

use crate::codec::json::Value;

use super::document::{Document, Found, Item, Scope};
use super::extension::{Taken, read_by};
use super::field::{Query, Selected};
use super::matching::{cause_of, place_of, variables};
use super::{Each, Mapping, layout, origin};
use crate::budget::{Budget, Exhausted};
use crate::call::{Arguments, Payload};
use crate::codec::json::Unreadable;
use crate::event::{Cause, Rejection};
use crate::expression::{EvaluationError, Expression};
use crate::jsonpath::SelectError;
use crate::limits::{
    COPY_STEPS, MAX_ARGUMENTS_BYTES, MAX_OUTPUT_BYTES_PER_RECORD, MAX_OUTPUTS_PER_RECORD,
};

/// Fields whose values are found without an allocation.
const FEW_FIELDS: usize = 16;

/// The payloads of one record so far.
#[derive(Default)]
pub(super) struct Outputs {
    pub payloads: Vec<Payload>,
    /// Bytes of JSON that their arguments take together.
    bytes: usize,
}

impl Outputs {
    fn push(&mut self, payload: Payload) -> Result<(), Rejection> {
        let bytes = payload.arguments.bytes().len();
        if bytes > MAX_ARGUMENTS_BYTES {
            let message =
                format!("the arguments take {bytes} bytes, the limit is {MAX_ARGUMENTS_BYTES}");
            return Err(Rejection::new(Cause::PayloadTooLarge, "", message));
        }
        self.bytes += bytes;
        if self.bytes > MAX_OUTPUT_BYTES_PER_RECORD {
            let message = format!(
                "all arguments together take more than {MAX_OUTPUT_BYTES_PER_RECORD} bytes"
            );
            return Err(Rejection::new(Cause::PayloadTooLarge, "", message));
        }
        if self.payloads.len() == MAX_OUTPUTS_PER_RECORD {
            let message = format!("a record may produce {MAX_OUTPUTS_PER_RECORD} payloads");
            return Err(Rejection::new(Cause::ForEach, "", message));
        }
        self.payloads.push(payload);
        Ok(())
    }
}

impl Mapping {
    /// Adds what the mapping makes of an event; nothing where it does not take it.
    pub(super) fn map(
        &self,
        document: &Document<'_>,
        outputs: &mut Outputs,
    ) -> Result<(), Rejection> {
        self.try_map(document, outputs).map_err(|rejection| rejection.of_mapping(&self.name))
    }

    fn try_map(&self, document: &Document<'_>, outputs: &mut Outputs) -> Result<(), Rejection> {
        if !self.matcher.takes(document)? {
            return Ok(());
        }
        let scope = Scope { document, item: None };
        let Some(each) = &self.for_each else {
            return outputs.push(self.payload(scope, &[])?);
        };
        let listed;
        let (mut items, elements) = match each {
            Each::Query(query) => elements(query, scope)?,
            Each::Expression { expression, parts } => {
                let variables = variables(scope, parts);
                listed = list(expression, &variables, document.budget())?;
                few(listed.len(), &each.place())?;
                (listed_items(&listed), read_by(expression, &variables))
            }
        };
        if self.asks_origin {
            let payload = &document.event().payload;
            origin::find(payload, &mut items, document.budget()).map_err(exhausted)?;
        }
        items.iter().try_for_each(|item| {
            outputs.push(self.payload(Scope { document, item: Some(item) }, &elements)?)
        })
    }

    /// One payload. `elements` is what `for_each` takes of the event.
    fn payload(&self, scope: Scope<'_>, elements: &[&Value]) -> Result<Payload, Rejection> {
        let steps = self.fields.len() as u64 * COPY_STEPS + elements.len() as u64;
        scope.document.budget().spend(steps).map_err(exhausted)?;
        let mut taken = Taken::new(self.extension.is_some());
        let mut arguments = self.layout.free();
        let (mut few, mut many) = ([None; FEW_FIELDS], Vec::new());
        let found = match few.get_mut(..self.fields.len()) {
            Some(few) => few,
            None => {
                many.resize(self.fields.len(), None);
                many.as_mut_slice()
            }
        };
        self.descent.find(scope, found);
        for (number, (field, found)) in self.fields.iter().zip(found).enumerate() {
            if let Some(value) = field.as_it_is(*found, &mut taken) {
                field.pay_copy(scope, value)?;
                *self.layout.place(&mut arguments, number, field) = value.clone();
            } else if let Some(value) = field.evaluate(scope, *found, &mut taken)? {
                *self.layout.place(&mut arguments, number, field) = value;
            }
        }
        // What is absent left its place free: no value of a field is null.
        arguments.remove_nulls();
        if let Some(names) = &self.extension
            && let Some(rest) = taken.rest(scope, elements).map_err(exhausted)?
        {
            *layout::at(&mut arguments, names) = rest;
        }
        Ok(Payload {
            contract: Arc::clone(&self.contract),
            function: self.function,
            arguments: Arguments::from_value(Value::Object(arguments)).map_err(unreadable)?,
            mapping: self.digest,
        })
    }
}

/// Refuses more elements than a record may give payloads, before anything is made of them.
fn few(elements: usize, place: &str) -> Result<(), Rejection> {
    if elements <= MAX_OUTPUTS_PER_RECORD {
        return Ok(());
    }
    let message = format!(
        "there are {elements} elements; a record may produce {MAX_OUTPUTS_PER_RECORD} payloads"
    );
    Err(Rejection::new(Cause::ForEach, place, message))
}

/// The elements that `for_each` selects, and what of the event they are.
fn elements<'a>(
    query: &'a Query,
    scope: Scope<'a>,
) -> Result<(Vec<Item<'a>>, Vec<&'a Value>), Rejection> {
    let reject = |message: String| Rejection::new(Cause::ForEach, query.path.text(), message);
    if query.path.singular().is_some() {
        let selected = query.select(scope, &mut Taken::new(false))?;
        let Selected::One(Cow::Borrowed(array @ Value::Array(elements))) = selected else {
            return Err(reject(not_an_array(query, scope)));
        };
        few(elements.len(), query.path.text())?;
        let items = elements.iter().enumerate().map(|(index, value)| Item {
            value,
            index: index.into(),
            found: Found::In(query.path.text()),
            origin: None,
        });
        return Ok((items.collect(), vec![array]));
    }
    let nodes = scope.nodes(&query.path).map_err(|error| {
        let cause = match error {
            SelectError::TooManyNodes => Cause::ForEach,
            SelectError::TooMuchWork | SelectError::Exhausted(_) => Cause::Limit,
        };
        Rejection::new(cause, query.path.text(), error.to_string())
    })?;
    few(nodes.len(), query.path.text())?;
    let elements = nodes.iter().map(|node| node.value).collect();
    let items = nodes.into_iter().enumerate().map(|(index, node)| Item {
        value: node.value,
        index: index.into(),
        found: Found::At(node.location),
        origin: None,
    });
    Ok((items.collect(), elements))
}

fn not_an_array(query: &Query, scope: Scope<'_>) -> String {
    let members = match query.select(scope, &mut Taken::new(false)) {
        Ok(Selected::One(value)) if value.as_object().is_some() => {
            format!("; `{}.*` selects the members of this object", query.path.text())
        }
        _ => String::new(),
    };
    format!("`for_each` must select an array; found none{members}")
}

/// The list that the expression of `for_each` gives.
fn list(
    expression: &Expression,
    variables: &[(&str, &Value)],
    budget: &Budget,
) -> Result<Vec<Value>, Rejection> {
    let (error, cause, reason) = match expression.evaluate_within(variables, budget) {
        Ok(Value::Array(list)) => return Ok(list),
        Ok(_) => {
            let reason = "must return a list; it returns another value".to_owned();
            (None, Cause::ForEach, reason)
        }
        Err(error) => {
            let (cause, reason) = match &error {
                EvaluationError::Missing(_) => {
                    (Cause::ForEach, format!("must return a list; {error}"))
                }
                error => (cause_of(error), format!("failed: {error}")),
            };
            (Some(error), cause, reason)
        }
    };
    let message = format!("the expression `{}` {reason}", expression.source());
    Err(Rejection::new(cause, place_of(expression, error.as_ref(), None), message))
}

fn listed_items(list: &[Value]) -> Vec<Item<'_>> {
    let items = list.iter().enumerate().map(|(index, value)| Item {
        value,
        index: index.into(),
        found: Found::In("for_each"),
        origin: None,
    });
    items.collect()
}

/// No field in particular used the budget up.
fn exhausted(exhausted: Exhausted) -> Rejection {
    Rejection::new(Cause::Limit, "", exhausted.to_string())
}

/// The rejection for a value that only an expression computes, or for nested targets put together.
fn unreadable(reason: Unreadable) -> Rejection {
    let cause = match reason {
        Unreadable::TooDeep => Cause::TooDeep,
        Unreadable::ReservedName => Cause::Expression,
    };
    Rejection::new(cause, "", format!("the arguments: {reason}"))
}
