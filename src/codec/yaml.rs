//! YAML with the position of each value, so that an error has a line and column.
//!
//! A file of definitions holds one or more documents. Each document's text is a definition of its
//! own: that slice, and not what a parser made of it, is what goes into the ledger.

mod exact;
mod outline;
mod recover;
mod scalars;
mod unsound;

pub use exact::Exact;
pub use scalars::{Scalar, Style, scalars};
pub use unsound::Unsound;

use std::borrow::Cow;
use std::io::Read as _;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::diagnostic::{Diagnostic, Place};
use crate::limits::MAX_DEFINITION_BYTES;

/// A value and where it stands in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Its position in the file.
    pub place: Place,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Located<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Values that are in no file have no place; see `recover`.
        if !deserializer.is_human_readable() {
            return T::deserialize(deserializer).map(|value| Self { value, place: Place::START });
        }
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
pub fn parse<T: DeserializeOwned>(file: &Path, text: &str) -> Result<Vec<T>, Diagnostic> {
    if text.len() > MAX_DEFINITION_BYTES {
        let message =
            format!("the file has {} bytes, the limit is {MAX_DEFINITION_BYTES}", text.len());
        return Err(Diagnostic::error(file, Place::START, message));
    }
    serde_saphyr::from_multiple_with_options(text, options())
        .map_err(|error| unsound::diagnostic(file, &error))
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
    ///
    /// # Errors
    ///
    /// Every fault of form.
    pub fn parse<T: DeserializeOwned>(&self, file: &Path) -> Result<T, Unsound<T>> {
        // Empty lines in front shift every place to where it is in the file.
        let skipped = usize::try_from(self.first_line - 1).unwrap_or(0);
        let padded = "\n".repeat(skipped) + self.text;
        exact::with_source(padded, |text| {
            serde_saphyr::from_str_with_options(text, options())
                .map_err(|error| unsound::read(file, text, &error))
        })
    }
}

