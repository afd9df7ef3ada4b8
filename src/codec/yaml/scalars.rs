//! The scalars of a YAML text with where and how they are written.

use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle};

use crate::diagnostic::Place;

/// A value that is not a mapping or a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// The keys above it, from the outermost one. Elements of lists add none.
    pub keys: Vec<String>,
    /// Start in the file.
    pub place: Place,
    /// Its bytes in the text: with quotes, and without the header of a block text.
    pub range: Range<usize>,
    /// Its value, without quotes and escapes.
    pub value: String,
    /// Notation.
    pub style: Style,
}

/// The notation of a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Bare.
    Plain,
    /// In single or double quotes.
    Quoted,
    /// A block of lines after `|` or `>`.
    Block,
}

/// A collection that is being read.
struct Open {
    /// True in a mapping that expects a key.
    is_key_next: bool,
    is_mapping: bool,
    /// True if the collection is itself a key.
    is_key: bool,
}

/// The scalars of a text that are values, in order; those before the first error of a text that is not
/// YAML.
#[must_use]
pub fn scalars(text: &str) -> Vec<Scalar> {
    let mut walk = Walk::default();
    for event in Parser::new_from_str(text) {
        let Ok((event, span)) = event else { break };
        match event {
            Event::MappingStart(..) => walk.begin(true),
            Event::SequenceStart(..) => walk.begin(false),
            Event::MappingEnd | Event::SequenceEnd => walk.end(),
            // One that is a key has no name.
            Event::Alias(_) if !walk.is_key(String::new()) => walk.end_value(),
            Event::Scalar(value, style, ..) => {
                let value = value.into_owned();
                if walk.is_key(value.clone()) {
                    continue;
                }
                if let Some(range) = span.byte_range() {
                    let place = Place {
                        line: span.start.line() as u64,
                        column: span.start.col() as u64 + 1,
                    };
                    let style = match style {
                        ScalarStyle::Plain => Style::Plain,
                        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
                        ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                    };
                    let keys = walk.keys.clone();
                    walk.found.push(Scalar { keys, place, range, value, style });
                }
                walk.end_value();
            }
            _ => {}
        }
    }
    walk.found
}

#[derive(Default)]
struct Walk {
    open: Vec<Open>,
    keys: Vec<String>,
    found: Vec<Scalar>,
}

impl Walk {
    /// Takes a value as the key of the innermost mapping, where it expects one.
    fn is_key(&mut self, value: String) -> bool {
        let Some(open) = self.open.last_mut().filter(|open| open.is_key_next) else { return false };
        open.is_key_next = false;
        self.keys.push(value);
        true
    }

    /// Begins a collection. One that is a key has no name.
    fn begin(&mut self, is_mapping: bool) {
        let is_key = self.is_key(String::new());
        self.open.push(Open { is_key_next: is_mapping, is_mapping, is_key });
    }

    /// Ends a collection.
    fn end(&mut self) {
        if self.open.pop().is_some_and(|open| !open.is_key) {
            self.end_value();
        }
    }

    /// Ends a value: the mapping that it is in expects a key.
    fn end_value(&mut self) {
        if let Some(open) = self.open.last_mut().filter(|open| open.is_mapping) {
            open.is_key_next = true;
            self.keys.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each scalar with its keys, place and source.
    fn seen(text: &str) -> Vec<String> {
        let show = |scalar: Scalar| {
            let Scalar { keys, place, range, value, .. } = scalar;
            let (keys, source) = (keys.join("."), &text[range]);
            format!("{keys} {}:{} {source:?} {value:?}", place.line, place.column)
        };
        scalars(text).into_iter().map(show).collect()
    }

    #[test]
    fn scalars_have_keys_place_and_source() {
        for (text, expected) in [
            ("a: x y # z\n", vec![r#"a 1:4 "x y" "x y""#]),
            ("é: {b: 'c''d', e: [1, \"f\"]}", {
                vec![r#"é.b 1:8 "'c''d'" "c'd""#, r#"é.e 1:20 "1" "1""#, r#"é.e 1:23 "\"f\"" "f""#]
            }),
            ("a:\n  - b: 1\n    c:\n  - 2\nd: 3\n", {
                vec![
                    r#"a.b 2:8 "1" "1""#,
                    r#"a.c 3:6 "" "~""#,
                    r#"a 4:5 "2" "2""#,
                    r#"d 5:4 "3" "3""#,
                ]
            }),
            ("a: &x 1\nb: *x\nc: 'two\n  lines'\n", {
                vec![r#"a 1:7 "1" "1""#, r#"c 3:4 "'two\n  lines'" "two lines""#]
            }),
            ("a: |\n  text\nb: 1\n", vec![r#"a 2:3 "text\n" "text\n""#, r#"b 3:4 "1" "1""#]),
            ("a: 1\nb: [", vec![r#"a 1:4 "1" "1""#]),
            ("{[x]: y, z: 1}", vec![r#" 1:3 "x" "x""#, r#" 1:7 "y" "y""#, r#"z 1:13 "1" "1""#]),
        ] {
            assert_eq!(seen(text), expected, "{text}");
        }
    }
}
