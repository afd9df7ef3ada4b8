//! The codes of findings: each kind once, with how bad it is and what helps.

use schemars::JsonSchema;
use serde::Serialize;

use super::Gravity;
use crate::input::ProblemCode;

/// The kind of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The ledger's writer stopped for good.
    LedgerHalted,
    /// The ledger waits for space on its disk.
    DiskFull,
    /// A Kafka broker is reached and refuses this client.
    BrokerRefused,
    /// No Kafka broker is reached, or none answers.
    BrokerUnreachable,
    /// A configured topic does not exist.
    TopicMissing,
    /// No partition of a topic is assigned to this process.
    NoPartition,
    /// Records are on their way and none comes through.
    Stalled,
    /// Partitions of a topic have no leader.
    PartitionWithoutLeader,
    /// Some partitions of a topic are not read by this process.
    PartitionsElsewhere,
    /// The newest records of a topic match no mapping.
    EverythingFiltered,
    /// A mapping has matched nothing although records of its topics came.
    MappingIdle,
    /// A mapping names topics that no input reads.
    MappingWithoutTopic,
    /// Many of the newest records are dead letters.
    DeadLetters,
    /// The number of records that wait in Kafka grows.
    LagGrowing,
    /// The state is behind the ledger.
    StateBehind,
    /// Dead letters do not reach their topic.
    DeadLetterTopicBehind,
    /// Events are dated in the future.
    EventsInFuture,
    /// The clock is behind the newest block.
    ClockBehind,
    /// The clock jumped.
    ClockJumped,
    /// The service has just started and joins its group.
    Starting,
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 20] = [
        Self::LedgerHalted,
        Self::DiskFull,
        Self::BrokerRefused,
        Self::BrokerUnreachable,
        Self::TopicMissing,
        Self::NoPartition,
        Self::Stalled,
        Self::PartitionWithoutLeader,
        Self::PartitionsElsewhere,
        Self::EverythingFiltered,
        Self::MappingIdle,
        Self::MappingWithoutTopic,
        Self::DeadLetters,
        Self::LagGrowing,
        Self::StateBehind,
        Self::DeadLetterTopicBehind,
        Self::EventsInFuture,
        Self::ClockBehind,
        Self::ClockJumped,
        Self::Starting,
    ];

    /// The name in answers and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LedgerHalted => "ledger_halted",
            Self::DiskFull => "disk_full",
            Self::BrokerRefused => "broker_refused",
            Self::BrokerUnreachable => "broker_unreachable",
            Self::TopicMissing => "topic_missing",
            Self::NoPartition => "no_partition",
            Self::Stalled => "stalled",
            Self::PartitionWithoutLeader => "partition_without_leader",
            Self::PartitionsElsewhere => "partitions_elsewhere",
            Self::EverythingFiltered => "everything_filtered",
            Self::MappingIdle => "mapping_idle",
            Self::MappingWithoutTopic => "mapping_without_topic",
            Self::DeadLetters => "dead_letters",
            Self::LagGrowing => "lag_growing",
            Self::StateBehind => "state_behind",
            Self::DeadLetterTopicBehind => "dead_letter_topic_behind",
            Self::EventsInFuture => "events_in_future",
            Self::ClockBehind => "clock_behind",
            Self::ClockJumped => "clock_jumped",
            Self::Starting => "starting",
        }
    }

    /// How bad it is.
    #[must_use]
    pub fn gravity(self) -> Gravity {
        match self {
            Self::LedgerHalted
            | Self::DiskFull
            | Self::BrokerRefused
            | Self::BrokerUnreachable
            | Self::TopicMissing
            | Self::NoPartition
            | Self::Stalled => Gravity::Critical,
            _ => Gravity::Warning,
        }
    }

    /// What helps.
    #[must_use]
    pub fn help(self) -> &'static str {
        HELP.iter().find(|(code, _)| *code == self).map_or("", |(_, help)| help)
    }
}

