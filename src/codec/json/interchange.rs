//! Our values as `serde_json`'s and as any of serde's, for whatever is not on an event's way.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Deserialize;
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::{Map, Number, Value};

impl From<&serde_json::Value> for Value {
    fn from(value: &serde_json::Value) -> Self {
        use serde_json::Value as Other;
        match value {
            Other::Null => Self::Null,
            Other::Bool(truth) => Self::Bool(*truth),
            Other::Number(number) => Self::Number(Number::from_digits(number.as_str())),
            Other::String(text) => Self::String(text.into()),
            Other::Array(elements) => Self::Array(elements.iter().map(Self::from).collect()),
            Other::Object(members) => Self::Object(members.into()),
        }
    }
}

impl From<&serde_json::Map<String, serde_json::Value>> for Map {
    fn from(members: &serde_json::Map<String, serde_json::Value>) -> Self {
        members.iter().map(|(name, value)| (name.as_str(), value.into())).collect()
    }
}

impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        Self::from(&value)
    }
}

impl From<&Value> for serde_json::Value {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Number(number) => number.as_str().parse().map_or(Self::Null, Self::Number),
            Value::String(text) => Self::String(text.to_string()),
            Value::Array(elements) => Self::Array(elements.iter().map(Self::from).collect()),
            Value::Object(map) => {
                Self::Object(map.iter().map(|(name, v)| (name.to_string(), v.into())).collect())
            }
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(truth) => serializer.serialize_bool(*truth),
            Self::Number(number) => {
                let number: Result<serde_json::Number, _> = number.as_str().parse();
                number.map_err(serde::ser::Error::custom)?.serialize(serializer)
            }
            Self::String(text) => serializer.serialize_str(text),
            Self::Array(elements) => serializer.collect_seq(elements),
            Self::Object(map) => map.serialize(serializer),
        }
    }
}

impl Serialize for Map {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(Some(self.len()))?;
        for (name, value) in self.iter() {
            members.serialize_entry(name.as_str(), value)?;
        }
        members.end()
    }
}

/// Without the rules of [`super::parse`].
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_json::Value::deserialize(deserializer).map(Self::from)
    }
}

impl<'de> Deserialize<'de> for Map {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Object(map) => Ok(map),
            other => {
                let message = format_args!("expected an object, found {other}");
                Err(serde::de::Error::custom(message))
            }
        }
    }
}

/// Any value.
impl JsonSchema for Value {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "AnyValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        true.into()
    }
}

/// Any object.
impl JsonSchema for Map {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "AnyObject".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object"})
    }
}
