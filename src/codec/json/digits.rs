//! Numbers in the digits they were sent in.

use std::fmt;

use compact_str::ToCompactString as _;

use super::{Text, Value};

/// A number's text, in the grammar of RFC 8259 with exponents as `e+5` and `e-5`. Equal when the
/// digits are: [`crate::codec::number`] compares by value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Number(Text);

impl Number {
    /// Takes digits over that have no exponent, for which there is more than one spelling. The caller
    /// knows that they are a number's.
    pub(super) fn from_plain_digits(digits: &[u8]) -> Option<Self> {
        match digits.iter().any(|byte| matches!(byte, b'e' | b'E')) {
            true => None,
            false => Text::from_utf8(digits).ok().map(Self),
        }
    }

    /// Takes digits over. The caller knows that they are a number's.
    pub(super) fn from_digits(digits: &str) -> Self {
        let is_exponent = |byte: &u8| matches!(byte, b'e' | b'E');
        let Some(at) = digits.as_bytes().iter().position(is_exponent) else {
            return Self(digits.into());
        };
        let (significand, exponent) = digits.split_at(at);
        let exponent = &exponent[1..];
        let sign = if exponent.starts_with(['+', '-']) { "" } else { "+" };
        Self(compact_str::format_compact!("{significand}e{sign}{exponent}"))
    }

    /// The nearest shortest decimal of a float; `None` where it is not finite.
    #[must_use]
    pub fn from_f64(float: f64) -> Option<Self> {
        serde_json::Number::from_f64(float).map(|number| Self::from_digits(number.as_str()))
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True if it is written as an integer that `i64` or `u64` holds.
    #[must_use]
    pub fn is_integer(&self) -> bool {
        self.as_i64().is_some() || self.as_u64().is_some()
    }

    /// The integer, where it is written as one and `i64` holds it.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.0.parse().ok()
    }

    /// The integer, where it is written as one and `u64` holds it.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        self.0.parse().ok()
    }

    /// The nearest float.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        self.0.parse().ok().filter(|float: &f64| float.is_finite())
    }
}

impl std::str::FromStr for Number {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<serde_json::Number>().map(|number| Self::from_digits(number.as_str()))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! from_integer {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Number {
            fn from(integer: $integer) -> Self {
                Self(integer.to_compact_string())
            }
        }

        impl From<$integer> for Value {
            fn from(integer: $integer) -> Self {
                Self::Number(integer.into())
            }
        }
    )*};
}

from_integer!(i32, i64, u32, u64, usize);

/// `null` where the float is not finite.
impl From<f64> for Value {
    fn from(float: f64) -> Self {
        Number::from_f64(float).map_or(Self::Null, Self::Number)
    }
}
