//! JSONPath after RFC 9535: queries are parsed once, at load, and evaluated within bounds.
//!
//! The engine is the crate `jsonpath-rust`: it parses every query, and walks names, indexes,
//! wildcards, slices and descendants. A singular query (`$.a['b'][0]`) is compiled to steps and
//! never reaches it. The rest of this module closes the gaps between the engine and the RFC, in
//! front of it. Of the RFC's 703 compliance tests the engine alone fails nine; reading its source
//! shows more. Each gap, and where it is closed:
//!
//! - It takes ill-typed calls (`$[?length(@.a)]`, `length(@.*)`) and functions that no RFC knows
//!   (`in`, `any_of`): `compile` checks the types of RFC 9535, section 2.4.3.
//! - It takes white space within names and numbers (`$.a b`, `1 .5`): `compile` refuses it.
//! - It rounds literals of more than 15 digits to a float: `compile` refuses a literal that a
//!   float does not keep.
//! - It takes exponential time to refuse deeply nested calls: `compile` bounds their nesting
//!   before.
//! - It gives `['a','b']` grouped by selector instead of by node: `walk` takes such a segment
//!   apart, node by node, selector by selector.
//! - It builds every node's location, however long the names, and cannot be stopped: `walk` adds
//!   up the cost of each call before it is made, and refuses it over a bound.
//! - It does not know filters within filters (`$[?@[?@>1]]`), counts an empty selection as nothing
//!   instead of 0, compares numbers as floats with an epsilon (`1e-20 == 0`) and numbers within
//!   arrays as text (`[1] != [1.0]`): `filter` evaluates filters, and compares numbers by value.
//! - It compiles a regular expression for each node, even one that came in a body: `filter`
//!   compiles literal patterns at load; others are cached and bounded.
//!
//! What remains different: `match` and `search` also take what the `regex` crate knows beyond
//! I-Regexp (RFC 9485).

mod compile;
mod filter;
mod queryable;
mod steps;
mod walk;

pub use steps::{Step, path_below, path_of_names, resolve};

use std::cell::Cell;

use crate::budget::Exhausted;
use crate::codec::json::Value;

use crate::limits::{MAX_PATH_NODES, MAX_PATH_WORK};

/// A parsed query.
#[derive(Debug)]
pub struct Path {
    text: String,
    /// The steps in front; all of a singular query.
    steps: Vec<Step>,
    /// The segments after the simple steps.
    segments: Vec<walk::Segment>,
}

/// Why a string is no query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PathError {
    /// Byte offset in the query's text.
    pub offset: usize,
    /// The error and the correct form.
    pub message: String,
}

/// Why a query gives no answer for this document. All only happen with documents that are made to
/// be expensive, or queries that fit no mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// It selects more than [`MAX_PATH_NODES`] nodes, in the end or on the way.
    #[error("the query selects more than {MAX_PATH_NODES} values")]
    TooManyNodes,
    /// It takes more than what is left of [`MAX_PATH_WORK`].
    #[error("the query exceeds its work limit")]
    TooMuchWork,
    /// The record has no steps left.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
}

/// The value of `$`.
#[derive(Clone, Copy)]
pub enum Root<'w, 'a> {
    /// One value.
    Value(&'a Value),
    /// An object of parts that is never put together: gives the part that steps begin with, and how
    /// many of them name it. It has no wildcard: [`Path::names`] tells whether a query keeps to names.
    Parts(&'w Begin<'w, 'a>),
}

/// Gives the part that steps begin with, and how many of them name it.
pub type Begin<'w, 'a> = dyn Fn(&[Step]) -> Option<(&'a Value, usize)> + 'w;

impl<'a> Root<'_, 'a> {
    fn resolve(&self, steps: &[Step]) -> Option<&'a Value> {
        match self {
            Self::Value(value) => resolve(value, steps),
            Self::Parts(part) => {
                let (value, width) = part(steps)?;
                resolve(value, steps.get(width..)?)
            }
        }
    }
}

/// The work that queries may still do on one document.
#[derive(Debug)]
pub struct Work(Cell<usize>);

impl Default for Work {
    fn default() -> Self {
        Self(Cell::new(MAX_PATH_WORK))
    }
}

impl Work {
    /// The remaining budget.
    pub(super) fn left(&self) -> usize {
        self.0.get()
    }

    fn spend(&self, work: usize) -> Result<(), SelectError> {
        let left = self.0.get().checked_sub(work).ok_or(SelectError::TooMuchWork)?;
        self.0.set(left);
        Ok(())
    }
}

/// One selected value.
#[derive(Debug, Clone, PartialEq)]
pub struct Node<'a> {
    /// The value.
    pub value: &'a Value,
    /// Its normalized path (RFC 9535, section 2.7): `$['a'][0]`.
    pub location: String,
}

impl Path {
    /// Parses a query.
    ///
    /// # Errors
    ///
    /// Texts that are not well-formed and valid by RFC 9535, and those over a bound.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let (steps, segments) = compile::compile(text)?;
        Ok(Self { text: text.to_owned(), steps, segments })
    }

    /// The text it was parsed from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The steps of a singular query, which selects at most one value; `None` for any other.
    #[must_use]
    pub fn singular(&self) -> Option<&[Step]> {
        self.segments.is_empty().then_some(self.steps.as_slice())
    }

    /// The steps in front of the first segment that may select several values.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The selected values, in the order of RFC 9535.
    ///
    /// # Errors
    ///
    /// Where a bound is reached; part of a selection is never given.
    pub fn select<'a>(&self, root: &'a Value) -> Result<Vec<&'a Value>, SelectError> {
        if let Some(steps) = self.singular() {
            return Ok(resolve(root, steps).into_iter().collect());
        }
        Ok(self.nodes(root)?.into_iter().map(|node| node.value).collect())
    }

    /// The selected values with their locations, in the order of RFC 9535.
    ///
    /// # Errors
    ///
    /// As [`Path::select`].
    pub fn nodes<'a>(&self, root: &'a Value) -> Result<Vec<Node<'a>>, SelectError> {
        self.nodes_in(Root::Value(root), &Work::default())
    }

    /// As [`Path::nodes`], with a root of choice, and work that several queries share.
    ///
    /// # Errors
    ///
    /// As [`Path::select`].
    pub fn nodes_in<'a>(
        &self,
        root: Root<'_, 'a>,
        work: &Work,
    ) -> Result<Vec<Node<'a>>, SelectError> {
        let Some(value) = root.resolve(&self.steps) else { return Ok(Vec::new()) };
        let start = Node { value, location: steps::location(root, &self.steps) };
        walk::Walk::new(root, work).segments(&self.segments, start)
    }

    /// The names that follow each `$` of the query, also within filters; `None` where something
    /// else follows.
    #[must_use]
    pub fn names(&self) -> Vec<Option<&str>> {
        let mut names = vec![filter::name_of(&self.steps)];
        filter::names_within(&self.segments, &mut names);
        names
    }
}

#[cfg(test)]
mod tests;
