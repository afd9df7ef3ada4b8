//! The JSON Schema of a contract's state: validation, and the types of fields.

use std::collections::BTreeSet;
use std::fmt;

use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::Value;

use crate::budget::Budget;
use crate::codec::{json, number};
use crate::contract::schema_bounds::with_exact_bounds;
use crate::contract::schema_cost;
use crate::contract::schema_value::{Meter, Metered, States};
use crate::limits::{
    MAX_EXPLANATION_STEPS, MAX_JSON_DEPTH, MAX_SCHEMA_PATTERN_BYTES, MAX_VALIDATION_DEPTH,
    MIN_PATTERN_BYTES,
};
use crate::pattern;

/// A JSON type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JsonType {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A number without a fraction.
    Integer,
    /// Any number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl JsonType {
    /// The name in a schema.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::String => "string",
            Self::Array => "array",
            Self::Object => "object",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        [
            Self::Null,
            Self::Boolean,
            Self::Integer,
            Self::Number,
            Self::String,
            Self::Array,
            Self::Object,
        ]
        .into_iter()
        .find(|candidate| candidate.name() == name)
    }

    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Boolean,
            Value::Number(number) if number.is_i64() || number.is_u64() => Self::Integer,
            Value::Number(_) => Self::Number,
            Value::String(_) => Self::String,
            Value::Array(_) => Self::Array,
            Value::Object(_) => Self::Object,
        }
    }
}

impl fmt::Display for JsonType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The type of a field in a state schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldType {
    /// It is declared, with these types.
    Known(BTreeSet<JsonType>),
    /// Allowed and not declared, or declared without a type.
    Open,
    /// The schema allows no such field.
    Unknown,
}

/// A compiled state schema.
pub(super) struct StateSchema {
    document: Value,
    validator: Validator<States>,
    /// Steps for a piece of text, by the largest of its patterns; see [`pattern::rate`].
    text_rate: u64,
    /// Subschemas within one another that apply to one value, at most.
    nesting: usize,
}

/// Why a state is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SchemaError {
    /// It breaks the schema: what is wrong.
    Diagnostic(String),
    /// Looking at it takes more steps than are left.
    Exhausted,
    /// It is nested too deeply for so deep a schema.
    TooDeep,
}

impl fmt::Debug for StateSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StateSchema").field(&self.document).finish()
    }
}

/// Why a schema is not taken: a JSON Pointer into it, and what is wrong.
pub(super) struct SchemaFault {
    pub(super) pointer: String,
    pub(super) message: String,
}

impl StateSchema {
    /// Compiles a schema. Nothing is fetched: only references into the schema itself resolve.
    pub(super) fn compile(document: Value) -> Result<Self, SchemaFault> {
        if let Some((pointer, reference)) = remote_reference(&document, String::new(), 0) {
            let message =
                format!("`{reference}` is outside this schema; references are not fetched");
            return Err(SchemaFault { pointer, message });
        }
        let nesting = schema_cost::check(&document)?;
        let (validator, text_rate) = validator(&document).map_err(|error| SchemaFault {
            pointer: error.instance_path().to_string(),
            message: error.to_string(),
        })?;
        if document.get("type").is_some_and(|named| named != "object") {
            let message = "a state is an object: write `type: object`".to_owned();
            return Err(SchemaFault { pointer: "/type".to_owned(), message });
        }
        Ok(Self { document, validator, text_rate, nesting })
    }

    /// The schema as it was written.
    pub(super) fn document(&self) -> &Value {
        &self.document
    }

    /// Checks a state. Of several faults always the same one is named.
    pub(super) fn check(&self, state: &json::Value, budget: &Budget) -> Result<(), SchemaError> {
        // Few schemas are deep enough for any state to be too deep.
        let may_be_too_deep = self.nesting * MAX_JSON_DEPTH > MAX_VALIDATION_DEPTH;
        if may_be_too_deep && self.nesting * depth_of(state) > MAX_VALIDATION_DEPTH {
            return Err(SchemaError::TooDeep);
        }
        let meter = Meter { budget, text_rate: self.text_rate };
        let is_valid = self.validator.is_valid(Metered { value: state, meter: &meter });
        match (budget.is_exhausted(), is_valid) {
            (true, _) => Err(SchemaError::Exhausted),
            (false, true) => Ok(()),
            (false, false) => Err(SchemaError::Diagnostic(self.diagnostic(state))),
        }
    }

