//! YAML with the place of each value, so that a fault names line and column.
//!
//! A file of definitions holds one or more documents. Each document's text is a definition of its
//! own: that slice, and not what a parser made of it, is what goes into the ledger.

mod exact;

pub use exact::Exact;

use std::borrow::Cow;
use std::io::Read as _;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::fault::{Fault, Place};
use crate::limits::MAX_DEFINITION_BYTES;

/// A value and where it stands in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Located<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = serde_saphyr::Spanned::<T>::deserialize(deserializer)?;
        let place = place_of(spanned.referenced);
        Ok(Self { value: spanned.value, place })
    }
}

impl<T: schemars::JsonSchema> schemars::JsonSchema for Located<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        generator.subschema_for::<T>()
    }
}

fn place_of(location: serde_saphyr::Location) -> Place {
    Place { line: location.line().max(1), column: location.column().max(1) }
}

/// The options of every reading. Booleans are `true` and `false` alone, as in YAML 1.2: `off`, `NO` and
/// `n` are texts, and so are `012` and `1_000` where any value may stand.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
    }
}

/// Reads every document of a YAML text. The first fault of form ends the reading: what follows it
/// cannot be trusted.
pub fn parse<T: DeserializeOwned>(file: &Path, text: &str) -> Result<Vec<T>, Fault> {
    if text.len() > MAX_DEFINITION_BYTES {
        let message =
            format!("the file has {} bytes, the limit is {MAX_DEFINITION_BYTES}", text.len());
        return Err(Fault::error(file, Place::START, message));
    }
    serde_saphyr::from_multiple_with_options(text, options()).map_err(|error| {
        let place = error.location().map_or(Place::START, place_of);
        explained(file, place, &error.without_snippet().to_string())
    })
}

/// One document of a YAML file: the slice between two `---` lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Document<'a> {
    /// The document's text, from the line after its `---`.
    pub text: &'a str,
    /// Line of the file on which the text starts, from 1.
    pub first_line: u64,
}

impl Document<'_> {
    /// Reads the document. Places in it, also those of faults, are places of the file.
    pub fn parse<T: DeserializeOwned>(&self, file: &Path) -> Result<T, Fault> {
        // Empty lines in front shift every place to where it is in the file.
        let skipped = usize::try_from(self.first_line - 1).unwrap_or(0);
        let padded = "\n".repeat(skipped) + self.text;
        let read = |text: &str| serde_saphyr::from_str_with_options(text, options());
        exact::with_source(padded, read).map_err(|error| {
            let start = Place { line: self.first_line, column: 1 };
            let place = error.location().map_or(start, place_of);
            explained(file, place, &error.without_snippet().to_string())
        })
    }
}

/// A fault of the library's message, without the place at its end; with the closest name that is
/// known, where a name is not.
fn explained(file: &Path, place: Place, message: &str) -> Fault {
    let end = message.find(" at line ").unwrap_or(message.len());
    // What is said of the library's own settings helps nobody.
    let message = message[..end].split(", set DuplicateKeyPolicy").next().unwrap_or_default();
    if message.starts_with("invalid u") {
        return Fault::error(file, place, "a whole number is expected, 0 or more");
    }
    if message.starts_with("invalid boolean") {
        return Fault::error(file, place, "`true` or `false` is expected");
    }
    if message.starts_with("cannot deserialize null into string") {
        return Fault::error(file, place, "`null` where a text is expected")
            .help("write `'null'` for the word; an absent value has no name of its own");
    }
    let Some((unknown, known)) = message.split_once(", expected one of ") else {
        return Fault::error(file, place, message);
    };
    let name = unknown.split('`').nth(1).unwrap_or_default();
    let known = known.split(", ").map(|name| name.trim_matches('`'));
    Fault::error(file, place, unknown).help(crate::fault::did_you_mean(name, known))
}

