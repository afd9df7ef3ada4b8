//! Members of the ledger's group that are not ledgers.

use std::time::Duration;

use ledgerline::input::broker::EmbeddedBroker;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use serde_json::Value;

use super::{TOPIC, until};

/// A consumer of a group that commits nothing.
pub fn member(broker: &EmbeddedBroker, group: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap())
        .set("group.id", group)
        .set("session.timeout.ms", "4000")
        .set("heartbeat.interval.ms", "400")
        .set("enable.auto.commit", "false")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .create()
        .unwrap()
}

/// Another member of a group, which has taken partitions over. It leaves when it is dropped.
pub fn rival(broker: &EmbeddedBroker, group: &str) -> BaseConsumer {
    let rival = member(broker, group);
    rival.subscribe(&[TOPIC]).unwrap();
    until("partitions for the other member", || {
        rival.poll(Duration::from_millis(50));
        (rival.assignment().unwrap().count() > 0).then_some(())
    });
    rival
}

/// Partitions that a status shows as assigned.
pub fn assigned(status: &Value) -> usize {
    let partitions = status["partitions"].as_array().unwrap();
    partitions.iter().filter(|partition| partition["assigned"] == true).count()
}

/// Offset that a group has committed of each partition.
pub fn committed(broker: &EmbeddedBroker, group: &str, partitions: u16) -> Vec<Option<u64>> {
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition(TOPIC, i32::from(partition));
    }
    let asked = member(broker, group).committed_offsets(list, Duration::from_secs(60)).unwrap();
    let offset = |offset| match offset {
        Offset::Offset(offset) => u64::try_from(offset).ok(),
        _ => None,
    };
    asked.elements().iter().map(|element| offset(element.offset())).collect()
}
