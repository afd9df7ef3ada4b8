//! Fatal errors besides contradicting offsets: a failed client, and a topic that was recreated
//! while being read.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::Context;
use crate::input::InputError;
use crate::input::kafka::topic_ids::NewId;

impl Context {
    /// Ends the source where this error of a poll has ended the client for good. Only the poll tells:
    /// the error callback is given the cause alone, with the code of an error that may pass.
    pub(in crate::input::kafka) fn end_of_client(&self, error: &KafkaError) -> Option<InputError> {
        let KafkaError::MessageConsumptionFatal(code) = error else { return None };
        let reason = self.redacted(&code.to_string());
        Some(match code {
            RDKafkaErrorCode::FencedInstanceId => InputError::Fenced(reason),
            RDKafkaErrorCode::UnreleasedInstanceId => {
                let help = "the previous member with this `group.instance.id` is still registered; start \
                            again once its session has expired";
                InputError::Kafka(format!("{reason}: {help}"))
            }
            _ => InputError::Kafka(reason),
        })
    }

    /// Ends the source where a topic was made again that was read before. One of which nothing was
    /// read goes on at its beginning.
    pub(in crate::input::kafka) fn replaced_topic(&self) -> Option<InputError> {
        let mut news = self.topic_ids.take_news().into_iter();
        news.find_map(|NewId { topic, former, present }| {
            let epoch = self.epoch(&topic);
            let taken = self.assignments.status().into_iter();
            let taken = taken.filter_map(|status| Some((status.partition, status.next?)));
            let gathered = self.shared().collector.positions();
            let was_read = taken.chain(gathered).any(|(partition, next)| {
                *partition.topic == *topic && partition.epoch == epoch && next > 0
            });
            was_read.then_some(InputError::TopicReplaced { topic, epoch, former, present })
        })
    }
}