/// Reads a file of definitions. The only way to the disk here, for the start of the program.
///
/// # Errors
///
/// A file that cannot be read, is over [`MAX_DEFINITION_BYTES`] or not UTF-8.
pub fn read(file: &Path) -> Result<String, Fault> {
    let fault = |message: String| Fault::error(file, Place::START, message);
    let open = std::fs::File::open(file);
    let mut bytes = Vec::new();
    let most = MAX_DEFINITION_BYTES as u64 + 1;
    open.and_then(|open| open.take(most).read_to_end(&mut bytes))
        .map_err(|error| fault(format!("the file cannot be read: {error}")))?;
    if bytes.len() > MAX_DEFINITION_BYTES {
        return Err(fault(format!("the file has more than {MAX_DEFINITION_BYTES} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line =
            error.as_bytes()[..error.utf8_error().valid_up_to()].split(|b| *b == b'\n').count();
        let place = Place { line: line as u64, column: 1 };
        Fault::error(file, place, "the file is not UTF-8").help("save it as UTF-8")
    })
}

/// Splits a YAML file into its documents, as slices of the text. Documents without content are
/// left out. A line of three dashes ends a document even inside a block text (YAML 1.2, 9.1.2).
///
/// # Errors
///
/// A text over [`MAX_DEFINITION_BYTES`] is refused before anything looks at it.
pub fn documents<'a>(file: &Path, text: &'a str) -> Result<Vec<Document<'a>>, Fault> {
    if text.len() > MAX_DEFINITION_BYTES {
        let message =
            format!("the file has {} bytes, the limit is {MAX_DEFINITION_BYTES}", text.len());
        return Err(Fault::error(file, Place::START, message));
    }
    let mut documents = Vec::new();
    let (mut start, mut first_line) = (0, 1);
    let (mut offset, mut line_number) = (0, 1);
    for line in text.split_inclusive('\n') {
        if let Some(rest) = marker(line) {
            documents.push(Document { text: &text[start..offset], first_line });
            // `--- {a: 1}` holds content on the line of the marker itself.
            let inline = has_content(rest);
            start = if inline { offset } else { offset + line.len() };
            first_line = if inline { line_number } else { line_number + 1 };
        }
        offset += line.len();
        line_number += 1;
    }
    documents.push(Document { text: &text[start..], first_line });
    documents.retain(|document| document.text.lines().any(has_content));
    Ok(documents)
}

