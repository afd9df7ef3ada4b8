//! Copies of dead letters on a Kafka topic, for those who repair and send them again. The ledger
//! keeps the letters themselves; the topic has each at least once.
//!
//! The place up to which copies are acknowledged stands in a file: number and hash of the next block
//! and the topic. Whatever the cluster refuses or may have lost is sent again from that place, so
//! nothing here may ever hold up ingestion or end it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::codec::Digest;
use crate::disk::{SystemDisk, read_whole};
use crate::follower::{Follower, FollowerError};
use crate::input::{InputError, KafkaSettings, KafkaWriter, TopicRecord};
use crate::ledger::{Block, DeadLetter, LedgerReader};
use crate::limits::MAX_NOTE_BYTES;
use crate::pipeline::Stop;

/// Timeout of one wait for the cluster.
const FLUSH_WAIT: Duration = Duration::from_millis(500);
/// Waits that the last copies get once a stop is asked for.
const LAST_WAITS: u32 = 4;

/// The follower.
#[derive(Debug)]
pub struct DeadLetterTopic {
    settings: KafkaSettings,
    topic: String,
    place: PathBuf,
    next: AtomicU64,
    /// Block of the place that is kept, for those who must not wait for `sending`.
    saved: AtomicU64,
    sending: Mutex<Sending>,
    stop: Stop,
}

#[derive(Debug)]
struct Sending {
    writer: KafkaWriter,
    /// Block after the last one whose copies are acknowledged.
    acknowledged: u64,
    /// Hash of the newest block that was taken in.
    newest: Digest,
}

impl DeadLetterTopic {
    /// The name of this follower.
    pub const NAME: &'static str = "dead-letter-topic";

    /// Goes on from the place that is kept in a file; from the ledger's beginning where there is
    /// none, or where it is the place of another ledger or topic.
    pub fn open(
        settings: &KafkaSettings,
        topic: &str,
        place: &Path,
        ledger: &dyn LedgerReader,
        stop: Stop,
    ) -> Result<Self, InputError> {
        let text = read_whole(&SystemDisk, place, MAX_NOTE_BYTES).unwrap_or_default();
        let text = String::from_utf8(text).unwrap_or_default();
        let (next, newest) = read_place(&text, topic, ledger).unwrap_or((0, Digest::default()));
        if next == 0 && !text.is_empty() {
            let file = place.display();
            let what =
                "not the savepoint of this ledger and topic: every dead letter is sent again";
            tracing::warn!(%file, topic, "{what}");
        }
        let writer = KafkaWriter::new(settings)?;
        Ok(Self {
            settings: settings.clone(),
            topic: topic.to_owned(),
            place: place.to_owned(),
            next: AtomicU64::new(next),
            saved: AtomicU64::new(next),
            sending: Mutex::new(Sending { writer, acknowledged: next, newest }),
            stop,
        })
    }

    fn sending(&self) -> MutexGuard<'_, Sending> {
        // A panic in between leaves places that are at most too old.
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands one copy to the writer, and waits while that is full.
    fn send(&self, writer: &KafkaWriter, block: &Block, letter: &DeadLetter) -> Result<(), Held> {
        let text = Described::new(block, letter);
        // The last header of a name counts: a letter that was sent again and died again has both.
        let original = letter.headers.iter();
        let original = original.map(|(name, value)| (name.as_str(), value.as_deref()));
        let headers: Vec<_> = original.chain(text.headers(letter)).collect();
        let record = TopicRecord {
            topic: &self.topic,
            key: letter.key.as_deref(),
            value: letter.value.as_deref(),
            headers: &headers,
        };
        while !writer.write(&record, FLUSH_WAIT).map_err(Held::Refused)? {
            if self.stop.is_asked() {
                return Err(Held::Stopped);
            }
        }
        Ok(())
    }

    fn flush(&self, writer: &KafkaWriter) -> Result<(), Held> {
        let mut waits = LAST_WAITS;
        while !writer.flush(FLUSH_WAIT).map_err(Held::Refused)? {
            if self.stop.is_asked() {
                waits = waits.checked_sub(1).ok_or(Held::Stopped)?;
            }
        }
        Ok(())
    }

