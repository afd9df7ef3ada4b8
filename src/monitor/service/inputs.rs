//! Views of the inputs: connections, topics, and the times of events.

use schemars::JsonSchema;
use serde::Serialize;

use std::sync::Arc;

use super::PartitionView;
use crate::event::is_topic;
use crate::input::{HealthReport, StreamNames, StreamPrefix, TopicReport};
use crate::pipeline::FutureEvents;
use crate::query::views::time_text;

/// An open input, as the service shows it.
pub struct InputStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Its kind, such as `kafka`.
    pub kind: &'static str,
    /// Text in front of its topics in the names of its streams.
    pub prefix: StreamPrefix,
    /// Names of its streams.
    pub streams: StreamNames,
    /// Its health. It is asked often and must not wait for anything.
    pub health: Box<dyn Fn() -> HealthReport + Send + Sync>,
}

/// An input.
#[derive(Debug, Serialize, JsonSchema)]
pub struct InputView {
    /// Its name in the configuration.
    pub name: String,
    /// Its kind: `kafka`, `file` or `calls`.
    pub kind: &'static str,
    /// Its connection; absent where it has none, such as a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<SourceView>,
}

/// The connection of an input.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SourceView {
    /// The kind of input: `kafka`.
    pub kind: &'static str,
    /// The consumer group.
    pub group: String,
    /// True if at least one broker is reached.
    pub connected: bool,
    /// Since when `connected` has its value.
    pub since: String,
    /// The reasons why the broker refuses this client; empty where it does not.
    pub refused: Vec<String>,
    /// Each configured topic.
    pub topics: Vec<TopicView>,
}

/// One configured topic.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TopicView {
    /// Its name, with the stream prefix of its input.
    pub topic: String,
    /// True if the cluster knows it; absent before it has answered.
    pub known: Option<bool>,
    /// Number of its partitions; absent before the cluster has answered.
    pub partitions: Option<u32>,
    /// Partitions that this process reads.
    pub assigned: u32,
    /// Since when `assigned` is zero, or is not.
    pub since: String,
    /// Records of all its partitions that are not durable yet, where known.
    pub lag: Option<u64>,
}

/// Events that were dated ahead of the clock.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FutureView {
    /// The number of events.
    pub count: u64,
    /// The last one; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<FutureEventView>,
}

/// An event that was dated ahead of the clock.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FutureEventView {
    /// Its transaction.
    pub id: String,
    /// Its device.
    pub device: String,
    /// Its time.
    pub time: String,
}

impl InputStatus {
    /// True if its streams are topics of another system.
    pub(super) fn gives_topics(&self) -> bool {
        match &self.streams {
            StreamNames::Listed(names) => names.iter().any(|name| is_topic(name)),
            StreamNames::Prefixed(_) => true,
        }
    }
}

impl InputView {
    /// Shows an input with this health.
    pub(super) fn new(
        input: &InputStatus,
        health: &HealthReport,
        partitions: &[PartitionView],
    ) -> Self {
        let connection = SourceView::new(health, &input.prefix, partitions);
        Self { name: input.name.to_string(), kind: input.kind, connection }
    }
}

impl SourceView {
    fn new(
        source: &HealthReport,
        prefix: &StreamPrefix,
        partitions: &[PartitionView],
    ) -> Option<Self> {
        let topic = |topic: &TopicReport| {
            let stream = format!("{}{}", prefix.as_str(), topic.name);
            TopicView {
                known: topic.known,
                partitions: topic.partitions,
                assigned: topic.assigned,
                since: time_text(topic.since_ms),
                lag: lag_of(&stream, partitions),
                topic: stream,
            }
        };
        Some(Self {
            kind: "kafka",
            group: source.group.clone()?,
            connected: source.connected,
            since: time_text(source.since_ms),
            refused: source.refusals.iter().map(|refused| refused.message.clone()).collect(),
            topics: source.topics.iter().map(topic).collect(),
        })
    }
}

impl FutureView {
    pub(super) fn new(events: FutureEvents) -> Self {
        let last = events.last.map(|event| FutureEventView {
            id: event.id.to_string(),
            device: event.device,
            time: time_text(event.time_ms),
        });
        Self { count: events.count, last }
    }
}

/// Records of a topic that are not durable; `None` where no end of its partitions is known.
fn lag_of(topic: &str, partitions: &[PartitionView]) -> Option<u64> {
    let of_topic = partitions.iter().filter(|partition| &*partition.topic == topic);
    of_topic.filter_map(|partition| partition.lag).reduce(u64::saturating_add)
}