    /// The error message for a state that is known to violate the schema. The library gathers the
    /// errors of all nested branches, so this has its own budget; beyond it, the message is less
    /// specific.
    fn diagnostic(&self, state: &json::Value) -> String {
        let first_of_all = self.within_explanation(state, |state| {
            let errors = self.validator.iter_errors(state);
            errors.map(|error| shown(&error)).min()
        });
        let first = || {
            self.within_explanation(state, |state| {
                self.validator.validate(state).err().map(|error| shown(&error))
            })
        };
        let Some((pointer, message)) = first_of_all.or_else(first) else {
            return "the state violates the schema; locating the error would take too long"
                .to_owned();
        };
        let place = pointer.trim_start_matches('/').replace('/', ".");
        if place.is_empty() { message } else { format!("{place}: {message}") }
    }

    /// An explanation; `None` where it takes too many steps.
    fn within_explanation(
        &self,
        state: &json::Value,
        explain: impl FnOnce(Metered<'_>) -> Option<(String, String)>,
    ) -> Option<(String, String)> {
        let budget = Budget::of(MAX_EXPLANATION_STEPS);
        let meter = Meter { budget: &budget, text_rate: self.text_rate };
        explain(Metered { value: state, meter: &meter }).filter(|_| !budget.is_exhausted())
    }

    /// The schema of a field, where the properties declare it.
    fn declared(&self, path: &[String]) -> Option<&Value> {
        let mut schema = self.resolved(&self.document);
        for name in path {
            schema = self.resolved(schema.get("properties")?.get(name)?);
        }
        Some(schema)
    }

    /// Values that a field may have, where its schema lists them.
    pub(super) fn allowed_values(&self, path: &[String]) -> Option<Vec<Value>> {
        let schema = self.declared(path)?;
        let one = schema.get("const").map(|value| vec![value.clone()]);
        one.or_else(|| schema.get("enum").and_then(Value::as_array).cloned())
    }

    /// Names of the fields that the schema requires at its top.
    pub(super) fn required(&self) -> Vec<&str> {
        let required = self.resolved(&self.document).get("required").and_then(Value::as_array);
        required.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// Names declared below a path, for hints.
    pub(super) fn names(&self, path: &[String]) -> Vec<&str> {
        let mut found = BTreeSet::new();
        let mut schema = self.resolved(&self.document);
        for name in path {
            match schema.get("properties").and_then(|properties| properties.get(name)) {
                Some(inner) => schema = self.resolved(inner),
                None => return Vec::new(),
            }
        }
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            found.extend(properties.keys().map(String::as_str));
        }
        found.into_iter().collect()
    }

    /// The schema behind references into the document.
    pub(super) fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        for _ in 0..MAX_JSON_DEPTH {
            let target = schema
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|reference| self.document.pointer(reference.strip_prefix('#')?));
            match target {
                Some(target) => schema = target,
                None => break,
            }
        }
        schema
    }
}

/// The library's form of a schema, and the steps that a piece of text costs: those of the patterns
/// that may look at it together. Where the library reads a pattern that the parser does not (ECMA 262
/// has escapes of its own), the size of the compiled pattern bounds its positions.
fn validator(document: &Value) -> Result<(Validator<States>, u64), ValidationError<'_>> {
    let parsed = schema_cost::pattern_positions(document, &pattern::positions);
    let mut bytes = if parsed.is_some() { MAX_SCHEMA_PATTERN_BYTES } else { MIN_PATTERN_BYTES };
    loop {
        let patterns = PatternOptions::regex().size_limit(bytes);
        let options = jsonschema::options_for::<States>().with_draft(Draft::Draft202012).offline();
        let options = with_exact_bounds(options.with_pattern_options(patterns));
        match options.build(document) {
            Ok(validator) => {
                let bounded = |text: &str| {
                    let most = pattern::positions_within(bytes);
                    Some(pattern::positions(text).map_or(most, |positions| positions.min(most)))
                };
                let positions = parsed
                    .or_else(|| schema_cost::pattern_positions(document, &bounded))
                    .unwrap_or_default();
                return Ok((validator, pattern::rate(positions)));
            }
            Err(error) if bytes >= MAX_SCHEMA_PATTERN_BYTES => return Err(error),
            Err(_) => bytes *= 2,
        }
    }
}

