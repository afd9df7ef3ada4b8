//! Limits the cost of a state schema before it is compiled: the number of its subschemas that apply
//! to the same value.
//!
//! A `$ref` may stand in each branch of an `allOf`, and what it refers to may branch again: the
//! number doubles with each level, and a circle has no end. Both are refused here, with the `$ref`
//! to blame. What goes down into the value (`properties`, `items`) may be recursive: there the value
//! ends the recursion, and its looks are counted.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::contract::schema::SchemaFault;
use crate::limits::{MAX_JSON_DEPTH, MAX_SCHEMA_BRANCHES, MAX_SCHEMA_NESTING};

/// Keywords whose subschema, or subschemas, apply to the same value.
const IN_PLACE: &[&str] =
    &["allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies"];
/// Keywords whose subschema, or subschemas, apply to what is in the value.
const BELOW: &[&str] = &[
    "properties",
    "patternProperties",
    "additionalProperties",
    "unevaluatedProperties",
    "propertyNames",
    "items",
    "prefixItems",
    "additionalItems",
    "unevaluatedItems",
    "contains",
];
/// Keywords of [`IN_PLACE`] and [`BELOW`] that hold subschemas by name.
const BY_NAME: &[&str] = &["dependentSchemas", "dependencies", "properties", "patternProperties"];
const REFERENCES: &[&str] = &["$ref", "$dynamicRef", "$recursiveRef"];
/// Keywords that look at all that applies in place once more, to see what it covers.
const TWICE: &[&str] = &["unevaluatedProperties", "unevaluatedItems"];

/// A subschema and its JSON Pointer.
#[derive(Clone)]
struct Place<'a> {
    schema: &'a Value,
    pointer: String,
}

impl<'a> Place<'a> {
    fn below(&self, name: &str, schema: &'a Value) -> Self {
        Self { schema, pointer: format!("{}/{name}", self.pointer) }
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self.schema).addr()
    }

    fn diagnostic(&self, message: String) -> SchemaFault {
        SchemaFault { pointer: self.pointer.clone(), message }
    }

    /// The subschemas of a keyword.
    fn subschemas(&self, keyword: &str) -> Vec<Self> {
        let Some(value) = self.schema.get(keyword) else { return Vec::new() };
        let place = self.below(keyword, value);
        match value {
            Value::Array(items) => {
                let items = items.iter().enumerate();
                items.map(|(index, item)| place.below(&index.to_string(), item)).collect()
            }
            Value::Object(named) if BY_NAME.contains(&keyword) => {
                named.iter().map(|(name, schema)| place.below(name, schema)).collect()
            }
            _ => vec![place],
        }
    }
}

/// The subschemas that apply to a value together with a subschema, itself included.
#[derive(Debug, Clone, Copy)]
struct Reach {
    /// Subschemas, each as often as something leads to it.
    branches: u64,
    /// Their nesting depth.
    nesting: usize,
}

/// Refuses a schema of which too many subschemas apply to the same value. Gives how many of them lie
/// within one another at most.
pub(super) fn check(document: &Value) -> Result<usize, SchemaFault> {
    let root = Place { schema: document, pointer: String::new() };
    let mut analysis = Analysis {
        resources: vec![document],
        anchors: HashMap::new(),
        known: HashMap::new(),
        open: HashSet::new(),
    };
    analysis.gather(&root, 0);
    let (mut seen, mut nesting) = (HashSet::new(), 0);
    let mut todo = vec![root];
    while let Some(place) = todo.pop() {
        if !seen.insert(place.address()) {
            continue;
        }
        nesting = nesting.max(analysis.reach(&place, 0)?.nesting);
        for keyword in IN_PLACE.iter().chain(BELOW) {
            todo.extend(place.subschemas(keyword));
        }
        todo.extend(analysis.referred(&place).into_iter().map(|(_, target)| target));
    }
    Ok(nesting)
}

/// The positions of the patterns that look at one text together, at most: a `pattern`, or all of an
/// object's `patternProperties`, which look at each name. `None` where one's are not known.
pub(super) fn pattern_positions(
    schema: &Value,
    positions: &impl Fn(&str) -> Option<u64>,
) -> Option<u64> {
    match schema {
        Value::Object(fields) => fields.iter().try_fold(0, |most: u64, (name, value)| {
            let here = match (name.as_str(), value) {
                ("pattern", Value::String(pattern)) => positions(pattern)?,
                ("patternProperties", Value::Object(named)) => named
                    .keys()
                    .try_fold(0_u64, |sum, name| Some(sum.saturating_add(positions(name)?)))?,
                _ => 0,
            };
            Some(most.max(here).max(pattern_positions(value, positions)?))
        }),
        Value::Array(items) => items
            .iter()
            .try_fold(0, |most: u64, item| Some(most.max(pattern_positions(item, positions)?))),
        _ => Some(0),
    }
}

