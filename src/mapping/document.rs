//! The event as one document, of which only the parts that a mapping names are ever put together.

use std::borrow::Cow;
use std::cell::OnceCell;

use crate::budget::Budget;
use crate::codec::json::{Map, Value};

use super::jsonpath::{Node, Path, Root, SelectError, Step, Work, resolve};
use crate::event::{Event, time};
use crate::limits::PATH_WORK_PER_STEP;

/// A part of the document: what follows the `$`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Payload,
    Device,
    Event,
    Kafka,
    /// The element of `for_each`.
    Item,
    /// Its position, from 0.
    Index,
}

impl Part {
    /// The parts of every event.
    pub const OF_EVENT: [Self; 4] = [Self::Payload, Self::Device, Self::Event, Self::Kafka];
    /// The parts that fields see within `for_each`.
    pub const OF_ITEM: [Self; 6] =
        [Self::Payload, Self::Device, Self::Event, Self::Kafka, Self::Item, Self::Index];

    pub fn name(self) -> &'static str {
        match self {
            Self::Payload => "payload",
            Self::Device => "device",
            Self::Event => "event",
            Self::Kafka => "kafka",
            Self::Item => "item",
            Self::Index => "index",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::OF_ITEM.into_iter().find(|part| part.name() == name)
    }

    /// The members of a part that does not come from the device; none where any name may stand.
    pub fn members(self) -> &'static [&'static str] {
        match self {
            Self::Device => &["org", "type", "id"],
            Self::Event => &["type", "format", "time"],
            Self::Kafka => &["topic", "partition", "offset", "timestamp", "key", "headers"],
            Self::Payload | Self::Item | Self::Index => &[],
        }
    }
}

/// An event as mappings see it. What the event does not know (an organisation, a key that is not
/// UTF-8) is absent from the document.
pub(super) struct Document<'a> {
    event: &'a Event,
    device: OnceCell<Value>,
    info: OnceCell<Value>,
    kafka: OnceCell<Value>,
    /// Pays for all that is done on the event.
    budget: &'a Budget,
    work: Work,
}

impl<'a> Document<'a> {
    pub fn new(event: &'a Event, budget: &'a Budget) -> Self {
        Self {
            event,
            device: OnceCell::new(),
            info: OnceCell::new(),
            kafka: OnceCell::new(),
            budget,
            work: Work::default(),
        }
    }

    /// The budget that all mappings of this event share.
    pub fn budget(&self) -> &'a Budget {
        self.budget
    }

    pub fn event(&self) -> &'a Event {
        self.event
    }

    fn part(&self, part: Part) -> Option<&Value> {
        let built = |cell: &'_ OnceCell<Value>| {
            let object = || {
                let members = part.members().iter();
                let given = members.filter_map(|name| Some((*name, self.member(part, name)?)));
                Value::Object(given.map(|(name, value)| (name.to_owned(), value)).collect())
            };
            cell.get_or_init(object);
        };
        let cell = match part {
            Part::Payload => return Some(&self.event.payload),
            Part::Device => &self.device,
            Part::Event => &self.info,
            Part::Kafka => &self.kafka,
            Part::Item | Part::Index => return None,
        };
        built(cell);
        cell.get()
    }

    /// A member of a part that is not the payload, without the part around it.
    fn member(&self, part: Part, name: &str) -> Option<Value> {
        let text = |text: &str| (!text.is_empty()).then(|| Value::from(text));
        let Event { device, info, .. } = self.event;
        match (part, name) {
            (Part::Device, "org") => text(&device.org),
            (Part::Device, "type") => text(&device.device_type),
            (Part::Device, "id") => text(&device.id),
            (Part::Event, "type") => text(&info.event_type),
            (Part::Event, "format") => text(&info.format),
            (Part::Event, "time") => time::format(info.time_ms?).map(Value::from),
            (Part::Kafka, "topic") => text(&self.event.partition.topic),
            (Part::Kafka, "partition") => Some(self.event.partition.partition.into()),
            (Part::Kafka, "offset") => Some(self.event.offset.into()),
            (Part::Kafka, "timestamp") => self.event.timestamp_ms.map(Value::from),
            (Part::Kafka, "key") => {
                std::str::from_utf8(self.event.key.as_deref()?).ok().map(Value::from)
            }
            (Part::Kafka, "headers") => Some(self.headers()),
            _ => None,
        }
    }

    /// Headers by name; of equal names the first, and only values that are UTF-8.
    fn headers(&self) -> Value {
        let mut headers = Map::new();
        for (name, value) in self.event.headers().iter() {
            if let Some(Ok(value)) = value.map(std::str::from_utf8)
                && !headers.contains_key(name)
            {
                headers.insert(name.to_owned(), value.into());
            }
        }
        Value::Object(headers)
    }
}

/// One element of `for_each`.
pub(super) struct Item<'a> {
    pub value: &'a Value,
    /// Its position, from 0.
    pub index: Value,
    /// Where it stands, as a path.
    pub location: String,
}

/// What the fields of one payload see.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub document: &'a Document<'a>,
    pub item: Option<&'a Item<'a>>,
}

impl<'a> Scope<'a> {
    pub fn part(self, part: Part) -> Option<&'a Value> {
        match part {
            Part::Item => self.item.map(|item| item.value),
            Part::Index => self.item.map(|item| &item.index),
            part => self.document.part(part),
        }
    }

    /// The nodes of a query. Its work, which is bounded for itself, is paid for when it is done.
    pub fn nodes(self, path: &Path) -> Result<Vec<Node<'a>>, SelectError> {
        let member = |name: &str| self.part(Part::named(name)?);
        let before = self.document.work.left();
        let nodes = path.nodes_in(Root::Members(&member), &self.document.work);
        let steps = (before - self.document.work.left()) / PATH_WORK_PER_STEP;
        self.document.budget.spend(steps as u64)?;
        nodes
    }

    /// The value at the end of the steps within a part.
    pub fn resolve(self, part: Part, steps: &[Step]) -> Option<Cow<'a, Value>> {
        match steps {
            [Step::Name(name)] if !part.members().is_empty() => {
                self.document.member(part, name).map(Cow::Owned)
            }
            steps => resolve(self.part(part)?, steps).map(Cow::Borrowed),
        }
    }
}