/// Levels of a value.
fn depth_of(value: &json::Value) -> usize {
    1 + match value {
        json::Value::Array(elements) => elements.iter().map(depth_of).max().unwrap_or(0),
        json::Value::Object(members) => {
            members.iter().map(|(_, value)| depth_of(value)).max().unwrap_or(0)
        }
        _ => 0,
    }
}

/// Position and text of an error.
fn shown(error: &ValidationError<'_>) -> (String, String) {
    (error.instance_path().to_string(), error.to_string())
}

/// True if a value is one that a schema lists; numbers are compared by value.
#[must_use]
pub fn same_value(value: &json::Value, allowed: &Value) -> bool {
    match (value, allowed) {
        (json::Value::Number(value), Value::Number(allowed)) => {
            number::canonical(value.as_str()) == number::canonical(&allowed.to_string())
        }
        (json::Value::Array(values), Value::Array(allowed)) => {
            let both = values.iter().zip(allowed);
            values.len() == allowed.len() && both.into_iter().all(|(v, a)| same_value(v, a))
        }
        (json::Value::Object(members), Value::Object(allowed)) => {
            let is_allowed = |(name, value): (&json::Text, &json::Value)| {
                allowed.get(name.as_str()).is_some_and(|allowed| same_value(value, allowed))
            };
            members.len() == allowed.len() && members.iter().all(is_allowed)
        }
        (json::Value::String(value), Value::String(allowed)) => value.as_str() == allowed,
        (json::Value::Bool(value), Value::Bool(allowed)) => value == allowed,
        (json::Value::Null, Value::Null) => true,
        _ => false,
    }
}

