//! The fast path of the JSON reader.
//!
//! Returns a value only if the strict reader would return the same one; anything doubtful is left to
//! the strict reader. A property test compares the two. The library checks that a string is UTF-8 when
//! it is read, so every string is read.

use std::cell::RefCell;

use jiter::{Jiter, Peek};

use super::shape::{Shape, Shapes, Sketch, Slot};
use super::{Map, NUMBER_NAME, Number, Text, Value};
use crate::limits::{MAX_JSON_DEPTH, MAX_NUMBER_BYTES};

/// Room for the members of an object.
const USUAL_MEMBERS: usize = 8;

thread_local! {
    static SHAPES: RefCell<Shapes> = const { RefCell::new(Shapes::new()) };
}

/// A string's value, where nothing about the text is out of the ordinary.
pub(super) fn parse(bytes: &[u8]) -> Option<Value> {
    SHAPES.with_borrow_mut(|shapes| parse_with(shapes, bytes))
}

fn parse_with(shapes: &mut Shapes, bytes: &[u8]) -> Option<Value> {
    let mut reader = Reader::new(bytes, shapes);
    let value = reader.first()?;
    reader.text.finish().ok()?;
    Some(value)
}

/// The value that bytes begin with, and the bytes behind it, where nothing about the value is out of
/// the ordinary.
pub(crate) fn parse_first(bytes: &[u8]) -> Option<(Value, &[u8])> {
    SHAPES.with_borrow_mut(|shapes| {
        let mut reader = Reader::new(bytes, shapes);
        Some((reader.first()?, reader.left()))
    })
}

/// A walk along the text. Each method begins where the value begins that it is about, and ends behind
/// it.
struct Reader<'a, 's> {
    /// The start of `text`, which the offset is relative to.
    bytes: &'a [u8],
    text: Jiter<'a>,
    shapes: &'s mut Shapes,
}

/// An object of which some members are read.
struct Begun<'a> {
    members: Vec<(Text, Value)>,
    /// The input after the last of them, or at the start of the object.
    end: &'a [u8],
    /// The name of the next one, if there is one.
    name: Option<Text>,
    /// The bytes between them, if the shape is to be kept.
    sketch: Option<(Slot, Sketch)>,
}

impl<'a, 's> Reader<'a, 's> {
    fn new(bytes: &'a [u8], shapes: &'s mut Shapes) -> Self {
        Self { bytes, text: Jiter::new(bytes), shapes }
    }

