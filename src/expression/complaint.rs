//! Translates the parser's errors into messages for users.

use cel::{ParseError, ParseErrors};

use crate::diagnostic::Place;
use crate::expression::ExpressionError;

/// The first of the parser's complaints, in words.
pub(super) fn first(errors: &ParseErrors) -> ExpressionError {
    let Some(first) = errors.errors.first() else {
        return ExpressionError { place: Place::START, message: "is not an expression".to_owned() };
    };
    let counted = |value: isize| u64::try_from(value).unwrap_or(1).max(1);
    let place = Place { line: counted(first.pos.0), column: counted(first.pos.1) };
    ExpressionError { place, message: in_words(first) }
}

fn in_words(error: &ParseError) -> String {
    let message = error.msg.strip_prefix("Syntax error: ").unwrap_or(&error.msg);
    if message.contains("has() macro") {
        return "`has` takes a field, as in has(state.field)".to_owned();
    }
    match message {
        "invalid int literal" | "invalid uint literal" => {
            return "a whole number beyond 9223372036854775807 needs a `u` suffix, up \
                    to 18446744073709551615u"
                .to_owned();
        }
        "invalid double literal" => return "the number is too large for a double".to_owned(),
        _ => {}
    }
    let quoted = message.split_once('\'').and_then(|(_, rest)| {
        // What it expects instead follows in braces, or nothing does.
        let end = rest.find("' expecting").or_else(|| rest.rfind('\''))?;
        rest.get(..end).map(str::trim)
    });
    match quoted {
        Some("<EOF>") => "the expression ends too early".to_owned(),
        Some("=") => "unexpected `=`; equality is written `==`".to_owned(),
        Some("and") => "unexpected `and`; it is written `&&`".to_owned(),
        Some("or") => "unexpected `or`; it is written `||`".to_owned(),
        Some("`") => {
            "unexpected `` ` ``; a field with special characters is written state[\"a-b\"]"
                .to_owned()
        }
        Some(text) if message.starts_with("token recognition") => {
            format!("`{text}` is not part of an expression; strings are written in quotes")
        }
        Some(text) => format!("unexpected `{text}`"),
        None if message.starts_with("OtherError") => {
            "the expression is nested too deeply".to_owned()
        }
        None => crate::limits::truncated(message, 200).to_owned(),
    }
}
