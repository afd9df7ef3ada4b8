//! JSON text that is safe to print: on a terminal, and inside a page.
//!
//! Texts come from devices. JSON itself escapes only the control characters below U+0020; here the
//! others that steer a terminal or turn the reading direction, and the three that HTML knows, are
//! written as `\u…` as well. The value is the same for every JSON reader.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

/// Compact JSON.
pub fn to_text<T: Serialize>(value: &T) -> String {
    write(value, Safe(CompactFormatter))
}

/// Indented JSON for people.
pub fn to_pretty_text<T: Serialize>(value: &T) -> String {
    write(value, Safe(PrettyFormatter::new()))
}

/// Indented JSON for a page, which escapes what it must by itself: show it by [`visible`].
pub fn to_plain_pretty_text<T: Serialize>(value: &T) -> String {
    // As above.
    serde_json::to_string_pretty(value).unwrap_or_else(|_| "{}".to_owned())
}

/// A string with its characters that steer a terminal or the reading direction written out. Line ends
/// stay.
pub fn visible(text: &str) -> Cow<'_, str> {
    let is_shown = |c: char| matches!(c, '\n' | '<' | '>' | '&') || !c.is_control() && is_plain(c);
    if text.chars().all(is_shown) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_shown(c) {
            true => shown.push(c),
            false => shown.push_str(&format!("\\u{:04x}", u32::from(c))),
        }
    }
    Cow::Owned(shown)
}

fn write<T: Serialize>(value: &T, formatter: impl Formatter) -> String {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, formatter);
    // Our views have text keys and write to memory, so this cannot fail; an empty object shows it.
    match value.serialize(&mut serializer) {
        Ok(()) => String::from_utf8(bytes).unwrap_or_default(),
        Err(_) => "{}".to_owned(),
    }
}

/// True if a character is written as it is.
fn is_plain(c: char) -> bool {
    !matches!(c,
        '<' | '>' | '&'
        | '\u{7f}'..='\u{9f}' // delete and the second set of control characters
        | '\u{200b}'..='\u{200f}' // without width, reading direction
        | '\u{2028}'..='\u{202e}' // line ends for JavaScript, reading direction
        | '\u{2060}'..='\u{206f}' // without width, reading direction
        | '\u{feff}')
}

/// A formatter that escapes more than it must.
struct Safe<F>(F);

impl<F: Formatter> Formatter for Safe<F> {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(|c| !is_plain(c)) {
            let (plain, from) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut characters = from.chars();
            if let Some(c) = characters.next() {
                // All of them lie below U+10000, so four digits do.
                write!(writer, "\\u{:04x}", u32::from(c))?;
            }
            rest = characters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_steers_a_terminal_or_a_page_is_escaped() {
        let text = "a\u{1b}[31m\u{9b}2J\u{202e}</script>&\u{7f}\n";
        let expected = r#""a\u001b[31m\u009b2J\u202e\u003c/script\u003e\u0026\u007f\n""#;
        assert_eq!(to_text(&text), expected);
    }

    #[test]
    fn indented_form() {
        let value = serde_json::json!({"a": [1, 2], "b": {}});
        let expected = "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {}\n}";
        assert_eq!(to_pretty_text(&value), expected);
    }

    proptest! {
        #[test]
        fn the_value_stays_the_same(text: String, more in ".*") {
            for text in [text, more] {
                let json = to_text(&text);
                prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
                prop_assert!(!json.chars().any(|c| c.is_control() || "<>&".contains(c)));
            }
        }
    }
}