    /// Sends everything refused or unacknowledged again, with a new client, because an idempotent
    /// one is unusable after some refusals.
    fn hold(&self, sending: &mut Sending, held: Held) -> FollowerError {
        let reason = match held {
            Held::Stopped => {
                "no broker accepted the last dead letters; the next start sends them".to_owned()
            }
            Held::Refused(reason) => {
                self.next.store(sending.acknowledged, Ordering::Relaxed);
                match KafkaWriter::new(&self.settings) {
                    Ok(writer) => sending.writer = writer,
                    Err(error) => {
                        tracing::debug!(%error, "cannot create a new producer for dead letters")
                    }
                }
                format!(
                    "cannot write dead letters to topic `{}`: {reason}; they remain in the ledger and \
                     are sent once the cause is fixed",
                    self.topic
                )
            }
        };
        FollowerError::Held(reason)
    }

    fn keep_place(&self, next: u64, newest: &Digest) -> std::io::Result<()> {
        let new = self.place.with_extension("new");
        std::fs::write(&new, format!("{next} {newest} {}\n", self.topic))?;
        std::fs::rename(&new, &self.place)
    }
}

/// Why copies do not go out.
enum Held {
    /// The cluster or the client said no.
    Refused(String),
    /// A stop was asked for before they were acknowledged.
    Stopped,
}

/// The headers of a copy, as text.
struct Described {
    record: String,
    block: String,
    timestamp: Option<String>,
    value_bytes: String,
    digest: String,
}

impl Described {
    fn new(block: &Block, letter: &DeadLetter) -> Self {
        Self {
            record: format!("{}/{}", letter.partition, letter.offset),
            block: block.header.number.to_string(),
            timestamp: letter.timestamp_ms.map(|time| time.to_string()),
            value_bytes: letter.value_len.to_string(),
            digest: letter.digest.to_string(),
        }
    }

    fn headers<'a>(
        &'a self,
        letter: &'a DeadLetter,
    ) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> {
        let rejection = &letter.rejection;
        let header = |(name, text): (&'a str, &'a str)| (name, Some(text.as_bytes()));
        let timestamp = self.timestamp.as_deref().map(|time| ("ledgerline-timestamp", time));
        [
            ("ledgerline-record", self.record.as_str()),
            ("ledgerline-cause", rejection.cause.name()),
            ("ledgerline-place", rejection.place.as_str()),
            ("ledgerline-message", rejection.message.as_str()),
            ("ledgerline-block", self.block.as_str()),
            // Of the whole value, of which a long one's beginning is kept.
            ("ledgerline-value-bytes", self.value_bytes.as_str()),
            ("ledgerline-value-sha256", self.digest.as_str()),
        ]
        .into_iter()
        .chain(timestamp)
        .map(header)
    }
}

/// The place in a file's text, where it is one of this ledger and topic.
fn read_place(text: &str, topic: &str, ledger: &dyn LedgerReader) -> Option<(u64, Digest)> {
    let mut words = text.split_whitespace();
    let next: u64 = words.next()?.parse().ok()?;
    let (hash, place_topic) = (words.next()?, words.next()?);
    let newest = next.checked_sub(1).filter(|newest| *newest < ledger.head().height)?;
    let found = ledger.block(newest).ok()?.header.hash();
    (place_topic == topic && found.to_string() == hash).then_some((next, found))
}

impl Follower for DeadLetterTopic {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn next_block(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    fn saved_block(&self) -> u64 {
        self.saved.load(Ordering::Relaxed)
    }

    fn apply(&self, block: &Block) -> Result<(), FollowerError> {
        let mut sending = self.sending();
        for letter in &block.records.dead_letters {
            if let Err(held) = self.send(&sending.writer, block, letter) {
                return Err(self.hold(&mut sending, held));
            }
        }
        sending.newest = block.header.hash();
        self.next.store(block.header.number + 1, Ordering::Relaxed);
        Ok(())
    }

    /// Waits for the cluster, then keeps the place by a rename.
    fn save_some(&self) -> Result<bool, FollowerError> {
        let mut sending = self.sending();
        if let Err(held) = self.flush(&sending.writer) {
            return Err(self.hold(&mut sending, held));
        }
        let next = self.next_block();
        sending.acknowledged = next;
        self.keep_place(next, &sending.newest).map_err(|error| {
            let file = self.place.display();
            FollowerError::Held(format!("the dead-letter savepoint {file}: {error}"))
        })?;
        self.saved.store(next, Ordering::Relaxed);
        Ok(true)
    }
}
