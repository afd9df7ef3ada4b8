//! The quick way through what is read well.
//!
//! Gives a value only where the strict way would give the same one: whatever is doubtful is left to
//! it. A property holds the two against each other. That a text is UTF-8 the library checks when it is
//! asked for it, so each is asked for.

use jiter::{Jiter, Peek};

use super::{Map, NUMBER_NAME, Number, Text, Value};
use crate::limits::{MAX_JSON_DEPTH, MAX_NUMBER_BYTES};

/// Room for the members of an object.
const USUAL_MEMBERS: usize = 8;

/// A text's value, where nothing about the text is out of the ordinary.
pub(super) fn parse(bytes: &[u8]) -> Option<Value> {
    let mut reader = Reader { text: Jiter::new(bytes) };
    let value = reader.first()?;
    reader.text.finish().ok()?;
    Some(value)
}

/// The value that bytes begin with, and the bytes behind it, where nothing about the value is out of
/// the ordinary.
pub(crate) fn parse_first(bytes: &[u8]) -> Option<(Value, &[u8])> {
    let mut reader = Reader { text: Jiter::new(bytes) };
    let value = reader.first()?;
    Some((value, &bytes[reader.text.current_index()..]))
}

/// A walk along the text. Each method begins where the value begins that it is about, and ends behind
/// it.
struct Reader<'a> {
    text: Jiter<'a>,
}

