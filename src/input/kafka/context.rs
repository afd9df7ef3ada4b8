//! Callbacks from librdkafka: assignments, errors, statistics, log lines. All but the log lines run
//! inside the poll of the source's own thread, so errors are kept here until that poll returns.

mod end;
mod health;

pub(super) use health::refuses;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::statistics::{ConsumerGroup, Statistics};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;

use crate::clock::Clock;
use crate::event::SourcePartition;
use crate::input::collector::Collector;
use crate::input::health::Refusal;
use crate::input::kafka::asker::Answer;
use crate::input::kafka::begin::{FetchRefused, Restarts};
use crate::input::kafka::form::{Epoch, Start};
use crate::input::kafka::log;
use crate::input::kafka::lookups::{Lookups, Name, Reason};
use crate::input::kafka::redaction::Redaction;
use crate::input::kafka::settings::KafkaSettings;
use crate::input::kafka::start::Beginning;
use crate::input::kafka::tail::Tails;
use crate::input::kafka::topic_ids::TopicIds;
use crate::input::{Assignments, Generation, InputError, InputHealth, LastTaken, LastTakenOf};
use crate::limits::{KAFKA_REFUSED_QUIET, KAFKA_RETRY_PAUSE};

pub(super) struct Context {
    pub(super) assignments: Arc<Assignments>,
    health: Arc<InputHealth>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) start: Start,
    pub(super) epochs: BTreeMap<String, Epoch>,
    redaction: Redaction,
    pub(super) last_taken: LastTakenOf,
    pub(super) topic_ids: TopicIds,
    shared: Mutex<Shared>,
}

#[derive(Default)]
pub(super) struct Shared {
    pub(super) collector: Collector,
    pub(super) paused: bool,
    /// Errors that end the source at its next poll.
    pub(super) errors: VecDeque<InputError>,
    /// Partitions whose beginning is asked for.
    pub(super) lookups: Lookups,
    /// Answers about them that were not taken in yet.
    pub(super) answers: Vec<Answer>,
    /// The broker refused an offset, and what it said.
    pub(super) out_of_range: Option<String>,
    /// Why the last connection failed.
    connection: Option<String>,
    /// Restarts in a row after an offset was called out of range.
    pub(super) restarts: Restarts,
    pub(super) tails: Tails,
    /// True if brokers were ever reached.
    was_connected: bool,
    /// Brokers are reached again: topics may have been made again meanwhile.
    pub(super) compares_again: bool,
    /// Responses of all brokers so far.
    responses: u64,
    /// Reading records was refused.
    pub(super) fetch_refused: Option<FetchRefused>,
    /// Time at which the group last refused this member.
    group_refused_at: Duration,
}

/// The hint of the library that the listener speaks another protocol.
const WRONG_LISTENER: &str = "security.protocol";
/// The beginning of the library's messages about reading records.
const FETCH_FAILED: &str = "Fetch ";

