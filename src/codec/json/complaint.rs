//! Messages for texts that are not JSON: in the words of RFC 8259, not of the library that refused
//! them.

/// The library's message in plain words, for a string that is refused at a byte offset.
pub(super) fn explained(text: &str, offset: usize, message: &str) -> String {
    let rest = text.get(offset..).unwrap_or_default();
    if let Some(word) = word_at(text, offset)
        && let Some(hint) = hint_of(word)
    {
        return format!("`{word}` is not JSON (RFC 8259){hint}");
    }
    if rest.starts_with('\'') {
        return "strings and names are written in double quotes".to_owned();
    }
    let expected = match message {
        "EOF while parsing an object" => "the input ends inside an object",
        "EOF while parsing a list" => "the input ends inside an array",
        "EOF while parsing a string" => "the input ends inside a string",
        "EOF while parsing a value" if text.trim_ascii().is_empty() => "there is no JSON value",
        "EOF while parsing a value" => "the input ends where a value is expected",
        "unexpected end of hex escape" => "the input ends inside an escape sequence",
        "expected `:`" => "a colon is expected here",
        "expected `,` or `]`" => "a comma or `]` is expected here",
        "expected `,` or `}`" => "a comma or `}` is expected here",
        "expected value" => "a JSON value is expected here",
        "expected ident" => "`true`, `false` or `null` is expected here",
        "key must be a string" => "a name in double quotes is expected here",
        "invalid number" => "this is not a JSON number",
        "invalid escape" => "there is no such escape sequence in JSON",
        "trailing comma" => "trailing comma after the last element",
        "trailing characters" if rest.starts_with(['{', '[', '"']) => {
            "more than one JSON document; expected one, and the second begins here"
        }
        "trailing characters" => "unexpected characters after the end of the JSON document",
        "lone leading surrogate in hex escape" => "half a surrogate pair is not a character",
        _ if message.starts_with("control character") => {
            "a control character in a string must be escaped"
        }
        other => other,
    };
    expected.to_owned()
}

/// Hint for a literal that other languages know and JSON does not.
fn hint_of(word: &str) -> Option<&'static str> {
    let word = word.trim_start_matches(['-', '+']);
    let is = |name: &&str| word.eq_ignore_ascii_case(name);
    if ["nan", "inf", "infinity"].iter().any(is) {
        return Some("; leave the value out, or send null");
    }
    match word {
        "True" | "TRUE" | "False" | "FALSE" => Some("; write `true` or `false`"),
        "None" | "undefined" | "Null" | "NULL" | "nil" => Some("; write `null`"),
        _ => None,
    }
}

/// The word with its sign that a byte offset is in.
fn word_at(text: &str, offset: usize) -> Option<&str> {
    const LONGEST: usize = 12;
    let belongs = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'+');
    let bytes = text.as_bytes();
    let (before, rest) = bytes.split_at_checked(offset)?;
    let start = before.iter().rposition(|byte| !belongs(byte)).map_or(0, |at| at + 1);
    let end = rest.iter().position(|byte| !belongs(byte)).map_or(bytes.len(), |at| offset + at);
    text.get(start..end).filter(|word| !word.is_empty() && word.len() <= LONGEST)
}

#[cfg(test)]
mod tests {
    use crate::codec::json::{JsonErrorKind, parse};

    #[test]
    fn messages_are_in_plain_words() {
        for (text, message) in [
            ("", "there is no JSON value"),
            (" \n", "there is no JSON value"),
            ("{\"a\":1", "the input ends inside an object"),
            ("[1,", "the input ends where a value is expected"),
            ("[1", "the input ends inside an array"),
            ("\"a", "the input ends inside a string"),
            ("{\"t\":NaN}", "`NaN` is not JSON (RFC 8259); leave the value out, or send null"),
            ("{\"t\":nan}", "`nan` is not JSON (RFC 8259); leave the value out, or send null"),
            (
                "[-Infinity]",
                "`-Infinity` is not JSON (RFC 8259); leave the value out, or send null",
            ),
            ("inf", "`inf` is not JSON (RFC 8259); leave the value out, or send null"),
            ("{\"t\":True}", "`True` is not JSON (RFC 8259); write `true` or `false`"),
            ("[None]", "`None` is not JSON (RFC 8259); write `null`"),
            ("[nope]", "`true`, `false` or `null` is expected here"),
            (
                "{\"a\":1}\n{\"a\":2}",
                "more than one JSON document; expected one, and the second begins here",
            ),
            ("{} x", "unexpected characters after the end of the JSON document"),
            ("{'a':1}", "strings and names are written in double quotes"),
            ("['a']", "strings and names are written in double quotes"),
            ("{a:1}", "a name in double quotes is expected here"),
            ("{\"a\" 1}", "a colon is expected here"),
            ("[1 2]", "a comma or `]` is expected here"),
            ("{\"a\":1 2}", "a comma or `}` is expected here"),
            ("[22.]", "this is not a JSON number"),
            ("[01]", "this is not a JSON number"),
            ("[.5]", "a JSON value is expected here"),
            ("[1,]", "trailing comma after the last element"),
            ("\"\\x\"", "there is no such escape sequence in JSON"),
            ("\"a\nb\"", "a control character in a string must be escaped"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert_eq!(error.kind, JsonErrorKind::Syntax, "{text}");
            assert_eq!(error.message, message, "{text}");
        }
    }
}
