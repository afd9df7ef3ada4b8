//! Templates of MQTT topics: `spBv1.0/{org}/{event}/{edge}/{id}`.
//!
//! A level is a string, a placeholder, or a placeholder with text around it (`dev-{id}`). `{org}`,
//! `{type}`, `{id}`, `{event}` and `{format}` name a part of the identity; a placeholder of any other
//! name, and `+`, stands for any one level. `#` at the end stands for any number of levels.

use crate::codec::json::Text;
use crate::event::{Device, EventInfo};
use crate::limits::MAX_PATH_BYTES;

/// A checked template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    text: String,
    levels: Vec<Level>,
    /// True if further levels may follow.
    open: bool,
}

/// One level of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Level {
    Text(String),
    Placeholder { before: String, part: Option<Part>, after: String },
}

/// A part of the identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Org,
    Type,
    Id,
    Event,
    Format,
}

impl Part {
    fn named(name: &str) -> Option<Self> {
        match name {
            "org" => Some(Self::Org),
            "type" => Some(Self::Type),
            "id" => Some(Self::Id),
            "event" => Some(Self::Event),
            "format" => Some(Self::Format),
            _ => None,
        }
    }
}

/// The parts of the identity in a topic.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) device: Device,
    pub(super) event: EventParts,
}

/// The parts of an event that a topic contains.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct EventParts {
    /// Event type.
    pub(super) event_type: Option<Text>,
    /// Payload format.
    pub(super) format: Option<Text>,
}

impl EventParts {
    /// These, and the others where these do not say.
    pub(super) fn or(self, others: Self) -> Self {
        Self {
            event_type: self.event_type.or(others.event_type),
            format: self.format.or(others.format),
        }
    }

    /// Puts them in place of what is known otherwise.
    pub(super) fn replace_in(self, info: &mut EventInfo) {
        if let Some(event_type) = self.event_type {
            info.event_type = event_type;
        }
        if let Some(format) = self.format {
            info.format = format;
        }
    }
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_PATH_BYTES {
            return Err(format!(
                "the template has {} bytes, the limit is {MAX_PATH_BYTES}",
                text.len()
            ));
        }
        let (levels, open) = match text.strip_suffix("/#") {
            Some(levels) => (levels, true),
            None => (text, false),
        };
        let levels = levels.split('/').map(level).collect::<Result<Vec<_>, _>>()?;
        let mut named: Vec<Part> = levels.iter().filter_map(Level::part).collect();
        let count = named.len();
        named.sort_by_key(|part| *part as u8);
        named.dedup();
        if named.len() < count {
            return Err(format!("duplicate placeholder in `{text}`"));
        }
        if !named.contains(&Part::Id) && !named.contains(&Part::Event) {
            return Err(format!("`{text}` has neither `{{id}}` nor `{{event}}`"));
        }
        Ok(Self { text: text.to_owned(), levels, open })
    }

    /// The template as it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// True if it tells the device, and not only the event.
    pub(super) fn has_id(&self) -> bool {
        self.levels.iter().any(|level| level.part() == Some(Part::Id))
    }

    /// True if it gives the device type.
    pub(super) fn has_type(&self) -> bool {
        self.levels.iter().any(|level| level.part() == Some(Part::Type))
    }

    /// True if it gives the event type.
    pub(super) fn has_event(&self) -> bool {
        self.levels.iter().any(|level| level.part() == Some(Part::Event))
    }

    /// Placeholders that differ only in case from a part of the identity that the template lacks.
    pub(super) fn likely_misspelt(&self) -> Vec<&str> {
        let names = self.text.split('{').skip(1).filter_map(|rest| rest.split('}').next());
        let is_misspelt = |name: &&str| {
            let meant = Part::named(&name.to_lowercase());
            Part::named(name).is_none()
                && meant.is_some_and(|part| !self.levels.iter().any(|l| l.part() == Some(part)))
        };
        names.filter(is_misspelt).collect()
    }

    /// The parts in a topic; `None` where the topic does not fit, as one whose id is empty.
    pub(super) fn read(&self, topic: &str) -> Option<Parts> {
        let mut parts = Parts { device: Device::default(), event: EventParts::default() };
        let mut found = topic.split('/');
        for level in &self.levels {
            let (part, value) = level.read(found.next()?)?;
            let place = match part {
                None => continue,
                Some(Part::Org) => &mut parts.device.org,
                Some(Part::Type) => &mut parts.device.device_type,
                Some(Part::Id) if value.is_empty() => return None,
                Some(Part::Id) => &mut parts.device.id,
                Some(Part::Event) => parts.event.event_type.get_or_insert_default(),
                Some(Part::Format) => parts.event.format.get_or_insert_default(),
            };
            *place = Text::new(value);
        }
        (self.open || found.next().is_none()).then_some(parts)
    }
}

