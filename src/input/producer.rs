//! Writes records to Kafka no faster than they are consumed: for the demonstration, benchmarks and
//! tests. The embedded broker drops its oldest records when it is full, so this producer holds back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};

use crate::limits::{
    KAFKA_REQUEST_TIMEOUT, KAFKA_RETRY_PAUSE, MAX_OUTSTANDING_BYTES, MAX_OUTSTANDING_RECORDS,
};

/// A record to write.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Partition; the caller keeps the order of each device by it.
    pub partition: u16,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Headers in order.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
}

/// The result of sending a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It will be written.
    Taken,
    /// Too much is on its way: wait ([`GatedProducer::wait`]) and offer it again.
    Held,
}

/// Why records are not written.
#[derive(Debug, Clone, thiserror::Error)]
#[error("writing to Kafka: {0}")]
pub struct ProducerError(String);

/// Times that brokers are asked for a topic that they are about to make.
const TOPIC_TRIES: u32 = 5;

#[allow(clippy::needless_pass_by_value)] // it is what errors are mapped with
fn failed(error: KafkaError) -> ProducerError {
    ProducerError(error.to_string())
}

/// One partition.
#[derive(Debug, Default, Clone, Copy)]
struct Lane {
    in_flight: u64,
    /// Offset after the last record written.
    end: u64,
    /// The offset that the ledger needed next when it was asked last.
    consumed: u64,
    largest: usize,
}

#[derive(Debug, Default)]
struct State {
    lanes: Vec<Lane>,
    written: u64,
    failed: Option<ProducerError>,
}

#[derive(Clone, Default)]
struct Context {
    state: Arc<Mutex<State>>,
}

impl Context {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Context {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!("librdkafka: {facility}: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!("producer: {error}: {reason}");
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, lane: usize) {
        let mut state = self.state();
        match result {
            Ok(message) => {
                let end = u64::try_from(message.offset()).map_or(0, |offset| offset + 1);
                state.written += 1;
                if let Some(lane) = state.lanes.get_mut(lane) {
                    lane.in_flight = lane.in_flight.saturating_sub(1);
                    lane.end = lane.end.max(end);
                }
            }
            Err((error, _)) => state.failed = Some(ProducerError(error.to_string())),
        }
    }
}

/// A producer that holds back.
pub struct GatedProducer {
    producer: BaseProducer<Context>,
    context: Context,
    lanes: BTreeMap<String, Vec<Option<usize>>>,
}

impl std::fmt::Debug for GatedProducer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GatedProducer").field("lanes", &self.lanes).finish_non_exhaustive()
    }
}

impl GatedProducer {
    /// A producer for these brokers: idempotent, so that a retry neither doubles nor reorders.
    pub fn new(bootstrap: &str) -> Result<Self, ProducerError> {
        Self::with_properties(bootstrap, &[])
    }

    /// The same with further properties of librdkafka, such as how to be let in.
    pub fn with_properties(
        bootstrap: &str,
        properties: &[(String, String)],
    ) -> Result<Self, ProducerError> {
        let context = Context::default();
        let mut config = ClientConfig::new();
        config
            .set_log_level(RDKafkaLogLevel::Info)
            .set("bootstrap.servers", bootstrap)
            .set("enable.idempotence", "true")
            .set("compression.type", "none") // it shares its cores with the broker and us
            .set("linger.ms", "5");
        config.extend(properties.iter().cloned());
        let producer = config.create_with_context(context.clone()).map_err(failed)?;
        Ok(Self { producer, context, lanes: BTreeMap::new() })
    }

    /// Number of a topic's partitions. Brokers that make topics by themselves make it.
    pub fn partitions(&self, topic: &str) -> Result<u16, ProducerError> {
        let client = self.producer.client();
        for attempt in 0..TOPIC_TRIES {
            if attempt > 0 {
                std::thread::sleep(KAFKA_RETRY_PAUSE);
            }
            let metadata =
                client.fetch_metadata(Some(topic), KAFKA_REQUEST_TIMEOUT).map_err(failed)?;
            let count = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
            if count > 0 {
                return u16::try_from(count)
                    .map_err(|_| ProducerError(format!("`{topic}` has {count} partitions")));
            }
        }
        let reason =
            "topic not found, and the brokers do not create topics automatically; create it";
        Err(ProducerError(format!("`{topic}`: {reason}")))
    }

