//! A client that connects to nothing, for checking a configuration as a whole against the library.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;

use crate::diagnostic::{Diagnostic, Place};
use crate::input::kafka::properties::{KNOWN_PROPERTIES, Properties};
use crate::input::kafka::redaction::Redaction;

/// The position for an error of the whole configuration: that of the property that it names, else
/// this one.
#[derive(Clone, Copy)]
pub(super) struct Whole<'a> {
    pub(super) properties: &'a Properties,
    pub(super) file: &'a Path,
    pub(super) place: Place,
}

/// Makes a client that knows no broker, and so connects to nothing: whatever the library refuses or
/// warns of in the configuration as a whole is a fault.
pub(super) fn check_client(
    config: &ClientConfig,
    redaction: &Redaction,
    whole: Whole<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut config = config.clone();
    config.remove("bootstrap.servers");
    let client = config.create_with_context::<_, BaseConsumer<Warnings>>(Warnings::default());
    let consumer = match client {
        Ok(consumer) => consumer,
        Err(error) => {
            let message = match &error {
                // The error's own text would show the value.
                KafkaError::ClientConfig(_, reason, name, _) => format!("`{name}`: {reason}"),
                KafkaError::ClientCreation(reason) => reason.clone(),
                other => other.to_string(),
            };
            return diagnostics.push(whole.error(&redaction.apply(&message)));
        }
    };
    for _ in 0..MOST_WARNINGS {
        // Hands one line of the library's log to the context, where there is one.
        let _ = consumer.poll(Duration::ZERO);
    }
    let warnings = consumer.context().0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    diagnostics.extend(warnings.iter().filter_map(|text| whole.warning(&redaction.apply(text))));
}

/// Lines of the library's log that are looked at: a line for each property, and some more.
const MOST_WARNINGS: usize = 100;

impl Whole<'_> {
    /// The longest name of a property that a string holds, and its place.
    fn named(&self, text: &str) -> Option<(&str, Place)> {
        let named = self.properties.iter().filter(|(name, _)| text.contains(name.as_str()));
        let (name, property) = named.max_by_key(|(name, _)| name.len())?;
        Some((name, property.place))
    }

    fn error(&self, text: &str) -> Diagnostic {
        let place = self.named(text).map_or(self.place, |(_, place)| place);
        let message = format!("cannot create a Kafka client: {text}");
        Diagnostic::error(self.file, place, message).help(KNOWN_PROPERTIES)
    }

    fn warning(&self, text: &str) -> Option<Diagnostic> {
        let (name, place) = self.named(text)?;
        if text.contains("is a producer property") {
            let message = format!("`{name}` is a property of producers and has no effect");
            let help = "copies of dead letters use fixed settings, so that every in-sync replica acknowledges \
                        each one; remove it";
            return Some(Diagnostic::error(self.file, place, message).help(help));
        }
        Some(Diagnostic::warning(self.file, place, text))
    }
}

/// Collects the library's warnings about a configuration.
#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl ClientContext for Warnings {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility == "CONFWARN" {
            let message = message.rsplit("]: ").next().unwrap_or(message);
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(message.to_owned());
        }
    }

    fn error(&self, _error: KafkaError, _reason: &str) {}
}

impl ConsumerContext for Warnings {}
