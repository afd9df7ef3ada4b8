//! Environment variables in the values of the configuration file: `${NAME}` and `${NAME:-default}`.
//!
//! They are filled in before the text is read as YAML, so that numbers and switches can come from
//! outside too. A filled-in text can never become structure: it stays one scalar. What a variable holds
//! never shows in a diagnostic, and places are those of the file as it is written.

use std::path::Path;

use crate::codec::yaml::{self, Scalar, Style};
use crate::config::secret::{self, expand};
use crate::diagnostic::{Diagnostic, Place};
use crate::limits::MIN_HIDDEN_BYTES;

/// Help for a variable whose braces YAML reads as a mapping.
const QUOTES: &str = "inside `{ }` and `[ ]`, put quotes around `${NAME}`";

/// A configuration's text with its variables filled in.
pub(super) struct Filled<'a> {
    /// The text to read.
    pub(super) text: String,
    /// The text of the file.
    written: &'a str,
    /// In the order of places.
    replaced: Vec<Replaced>,
    /// Variables that are not set.
    faults: Vec<Diagnostic>,
}

/// A scalar that was written with a variable.
struct Replaced {
    /// Place in the file.
    place: Place,
    /// Its characters in the file and in the filled-in text.
    columns: [u64; 2],
    /// Value as written, with its references.
    source: String,
    /// Value with the variables filled in.
    value: String,
    /// It could not be filled in.
    is_faulty: bool,
}

/// Fills the variables of a file in. Values that may be a secret keep their references, which
/// [`secret`] resolves once they are read.
pub(super) fn fill<'a>(path: &Path, text: &'a str) -> Filled<'a> {
    let (replaced, faults) = (Vec::new(), Vec::new());
    let mut filled = Filled { text: String::new(), written: text, replaced, faults };
    let mut end = 0;
    let has_reference = |scalar: &Scalar| scalar.value.contains("${");
    let scalars = if text.contains("${") { yaml::scalars(text) } else { Vec::new() };
    for scalar in scalars.into_iter().filter(has_reference) {
        if secret::may_hold(&scalar.keys) {
            continue;
        }
        let source = &text[scalar.range.clone()];
        let (value, written) = match replacement(&scalar, source) {
            Ok(replacement) => replacement,
            Err(message) => {
                let fault = Diagnostic::error(path, scalar.place, message).help(secret::HELP);
                filled.faults.push(fault);
                (scalar.value.clone(), source.to_owned())
            }
        };
        filled.text.push_str(&text[end..scalar.range.start]);
        filled.text.push_str(&written);
        end = scalar.range.end;
        let is_faulty = filled.faults.last().is_some_and(|fault| fault.place == scalar.place);
        let width = |text: &str| text.lines().next().map_or(0, |line| line.chars().count() as u64);
        filled.replaced.push(Replaced {
            place: scalar.place,
            columns: [width(source), width(&written)],
            source: scalar.value,
            value,
            is_faulty,
        });
    }
    filled.text.push_str(&text[end..]);
    filled
}

/// The value that a scalar becomes, and how that is written.
fn replacement(scalar: &Scalar, source: &str) -> Result<(String, String), String> {
    let value = expand(&scalar.value)?;
    if scalar.style != Style::Block {
        let written = written(&value, scalar.style, source);
        return Ok((value, written));
    }
    // A block text has no escapes, so its lines take what fits on a line.
    let written = expand(source)?;
    match written.lines().count() == source.lines().count() {
        true => Ok((value, written)),
        false => Err("a block text cannot take a variable of several lines".to_owned()),
    }
}

/// A value as a scalar of YAML that nothing can be mistaken for structure in, on as many lines as its
/// source. Numbers, switches and words stay bare, so that each is read as what its key expects.
fn written(value: &str, style: Style, source: &str) -> String {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "_./+-".contains(c);
    let begins_well = |c: char| c.is_ascii_alphanumeric() || "_./+".contains(c);
    let is_negative = value.strip_prefix('-').is_some_and(|rest| rest.starts_with(begins_well));
    let is_bare = value.chars().all(is_safe) && (value.starts_with(begins_well) || is_negative);
    let is_plain = style == Style::Plain;
    let is_null = matches!(value, "null" | "Null" | "NULL");
    let written = match (value.is_empty(), is_plain) {
        // As nothing at all would be.
        (true, true) => "~".to_owned(),
        _ if is_bare && (is_plain || !is_null) => value.to_owned(),
        _ => serde_json::Value::from(value).to_string(),
    };
    written + &"\n".repeat(source.matches('\n').count())
}

