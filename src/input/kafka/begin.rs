//! Start offsets of assigned partitions, and recovery after Kafka reports an offset out of range or
//! refuses reading. Unanswered requests are retried later.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::statistics::Partition;
use rdkafka::topic_partition_list::TopicPartitionList;

use crate::event::SourcePartition;
use crate::input::InputError;
use crate::input::health::Refusal;
use crate::input::kafka::asker::{Answer, Asker, Offsets};
use crate::input::kafka::context::{Context, is_incremental};
use crate::input::kafka::lookups::{Lookup, Name, Reason};
use crate::input::kafka::start::{Beginning, Known, first_offset};
use crate::input::kafka::tail::reached_end;
use crate::limits::{
    KAFKA_MOST_RESTARTS, KAFKA_REFUSED_EVERY, KAFKA_REFUSED_QUIET, KAFKA_RESTARTS_FORGOTTEN,
};

/// Why a partition does not begin.
enum Trouble {
    /// It is asked about again.
    Later(String),
    /// It must not begin.
    Refused(InputError),
}

/// Restarts after an offset was called out of range, by partition: they count in a row, until the
/// partition gives a record or the last restart is long past.
#[derive(Debug, Default)]
pub(super) struct Restarts(BTreeMap<Name, (u32, Duration)>);

impl Restarts {
    /// Counts one more; whether that is too many.
    fn add(&mut self, name: &Name, now: Duration) -> bool {
        self.0.retain(|_, (_, at)| now.saturating_sub(*at) < KAFKA_RESTARTS_FORGOTTEN);
        let (count, at) = self.0.entry(name.clone()).or_insert((0, now));
        (*count, *at) = (*count + 1, now);
        *count > KAFKA_MOST_RESTARTS
    }

    /// Forgets those of a partition that gives records.
    pub(super) fn forget(&mut self, partition: &SourcePartition) {
        if !self.0.is_empty() {
            let is_other = |(topic, number): &Name| {
                *topic != *partition.topic || u32::try_from(*number) != Ok(partition.partition)
            };
            self.0.retain(|name, _| is_other(name));
        }
    }
}

/// Reading records was refused. The library says so once for each partition and does not say of
/// which, so every topic that is being read is in doubt until a record of it comes.
#[derive(Debug)]
pub(super) struct FetchRefused {
    doubtful: BTreeSet<String>,
    /// Time at which the doubtful partitions are read again from their position, so that the
    /// library repeats any refusal that persists.
    again_at: Duration,
    /// Time of that retry: no refusal for a while after it clears the doubt.
    tried_at: Option<Duration>,
}

impl FetchRefused {
    pub(super) fn new(doubtful: BTreeSet<String>, now: Duration) -> Self {
        Self { doubtful, again_at: now.saturating_add(KAFKA_REFUSED_EVERY), tried_at: None }
    }

    /// Notes that a record of a topic came; whether no topic is in doubt any more.
    pub(super) fn read(&mut self, topic: &str) -> bool {
        self.doubtful.remove(topic);
        self.doubtful.is_empty()
    }

    /// Notes that a partition is read again from its position.
    pub(super) fn tried(&mut self, partition: &SourcePartition, now: Duration) {
        if self.doubtful.contains(&*partition.topic) {
            self.tried_at = Some(now);
        }
    }

    /// Drops the topics that are no longer read; whether no topic is in doubt any more.
    pub(super) fn keep(&mut self, read: &BTreeSet<String>) -> bool {
        self.doubtful.retain(|topic| read.contains(topic));
        self.doubtful.is_empty()
    }

    /// True if a topic is in doubt.
    pub(super) fn doubts(&self, topic: &str) -> bool {
        self.doubtful.contains(topic)
    }

    /// True if the doubt is over at this time: reading was tried again and not refused.
    pub(super) fn is_over(&self, now: Duration) -> bool {
        self.tried_at.is_some_and(|at| now.saturating_sub(at) >= KAFKA_REFUSED_QUIET)
    }

    /// True if it is time to try again.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.tried_at.is_none() && now >= self.again_at
    }
}

