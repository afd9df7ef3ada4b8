//! Codes of findings, each with its severity and remedy.

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
    /// The consumer lag grows.
    LagGrowing,
    /// The state is behind the ledger.
    StateBehind,
    /// Dead letters do not reach their topic.
    DeadLetterTopicBehind,
    /// Another follower of the ledger takes nothing in.
    FollowerHeld,
    /// Another follower of the ledger is behind it.
    FollowerBehind,
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
    pub const ALL: [Self; 22] = [
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
        Self::FollowerHeld,
        Self::FollowerBehind,
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
            Self::FollowerHeld => "follower_held",
            Self::FollowerBehind => "follower_behind",
            Self::EventsInFuture => "events_in_future",
            Self::ClockBehind => "clock_behind",
            Self::ClockJumped => "clock_jumped",
            Self::Starting => "starting",
        }
    }

    /// The severity.
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

    /// The remedy.
    #[must_use]
    pub fn help(self) -> &'static str {
        HELP.iter().find(|(code, _)| *code == self).map_or("", |(_, help)| help)
    }
}

/// Remedy for each kind.
const HELP: [(Code, &str); Code::ALL.len()] = [
    (
        Code::LedgerHalted,
        "Start the process again; it continues where the ledger ends. If it halts again, check \
                 its log and run `ledgerline verify` on the ledger.",
    ),
    (
        Code::DiskFull,
        "Free space on the ledger's disk. Ingestion resumes automatically; nothing is lost.",
    ),
    (
        Code::BrokerRefused,
        "Check what the message names: user, password, certificates and `security.protocol` under \
                 `properties`; Read on the topics and the group; for an inconsistent group \
                 protocol, a `group` of its own. Ingestion resumes automatically once the broker accepts the \
                 client; a changed configuration needs a restart.",
    ),
    (
        Code::BrokerUnreachable,
        "Records wait in Kafka and none is lost. Check that the brokers of the configuration \
                 run and can be reached from here.",
    ),
    (
        Code::TopicMissing,
        "Check the spelling in `source.kafka.topics`, or create the topic: ingestion then \
                 starts automatically.",
    ),
    (
        Code::NoPartition,
        "One ledger owns one consumer group. Stop the other member, or give it a group of its \
                 own; ingestion then resumes automatically. `kafka-consumer-groups.sh --describe` lists \
                 the members.",
    ),
    (
        Code::Stalled,
        "One record may hold up the pipeline. Inspect it (the positions are above), then \
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
        "Records of these partitions are not ingested. If another member holds them: one ledger \
                 owns one consumer group, so stop that member, or give it its own group. If they cannot start yet: they start automatically once the broker answers.",
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
        "More records arrive than are ingested. Check for a saturated processor or disk, for \
                 unassigned partitions, or use a faster machine.",
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
        Code::FollowerHeld,
        "The blocks are safe in the ledger, and nothing else waits for this follower. Remove the \
                 cause that the message names: it goes on by itself from its savepoint. One that \
                 has ended goes on after a restart.",
    ),
    (
        Code::FollowerBehind,
        "The blocks are safe in the ledger, and nothing else waits for this follower. Its \
                 destination may be slow: compare `ledgerline_follower_lag_blocks` with \
                 `ledgerline_blocks`.",
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
