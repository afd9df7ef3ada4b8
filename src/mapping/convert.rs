//! Exact conversion: a value takes the declared type without losing anything, or is refused.

use std::borrow::Cow;

use crate::codec::json::{Number, Value};
use schemars::JsonSchema;

use crate::codec::{json, number};
use crate::event::time::TimeReader;
use crate::limits::truncated;

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// Taken as it is.
    #[default]
    Any,
    /// A string; numbers and booleans by their digits and letters. An exponent is written out, unless
    /// that takes more than 64 digits.
    String,
    /// An integer of any size; `21.0` and `"21"` too, `21.5` never.
    Integer,
    /// A number; also a string that is one.
    Number,
    /// `true` or `false`; also as text.
    Boolean,
    /// An instant, in RFC 3339 in UTC with milliseconds, `2017-01-04T11:11:33.601Z`, or with as many
    /// digits as were sent. Taken from RFC 3339 with any offset, also without its minutes (`+02`), or
    /// from a number of milliseconds since 1970; from other forms by `unit`, `zone` and `format`.
    Timestamp,
    /// An object.
    Object,
    /// A list.
    Array,
}

impl FieldType {
    /// The name in YAML.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Timestamp => "timestamp",
            Self::Object => "object",
            Self::Array => "array",
        }
    }

    /// The name with its article, for messages.
    fn described(self) -> &'static str {
        match self {
            Self::Any => "any value",
            Self::String => "a string",
            Self::Integer => "an integer",
            Self::Number => "a number",
            Self::Boolean => "a boolean",
            Self::Timestamp => "a timestamp",
            Self::Object => "an object",
            Self::Array => "an array",
        }
    }

    /// True if a value has this type and stays as it is.
    pub fn keeps(self, value: &Value) -> bool {
        matches!(
            (self, value),
            (Self::Any, _)
                | (Self::String, Value::String(_))
                | (Self::Boolean, Value::Bool(_))
                | (Self::Number, Value::Number(_))
                | (Self::Object, Value::Object(_))
                | (Self::Array, Value::Array(_))
        )
    }

    /// The value in this type. `times` reads it where it is a timestamp, of a record with this
    /// timestamp of the broker.
    ///
    /// # Errors
    ///
    /// What it is and why it is not taken, where the conversion would not be exact.
    pub fn convert(
        self,
        value: Cow<'_, Value>,
        times: &TimeReader,
        record_ms: Option<i64>,
    ) -> Result<Value, String> {
        if self.keeps(&value) {
            return Ok(value.into_owned());
        }
        if self == Self::Timestamp {
            let time = times.value(&value, record_ms).map_err(|error| error.to_string())?;
            return Ok(Value::from(time.text()));
        }
        let converted = match (self, value.as_ref()) {
            (Self::String, Value::Number(number)) => {
                let plain = number::plain_text(number.as_str());
                Some(plain.unwrap_or(Cow::Borrowed(number.as_str())).into_owned().into())
            }
            (Self::String, Value::Bool(flag)) => Some(flag.to_string().into()),
            (Self::Boolean, Value::String(text)) => text.parse().ok().map(Value::Bool),
            (Self::Number, Value::String(text)) => number_of(text).map(Value::Number),
            (Self::Integer, Value::Number(number)) => integer_of(number),
            (Self::Integer, Value::String(text)) => {
                number_of(text).and_then(|number| integer_of(&number))
            }
            _ => None,
        };
        converted.ok_or_else(|| {
            format!("{} is not {} that can be stored exactly", shown(&value), self.described())
        })
    }
}

/// The number that a string is, in the grammar of JSON and within its bounds.
fn number_of(text: &str) -> Option<Number> {
    let begins = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    let ends = text.ends_with(|last: char| last.is_ascii_digit());
    match json::parse(text.as_bytes()) {
        Ok(Value::Number(number)) if begins && ends => Some(number),
        _ => None,
    }
}

fn integer_of(number: &Number) -> Option<Value> {
    let is_plain = number.as_str() != "-0" && number.is_integer();
    if is_plain {
        return Some(Value::Number(number.clone()));
    }
    number::integer_text(number.as_str())?.parse().ok().map(Value::Number)
}