impl Reach {
    fn with(self, other: Self) -> Self {
        Self {
            branches: self.branches.saturating_add(other.branches),
            nesting: self.nesting.max(other.nesting),
        }
    }
}

struct Analysis<'a> {
    /// The document, and subschemas with an `$id`, from which pointers may count.
    resources: Vec<&'a Value>,
    /// Subschemas by the name of their anchor.
    anchors: HashMap<&'a str, Vec<Place<'a>>>,
    /// Results so far, by address.
    known: HashMap<usize, Reach>,
    /// Subschemas that are being looked at, by address.
    open: HashSet<usize>,
}

impl<'a> Analysis<'a> {
    /// Finds what references may name.
    fn gather(&mut self, place: &Place<'a>, depth: usize) {
        if depth > MAX_JSON_DEPTH {
            return;
        }
        match place.schema {
            Value::Object(fields) => {
                for name in ["$anchor", "$dynamicAnchor"] {
                    if let Some(Value::String(anchor)) = fields.get(name) {
                        self.anchors.entry(anchor).or_default().push(place.clone());
                    }
                }
                if depth > 0 && fields.get("$id").is_some_and(Value::is_string) {
                    self.resources.push(place.schema);
                }
                for (name, value) in fields {
                    self.gather(&place.below(name, value), depth + 1);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.gather(&place.below(&index.to_string(), item), depth + 1);
                }
            }
            _ => {}
        }
    }

    /// The subschemas that the references of a schema may lead to, each with its reference.
    fn referred(&self, place: &Place<'a>) -> Vec<(Place<'a>, Place<'a>)> {
        let mut found = Vec::new();
        for keyword in REFERENCES {
            let Some(value) = place.schema.get(*keyword) else { continue };
            let Some(fragment) = value.as_str().and_then(|text| text.strip_prefix('#')) else {
                continue;
            };
            let reference = place.below(keyword, value);
            if fragment.is_empty() || fragment.starts_with('/') {
                let pointer = unescaped(fragment);
                let targets = self.resources.iter().filter_map(|resource| {
                    let schema = resource.pointer(&pointer)?;
                    Some(Place { schema, pointer: pointer.clone() })
                });
                found.extend(targets.map(|target| (reference.clone(), target)));
            } else if let Some(anchored) = self.anchors.get(fragment) {
                found.extend(anchored.iter().map(|target| (reference.clone(), target.clone())));
            }
        }
        found
    }

    /// Computes the subschemas that apply together with this one. `above` is the number of
    /// subschemas around it.
    fn reach(&mut self, place: &Place<'a>, above: usize) -> Result<Reach, SchemaFault> {
        let known = self.known.get(&place.address()).copied();
        if above + known.map_or(1, |known| known.nesting) > MAX_SCHEMA_NESTING {
            return Err(place.diagnostic(format!(
                "more than {MAX_SCHEMA_NESTING} subschemas apply to the same value, each within \
                 another one{}",
                named(place)
            )));
        }
        if let Some(known) = known {
            return Ok(known);
        }
        self.open.insert(place.address());
        let mut total = Reach { branches: 1, nesting: 0 };
        for (reference, target) in self.referred(place) {
            if self.open.contains(&target.address()) {
                return Err(reference.diagnostic(format!(
                    "`{}` leads in a circle: it comes back to itself without going down into the \
                     value by `properties` or `items`",
                    reference.schema.as_str().unwrap_or_default()
                )));
            }
            total = total.with(self.reach(&target, above + 1)?);
            self.few(total, &reference)?;
        }
        for keyword in IN_PLACE {
            for subschema in place.subschemas(keyword) {
                total = total.with(self.reach(&subschema, above + 1)?);
                self.few(total, &subschema)?;
            }
        }
        if TWICE.iter().any(|keyword| place.schema.get(*keyword).is_some()) {
            total.branches = total.branches.saturating_mul(2);
            self.few(total, place)?;
        }
        total.nesting += 1;
        self.open.remove(&place.address());
        self.known.insert(place.address(), total);
        Ok(total)
    }

    fn few(&self, Reach { branches, .. }: Reach, place: &Place<'_>) -> Result<(), SchemaFault> {
        if branches <= MAX_SCHEMA_BRANCHES {
            return Ok(());
        }
        Err(place.diagnostic(format!(
            "{branches} subschemas apply to the same value here{}, the limit is \
             {MAX_SCHEMA_BRANCHES}: a `$ref` counts as often as it is reached",
            named(place)
        )))
    }
}

