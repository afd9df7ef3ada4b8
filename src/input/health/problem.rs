//! The kinds of problems of a source, as values.

/// The kinds of problems that a source can have, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProblemCode {
    /// A broker is reached and refuses this client.
    BrokerRefused,
    /// No broker is reached, or none answers.
    BrokerUnreachable,
    /// A configured topic does not exist.
    TopicMissing,
    /// No partition of a topic is assigned to this process.
    NoPartition,
    /// Partitions have no leader and cannot be read.
    PartitionWithoutLeader,
    /// Some partitions of a topic are not read by this process.
    PartitionsElsewhere,
    /// The source has just started and joins its group.
    Starting,
}

impl ProblemCode {
    /// The stable name, for machines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BrokerRefused => "broker_refused",
            Self::BrokerUnreachable => "broker_unreachable",
            Self::TopicMissing => "topic_missing",
            Self::NoPartition => "no_partition",
            Self::PartitionWithoutLeader => "partition_without_leader",
            Self::PartitionsElsewhere => "partitions_elsewhere",
            Self::Starting => "starting",
        }
    }
}

/// One thing that is wrong with a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputProblem {
    /// Its kind.
    pub code: ProblemCode,
    /// The topic that it concerns; empty where it is no single one.
    pub topic: String,
    /// In words for a person.
    pub message: String,
    /// Since when, in milliseconds since 1970, where that is known.
    pub since_ms: Option<i64>,
    /// True if the service is not ready because of it.
    pub is_blocking: bool,
}

/// A change of the problems, for the log.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::input) enum News {
    /// A problem that is new.
    Began(InputProblem),
    /// A problem that has ended, with its topic.
    Ended(ProblemCode, String),
}
