//! Differences between two JSON values, field by field.

use maud::{Markup, html};

use crate::codec::json::Value;
use crate::limits::MAX_SHOWN_CHANGES;
use crate::monitor::ui::parts::{cell, name, table, text};

/// A field that differs: its dotted name, before, after.
#[derive(Debug, Clone, PartialEq)]
pub struct Change<'a> {
    /// Dotted name; elements of arrays by their place.
    pub field: String,
    /// Before; `None` where it was not there.
    pub before: Option<&'a Value>,
    /// After; `None` where it is gone.
    pub after: Option<&'a Value>,
}

/// Every field that differs, in the order of names.
pub fn between<'a>(before: Option<&'a Value>, after: Option<&'a Value>) -> Vec<Change<'a>> {
    let mut changes = Vec::new();
    collect("", before, after, &mut changes);
    changes
}

fn collect<'a>(
    field: &str,
    before: Option<&'a Value>,
    after: Option<&'a Value>,
    changes: &mut Vec<Change<'a>>,
) {
    if before == after {
        return;
    }
    let inner = |name: &str| match field {
        "" => name.to_owned(),
        field => format!("{field}.{name}"),
    };
    let members = |value: Option<&'a Value>| value.and_then(Value::as_object);
    // What appears or goes is shown by its own fields, where it has any.
    let is_object = |value: Option<&Value>| {
        value.is_none_or(|value| value.as_object().is_some_and(|map| !map.is_empty()))
    };
    if !is_object(before) || !is_object(after) || (before.is_none() && after.is_none()) {
        let field = field.to_owned();
        return changes.push(Change { field, before, after });
    }
    let names =
        |value| members(value).into_iter().flat_map(|map| map.keys().map(|name| name.as_str()));
    let all: std::collections::BTreeSet<_> = names(before).chain(names(after)).collect();
    for name in all {
        let of = |value| members(value).and_then(|map| map.get(name));
        collect(&inner(name), of(before), of(after), changes);
    }
}

/// The changes that a transaction made as a table, at most [`MAX_SHOWN_CHANGES`].
pub fn table_of(id: &str, before: Option<&Value>, after: Option<&Value>) -> Markup {
    let caption = format!("Fields that {id} changed");
    let changes = between(before, after);
    let value_cell = |value: Option<&Value>| {
        let shown = value.map(Value::to_string);
        cell(html! {
            @match shown { Some(value) => code.value { (text(&value)) }, None => span.empty { "–" } }
        })
    };
    let row = |change: &Change<'_>| {
        vec![cell(name(&change.field)), value_cell(change.before), value_cell(change.after)]
    };
    let rows: Vec<_> = changes.iter().take(MAX_SHOWN_CHANGES).map(row).collect();
    html! {
        (table(&caption, &["Field", "Before", "After"], &rows, "No differences."))
        @if changes.len() > MAX_SHOWN_CHANGES {
            p { "and " (changes.len() - MAX_SHOWN_CHANGES) " more" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::json::json;

    #[test]
    fn what_differs_is_told_by_field() {
        let before = json!({"a": 1, "b": {"c": 2, "d": [1]}, "e": null, "g": {}});
        let after = json!({"a": 1, "b": {"c": 3, "d": [1, 2]}, "f": {"x": true}, "g": {}});
        fn told(before: Option<&Value>, after: Option<&Value>) -> Vec<String> {
            let text = |value: Option<&Value>| value.map_or("-".to_owned(), Value::to_string);
            let told = |change: Change<'_>| {
                format!("{} {} {}", change.field, text(change.before), text(change.after))
            };
            between(before, after).into_iter().map(told).collect()
        }
        assert_eq!(
            told(Some(&before), Some(&after)),
            ["b.c 2 3", "b.d [1] [1,2]", "e null -", "f.x - true"]
        );
        assert_eq!(told(None, Some(&json!({"a": 1, "b": {}}))), ["a - 1", "b - {}"]);
        assert_eq!(told(Some(&json!({"a": 1})), None), ["a 1 -"]);
        assert_eq!(told(Some(&before), Some(&before)), [""; 0]);
        assert_eq!(told(None, None), [""; 0]);
        assert_eq!(told(Some(&json!(1)), Some(&json!({"a": 1}))), [" 1 {\"a\":1}"]);
    }
}
