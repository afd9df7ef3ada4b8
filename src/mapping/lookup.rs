//! Lookup tables from device values to field values.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::convert::shown;
use crate::codec::json::{Number, Value};
use crate::codec::number;
use crate::event::Cause;

/// A table from texts, numbers and booleans to values of the field's type.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    /// By the text as it is written.
    texts: BTreeMap<String, Value>,
    /// By the value of a number, in [`number::canonical`] form.
    numbers: BTreeMap<String, Value>,
    otherwise: Option<Value>,
}

impl Lookup {
    /// An empty table with the value for what it does not have.
    pub fn new(otherwise: Option<Value>) -> Self {
        Self { otherwise, ..Self::default() }
    }

    /// Every value that it gives.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.texts.values().chain(&self.otherwise)
    }

    /// Adds an entry. `false` where the table has a number of the same value.
    pub fn add(&mut self, name: &str, value: Value) -> bool {
        let number = name.parse::<Number>().ok();
        let is_new = match number {
            Some(number) => {
                let canonical = number::canonical(number.as_str()).into_owned();
                self.numbers.insert(canonical, value.clone()).is_none()
            }
            None => true,
        };
        self.texts.insert(name.to_owned(), value);
        is_new
    }

    /// The value for what was found.
    ///
    /// # Errors
    ///
    /// What the table does not have, and values that cannot be looked up.
    pub fn find(&self, value: &Value) -> Result<Value, (Cause, String)> {
        let found = match value {
            Value::String(text) => self.texts.get(text.as_str()),
            Value::Bool(flag) => self.texts.get(if *flag { "true" } else { "false" }),
            Value::Number(number) => {
                let canonical: Cow<'_, str> = number::canonical(number.as_str());
                self.numbers.get(canonical.as_ref())
            }
            Value::Null | Value::Array(_) | Value::Object(_) => {
                let message = format!("{} cannot be used as a lookup key", shown(value));
                return Err((Cause::FieldType, message));
            }
        };
        found.or(self.otherwise.as_ref()).cloned().ok_or_else(|| {
            (Cause::Lookup, format!("the lookup table has no entry for {}", shown(value)))
        })
    }
}