/// The reference that a place is, or holds.
fn named(place: &Place<'_>) -> String {
    let reference = place.schema.get("$ref").unwrap_or(place.schema).as_str();
    reference.map_or_else(String::new, |text| format!(" with `{text}`"))
}

/// A pointer as it stands in a URI's fragment, with its percent signs resolved.
fn unescaped(fragment: &str) -> String {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The pointer and message of the refusal, or nothing.
    fn refusal(document: &Value) -> Option<(String, String)> {
        check(document).err().map(|diagnostic| (diagnostic.pointer, diagnostic.message))
    }

    #[test]
    fn what_goes_down_into_the_value_may_be_recursive() {
        for document in [
            json!({"properties": {"child": {"$ref": "#"}}}),
            json!({"$defs": {"n": {"anyOf": [
                {"type": "object", "additionalProperties": {"$ref": "#/$defs/n"}},
                {"type": "array", "items": {"$ref": "#/$defs/n"}}]}},
                "properties": {"v": {"$ref": "#/$defs/n"}}}),
            json!({"$dynamicAnchor": "node", "properties": {"c": {"items": {"$dynamicRef": "#node"}}}}),
            json!({"$ref": "#/$defs/a%20b", "$defs": {"a b": {"type": "object"}}}),
            // A circle that nothing leads to.
            json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}),
            json!({"properties": {"ref": {"const": {"$ref": "#"}}}}),
        ] {
            assert_eq!(refusal(&document), None, "{document}");
        }
    }

    #[test]
    fn circles_are_refused_at_their_reference() {
        let inside = |keyword: &str, value: Value| json!({"properties": {"v": {keyword: value}}});
        let back = || json!({"$ref": "#/properties/v"});
        for (document, pointer) in [
            (inside("allOf", json!([{"type": "string"}, back()])), "/properties/v/allOf/1/$ref"),
            (inside("anyOf", json!([back()])), "/properties/v/anyOf/0/$ref"),
            (inside("oneOf", json!([{"not": back()}])), "/properties/v/oneOf/0/not/$ref"),
            (inside("not", back()), "/properties/v/not/$ref"),
            (inside("if", back()), "/properties/v/if/$ref"),
            (inside("then", back()), "/properties/v/then/$ref"),
            (inside("else", back()), "/properties/v/else/$ref"),
            (
                inside("dependentSchemas", json!({"a": back()})),
                "/properties/v/dependentSchemas/a/$ref",
            ),
            (inside("$ref", json!("#/properties/v")), "/properties/v/$ref"),
            (
                json!({"$dynamicAnchor": "n", "allOf": [{"$dynamicRef": "#n"}]}),
                "/allOf/0/$dynamicRef",
            ),
            (
                json!({"$ref": "#/$defs/a", "$defs": {
                    "a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}),
                "/$defs/b/$ref",
            ),
        ] {
            let (found, message) = refusal(&document).unwrap_or_default();
            assert_eq!(found, pointer, "{document}");
            assert!(message.contains("in a circle"), "{message}");
        }
    }

    /// Two references a level, so many levels.
    fn doubling(keyword: &str, levels: usize) -> Value {
        let mut definitions = serde_json::Map::new();
        for level in 0..levels {
            let next = json!({"$ref": format!("#/$defs/n{}", level + 1)});
            definitions.insert(format!("n{level}"), json!({keyword: [next, next]}));
        }
        definitions.insert(format!("n{levels}"), json!({"type": "integer"}));
        json!({"properties": {"v": {"$ref": "#/$defs/n0"}}, "$defs": definitions})
    }

    #[test]
    fn references_that_multiply_are_refused() {
        for keyword in ["allOf", "anyOf", "oneOf"] {
            assert_eq!(refusal(&doubling(keyword, 8)), None, "{keyword}");
            for levels in [12, 24, 31] {
                let (pointer, message) = refusal(&doubling(keyword, levels)).unwrap_or_default();
                assert!(pointer.contains("/$defs/n"), "{pointer}");
                assert!(message.contains("subschemas apply"), "{message}");
            }
        }
        let (_, message) = refusal(&doubling("allOf", 200)).unwrap_or_default();
        assert!(message.contains("each within another one with `#/$defs/n"), "{message}");
        // Each `unevaluatedProperties` looks at the others once more.
        let mut nested = json!({"properties": {"a": {}}});
        for _ in 0..12 {
            nested = json!({"allOf": [nested], "unevaluatedProperties": false});
        }
        assert!(refusal(&nested).is_some());
    }
}
