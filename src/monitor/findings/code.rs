//! Codes of findings, each with its severity and remedy.

use schemars::JsonSchema;
use serde::Serialize;

use super::Gravity;
use crate::codec::coded;
use crate::input::ProblemCode;

coded! {
    #[serde]
    /// The kind of a finding.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
    pub enum Code {
        /// The ledger's writer stopped for good.
        LedgerHalted => "ledger_halted",
        /// The ledger waits for space on its disk.
        DiskFull => "disk_full",
        /// A Kafka broker is reached and refuses this client.
        BrokerRefused => "broker_refused",
        /// No Kafka broker is reached, or none answers.
        BrokerUnreachable => "broker_unreachable",
        /// A configured topic does not exist.
        TopicMissing => "topic_missing",
        /// No partition of a topic is assigned to this process.
        NoPartition => "no_partition",
        /// Records are on their way and none comes through.
        Stalled => "stalled",
        /// Partitions of a topic have no leader.
        PartitionWithoutLeader => "partition_without_leader",
        /// Some partitions of a topic are not read by this process.
        PartitionsElsewhere => "partitions_elsewhere",
        /// The newest records of a topic match no mapping.
        EverythingFiltered => "everything_filtered",
        /// A mapping has matched nothing although records of its topics came.
        MappingIdle => "mapping_idle",
        /// A mapping names topics that no input reads.
        MappingWithoutTopic => "mapping_without_topic",
        /// Many of the newest records are dead letters.
        DeadLetters => "dead_letters",
        /// The consumer lag grows.
        LagGrowing => "lag_growing",
        /// The state is behind the ledger.
        StateBehind => "state_behind",
        /// Dead letters do not reach their topic.
        DeadLetterTopicBehind => "dead_letter_topic_behind",
        /// Another follower of the ledger takes nothing in.
        FollowerHeld => "follower_held",
        /// Another follower of the ledger is behind it.
        FollowerBehind => "follower_behind",
        /// Events are dated in the future.
        EventsInFuture => "events_in_future",
        /// The clock is behind the newest block.
        ClockBehind => "clock_behind",
        /// The clock jumped.
        ClockJumped => "clock_jumped",
        /// The service has just started and joins its group.
        Starting => "starting",
    }
}

impl Code {
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
        "Check the spelling in the input's `kafka.topics`, or create the topic: ingestion then \
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
        "Correct `match.topic`, or add the topic to an input's `kafka.topics`.",
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
