//! The source's thread: polls, hands batches to the mappers, tells the source what is durable.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use crate::clock::Clock;
use crate::event::SourcePartition;
use crate::input::{Batch, Input, InputError, Polled};
use crate::ledger::LedgerReader;
use crate::pipeline::Stop;
use crate::pipeline::status::{Stage, Status};

/// Longest wait of one poll: how fast a stop is noticed.
const POLL_WAIT: Duration = Duration::from_millis(50);
/// Maximum wait for a full queue before the source is paused: a pause discards prefetched records.
const PAUSE_AFTER: Duration = Duration::from_secs(1);
/// Retry interval for a full queue.
const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(2);
/// Interval at which durable positions are reported to the source.
const DURABLE_EVERY: Duration = Duration::from_secs(1);

/// The stage.
pub struct Intake {
    /// The source of records.
    pub source: Box<dyn Input>,
    /// One queue for each mapper.
    pub queues: Vec<SyncSender<Batch>>,
    /// Tells what is durable.
    pub reader: Arc<dyn LedgerReader>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counters of the stage.
    pub status: Arc<Status>,
    /// Asked from outside to stop.
    pub stop: Stop,
}

impl Intake {
    /// Runs until the source ends, a stop is asked for, or the next stage is gone.
    pub fn run(&mut self) -> Result<(), InputError> {
        let mut told = Told::default();
        let mut told_at = self.clock.monotonic();
        while !self.stop.is_asked() {
            let started = self.clock.monotonic();
            match self.source.poll(POLL_WAIT)? {
                Polled::Batch(mut batch) => {
                    (batch.asked, batch.polled) = (started, self.clock.monotonic());
                    let took = batch.polled.saturating_sub(started);
                    self.status.add(Stage::Poll, batch.len(), took);
                    if !self.hand_on(batch)? {
                        return Ok(());
                    }
                }
                Polled::Idle => {}
                Polled::End => return Ok(()),
            }
            if self.clock.monotonic().saturating_sub(told_at) >= DURABLE_EVERY {
                told_at = self.clock.monotonic();
                told.tell(&mut *self.source, self.reader.progress())?;
            }
        }
        Ok(())
    }

    /// Hands a batch to its partition's mapper; whether the mapper is still there.
    fn hand_on(&mut self, mut batch: Batch) -> Result<bool, InputError> {
        let at = queue_of(&batch.partition, self.queues.len());
        let since = self.clock.monotonic();
        let mut paused = false;
        loop {
            match self.queues[at].try_send(batch) {
                Ok(()) => {
                    self.status.queued(1);
                    if paused {
                        self.source.resume()?;
                    }
                    return Ok(true);
                }
                Err(TrySendError::Disconnected(_)) => return Ok(false),
                Err(TrySendError::Full(back)) => batch = back,
            }
            std::thread::sleep(FULL_QUEUE_PAUSE);
            if !paused && self.clock.monotonic().saturating_sub(since) >= PAUSE_AFTER {
                self.source.pause()?;
                paused = true;
            }
            if paused {
                // Serves the group, so that a long stall does not cost the membership. A paused
                // source gives no batch.
                self.source.poll(POLL_WAIT)?;
            }
        }
    }

    /// Closes the queues and gives the source back.
    pub fn into_source(self) -> Box<dyn Input> {
        self.source
    }
}

fn queue_of(partition: &SourcePartition, queues: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    (&partition.topic, partition.epoch).hash(&mut hasher);
    // Neighbouring partitions go to different mappers.
    let spread = hasher.finish().wrapping_add(u64::from(partition.partition));
    usize::try_from(spread % queues.max(1) as u64).unwrap_or(0)
}

/// The positions reported to the source.
#[derive(Default)]
struct Told(BTreeMap<SourcePartition, u64>);

impl Told {
    fn tell(
        &mut self,
        source: &mut dyn Input,
        progress: Vec<(SourcePartition, u64)>,
    ) -> Result<(), InputError> {
        let progress = progress.into_iter();
        for (partition, next) in progress.filter(|(partition, _)| !partition.is_calls()) {
            if self.0.get(&partition) != Some(&next) && source.durable(&partition, next)? {
                self.0.insert(partition, next);
            }
        }
        Ok(())
    }
}

/// Tells the source all that is durable and ends it.
pub fn close(source: &mut dyn Input, reader: &dyn LedgerReader) -> Result<(), InputError> {
    Told::default().tell(source, reader.progress())?;
    source.close()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source that owns some partitions and notes what it is told.
    #[derive(Default)]
    struct Owner {
        owned: Vec<SourcePartition>,
        told: Vec<(String, u64)>,
    }

    impl Input for Owner {
        fn poll(&mut self, _: Duration) -> Result<Polled, InputError> {
            Ok(Polled::Idle)
        }

        fn pause(&mut self) -> Result<(), InputError> {
            Ok(())
        }

        fn resume(&mut self) -> Result<(), InputError> {
            Ok(())
        }

        fn durable(&mut self, partition: &SourcePartition, next: u64) -> Result<bool, InputError> {
            self.told.push((partition.to_string(), next));
            Ok(self.owned.contains(partition))
        }

        fn close(&mut self) -> Result<(), InputError> {
            Ok(())
        }
    }

    #[test]
    fn what_a_source_did_not_take_is_told_again() {
        let (ours, theirs) = (SourcePartition::new("t", 0), SourcePartition::new("t", 1));
        let mut source = Owner::default();
        let mut told = Told::default();
        let mut tell = |owned: &[&SourcePartition], next| {
            source.owned = owned.iter().map(|&partition| partition.clone()).collect();
            let calls = (SourcePartition::calls(), 9);
            let progress = vec![(ours.clone(), next), (theirs.clone(), 7), calls];
            told.tell(&mut source, progress).unwrap();
            std::mem::take(&mut source.told)
        };
        let (first, second) = (("t/0".to_owned(), 5), ("t/1".to_owned(), 7));
        assert_eq!(tell(&[], 5), [first.clone(), second.clone()], "nothing is ours yet");
        assert_eq!(tell(&[&ours], 5), [first, second.clone()]);
        assert_eq!(
            tell(&[&ours], 5),
            std::slice::from_ref(&second),
            "what is known is not told again"
        );
        assert_eq!(tell(&[&ours], 6), [("t/0".to_owned(), 6), second]);
    }
}
