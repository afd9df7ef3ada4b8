//! Records from Kafka.
//!
//! The ledger's own progress is the position: each assignment begins where [`Assignments`] says, and
//! the group's offset is only written, after the fact, for lag tools and as a fence between ledgers.
//! The consumer is polled on the pipeline's source thread, and nothing there waits for a broker's
//! answer: other threads ask. A broker that is away is no error: polls come back idle and
//! [`InputHealth`] says so.

mod asker;
mod begin;
mod brokers;
mod context;
mod dry_run;
mod form;
mod headers;
mod join;
mod log;
mod lookups;
mod member;
mod members;
mod properties;
mod property;
mod redaction;
mod settings;
mod start;
mod tail;
mod topic_ids;
mod watch;

pub use form::{Epoch, KafkaForm, Start, Topics};
pub use property::Property;
pub use settings::KafkaSettings;

pub(in crate::input) use redaction::Redaction;

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};

use crate::clock::Clock;
use crate::codec::yaml::Located;
use crate::diagnostic::Place;
use crate::event::SourcePartition;
use crate::input::collector::Parts;
use crate::input::health::Refusal;
use crate::input::{
    Adapter, Assignments, Checking, Input, InputError, InputHealth, InputOptions, LastTakenOf,
    Opened, Opening, Polled, StreamNames, StreamPrefix,
};
use asker::Asker;
use context::Context;
use watch::Watch;

/// A member of a consumer group.
pub struct KafkaInput {
    /// Ends before the consumer does.
    watch: Option<Watch>,
    /// Ends before the consumer does.
    asker: Option<Asker>,
    /// Gone once closed.
    consumer: Option<Arc<BaseConsumer<Context>>>,
    health: Arc<InputHealth>,
}

impl std::fmt::Debug for KafkaInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaInput").field("health", &self.health).finish_non_exhaustive()
    }
}

impl KafkaInput {
    /// Makes the consumer. Joins the group once a broker has answered, which is not waited for.
    pub fn new(
        settings: &KafkaSettings,
        assignments: Arc<Assignments>,
        last_taken: LastTakenOf,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, InputError> {
        let group = settings.config.get("group.id").unwrap_or_default();
        let health = Arc::new(InputHealth::new(group, &settings.topics, clock.clone()));
        let ledger = (assignments, last_taken);
        let context = Context::new(settings, ledger, Arc::clone(&health), clock);
        let redacted = |error: KafkaError| settings.redacted(&error);
        let mut config = settings.config.clone();
        topic_ids::log_ids(&mut config);
        let consumer: BaseConsumer<Context> =
            config.create_with_context(context).map_err(redacted)?;
        let consumer = Arc::new(consumer);
        let (watch, asker) = (Watch::start(&consumer)?, Asker::start(&consumer)?);
        Ok(Self { watch: Some(watch), asker: Some(asker), consumer: Some(consumer), health })
    }

    /// The health of the connection, for readiness.
    #[must_use]
    pub fn health(&self) -> Arc<InputHealth> {
        Arc::clone(&self.health)
    }
}

impl InputOptions for KafkaForm {
    fn check(mut self: Box<Self>, checking: &mut Checking<'_>) -> Option<Arc<dyn Adapter>> {
        let (resolve, diagnostics) = (checking.resolve, &mut *checking.diagnostics);
        let mut resolved = |place: Place, text: &mut String| {
            resolve(place, text).unwrap_or_else(|diagnostic| diagnostics.push(diagnostic));
        };
        let Self { brokers, group, topics, properties, .. } = &mut *self;
        for Located { value, place } in [brokers, group].into_iter().chain(topics.value.names_mut())
        {
            resolved(*place, value);
        }
        for Located { value, place } in properties.values_mut() {
            let mut text = value.reveal().to_owned();
            resolved(*place, &mut text);
            *value = Property::new(text);
        }
        let settings = Self::check(&self, checking.file, checking.diagnostics)?;
        Some(Arc::new(settings))
    }
}

impl Adapter for KafkaSettings {
    fn kind(&self) -> &'static str {
        "kafka"
    }

