//! The YAML form of a mapping, as a data engineer writes it. Nothing here is checked beyond its
//! form; that is what `super::compile` does.

mod read;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::convert::FieldType;
use crate::call::Function;
use crate::codec::yaml::{Exact, Located};
use crate::event::time::{Ambiguous, Unit};

/// A mapping: which events it takes, which function of which contract it calls, and how the
/// arguments come out of the event.
///
/// Paths are JSONPath queries (RFC 9535) into the event as one document: `$.payload…`,
/// `$.device.{org,type,id}`, `$.event.{type,format,time}`,
/// `$.kafka.{topic,partition,offset,timestamp,key,headers}`, and within `for_each` `$.item…`, `$.index`,
/// `$.key`, `$.path` and `$.parents[0]…`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Ledgerline mapping")]
pub struct MappingForm {
    /// Name of the mapping, unique among all mappings: letters, digits, `_`, `-` and `.`.
    pub mapping: Located<String>,
    /// A description, for people.
    #[serde(default)]
    #[allow(dead_code)] // for readers of the file
    pub description: Option<String>,
    /// The events that it matches; every event if absent.
    #[serde(default, rename = "match")]
    pub matching: MatchForm,
    /// Name of the contract that is called.
    pub contract: Located<String>,
    /// Function of the contract.
    pub function: Located<Function>,
    /// JSONPath of an array: one payload for each of its elements. Or a query that selects the
    /// elements themselves, or `{expression: …}` in CEL that gives a list. Fields see the element as
    /// `$.item` and its number, from 0, as `$.index`; of elements of the payload also `$.key` (its name
    /// in an object), `$.path` (names and positions that lead to it) and `$.parents[0]` (the nearest
    /// object around it), `$.parents[1]`, ….
    #[serde(default)]
    pub for_each: Option<Located<ForEachForm>>,
    /// The arguments: dotted names of nested members, each with where its value comes from.
    #[serde(default)]
    pub fields: Entries<Located<FieldForm>>,
    /// Keep what no field takes of the payload: under `extension` where `true`, else under this
    /// dotted name. Within `for_each` it holds `payload` and `item`.
    #[serde(default)]
    pub extension: Option<Located<ExtensionForm>>,
    /// Events, and what the mapping makes of them.
    #[serde(default)]
    pub tests: Vec<Located<TestForm>>,
}

/// The elements of `for_each`: a JSONPath, or an expression.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub enum ForEachForm {
    /// A JSONPath.
    Path(String),
    /// The long form.
    Full(FullForEachForm),
}

/// The elements of `for_each`: exactly one of `path` and `expression`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FullForEachForm {
    /// JSONPath.
    #[serde(default)]
    pub path: Option<Located<String>>,
    /// CEL that gives a list, over `payload`, `device`, `event` and `kafka`.
    #[serde(default)]
    pub expression: Option<Located<String>>,
}

/// The events that a mapping matches: those that meet all conditions. A string may have the
/// wildcards `*` for any characters and `?` for one.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MatchForm {
    /// Kafka topic.
    #[serde(default)]
    pub topic: Option<Located<OneOrMany>>,
    /// Type of the device.
    #[serde(default)]
    pub device_type: Option<Located<OneOrMany>>,
    /// Type of the event.
    #[serde(default)]
    pub event_type: Option<Located<OneOrMany>>,
    /// Condition in CEL over `payload`, `device`, `event` and `kafka`. It does not hold where it
    /// misses a field.
    #[serde(default, rename = "where")]
    pub condition: Option<Located<String>>,
}

/// One text, or a list of which one must fit.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub enum OneOrMany {
    /// One text.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    /// All texts.
    #[must_use]
    pub fn texts(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

/// The source of a field's value: a JSONPath alone, or its long form.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub enum FieldForm {
    /// A JSONPath; the field is required and takes any type.
    Path(String),
    /// The long form.
    Full(Box<FullFieldForm>),
}

