//! Pages: bounded in items, and in bytes where an item may be large.

use std::fmt;

use serde::Serialize;

use crate::limits::{MAX_PAGE_BYTES, PAGE_STEP};
use crate::query::QueryError;
use crate::query::json;
use crate::query::views::Page;
use crate::state::history::{ChangeCursor, LetterCursor};

/// Gathers a page step by step, so that what an answer takes in memory is bounded by its own size
/// and that of a step, not by the blocks it was found in. `ask` is given where to go on and how many
/// items to find, and gives items and where to go on; it finds fewer only at the end or when it has
/// looked long enough.
pub fn gather<T: Serialize, C: ToString>(
    mut from: Option<C>,
    limit: usize,
    mut ask: impl FnMut(Option<C>, usize) -> Result<(Vec<T>, Option<C>), QueryError>,
) -> Result<Page<T>, QueryError> {
    let mut items = Vec::new();
    let mut bytes = 0;
    loop {
        let step = PAGE_STEP.min(limit - items.len());
        let (found, next) = ask(from, step)?;
        let whole = found.len() == step;
        bytes += found.iter().map(|item| json::to_text(item).len()).sum::<usize>();
        items.extend(found);
        if next.is_none() || !whole || items.len() == limit || bytes >= MAX_PAGE_BYTES {
            return Ok(Page { items, next: next.map(|next| next.to_string()) });
        }
        from = next;
    }
}

/// Cursor of a list of alerts: after this asset.
pub struct AlertCursor(pub (String, String));

impl fmt::Display for AlertCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (contract, key) = &self.0;
        write!(f, "{contract}/{key}")
    }
}

/// Cursor of a list of dead letters: before this place in this block.
pub struct LetterPlace(pub LetterCursor);

impl fmt::Display for LetterPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (block, at) = self.0;
        write!(f, "{block}/{at}")
    }
}

/// Cursor of a list of newest changes: from this place in this entry.
pub struct ChangePlace(pub ChangeCursor);

impl fmt::Display for ChangePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (entry, at) = self.0;
        write!(f, "{entry}/{at}")
    }
}

fn no_cursor(name: &str, text: &str) -> QueryError {
    let message = format!("the parameter `{name}` cannot be `{text}`: use the `next` of a page");
    QueryError::Malformed(message)
}

/// Cursor of a list of alerts: contract and key.
pub fn alert_cursor(after: &str) -> Result<(String, String), QueryError> {
    let cursor = after.split_once('/');
    let cursor = cursor.map(|(contract, key)| (contract.to_owned(), key.to_owned()));
    cursor.ok_or_else(|| no_cursor("after", after))
}

/// Cursor of a list of dead letters: block and place.
pub fn letter_cursor(before: &str) -> Result<LetterCursor, QueryError> {
    two_numbers(before).ok_or_else(|| no_cursor("before", before))
}

/// Cursor of a list of newest changes: entry and place.
pub fn change_cursor(from: &str) -> Result<ChangeCursor, QueryError> {
    two_numbers(from).ok_or_else(|| no_cursor("from", from))
}

fn two_numbers(text: &str) -> Option<(u64, usize)> {
    let (first, second) = text.split_once('/')?;
    let is_number = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    (is_number(first) && is_number(second))
        .then(|| Some((first.parse().ok()?, second.parse().ok()?)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source of texts of a length, which gives at most `patience` of them at a time.
    fn page(count: usize, length: usize, limit: usize, patience: usize) -> Page<String> {
        let ask = |from: Option<usize>, step: usize| {
            let from = from.unwrap_or(0);
            let end = count.min(from + step.min(patience));
            let items = vec!["x".repeat(length); end - from];
            Ok((items, Some(end).filter(|end| *end < count)))
        };
        gather(None, limit, ask).unwrap()
    }

    #[test]
    fn pages_end_at_items_bytes_patience_or_the_end() {
        let some = |next: &str| Some(next.to_owned());
        for (given, items, next) in [
            ((100, 1, 100, 1_000), 100, None),
            ((101, 1, 100, 1_000), 100, some("100")),
            ((5, 1, 100, 1_000), 5, None),
            ((0, 1, 100, 1_000), 0, None),
            ((100, 1, 7, 1_000), 7, some("7")),
            ((100, 1, 100, 3), 3, some("3")),
            ((100, MAX_PAGE_BYTES / PAGE_STEP, 100, 1_000), PAGE_STEP, Some(PAGE_STEP.to_string())),
        ] {
            let (count, length, limit, patience) = given;
            let page = page(count, length, limit, patience);
            assert_eq!((page.items.len(), page.next), (items, next), "{given:?}");
        }
    }
}