impl Filled<'_> {
    /// A place of the filled-in text in the file.
    pub(super) fn place(&self, place: Place) -> Place {
        let mut column = place.column;
        let mut shift = 0;
        for replaced in self.replaced.iter().filter(|replaced| replaced.place.line == place.line) {
            let [source, written] = replaced.columns;
            // Where the scalar begins in the filled-in text.
            let start = replaced.place.column.wrapping_add_signed(shift);
            if place.column <= start {
                break;
            }
            shift += written.cast_signed() - source.cast_signed();
            column = match place.column < start + written {
                true => replaced.place.column,
                false => place.column.wrapping_add_signed(-shift),
            };
        }
        if column == place.column && shift == 0 {
            return place;
        }
        Place { line: place.line, column }
    }

    /// True if a line has an unquoted variable inside a flow collection.
    fn lacks_quotes(&self, line: u64) -> bool {
        let index = usize::try_from(line - 1).unwrap_or(usize::MAX);
        let line = self.written.lines().nth(index).unwrap_or_default();
        let is_bare = |(at, _): (usize, &str)| {
            let before = line[..at].trim_end();
            before.contains(['{', '[']) && before.ends_with([':', ',', '['])
        };
        line.match_indices("${").any(is_bare)
    }

    /// Diagnostics of the filled-in text as those of the file: with its places, without what a variable
    /// holds, and with the variables that are not set instead of what came of those.
    pub(super) fn settle(self, path: &Path, found: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let mut settled = Vec::new();
        for mut diagnostic in found {
            if diagnostic.file != path {
                settled.push(diagnostic);
                continue;
            }
            diagnostic.place = self.place(diagnostic.place);
            let here = |replaced: &&Replaced| replaced.place == diagnostic.place;
            let replaced = self.replaced.iter().find(here);
            if replaced.is_some_and(|replaced| replaced.is_faulty) {
                continue;
            }
            if let Some(replaced) = replaced {
                diagnostic.message = replaced.hide(&diagnostic.message);
                diagnostic.help = replaced.hide(&diagnostic.help);
            } else if diagnostic.help.is_empty() && self.lacks_quotes(diagnostic.place.line) {
                QUOTES.clone_into(&mut diagnostic.help);
            }
            settled.push(diagnostic);
        }
        settled.extend(self.faults);
        settled
    }
}

impl Replaced {
    /// A message with the reference in place of what it stands for. A short value is only looked for in
    /// quotes: anywhere else it is more likely a part of the message.
    fn hide(&self, message: &str) -> String {
        let Self { source, value, .. } = self;
        if value.is_empty() {
            return message.to_owned();
        }
        // The reference may hold the value, as its default: it is put in once everything is found.
        const FOUND: &str = "\0";
        let mut message = message.replace(&format!("`{value}`"), &format!("`{FOUND}`"));
        if value.len() >= MIN_HIDDEN_BYTES {
            message = message.replace(value.as_str(), FOUND);
            // As messages quote what may have line breaks.
            message = message.replace(&value.escape_debug().to_string(), FOUND);
        }
        message.replace(FOUND, source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_one_scalar() {
        for (value, expected) in [
            ("8780", "8780"),
            ("-1.5e3", "-1.5e3"),
            ("true", "true"),
            ("/var/lib/x", "/var/lib/x"),
            ("127.0.0.1:8780", "\"127.0.0.1:8780\""),
            ("- a", "\"- a\""),
            ("a: b", "\"a: b\""),
            ("x # y", "\"x # y\""),
            ("*a", "\"*a\""),
            ("--- a", "\"--- a\""),
            ("-", "\"-\""),
            ("a\nb: \"c\"\\", "\"a\\nb: \\\"c\\\"\\\\\""),
            ("}", "\"}\""),
        ] {
            assert_eq!(written(value, Style::Plain, "${A}"), expected);
            assert_eq!(written(value, Style::Quoted, "'${A}'"), expected);
        }
        assert_eq!(written("", Style::Plain, "${A}"), "~");
        assert_eq!(written("", Style::Quoted, "'${A}'"), "\"\"");
        assert_eq!(written("null", Style::Plain, "${A}"), "null");
        assert_eq!(written("null", Style::Quoted, "'${A}'"), "\"null\"");
    }

    #[test]
    fn places_are_those_of_the_file() {
        let text =
            "a: { b: '${LEDGERLINE_UNSET:-1}', c: '${LEDGERLINE_UNSET:-long text}', d: e }\nf: g\n";
        let filled = fill(Path::new("f"), text);
        assert_eq!(filled.text, "a: { b: 1, c: \"long text\", d: e }\nf: g\n");
        let column = |text: &str, part| text.find(part).unwrap() as u64 + 1;
        for part in ["b:", "c:", "d:", "e }", "a:"] {
            let found = filled.place(Place { line: 1, column: column(&filled.text, part) });
            assert_eq!(found, Place { line: 1, column: column(text, part) }, "{part}");
        }
        let inside = filled.place(Place { line: 1, column: column(&filled.text, "text") });
        assert_eq!(inside.column, column(text, "'${LEDGERLINE_UNSET:-long"));
        assert_eq!(filled.place(Place { line: 2, column: 4 }), Place { line: 2, column: 4 });
    }

    #[test]
    fn two_dollars_are_one_and_comments_stay() {
        let text = "a: x$${Y}z # ${Y}\nkafka: { group: '${LEDGERLINE_UNSET}' }\n";
        let filled = fill(Path::new("f"), text);
        let expected = "a: \"x${Y}z\" # ${Y}\nkafka: { group: '${LEDGERLINE_UNSET}' }\n";
        assert_eq!(filled.text, expected);
        assert!(filled.faults.is_empty());
    }

    #[test]
    fn lines_stay_where_they_are() {
        let text = "a: '${LEDGERLINE_UNSET:-x}\n  y'\nb: |\n  ${LEDGERLINE_UNSET:-z}\nc: 1\n";
        let filled = fill(Path::new("f"), text);
        assert_eq!(filled.text, "a: \"x y\"\n\nb: |\n  z\nc: 1\n");
    }
}