/// What helps with each kind.
const HELP: [(Code, &str); Code::ALL.len()] = [
    (
        Code::LedgerHalted,
        "Start the process again; it continues where the ledger ends. If it halts again, look \
                 at its log and run `ledgerline verify` on the ledger.",
    ),
    (
        Code::DiskFull,
        "Free space on the ledger's disk. Ingestion goes on by itself, nothing is lost.",
    ),
    (
        Code::BrokerRefused,
        "Check what the message names: user, password, certificates and `security.protocol` under \
                 `properties`; Read on the topics and the group; for an inconsistent group \
                 protocol, a `group` of its own. Ingestion goes on by itself once the broker \
                 agrees; a changed configuration needs a restart.",
    ),
    (
        Code::BrokerUnreachable,
        "Records wait in Kafka and none is lost. Check that the brokers of the configuration \
                 run and can be reached from here.",
    ),
    (
        Code::TopicMissing,
        "Check the spelling in `source.kafka.topics`, or create the topic: ingestion begins \
                 by itself then.",
    ),
    (
        Code::NoPartition,
        "One ledger owns one consumer group. Stop the other member, or give it a group of its \
                 own; ingestion goes on by itself then. `kafka-consumer-groups.sh --describe` lists \
                 the members.",
    ),
    (
        Code::Stalled,
        "One record may hold up the pipeline. Look at it (the positions are above), then \
                 restart: ingestion continues after the last durable block. If it stalls again at \
                 the same record, report it with that record.",
    ),
    (
        Code::PartitionWithoutLeader,
        "Records of these partitions wait until a broker leads them. Start the brokers that \
                 hold their replicas.",
    ),
    (
        Code::PartitionsElsewhere,
        "Records of these partitions do not come into this ledger. Where another member holds \
                 them: one ledger owns one consumer group, so stop that member, or give it a group \
                 of its own. Where they cannot begin: they do so by themselves once the broker \
                 answers.",
    ),
    (
        Code::EverythingFiltered,
        "Compare `match` of the mappings with the records: `ledgerline test`, or Try on these \
                 pages, says why a record is not matched. Filtered records are not read again.",
    ),
    (
        Code::MappingIdle,
        "Compare its `match` with the records of its topics, or remove the mapping.",
    ),
    (
        Code::MappingWithoutTopic,
        "Correct `match.topic`, or add the topic to `source.kafka.topics`.",
    ),
    (Code::DeadLetters, "Look at the dead letters by cause: a sender or a mapping has changed."),
    (
        Code::LagGrowing,
        "More records arrive than are ingested. Look for a processor or disk at its limit, at \
                 partitions that nobody reads, or use a faster machine.",
    ),
    (
        Code::StateBehind,
        "States and alerts shown here are old. The disk of the ledger may be slow or full: look \
                 at `ledgerline_stage_seconds_total{stage=\"savepoint\"}`.",
    ),
    (
        Code::DeadLetterTopicBehind,
        "The dead letters are safe in the ledger. Create the topic or grant Write on it; they \
                 are sent then.",
    ),
    (
        Code::EventsInFuture,
        "Correct the clock of the device, or the unit or time zone in which its time is read. \
                 These events are kept out of the freshness figure.",
    ),
    (
        Code::ClockBehind,
        "Correct this machine's clock (NTP). Blocks keep the time of the newest one until the \
                 clock has passed it.",
    ),
    (
        Code::ClockJumped,
        "Check this machine's time synchronisation (NTP). A suspended machine shows the same.",
    ),
    (Code::Starting, "Nothing to do: joining the group takes some seconds."),
];

impl From<ProblemCode> for Code {
    fn from(code: ProblemCode) -> Self {
        match code {
            ProblemCode::BrokerRefused => Self::BrokerRefused,
            ProblemCode::BrokerUnreachable => Self::BrokerUnreachable,
            ProblemCode::TopicMissing => Self::TopicMissing,
            ProblemCode::NoPartition => Self::NoPartition,
            ProblemCode::PartitionWithoutLeader => Self::PartitionWithoutLeader,
            ProblemCode::PartitionsElsewhere => Self::PartitionsElsewhere,
            ProblemCode::Starting => Self::Starting,
        }
    }
}
