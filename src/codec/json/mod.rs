//! Strict JSON: a value is kept exactly as sent, or refused.
//!
//! `serde_json` reads the grammar of RFC 8259; this module holds it to one meaning: no name twice
//! in an object, no byte order mark, bounded depth, bounded numbers. Numbers keep the digits they
//! were sent in (`serde_json` with `arbitrary_precision`; only the exponent's spelling becomes
//! uniform: `1E5` is kept as `1e+5`). Objects are sorted by key, so that serialising a value gives
//! its canonical bytes.
//!
//! What is read well is read by `jiter`, which is faster (`quick`), and names that stand where they
//! stood before are not even read (`shape`). Where `jiter` refuses a string, or anything about it is out
//! of the ordinary, `serde_json` decides and says why.
//!
//! With `arbitrary_precision` a number that is no 64-bit integer reaches a visitor as a map whose
//! one name is private to `serde_json`. An object that bears this name is refused here: other
//! readers of the same bytes would take it for a number.

mod compact;
mod complaint;
mod digits;
mod eight;
mod interchange;
mod map;
mod quick;
mod shape;
mod value;

pub(crate) use compact::has_no_spaces;
pub use compact::is_compact;
pub use digits::Number;
pub use map::{Iter, Map};
pub(crate) use quick::parse_first;
pub(crate) use value::write_text;
pub use value::{Text, Unreadable, Value};

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};

use crate::limits::{MAX_JSON_DEPTH, MAX_NUMBER_BYTES};

/// A value written as JSON, for tests.
#[cfg(test)]
macro_rules! json {
    ($($json:tt)*) => {
        $crate::codec::json::Value::from(serde_json::json!($($json)*))
    };
}
#[cfg(test)]
pub(crate) use json;

/// The name under which `serde_json` hands over a number's digits. No object may have it.
pub const NUMBER_NAME: &str = "$serde_json::private::Number";
/// A byte order mark in UTF-8.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Why a string is not taken as JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (line {line}, column {column})")]
pub struct JsonError {
    /// The broken rule.
    pub kind: JsonErrorKind,
    /// The problem, without the position.
    pub message: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in bytes, from 1.
    pub column: usize,
    /// Byte offset of the place in the text.
    pub offset: usize,
}

/// The rules a string may break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonErrorKind {
    /// Not UTF-8.
    NotUtf8,
    /// Not the grammar of RFC 8259; also a byte order mark, `NaN`, a lone surrogate, trailing
    /// bytes, and the one name that `serde_json` keeps for itself.
    Syntax,
    /// A name stands twice in one object.
    DuplicateKey,
    /// Nested deeper than [`crate::limits::MAX_JSON_DEPTH`].
    TooDeep,
    /// A number that is longer than [`crate::limits::MAX_NUMBER_BYTES`], or whose magnitude is
    /// beyond f64's range (`1e400`, `1e-400`).
    Number,
}

/// Parses one JSON text: one value, with nothing but white space around it.
///
/// # Errors
///
/// The first rule that is broken, with its place.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    match quick::parse(bytes) {
        Some(value) => Ok(value),
        None => parse_strictly(bytes),
    }
}

/// The same by `serde_json` alone, which knows what is wrong and where.
fn parse_strictly(bytes: &[u8]) -> Result<Value, JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let offset = error.valid_up_to();
        error_at(bytes, offset, JsonErrorKind::NotUtf8, "the input is not UTF-8".to_owned())
    })?;
    if text.starts_with(BYTE_ORDER_MARK) {
        let message =
            "the input begins with a byte order mark, which JSON must not have (RFC 8259, \
                       section 8.1)"
                .to_owned();
        return Err(error_at(bytes, 0, JsonErrorKind::Syntax, message));
    }
    let broken = RefCell::new(None);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = ValueSeed { depth: 0, broken: &broken }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    value.map_err(|error| {
        let offset = offset_of(bytes, error.line(), error.column());
        let (kind, message) = broken.take().unwrap_or_else(|| {
            let message = complaint::explained(text, offset, &message_of(&error));
            (JsonErrorKind::Syntax, message)
        });
        error_at(bytes, offset, kind, message)
    })
}