/// Reads a file of definitions. The only way to the disk here, for the start of the program.
///
/// # Errors
///
/// A file that cannot be read, is over [`MAX_DEFINITION_BYTES`] or not UTF-8.
pub fn read(file: &Path) -> Result<String, Diagnostic> {
    let diagnostic = |message: String| Diagnostic::error(file, Place::START, message);
    let open = std::fs::File::open(file);
    let mut bytes = Vec::new();
    let most = MAX_DEFINITION_BYTES as u64 + 1;
    open.and_then(|open| open.take(most).read_to_end(&mut bytes))
        .map_err(|error| diagnostic(format!("the file cannot be read: {error}")))?;
    if bytes.len() > MAX_DEFINITION_BYTES {
        return Err(diagnostic(format!("the file has more than {MAX_DEFINITION_BYTES} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line =
            error.as_bytes()[..error.utf8_error().valid_up_to()].split(|b| *b == b'\n').count();
        let place = Place { line: line as u64, column: 1 };
        Diagnostic::error(file, place, "the file is not UTF-8").help("save it as UTF-8")
    })
}

/// Splits a YAML file into its documents, as slices of the text. Documents without content are
/// left out. A line of three dashes ends a document even inside a block text (YAML 1.2, 9.1.2).
///
/// # Errors
///
/// A string over [`MAX_DEFINITION_BYTES`] is refused before anything looks at it.
pub fn documents<'a>(file: &Path, text: &'a str) -> Result<Vec<Document<'a>>, Diagnostic> {
    if text.len() > MAX_DEFINITION_BYTES {
        let message =
            format!("the file has {} bytes, the limit is {MAX_DEFINITION_BYTES}", text.len());
        return Err(Diagnostic::error(file, Place::START, message));
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

/// The rest of the line after a document marker; `None` for any other line.
fn marker(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("---").or_else(|| line.strip_prefix("..."))?;
    (rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n'])).then_some(rest)
}

/// Position in the file of a position inside a string value. `outer` is the position of the value
/// in the file's YAML; quotes, block indentation and folded lines lie between the two. If the line
/// cannot be found verbatim, the result is the value's own position.
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
    use crate::limits::MAX_FORM_READINGS;

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
        let diagnostics = documents[2].parse::<Form>(file).unwrap_err().diagnostics;
        assert_eq!(diagnostics[0].place.line, 7, "{diagnostics:?}");
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // a form to be read
    struct Form {
        name: Located<String>,
        colour: String,
        #[serde(default)]
        port: Option<Located<u16>>,
        #[serde(default)]
        parts: Vec<Located<PartForm>>,
        #[serde(default)]
        any: Option<Exact>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // a form to be read
    struct PartForm {
        id: Located<u32>,
        kind: Kind,
        #[serde(default)]
        table: std::collections::BTreeMap<String, bool>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    #[allow(dead_code)] // a form to be read
    enum Kind {
        Deep(Box<PartForm>),
        Plain,
    }

    fn diagnostics(text: &str) -> Vec<Diagnostic> {
        let file = Path::new("file.yaml");
        documents(file, text).unwrap()[0].parse::<Form>(file).unwrap_err().diagnostics
    }

    #[test]
    fn a_fault_of_form_says_what_helps() {
        let absent = "write `'null'` for the word; leave the key out for an absent value";
        for (text, line, message, help) in [
            ("naem: a\ncolour: b\n", 1, "unknown field `naem`", "did you mean `name`?"),
            (
                "name: a\ncolour: c\nsize: b\n",
                3,
                "unknown field `size`",
                "known are: any, colour, name, parts, port",
            ),
            ("name: a\n", 1, "missing field `colour`", ""),
            (
                "name: a\ncolour: b\nparts: [{id: 1, kind: plain, table: {a: yes}}]\n",
                3,
                "`true` or `false` is expected",
                "",
            ),
            ("name: null\ncolour: b\n", 1, "`null` where a string is expected", absent),
            ("name: a\nname: b\ncolour: b\n", 2, "duplicate mapping key: name", ""),
        ] {
            let diagnostics = diagnostics(text);
            assert_eq!(diagnostics.len(), 1, "{diagnostics:?}");
            assert_eq!(diagnostics[0].place.line, line, "{diagnostics:?}");
            assert!(diagnostics[0].message.starts_with(message), "{diagnostics:?}");
            assert_eq!(diagnostics[0].help, help);
        }
    }

    #[test]
    fn every_fault_of_form_is_reported_once() {
        let cases: &[(&str, &[(u64, u64)])] = &[
            ("name: a\ncolour: [x]\nport: abc\nsize: 1\n", &[(2, 9), (3, 7), (4, 1)]),
            ("name: {}\ncolour: ~\nport: -1\nparts: 3\n", &[(1, 7), (2, 9), (3, 7), (4, 8)]),
            ("{name: [], colour: [], port: []}", &[(1, 8), (1, 20), (1, 30)]),
            // All that is missing, but not what is misspelt.
            ("port: x\n", &[(1, 1), (1, 7), (1, 1)]),
            ("nme: a\ncolor: b\nport: x\n", &[(1, 1), (2, 1), (3, 7)]),
            // What is in a part that is at fault is not looked at; what stands beside it is.
            (
                "name: a\ncolour: b\nparts:\n- {id: x, kind: plian}\n- text\n\
                 - {id: 1, kind: plain, table: {a: 5, b: true, c: []}}\n\
                 - {kind: {deep: {id: a, kind: plain, x: 1}}, id: 2}\n",
                &[(4, 8), (4, 17), (5, 3), (6, 35), (6, 50), (7, 22), (7, 38)],
            ),
            ("name: a\nname: b\ncolour: c\nport: x\nport: y\n", &[(2, 1), (4, 7), (5, 1)]),
            ("name: a\ncolour: c\nany: .nan\n", &[(3, 6)]),
            (
                "name: a\ncolour: b\nparts: [{id: 1, kind: plain, table: {0xB: true, 11: false}}]\n",
                &[(3, 49)],
            ),
            // An alias is at fault where it is used.
            ("name: &a [x]\ncolour: *a\nport: *a\n", &[(1, 10), (2, 9), (3, 7)]),
            ("- a\n- b\n", &[(1, 1)]),
            ("text", &[(1, 1)]),
            ("name: [\ncolour: {}\nport: x\n", &[(3, 1)]),
        ];
        for (text, places) in cases {
            let diagnostics = diagnostics(text);
            let mut found: Vec<_> = diagnostics
                .iter()
                .map(|diagnostic| (diagnostic.place.line, diagnostic.place.column))
                .collect();
            found.sort_unstable();
            let mut places = places.to_vec();
            places.sort_unstable();
            assert_eq!(found, places, "{text}\n{diagnostics:#?}");
        }
    }

    #[test]
    fn a_file_with_too_many_faults_says_so() {
        let parts = "- {id: x, kind: plain}\n".repeat(2 * MAX_FORM_READINGS);
        let diagnostics = diagnostics(&format!("name: a\ncolour: b\nparts:\n{parts}"));
        assert_eq!(diagnostics.len(), MAX_FORM_READINGS + 1);
        assert_eq!(diagnostics[0].place, Place::START);
        assert!(diagnostics[0].message.contains("first 64 errors"), "{}", diagnostics[0]);
    }

    #[test]
    fn places_inside_of_values_are_found() {
        #[derive(Debug, serde::Deserialize)]
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
        let diagnostic = documents(Path::new("file.yaml"), &text).unwrap_err();
        assert!(diagnostic.message.contains("limit"), "{diagnostic}");
    }
}
