//! Numbers with all digits as sent.
//!
//! Expressions calculate with doubles, which keep 15 to 17 digits. `timestamp` and `round` promise to
//! look at the digits, so they are given them where they are called on a field.

use std::any::Any;

use cel::common::types::Type;
use cel::common::value::{StaticVal, Val};

use crate::codec::json::Value;
use crate::expression::Bound;
use crate::expression::number::Numeric;

static SENT: Type = Type::new_unspecified_type("number");

/// A number with a fraction, as a value that only [`DIGIT_READERS`] take.
#[derive(Debug, Clone)]
pub(super) struct Sent(String);

/// The functions whose first argument may be a [`Sent`], as the program names them.
pub(super) const DIGIT_READERS: &[&str] = &["@timestamp", "round"];

impl Sent {
    /// A fraction that expressions can calculate with; `None` for anything else.
    pub(super) fn of(bound: Bound<'_>) -> Option<Self> {
        let Bound::Value(Value::Number(number)) = bound else { return None };
        let text = number.as_str();
        match Numeric::parse(text) {
            Some(Numeric::Decimal(_)) => Some(Self(text.to_owned())),
            // A fraction may be too small for a double to tell from a whole number.
            Some(Numeric::Whole(_)) if text.contains(['.', 'e', 'E']) => {
                Some(Self(text.to_owned()))
            }
            _ => None,
        }
    }

    /// The digits.
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

impl Val for Sent {
    fn get_type(&self) -> &Type {
        &SENT
    }

    fn cel_type() -> &'static Type {
        &SENT
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Sent {}
