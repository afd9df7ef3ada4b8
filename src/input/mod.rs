//! Inputs: records of Kafka, a file or people, in order, in batches tagged with their assignment.
//!
//! An input never decides what a record means and never skips one.

mod adapter;
mod assignments;
mod batch;
pub mod broker;
mod calls;
mod collector;
mod file;
mod health;
mod kafka;
mod kcat;
mod last;
pub mod producer;
mod streams;
mod writer;

pub use crate::event::{StreamNames, StreamPrefix};
pub use adapter::{
    Adapter, Checking, Content, InputOptions, Opened, Opening, Resolve, open_with_prefix,
};
pub use assignments::{Accepted, Assignments, Generation, PartitionStatus};
pub use batch::{Batch, BatchBuilder};
pub use calls::{CallError, Calls, CallsAdapter, CallsForm, CallsInput};
pub use file::{FileCounts, FileForm, FileInput};
pub use health::{HealthReport, InputHealth, InputProblem, LastError, ProblemCode, TopicReport};
pub use kafka::{Epoch, KafkaForm, KafkaInput, KafkaSettings, Property, Start, Topics};
pub use last::{LastTaken, LastTakenOf};
pub use writer::{KafkaWriter, TopicRecord};

use std::time::Duration;

use crate::codec::Digest;
use crate::event::SourcePartition;

/// The result of a poll.
#[derive(Debug)]
pub enum Polled {
    /// Records of one partition, in rising order of offsets.
    Batch(Batch),
    /// Nothing within the time given.
    Idle,
    /// The input has ended (a file was read to its end) and will never give a record again.
    End,
}

/// A supplier of records.
///
/// An implementation MUST give the records of a partition in rising order, MUST start each partition
/// where [`Assignments`] says, MUST tag each batch with the generation of its assignment, and MUST
/// take a partition back through [`Assignments::revoke`] before another owner may read it.
pub trait Input: Send {
    /// Waits at most this long for records. Also serves the input's own callbacks, so it MUST be
    /// called repeatedly, also while paused.
    fn poll(&mut self, wait: Duration) -> Result<Polled, InputError>;

    /// Stops reading records until [`Input::resume`]. Called under lasting backpressure. A poll MUST
    /// NOT give a batch meanwhile.
    fn pause(&mut self) -> Result<(), InputError>;

    /// Reads records again.
    fn resume(&mut self) -> Result<(), InputError>;

    /// Reports that everything below `next_offset` is durably in the ledger. A Kafka input writes it
    /// as the group's offset, for lag tools; nothing is ever read back from there but a fence.
    ///
    /// Returns whether it needs no further report: while the partition is not ours it does.
    fn durable(
        &mut self,
        partition: &SourcePartition,
        next_offset: u64,
    ) -> Result<bool, InputError>;

    /// Reports that there will be no further poll. What was polled may still become durable.
    fn stop(&mut self) {}

    /// Ends the input: commits what was reported durable and leaves the group.
    fn close(&mut self) -> Result<(), InputError>;
}