/// A value in a message: short, and with its control characters escaped.
pub(super) fn shown(value: &Value) -> String {
    const MAX_BYTES: usize = 80;
    match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::String(text) => {
            let cut = truncated(text, MAX_BYTES);
            let more = if cut.len() < text.len() { "…" } else { "" };
            format!("the string {cut:?}{more}")
        }
        scalar => scalar.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn convert(declared: FieldType, value: &Value) -> Result<Value, String> {
        declared.convert(Cow::Borrowed(value), &TimeReader::default(), None)
    }

    #[test]
    fn conversions_are_exact_or_refused() {
        use FieldType::{Any, Array, Boolean, Integer, Number, Object, String, Timestamp};
        for (declared, value, converted) in [
            (Any, "21.50", Some("21.50")),
            (Any, "null", Some("null")),
            (String, r#""a""#, Some(r#""a""#)),
            (String, "21.50", Some(r#""21.50""#)),
            (String, "1e5", Some(r#""100000""#)),
            (String, "-1.5E-3", Some(r#""-0.0015""#)),
            (String, "1e300", Some(r#""1e+300""#)),
            (String, "true", Some(r#""true""#)),
            (String, "{}", None),
            (Integer, "21", Some("21")),
            (Integer, "21.0", Some("21")),
            (Integer, "2.1e1", Some("21")),
            (Integer, "-0", Some("0")),
            (Integer, r#""21""#, Some("21")),
            (Integer, r#""-21.00""#, Some("-21")),
            (Integer, "9007199254740993", Some("9007199254740993")),
            (Integer, "123456789012345678901234567890", Some("123456789012345678901234567890")),
            (Integer, "21.5", None),
            (Integer, "1e300", None),
            (Integer, r#"" 21""#, None),
            (Integer, r#""21 ""#, None),
            (Integer, r#""+21""#, None),
            (Integer, r#""0x15""#, None),
            (Integer, r#""021""#, None),
            (Integer, r#""""#, None),
            (Integer, "true", None),
            (Number, "21.50", Some("21.50")),
            (Number, r#""21.50""#, Some("21.50")),
            (Number, r#""1e400""#, None),
            (Number, r#""NaN""#, None),
            (Number, r#""[1]""#, None),
            (Number, "[]", None),
            (Boolean, "false", Some("false")),
            (Boolean, r#""true""#, Some("true")),
            (Boolean, r#""True""#, None),
            (Boolean, "1", None),
            (Timestamp, r#""2017-01-04T13:11:33.601+02""#, Some(r#""2017-01-04T11:11:33.601Z""#)),
            (Timestamp, r#""2017-01-04T11:11:33Z""#, Some(r#""2017-01-04T11:11:33.000Z""#)),
            (Timestamp, "1483528293601", Some(r#""2017-01-04T11:11:33.601Z""#)),
            (Timestamp, "1483528293601.5", Some(r#""2017-01-04T11:11:33.601500Z""#)),
            (Timestamp, "1483528293.601", None),
            (Timestamp, "123456789012345678901234567890", None),
            (Timestamp, r#""2017-01-04T11:11:33""#, None),
            (Timestamp, r#""yesterday""#, None),
            (Object, r#"{"a":1}"#, Some(r#"{"a":1}"#)),
            (Object, "[1]", None),
            (Array, "[1.0]", Some("[1.0]")),
            (Array, r#"{"a":1}"#, None),
        ] {
            let value = json::parse(value.as_bytes()).unwrap();
            let result = convert(declared, &value).map(|value| value.to_string());
            assert_eq!(result.as_deref().ok(), converted, "{declared:?} {value}: {result:?}");
        }
    }

    #[test]
    fn a_refusal_names_value_and_type() {
        let message = convert(FieldType::Integer, &Value::from("a\u{1b}"));
        assert_eq!(
            message.unwrap_err(),
            r#"the string "a\u{1b}" is not an integer that can be stored exactly"#
        );
        let long = convert(FieldType::Number, &"ä".repeat(10_000).into()).unwrap_err();
        assert!(long.len() < 200, "{long}");
    }

    proptest! {
        #[test]
        fn an_integer_survives_every_spelling(integer: i128, zeros in 0_usize..3) {
            let text = format!("{integer}.{}", "0".repeat(zeros + 1));
            for value in [json::parse(text.as_bytes()).unwrap(), Value::from(text.as_str())] {
                let converted = convert(FieldType::Integer, &value).unwrap();
                prop_assert_eq!(converted.to_string(), integer.to_string());
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,12}") {
            let value = Value::from(text);
            for declared in [FieldType::Integer, FieldType::Number, FieldType::Timestamp] {
                if let Ok(converted) = convert(declared, &value) {
                    prop_assert_eq!(convert(declared, &converted), Ok(converted));
                }
            }
        }
    }
}