    fn streams(&self, prefix: &StreamPrefix) -> StreamNames {
        let stream = |topic: &String| format!("{}{topic}", prefix.as_str());
        StreamNames::Listed(self.topics().iter().map(stream).collect())
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Opened, InputError> {
        let mut settings = self.clone();
        if settings.needs_member_id() {
            settings.set_member_id(&member::member_id(opening.directory)?);
        }
        let (assignments, last_taken) = (opening.assignments.clone(), opening.last_taken.clone());
        let input = KafkaInput::new(&settings, assignments, last_taken, opening.clock.clone())?;
        let health = Some(input.health());
        Ok(Opened { health, ..Opened::of(Box::new(input)) })
    }

    fn cluster(&self) -> Option<&KafkaSettings> {
        Some(self)
    }
}

impl Input for KafkaInput {
    fn poll(&mut self, wait: Duration) -> Result<Polled, InputError> {
        let (Some(consumer), Some(asker)) = (&self.consumer, &self.asker) else {
            return Ok(Polled::End);
        };
        let context = consumer.context();
        if let Some(polled) = next(context)? {
            return Ok(polled);
        }
        context.look_up(consumer, asker);
        let mut wait = wait;
        while let Some(result) = consumer.poll(wait) {
            wait = Duration::ZERO;
            let message = match result {
                Ok(message) => message,
                Err(error) => match context.end_of_client(&error) {
                    Some(end) => return Err(end),
                    // The context has been given it with its reason.
                    None => continue,
                },
            };
            if gather(context, &message)? {
                break;
            }
        }
        // What was gathered since a topic was made again may be the new one's: none of it goes on.
        if let Some(error) = context.replaced_topic() {
            return Err(error);
        }
        context.shared().collector.flush();
        Ok(next(context)?.unwrap_or(Polled::Idle))
    }

    fn pause(&mut self) -> Result<(), InputError> {
        let Some(consumer) = &self.consumer else { return Ok(()) };
        consumer.context().shared().paused = true;
        let list = consumer.assignment().map_err(kafka)?;
        consumer.pause(&list).map_err(kafka)
    }

    fn resume(&mut self) -> Result<(), InputError> {
        let Some(consumer) = &self.consumer else { return Ok(()) };
        consumer.context().shared().paused = false;
        let list = consumer.assignment().map_err(kafka)?;
        consumer.resume(&list).map_err(kafka)
    }

    fn durable(
        &mut self,
        partition: &SourcePartition,
        next_offset: u64,
    ) -> Result<bool, InputError> {
        let Some(consumer) = &self.consumer else { return Ok(false) };
        if consumer.context().epoch(&partition.topic) != partition.epoch {
            // The group's offset is one of the present stream epoch.
            return Ok(true);
        }
        let number = i32::try_from(partition.partition);
        let last = next_offset.checked_sub(1).map(i64::try_from);
        if let (Ok(number), Some(Ok(last))) = (number, last) {
            // Refused where the partition is no longer ours; its next owner stores its own.
            if let Err(error) = consumer.store_offset(&partition.topic, number, last) {
                tracing::debug!("Kafka: {partition}: storing offset {next_offset}: {error}");
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn close(&mut self) -> Result<(), InputError> {
        if let Some(asker) = &mut self.asker {
            asker.stop();
        }
        // Each waits for its request in hand.
        (self.watch, self.asker) = (None, None);
        // Dropping the consumer gives its partitions back, commits what was stored and leaves.
        self.consumer = None;
        Ok(())
    }
}

/// A halt, or a batch that waits.
fn next(context: &Context) -> Result<Option<Polled>, InputError> {
    let mut shared = context.shared();
    if let Some(error) = shared.errors.pop_front() {
        return Err(error);
    }
    if shared.paused {
        return Ok(None);
    }
    let batch = shared.collector.take();
    if let Some(batch) = batch.as_ref().filter(|batch| !batch.is_empty()) {
        shared.restarts.forget(&batch.partition);
    }
    Ok(batch.map(Polled::Batch))
}

/// Takes one message in. Returns whether the round has gathered enough.
fn gather(context: &Context, message: &BorrowedMessage<'_>) -> Result<bool, InputError> {
    let (Ok(partition), Ok(offset)) =
        (u32::try_from(message.partition()), u64::try_from(message.offset()))
    else {
        return Err(InputError::Kafka(format!(
            "a record of {} has partition {} and offset {}",
            message.topic(),
            message.partition(),
            message.offset()
        )));
    };
    let record = Parts {
        offset,
        timestamp_ms: message.timestamp().to_millis(),
        key: message.key(),
        value: message.payload(),
        damage: None,
    };
    let mut shared = context.shared();
    if let Some(refused) = &mut shared.fetch_refused
        && refused.read(message.topic())
    {
        shared.fetch_refused = None;
        context.health().accept(&Refusal::Fetch);
    }
    // A message of an assignment that has ended: its next owner reads it.
    let Some(lane) = shared.collector.find(message.topic(), partition) else { return Ok(false) };
    let Some(headers) = message.headers() else {
        shared.collector.push(lane, record, std::iter::empty())?;
        return Ok(shared.collector.is_full());
    };
    match headers::read(headers) {
        Some(headers) => shared.collector.push(lane, record, headers.into_iter())?,
        None => {
            let record = Parts { damage: Some("a header's name is not UTF-8"), ..record };
            shared.collector.push(lane, record, std::iter::empty())?;
        }
    }
    Ok(shared.collector.is_full())
}

fn kafka(error: KafkaError) -> InputError {
    InputError::Kafka(error.to_string())
}
