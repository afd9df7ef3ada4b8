//! Where the partitions of an assignment begin, and what follows when Kafka calls an offset out of
//! range. Each question to the broker is short; what it does not answer is asked again later.

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::statistics::Partition;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::event::SourcePartition;
use crate::limits::{KAFKA_BEHIND_WAIT, KAFKA_MOST_RESTARTS, KAFKA_REQUEST_TIMEOUT};
use crate::source::SourceError;
use crate::source::health::Refusal;
use crate::source::kafka::context::{Context, is_incremental, refuses};
use crate::source::kafka::start::{Beginning, Known, first_offset};
use crate::source::kafka::tail::reached_end;

/// Why partitions do not begin.
pub(super) enum Trouble {
    /// The broker does not answer; it is asked again.
    Later(String),
    /// They must not begin.
    Refused(SourceError),
}

/// Topic and number of a partition.
type Name = (String, i32);

/// Where partitions begin, or why they do not.
type Found = Result<Vec<Beginning>, Trouble>;

impl Context {
    /// Where partitions begin, from what the ledger needs next, the group's offsets and the
    /// broker's watermarks.
    pub(super) fn look_up(
        &self,
        consumer: &BaseConsumer<Self>,
        wanted: &[(String, i32)],
        next: impl Fn(&Self, &SourcePartition) -> Option<u64>,
    ) -> Found {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let later = |what: &str, error: &KafkaError| {
            let message = format!("{what}: {error}");
            if error.rdkafka_error_code().is_some_and(refuses) {
                self.refuse(Refusal::Group, &format!("the broker refuses it: {message}"));
            }
            Trouble::Later(message)
        };
        let mut list = TopicPartitionList::with_capacity(wanted.len());
        for (topic, partition) in wanted {
            list.add_partition(topic, *partition);
        }
        let offsets = consumer
            .committed_offsets(list, KAFKA_REQUEST_TIMEOUT)
            .map_err(|error| later("asking for the group's offsets", &error))?;
        let mut beginnings = Vec::with_capacity(wanted.len());
        for (topic, number) in wanted {
            let Some(partition) = self.partition(topic, *number) else { continue };
            let committed = match offsets.find_partition(topic, *number) {
                Some(element) => {
                    element.error().map_err(|e| later("asking for the group's offset", &e))?;
                    element.offset()
                }
                None => Offset::Invalid,
            };
            let (low, high) =
                consumer.fetch_watermarks(topic, *number, KAFKA_REQUEST_TIMEOUT).map_err(
                    |error| later(&format!("asking for the offsets of {partition}"), &error),
                )?;
            let known = Known {
                next: next(self, &partition),
                committed: match committed {
                    Offset::Offset(offset) => u64::try_from(offset).ok(),
                    _ => None,
                },
                low: u64::try_from(low).unwrap_or_default(),
                high: u64::try_from(high).unwrap_or_default(),
                former: None,
                continues: None,
            };
            beginnings.push(self.beginning(partition, known)?);
        }
        self.shared().behind_since = None;
        Ok(beginnings)
    }

    /// Where one partition begins.
    fn beginning(&self, partition: SourcePartition, known: Known) -> Result<Beginning, Trouble> {
        let former = self.assignments.former(&partition).filter(|_| known.next.is_none());
        let mut known = Known { former: former.as_ref().map(|(_, next)| *next), ..known };
        let epoch = self.epochs.get(&*partition.topic);
        let continue_at = epoch.and_then(|epoch| epoch.continue_at.as_ref());
        if let Some(offsets) = continue_at.filter(|_| known.next.is_none()) {
            let named = offsets.get(&partition.partition).copied();
            known.continues = named.or_else(|| known.closest());
            if let (Some(former), Some(first)) = (known.former, known.continues)
                && former != first
            {
                tracing::warn!(
                    "{partition}: the new stream epoch begins at offset {first}; the one before \
                     ended at {former}, and the topic has offsets {} to {}",
                    known.low,
                    known.high
                );
            }
        }
        if known.is_behind() && self.waits_for_end() {
            let (end, next) = (known.high, known.next.unwrap_or_default());
            return Err(Trouble::Later(format!(
                "{partition}: the topic ends at offset {end}, before the ledger's position {next}; \
                 waiting in case a broker has just restarted"
            )));
        }
        let first = first_offset(&partition, known, self.start).map_err(Trouble::Refused)?;
        let taken_from = match (&former, known.continues) {
            (Some((former, next)), Some(first)) if *next == first => former,
            _ => &partition,
        };
        let last = (self.last_taken)(taken_from).filter(|last| last.offset < first);
        if let Some(last) = last.filter(|last| last.offset < known.low) {
            tracing::info!(
                "{partition}: the last record that the ledger has taken, at offset {}, is no longer \
                 in the topic, so it cannot be compared",
                last.offset
            );
        }
        let last = last.filter(|last| last.offset >= known.low);
        let (end, is_new) = (known.high, known.next.is_none());
        Ok(Beginning { partition, first, end, is_new, last })
    }

