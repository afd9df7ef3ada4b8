//! The quick way through what is read well.
//!
//! Gives a value only where the strict way would give the same one: whatever is doubtful is left to
//! it. A property holds the two against each other.

use sonic_rs::{JsonContainerTrait as _, JsonType, JsonValueTrait as _};

use super::{BYTE_ORDER_MARK, Map, NUMBER_NAME, Number, Text, Value};
use crate::limits::{MAX_JSON_DEPTH, MAX_NUMBER_BYTES};

/// Opening brackets that a text may have here: the library descends into each without a bound of
/// its own.
const MAX_BRACKETS: usize = 256;

/// The value of a text, where nothing about it is out of the ordinary.
pub(super) fn parse(bytes: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(bytes).ok()?;
    if opening_brackets(bytes) > MAX_BRACKETS || text.starts_with(BYTE_ORDER_MARK) {
        return None;
    }
    let mut deserializer = sonic_rs::Deserializer::from_str(text).use_rawnumber();
    let read: sonic_rs::Value = deserializer.deserialize().ok()?;
    deserializer.end().ok()?;
    let mut value = Value::Null;
    convert(&read, MAX_JSON_DEPTH, &mut value)?;
    Some(value)
}

/// All of them, in sums that fit a byte: such a count is done many bytes at a time.
fn opening_brackets(bytes: &[u8]) -> usize {
    // The two differ in one bit only.
    let is_one = |byte: &u8| u8::from(byte | 0x20 == b'{');
    bytes.chunks(255).map(|some| usize::from(some.iter().map(is_one).sum::<u8>())).sum()
}

/// Puts a value into its place: handing it up through each level would copy it again and again.
fn convert(read: &sonic_rs::Value, depth_left: usize, value: &mut Value) -> Option<()> {
    *value = match read.get_type() {
        JsonType::Null => Value::Null,
        JsonType::Boolean => Value::Bool(read.as_bool()?),
        JsonType::Number => Value::Number(number(read.as_raw_number()?.as_str())?),
        JsonType::String => Value::String(Text::new(read.as_str()?)),
        JsonType::Array => {
            let depth_left = depth_left.checked_sub(1)?;
            let array = read.as_array()?;
            let mut elements = vec![Value::Null; array.len()];
            for (read, element) in array.iter().zip(&mut elements) {
                convert(read, depth_left, element)?;
            }
            Value::Array(elements)
        }
        JsonType::Object => {
            let depth_left = depth_left.checked_sub(1)?;
            let object = read.as_object()?;
            let mut members = Vec::with_capacity(object.len());
            for (name, read) in object {
                if name == NUMBER_NAME {
                    return None;
                }
                members.push((Text::new(name), Value::Null));
                let (_, value) = members.last_mut()?;
                convert(read, depth_left, value)?;
            }
            Value::Object(Map::from_members(members).ok()?)
        }
    };
    Some(())
}

fn number(digits: &str) -> Option<Number> {
    // Exponents have more than one spelling, and may lead beyond the range.
    let ordinary = digits.len() <= MAX_NUMBER_BYTES
        && digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.'));
    ordinary.then(|| Number::from_digits(digits))
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
    fn brackets_are_counted() {
        let all: Vec<u8> = (0..=u8::MAX).collect();
        assert_eq!(opening_brackets(&all), 2);
        for count in [0, 1, 254, 255, 256, 511, 10_000] {
            assert_eq!(opening_brackets(&vec![b'['; count]), count);
            assert_eq!(opening_brackets(&vec![b']'; count]), 0);
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
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{}", &text[..text.len().min(40)]);
        }
        assert_eq!(parse(b"\"\xff\""), None);
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
