//! The event as one document, of which only the parts that a mapping uses are built.

use std::borrow::Cow;
use std::cell::OnceCell;

use crate::budget::Budget;
use crate::codec::json::Value;

use super::origin::Origin;
use crate::event::{Event, Surroundings};
use crate::jsonpath::{Node, Path, Root, SelectError, Step, Work, resolve};
use crate::limits::{MAX_PARENTS, PATH_WORK_PER_STEP};

/// A part of the document: what follows the `$`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Payload,
    Device,
    Event,
    Kafka,
    /// The element of `for_each`.
    Item,
    /// Its number among the elements, from 0.
    Index,
    /// Its name, where it is a member of an object.
    Key,
    /// Names and positions that lead from the payload to it.
    Path,
    /// An object that it is in, the nearest first.
    Parent(usize),
}

/// Names of the parents' variables.
const PARENTS: [&str; MAX_PARENTS] = [
    "parents[0]",
    "parents[1]",
    "parents[2]",
    "parents[3]",
    "parents[4]",
    "parents[5]",
    "parents[6]",
    "parents[7]",
];
/// The root of paths into parents, before the number.
pub(super) const PARENTS_NAME: &str = "parents";

impl Part {
    /// The parts of every event.
    pub const OF_EVENT: [Self; 4] = [Self::Payload, Self::Device, Self::Event, Self::Kafka];
    /// The parts that fields see within a `for_each` of values that an expression gives.
    pub const OF_LISTED: [Self; 6] =
        [Self::Payload, Self::Device, Self::Event, Self::Kafka, Self::Item, Self::Index];
    /// The parts that fields see within a `for_each` of values of the payload.
    pub const OF_ITEM: [Self; 8 + MAX_PARENTS] = [
        Self::Payload,
        Self::Device,
        Self::Event,
        Self::Kafka,
        Self::Item,
        Self::Index,
        Self::Key,
        Self::Path,
        Self::Parent(0),
        Self::Parent(1),
        Self::Parent(2),
        Self::Parent(3),
        Self::Parent(4),
        Self::Parent(5),
        Self::Parent(6),
        Self::Parent(7),
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Payload => "payload",
            Self::Device => "device",
            Self::Event => "event",
            Self::Kafka => "kafka",
            Self::Item => "item",
            Self::Index => "index",
            Self::Key => "key",
            Self::Path => "path",
            Self::Parent(number) => PARENTS.get(number).copied().unwrap_or(PARENTS_NAME),
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::OF_ITEM.into_iter().find(|part| part.name() == name)
    }

    /// The part that the steps behind the `$` begin with.
    pub fn of_steps(steps: &[Step]) -> Option<Self> {
        match steps {
            [Step::Name(name), Step::Index(number), ..] if name == PARENTS_NAME => {
                let number = usize::try_from(*number).ok()?;
                (number < MAX_PARENTS).then_some(Self::Parent(number))
            }
            [Step::Name(name), ..] => Self::named(name),
            _ => None,
        }
    }

    /// Steps that name the part.
    pub fn width(self) -> usize {
        if matches!(self, Self::Parent(_)) { 2 } else { 1 }
    }

    /// True if it says where an element is.
    pub fn is_origin(self) -> bool {
        matches!(self, Self::Key | Self::Path | Self::Parent(_))
    }

    /// The members of a part that does not come from the device; none where any name may stand.
    pub fn members(self) -> &'static [&'static str] {
        match self {
            Self::Device => &["org", "type", "id"],
            Self::Event => &["type", "format", "time"],
            Self::Kafka => &Surroundings::MEMBERS,
            _ => &[],
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
            _ => return None,
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
            (Part::Event, "time") => info.time_text().map(Value::from),
            (Part::Kafka, name) => Surroundings::from(self.event).member(name),
            _ => None,
        }
    }
}

/// One element of `for_each`.
pub(super) struct Item<'a> {
    pub value: &'a Value,
    /// Its number among the elements, from 0.
    pub index: Value,
    /// Its position, for messages.
    pub found: Found<'a>,
    /// Its position, for fields that ask for it.
    pub origin: Option<Origin<'a>>,
}

/// The position of an element of `for_each`.
pub(super) enum Found<'a> {
    /// In the array of this name, at the element's index.
    In(&'a str),
    /// At this path.
    At(String),
}

impl Item<'_> {
    /// Its position, as a path.
    pub fn location(&self) -> String {
        match &self.found {
            Found::In(array) => format!("{array}[{}]", self.index),
            Found::At(path) => path.clone(),
        }
    }
}

/// The data visible to the fields of one payload.
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
            Part::Key => self.item?.origin.as_ref()?.key.as_ref(),
            Part::Path => Some(&self.item?.origin.as_ref()?.path),
            Part::Parent(number) => self.item?.origin.as_ref()?.parents.get(number).copied(),
            part => self.document.part(part),
        }
    }

    /// The part that steps begin with, and how many of them name it.
    fn begin(self, steps: &[Step]) -> Option<(&'a Value, usize)> {
        let part = Part::of_steps(steps)?;
        Some((self.part(part)?, part.width()))
    }

    /// The nodes of a query. Its work, which is bounded for itself, is paid for when it is done.
    pub fn nodes(self, path: &Path) -> Result<Vec<Node<'a>>, SelectError> {
        let begin = |steps: &[Step]| self.begin(steps);
        let before = self.document.work.left();
        let nodes = path.nodes_in(Root::Parts(&begin), &self.document.work);
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
