//! Texts of the client library, made fit to read: without secrets and without stray blanks.

use crate::limits::MIN_HIDDEN_BYTES;

/// Replacement for a hidden value.
const HIDDEN: &str = "…";

/// Values that must not appear in any message.
#[derive(Clone, Default)]
pub(in crate::input) struct Redaction(Vec<String>);

impl Redaction {
    /// Hides these values.
    pub(super) fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        Self(secrets.into_iter().filter(|secret| !secret.is_empty()).collect())
    }

    /// A string of the library on one line, without the secrets.
    ///
    /// A secret of less than [`MIN_HIDDEN_BYTES`] is only hidden where the library quotes it as a
    /// property's value: anywhere else it is more likely a part of the message.
    pub(in crate::input) fn apply(&self, text: &str) -> String {
        let hidden = self.0.iter().fold(text.to_owned(), |text, secret| hide(&text, secret));
        tidy(&hidden)
    }
}

/// A string without a value, wherever the value is a word of its own or quoted.
pub(super) fn hide(text: &str, value: &str) -> String {
    if value.is_empty() {
        return text.to_owned();
    }
    let mut text = text.replace(&format!("\"{value}\""), &format!("\"{HIDDEN}\""));
    // The library also puts the value at the end: `Invalid value for … "name": value`.
    if let Some(before) = text.trim_end().strip_suffix(value).filter(|b| b.ends_with("\": ")) {
        text = format!("{before}{HIDDEN}");
    }
    if value.len() < MIN_HIDDEN_BYTES {
        return text;
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find(value) {
        let (before, after) = (&rest[..at], &rest[at + value.len()..]);
        let is_in_word = before.chars().next_back().is_some_and(char::is_alphanumeric)
            && value.starts_with(char::is_alphanumeric)
            || after.starts_with(char::is_alphanumeric) && value.ends_with(char::is_alphanumeric);
        shown.push_str(before);
        shown.push_str(if is_in_word { value } else { HIDDEN });
        rest = after;
    }
    shown.push_str(rest);
    shown
}

/// A string on one line: single blanks, none at the ends or in front of punctuation, and one behind
/// each quoted name (the library forgets it at times).
pub(super) fn tidy(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut tidied = String::with_capacity(line.len());
    for (number, part) in line.split('`').enumerate() {
        if number > 0 {
            tidied.push('`');
        }
        let is_behind_name = number > 0 && number % 2 == 0;
        if is_behind_name && part.starts_with(char::is_alphanumeric) {
            tidied.push(' ');
        }
        tidied.push_str(part);
    }
    [" ,", " ;", " :"].iter().fold(tidied, |text, blank| {
        // `: ::1` is an address, not punctuation.
        text.replace(&format!("{blank} "), &format!("{} ", blank.trim_start()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_words_stay_whole() {
        let table = [
            ("hunter22", "login hunter22 failed: (hunter22)", "login … failed: (…)"),
            ("hunter22", "login xhunter22x failed", "login xhunter22x failed"),
            ("kafka", "kafka: host kafkahost refused", "…: host kafkahost refused"),
            ("p@ss", "at p@ss, p@ssword", "at …, p@ssword"),
            ("x", "the next index", "the next index"),
            (
                "x",
                "Invalid value \"x\" for property \"max\"",
                "Invalid value \"…\" for property \"max\"",
            ),
            ("x", "Invalid value for property \"max\": x", "Invalid value for property \"max\": …"),
            ("", "nothing is hidden", "nothing is hidden"),
        ];
        for (secret, text, expected) in table {
            assert_eq!(Redaction::new([secret.to_owned()]).apply(text), expected, "{secret}");
        }
    }

    #[test]
    fn texts_have_no_stray_blanks() {
        let table = [
            (" outside allowed range 1..2\n", "outside allowed range 1..2"),
            ("two  blanks\tand\r\nlines ", "two blanks and lines"),
            ("`a.b`must be >= `c.d`", "`a.b` must be >= `c.d`"),
            ("`a.b` must be >= `c.d`, really", "`a.b` must be >= `c.d`, really"),
            ("failed : reason", "failed: reason"),
            ("connect to ipv6 :::1 failed", "connect to ipv6 :::1 failed"),
            ("", ""),
        ];
        for (text, expected) in table {
            assert_eq!(tidy(text), expected);
        }
    }
}
