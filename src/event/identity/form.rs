//! The identity configuration as it is written.

mod read;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::codec::yaml::Located;
use crate::diagnostic::Place;
use crate::event::time::{Ambiguous, Unit};

/// Identification of device and event: methods that are tried in order until one identifies the
/// device.
///
/// ```yaml
/// identity: [auto]
/// # or, for instance
/// identity:
///   - platform_key
///   - mqtt_topic: key
///   - mqtt_topic: { template: 'plant/{org}/{type}/{id}/{event}' }
///   - paths: { type: $.payload.kind, id: $.payload.serial, time: { path: $.payload.at, unit: s } }
///   - expression: { type: '"pump"', id: 'payload.name.split("-")[1]' }
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct IdentityForm(pub Vec<Located<WayForm>>);

impl Default for IdentityForm {
    fn default() -> Self {
        Self(vec![Located { value: WayForm::Auto, place: Place::START }])
    }
}

/// One way to identify device and event.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WayForm {
    /// `platform_key`, `mqtt_topic` (in the key, or in the header `mqtt-topic`, `mqtt.topic` or
    /// `mqtt_topic`), `cloudevents`, `type_id_key`, then `plain`.
    Auto,
    /// The key is JSON: `{"orgId","deviceType","deviceId","eventType","format","timestamp"}`.
    PlatformKey,
    /// The key is `type:id`, the value `{"typeId","deviceId","eventId","format","timestamp","payload"}`
    /// with the payload in base64.
    TypeIdKey,
    /// `iot-2/type/{deviceType}/id/{deviceId}/evt/{eventType}/fmt/{format}`, or
    /// `iot-2/evt/{eventType}/fmt/{format}`, where a later way must tell the device. With a template:
    /// any other topic.
    MqttTopic(TopicForm),
    /// `CloudEvents` 1.0, binary or structured. Device id, device type and organisation are the last
    /// three parts of `source` and `subject`: of source `/plant1/press` and subject `7`, of source
    /// `/plant1/press/7` and of source `urn:plant1:press:7` alike.
    Cloudevents,
    /// Paths into the event, `$.payload…` or `$.kafka…`.
    Paths(Box<PathsForm>),
    /// CEL over `payload` and `kafka`.
    Expression(Box<ExpressionsForm>),
    /// No identity: any record is taken, with an empty device.
    Plain,
}

/// Place of the MQTT topic that a bridge forwards, and the meaning of its levels. `mqtt_topic: key`
/// is the short form for a topic of the platform in the record's key.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum TopicForm {
    /// The short form.
    Short(TopicKey),
    /// The long form.
    Full(FullTopicForm),
}

/// The short form of a topic's place.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TopicKey {
    /// The record's key, with a topic of the platform.
    Key,
}

/// Place of the MQTT topic that a bridge forwards: the record's key unless `header` or `path` is
/// given.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FullTopicForm {
    /// The topic is in the header of this name, which is case-sensitive.
    pub header: Option<Located<String>>,
    /// The topic is at this path, such as `$.payload.topic`.
    pub path: Option<Located<String>>,
    /// Levels of the topic, `plant/{org}/{type}/{id}/{event}`: `{org}`, `{type}`, `{id}`, `{event}` and
    /// `{format}` are parts of the identity; a placeholder of another name, and `+`, is any level; `#`
    /// at the end is any number of levels. The platform's topics where absent.
    pub template: Option<Located<String>>,
}

/// Places of device and event. A string that begins with `$` is a path of steps `.name`, `['name']`
/// and `[0]` into `$.payload` or `$.kafka.{topic,partition,offset,timestamp,key,headers.NAME}`; any
/// other text is a constant.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PathsForm {
    /// Organisation; empty where absent.
    pub org: Option<Located<String>>,
    /// Device type.
    #[serde(rename = "type")]
    pub device_type: Located<String>,
    /// Device id.
    pub id: Located<String>,
    /// Event type; empty where absent.
    pub event: Option<Located<String>>,
    /// Payload format; `json` where absent.
    pub format: Option<Located<String>>,
    /// Time: a path, or `path` with options. The broker's timestamp where absent.
    pub time: Option<Located<TimeForm>>,
}

/// Expressions in CEL for device and event, over `payload` and `kafka`. One that gives null, or misses a
/// field, gives nothing.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpressionsForm {
    /// Organisation; empty where absent.
    pub org: Option<Located<String>>,
    /// Device type.
    #[serde(rename = "type")]
    pub device_type: Located<String>,
    /// Device id.
    pub id: Located<String>,
    /// Event type; empty where absent.
    pub event: Option<Located<String>>,
    /// Payload format; `json` where absent.
    pub format: Option<Located<String>>,
    /// Time: an expression, or `expression` with options. The broker's timestamp where absent.
    pub time: Option<Located<TimeForm>>,
}

/// Source and format of the event time: a path or an expression alone, or its long form.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum TimeForm {
    /// The path or the expression.
    Short(String),
    /// The long form.
    Full(Box<FullTimeForm>),
}

/// Source and format of the event time: text in RFC 3339, or a number since 1970.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FullTimeForm {
    /// Path of the time, within `paths`.
    pub path: Option<Located<String>>,
    /// CEL that gives the time, within `expression`.
    pub expression: Option<Located<String>>,
    /// Unit of a number. Without it a number is in milliseconds, and one that makes no sense so is
    /// refused.
    pub unit: Option<Located<Unit>>,
    /// Time zone of text without an offset, such as `Europe/Berlin` or `+08:00`.
    pub zone: Option<Located<String>>,
    /// Format of the text with the directives of strptime, such as `%d.%m.%Y %H:%M:%S`.
    pub format: Option<Located<String>>,
    /// Reading of a local time that there is twice: `refuse` where absent.
    pub ambiguous: Option<Located<Ambiguous>>,
}