impl Context {
    /// The work of each poll: processes answers, starts partitions that can start, sends due
    /// requests.
    pub(super) fn look_up(&self, consumer: &BaseConsumer<Self>, asker: &Asker) {
        let now = self.clock.monotonic();
        let answers = {
            let mut shared = self.shared();
            if shared.want_again(now) {
                self.health().accept(&Refusal::Fetch);
            }
            let answers = std::mem::take(&mut shared.answers);
            if shared.lookups.is_empty() {
                return;
            }
            answers
        };
        if !answers.is_empty() {
            self.take_in(consumer, answers);
        }
        let questions = {
            let shared = &mut *self.shared();
            let (collector, mut known) = (&shared.collector, None);
            let position = |(topic, number): &Name| {
                let is = |p: &SourcePartition| {
                    *p.topic == **topic && u32::try_from(*number) == Ok(p.partition)
                };
                let positions = known.get_or_insert_with(|| collector.positions());
                positions.iter().find(|(p, _)| is(p)).map(|(_, next)| *next)
            };
            shared.lookups.due(now, position)
        };
        asker.ask(questions);
    }

    /// Takes an answer in, from the thread that asks.
    pub(super) fn answer(&self, answer: Answer) {
        self.shared().answers.push(answer);
    }

    fn take_in(&self, consumer: &BaseConsumer<Self>, answers: Vec<Answer>) {
        let (mut beginnings, mut again) = (Vec::new(), Vec::new());
        for answer in answers {
            let Some(mut lookup) = self.shared().lookups.take(answer.id, &answer.name) else {
                continue;
            };
            match self.judge(&mut lookup, answer) {
                Ok(None) => {}
                Ok(Some(beginning)) => {
                    beginnings.push(beginning);
                    if lookup.reason != Reason::Assigned {
                        again.push(lookup.name);
                    }
                }
                Err(Trouble::Refused(error)) => return self.halt(error),
                Err(Trouble::Later(message)) => {
                    self.note(&message);
                    self.shared().lookups.put_off(lookup, self.clock.monotonic());
                }
            }
        }
        if beginnings.is_empty() {
            return;
        }
        if !again.is_empty()
            && let Err(error) = unassign(consumer, &again)
        {
            return self.halt_with(&error.to_string());
        }
        self.begin(consumer, &beginnings);
    }

    /// The start of a partition, from an answer; `None` if it is no longer assigned.
    fn judge(&self, lookup: &mut Lookup, answer: Answer) -> Result<Option<Beginning>, Trouble> {
        let (topic, number) = answer.name;
        let Some(partition) = self.partition(&topic, number) else { return Ok(None) };
        let offsets = match answer.offsets {
            Ok(offsets) => offsets,
            Err(failure) => {
                lookup.failed();
                if failure.is_refusal {
                    let message = format!("refused by the broker: {}", failure.message);
                    self.refuse(Refusal::Offsets(topic), &message);
                }
                return Err(Trouble::Later(failure.message));
            }
        };
        self.health().accept(&Refusal::Offsets(topic));
        let Offsets { committed, low, mut high } = offsets;
        let next = match lookup.reason {
            Reason::Assigned => self.assignments.next(&partition),
            Reason::Compare | Reason::OutOfRange(_) => {
                let Some(position) = self.shared().position(&partition) else { return Ok(None) };
                // Records were read while the answer was on its way.
                if lookup.position.is_some_and(|asked_at| high >= asked_at) {
                    high = high.max(position);
                }
                Some(position)
            }
        };
        let is_younger = self.is_younger(&partition);
        let noticed = self.assignments.noticed_at(&partition);
        let former = None;
        let continues = None;
        let known = Known { next, committed, low, high, former, continues, is_younger, noticed };
        if lookup.waits_for_end(known.is_behind(), self.clock.monotonic()) {
            let (end, next) = (known.high, known.next.unwrap_or_default());
            return Err(Trouble::Later(format!(
                "{partition}: the topic ends at offset {end}, before the ledger's position {next}; \
                 waiting in case a broker has just restarted"
            )));
        }
        let beginning = self.beginning(partition, known)?;
        if let Reason::OutOfRange(said) = &lookup.reason {
            let now = self.clock.monotonic();
            if self.shared().restarts.add(&lookup.name, now) {
                return Err(Trouble::Refused(InputError::Kafka(said.clone())));
            }
            self.note(said);
        }
        Ok(Some(beginning))
    }

