//! Writes single records to a topic of the cluster that is read, and tells when they are there.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};

use crate::input::kafka::Redaction;
use crate::input::{InputError, KafkaSettings};
use crate::limits::{MAX_UNSENT_KBYTES, MAX_UNSENT_RECORDS};

/// Properties of the source that concern how the cluster is reached, by their first letters.
const CONNECTION: [&str; 15] = [
    "api.version.",
    "bootstrap.servers",
    "broker.",
    "client.",
    "connections.",
    "enable.sasl.",
    "enable.ssl.",
    "https.",
    "metadata.",
    "reconnect.",
    "sasl.",
    "security.",
    "socket.",
    "ssl.",
    "topic.metadata.",
];

/// A record to write; its partition follows from its key.
#[derive(Debug, Clone, Copy)]
pub struct TopicRecord<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Headers in order.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
}

/// A writer. It keeps trying while no broker is there.
pub struct KafkaWriter {
    producer: BaseProducer<Context>,
    context: Context,
}

#[derive(Clone, Default)]
struct Context {
    refused: Arc<Mutex<Option<String>>>,
    redaction: Redaction,
}

impl ClientContext for Context {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!("librdkafka: {facility}: {}", self.redaction.apply(message));
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!("writer: {error}: {}", self.redaction.apply(reason));
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            refused.get_or_insert(error.to_string());
        }
    }
}

impl std::fmt::Debug for KafkaWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KafkaWriter")
    }
}

impl KafkaWriter {
    /// A writer to the cluster of a source.
    pub fn new(settings: &KafkaSettings) -> Result<Self, InputError> {
        let redaction = settings.redaction.clone();
        let context = Context { refused: Arc::default(), redaction };
        let producer = writer_config(settings)
            .create_with_context(context.clone())
            .map_err(|error: KafkaError| settings.redacted(&error))?;
        Ok(Self { producer, context })
    }

    /// Checks that a producer can be created with these settings. Does not connect.
    pub fn check(settings: &KafkaSettings) -> Result<(), InputError> {
        let mut config = writer_config(settings);
        config.remove("bootstrap.servers");
        let made = config.create_with_context::<_, BaseProducer<Context>>(Context::default());
        made.map(drop).map_err(|error| settings.redacted(&error))
    }

    /// Takes a record to be written, where the client's own queue has room within a time; whether
    /// it was taken. An error is what the client refuses for good.
    pub fn write(&self, record: &TopicRecord<'_>, most: Duration) -> Result<bool, String> {
        let mut base = BaseRecord::<[u8], [u8]>::to(record.topic);
        base.key = record.key;
        base.payload = record.value;
        let add = |headers: OwnedHeaders, (key, value): &(&str, Option<&[u8]>)| {
            headers.insert(Header { key, value: *value })
        };
        let headers = OwnedHeaders::new_with_capacity(record.headers.len());
        base = base.headers(record.headers.iter().fold(headers, add));
        for wait in [most, Duration::ZERO] {
            let Err((error, back)) = self.producer.send(base) else { return Ok(true) };
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(error.to_string());
            }
            self.producer.poll(wait);
            base = back;
        }
        Ok(false)
    }

    /// Waits until everything taken is written; whether it is. An error is what the cluster refused
    /// for good, such as a topic that may not be written.
    pub fn flush(&self, most: Duration) -> Result<bool, String> {
        let flushed = self.producer.flush(most).is_ok();
        let mut refused = self.context.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.take().map_or(Ok(flushed), Err)
    }
}

/// Settings of the producer: how the cluster is reached is the source's, how records are written is
/// ours.
fn writer_config(settings: &KafkaSettings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set_log_level(RDKafkaLogLevel::Info);
    // The map shows a placeholder in place of a password.
    for name in settings.config.config_map().into_keys() {
        let is_of_connection = CONNECTION.iter().any(|first| name.starts_with(first));
        if let Some(value) = settings.config.get(name).filter(|_| is_of_connection) {
            config.set(name, value);
        }
    }
    config
        .set("enable.idempotence", "true")
        .set("message.timeout.ms", "0") // an outage is waited out
        .set("compression.type", "zstd")
        .set("linger.ms", "5")
        .set("queue.buffering.max.messages", MAX_UNSENT_RECORDS.to_string())
        .set("queue.buffering.max.kbytes", MAX_UNSENT_KBYTES.to_string());
    config
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::codec::yaml;
    use crate::input::KafkaForm;

    #[test]
    fn a_writer_logs_in_as_the_source_does() {
        let login = "security.protocol: SASL_SSL, sasl.mechanism: PLAIN, sasl.username: u, \
                     sasl.password: hunter22, session.timeout.ms: 6000";
        let text = format!("brokers: b:1\ngroup: g\ntopics: [t]\nproperties: {{{login}}}");
        let form = yaml::parse::<KafkaForm>(Path::new("c.yaml"), &text).unwrap();
        let settings = form[0].check(Path::new("c.yaml"), &mut Vec::new()).unwrap();
        let config = writer_config(&settings);
        assert_eq!(config.get("sasl.password"), Some("hunter22"));
        assert_eq!(config.get("bootstrap.servers"), Some("b:1"));
        assert_eq!(config.get("session.timeout.ms"), None, "it is not a member of the group");
        assert!(KafkaWriter::check(&settings).is_ok());
    }
}