/// Why an input cannot go on. A failure that passes by itself (a broker that is away) is not an error:
/// the input keeps trying and polls come back idle.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The position to go on from is no longer there.
    #[error("{partition}: offset {expected} is next, but the topic begins at {earliest}: retention removed the offsets in between, up to {} records, before they were read (no record is lost if they held only transaction markers); restore the topic, or continue after the gap in a new stream epoch, which the ledger records: `epochs: {{ {}: {{ epoch: {}, continue_at: {{}} }} }}` under the input's `kafka`", earliest - expected, partition.topic, partition.epoch + 1)]
    LostByRetention {
        /// Partition.
        partition: SourcePartition,
        /// Offset the ledger needs next.
        expected: u64,
        /// Earliest offset the broker still has.
        earliest: u64,
    },
    /// The topic ends before the ledger's position.
    #[error("{partition}: the ledger has read up to offset {expected}, but the topic ends at {end}: it was deleted and recreated, or its end was lost; {}", new_epoch(partition, *end))]
    TopicShrank {
        /// Partition.
        partition: SourcePartition,
        /// Offset the ledger needs next.
        expected: u64,
        /// End of the partition.
        end: u64,
    },
    /// A record that the ledger has taken is another one now.
    #[error("{partition}: the record at offset {offset} is not the one in the ledger (record digest {found} in the topic, {taken} in the ledger): the topic was deleted and recreated, or its end was lost and rewritten; {}", new_epoch(partition, *offset))]
    RecordChanged {
        /// Partition.
        partition: SourcePartition,
        /// Offset of the last record that the ledger has taken.
        offset: u64,
        /// Digest of the record that the topic has there.
        found: Digest,
        /// Digest of the record that the ledger has taken.
        taken: Digest,
    },
    /// A topic was deleted and recreated while it was being read.
    #[error(
        "topic `{topic}` was deleted and recreated while it was being read (its id was {former} and is {present} now); nothing of the new topic was ingested; to read it from the start, begin a new stream epoch, which the ledger records: `epochs: {{ {topic}: {} }}` under the input's `kafka`", epoch + 1
    )]
    TopicReplaced {
        /// Name of the topic.
        topic: String,
        /// Its stream epoch.
        epoch: u32,
        /// The id of the topic that was read.
        former: String,
        /// The id of the topic that has the name now.
        present: String,
    },
    /// A line of a file is another record than the one that the ledger has taken from it.
    #[error(
        "{place}: the record at offset {offset} of {partition} is not the one in the ledger (record digest {found} in the file, {taken} in the ledger). A file that is read again must give the same lines, with new ones behind them; for other content raise the input's `file.epoch`"
    )]
    LineChanged {
        /// The file and the number of the line, in words.
        place: Box<str>,
        /// Partition.
        partition: Box<SourcePartition>,
        /// Offset of the last record that the ledger has taken of the partition.
        offset: u64,
        /// Digest of the record that the file has there.
        found: Digest,
        /// Digest of the record that the ledger has taken.
        taken: Digest,
    },
    /// Another process has joined the group as the same member.
    #[error(
        "another process has joined the consumer group with the same `group.instance.id` and taken over the partitions; give every process its own ledger directory or id: {0}"
    )]
    Fenced(String),
    /// Another ledger has taken records of this partition.
    #[error(
        "{partition}: the consumer group has committed offset {committed}, but this ledger only holds records below {expected}: another ledger consumed them; use that ledger, or another `group`"
    )]
    TakenByAnotherLedger {
        /// Partition.
        partition: SourcePartition,
        /// The group's committed offset.
        committed: u64,
        /// The next offset of this ledger.
        expected: u64,
    },
    /// The client cannot be made or has failed for good.
    #[error("Kafka: {0}")]
    Kafka(String),
    /// The file cannot be read.
    #[error("reading {path}")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// The system's error.
        #[source]
        error: std::io::Error,
    },
    /// The member's id cannot be kept in the ledger's directory.
    #[error("keeping the consumer group's member id in {path}")]
    MemberId {
        /// The file.
        path: std::path::PathBuf,
        /// The system's error.
        #[source]
        error: std::io::Error,
    },
    /// A record does not come after the one before.
    #[error(
        "{partition}: offset {offset} came after {previous}; offsets must rise within a partition"
    )]
    OutOfOrder {
        /// Partition.
        partition: SourcePartition,
        /// The offset that came.
        offset: u64,
        /// The one before.
        previous: u64,
    },
}

/// Instructions for continuing with a topic that was replaced, so that the ledger records it.
fn new_epoch(partition: &SourcePartition, offset: u64) -> String {
    let SourcePartition { topic, epoch, partition: number } = partition;
    let epoch = epoch + 1;
    format!(
        "to go on, begin a new stream epoch, which the ledger records, by one of these under \
         the input's `kafka`: `epochs: {{ {topic}: {epoch} }}` reads the topic from its beginning, \
         `epochs: {{ {topic}: {{ epoch: {epoch}, continue_at: {{ {number}: {offset} }} }} }}` continues \
         at this offset, and in the other partitions where the ledger ended"
    )
}
