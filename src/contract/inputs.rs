//! The fields that a person can fill in for a call, from the schema of the state.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::codec::json;
use crate::contract::schema::{FieldType, JsonType};
use crate::contract::{Contract, state};
use crate::limits::{MAX_INPUT_DEPTH, MAX_INPUTS, MAX_SCANNED_INPUTS};

/// A field of the state that holds no other fields that the schema names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Names that lead to it.
    pub path: Vec<String>,
    /// Types that its value may have; none where the schema does not say.
    pub types: BTreeSet<JsonType>,
    /// The only values that it may have; none where the schema does not list them.
    pub choices: Vec<json::Value>,
    /// The meaning of the field.
    pub description: String,
    /// A value that it could have.
    pub example: Option<json::Value>,
}

impl Input {
    /// Dotted name.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.join(".")
    }

    /// The value that a person means by a string.
    ///
    /// # Errors
    ///
    /// What was expected.
    pub fn read(&self, text: &str) -> Result<json::Value, String> {
        let is_text = self.types.contains(&JsonType::String);
        let shown =
            |choice: &&json::Value| choice.as_str().map_or(choice.to_string(), str::to_owned);
        if !self.choices.is_empty() {
            let chosen = self.choices.iter().find(|choice| shown(choice) == text);
            let known: Vec<_> = self.choices.iter().map(|choice| shown(&choice)).collect();
            let expected = || format!("`{text}` is not one of {}", known.join(", "));
            return chosen.cloned().ok_or_else(expected);
        }
        if is_text && self.types.len() == 1 {
            return Ok(text.into());
        }
        match json::parse(text.as_bytes()) {
            Ok(value) if self.takes(&value) => Ok(value),
            _ if is_text || self.types.is_empty() => Ok(text.into()),
            _ => {
                let types: Vec<_> = self.types.iter().map(|kind| kind.name()).collect();
                Err(format!("`{text}` is not of type {}", types.join(" or ")))
            }
        }
    }

    /// True if a value is of a type that it may have. Whether an integer is one, the contract says.
    fn takes(&self, value: &json::Value) -> bool {
        let kind = match value {
            json::Value::Null => JsonType::Null,
            json::Value::Bool(_) => JsonType::Boolean,
            json::Value::Number(_) => JsonType::Number,
            json::Value::String(_) => JsonType::String,
            json::Value::Array(_) => JsonType::Array,
            json::Value::Object(_) => JsonType::Object,
        };
        let is_integer = kind == JsonType::Number && self.types.contains(&JsonType::Integer);
        self.types.is_empty() || self.types.contains(&kind) || is_integer
    }
}

impl Contract {
    /// The fields that a call can fill in, in the order of their names; the first [`MAX_INPUTS`], down
    /// to [`MAX_INPUT_DEPTH`] names.
    #[must_use]
    pub fn inputs(&self) -> Vec<Input> {
        let mut found = Found { inputs: Vec::new(), path: Vec::new(), scanned: 0 };
        self.collect(self.schema.document(), &mut found);
        found.inputs
    }

    fn collect(&self, schema: &Value, found: &mut Found) {
        let properties = self.schema.resolved(schema).get("properties").and_then(Value::as_object);
        for (name, declared) in properties.into_iter().flatten() {
            found.scanned += 1;
            if found.inputs.len() == MAX_INPUTS || found.scanned > MAX_SCANNED_INPUTS {
                return;
            }
            found.path.push(name.clone());
            let resolved = self.schema.resolved(declared);
            let is_deep = found.path.len() >= MAX_INPUT_DEPTH;
            let has_fields = resolved.get("properties").is_some() && !is_deep;
            match has_fields {
                true => self.collect(resolved, found),
                false => found.inputs.push(self.input(declared, &found.path)),
            }
            found.path.pop();
        }
    }

    fn input(&self, declared: &Value, path: &[String]) -> Input {
        let resolved = self.schema.resolved(declared);
        let keyword = |name: &str| declared.get(name).or_else(|| resolved.get(name));
        let list = |name: &str| keyword(name).and_then(Value::as_array);
        let types = match self.schema.field(path) {
            FieldType::Known(types) => types,
            FieldType::Open | FieldType::Unknown => BTreeSet::new(),
        };
        Input {
            path: path.to_vec(),
            types,
            choices: list("enum").into_iter().flatten().map(json::Value::from).collect(),
            description: keyword("description")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            example: list("examples").and_then(|examples| examples.first()).map(json::Value::from),
        }
    }
}

/// The fields so far, and the names that lead to where the search is.
struct Found {
    inputs: Vec<Input>,
    path: Vec<String>,
    scanned: usize,
}

/// Arguments with these values at their places.
#[must_use]
pub fn arguments_of(values: Vec<(Vec<String>, json::Value)>) -> json::Map {
    let mut arguments = json::Map::new();
    for (path, value) in values {
        state::put(&mut arguments, &path, value);
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::json::json;
    use crate::contract::ContractSet;

    const CONTRACT: &str = "
contract: things
version: 1
key: id
state:
  type: object
  properties:
    id: {type: string}
    count: {type: integer, description: How many., examples: [3]}
    is_on: {type: boolean}
    kind: {enum: [a, 2, null]}
    place: {$ref: '#/$defs/point'}
    tags: {type: array, items: {type: string}}
    either: {type: [string, number]}
    any: {}
  $defs:
    point: {type: object, properties: {x: {type: number}, y: {type: number}}}
";

    fn inputs() -> Vec<Input> {
        let (set, diagnostics) = ContractSet::load(&[("things.yaml".into(), CONTRACT.to_owned())]);
        assert!(diagnostics.is_empty(), "{diagnostics:?}");
        set.get("things").unwrap().inputs()
    }

    #[test]
    fn every_named_field_can_be_filled_in() {
        let names: Vec<_> = inputs().iter().map(Input::name).collect();
        let mut expected =
            ["id", "count", "is_on", "kind", "place.x", "place.y", "tags", "either", "any"];
        expected.sort_unstable();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, expected);
    }

    #[test]
    fn a_text_means_a_value_of_the_type() {
        let inputs = inputs();
        for (name, text, expected) in [
            ("id", "7", Ok(json!("7"))),
            ("count", "7", Ok(json!(7))),
            ("count", "7.25", Ok(json!(7.25))),
            ("count", "many", Err("`many` is not of type integer")),
            ("is_on", "true", Ok(json!(true))),
            ("is_on", "yes", Err("`yes` is not of type boolean")),
            ("kind", "a", Ok(json!("a"))),
            ("kind", "2", Ok(json!(2))),
            ("kind", "b", Err("`b` is not one of a, 2, null")),
            ("place.x", "-0.25", Ok(json!(-0.25))),
            ("tags", "[\"x\"]", Ok(json!(["x"]))),
            ("tags", "x", Err("`x` is not of type array")),
            ("either", "7", Ok(json!(7))),
            ("either", "x", Ok(json!("x"))),
            ("any", "{\"a\": 1}", Ok(json!({"a": 1}))),
            ("any", "x", Ok(json!("x"))),
        ] {
            let input = inputs.iter().find(|input| input.name() == name).unwrap();
            assert_eq!(input.read(text), expected.map_err(str::to_owned), "{name} {text}");
        }
    }
}