impl Context {
    pub(super) fn new(
        settings: &KafkaSettings,
        (assignments, last_taken): (Arc<Assignments>, LastTakenOf),
        health: Arc<InputHealth>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            assignments,
            health,
            clock,
            start: settings.start,
            epochs: settings.epochs.clone(),
            redaction: settings.redaction.clone(),
            last_taken,
            topic_ids: TopicIds::default(),
            shared: Mutex::default(),
        }
    }

    pub(super) fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn connected(&self) {
        if self.health.set_connected(true) {
            let mut shared = self.shared();
            shared.connection = None;
            shared.compares_again = std::mem::replace(&mut shared.was_connected, true);
            tracing::info!("connected to Kafka");
        }
    }

    pub(super) fn health(&self) -> &InputHealth {
        &self.health
    }

    pub(super) fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    /// A message without anything that must not show.
    pub(super) fn redacted(&self, message: &str) -> String {
        self.redaction.apply(message)
    }

    pub(super) fn note(&self, message: &str) {
        let message = self.redacted(message);
        if self.health.set_error(&message) {
            tracing::warn!("Kafka: {message}");
        }
    }

    pub(super) fn halt(&self, error: InputError) {
        self.shared().errors.push_back(error);
    }

    pub(super) fn halt_with(&self, message: &str) {
        self.halt(InputError::Kafka(self.redacted(message)));
    }

    pub(super) fn partition(&self, topic: &str, partition: i32) -> Option<SourcePartition> {
        let partition = u32::try_from(partition).ok()?;
        Some(SourcePartition { topic: topic.into(), epoch: self.epoch(topic), partition })
    }

    pub(super) fn epoch(&self, topic: &str) -> u32 {
        self.epochs.get(topic).map_or(0, |epoch| epoch.number)
    }

    /// Asks where these partitions begin. The group expects an answer to each assignment, if only an
    /// empty one.
    fn assigned(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        // The statistics tell of the connection only later.
        self.connected();
        self.health.accept(&Refusal::Group);
        let now = self.clock.monotonic();
        for name in names(list) {
            self.shared().lookups.want(name, Reason::Assigned, now);
        }
        self.tell_assigned();
        if let Err(error) = assign(consumer, &TopicPartitionList::new()) {
            self.halt_with(&error.to_string());
        }
    }

    /// Begins these partitions.
    pub(super) fn begin(&self, consumer: &BaseConsumer<Self>, beginnings: &[Beginning]) {
        let mut firsts = TopicPartitionList::new();
        let mut places = Vec::with_capacity(beginnings.len());
        let now = self.clock.monotonic();
        for Beginning { partition, first, end, is_new, last } in beginnings {
            let assigned = self.assignments.assign(partition, *first);
            self.assignments.set_end(partition, *end);
            let mut shared = self.shared();
            shared.assign(partition, assigned, *last);
            if let Some(refused) = &mut shared.fetch_refused {
                refused.tried(partition, now);
            }
            drop(shared);
            if *is_new && let Err(error) = add(&mut firsts, partition, assigned.1) {
                return self.halt_with(&error.to_string());
            }
            places.push(format!("{partition} from {}", assigned.1));
        }
        let list = match self.fetch_list(beginnings, is_incremental(consumer)) {
            Ok(list) => list,
            Err(error) => return self.halt_with(&error.to_string()),
        };
        if let Err(error) = assign(consumer, &list) {
            return self.halt_with(&error.to_string());
        }
        self.tell_assigned();
        tracing::info!(partitions = places.join(", "), "assigned");
        if self.start == Start::Latest && firsts.count() > 0 {
            // Keeps the place where a first start began until the ledger has a record.
            if let Err(error) = consumer.commit(&firsts, CommitMode::Async) {
                self.note(&error.to_string());
            }
        }
        if self.shared().paused
            && let Err(error) = consumer.pause(&list)
        {
            self.note(&error.to_string());
        }
    }

    /// The offsets at which fetching begins: for these partitions, or for all assigned ones if the
    /// library accepts an assignment only as a whole.
    fn fetch_list(
        &self,
        beginnings: &[Beginning],
        is_incremental: bool,
    ) -> KafkaResult<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        let is_beginning =
            |partition: &SourcePartition| beginnings.iter().any(|one| one.partition == *partition);
        for (partition, from) in self.shared().collector.fetch_positions() {
            if !is_incremental || is_beginning(&partition) {
                add(&mut list, &partition, from)?;
            }
        }
        Ok(list)
    }

    fn revoked(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        let lost = consumer.assignment_lost();
        let mut begun = TopicPartitionList::new();
        let mut places = Vec::new();
        {
            let mut shared = self.shared();
            for (topic, number) in names(list) {
                let Some(partition) = self.partition(&topic, number) else { continue };
                if shared.collector.find(&topic, partition.partition).is_some() {
                    begun.add_partition(&topic, number);
                }
                shared.restarts.forget(&partition);
                let name = (topic, number);
                shared.lookups.forget(&name);
                if !shared.lookups.has(&name.0) {
                    self.health.accept(&Refusal::Offsets(name.0));
                }
                self.assignments.revoke(&partition);
                shared.collector.revoke(&partition);
                shared.tails.forget(&partition);
                places.push(partition.to_string());
            }
            let read = shared.topics();
            if shared.fetch_refused.as_mut().is_some_and(|refused| refused.keep(&read)) {
                shared.fetch_refused = None;
                self.health.accept(&Refusal::Fetch);
            }
        }
        self.tell_assigned();
        tracing::info!(partitions = places.join(", "), lost, "partitions revoked");
        // The library commits here what was stored, unless the assignment was lost.
        let result = match is_incremental(consumer) {
            true => consumer.incremental_unassign(&begun),
            false => consumer.unassign(),
        };
        if let Err(error) = result {
            self.note(&format!("revoking partitions: {error}"));
        }
    }
}