impl Reader<'_> {
    fn first(&mut self) -> Option<Value> {
        let peek = self.text.peek().ok()?;
        let mut value = Value::Null;
        self.take(peek, MAX_JSON_DEPTH, &mut value)?;
        Some(value)
    }

    /// Puts a value into its place: handing it up through each level would copy it again and again.
    fn take(&mut self, peek: Peek, depth_left: usize, value: &mut Value) -> Option<()> {
        *value = match peek {
            Peek::Null => {
                self.text.known_null().ok()?;
                Value::Null
            }
            Peek::True | Peek::False => Value::Bool(self.text.known_bool(peek).ok()?),
            Peek::String => Value::String(Text::new(self.text.known_str().ok()?)),
            Peek::Array => self.array(depth_left.checked_sub(1)?)?,
            Peek::Object => Value::Object(self.object(depth_left.checked_sub(1)?)?),
            _ => Value::Number(Number::from_digits(self.digits(peek)?)),
        };
        Some(())
    }

    fn array(&mut self, depth_left: usize) -> Option<Value> {
        let mut elements = Vec::new();
        let mut next = self.text.known_array().ok()?;
        while let Some(peek) = next {
            elements.push(Value::Null);
            self.take(peek, depth_left, elements.last_mut()?)?;
            next = self.text.array_step().ok()?;
        }
        Some(Value::Array(elements))
    }

    fn object(&mut self, depth_left: usize) -> Option<Map> {
        let mut members: Vec<(Text, Value)> = Vec::new();
        let mut next = self.text.known_object().ok()?;
        while let Some(name) = next {
            if name == NUMBER_NAME {
                return None;
            }
            if members.is_empty() {
                members.reserve(USUAL_MEMBERS);
            }
            members.push((Text::new(name), Value::Null));
            let (_, value) = members.last_mut()?;
            let peek = self.text.peek().ok()?;
            self.take(peek, depth_left, value)?;
            next = self.text.next_key().ok()?;
        }
        Map::from_members(members).ok()
    }

    fn digits(&mut self, peek: Peek) -> Option<&str> {
        let digits = self.text.known_number_bytes(peek).ok()?;
        // Exponents have more than one spelling, and may lead beyond the range.
        let ordinary = digits.len() <= MAX_NUMBER_BYTES
            && !digits.iter().any(|byte| matches!(byte, b'e' | b'E'));
        std::str::from_utf8(digits).ok().filter(|_| ordinary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn agrees(text: &[u8]) {
        if let Some(value) = parse(text) {
            let strict = super::super::parse_strictly(text);
            assert_eq!(Ok(value), strict, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn it_reads_what_is_ordinary() {
        let text = br#"{"b":[1,2.50,-3.7,true,null],"a":{"\u00e4":"x\ty","":""},"c":-0}"#;
        assert!(parse(text).is_some());
        agrees(text);
    }

    #[test]
    fn a_first_value_ends_where_the_next_thing_begins() {
        for (text, value, rest) in [
            ("[1] x", "[1]", " x"),
            ("{\"a\":2}}", "{\"a\":2}", "}"),
            ("\"a\",", "\"a\"", ","),
            ("true,\"b\"", "true", ",\"b\""),
            ("12", "12", ""),
        ] {
            let found = parse_first(text.as_bytes()).map(|(value, rest)| (value.to_string(), rest));
            assert_eq!(found, Some((value.to_owned(), rest.as_bytes())), "{text}");
        }
        for text in ["", "]", "{\"a\":1,\"a\":2}", "1e5", "tru"] {
            assert_eq!(parse_first(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn the_doubtful_is_left() {
        let long = format!("[{}]", "1".repeat(MAX_NUMBER_BYTES + 1));
        let deep = "[".repeat(MAX_JSON_DEPTH + 1) + &"]".repeat(MAX_JSON_DEPTH + 1);
        let very_deep = "[".repeat(1_000_000);
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"$serde_json::private::Number":"1"}"#,
            "1e400",
            "1e-400",
            "[1] x",
            "[1]]",
            r#""\ud800""#,
            r#"{"\udc00":1}"#,
            "01",
            "1.",
            "-",
            "+1",
            "[1,]",
            "\"a\nb\"",
            "{}\0",
            "\u{feff}1",
            "nul",
            "",
            &long,
            &deep,
            &very_deep,
            r#"{"x":{"y":1,"y":2}}"#,
            r#"{"x":[{"y":1,"y":2}]}"#,
            r#"{"x":"\ud800"}"#,
            r#"{"x":01}"#,
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{}", &text[..text.len().min(40)]);
        }
        for text in [
            &b"{\"x\":\"\xff\"}"[..],
            b"{\"\xff\":1}",
            b"{\"\\n\xff\":1}",
            b"\"\\n\xc3\"",
            b"\"\xc3\\u00a4\"",
            b"[1,\xff]",
        ] {
            assert_eq!(parse(text), None, "{}", text.escape_ascii());
        }
    }

    /// JSON texts, some with a byte changed.
    fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            "-?(0|[1-9][0-9]{0,20})([.][0-9]{1,9})?([eE][-+]?[0-9]{1,3})?",
            "\"([ -~&&[^\"\\\\]]|\\\\u[0-9a-fA-F]{4}|\\\\[nt\"\\\\/]|ä|😀){0,9}\"",
        ];
        let text = leaf.prop_recursive(4, 24, 5, |inner| {
            let member = ("\"[ab]{0,2}\"", inner.clone());
            prop_oneof![
                proptest::collection::vec(inner, 0..5).prop_map(|e| format!("[{}]", e.join(" ,"))),
                proptest::collection::vec(member, 0..5).prop_map(|members| {
                    let members: Vec<_> =
                        members.into_iter().map(|(name, value)| name + ": " + &value).collect();
                    format!("{{{}}}", members.join(","))
                }),
            ]
        });
        let change = proptest::option::of((any::<proptest::sample::Index>(), any::<u8>()));
        (text, change).prop_map(|(text, change)| {
            let mut bytes = text.into_bytes();
            if let Some((at, byte)) = change {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn what_it_gives_the_strict_way_gives(bytes in nearly_json()) {
            agrees(&bytes);
        }

        #[test]
        fn of_any_signs_too(text in "[\\[\\]{}:,\"a1e.\\\\u0-9 -]{0,24}") {
            agrees(text.as_bytes());
        }
    }
}
