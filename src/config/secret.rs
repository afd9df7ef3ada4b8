//! Values from outside the file: `${NAME}` and `${NAME:-default}` from the environment, `file:PATH` from
//! a file.

use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use crate::codec::yaml::Located;
use crate::diagnostic::{Diagnostic, Place};
use crate::disk::read_bounded;
use crate::input::Property;

/// Longest secret that is read from a file, in bytes.
const MAX_SECRET_BYTES: usize = 64 * 1024;

/// Help for a reference that cannot be resolved.
pub(super) const HELP: &str = "set it for this program, give a default as in `${NAME:-default}`, or \
                               write `$${` for a literal `${`";

/// A variable of the environment. The only place that asks for one.
#[must_use]
#[allow(clippy::disallowed_methods)] // this is the environment's home
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Resolves the references in a value that may be a secret.
pub fn resolve_property(
    path: &Path,
    property: &mut Located<Property>,
    at: &dyn Fn(&Path) -> PathBuf,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut text = property.value.reveal().to_owned();
    resolve(path, property.place, &mut text, at)
        .unwrap_or_else(|diagnostic| diagnostics.push(diagnostic));
    property.value = Property::new(text);
}

/// Resolves the references in a string.
pub fn resolve_text(
    path: &Path,
    text: &mut Located<String>,
    at: &dyn Fn(&Path) -> PathBuf,
    diagnostics: &mut Vec<Diagnostic>,
) {
    resolve(path, text.place, &mut text.value, at)
        .unwrap_or_else(|diagnostic| diagnostics.push(diagnostic));
}

/// Resolves the references in a text at a place.
pub fn resolve(
    path: &Path,
    place: Place,
    text: &mut String,
    at: &dyn Fn(&Path) -> PathBuf,
) -> Result<(), Diagnostic> {
    let diagnostic = |message: String| Diagnostic::error(path, place, message);
    if let Some(file) = text.strip_prefix("file:") {
        let file = at(Path::new(file.trim()));
        // A device or a pipe does not say how long it is.
        let read = read_bounded(&file, MAX_SECRET_BYTES).and_then(|bytes| {
            let not_text = |error| Error::new(ErrorKind::InvalidData, error);
            String::from_utf8(bytes).map_err(not_text)
        });
        let secret = read
            .map_err(|error| diagnostic(format!("{} cannot be read: {error}", file.display())))?;
        *text = secret.trim_end_matches(['\r', '\n']).to_owned();
        return Ok(());
    }
    *text = expand(text).map_err(|message| diagnostic(message).help(HELP))?;
    Ok(())
}

/// True for a value that may be a secret, judged by the keys above it. Its references are resolved
/// after it was read, so that a password is taken as it is, whatever it looks like.
pub(super) fn may_hold(keys: &[String]) -> bool {
    keys.windows(2).any(|pair| match (pair[0].as_str(), pair[1].as_str()) {
        ("kafka", key) => matches!(key, "brokers" | "group" | "topics" | "properties"),
        ("traces", key) => matches!(key, "endpoint" | "headers"),
        _ => false,
    })
}

/// A text with its references filled in.
pub(super) fn expand(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, behind) = rest.split_at(at);
        if let Some(escaped) = before.strip_suffix('$') {
            out.push_str(escaped);
            out.push_str("${");
            rest = &behind[2..];
            continue;
        }
        out.push_str(before);
        let end = behind.find('}').ok_or("`${` has no `}`")?;
        out.push_str(&variable(&behind[2..end])?);
        rest = &behind[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// The value of `NAME` or `NAME:-default`. The default is taken for an empty variable too.
fn variable(reference: &str) -> Result<String, String> {
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    let is_letter = |c: char| c == '_' || c.is_ascii_alphanumeric();
    if name.is_empty() || !name.chars().all(is_letter) {
        return Err(format!("`${{{reference}}}` does not name a variable"));
    }
    if default.is_some_and(|default| default.contains("${")) {
        return Err(format!("the default of `{name}` cannot hold another variable"));
    }
    match (environment(name), default) {
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(format!("environment variable `{name}` is not set")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in() {
        let path = environment("PATH").unwrap();
        let cases = [
            ("plain", Ok("plain".to_owned())),
            ("a${PATH}b", Ok(format!("a{path}b"))),
            ("a$${PATH}b", Ok("a${PATH}b".to_owned())),
            ("${LEDGERLINE_NO_SUCH}", Err("`LEDGERLINE_NO_SUCH`")),
            ("${PATH", Err("no `}`")),
            ("a${PATH:-b}", Ok(format!("a{path}"))),
            ("a${LEDGERLINE_NO_SUCH:-b:-c}d", Ok("ab:-cd".to_owned())),
            ("${LEDGERLINE_NO_SUCH:-}", Ok(String::new())),
            ("${:-b}", Err("does not name a variable")),
            ("${}", Err("does not name a variable")),
            ("${a b}", Err("does not name a variable")),
            ("${A:-${B}}", Err("default of `A`")),
        ];
        for (text, expected) in cases {
            match (expand(text), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
                (Err(found), Err(part)) => assert!(found.contains(part), "{text}: {found}"),
                (found, expected) => panic!("{text}: {found:?}, expected {expected:?}"),
            }
        }
    }
}