    /// True if a partition was created after the first start: all of its records came since.
    pub(super) fn is_younger(&self, partition: &SourcePartition) -> bool {
        let SourcePartition { topic, epoch, partition: number } = partition;
        let first_count = self.health().first_count(topic);
        self.assignments.was_read_before(topic, *epoch)
            || first_count.is_some_and(|count| *number >= count)
    }

    /// The data of a partition, with the end of the previous stream epoch and the configured
    /// continuation. Also returns that epoch's partition and end.
    pub(super) fn with_former(
        &self,
        partition: &SourcePartition,
        known: Known,
    ) -> (Known, Option<(SourcePartition, u64)>) {
        let former = self.assignments.former(partition);
        let mut known = Known { former: former.as_ref().map(|(_, next)| *next), ..known };
        let epoch = self.epochs.get(&*partition.topic);
        let continue_at = epoch.and_then(|epoch| epoch.continue_at.as_ref());
        if let Some(offsets) = continue_at.filter(|_| known.next.is_none()) {
            let named = offsets.get(&partition.partition).copied();
            known.continues = named.or_else(|| known.closest());
        }
        (known, former)
    }

    /// The start of one partition.
    fn beginning(&self, partition: SourcePartition, known: Known) -> Result<Beginning, Trouble> {
        let (known, former) = self.with_former(&partition, known);
        if let (Some(former), Some(first)) = (known.former, known.continues)
            && former != first
        {
            tracing::warn!(
                "{partition}: the new stream epoch begins at offset {first}; the previous one ended \
                 at {former}, and the topic has offsets {} to {}",
                known.low,
                known.high
            );
        }
        let first = first_offset(&partition, known, self.start).map_err(Trouble::Refused)?;
        let taken_from = match (&former, known.continues) {
            (Some((former, next)), Some(first)) if *next == first => former,
            _ => &partition,
        };
        let last = (self.last_taken)(taken_from).filter(|last| last.offset < first);
        if let Some(last) = last.filter(|last| last.offset < known.low) {
            tracing::info!(
                "{partition}: the ledger's last record, at offset {}, is no longer in the \
                 topic, so it cannot be compared",
                last.offset
            );
        }
        let last = last.filter(|last| last.offset >= known.low);
        let (end, is_new) = (known.high, known.next.is_none());
        Ok(Beginning { partition, first, end, is_new, last })
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn restarts_count_in_a_row_for_each_partition() {
        let name = |number| ("t".to_owned(), number);
        let mut restarts = Restarts::default();
        let most = KAFKA_MOST_RESTARTS;
        for n in 0..most {
            assert!(!restarts.add(&name(0), SECOND), "{n}");
            assert!(!restarts.add(&name(1), SECOND), "{n}");
            // Records of another partition do not lift the bound.
            restarts.forget(&SourcePartition::new("t", 1));
            restarts.forget(&SourcePartition::new("u", 0));
        }
        assert!(restarts.add(&name(0), SECOND));
        restarts.forget(&SourcePartition::new("t", 0));
        assert!(!restarts.add(&name(0), SECOND), "it gave a record");
        for n in 0..2 * most {
            let now = SECOND + KAFKA_RESTARTS_FORGOTTEN * (n + 1);
            assert!(!restarts.add(&name(0), now), "the last one is long past");
        }
    }

    #[test]
    fn a_refusal_to_read_is_in_doubt_for_each_topic() {
        let topics = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let mut refused = FetchRefused::new(topics(&["a", "b", "c"]), SECOND);
        assert!(!refused.read("a"));
        assert!(!refused.read("a"), "records of one topic say nothing of another");
        assert!(!refused.keep(&topics(&["a", "c"])));
        let due = SECOND + KAFKA_REFUSED_EVERY;
        assert!(!refused.is_due(due - SECOND) && refused.is_due(due));
        assert!(!refused.is_over(due), "nothing was tried");
        refused.tried(&SourcePartition::new("a", 0), due);
        assert!(refused.is_due(due), "only a topic in doubt counts");
        refused.tried(&SourcePartition::new("c", 0), due);
        assert!(!refused.is_due(due) && !refused.is_over(due));
        assert!(refused.is_over(due + KAFKA_REFUSED_QUIET));
        assert!(refused.read("c"), "a record of the last one ends it");
    }
}