/// What follows a document marker on its line; `None` for any other line.
fn marker(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("---").or_else(|| line.strip_prefix("..."))?;
    (rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n'])).then_some(rest)
}

/// Where a place inside of a text value is in its file. `outer` is where the file's YAML has the
/// value; quotes, block indentation and folded lines lie between the two. Where the line cannot be
/// found as it is, the value's own place is the answer.
#[must_use]
pub fn place_inside(file_text: &str, outer: Place, value: &str, inner: Place) -> Place {
    let index = |number: u64| usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
    let Some(line) = value.lines().nth(index(inner.line)) else { return outer };
    let indent = line.chars().take_while(|letter| letter.is_whitespace()).count() as u64;
    let wanted = line.trim();
    let lines = file_text.lines().enumerate().skip(index(outer.line));
    for (number, text) in lines.take(value.lines().count() + 1) {
        let number = number as u64 + 1;
        let skipped = if number == outer.line { index(outer.column) } else { 0 };
        let start = text.char_indices().nth(skipped).map_or(text.len(), |(at, _)| at);
        if let Some(found) = text[start..].find(wanted).filter(|_| !wanted.is_empty()) {
            let before = text[..start + found].chars().count() as u64;
            return Place { line: number, column: (before + inner.column).saturating_sub(indent) };
        }
    }
    outer
}

fn has_content(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<(&str, u64)> {
        let documents = documents(Path::new("file.yaml"), text).unwrap();
        documents.into_iter().map(|document| (document.text, document.first_line)).collect()
    }

    #[test]
    fn documents_are_slices_with_their_line() {
        let cases: [(&str, &[(&str, u64)]); 8] = [
            ("a: 1\n", &[("a: 1\n", 1)]),
            ("---\na: 1\n", &[("a: 1\n", 2)]),
            ("a: 1\n---\nb: 2\n", &[("a: 1\n", 1), ("b: 2\n", 3)]),
            ("# head\n---\n\n---\na: 1", &[("a: 1", 5)]),
            ("a: 1\r\n--- # next\r\nb: 2", &[("a: 1\r\n", 1), ("b: 2", 3)]),
            ("a: 1\n--- {b: 2}\n", &[("a: 1\n", 1), ("--- {b: 2}\n", 2)]),
            ("a: 1\n...\n# the end\n", &[("a: 1\n", 1)]),
            ("a: ---\n----\n", &[("a: ---\n----\n", 1)]),
        ];
        for (text, expected) in cases {
            assert_eq!(split(text), expected, "{text:?}");
        }
    }

    #[test]
    fn places_are_places_of_the_file() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Form {
            name: Located<String>,
        }
        let text = "name: one\n---\n\nname: two\n---\nname: three\nother: 1\n";
        let file = Path::new("file.yaml");
        let documents = documents(file, text).unwrap();
        let second: Form = documents[1].parse(file).unwrap();
        assert_eq!(second.name.value, "two");
        assert_eq!(second.name.place, Place { line: 4, column: 7 });
        let fault = documents[2].parse::<Form>(file).unwrap_err();
        assert_eq!(fault.place.line, 7, "{fault}");
    }

    #[test]
    fn a_fault_of_form_says_what_helps() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Form {
            #[serde(rename = "name")]
            _name: String,
            #[serde(rename = "colour")]
            _colour: String,
            #[serde(rename = "bright", default)]
            _bright: bool,
        }
        for (text, line, message, help) in [
            ("naem: a\n", 1, "unknown field `naem`", "did you mean `name`?"),
            ("name: a\nsize: b\n", 2, "unknown field `size`", "known are: bright, colour, name"),
            ("name: a\ncolour: b\nbright: yes\n", 3, "`true` or `false` is expected", ""),
            ("name: a\n", 1, "missing field `colour`", ""),
            (
                "name: null\ncolour: b\n",
                1,
                "`null` where a text is expected",
                "write `'null'` for the word; an absent value has no name of its own",
            ),
            ("name: a\nname: b\n", 2, "duplicate mapping key: name", ""),
        ] {
            let file = Path::new("file.yaml");
            let fault = documents(file, text).unwrap()[0].parse::<Form>(file).unwrap_err();
            assert_eq!(fault.place.line, line, "{fault}");
            assert!(fault.message.starts_with(message), "{fault}");
            assert_eq!(fault.help, help);
        }
    }

    #[test]
    fn places_inside_of_values_are_found() {
        #[derive(serde::Deserialize)]
        struct Form {
            when: Located<String>,
        }
        let cases = [
            ("when: a + bad", (1, 5), (1, 11)),
            ("when: 'a + bad'", (1, 5), (1, 12)),
            ("when: \"a + bad\"", (1, 5), (1, 12)),
            ("x: 1\nwhen:\n  a + bad", (1, 5), (3, 7)),
            ("when: |\n  a +\n    bad\n", (2, 3), (3, 5)),
            ("when: >\n  a +\n  bad\n", (1, 5), (3, 3)),
        ];
        for (text, (line, column), expected) in cases {
            let form: Form =
                documents(Path::new("f"), text).unwrap()[0].parse(Path::new("f")).unwrap();
            let inner = Place { line, column };
            let found = place_inside(text, form.when.place, &form.when.value, inner);
            // A folded text is one line that stands nowhere: its own place is the answer.
            if text.contains('>') {
                assert_eq!(found, form.when.place, "{text:?}");
            } else {
                assert_eq!((found.line, found.column), expected, "{text:?}");
            }
        }
    }

    #[test]
    fn a_file_over_its_limit_is_refused() {
        let text = "#".repeat(MAX_DEFINITION_BYTES + 1);
        let fault = documents(Path::new("file.yaml"), &text).unwrap_err();
        assert!(fault.message.contains("limit"), "{fault}");
    }
}