/// The first reference that leads out of the document, with the pointer to it.
fn remote_reference(schema: &Value, pointer: String, depth: usize) -> Option<(String, String)> {
    if depth > MAX_JSON_DEPTH {
        return None;
    }
    match schema {
        Value::Object(fields) => fields.iter().find_map(|(name, value)| {
            let pointer = format!("{pointer}/{name}");
            match value {
                Value::String(reference) if name == "$ref" || name == "$dynamicRef" => {
                    (!reference.starts_with('#')).then(|| (pointer, reference.clone()))
                }
                _ => remote_reference(value, pointer, depth + 1),
            }
        }),
        Value::Array(items) => items.iter().enumerate().find_map(|(index, value)| {
            remote_reference(value, format!("{pointer}/{index}"), depth + 1)
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(text: &str) -> Vec<String> {
        text.split('.').map(str::to_owned).collect()
    }

    fn compile(document: Value) -> StateSchema {
        StateSchema::compile(document).unwrap_or_else(|diagnostic| panic!("{}", diagnostic.message))
    }

    #[test]
    fn fields_are_known_open_or_unknown() {
        let schema = compile(json!({
            "type": "object",
            "additionalProperties": false,
            "$defs": {"point": {"type": "object", "properties": {"latitude": {"type": "number"}}}},
            "properties": {
                "id": {"type": ["string", "integer"]},
                "status": {"enum": ["a", "b"]},
                "location": {"$ref": "#/$defs/point"},
                "extension": {"type": "object"},
                "anything": {},
                "counts": {"additionalProperties": {"type": "integer"}},
                "either": {"oneOf": [{"type": "string"}, {"type": "number"}]},
                "closed": {"type": "object", "properties": {"x": {"type": "boolean"}},
                           "unevaluatedProperties": false},
                "node": {"$ref": "#"},
            },
        }));
        let cases = [
            ("id", "integer string"),
            ("status", "string"),
            ("location", "object"),
            ("location.latitude", "number"),
            ("location.altitude", "open"),
            ("location.latitude.degrees", "unknown"),
            ("extension.x.y", "open"),
            ("anything", "open"),
            ("anything.x", "open"),
            ("counts.x", "open"),
            ("counts.x.y", "unknown"),
            ("either", "number string"),
            ("closed.x", "boolean"),
            ("closed.y", "unknown"),
            ("node.node.id", "integer string"),
            ("nothing", "unknown"),
        ];
        for (field, expected) in cases {
            assert_eq!(said(&schema, field), expected, "{field}");
        }
        assert_eq!(schema.names(&path("location")), ["latitude"]);
    }

    /// `open`, `unknown`, or the types in order.
    fn said(schema: &StateSchema, field: &str) -> String {
        match schema.field(&path(field)) {
            FieldType::Open => "open".to_owned(),
            FieldType::Unknown => "unknown".to_owned(),
            FieldType::Known(types) => {
                let mut names: Vec<_> = types.iter().map(|t| t.name()).collect();
                names.sort_unstable();
                names.join(" ")
            }
        }
    }

    #[test]
    fn keywords_of_one_value_hold_together_and_branches_one_by_one() {
        let schema = compile(json!({
            "type": "object",
            "$defs": {"point": {"type": "object", "properties": {"latitude": {"type": "number"}}}},
            "properties": {
                "loose": {"anyOf": [{"type": "string"}, {}]},
                "both": {"allOf": [{"type": ["integer", "string"]}, {"type": "number"}, {}]},
                "bare": {"properties": {"x": {"type": "boolean"}}},
                "wide": {"$ref": "#/$defs/point", "properties": {"altitude": {"type": "number"}}},
                "branches": {"oneOf": [{"properties": {"x": {"type": "string"}}},
                                       {"properties": {"y": {"type": "string"}},
                                        "additionalProperties": false}]},
                "if": {"if": {"properties": {"p": {"const": 1}}},
                       "then": {"properties": {"q": {"type": "string"}}}},
                "if_else": {"if": {"required": ["p"]},
                            "then": {"properties": {"q": {"type": "string"}}},
                            "else": {"properties": {"q": {"type": "null"}}}},
                "later": {"allOf": [{"properties": {"x": {}}}], "$ref": "#/$defs/point",
                          "unevaluatedProperties": false},
                "shut": {"allOf": [{"properties": {"x": {"type": "number"}}}],
                         "additionalProperties": false},
            },
        }));
        let cases = [
            ("loose", "open"),
            ("both", "integer"),
            ("bare", "open"),
            ("bare.x", "boolean"),
            ("wide.altitude", "number"),
            ("wide.latitude", "number"),
            ("branches.x", "string"),
            ("branches.y", "open"),
            ("if.q", "open"),
            ("if_else.q", "null string"),
            ("later.x", "open"),
            ("later.latitude", "number"),
            ("later.y", "unknown"),
            ("shut.x", "unknown"),
        ];
        for (field, expected) in cases {
            assert_eq!(said(&schema, field), expected, "{field}");
        }
    }

    #[test]
    fn listed_values_are_compared_by_value() {
        for (value, allowed, same) in [
            ("1.0", "1", true),
            ("[1.0, 2]", "[1, 2]", true),
            ("[1, 2]", "[1, 3]", false),
            ("[1]", "[1, 1]", false),
            (r#"{"a": [1e0], "b": {}}"#, r#"{"b": {}, "a": [1]}"#, true),
            (r#"{"a": 1}"#, r#"{"b": 1}"#, false),
            (r#"{"a": 1}"#, r#"{"a": 1, "b": 2}"#, false),
            (r#""1""#, "1", false),
            ("null", "null", true),
            ("true", "false", false),
        ] {
            let parsed = json::parse(value.as_bytes()).unwrap();
            let allowed = serde_json::from_str(allowed).unwrap();
            assert_eq!(same_value(&parsed, &allowed), same, "{value} {allowed}");
        }
    }

    #[test]
    fn schemas_that_cannot_be_used_are_refused() {
        let cases = [
            (json!({"type": "array"}), "/type", "object"),
            (json!({"type": "objekt"}), "/type", "objekt"),
            (json!({"properties": {"a": {"minimum": "x"}}}), "/properties/a/minimum", "x"),
            (
                json!({"properties": {"a": {"$ref": "https://example.com/x"}}}),
                "/properties/a/$ref",
                "not fetched",
            ),
            (json!({"properties": {"a": {"$ref": "#/$defs/none"}}}), "", "none"),
            (json!({"properties": {"a": {"pattern": "("}}}), "/properties/a/pattern", "("),
        ];
        for (document, pointer, message) in cases {
            let diagnostic = StateSchema::compile(document.clone()).err().unwrap();
            assert!(diagnostic.message.contains(message), "{document}: {}", diagnostic.message);
            assert!(
                pointer.is_empty() || diagnostic.pointer == pointer,
                "{document}: {}",
                diagnostic.pointer
            );
        }
    }

    #[test]
    fn of_several_faults_always_the_same_is_named() {
        let properties: serde_json::Map<_, _> = (0..40)
            .map(|n| (format!("p{n:02}"), json!({"type": "string", "minLength": 3})))
            .collect();
        let state: serde_json::Map<_, _> =
            (0..40).map(|n| (format!("p{n:02}"), json!(n))).collect();
        let state = json::Value::from(Value::Object(state));
        for _ in 0..10 {
            let schema = compile(json!({"properties": properties}));
            assert_eq!(
                schema.check(&state, &Budget::new()),
                Err(SchemaError::Diagnostic("p00: 0 is not of type \"string\"".to_owned()))
            );
        }
    }

    #[test]
    fn numbers_are_judged_as_they_were_sent() {
        let schema = compile(json!({"properties": {
            "whole": {"type": "integer"}, "small": {"maximum": 9007199254740992_i64},
            "listed": {"enum": [0.3, "a"]}, "below": {"exclusiveMaximum": 0.3}, "above": {"minimum": 0.3},
            "huge": serde_json::from_str::<Value>(
                r#"{"maximum": 123456789012345678901234567890}"#).unwrap(),
            "step": {"multipleOf": 0.1}}}));
        let cases = [
            (r#"{"whole": 21}"#, true),
            (r#"{"whole": 21.0}"#, true),
            (r#"{"whole": 21.5}"#, false),
            (r#"{"whole": 18446744073709551615}"#, true),
            (r#"{"whole": 9007199254740993.5}"#, false),
            (r#"{"whole": 1.5e1}"#, true),
            (r#"{"whole": 1e300}"#, true),
            (r#"{"whole": 0.0e-9}"#, true),
            (r#"{"listed": 0.300}"#, true),
            (r#"{"listed": 0.30000000000000000001}"#, false),
            (r#"{"small": 9007199254740992}"#, true),
            (r#"{"small": 9007199254740993}"#, false),
            (r#"{"small": 1e300}"#, false),
            (r#"{"small": 9007199254740992.5}"#, false),
            (r#"{"small": 9007199254740991.9999}"#, true),
            (r#"{"small": 9.0071992547409920e15}"#, true),
            (r#"{"below": 0.29999999999999999999}"#, true),
            (r#"{"below": 0.3}"#, false),
            (r#"{"below": 0.30000000000000000001}"#, false),
            (r#"{"below": 1e-300}"#, true),
            (r#"{"above": 0.30000000000000000001}"#, true),
            (r#"{"above": 0.3000}"#, true),
            (r#"{"above": 0.29999999999999999999}"#, false),
            (r#"{"huge": 123456789012345678901234567890}"#, true),
            (r#"{"huge": 123456789012345678901234567891}"#, false),
            (r#"{"step": 0.3}"#, true),
            (r#"{"step": 0.35}"#, false),
        ];
        for (text, valid) in cases {
            let state = json::parse(text.as_bytes()).unwrap();
            assert_eq!(schema.check(&state, &Budget::new()).is_ok(), valid, "{text}");
        }
    }
}
