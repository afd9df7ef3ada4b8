//! The bounds of numbers in a state schema, compared by their digits.
//!
//! The library compares doubles, to which 9007199254740992.5 and 9007199254740992 are the same. A
//! state keeps the digits that were sent, and so do its bounds.

use std::cmp::Ordering;

use jsonschema::json::Node;
use jsonschema::{Keyword, ValidationError, ValidationOptions};
use serde_json::Value;

use crate::codec::json::Number;
use crate::codec::number::compare_texts;
use crate::contract::schema_value::{Metered, States};

/// A keyword that bounds a number.
#[derive(Debug, Clone, Copy)]
struct Kind {
    keyword: &'static str,
    /// The result of comparing a violating number with the bound.
    broken_by: Ordering,
    /// True if the bound itself is taken.
    is_inclusive: bool,
    /// The message for a number that violates the bound.
    message: &'static str,
}

const KINDS: [Kind; 4] = [
    Kind {
        keyword: "minimum",
        broken_by: Ordering::Less,
        is_inclusive: true,
        message: "is less than the minimum of",
    },
    Kind {
        keyword: "maximum",
        broken_by: Ordering::Greater,
        is_inclusive: true,
        message: "is greater than the maximum of",
    },
    Kind {
        keyword: "exclusiveMinimum",
        broken_by: Ordering::Less,
        is_inclusive: false,
        message: "is less than or equal to the minimum of",
    },
    Kind {
        keyword: "exclusiveMaximum",
        broken_by: Ordering::Greater,
        is_inclusive: false,
        message: "is greater than or equal to the maximum of",
    },
];

/// One bound of a schema.
struct Bound {
    kind: Kind,
    text: String,
    /// The double nearest to it.
    nearest: Option<f64>,
}

/// Takes the bounds of numbers out of the library's hands.
pub(super) fn with_exact_bounds<R>(
    options: ValidationOptions<'_, R, States>,
) -> ValidationOptions<'_, R, States> {
    KINDS.into_iter().fold(options, |options, kind| {
        options.with_keyword(kind.keyword, move |_, value, _| match value {
            Value::Number(number) => {
                let nearest = number.as_f64();
                Ok(Box::new(Bound { kind, text: number.to_string(), nearest }))
            }
            other => Err(ValidationError::custom(format!("{other} is not of type \"number\""))),
        })
    })
}

impl Bound {
    fn takes(&self, number: &Number) -> bool {
        let order = self.order(number);
        order != self.kind.broken_by && (self.kind.is_inclusive || order.is_ne())
    }

    /// Rounding keeps the order: only where both round to the same double do the digits decide.
    fn order(&self, number: &Number) -> Ordering {
        let nearest = number.as_f64().zip(self.nearest);
        let rounded = nearest.and_then(|(number, bound)| number.partial_cmp(&bound));
        match rounded {
            Some(order) if order.is_ne() => order,
            _ => compare_texts(number.as_str(), &self.text),
        }
    }
}

impl<'i> Keyword<'i, States> for Bound {
    fn validate(&self, instance: Metered<'i>) -> Result<(), ValidationError<'i>> {
        match instance.as_number() {
            Some(number) if !self.takes(number) => {
                let (message, bound) = (self.kind.message, &self.text);
                Err(ValidationError::custom(format!("{} {message} {bound}", number.as_str())))
            }
            _ => Ok(()),
        }
    }

    fn is_valid(&self, instance: Metered<'i>) -> bool {
        instance.as_number().is_none_or(|number| self.takes(number))
    }
}
