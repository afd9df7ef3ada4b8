//! Changes to a state: deep merge, properties by dotted path, size.

use std::cmp::Ordering;

use crate::budget::text_steps;
use crate::codec::json::{Map, Text, Value};
use crate::limits::COPY_STEPS;

/// The fields of a JSON object.
pub(super) type Fields = Map;

/// The meaning of `null` in an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nulls {
    /// It is a value like any other.
    Keep,
    /// It takes the property out (RFC 7396).
    Delete,
}

/// The old state with the update's values in place: objects merge deeply, everything else replaces,
/// also an object over a scalar and an array over an array.
pub(super) fn merged(old: &Fields, update: &Fields, nulls: Nulls) -> Fields {
    // Both are sorted by name: one walk along the two, with one comparison a step.
    let mut old = old.iter().peekable();
    let mut merged = Fields::with_capacity(old.len().max(update.len()));
    for (name, value) in update {
        let mut order = Ordering::Less;
        let mut is_before = |kept: &Text| {
            order = kept.cmp(name);
            order.is_lt()
        };
        while let Some((kept, value)) = old.next_if(|(kept, _)| is_before(kept)) {
            merged.push_last(kept.clone(), value.clone());
        }
        let replaced = if order.is_eq() { old.next().map(|(_, value)| value) } else { None };
        if let Some(value) = updated(replaced, value, nulls) {
            merged.push_last(name.clone(), value);
        }
    }
    for (kept, value) in old {
        merged.push_last(kept.clone(), value.clone());
    }
    merged
}

/// The value that an update leaves; `None` where it takes the field out.
fn updated(old: Option<&Value>, update: &Value, nulls: Nulls) -> Option<Value> {
    Some(match (old, update) {
        (_, Value::Null) if nulls == Nulls::Delete => return None,
        (Some(Value::Object(old)), Value::Object(update)) => {
            Value::Object(merged(old, update, nulls))
        }
        (_, Value::Object(update)) if nulls == Nulls::Delete => {
            Value::Object(merged(&Fields::new(), update, nulls))
        }
        (_, value) => value.clone(),
    })
}

/// The value at a path of names.
pub(super) fn at<'a>(fields: &'a Fields, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(fields.get(first)?, |value, name| value.as_object()?.get(name))
}

/// Takes the value at a path out; objects around it stay. Whether there was one.
pub(super) fn remove(fields: &mut Fields, path: &[String]) -> bool {
    match path {
        [] => false,
        [name] => fields.remove(name).is_some(),
        [name, rest @ ..] => match fields.get_mut(name) {
            Some(Value::Object(inner)) => remove(inner, rest),
            _ => false,
        },
    }
}

/// Members of the object that a path ends in.
pub(super) fn neighbours(fields: &Fields, path: &[String]) -> usize {
    match path {
        [] | [_] => fields.len(),
        [name, rest @ ..] => match fields.get(name) {
            Some(Value::Object(inner)) => neighbours(inner, rest),
            _ => 0,
        },
    }
}

/// Puts a value at a path, with objects around it where there are none.
pub(super) fn put(fields: &mut Fields, path: &[String], value: Value) {
    match path {
        [] => {}
        [name] => {
            fields.insert(name.as_str(), value);
        }
        [name, rest @ ..] => {
            let inner = fields.get_or_insert(name, || Value::Object(Fields::new()));
            if inner.as_object().is_none() {
                *inner = Value::Object(Fields::new());
            }
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

/// The size of some fields, taken in one walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    /// Bytes of JSON at most: never too low, and cheaper to find out than to write it.
    most_bytes: usize,
    /// Steps of a copy, as in [`crate::budget::copy_steps`].
    pub(super) copy_steps: u64,
}

impl Size {
    /// The size of an object with these fields.
    pub(super) fn of(fields: &Fields) -> Self {
        let empty = Self { most_bytes: 2, copy_steps: COPY_STEPS };
        fields.iter().fold(empty, |size, (name, value)| {
            let name = Self { most_bytes: text_bytes(name) + 2, copy_steps: text_steps(name) };
            size.plus(name).plus(Self::of_value(value))
        })
    }

    fn of_value(value: &Value) -> Self {
        let scalar = |most_bytes| Self { most_bytes, copy_steps: COPY_STEPS };
        match value {
            Value::Null | Value::Bool(_) => scalar(5),
            Value::Number(number) => scalar(number.as_str().len()),
            Value::String(text) => {
                Self { most_bytes: text_bytes(text), copy_steps: COPY_STEPS + text_steps(text) }
            }
            Value::Array(items) => items.iter().fold(scalar(2), |size, item| {
                let comma = Self { most_bytes: 1, copy_steps: 0 };
                size.plus(comma).plus(Self::of_value(item))
            }),
            Value::Object(fields) => Self::of(fields),
        }
    }

    /// The two together.
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            most_bytes: self.most_bytes + other.most_bytes,
            copy_steps: self.copy_steps + other.copy_steps,
        }
    }

    /// True if fields of this size together take at most so many bytes of JSON.
    pub(super) fn fits(self, parts: &[&Fields], max_bytes: usize) -> bool {
        if self.most_bytes <= max_bytes {
            return true;
        }
        let mut bytes = Vec::new();
        parts.iter().for_each(|fields| fields.write_to(&mut bytes));
        bytes.len() <= max_bytes
    }
}