impl Shared {
    /// Asks again about partitions that are being read, where there is a reason. Gives whether a
    /// refusal to read is over.
    pub(super) fn want_again(&mut self, now: Duration) -> bool {
        if let Some(said) = self.out_of_range.take() {
            // A pause, because a broker that has just restarted may be behind for a moment.
            let due = now.saturating_add(KAFKA_RETRY_PAUSE);
            for name in self.reading(|_| true) {
                self.lookups.want(name, Reason::OutOfRange(said.clone()), due);
            }
        }
        if std::mem::take(&mut self.compares_again) {
            for name in self.reading(|_| true) {
                self.lookups.want(name, Reason::Compare, now);
            }
        }
        let Some(refused) = &self.fetch_refused else { return false };
        if refused.is_over(now) {
            self.fetch_refused = None;
            return true;
        }
        if refused.is_due(now) {
            let names = self.reading(|topic| refused.doubts(topic));
            for name in names {
                self.lookups.want(name, Reason::Compare, now);
            }
        }
        false
    }

    /// The partitions of some topics that are being read.
    fn reading(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<Name> {
        let name = |p: &SourcePartition| Some((p.topic.to_string(), p.partition.try_into().ok()?));
        let positions = self.collector.positions().into_iter();
        let wanted = positions.filter(|(partition, _)| is_wanted(&partition.topic));
        wanted.filter_map(|(partition, _)| name(&partition)).collect()
    }

    /// The topics that are being read.
    pub(super) fn topics(&self) -> BTreeSet<String> {
        let positions = self.collector.positions().into_iter();
        positions.map(|(partition, _)| partition.topic.to_string()).collect()
    }

    /// The offset that comes next in a partition that is being read.
    pub(super) fn position(&self, partition: &SourcePartition) -> Option<u64> {
        let mut positions = self.collector.positions().into_iter();
        positions.find(|(one, _)| one == partition).map(|(_, next)| next)
    }

    /// Takes in records of a partition from an offset on, and one in front of it to be compared.
    fn assign(
        &mut self,
        partition: &SourcePartition,
        assigned: (Generation, u64),
        last: Option<LastTaken>,
    ) {
        self.collector.assign(partition.clone(), assigned);
        self.tails.forget(partition);
        if let Some(last) = last {
            self.collector.compare_from(partition, last);
        }
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        error: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        if error == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.assigned(consumer, list);
        } else {
            self.revoked(consumer, list);
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        match result {
            Ok(()) => self.health.accept(&Refusal::Group),
            Err(error) => {
                tracing::debug!("Kafka: committing the group's offsets: {error}");
                if error.rdkafka_error_code().is_some_and(refuses) {
                    let message =
                        format!("the broker refuses to commit the group's offsets: {error}");
                    self.note(&message);
                    self.refuse(Refusal::Group, &message);
                }
            }
        }
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.topic_ids.observe(message);
        if log::is_wanted(level) {
            log::forward(level, facility, &self.redacted(message));
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        use RDKafkaErrorCode as Code;
        match error.rdkafka_error_code() {
            Some(Code::AllBrokersDown) => {
                self.health.set_connected(false);
                // The count of brokers says less than what the last of them failed with.
                let connection = self.shared().connection.clone();
                let reason = connection.as_deref().unwrap_or(reason);
                self.note(&format!("no broker is reachable: {reason}"));
            }
            Some(Code::BrokerTransportFailure | Code::Resolve) => {
                let reason = log::without_state(reason);
                self.shared().connection = Some(reason.to_owned());
                if self.health.connected() {
                    self.note(reason);
                } else if reason.contains(WRONG_LISTENER) {
                    self.refuse_connection(&format!("the broker closes the connection: {reason}"));
                }
                // Otherwise it is told with the fact that no broker is reachable.
            }
            Some(
                Code::BadMessage
                | Code::BadCompression
                | Code::InvalidMessage
                | Code::InvalidMessageSize
                | Code::MessageSizeTooLarge,
            ) => self.halt_with(&format!(
                "{reason}; the library would skip these records, so reading stops here: repair the topic, or raise `receive.message.max.bytes` where the size is the cause"
            )),
            Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => {
                self.shared().out_of_range = Some(self.redacted(reason));
            }
            Some(
                Code::Authentication
                | Code::SaslAuthenticationFailed
                | Code::UnsupportedSASLMechanism
                | Code::SSL,
            ) => {
                let reason = log::without_state(reason);
                let reason = format!(
                    "the broker rejects this client: {reason}; check `security.protocol`, `sasl.*` and `ssl.*` under `properties`"
                );
                self.note(&reason);
                self.refuse_connection(&reason);
                self.shared().connection = Some(reason);
            }
            Some(code) if refuses(code) => {
                let help = match code {
                    Code::TopicAuthorizationFailed
                    | Code::GroupAuthorizationFailed
                    | Code::ClusterAuthorizationFailed => {
                        "; the user needs the Read permission on the topics and the group"
                    }
                    _ => "",
                };
                let message = format!("the broker refuses it: {reason}{help}");
                self.note(&message);
                match (code, reason.starts_with(FETCH_FAILED)) {
                    (_, true) => self.refuse(Refusal::Fetch, &message),
                    // Of a topic that may not be looked up, the watch tells more.
                    (Code::TopicAuthorizationFailed, false) => {}
                    _ => self.refuse(Refusal::Group, &message),
                }
            }
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) => {
                // Only a broker that is reached says so.
                self.connected();
                self.note(&format!("{reason}; waiting for the topic to be created"));
            }
            _ => self.note(reason),
        }
    }

    fn stats(&self, statistics: Statistics) {
        if statistics.brokers.values().any(|broker| broker.state == "UP") {
            self.connected();
        }
        let responses = statistics.brokers.values().map(|broker| broker.rx).sum();
        if std::mem::replace(&mut self.shared().responses, responses) != responses {
            self.health.answered();
        }
        // A member that still belongs to its group a while after a refusal is not refused any more.
        let is_settled =
            |group: &ConsumerGroup| group.state == "up" && group.join_state == "steady";
        let since = self.clock.monotonic().saturating_sub(self.shared().group_refused_at);
        if statistics.cgrp.as_ref().is_some_and(is_settled) && since >= KAFKA_REFUSED_QUIET {
            self.health.accept(&Refusal::Group);
        }
        for (topic, statistics) in &statistics.topics {
            let partitions = statistics.partitions.values();
            partitions.for_each(|statistics| self.look_at_end(topic, statistics));
        }
    }
}

fn assign(consumer: &BaseConsumer<Context>, list: &TopicPartitionList) -> KafkaResult<()> {
    match is_incremental(consumer) {
        true => consumer.incremental_assign(list),
        false => consumer.assign(list),
    }
}

/// True if partitions are assigned and revoked one by one, not all together.
pub(super) fn is_incremental(consumer: &BaseConsumer<Context>) -> bool {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => true,
        RebalanceProtocol::Eager | RebalanceProtocol::None => false,
    }
}

pub(super) fn add(
    list: &mut TopicPartitionList,
    partition: &SourcePartition,
    offset: u64,
) -> KafkaResult<()> {
    let offset = i64::try_from(offset).map(Offset::Offset).unwrap_or(Offset::Invalid);
    let number = i32::try_from(partition.partition).unwrap_or(-1);
    list.add_partition_offset(&partition.topic, number, offset)
}

fn names(list: &TopicPartitionList) -> Vec<(String, i32)> {
    list.elements().iter().map(|e| (e.topic().to_owned(), e.partition())).collect()
}