/// The source of a field's value: exactly one of `path`, `constant` and `expression`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FullFieldForm {
    /// JSONPath into the event. One that may select several values gives the list of them where
    /// `type` is `array`, and must select one otherwise.
    #[serde(default)]
    pub path: Option<Located<String>>,
    /// This value, always.
    #[serde(default, deserialize_with = "present")]
    pub constant: Option<Located<Exact>>,
    /// CEL over `payload`, `device`, `event`, `kafka`, and within `for_each` `item`, `index`, `key`,
    /// `path` and `parents[0]`. The field is absent where the expression misses a field.
    #[serde(default)]
    pub expression: Option<Located<String>>,
    /// True if an event without this field is rejected. Null counts as absent. Default: true,
    /// without `default`.
    #[serde(default)]
    pub required: Option<Located<bool>>,
    /// Value where the field is absent.
    #[serde(default, deserialize_with = "present")]
    pub default: Option<Located<Exact>>,
    /// Type of the argument. Values of other types are converted where that is exact, such as
    /// "21" or 21.0 to the integer 21, and rejected otherwise.
    #[serde(default, rename = "type")]
    pub declared: FieldType,
    /// Unit of a number, for `type: timestamp`. Without it a number is in milliseconds, and one that
    /// makes no sense so is refused.
    #[serde(default)]
    pub unit: Option<Located<Unit>>,
    /// Time zone of text without an offset, for `type: timestamp`: `Europe/Berlin`, `+08:00`.
    #[serde(default)]
    pub zone: Option<Located<String>>,
    /// Format of the text with the directives of strptime, for `type: timestamp`:
    /// `%d.%m.%Y %H:%M:%S`.
    #[serde(default)]
    pub format: Option<Located<String>>,
    /// Reading of a local time that there is twice, for `type: timestamp`: `refuse` where absent.
    #[serde(default)]
    pub ambiguous: Option<Located<Ambiguous>>,
    /// Table from the found text, number or boolean to the value. Numbers are compared by value.
    #[serde(default)]
    pub lookup: Option<Located<Entries<Located<Exact>>>>,
    /// Value for what stands not in `lookup`; rejected where absent.
    #[serde(default, deserialize_with = "present")]
    pub otherwise: Option<Located<Exact>>,
}

/// The target of `extension`.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub enum ExtensionForm {
    /// `true`: under `extension`.
    Flag(bool),
    /// Under this dotted name.
    Target(String),
}

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
    /// Or the Kafka record as it arrives; identity is found by `auto`.
    #[serde(default)]
    pub record: Option<RecordForm>,
    /// The expected result.
    pub expect: Located<ExpectForm>,
}

/// An event in its parts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventForm {
    /// The body.
    #[serde(default, deserialize_with = "present")]
    pub payload: Option<Located<Exact>>,
    /// The sender.
    #[serde(default)]
    pub device: DeviceForm,
    /// The metadata.
    #[serde(default)]
    pub event: EventInfoForm,
    /// The position in Kafka.
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

/// The metadata of an event.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventInfoForm {
    /// Event type.
    #[serde(default, rename = "type")]
    pub event_type: Option<String>,
    /// Payload format.
    #[serde(default)]
    pub format: Option<String>,
    /// The event time: a timestamp as text.
    #[serde(default)]
    pub time: Option<Located<String>>,
}

/// The position of an event in Kafka.
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
    pub key: Option<String>,
    /// Record headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// A Kafka record as it arrives.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordForm {
    /// Record value: the text of the body. A tombstone where absent.
    #[serde(default)]
    pub value: Option<String>,
    /// The position in Kafka, with key and headers.
    #[serde(default)]
    pub kafka: KafkaForm,
}

/// The expected result for an event.
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

/// Why an event is rejected.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RejectedForm {
    /// Name of the cause, such as `missing_field`, `field_type`, `lookup` or `expression`.
    pub cause: Located<String>,
    /// JSONPath of the value, as in the mapping; `$.item` is where the element stands:
    /// `$.payload.readings[1].t`. Not compared where absent.
    #[serde(default)]
    pub path: Option<String>,
}

/// A YAML mapping in the order of the file, with the place of each name.
#[derive(Debug)]
pub struct Entries<T>(pub Vec<(Located<String>, T)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// Tells `null` from absent.
fn present<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}
