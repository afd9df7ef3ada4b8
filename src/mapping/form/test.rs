//! The `tests` of a mapping: events or records, and the expected result.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::present;
use crate::codec::json::Value;
use crate::codec::yaml::{Exact, Located};
use crate::event::{BodyForm, IdentityForm};

/// An event, and what the mapping makes of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestForm {
    /// Name of the test.
    pub name: String,
    /// The event in its parts. What is not said of topic, device type and event type is taken from
    /// `match`.
    #[serde(default)]
    pub event: Option<EventForm>,
    /// Or the Kafka record as it arrives, from which identity and body are read as in the pipeline.
    #[serde(default)]
    pub record: Option<RecordForm>,
    /// The identity methods for `record`, in the form of `source.identity`; those of the
    /// configuration where absent, `auto` where there is none.
    #[serde(default)]
    pub identity: Option<Located<IdentityForm>>,
    /// The form of `value`, as in `source.body`; that of the configuration where absent, JSON where
    /// there is none.
    #[serde(default)]
    pub body: Option<Located<BodyForm>>,
    /// The result.
    pub expect: Located<ExpectForm>,
}

/// An event in its parts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventForm {
    /// The body as mappings see it.
    #[serde(default, deserialize_with = "present")]
    pub payload: Option<Located<Exact>>,
    /// Or the record's value, from which the body is read.
    #[serde(default)]
    pub value: Option<Located<BytesForm>>,
    /// The sender.
    #[serde(default)]
    pub device: DeviceForm,
    /// Type, format and time.
    #[serde(default)]
    pub event: EventInfoForm,
    /// Its place in Kafka, with key and headers.
    #[serde(default)]
    pub kafka: KafkaForm,
}

/// The sender of an event.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceForm {
    /// Organisation.
    #[serde(default)]
    pub org: Option<String>,
    /// Device type.
    #[serde(default, rename = "type")]
    pub device_type: Option<String>,
    /// Device id.
    #[serde(default)]
    pub id: Option<String>,
}

/// Type, format and time of an event.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventInfoForm {
    /// Event type.
    #[serde(default, rename = "type")]
    pub event_type: Option<String>,
    /// Payload format.
    #[serde(default)]
    pub format: Option<String>,
    /// The event time: a timestamp in text.
    #[serde(default)]
    pub time: Option<Located<String>>,
}

/// The place of an event in Kafka, with key and headers.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaForm {
    /// Topic.
    #[serde(default)]
    pub topic: Option<String>,
    /// Partition, from 0.
    #[serde(default)]
    pub partition: u32,
    /// Offset, from 0.
    #[serde(default)]
    pub offset: u64,
    /// The broker's timestamp in milliseconds since 1970.
    #[serde(default)]
    pub timestamp: Option<i64>,
    /// Record key.
    #[serde(default)]
    pub key: Option<Located<BytesForm>>,
    /// Record headers.
    #[serde(default)]
    pub headers: BTreeMap<String, Located<BytesForm>>,
}

/// A Kafka record as it arrives.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordForm {
    /// Record value. A tombstone where absent.
    #[serde(default)]
    pub value: Option<Located<BytesForm>>,
    /// Its place in Kafka, with key and headers.
    #[serde(default)]
    pub kafka: KafkaForm,
}

/// The result of an event.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExpectForm {
    /// The arguments of each payload, in order. Numbers are compared by value.
    Payloads(Vec<Exact>),
    /// The mapping does not take the event.
    Filtered,
    /// The event goes to the dead letters.
    Rejected(RejectedForm),
}

/// The reason why an event is rejected.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RejectedForm {
    /// Name of the cause, such as `missing_field`, `field_type`, `lookup` or `expression`.
    pub cause: Located<String>,
    /// JSONPath of the value, as in the mapping; `$.item` is given by the place of the
    /// element, such as `$.payload.readings[1].t`. A place in the body is `line 1, column 5` or `byte 3`. Not compared where absent.
    #[serde(default)]
    pub path: Option<String>,
}

/// Bytes of a record: a text, which stands for its UTF-8 bytes, or `base64` or `hex`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BytesForm {
    /// A text.
    Text(String),
    /// Base64 with padding (RFC 4648, section 4). White space is ignored.
    Base64(String),
    /// Pairs of hexadecimal digits. White space is ignored.
    Hex(String),
}

impl BytesForm {
    /// The bytes, or what is wrong with the text.
    pub fn bytes(&self) -> Result<Vec<u8>, String> {
        let compact = |text: &str| text.split_ascii_whitespace().collect::<String>();
        match self {
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::Base64(text) => BASE64_STANDARD
                .decode(compact(text))
                .map_err(|error| format!("`base64` is not valid: {error}")),
            Self::Hex(text) => {
                hex::decode(compact(text)).map_err(|error| format!("`hex` is not valid: {error}"))
            }
        }
    }
}

impl<'de> Deserialize<'de> for BytesForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const EXPECTED: &str = "a text, `{ base64: … }` or `{ hex: … }` is expected";
        let Exact(value) = Exact::deserialize(deserializer)?;
        if let Some(text) = scalar(&value) {
            return Ok(Self::Text(text));
        }
        let Value::Object(members) = value else { return Err(D::Error::custom(EXPECTED)) };
        let mut members = members.iter();
        let (Some((name, value)), None) = (members.next(), members.next()) else {
            return Err(D::Error::custom(EXPECTED));
        };
        let text = scalar(value).ok_or_else(|| D::Error::custom(EXPECTED))?;
        match name.as_str() {
            "base64" => Ok(Self::Base64(text)),
            "hex" => Ok(Self::Hex(text)),
            other => Err(D::Error::custom(format!("`{other}` is not an encoding: {EXPECTED}"))),
        }
    }
}

/// The text of a scalar, as it is written.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_string()),
        Value::Number(number) => Some(number.as_str().to_owned()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

impl JsonSchema for BytesForm {
    fn schema_name() -> Cow<'static, str> {
        "BytesForm".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let of = |name: &str, description: &str| {
            let text = serde_json::json!({"type": "string", "description": description});
            serde_json::json!({
                "type": "object",
                "properties": {name: text},
                "required": [name],
                "additionalProperties": false,
            })
        };
        schemars::json_schema!({
            "description": "Bytes of a record: a text, which stands for its UTF-8 bytes, or `base64` or `hex`.",
            "anyOf": [
                {"type": ["string", "number", "boolean"]},
                of("base64", "Base64 with padding (RFC 4648, section 4). White space is ignored."),
                of("hex", "Pairs of hexadecimal digits. White space is ignored."),
            ],
        })
    }
}