    /// Number of the records that a topic holds.
    pub fn held(&self, topic: &str) -> Result<u64, ProducerError> {
        let client = self.producer.client();
        let mut held = 0;
        for partition in 0..self.partitions(topic)? {
            let (low, high) = client
                .fetch_watermarks(topic, i32::from(partition), KAFKA_REQUEST_TIMEOUT)
                .map_err(failed)?;
            held += u64::try_from(high - low).unwrap_or(0);
        }
        Ok(held)
    }

    /// Offers a record. `consumed` gives the offset that the ledger needs next of a topic's
    /// partition; it is only asked when a partition nears its bound.
    ///
    /// # Errors
    ///
    /// What the broker said of this or an earlier record.
    pub fn offer(
        &mut self,
        record: &Outgoing<'_>,
        consumed: impl Fn(&str, u16) -> u64,
    ) -> Result<Sent, ProducerError> {
        let size = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        let index = self.lane(record.topic, record.partition);
        {
            let mut state = self.context.state();
            if let Some(error) = state.failed.clone() {
                return Err(error);
            }
            let Some(lane) = state.lanes.get_mut(index) else { return Ok(Sent::Held) };
            lane.largest = lane.largest.max(size);
            let most = (MAX_OUTSTANDING_BYTES / lane.largest.max(1)).max(1) as u64;
            let most = most.min(MAX_OUTSTANDING_RECORDS);
            let end = lane.end + lane.in_flight;
            if end.saturating_sub(lane.consumed) >= most {
                lane.consumed = consumed(record.topic, record.partition);
                if end.saturating_sub(lane.consumed) >= most {
                    return Ok(Sent::Held);
                }
            }
            lane.in_flight += 1;
        }
        match self.producer.send(base_record(record, index)) {
            Ok(()) => Ok(Sent::Taken),
            Err((error, _)) => {
                if let Some(lane) = self.context.state().lanes.get_mut(index) {
                    lane.in_flight = lane.in_flight.saturating_sub(1);
                }
                match error.rdkafka_error_code() {
                    Some(RDKafkaErrorCode::QueueFull) => Ok(Sent::Held),
                    _ => Err(failed(error)),
                }
            }
        }
    }

    /// Serves the client for so long; with no time at all, serves what is due.
    pub fn wait(&self, time: Duration) {
        // A poll of a millisecond or less spins: the library rounds what is left of it to nothing.
        std::thread::sleep(time);
        self.producer.poll(Duration::ZERO);
    }

    /// Records that the broker has acknowledged.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.context.state().written
    }

    /// Waits until everything taken is written, at most so long.
    pub fn flush(&self, most: Duration) -> Result<(), ProducerError> {
        self.producer.flush(most).map_err(failed)?;
        self.context.state().failed.clone().map_or(Ok(()), Err)
    }

    fn lane(&mut self, topic: &str, partition: u16) -> usize {
        if !self.lanes.contains_key(topic) {
            self.lanes.insert(topic.to_owned(), Vec::new());
        }
        let Some(lanes) = self.lanes.get_mut(topic) else { return usize::MAX };
        let partition = usize::from(partition);
        if lanes.len() <= partition {
            lanes.resize(partition + 1, None);
        }
        *lanes[partition].get_or_insert_with(|| {
            let mut state = self.context.state();
            state.lanes.push(Lane::default());
            state.lanes.len() - 1
        })
    }
}

fn base_record<'a>(record: &Outgoing<'a>, lane: usize) -> BaseRecord<'a, [u8], [u8], usize> {
    let mut base = BaseRecord::with_opaque_to(record.topic, lane)
        .partition(i32::from(record.partition))
        .timestamp(record.timestamp_ms);
    base.key = record.key;
    base.payload = record.value;
    if !record.headers.is_empty() {
        let headers = OwnedHeaders::new_with_capacity(record.headers.len());
        let add = |headers: OwnedHeaders, (key, value): &(&str, &[u8])| {
            headers.insert(Header { key, value: Some(*value) })
        };
        base = base.headers(record.headers.iter().fold(headers, add));
    }
    base
}