/// A byte becomes six at most, as in `\u0000`.
fn text_bytes(text: &str) -> usize {
    text.len() * 6 + 2
}

#[cfg(test)]
mod tests {
    use crate::budget::copy_steps;
    use crate::codec::json::json;
    use proptest::prelude::*;

    use super::*;
    use crate::contract::checks::any_fields;

    fn fields(value: Value) -> Fields {
        value.as_object().cloned().unwrap()
    }

    fn path(text: &str) -> Vec<String> {
        text.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn merge_table() {
        let cases = [
            (json!({}), json!({"a": 1}), json!({"a": 1})),
            (json!({"a": 1}), json!({}), json!({"a": 1})),
            (json!({"a": 1, "b": 2}), json!({"b": 3}), json!({"a": 1, "b": 3})),
            (json!({"a": {"x": 1}}), json!({"a": {"y": 2}}), json!({"a": {"x": 1, "y": 2}})),
            // An array over an array did nothing once.
            (json!({"a": [1, 2]}), json!({"a": [3]}), json!({"a": [3]})),
            (json!({"a": [{"x": 1}]}), json!({"a": [{"y": 2}]}), json!({"a": [{"y": 2}]})),
            // An object over a scalar was dropped once.
            (json!({"a": 1}), json!({"a": {"x": 1}}), json!({"a": {"x": 1}})),
            (json!({"a": {"x": 1}}), json!({"a": 1}), json!({"a": 1})),
            (json!({"a": [1]}), json!({"a": {"x": 1}}), json!({"a": {"x": 1}})),
            (json!({"a": null}), json!({"a": {"x": 1}}), json!({"a": {"x": 1}})),
            (json!({"a": {"x": 1}}), json!({"a": null}), json!({"a": null})),
            (
                json!({"a": {"b": {"c": 1}}}),
                json!({"a": {"b": {"d": 2}}, "e": 1}),
                json!({"a": {"b": {"c": 1, "d": 2}}, "e": 1}),
            ),
        ];
        for (old, update, expected) in cases {
            let merged = merged(&fields(old.clone()), &fields(update.clone()), Nulls::Keep);
            assert_eq!(Value::Object(merged), expected, "{old} + {update}");
        }
    }

    #[test]
    fn declared_nulls_delete() {
        // The examples of RFC 7396, appendix A, that are objects.
        let cases = [
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
        ];
        for (old, update, expected) in cases {
            let merged = merged(&fields(old.clone()), &fields(update.clone()), Nulls::Delete);
            assert_eq!(Value::Object(merged), expected, "{old} + {update}");
        }
    }

    #[test]
    fn paths_reach_only_objects() {
        let mut state = fields(json!({"a": {"b": {"c": 1}, "d": [{"e": 1}]}, "f": 1}));
        assert_eq!(at(&state, &path("a.b.c")), Some(&json!(1)));
        for absent in ["x", "a.x", "f.x", "a.d.e", "a.d.0"] {
            assert_eq!(at(&state, &path(absent)), None, "{absent}");
            assert!(!remove(&mut state, &path(absent)), "{absent}");
        }
        assert!(remove(&mut state, &path("a.b.c")) && remove(&mut state, &path("f")));
        assert_eq!(Value::Object(state.clone()), json!({"a": {"b": {}, "d": [{"e": 1}]}}));
        put(&mut state, &path("a.b.x.y"), json!(2));
        put(&mut state, &path("a.d.z"), json!(3));
        assert_eq!(Value::Object(state), json!({"a": {"b": {"x": {"y": 2}}, "d": {"z": 3}}}));
    }

    proptest! {
        #[test]
        fn a_merge_holds_every_value_of_the_update(old in any_fields(), update in any_fields()) {
            let result = merged(&old, &update, Nulls::Keep);
            // Merging the same again changes nothing.
            prop_assert_eq!(&merged(&result, &update, Nulls::Keep), &result);
            for (name, value) in &old {
                if !update.contains_key(name) {
                    prop_assert_eq!(result.get(name), Some(value));
                }
            }
            for (name, value) in &update {
                if value.as_object().is_none() {
                    prop_assert_eq!(result.get(name), Some(value));
                }
            }
        }

        #[test]
        fn the_size_bound_is_exact(fields in any_fields(), slack in 0_usize..3) {
            let bytes = serde_json::to_vec(&fields).unwrap().len();
            let size = Size::of(&fields);
            prop_assert!(size.most_bytes >= bytes);
            prop_assert!(size.fits(&[&fields], bytes + slack));
            prop_assert!(!size.fits(&[&fields], bytes - 1 - slack.min(bytes - 1)));
            prop_assert_eq!(size.copy_steps, copy_steps(&Value::Object(fields)));
        }
    }
}
