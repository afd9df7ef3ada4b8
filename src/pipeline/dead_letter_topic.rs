//! Copies of dead letters on a Kafka topic, for those who repair and send them again. The ledger
//! keeps the letters themselves; the topic has each at least once.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::ledger::{Block, DeadLetter};
use crate::pipeline::Stop;
use crate::source::{KafkaSettings, KafkaWriter, SourceError, TopicRecord};
use crate::state::{Projection, StateError};

/// How long one wait for the cluster is.
const FLUSH_WAIT: Duration = Duration::from_millis(500);

/// The projection.
#[derive(Debug)]
pub struct DeadLetterTopic {
    writer: KafkaWriter,
    topic: String,
    place: PathBuf,
    next: AtomicU64,
    stop: Stop,
}

impl DeadLetterTopic {
    /// Goes on from the place that is kept in a file; from the ledger's beginning where there is
    /// none.
    pub fn open(
        settings: &KafkaSettings,
        topic: &str,
        place: &Path,
        stop: Stop,
    ) -> Result<Self, SourceError> {
        let read = std::fs::read_to_string(place).unwrap_or_default();
        let next = AtomicU64::new(read.trim().parse().unwrap_or(0));
        let (topic, place) = (topic.to_owned(), place.to_owned());
        Ok(Self { writer: KafkaWriter::new(settings)?, topic, place, next, stop })
    }

    fn send(&self, block: &Block, letter: &DeadLetter) -> Result<(), StateError> {
        let record = format!("{}/{}", letter.partition, letter.offset);
        let number = block.header.number.to_string();
        let rejection = &letter.rejection;
        let mut headers: Vec<(&str, Option<&[u8]>)> = vec![
            ("ledgerline-record", Some(record.as_bytes())),
            ("ledgerline-cause", Some(rejection.cause.name().as_bytes())),
            ("ledgerline-place", Some(rejection.place.as_bytes())),
            ("ledgerline-message", Some(rejection.message.as_bytes())),
            ("ledgerline-block", Some(number.as_bytes())),
        ];
        let original = letter.headers.iter();
        headers.extend(original.map(|(name, value)| (name.as_str(), value.as_deref())));
        let record = TopicRecord {
            topic: &self.topic,
            key: letter.key.as_deref(),
            value: letter.value.as_deref(),
            headers: &headers,
        };
        self.writer.write(&record).map_err(|error| self.refused(&error))
    }

    fn refused(&self, error: &str) -> StateError {
        StateError::Destination(format!(
            "the topic `{}` takes no dead letters: {error}; they are safe in the ledger and go out \
             from there once that is mended",
            self.topic
        ))
    }
}

impl Projection for DeadLetterTopic {
    fn name(&self) -> &'static str {
        "dead letter topic"
    }

    fn next_block(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    fn apply(&self, block: &Block) -> Result<(), StateError> {
        for letter in &block.records.dead_letters {
            self.send(block, letter)?;
        }
        self.next.store(block.header.number + 1, Ordering::Relaxed);
        Ok(())
    }

    /// Nothing but the savepoint's own time makes one due.
    fn gathered(&self) -> usize {
        0
    }

    /// Waits for the cluster, then keeps the place by a rename.
    fn savepoint(&self) -> Result<(), StateError> {
        while !self.writer.flush(FLUSH_WAIT).map_err(|error| self.refused(&error))? {
            if self.stop.is_asked() {
                let left = "no broker takes the last dead letters; the next start sends them";
                return Err(StateError::Destination(left.to_owned()));
            }
        }
        let new = self.place.with_extension("new");
        let io = |error| StateError::Io { doing: "writing", path: self.place.clone(), error };
        std::fs::write(&new, self.next_block().to_string()).map_err(io)?;
        std::fs::rename(&new, &self.place).map_err(io)
    }
}