/// The rule of ours that was broken. `serde_json` can only carry a string through.
type Broken = RefCell<Option<(JsonErrorKind, String)>>;

/// Builds a value that stands `depth` arrays and objects deep.
#[derive(Clone, Copy)]
struct ValueSeed<'a> {
    depth: usize,
    broken: &'a Broken,
}

impl ValueSeed<'_> {
    #[cold]
    fn refuse<E: de::Error>(self, kind: JsonErrorKind, message: String) -> E {
        self.broken.replace(Some((kind, message)));
        E::custom("")
    }

    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_JSON_DEPTH {
            let message =
                format!("arrays and objects are nested deeper than {MAX_JSON_DEPTH} levels");
            return Err(self.refuse(JsonErrorKind::TooDeep, message));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    fn reserved<E: de::Error>(self) -> E {
        self.refuse(JsonErrorKind::Syntax, format!("the name `{NUMBER_NAME}` is reserved"))
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = elements.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let Some(first) = members.next_key::<String>()? else {
            self.deeper()?;
            return Ok(Value::Object(Map::new()));
        };
        if first == NUMBER_NAME {
            let number = members.next_value_seed(NumberSeed(self)).map(Value::Number);
            let explained = self.broken.borrow().is_some();
            return number.map_err(|error| if explained { error } else { self.reserved() });
        }
        let inner = self.deeper()?;
        let mut seen = HashSet::from([first.clone()]);
        let mut object = vec![(Text::from(first), members.next_value_seed(inner)?)];
        while let Some(name) = members.next_key::<String>()? {
            if name == NUMBER_NAME {
                return Err(self.reserved());
            }
            if !seen.insert(name.clone()) {
                let message = format!("duplicate key: `{name}` occurs twice in one object");
                return Err(self.refuse(JsonErrorKind::DuplicateKey, message));
            }
            object.push((name.into(), members.next_value_seed(inner)?));
        }
        Ok(Value::Object(object.into_iter().collect()))
    }
}

/// Takes over a number's digits. `serde_json` gives them as an owned string, which no string of a
/// document is ever given as: what comes in another way is an object with the reserved name.
struct NumberSeed<'a>(ValueSeed<'a>);

impl<'de> DeserializeSeed<'de> for NumberSeed<'_> {
    type Value = Number;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Number, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NumberSeed<'_> {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON number")
    }

    fn visit_string<E: de::Error>(self, digits: String) -> Result<Number, E> {
        if digits.len() > MAX_NUMBER_BYTES {
            let message = format!(
                "a number has {} characters, the limit is {MAX_NUMBER_BYTES}",
                digits.len()
            );
            return Err(self.0.refuse(JsonErrorKind::Number, message));
        }
        if !is_in_range(&digits) {
            let message = format!("the number {digits} is beyond the range of a 64-bit float");
            return Err(self.0.refuse(JsonErrorKind::Number, message));
        }
        Ok(Number::from_digits(&digits))
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Number, E> {
        Err(self.0.reserved())
    }
}

/// True if f64 can hold the magnitude. Without an exponent, [`MAX_NUMBER_BYTES`] digits always fit.
fn is_in_range(digits: &str) -> bool {
    let Some((significand, _)) = digits.split_once('e') else { return true };
    let is_zero = !significand.bytes().any(|digit| matches!(digit, b'1'..=b'9'));
    digits.parse::<f64>().is_ok_and(|number| number.is_finite() && (number != 0.0 || is_zero))
}

/// `serde_json`'s message without the place that it ends in.
fn message_of(error: &serde_json::Error) -> String {
    let mut message = error.to_string();
    if let Some(place) = message.rfind(" at line ") {
        message.truncate(place);
    }
    message
}

