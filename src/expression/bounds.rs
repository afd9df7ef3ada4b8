//! Limits on an expression's text before parsing: its length, and the nesting depth of its
//! brackets, because the parser recurses once per level.

use crate::diagnostic::Place;
use crate::expression::ExpressionError;
use crate::limits::{MAX_EXPRESSION_BYTES, MAX_EXPRESSION_DEPTH};

/// Refuses a string that is too long or nested too deeply.
pub(super) fn check(source: &str) -> Result<(), ExpressionError> {
    if source.len() > MAX_EXPRESSION_BYTES {
        let message = format!(
            "the expression has {} bytes, the limit is {MAX_EXPRESSION_BYTES}",
            source.len()
        );
        return Err(ExpressionError { place: Place::START, message });
    }
    let mut depth = 0_usize;
    let mut rest = source;
    while let Some(letter) = rest.chars().next() {
        match letter {
            '\'' | '"' => rest = after_text(rest, letter, is_raw(source, rest)),
            '/' if rest.starts_with("//") => rest = rest.find('\n').map_or("", |end| &rest[end..]),
            _ => {
                match letter {
                    '(' | '[' | '{' => depth += 1,
                    ')' | ']' | '}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                if depth > MAX_EXPRESSION_DEPTH {
                    let place = place_at(source, source.len() - rest.len());
                    return Err(too_deep(place));
                }
                rest = &rest[letter.len_utf8()..];
            }
        }
    }
    Ok(())
}

/// The error of an expression that is nested too deeply.
pub(super) fn too_deep(place: Place) -> ExpressionError {
    let message = format!(
        "the expression is nested deeper than {MAX_EXPRESSION_DEPTH} levels; a chain of operators \
         counts one for each; split it into several rules or derived fields"
    );
    ExpressionError { place, message }
}

/// Line and column of a byte offset.
pub(super) fn place_at(source: &str, offset: usize) -> Place {
    let before = source.get(..offset).unwrap_or(source);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    Place { line: line as u64, column: column as u64 }
}

/// True if the quote that `rest` starts with opens a raw text (`r'…'`), where `\` is a letter.
fn is_raw(source: &str, rest: &str) -> bool {
    let before = &source[..source.len() - rest.len()];
    before.ends_with(['r', 'R'])
}

/// The rest of the input after the string that starts here; empty if it does not end.
fn after_text(text: &str, quote: char, raw: bool) -> &str {
    let triple: String = std::iter::repeat_n(quote, 3).collect();
    let closing = if text.starts_with(&triple) { triple.as_str() } else { &text[..1] };
    let mut rest = &text[closing.len()..];
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(closing) {
            return after;
        }
        let mut letters = rest.chars();
        if letters.next() == Some('\\') && !raw {
            letters.next();
        }
        rest = letters.as_str();
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_count_outside_of_texts_and_comments() {
        let deep = MAX_EXPRESSION_DEPTH;
        let open = "(".repeat(deep + 1);
        let cases = [
            (format!("{}1{}", "(".repeat(deep), ")".repeat(deep)), true),
            (format!("{open}1"), false),
            (format!("{}1{}", "f([{".repeat(deep / 3 + 1), "}])".repeat(deep / 3 + 1)), false),
            (format!("'{open}'"), true),
            (format!("\"\\\"{open}\""), true),
            (format!("r'\\' + '{open}'"), true),
            (format!("'''it's {open}'''"), true),
            (format!("'' + '{open}'"), true),
            (format!("'a' {open}"), false),
            (format!("1 // {open}"), true),
            (format!("1 // no\n + {open}"), false),
            (format!("'never closed {open}"), true),
        ];
        for (source, fits) in cases {
            assert_eq!(check(&source).is_ok(), fits, "{source}");
        }
    }

    #[test]
    fn a_long_text_is_refused() {
        assert!(check(&" ".repeat(MAX_EXPRESSION_BYTES)).is_ok());
        assert!(check(&" ".repeat(MAX_EXPRESSION_BYTES + 1)).is_err());
    }

    #[test]
    fn places_count_characters() {
        let source = "'é' + x\n  && (";
        assert_eq!(place_at(source, source.find('x').unwrap()), Place { line: 1, column: 7 });
        assert_eq!(place_at(source, source.find('(').unwrap()), Place { line: 2, column: 6 });
    }
}
