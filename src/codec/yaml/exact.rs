//! Values of a YAML file, with numbers as written.
//!
//! The YAML library makes a float of every number that is no 64-bit integer. A threshold or a
//! test's expectation would silently be another number than the one in the file, so its digits are
//! read again, at its place in the text.
//!
//! It also takes codes for numbers that begin with a zero, such as `007.5` and `0b10`: they stay texts.

use std::cell::RefCell;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::Located;
use crate::codec::json::{self, Map, Number, Value};
use crate::diagnostic::Place;

thread_local! {
    /// The text that is being parsed: serde has no way to hand it through.
    static SOURCE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Any value of a YAML file. Numbers that JSON can spell keep their digits.
#[derive(Debug, Clone, PartialEq)]
pub struct Exact(pub Value);

/// Runs a parse of this text, so that every [`Exact`] in it finds its digits.
pub(super) fn with_source<T>(text: String, parse: impl FnOnce(&str) -> T) -> T {
    SOURCE.replace(text.clone());
    let parsed = parse(&text);
    SOURCE.replace(String::new());
    parsed
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Located { value, place } = Located::<Plain>::deserialize(deserializer)?;
        let is_number = matches!(value, Plain::Float(_) | Plain::Value(Value::Number(_)));
        if let Some(code) = is_number.then(|| code(place)).flatten() {
            return Ok(Self(Value::from(code)));
        }
        Ok(Self(match value {
            Plain::Value(value) => value,
            Plain::Float(float) => {
                written(place, float).or(Number::from_f64(float)).map_or(Value::Null, Value::Number)
            }
        }))
    }
}

/// The number as it is written at a place, where it is one of JSON and means the same.
fn written(place: Place, float: f64) -> Option<Number> {
    let belongs = |c: &char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E');
    let token = token(place, belongs)?;
    let same = token.parse::<f64>().is_ok_and(|number| number.total_cmp(&float).is_eq());
    match json::parse(token.as_bytes()) {
        Ok(Value::Number(number)) if same => Some(number),
        _ => None,
    }
}

/// The text at a place that the library took for a number, where it is rather a code.
fn code(place: Place) -> Option<String> {
    let belongs = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
    let token = token(place, belongs)?;
    let is_code = match token.trim_start_matches(['-', '+']).as_bytes() {
        [b'0', b'b' | b'B', ..] => true,
        [b'0', next, ..] => next.is_ascii_digit(),
        _ => false,
    };
    is_code.then_some(token)
}

/// The letters that belong together from a place on.
fn token(place: Place, belongs: impl Fn(&char) -> bool) -> Option<String> {
    let skipped = |position: u64| usize::try_from(position.saturating_sub(1)).ok();
    let (line, column) = (skipped(place.line)?, skipped(place.column)?);
    SOURCE.with_borrow(|text| {
        let line = text.lines().nth(line)?;
        Some(line.chars().skip(column).take_while(belongs).collect())
    })
}

/// A value as the library gives it.
enum Plain {
    Value(Value),
    Float(f64),
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlainVisitor)
    }
}

struct PlainVisitor;

impl<'de> Visitor<'de> for PlainVisitor {
    type Value = Plain;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Plain, E> {
        Ok(Plain::Value(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Plain, E> {
        Ok(Plain::Value(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Plain, E> {
        Ok(Plain::Value(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Plain, E> {
        Ok(Plain::Value(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Plain, E> {
        Ok(Plain::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Plain, E> {
        Ok(Plain::Value(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Plain, A::Error> {
        let mut values = Vec::new();
        while let Some(Exact(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Plain::Value(Value::Array(values)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Plain, A::Error> {
        let mut members = Vec::new();
        while let Some((name, Exact(value))) = access.next_entry::<String, Exact>()? {
            members.push((name, value));
        }
        Ok(Plain::Value(Value::Object(members.into_iter().collect::<Map>())))
    }
}

impl schemars::JsonSchema for Exact {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        serde_json::Value::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        serde_json::Value::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::codec::yaml::documents;

    #[test]
    fn texts_stay_texts() {
        let file = Path::new("file.yaml");
        for text in [
            "off",
            "on",
            "NO",
            "No",
            "no",
            "yes",
            "Y",
            "n",
            "012",
            "-012",
            "+00",
            "1_000",
            "0x1_0",
            "0b101",
            "0B1",
            "007.50",
            "01e2",
            "-00.5",
            "1:30",
            "2026-01-01",
            "1.2.3",
        ] {
            for yaml in [
                format!("a: {text}\n"),
                format!("a: [{text}, true]\n"),
                format!("{{a: {{b: {text}}}}}"),
                format!("---\n\na: {text} # a comment\n"),
            ] {
                let Exact(value) = documents(file, &yaml).unwrap()[0].parse(file).unwrap();
                let mut value = &value["a"];
                value = value.get("b").unwrap_or(value);
                value = value.as_array().map_or(value, |list| &list[0]);
                assert_eq!(value.as_str(), Some(text), "{yaml}");
            }
        }
        for (text, json) in [
            ("true", "true"),
            ("True", "true"),
            ("FALSE", "false"),
            ("0", "0"),
            ("-0.5", "-0.5"),
            ("0x10", "16"),
            ("0o17", "15"),
            ("1e2", "1e+2"),
            ("~", "null"),
            ("'012'", "\"012\""),
        ] {
            let yaml = format!("a: {text}\n");
            let Exact(value) = documents(file, &yaml).unwrap()[0].parse(file).unwrap();
            assert_eq!(value["a"].to_string(), json, "{yaml}");
        }
    }

    #[test]
    fn numbers_keep_their_digits() {
        let text = "\
# a first document
---
a: 21.50
b: [1e3, -0.10, {c: 123456789012345678901234567890}]
ü: {x: 9007199254740993, y: 0.1234567890123456789012}
d: 0x10
e: .5
f: +1.5
g: '1.50'
h: &n 2.50
i: *n
j: ~
k: true
l: {$serde_json::private::Number: abc}
";
        let file = Path::new("file.yaml");
        let Exact(value) = documents(file, text).unwrap()[0].parse(file).unwrap();
        assert_eq!(
            value.to_string(),
            concat!(
                r#"{"a":21.50,"b":[1e+3,-0.10,{"c":123456789012345678901234567890}],"d":16,"#,
                r#""e":0.5,"f":1.5,"g":"1.50","h":2.50,"i":2.5,"j":null,"k":true,"#,
                r#""l":{"$serde_json::private::Number":"abc"},"#,
                r#""ü":{"x":9007199254740993,"y":0.1234567890123456789012}}"#
            )
        );
    }
}
