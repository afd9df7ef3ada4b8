//! How records tell who sent them: the form in the configuration, and its checked ways.

use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::codec::yaml::Located;
use crate::event::path::{self, SingularPath};
use crate::fault::{Fault, Place};

/// How device and event are identified: ways that are tried in order until one knows the device.
///
/// ```yaml
/// identity: [auto]
/// # or, for instance
/// identity:
///   - platform_key
///   - mqtt_topic: key
///   - paths: { type: $.payload.kind, id: $.payload.serial, time: $.payload.at }
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
    /// `iot-2/evt/{eventType}/fmt/{format}`, where a later way must tell the device.
    MqttTopic(TopicPlaceForm),
    /// `CloudEvents` 1.0, binary or structured. Device id, device type and organisation are the last
    /// three parts of `source` and `subject`: of source `/plant1/press` and subject `7`, of source
    /// `/plant1/press/7` and of source `urn:plant1:press:7` alike.
    Cloudevents,
    /// Paths into the event, `$.payload…` or `$.kafka…`.
    Paths(Box<PathsForm>),
    /// No identity: any record is taken, with an empty device.
    Plain,
}

/// Where a bridge put the MQTT topic.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TopicPlaceForm {
    /// In the record's key.
    Key,
    /// In the header of this name.
    Header(String),
}

/// Where device and event stand. A text that begins with `$` is a path of steps `.name`, `['name']`
/// and `[0]` into `$.payload` or `$.kafka.{topic,partition,offset,timestamp,key,headers.NAME}`; any
/// other text is taken as it stands.
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
    /// Time: a timestamp in text, or an integer of milliseconds since 1970. The broker's timestamp
    /// where absent.
    pub time: Option<Located<String>>,
}

/// A checked way.
#[derive(Debug, Clone)]
pub(super) enum Way {
    PlatformKey,
    TypeIdKey,
    MqttKey,
    MqttHeader(String),
    CloudEvents,
    Paths(Box<Paths>),
    Plain,
}

impl Way {
    /// Whether it takes every record.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain)
    }

    /// The name in messages.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::PlatformKey => "platform_key",
            Self::TypeIdKey => "type_id_key",
            Self::MqttKey | Self::MqttHeader(_) => "mqtt_topic",
            Self::CloudEvents => "cloudevents",
            Self::Paths(_) => "paths",
            Self::Plain => "plain",
        }
    }
}

/// Checked paths.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    pub(super) org: Option<Selector>,
    pub(super) device_type: Selector,
    pub(super) id: Selector,
    pub(super) event: Option<Selector>,
    pub(super) format: Option<Selector>,
    pub(super) time: Option<SingularPath>,
}

/// A path or a text of its own.
#[derive(Debug, Clone)]
pub(super) enum Selector {
    Path(SingularPath),
    Text(String),
}

const AUTO_HEADERS: [&str; 3] = ["mqtt-topic", "mqtt.topic", "mqtt_topic"];

/// The ways of `auto`.
pub(super) fn auto() -> Vec<Way> {
    let mut ways = vec![Way::PlatformKey, Way::MqttKey];
    ways.extend(AUTO_HEADERS.map(|name| Way::MqttHeader(name.to_owned())));
    ways.extend([Way::CloudEvents, Way::TypeIdKey, Way::Plain]);
    ways
}

/// Checks the whole list and gives every fault in it.
pub(super) fn check(form: &IdentityForm, file: &Path) -> Result<Vec<Way>, Vec<Fault>> {
    let (mut ways, mut faults) = (Vec::new(), Vec::new());
    if form.0.is_empty() {
        let fault =
            Fault::error(file, Place::START, "`identity` is empty: no record could be read");
        faults.push(fault.help("leave it out, or write `identity: [auto]`"));
    }
    for (index, located) in form.0.iter().enumerate() {
        if ways.last().is_some_and(Way::is_plain) {
            let message = "this way is never tried: the one before takes every record";
            faults.push(Fault::error(file, located.place, message).help("put `plain` last"));
            break;
        }
        match &located.value {
            WayForm::Auto if index + 1 < form.0.len() => {
                ways.extend(auto().into_iter().filter(|way| !way.is_plain()));
            }
            WayForm::Auto => ways.extend(auto()),
            WayForm::PlatformKey => ways.push(Way::PlatformKey),
            WayForm::TypeIdKey => ways.push(Way::TypeIdKey),
            WayForm::MqttTopic(TopicPlaceForm::Key) => ways.push(Way::MqttKey),
            WayForm::MqttTopic(TopicPlaceForm::Header(name)) => {
                ways.push(Way::MqttHeader(name.clone()));
            }
            WayForm::Cloudevents => ways.push(Way::CloudEvents),
            WayForm::Paths(form) => match check_paths(form, file) {
                Ok(paths) => ways.push(Way::Paths(Box::new(paths))),
                Err(more) => faults.extend(more),
            },
            WayForm::Plain => ways.push(Way::Plain),
        }
    }
    if faults.is_empty() { Ok(ways) } else { Err(faults) }
}

fn check_paths(form: &PathsForm, file: &Path) -> Result<Paths, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut selector = |text: &Located<String>| match selector(text, file) {
        Ok(selector) => Some(selector),
        Err(fault) => {
            faults.push(fault);
            None
        }
    };
    let org = form.org.as_ref().and_then(&mut selector);
    let device_type = selector(&form.device_type);
    let id = selector(&form.id);
    let event = form.event.as_ref().and_then(&mut selector);
    let format = form.format.as_ref().and_then(&mut selector);
    let time = match form.time.as_ref().map(|text| (text.place, selector(text))) {
        Some((_, Some(Selector::Path(path)))) => Some(path),
        Some((place, Some(Selector::Text(text)))) => {
            let message = format!("`time` is the text `{text}`, the same for every event");
            faults.push(Fault::error(file, place, message).help("a path begins with `$.payload`"));
            None
        }
        Some((_, None)) | None => None,
    };
    match (device_type, id) {
        (Some(device_type), Some(id)) if faults.is_empty() => {
            Ok(Paths { org, device_type, id, event, format, time })
        }
        _ => Err(faults),
    }
}

fn selector(text: &Located<String>, file: &Path) -> Result<Selector, Fault> {
    if !text.value.starts_with('$') {
        return Ok(Selector::Text(text.value.clone()));
    }
    let path = path::parse(&text.value).map_err(|error| {
        let help = "identity takes steps only: `$.payload.a.b[0]`, `$.kafka.headers['device-id']`";
        Fault::error(file, text.place, error.to_string()).help(help)
    })?;
    Ok(Selector::Path(path))
}
