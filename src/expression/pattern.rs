//! Regular expressions of `matches`, compiled with the expression that writes them out.

use std::any::Any;

use cel::common::types::Type;
use cel::common::value::{StaticVal, Val};
use regex::{Regex, RegexBuilder};

use crate::limits::{MAX_PATTERN_BYTES, PATTERN_STEP_BYTES};

static PATTERN: Type = Type::new_unspecified_type("pattern");

/// A compiled regular expression, as a value that only `matches` takes.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    regex: Regex,
    rate: u64,
}

impl Pattern {
    /// Compiles a pattern in the syntax of RE2.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words; also one that would take more memory than its limit.
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        Self::sized(pattern).map_err(|error| match error {
            regex::Error::CompiledTooBig(limit) => {
                format!("the pattern takes more than {limit} bytes when compiled, the limit")
            }
            error => {
                // The last line names the fault; those before it draw where.
                let text = error.to_string();
                let fault = text.lines().last().unwrap_or_default();
                let fault = fault.strip_prefix("error: ").unwrap_or(fault);
                format!("the pattern is not a regular expression: {fault}")
            }
        })
    }

    /// The least bound on its size that it keeps says how large it is.
    fn sized(pattern: &str) -> Result<Self, regex::Error> {
        let mut rate = 1;
        loop {
            let bytes = rate * PATTERN_STEP_BYTES;
            let limit = bytes.min(MAX_PATTERN_BYTES);
            match RegexBuilder::new(pattern).size_limit(limit).build() {
                Ok(regex) => return Ok(Self { regex, rate: rate as u64 }),
                Err(regex::Error::CompiledTooBig(_)) if bytes < MAX_PATTERN_BYTES => rate *= 4,
                Err(error) => return Err(error),
            }
        }
    }

    /// Steps that a match takes for each step of its text.
    pub(super) fn rate(&self) -> u64 {
        self.rate
    }

    /// Whether it is found anywhere in the text.
    pub(super) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

impl Val for Pattern {
    fn get_type(&self) -> &Type {
        &PATTERN
    }

    fn cel_type() -> &'static Type {
        &PATTERN
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Pattern {}
