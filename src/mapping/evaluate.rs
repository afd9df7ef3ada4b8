//! From an event to payloads.

use std::borrow::Cow;
use std::sync::Arc;

use crate::codec::json::{Map, Value};

use super::Mapping;
use super::document::{Document, Item, Part, Scope};
use super::extension::Taken;
use super::field::{Query, Selected};
use super::jsonpath::Root;
use crate::call::Payload;
use crate::codec::json::NUMBER_NAME;
use crate::event::{Cause, Rejection};
use crate::limits::{
    MAX_ARGUMENTS_BYTES, MAX_JSON_DEPTH, MAX_OUTPUT_BYTES_PER_RECORD, MAX_OUTPUTS_PER_RECORD,
};

/// The payloads of one record so far.
#[derive(Default)]
pub(super) struct Outputs {
    pub payloads: Vec<Payload>,
    /// Bytes of JSON that their arguments take together.
    bytes: usize,
}

impl Outputs {
    fn push(&mut self, payload: Payload) -> Result<(), Rejection> {
        let bytes = json_bytes(&payload.arguments, MAX_JSON_DEPTH)?;
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
            let message = format!("a record may give {MAX_OUTPUTS_PER_RECORD} payloads");
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
        self.try_map(document, outputs).map_err(|rejection| {
            let message = format!("mapping `{}`: {}", self.name, rejection.message);
            Rejection::new(rejection.cause, rejection.place, message)
        })
    }

    fn try_map(&self, document: &Document<'_>, outputs: &mut Outputs) -> Result<(), Rejection> {
        if !self.matcher.takes(document)? {
            return Ok(());
        }
        let scope = Scope { document, item: None };
        let Some(query) = &self.for_each else {
            return outputs.push(self.payload(scope, &[])?);
        };
        let (items, elements) = elements(query, scope)?;
        if items.len() > MAX_OUTPUTS_PER_RECORD {
            let message = format!(
                "there are {} elements; a record may give {MAX_OUTPUTS_PER_RECORD} payloads",
                items.len()
            );
            return Err(Rejection::new(Cause::ForEach, query.path.text(), message));
        }
        items.iter().try_for_each(|item| {
            outputs.push(self.payload(Scope { document, item: Some(item) }, &elements)?)
        })
    }

    /// One payload. `elements` is what `for_each` takes of the event.
    fn payload(&self, scope: Scope<'_>, elements: &[&Value]) -> Result<Payload, Rejection> {
        let mut taken = Taken::new(self.extension.is_some());
        let mut arguments = Map::with_capacity(self.fields.len() + 1);
        for field in &self.fields {
            if let Some(value) = field.as_it_is(scope, &mut taken) {
                *place(&mut arguments, &field.names) = value.clone();
            } else if let Some(value) = field.evaluate(scope, &mut taken)? {
                *place(&mut arguments, &field.names) = value;
            }
        }
        if let Some(names) = &self.extension
            && let Some(rest) = taken.rest(scope, elements)
        {
            *place(&mut arguments, names) = rest;
        }
        Ok(Payload {
            contract: Arc::clone(&self.contract),
            function: self.function,
            arguments: Value::Object(arguments),
            mapping: self.digest,
        })
    }
}

/// The elements that `for_each` selects, and what of the event they are.
fn elements<'a>(
    query: &Query,
    scope: Scope<'a>,
) -> Result<(Vec<Item<'a>>, Vec<&'a Value>), Rejection> {
    let reject = |message: String| Rejection::new(Cause::ForEach, query.path.text(), message);
    if query.path.singular().is_some() {
        let selected = query.select(scope, &mut Taken::new(false))?;
        let Selected::One(Cow::Borrowed(array @ Value::Array(elements))) = selected else {
            return Err(reject("`for_each` must select an array; there is none here".to_owned()));
        };
        let items = elements.iter().enumerate().map(|(index, value)| Item {
            value,
            index: index.into(),
            location: format!("{}[{index}]", query.path.text()),
        });
        return Ok((items.collect(), vec![array]));
    }
    let member = |name: &str| scope.part(Part::named(name)?);
    let nodes = query.path.nodes_in(Root::Members(&member), scope.document.work());
    let nodes = nodes.map_err(|error| reject(error.to_string()))?;
    let elements = nodes.iter().map(|node| node.value).collect();
    let items = nodes.into_iter().enumerate().map(|(index, node)| Item {
        value: node.value,
        index: index.into(),
        location: node.location,
    });
    Ok((items.collect(), elements))
}

/// Where the names of a value lead. Compiling made sure that no value stands on the way.
fn place<'a>(arguments: &'a mut Map, names: &[String]) -> &'a mut Value {
    let mut names = names.iter();
    let first = names.next().map_or("", String::as_str);
    let mut place = arguments.get_or_insert(first, || Value::Null);
    for name in names {
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        place = match place {
            Value::Object(inner) => inner.get_or_insert(name, || Value::Null),
            other => other,
        };
    }
    place
}

/// The bytes that the JSON text of a value takes, where every reader takes that text back: it is
/// not too deep, and no object bears the reserved name, which an expression may have computed.
fn json_bytes(value: &Value, depth_left: usize) -> Result<usize, Rejection> {
    let deeper = || {
        depth_left.checked_sub(1).ok_or_else(|| {
            let message = format!("the arguments are nested deeper than {MAX_JSON_DEPTH}");
            Rejection::new(Cause::TooDeep, "", message)
        })
    };
    Ok(match value {
        Value::Null | Value::Bool(true) => 4,
        Value::Bool(false) => 5,
        Value::Number(number) => number.as_str().len(),
        Value::String(text) => text_bytes(text),
        Value::Array(elements) => {
            let depth_left = deeper()?;
            elements.iter().try_fold(2 + elements.len().saturating_sub(1), |bytes, element| {
                Ok(bytes + json_bytes(element, depth_left)?)
            })?
        }
        Value::Object(members) => {
            let depth_left = deeper()?;
            members.iter().try_fold(
                2 + members.len().saturating_sub(1),
                |bytes, (name, value)| {
                    if name == NUMBER_NAME {
                        let message = format!("an object has the reserved name `{NUMBER_NAME}`");
                        return Err(Rejection::new(Cause::Expression, "", message));
                    }
                    Ok(bytes + text_bytes(name) + 1 + json_bytes(value, depth_left)?)
                },
            )?
        }
    })
}

fn text_bytes(text: &str) -> usize {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' | 8 | 9 | 10 | 12 | 13 => 1,
        0..=31 => 5,
        _ => 0,
    };
    2 + text.len() + text.bytes().map(escaped).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::json;
    use proptest::prelude::*;

    #[test]
    fn bytes_are_those_of_the_text() {
        for text in [
            "[]",
            "{}",
            "[null,true,false,-1.50,[1]]",
            r#"{"a":{"b":[]},"ä":"\u0000\u001f\"\\\n/"}"#,
        ] {
            let value = json::parse(text.as_bytes()).unwrap();
            let bytes = json_bytes(&value, MAX_JSON_DEPTH);
            assert_eq!(bytes, Ok(value.to_string().len()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn bytes_of_any_text(text in "\\PC*|[\x00-\x7f]*") {
            let value = Value::from(text);
            prop_assert_eq!(json_bytes(&value, 0), Ok(value.to_string().len()));
        }
    }
}