    /// The bytes that are not yet read.
    fn left(&self) -> &'a [u8] {
        &self.bytes[self.text.current_index()..]
    }

    /// Goes on behind these bytes, where they stand next.
    fn pass(&mut self, expected: &[u8]) -> bool {
        let Some(behind) = self.left().strip_prefix(expected) else { return false };
        self.bytes = behind;
        self.text = Jiter::new(behind);
        true
    }

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
            _ => Value::Number(self.number(peek)?),
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
        let slot = Slot::of(self.left());
        if let Some(slot) = slot
            && let Some(shape) = self.shapes.get(slot)
        {
            return self.object_with_known_shape(slot, &shape, depth_left);
        }
        let end = self.left();
        let name = self.name(true)?;
        let sketch = slot.filter(|_| self.shapes.keeps()).map(|slot| (slot, Sketch::default()));
        self.object_generic(Begun { members: Vec::new(), end, name, sketch }, depth_left)
    }

    /// An object that probably has this shape.
    fn object_with_known_shape(
        &mut self,
        slot: Slot,
        shape: &Shape,
        depth_left: usize,
    ) -> Option<Map> {
        let mut object = shape.nulls();
        let mut number = 0;
        for (before, place) in shape.values() {
            if !self.pass(before) {
                break;
            }
            let peek = self.text.peek().ok()?;
            self.take(peek, depth_left, object.value_at(place))?;
            number += 1;
        }
        let end = self.left();
        let name = self.name(number == 0)?;
        if name.is_none() && number == object.len() {
            return Some(object);
        }
        let members = shape.first(number, object);
        let sketch = self.shapes.keeps().then(|| (slot, shape.begun(number)));
        self.object_generic(Begun { members, end, name, sketch }, depth_left)
    }

    /// An object whose further names are not known.
    fn object_generic(&mut self, begun: Begun<'a>, depth_left: usize) -> Option<Map> {
        let Begun { mut members, mut end, mut name, mut sketch } = begun;
        while let Some(next) = name {
            if next == NUMBER_NAME {
                return None;
            }
            if members.is_empty() {
                members.reserve(USUAL_MEMBERS);
            }
            members.push((next, Value::Null));
            let (_, value) = members.last_mut()?;
            let peek = self.text.peek().ok()?;
            if let Some((_, sketch)) = &mut sketch {
                sketch.add(&end[..end.len() - self.left().len()]);
            }
            self.take(peek, depth_left, value)?;
            end = self.left();
            name = self.name(false)?;
        }
        let Some((slot, sketch)) = sketch else { return Map::from_members(members).ok() };
        let names: Vec<Text> = members.iter().map(|(name, _)| name.clone()).collect();
        let object = Map::from_members(members).ok()?;
        self.shapes.keep(slot, sketch, &names, &object);
        Some(object)
    }

    /// The next name of an object, none at its end.
    fn name(&mut self, is_first: bool) -> Option<Option<Text>> {
        let name = if is_first { self.text.known_object() } else { self.text.next_key() };
        Some(name.ok()?.map(Text::new))
    }

    /// A number without an exponent, which may lead beyond the range.
    fn number(&mut self, peek: Peek) -> Option<Number> {
        let digits = self.text.known_number_bytes(peek).ok()?;
        match digits.len() <= MAX_NUMBER_BYTES {
            true => Number::from_plain_digits(digits),
            false => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::Index;

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
    fn names_that_are_known_are_held_to_the_same_rules() {
        let known = r#"{"b":1,"a":{"x":1,"w":2}, "c" : "d"}"#;
        for (text, read) in [
            (known, Some(r#"{"a":{"w":2,"x":1},"b":1,"c":"d"}"#)),
            (
                r#"{"b":[],"a":{"x":{},"w":""}, "c" : -0 }"#,
                Some(r#"{"a":{"w":"","x":{}},"b":[],"c":-0}"#),
            ),
            (r#"{"b":1}"#, Some(r#"{"b":1}"#)),
            (r#"{"b":1,"a":{"x":1,"w":2},"c":3}"#, Some(r#"{"a":{"w":2,"x":1},"b":1,"c":3}"#)),
            (r#"{"b":1,"a":{"x":1,"v":2}}"#, Some(r#"{"a":{"v":2,"x":1},"b":1}"#)),
            (r#"{"b":1,"a":2, "c" : 3,"aa":4}"#, Some(r#"{"a":2,"aa":4,"b":1,"c":3}"#)),
            (r#"{"b":1,"a":2, "c" : 3,"a":4}"#, None),
            (r#"{"b":1,"a":{"x":1,"w":2,"x":3}, "c" : 3}"#, None),
            (r#"{"b":1,"a":2,"b":3}"#, None),
            (r#"{"b":1,"a":2, "c" : }"#, None),
            (r#"{"b":1,"a":2, "c" : 3"#, None),
            (r#"{"b":1,"a":2, "c" : 3,}"#, None),
            (r#"{"b":1,"$serde_json::private::Number":"2"}"#, None),
        ] {
            let mut shapes = Shapes::new();
            assert!(parse_with(&mut shapes, known.as_bytes()).is_some());
            for _ in 0..2 {
                let found = parse_with(&mut shapes, text.as_bytes());
                assert_eq!(found.map(|value| value.to_string()).as_deref(), read, "{text}");
            }
        }
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

    fn json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            "-?(0|[1-9][0-9]{0,20})([.][0-9]{1,9})?([eE][-+]?[0-9]{1,3})?",
            "\"([ -~&&[^\"\\\\]]|\\\\u[0-9a-fA-F]{4}|\\\\[nt\"\\\\/]|ä|😀){0,9}\"",
        ];
        leaf.prop_recursive(4, 24, 5, |inner| {
            let member = ("\"[ab]{0,2}\"", inner.clone());
            prop_oneof![
                proptest::collection::vec(inner, 0..5).prop_map(|e| format!("[{}]", e.join(" ,"))),
                proptest::collection::vec(member, 0..5).prop_map(|members| {
                    let members: Vec<_> =
                        members.into_iter().map(|(name, value)| name + ": " + &value).collect();
                    format!("{{{}}}", members.join(","))
                }),
            ]
        })
    }

    /// JSON texts, some with a byte changed.
    fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
        let change = proptest::option::of((any::<Index>(), any::<u8>()));
        (json(), change).prop_map(|(text, change)| {
            let mut bytes = text.into_bytes();
            if let Some((at, byte)) = change {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        })
    }

    /// Texts that are much alike: some bytes of one are left out, or stand where others stood.
    fn alike() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let change = (any::<Index>(), 0..9_usize, any::<Index>(), 0..9_usize);
        let text = proptest::collection::vec(json(), 1..9).prop_map(|values| {
            let members = values.into_iter().zip('a'..);
            let members: Vec<_> =
                members.map(|(value, name)| format!("\"{name}\":{value}")).collect();
            format!("{{\"name\":[{{{}}}]}}", members.join(", "))
        });
        (text, proptest::collection::vec(change, 0..20)).prop_map(|(text, changes)| {
            let text = text.into_bytes();
            let changed = changes.iter().map(|(from, length, to, replaced)| {
                let (from, to) = (from.index(text.len()), to.index(text.len()));
                let piece = &text[from..(from + length).min(text.len())];
                let behind = &text[(to + replaced).min(text.len())..];
                [&text[..to], piece, behind].concat()
            });
            std::iter::once(text.clone()).chain(changed).chain([text.clone()]).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn what_it_gives_the_strict_way_gives(bytes in nearly_json()) {
            agrees(&bytes);
        }

        #[test]
        fn what_was_read_before_changes_nothing(texts in alike()) {
            let mut shapes = Shapes::new();
            for text in texts {
                let anew = parse_with(&mut Shapes::new(), &text);
                prop_assert_eq!(parse_with(&mut shapes, &text), anew, "{}", text.escape_ascii());
            }
        }

        #[test]
        fn of_any_signs_too(text in "[\\[\\]{}:,\"a1e.\\\\u0-9 -]{0,24}") {
            agrees(text.as_bytes());
        }
    }
}