    /// Whether a topic that ends before the ledger's position may still grow to it: the restart of a
    /// broker leaves its end behind for a moment.
    fn waits_for_end(&self) -> bool {
        let now = self.clock.monotonic();
        let since = *self.shared().behind_since.get_or_insert(now);
        now.saturating_sub(since) < KAFKA_BEHIND_WAIT
    }

    /// An offset was out of range: says which and why. Where nothing explains it, the partitions are
    /// read again from their position (the record to compare may have been removed, a broker may
    /// have restarted); when that does not help either, what the broker said ends the source.
    pub(super) fn explain(&self, consumer: &BaseConsumer<Self>, reason: String) {
        let (wanted, found) = self.look_up_again(consumer);
        match found {
            Err(Trouble::Later(_)) => self.shared().out_of_range = Some(reason),
            Err(Trouble::Refused(error)) => self.halt(error),
            Ok(beginnings) => {
                let restarts = {
                    let mut shared = self.shared();
                    shared.restarts += 1;
                    shared.restarts
                };
                if restarts > KAFKA_MOST_RESTARTS {
                    return self.halt_with(&reason);
                }
                self.note(&reason);
                self.begin_again(consumer, &wanted, &beginnings);
            }
        }
    }

    /// Brokers are reached again after they were not: each partition is read again from its position,
    /// so that its last record is compared. A topic may have been made again meanwhile.
    pub(super) fn compare_again(&self, consumer: &BaseConsumer<Self>) {
        if !std::mem::take(&mut self.shared().compares_again) {
            return;
        }
        let (wanted, found) = self.look_up_again(consumer);
        match found {
            Err(Trouble::Later(_)) => self.shared().compares_again = true,
            Err(Trouble::Refused(error)) => self.halt(error),
            Ok(beginnings) => self.begin_again(consumer, &wanted, &beginnings),
        }
    }

    /// Looks up the partitions that are ours, as if they began at their position.
    fn look_up_again(&self, consumer: &BaseConsumer<Self>) -> (Vec<Name>, Found) {
        let positions = self.shared().collector.positions();
        let name = |p: &SourcePartition| Some((p.topic.to_string(), p.partition.try_into().ok()?));
        let wanted: Vec<_> = positions.iter().filter_map(|(p, _)| name(p)).collect();
        let position = |_: &Self, partition: &SourcePartition| {
            positions.iter().find(|(p, _)| p == partition).map(|(_, next)| *next)
        };
        let found = self.look_up(consumer, &wanted, position);
        (wanted, found)
    }

    fn begin_again(&self, consumer: &BaseConsumer<Self>, wanted: &[Name], found: &[Beginning]) {
        if wanted.is_empty() {
            return;
        }
        match unassign(consumer, wanted) {
            Ok(()) => self.begin(consumer, found),
            Err(error) => self.halt_with(&error.to_string()),
        }
    }

    /// Notes where a partition ends, and goes on from an end without records that has been the same
    /// for a while.
    pub(super) fn look_at_end(&self, topic: &str, statistics: &Partition) {
        let Some(partition) = self.partition(topic, statistics.partition) else { return };
        let Ok(end) = u64::try_from(statistics.hi_offset) else { return };
        let mut shared = self.shared();
        let lane = shared.collector.find(topic, partition.partition);
        let next = lane.and_then(|lane| shared.collector.next(lane));
        let (Some(lane), Some(next)) = (lane, next) else {
            drop(shared);
            return self.assignments.set_end(&partition, end);
        };
        let reached = reached_end(statistics).filter(|_| !shared.paused);
        // Behind the last record nothing waits to be read.
        self.assignments.set_end(&partition, if reached.is_some() { next } else { end });
        let quiet = shared.tails.observe(&partition, next, reached, self.clock.monotonic());
        if let Some(reached) = quiet {
            shared.collector.pass_over(lane, next, reached);
        }
    }
}

fn unassign(consumer: &BaseConsumer<Context>, wanted: &[(String, i32)]) -> KafkaResult<()> {
    let mut list = TopicPartitionList::with_capacity(wanted.len());
    for (topic, partition) in wanted {
        list.add_partition(topic, *partition);
    }
    match is_incremental(consumer) {
        true => consumer.incremental_unassign(&list),
        false => consumer.unassign(),
    }
}
