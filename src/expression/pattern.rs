//! Regular expressions of `matches`, compiled with the expression that writes them out.

use std::any::Any;

use cel::common::types::Type;
use cel::common::value::{StaticVal, Val};

use crate::pattern::Matcher;

static PATTERN: Type = Type::new_unspecified_type("pattern");

/// A compiled regular expression, as a value that only `matches` takes.
#[derive(Debug, Clone)]
pub(super) struct Pattern(Matcher);

impl Pattern {
    /// Compiles a pattern in the syntax of RE2.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words; also one that would take more memory than its limit.
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        Matcher::new(pattern).map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(limit) => {
                format!("the pattern takes more than {limit} bytes when compiled, the limit")
            }
            error => {
                // The last line names the fault; those before it draw where.
                let text = error.to_string();
                let diagnostic = text.lines().last().unwrap_or_default();
                let diagnostic = diagnostic.strip_prefix("error: ").unwrap_or(diagnostic);
                format!("the pattern is not a regular expression: {diagnostic}")
            }
        })
    }

    /// The compiled pattern.
    pub(super) fn matcher(&self) -> &Matcher {
        &self.0
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
