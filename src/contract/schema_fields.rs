//! The type of a field in a state schema: keywords that apply to the same value all hold together;
//! of the branches of `anyOf` and the like, one holds.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use crate::contract::schema::{FieldType, JsonType, StateSchema};
use crate::limits::MAX_JSON_DEPTH;

impl StateSchema {
    /// The type of the field at a path of names.
    pub(super) fn field(&self, path: &[String]) -> FieldType {
        self.walk(self.document(), path, &mut Walked::default())
    }

    /// The type of a field below a subschema. Each subschema is visited once, however many branches
    /// lead to it.
    fn walk(&self, schema: &Value, path: &[String], walked: &mut Walked) -> FieldType {
        let place = (std::ptr::from_ref(schema).addr(), path.len());
        if let Some(known) = walked.known.get(&place) {
            return known.clone();
        }
        if walked.depth > MAX_JSON_DEPTH {
            return FieldType::Open;
        }
        walked.depth += 1;
        let found = self.look(schema, path, walked);
        walked.depth -= 1;
        walked.known.insert(place, found.clone());
        found
    }

    fn look(&self, schema: &Value, path: &[String], walked: &mut Walked) -> FieldType {
        if schema == &Value::Bool(false) {
            return FieldType::Unknown;
        }
        let combined = self.combined(schema, path, walked);
        let own = match path.split_first() {
            None => types_of(schema),
            Some((name, rest)) => self.step(schema, (name, rest), walked),
        };
        own.and(combined)
    }

    fn step(
        &self,
        schema: &Value,
        (name, rest): (&str, &[String]),
        walked: &mut Walked,
    ) -> FieldType {
        if let FieldType::Known(types) = types_of(schema)
            && !types.contains(&JsonType::Object)
        {
            return FieldType::Unknown;
        }
        if let Some(inner) = schema.get("properties").and_then(|properties| properties.get(name)) {
            return self.walk(inner, rest, walked);
        }
        if schema.get("patternProperties").is_some() {
            return FieldType::Open;
        }
        let others =
            ["additionalProperties", "unevaluatedProperties"].iter().find_map(|k| schema.get(*k));
        match others {
            // `additionalProperties` does not see what is in `allOf` and the like.
            Some(Value::Bool(false))
                if schema.get("additionalProperties").is_none()
                    && self.in_place(schema).any(|inner| self.evaluates(inner, name, 0)) =>
            {
                FieldType::Open
            }
            Some(Value::Bool(false)) => FieldType::Unknown,
            Some(inner @ Value::Object(_)) => match self.walk(inner, rest, walked) {
                // Allowed by a rule for all names: the name itself is not declared.
                FieldType::Unknown => FieldType::Unknown,
                FieldType::Known(types) if !rest.is_empty() => FieldType::Known(types),
                _ => FieldType::Open,
            },
            _ => FieldType::Open,
        }
    }

    /// The combined result of `$ref`, `allOf`, `anyOf`, `oneOf` and conditions.
    fn combined(&self, schema: &Value, path: &[String], walked: &mut Walked) -> FieldType {
        let all = self.target(schema).into_iter().chain(listed(schema, "allOf"));
        let mut found = FieldType::Open;
        for inner in all {
            found = found.and(self.walk(inner, path, walked));
        }
        for keyword in ["anyOf", "oneOf"] {
            let branches = listed(schema, keyword).map(|inner| self.walk(inner, path, walked));
            found = found.and(branches.reduce(FieldType::or).unwrap_or(FieldType::Open));
        }
        // Without the other of the two, half of the states may have anything.
        if let (Some(then), Some(otherwise)) = (schema.get("then"), schema.get("else")) {
            let then = self.walk(then, path, walked);
            found = found.and(then.or(self.walk(otherwise, path, walked)));
        }
        found
    }

    /// The subschema that a `$ref` leads to.
    fn target(&self, schema: &Value) -> Option<&Value> {
        let reference = schema.get("$ref").and_then(Value::as_str)?;
        self.document().pointer(reference.strip_prefix('#')?)
    }

    /// The subschemas that apply to the same value.
    fn in_place<'a>(&'a self, schema: &'a Value) -> impl Iterator<Item = &'a Value> {
        let lists = ["allOf", "anyOf", "oneOf"].into_iter();
        let single = ["if", "then", "else"].into_iter();
        let dependent = schema.get("dependentSchemas").and_then(Value::as_object);
        lists
            .flat_map(|keyword| listed(schema, keyword))
            .chain(single.filter_map(|keyword| schema.get(keyword)))
            .chain(dependent.into_iter().flat_map(|named| named.values()))
            .chain(self.target(schema))
    }

    /// True if a subschema may constrain a field of this name, which an enclosing
    /// `unevaluatedProperties` then ignores.
    fn evaluates(&self, schema: &Value, name: &str, depth: usize) -> bool {
        let is_named = schema.get("properties").is_some_and(|named| named.get(name).is_some());
        let takes_any =
            ["patternProperties", "additionalProperties", "unevaluatedProperties", "$dynamicRef"];
        is_named
            || takes_any.iter().any(|keyword| schema.get(*keyword).is_some())
            || depth > MAX_JSON_DEPTH
            || self.in_place(schema).any(|inner| self.evaluates(inner, name, depth + 1))
    }
}

/// The subschemas in the list of a keyword.
fn listed<'a>(schema: &'a Value, keyword: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    schema.get(keyword).and_then(Value::as_array).into_iter().flatten()
}

impl FieldType {
    /// The type if both hold.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Open, other) => other,
            (known, Self::Open) => known,
            // Of two that contradict each other no value is: the reader is told of neither.
            (Self::Known(left), Self::Known(right)) => {
                let mut both: BTreeSet<_> = left.intersection(&right).copied().collect();
                let is_in = |types: &BTreeSet<_>, kind| types.contains(&kind);
                let (integer, number) = (JsonType::Integer, JsonType::Number);
                // Integers are numbers.
                if is_in(&left, integer) && is_in(&right, number)
                    || is_in(&left, number) && is_in(&right, integer)
                {
                    both.insert(integer);
                }
                if both.is_empty() { Self::Known(left) } else { Self::Known(both) }
            }
        }
    }

    /// The type if one of them holds.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, other) | (other, Self::Unknown) => other,
            (Self::Open, _) | (_, Self::Open) => Self::Open,
            (Self::Known(mut left), Self::Known(right)) => {
                left.extend(right);
                Self::Known(left)
            }
        }
    }
}

/// The subschemas visited for a field.
#[derive(Default)]
struct Walked {
    /// By the address of the subschema and the number of names that are left.
    known: HashMap<(usize, usize), FieldType>,
    depth: usize,
}

/// The types that a schema itself declares.
fn types_of(schema: &Value) -> FieldType {
    let named: BTreeSet<JsonType> = match schema.get("type") {
        Some(Value::String(name)) => JsonType::from_name(name).into_iter().collect(),
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).filter_map(JsonType::from_name).collect()
        }
        _ => BTreeSet::new(),
    };
    if !named.is_empty() {
        return FieldType::Known(named);
    }
    let listed: BTreeSet<JsonType> = match (schema.get("const"), schema.get("enum")) {
        (Some(value), _) => std::iter::once(JsonType::of(value)).collect(),
        (None, Some(Value::Array(values))) => values.iter().map(JsonType::of).collect(),
        _ => BTreeSet::new(),
    };
    if !listed.is_empty() {
        return FieldType::Known(listed);
    }
    // `properties` alone takes any value that is not an object.
    FieldType::Open
}
