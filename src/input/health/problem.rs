//! The kinds of problems of a source, as values.

use crate::codec::coded;

coded! {
    /// The kinds of problems that a source can have, the worst first.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub enum ProblemCode {
        /// A broker is reached and refuses this client.
        BrokerRefused => "broker_refused",
        /// No broker is reached, or none answers.
        BrokerUnreachable => "broker_unreachable",
        /// A configured topic does not exist.
        TopicMissing => "topic_missing",
        /// No partition of a topic is assigned to this process.
        NoPartition => "no_partition",
        /// Partitions have no leader and cannot be read.
        PartitionWithoutLeader => "partition_without_leader",
        /// Some partitions of a topic are not read by this process.
        PartitionsElsewhere => "partitions_elsewhere",
        /// The source has just started and joins its group.
        Starting => "starting",
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