/// The byte that `serde_json` means by line and column, which it counts in bytes.
fn offset_of(bytes: &[u8], line: usize, column: usize) -> usize {
    let before = bytes.split(|byte| *byte == b'\n').take(line.saturating_sub(1));
    let start: usize = before.map(|line| line.len() + 1).sum();
    (start + column.saturating_sub(1)).min(bytes.len())
}

fn error_at(bytes: &[u8], offset: usize, kind: JsonErrorKind, message: String) -> JsonError {
    let before = &bytes[..offset];
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    JsonError { kind, message, line, column: offset - line_start + 1, offset }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(text: impl AsRef<[u8]>) -> JsonErrorKind {
        let text = text.as_ref();
        match parse(text) {
            Ok(value) => panic!("{} was taken as {value}", String::from_utf8_lossy(text)),
            Err(error) => error.kind,
        }
    }

    #[test]
    fn values_come_back_in_their_canonical_bytes() {
        for (text, canonical) in [
            ("null", "null"),
            (" [ 1 , true, \"\\u00e4\\ud83d\\ude00\" ] ", "[1,true,\"ä😀\"]"),
            (r#"{"b":{},"a":[]}"#, r#"{"a":[],"b":{}}"#),
            (r#"{"":0}"#, r#"{"":0}"#),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap().to_string(), canonical);
        }
    }

    #[test]
    fn numbers_keep_their_digits() {
        for text in [
            "0",
            "-0",
            "21.50",
            "9007199254740993",
            "18446744073709551616",
            "123456789012345678901234567890",
            "0.1234567890123456789012345678901234567890",
            "1e-5",
            "0e+999999",
            "1.7976931348623157e+308",
            "5e-324",
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap().to_string(), text);
        }
        assert_eq!(parse(b"1E5").unwrap().to_string(), "1e+5");
    }

    #[test]
    fn every_rule_has_its_kind() {
        use JsonErrorKind::{DuplicateKey, NotUtf8, Number, Syntax, TooDeep};
        let long = "1".repeat(MAX_NUMBER_BYTES + 1);
        for (text, kind) in [
            ("", Syntax),
            ("\u{feff}{}", Syntax),
            ("NaN", Syntax),
            ("[Infinity]", Syntax),
            ("-Infinity", Syntax),
            ("01", Syntax),
            ("+1", Syntax),
            (".5", Syntax),
            ("1.", Syntax),
            ("0x10", Syntax),
            ("'a'", Syntax),
            ("[1,]", Syntax),
            (r#"{"a":1,}"#, Syntax),
            (r#"{"a" 1}"#, Syntax),
            ("{a:1}", Syntax),
            ("{} {}", Syntax),
            ("{}\0", Syntax),
            ("\"a\nb\"", Syntax),
            (r#""\ud800""#, Syntax),
            (r#""\udc00""#, Syntax),
            (r#""\ud800\u0041""#, Syntax),
            (r#"{"\ud800":1}"#, Syntax),
            (r#"{"a":1,"a":1}"#, DuplicateKey),
            (r#"{"a":1,"b":2,"\u0061":3}"#, DuplicateKey),
            (r#"[{"x":{"a":1,"a":{}}}]"#, DuplicateKey),
            ("1e400", Number),
            ("[-1e400]", Number),
            ("1e-400", Number),
            (long.as_str(), Number),
        ] {
            assert_eq!(refused(text), kind, "{text}");
        }
        assert_eq!(refused(b"\"\xff\""), NotUtf8);
        assert_eq!(refused(b"\xed\xa0\x80"), NotUtf8);
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert!(parse(nested(MAX_JSON_DEPTH).as_bytes()).is_ok());
        assert_eq!(refused(nested(MAX_JSON_DEPTH + 1)), TooDeep);
        assert_eq!(refused("{\"a\":".repeat(MAX_JSON_DEPTH + 1)), TooDeep);
        assert_eq!(refused("[".repeat(1_000_000)), TooDeep);
        assert_eq!(refused(nested(MAX_JSON_DEPTH).replace("[]", "[{}]")), TooDeep);
    }

    #[test]
    fn an_object_cannot_pass_for_a_number() {
        for value in
            ["\"12\"", "\"abc\"", "\"1\\u0032\"", "1", "null", "true", "[]", "{}", "-1.5e3"]
        {
            for name in [NUMBER_NAME, "\\u0024serde_json::private::Number"] {
                for text in [
                    format!("{{\"{name}\":{value}}}"),
                    format!("{{\"a\":1,\"{name}\":{value}}}"),
                    format!("[{{\"{name}\":{value},\"a\":1}}]"),
                ] {
                    assert_eq!(refused(&text), JsonErrorKind::Syntax, "{text}");
                    let error = parse(text.as_bytes()).unwrap_err();
                    assert!(error.message.contains("reserved"), "{text}: {error}");
                }
            }
        }
        let text = format!("[\"{NUMBER_NAME}\"]");
        assert_eq!(parse(text.as_bytes()).unwrap().to_string(), text);
    }

    #[test]
    fn an_error_names_its_place() {
        for (text, line, column) in [
            ("{\n  \"a\": 1,\n  \"a\": 2\n}", 3, 5),
            ("[1,\n2,\n nope]", 3, 3),
            ("\"ä\" x", 1, 6),
            ("\u{feff}1", 1, 1),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert_eq!((error.line, error.column), (line, column), "{text}: {error}");
            let before = &text.as_bytes()[..error.offset];
            assert_eq!(before.iter().filter(|byte| **byte == b'\n').count() + 1, line);
        }
        let error = parse(b"[1,\n\"\xff\"]").unwrap_err();
        assert_eq!((error.line, error.column, error.offset), (2, 2, 5));
        assert_eq!(error.to_string(), "the input is not UTF-8 (line 2, column 2)");
    }

    #[test]
    fn what_is_written_as_readable_is_read() {
        let nested = |depth| (0..depth).fold(Value::Null, |value, _| Value::Array(vec![value]));
        let named = |name: &str| Value::Object(Map::from_iter([(name, nested(1))]));
        for (value, expected) in [
            (nested(MAX_JSON_DEPTH), Ok(())),
            (nested(MAX_JSON_DEPTH + 1), Err(Unreadable::TooDeep)),
            (named("a"), Ok(())),
            (Value::Array(vec![named(NUMBER_NAME)]), Err(Unreadable::ReservedName)),
        ] {
            let mut bytes = Vec::new();
            assert_eq!(value.write_readable(&mut bytes), expected);
            if expected.is_ok() {
                assert_eq!((&bytes, parse(&bytes)), (&value.to_bytes(), Ok(value)));
            } else {
                assert!(parse(&value.to_bytes()).is_err());
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Err(error) = parse(&bytes) {
                prop_assert!(error.offset <= bytes.len());
            }
        }

        #[test]
        fn what_is_taken_is_what_serde_json_takes(text in "[\\[\\]{}:,\"a1e.\\\\u0-9 -]{0,24}") {
            if let Ok(value) = parse(text.as_bytes()) {
                let theirs = serde_json::from_str::<serde_json::Value>(&text).unwrap();
                prop_assert_eq!(value.to_string(), theirs.to_string());
            }
        }

        #[test]
        fn texts_are_written_as_serde_json_writes_them(text in "([ -~]|\\PC|[\\x00-\\x7f]){0,40}") {
            let mut bytes = Vec::new();
            write_text(&text, &mut bytes);
            prop_assert_eq!(bytes, serde_json::to_vec(&text).unwrap());
        }

        #[test]
        fn integers_keep_their_digits(number: i128) {
            let text = number.to_string();
            prop_assert_eq!(parse(text.as_bytes()).unwrap().to_string(), text);
        }
    }
}
