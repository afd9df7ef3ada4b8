//! Schemas and samples of every function, from which people and user interfaces build calls.

use std::cell::Cell;

use serde_json::{Map, Value, json};

use crate::call::Function;
use crate::codec::json;
use crate::contract::Contract;
use crate::contract::execute::PROPERTIES;
use crate::contract::state;
use crate::limits::{MAX_JSON_DEPTH, MAX_SAMPLE_VALUES};

impl Contract {
    /// Sample arguments of each function on offer, made from the state schema: its `examples`,
    /// `default`, `const` and `enum` first, else a value of the declared type.
    #[must_use]
    pub fn samples(&self) -> Vec<(Function, json::Value)> {
        let sample = json::Value::from(self.sample(
            self.schema.document(),
            0,
            &Cell::new(MAX_SAMPLE_VALUES),
        ));
        let mut whole = sample.as_object().cloned().unwrap_or_default();
        let is_key = |key: &json::Value| key.as_str().is_some() || key.as_u64().is_some();
        if !state::at(&whole, &self.key).is_some_and(is_key) {
            state::put(&mut whole, &self.key, "asset-1".into());
        }
        let functions = self.functions.offered.iter();
        functions.map(|function| (*function, self.sample_call(*function, &whole))).collect()
    }

    fn sample_call(&self, function: Function, whole: &json::Map) -> json::Value {
        let mut arguments = json::Map::new();
        match function {
            Function::Create | Function::Update | Function::Replace => return whole.clone().into(),
            Function::Delete => {}
            Function::DeleteProperties => {
                let is_key = |name: &str| self.key.first().is_some_and(|key| key == name);
                let other = whole.keys().find(|name| !is_key(name));
                let named = other.map_or("extension", |name| name.as_str());
                arguments.insert(PROPERTIES, vec![json::Value::from(named)].into());
            }
        }
        if let Some(key) = state::at(whole, &self.key) {
            state::put(&mut arguments, &self.key, key.clone());
        }
        arguments.into()
    }

    /// A value of a subschema. `left` is how many values there may still be: a recursive schema has no
    /// end of them.
    fn sample(&self, schema: &Value, depth: usize, left: &Cell<usize>) -> Value {
        left.set(left.get().saturating_sub(1));
        let schema = self.schema.resolved(schema);
        let first = |keyword: &str| schema.get(keyword).and_then(Value::as_array)?.first();
        let given = first("examples")
            .or_else(|| schema.get("default"))
            .or_else(|| schema.get("const"))
            .or_else(|| first("enum"));
        if let Some(value) = given {
            return value.clone();
        }
        if depth > MAX_JSON_DEPTH.min(8) || left.get() == 0 {
            return Value::Null;
        }
        let named = schema.get("type").and_then(|named| match named {
            Value::Array(names) => names.first().and_then(Value::as_str),
            other => other.as_str(),
        });
        match named {
            Some("string") => Value::String(sample_text(schema)),
            Some("integer") => sample_number(schema).unwrap_or_else(|| json!(1)),
            Some("number") => sample_number(schema).unwrap_or_else(|| json!(1.5)),
            Some("boolean") => Value::Bool(true),
            Some("array") => {
                let items = schema.get("items").map(|items| self.sample(items, depth + 1, left));
                Value::Array(items.into_iter().collect())
            }
            Some("null") => Value::Null,
            _ => self.sample_object(schema, depth, left),
        }
    }

    fn sample_object(&self, schema: &Value, depth: usize, left: &Cell<usize>) -> Value {
        let properties = schema.get("properties").and_then(Value::as_object);
        let properties = properties.into_iter().flatten().take_while(|_| left.get() > 0);
        let fields =
            properties.map(|(name, inner)| (name.clone(), self.sample(inner, depth + 1, left)));
        Value::Object(fields.collect())
    }

    /// JSON Schema of the arguments of each function on offer. That of `update` is the state schema
    /// where only the key is required: the rest may be there already.
    #[must_use]
    pub fn schemas(&self) -> Vec<(Function, Value)> {
        let functions = self.functions.offered.iter();
        functions.map(|function| (*function, self.arguments_schema(*function))).collect()
    }

    fn arguments_schema(&self, function: Function) -> Value {
        let mut schema = self.schema.document().clone();
        let key = self.key.first().map_or("", String::as_str);
        let Some(fields) = schema.as_object_mut() else { return schema };
        match function {
            Function::Create | Function::Replace => {}
            Function::Update => {
                fields.insert("required".to_owned(), json!([key]));
            }
            Function::Delete => keep_only(fields, &[key]),
            Function::DeleteProperties => {
                let paths = json!({
                    "type": "array",
                    "minItems": 1,
                    "items": {"type": ["string", "array"], "items": {"type": "string"}},
                });
                if let Some(Value::Object(properties)) = fields.get_mut("properties") {
                    properties.insert(PROPERTIES.to_owned(), paths);
                }
                keep_only(fields, &[key, PROPERTIES]);
            }
        }
        schema
    }
}

fn keep_only(schema: &mut Map<String, Value>, names: &[&str]) {
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.retain(|name, _| names.contains(&name.as_str()));
    }
    schema.insert("required".to_owned(), json!(names));
    schema.insert("additionalProperties".to_owned(), json!(false));
    for keyword in ["allOf", "anyOf", "oneOf", "if", "then", "else", "dependentRequired", "not"] {
        schema.remove(keyword);
    }
}

fn sample_text(schema: &Value) -> String {
    match schema.get("format").and_then(Value::as_str) {
        Some("date-time") => "2024-01-01T00:00:00Z".to_owned(),
        Some("date") => "2024-01-01".to_owned(),
        Some("email") => "name@example.com".to_owned(),
        Some("uri") => "https://example.com/".to_owned(),
        _ => {
            let least = schema.get("minLength").and_then(Value::as_u64).unwrap_or(0);
            let least = usize::try_from(least).unwrap_or(0).min(1_000);
            let text = "text";
            if text.len() < least { "x".repeat(least) } else { text.to_owned() }
        }
    }
}

/// A number within the schema's bounds; `None` where it has none.
fn sample_number(schema: &Value) -> Option<Value> {
    let bound = |keyword: &str| schema.get(keyword);
    bound("minimum").or_else(|| bound("maximum")).cloned().or_else(|| {
        let above = bound("exclusiveMinimum").and_then(Value::as_f64).map(|least| least + 1.0);
        let below = bound("exclusiveMaximum").and_then(Value::as_f64).map(|most| most - 1.0);
        above.or(below).map(|number| json!(number))
    })
}
