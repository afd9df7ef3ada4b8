//! Regular expressions, and the step cost of a match.
//!
//! The engine follows all positions of a pattern that a string can have reached at once, so that the
//! worst time of a match is the product of their number and the length of the text. Most patterns
//! are far from it, but whether one is depends on the text. So that product is what a match costs,
//! for `matches` of CEL, `match` and `search` of JSONPath and the patterns of schemas alike.

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Class, Hir, HirKind, LookSet};

use crate::limits::{
    MAX_PATTERN_BYTES, PATTERN_POSITION_BYTES, PATTERN_STEP_POSITIONS, TEXT_STEP_BYTES,
};

/// Positions that each class counts for, besides those for its ranges.
const RANGES_PER_POSITION: usize = 4;
/// Ranges of a class that are looked at for one byte, at most: those of the first bytes of letters.
const MOST_RANGES: usize = 64;
/// Positions that a Unicode word boundary counts for: it decodes the letters on both sides.
const WORD_BOUNDARY: u64 = 8;

/// A compiled regular expression.
#[derive(Debug, Clone)]
pub struct Matcher {
    regex: Regex,
    rate: u64,
}

impl Matcher {
    /// Compiles a pattern in the syntax of the crate `regex`.
    ///
    /// # Errors
    ///
    /// Patterns that are not well-formed, and those that take more than [`MAX_PATTERN_BYTES`].
    pub fn new(pattern: &str) -> Result<Self, regex::Error> {
        let regex = RegexBuilder::new(pattern).size_limit(MAX_PATTERN_BYTES).build()?;
        // What compiles also parses.
        let rate = rate(positions(pattern).unwrap_or_else(|| positions_within(MAX_PATTERN_BYTES)));
        Ok(Self { regex, rate })
    }

    /// Steps of a match with a string of so many bytes.
    #[must_use]
    pub fn steps(&self, text: &str) -> u64 {
        match_steps(text, self.rate)
    }

    /// True if it is found anywhere in the text. Paid for by [`Matcher::steps`].
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

/// Steps of a match with a string, at a [`rate`]. A large pattern takes its time over a short text, too.
#[must_use]
pub fn match_steps(text: &str, rate: u64) -> u64 {
    (1 + (text.len() / TEXT_STEP_BYTES) as u64).saturating_mul(rate)
}

/// Steps for each [`TEXT_STEP_BYTES`] of a string that is matched with so many positions.
#[must_use]
pub fn rate(positions: u64) -> u64 {
    positions.div_ceil(PATTERN_STEP_POSITIONS).max(1)
}

/// The positions of a pattern: its letters, classes and operators, each as often as a repetition
/// may repeat it. `None` where it is not well-formed.
#[must_use]
pub fn positions(pattern: &str) -> Option<u64> {
    regex_syntax::parse(pattern).ok().map(|parsed| weight(&parsed))
}

/// The most positions of any pattern that takes so much memory when compiled.
#[must_use]
pub fn positions_within(bytes: usize) -> u64 {
    (bytes / PATTERN_POSITION_BYTES) as u64
}

/// The parser bounds how deep a pattern is nested.
fn weight(part: &Hir) -> u64 {
    let ranges = |ranges: usize| 1 + (ranges.min(MOST_RANGES) / RANGES_PER_POSITION) as u64;
    match part.kind() {
        HirKind::Empty => 1,
        HirKind::Literal(literal) => literal.0.len() as u64,
        HirKind::Class(Class::Unicode(class)) => ranges(class.ranges().len()),
        HirKind::Class(Class::Bytes(class)) => ranges(class.ranges().len()),
        HirKind::Look(look) if LookSet::singleton(*look).contains_word_unicode() => WORD_BOUNDARY,
        HirKind::Look(_) => 2,
        HirKind::Repetition(repetition) => {
            let each = weight(&repetition.sub);
            let fewest = u64::from(repetition.min.max(1)).saturating_mul(each).saturating_add(2);
            let most =
                repetition.max.map(|most| u64::from(most).saturating_mul(each.saturating_add(1)));
            most.unwrap_or_default().max(fewest)
        }
        HirKind::Capture(capture) => weight(&capture.sub).saturating_add(2),
        HirKind::Concat(parts) => parts.iter().map(weight).fold(0, u64::saturating_add),
        HirKind::Alternation(parts) => {
            parts.iter().map(|part| weight(part).saturating_add(1)).fold(0, u64::saturating_add)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_costs_the_positions_of_its_pattern_times_the_text() {
        let text = "x".repeat(80_000);
        for (pattern, positions, steps) in [
            ("x", 1, 10_001),
            ("warning", 7, 40_004),
            ("^[A-Z]{2}[0-9]{4}$", 16, 80_008),
            ("^[a-z0-9-]{1,64}$", 132, 660_066),
            ("[xz]*x[xz]{100}y", 205, 1_030_103),
            ("(?:x{1,50}){1,50}y", 5_051, 25_262_526),
        ] {
            let matcher = Matcher::new(pattern).unwrap();
            assert_eq!(super::positions(pattern), Some(positions), "{pattern}");
            assert_eq!(matcher.steps(&text), steps, "{pattern}");
        }
        assert_eq!(positions("("), None);
    }

    #[test]
    fn repetitions_never_wrap() {
        let pattern = (0..20).fold("x".to_owned(), |inner, _| format!("(?:{inner}){{1000}}"));
        assert_eq!(positions(&pattern), Some(u64::MAX));
        assert!(matches!(Matcher::new(&pattern), Err(regex::Error::CompiledTooBig(_))));
    }
}
