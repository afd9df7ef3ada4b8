//! Checks that bytes are JSON as this program writes it, without building a value.

use serde::de::IgnoredAny;

/// True if bytes are one JSON value without spaces around its parts.
#[must_use]
pub fn is_compact(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    serde_json::from_str::<IgnoredAny>(text).is_ok() && has_no_spaces(bytes)
}

/// True if a JSON text has no spaces outside its strings.
pub(crate) fn has_no_spaces(bytes: &[u8]) -> bool {
    // Few texts have any, and this way many bytes are looked at in one step.
    let some = bytes.iter().fold(false, |some, byte| some | (*byte <= b' '));
    if !some {
        return true;
    }
    let (mut in_string, mut is_escaped) = (false, false);
    for byte in bytes {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => in_string = !in_string,
            0..=b' ' if !in_string => return false,
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::json::parse;
    use proptest::prelude::*;

    #[test]
    fn spaces_stand_in_strings_only() {
        for compact in
            [r#"{"a b":" \" ","c":[1,-2.5e+3,null,true]}"#, r#""\\""#, "0", r#"["\\"," "]"#]
        {
            assert!(is_compact(compact.as_bytes()), "{compact}");
        }
        for other in
            ["", " 1", "1 ", "[1, 2]", "{\"a\" :1}", r#"["\\" ]"#, "[1\n]", "{x", "1 2", "[01]"]
        {
            assert!(!is_compact(other.as_bytes()), "{other}");
        }
        assert!(!is_compact(b"\"\xff\""));
    }

    proptest! {
        #[test]
        fn what_is_written_is_compact(text in "[\\[\\]{}:, \"a\\\\0-9]{0,12}") {
            if let Ok(value) = parse(text.as_bytes()) {
                let written = value.to_string();
                prop_assert!(is_compact(written.as_bytes()), "{}", written);
            }
        }
    }
}