impl Level {
    fn part(&self) -> Option<Part> {
        match self {
            Self::Text(_) => None,
            Self::Placeholder { part, .. } => *part,
        }
    }

    /// The part of a topic's level that this pattern captures, and its text.
    fn read<'t>(&self, level: &'t str) -> Option<(Option<Part>, &'t str)> {
        match self {
            Self::Text(text) => (text == level).then_some((None, level)),
            Self::Placeholder { before, part, after } => {
                let value = level.strip_prefix(before.as_str())?.strip_suffix(after.as_str())?;
                Some((*part, value))
            }
        }
    }
}

fn level(text: &str) -> Result<Level, String> {
    if text == "+" {
        let any = String::new();
        return Ok(Level::Placeholder { before: any.clone(), part: None, after: any });
    }
    let wrong = |what: &str| Err(format!("the level `{text}` {what}"));
    let Some((before, rest)) = text.split_once('{') else {
        return match text.contains(['+', '#', '}']) {
            true => wrong("mixes a wildcard with text; `+` is a whole level, `#` the last one"),
            false => Ok(Level::Text(text.to_owned())),
        };
    };
    let Some((name, after)) = rest.split_once('}') else { return wrong("lacks a `}`") };
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    if name.is_empty() || !name.chars().all(plain) {
        return wrong("has a placeholder without a name of letters and digits");
    }
    if before.contains(['+', '#', '}']) || after.contains(['+', '#', '{', '}']) {
        return wrong("has more than one placeholder or wildcard");
    }
    Ok(Level::Placeholder {
        before: before.to_owned(),
        part: Part::named(name),
        after: after.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::JSON;
    use proptest::prelude::*;

    fn read(template: &str, topic: &str) -> Option<String> {
        let Parts { device, event } = Template::parse(template).unwrap().read(topic)?;
        let Device { org, device_type, id } = device;
        let mut info = EventInfo { format: JSON, ..EventInfo::default() };
        event.replace_in(&mut info);
        Some(format!("{org}|{device_type}|{id}|{}|{}", info.event_type, info.format))
    }

    #[test]
    fn placeholders_take_their_level() {
        for (template, topic, expected) in [
            ("{org}/hall1/{type}/{id}/{event}", "f/hall1/l3/p7/state", Some("f|l3|p7|state|json")),
            ("spBv1.0/{org}/{event}/{edge}/{id}", "spBv1.0/g/DDATA/e/d", Some("g||d|DDATA|json")),
            (
                "iot-2/type/{type}/id/{id}/evt/{event}/fmt/{format}",
                "iot-2/type/t/id/i/evt/e/fmt/xml",
                Some("|t|i|e|xml"),
            ),
            ("+/{id}", "a/b", Some("||b||json")),
            ("+/{id}", "a/b/c", None),
            ("+/{id}", "b", None),
            ("{id}/#", "a/b/c", Some("||a||json")),
            ("{id}/#", "a", Some("||a||json")),
            ("/dev-{id}.v1/up", "/dev-7.v1/up", Some("||7||json")),
            ("dev-{id}", "dve-7", None),
            ("é{id}é", "é", None),
            ("{id}", "", None),
            ("f/{type}/{id}", "f/a/", None),
            ("f/{type}/dev-{id}", "f/a/dev-", None),
            ("f/{type}/{id}", "f//b", Some("||b||json")),
        ] {
            assert_eq!(read(template, topic).as_deref(), expected, "{template} {topic}");
        }
    }

    #[test]
    fn other_templates_are_refused() {
        for (template, expected) in [
            ("a/b", "neither `{id}` nor `{event}`"),
            ("#", "mixes a wildcard"),
            ("{id}/{id}", "duplicate placeholder"),
            ("{id", "lacks a `}`"),
            ("{}", "without a name"),
            ("{id}{event}", "more than one placeholder"),
            ("a+/{id}", "mixes a wildcard"),
            ("#/{id}", "mixes a wildcard"),
            ("{id}/a#", "mixes a wildcard"),
        ] {
            let message = Template::parse(template).unwrap_err();
            assert!(message.contains(expected), "{template}: {message}");
        }
        assert!(Template::parse(&format!("{{id}}{}", "/a".repeat(MAX_PATH_BYTES))).is_err());
    }

    proptest! {
        #[test]
        fn any_template_and_topic_are_judged(
            template in "([a/+#{}]|\\{id\\}|\\PC){0,12}",
            topic in "(a|/|\\PC){0,12}",
        ) {
            if let Ok(template) = Template::parse(&template) {
                let _ = template.read(&topic);
            }
        }
    }
}
