//! Joins the group, unless it is another ledger's. A member takes partitions from the others before
//! its own ones are looked up, and a static member keeps them for a while after its end, so the
//! group's offsets are held against the ledger before.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::input::InputError;
use crate::input::kafka::context::Context;
use crate::input::kafka::start::{Known, first_offset};
use crate::limits::{KAFKA_FIRST_TIMEOUT, KAFKA_REQUEST_TIMEOUT};

/// The result of an attempt to join.
pub(super) enum Joining {
    /// Assignments come from now on, or the source ends with an error.
    Over,
    /// The brokers have not answered.
    Again,
}

/// Subscribes where the group's offsets are no other ledger's, or cannot be asked for.
pub(super) fn join(consumer: &BaseConsumer<Context>) -> Joining {
    let context = consumer.context();
    match taken_by_another(consumer) {
        Ok(Some(error)) => {
            context.halt(error);
            return Joining::Over;
        }
        Ok(None) => {}
        Err(error) => {
            tracing::debug!("Kafka: fetching the group's offsets before joining: {error}");
            if error.rdkafka_error_code().is_some_and(passes) {
                return Joining::Again;
            }
            // Each assignment is held against the group's offsets, too, and tells what is wrong.
        }
    }
    let topics = context.health().topics();
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    if let Err(error) = consumer.subscribe(&topics) {
        context.halt_with(&error.to_string());
    }
    Joining::Over
}

/// True if an error is one of brokers that are away or not settled yet.
fn passes(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::AllBrokersDown
            | Code::BrokerTransportFailure
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::WaitingForCoordinator
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
    )
}

/// The contradiction between the group's offsets and the ledger, where there is one.
fn taken_by_another(consumer: &BaseConsumer<Context>) -> KafkaResult<Option<InputError>> {
    let context = consumer.context();
    // The end of the source waits for a request in hand.
    let timeout = match context.health().connected() {
        true => KAFKA_REQUEST_TIMEOUT,
        false => KAFKA_FIRST_TIMEOUT,
    };
    let mut list = TopicPartitionList::new();
    for topic in context.health().topics() {
        let metadata = consumer.fetch_metadata(Some(&topic), timeout)?;
        for found in metadata.topics().iter().filter(|found| found.name() == topic) {
            for partition in found.partitions() {
                list.add_partition(&topic, partition.id());
            }
        }
    }
    if list.count() == 0 {
        return Ok(None);
    }
    let committed = consumer.committed_offsets(list, timeout)?;
    for element in committed.elements() {
        let Offset::Offset(offset) = element.offset() else { continue };
        let offset = u64::try_from(offset).unwrap_or_default();
        let error =
            contradiction(consumer, (element.topic(), element.partition()), (offset, timeout))?;
        if error.is_some() {
            return Ok(error);
        }
    }
    Ok(None)
}

/// The contradiction between a partition's committed offset and the ledger, where there is one.
fn contradiction(
    consumer: &BaseConsumer<Context>,
    (topic, number): (&str, i32),
    (committed, timeout): (u64, Duration),
) -> KafkaResult<Option<InputError>> {
    let context = consumer.context();
    let Some(partition) = context.partition(topic, number) else { return Ok(None) };
    let next = context.assignments.next(&partition);
    if next.is_some_and(|next| committed <= next) {
        return Ok(None);
    }
    let (low, high) = consumer.fetch_watermarks(topic, number, timeout)?;
    let at = |offset: i64| u64::try_from(offset).unwrap_or_default();
    let known = Known {
        next,
        committed: Some(committed),
        low: at(low),
        high: at(high),
        former: None,
        continues: None,
        is_younger: context.is_younger(&partition),
        noticed: None,
    };
    let (known, _) = context.with_former(&partition, known);
    let error = first_offset(&partition, known, context.start).err();
    // Other contradictions are waited for, or told in full, once the partition is assigned.
    Ok(error.filter(|error| matches!(error, InputError::TakenByAnotherLedger { .. })))
}
