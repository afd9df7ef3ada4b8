//! The thread of an input: polls, hands batches to the mappers, reports what is durable.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use crate::clock::Clock;
use crate::event::SourcePartition;
use crate::input::{Batch, Input, InputError, Polled, StreamNames};
use crate::ledger::LedgerReader;
use crate::pipeline::reading::Reading;
use crate::pipeline::status::{Stage, Status};
use crate::pipeline::{Stop, mapper};

/// Longest wait of one poll: how fast a stop is noticed.
const POLL_WAIT: Duration = Duration::from_millis(50);
/// Maximum wait for a full queue before the input is paused: a pause discards records that a Kafka
/// client has prefetched.
const PAUSE_AFTER: Duration = Duration::from_secs(1);
/// Retry interval for a full queue.
const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(2);
/// Interval at which the input is told about durable positions.
const DURABLE_EVERY: Duration = Duration::from_secs(1);

/// The inputs for which the service goes on. Once the last of them has ended, the others end too.
#[derive(Debug, Clone)]
pub struct Needed(Arc<AtomicUsize>);

impl Needed {
    /// So many inputs.
    pub fn new(inputs: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(inputs)))
    }

    fn one_ended(&self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }

    fn all_ended(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }
}

/// The stage.
pub struct Intake {
    /// The supplier of records.
    pub input: Box<dyn Input>,
    /// Names of its streams.
    pub streams: StreamNames,
    /// The reading of its records.
    pub reading: Arc<dyn Reading>,
    /// True if the service goes on for it.
    pub keeps_service_alive: bool,
    /// The inputs for which the service goes on.
    pub needed: Needed,
    /// Knows what is durable.
    pub reader: Arc<dyn LedgerReader>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counts and times of the stage.
    pub status: Arc<Status>,
    /// Asked from outside to stop.
    pub stop: Stop,
}

impl Intake {
    /// Runs until the input ends, all inputs that are needed have ended, a stop is asked for, or the
    /// next stage is gone. There is one queue for each mapper.
    pub fn run(&mut self, queues: &[SyncSender<mapper::Polled>]) -> Result<(), InputError> {
        let result = self.take_in(queues);
        self.input.stop();
        if self.keeps_service_alive {
            self.needed.one_ended();
        }
        result
    }

    fn take_in(&mut self, queues: &[SyncSender<mapper::Polled>]) -> Result<(), InputError> {
        let mut reported = Reported::default();
        let mut reported_at = self.clock.monotonic();
        while !self.stop.is_asked() && !self.needed.all_ended() {
            let started = self.clock.monotonic();
            match self.input.poll(POLL_WAIT)? {
                Polled::Batch(mut batch) => {
                    (batch.asked, batch.polled) = (started, self.clock.monotonic());
                    let took = batch.polled.saturating_sub(started);
                    self.status.add(Stage::Poll, batch.len(), took);
                    if !self.hand_on(batch, queues)? {
                        return Ok(());
                    }
                }
                Polled::Idle => {}
                Polled::End => return Ok(()),
            }
            if self.clock.monotonic().saturating_sub(reported_at) >= DURABLE_EVERY {
                reported_at = self.clock.monotonic();
                reported.report(&mut *self.input, &self.streams, self.reader.progress())?;
            }
        }
        Ok(())
    }

    /// Hands a batch to its partition's mapper; whether the mapper is still there.
    fn hand_on(
        &mut self,
        batch: Batch,
        queues: &[SyncSender<mapper::Polled>],
    ) -> Result<bool, InputError> {
        let queue = queue_of(&batch.partition, queues.len());
        let Some(queue) = queues.get(queue) else { return Ok(false) };
        let mut polled = mapper::Polled { batch, reading: self.reading.clone() };
        let since = self.clock.monotonic();
        let mut paused = false;
        loop {
            match queue.try_send(polled) {
                Ok(()) => {
                    self.status.queued(1);
                    if paused {
                        self.input.resume()?;
                    }
                    return Ok(true);
                }
                Err(TrySendError::Disconnected(_)) => return Ok(false),
                Err(TrySendError::Full(back)) => polled = back,
            }
            std::thread::sleep(FULL_QUEUE_PAUSE);
            if !paused && self.clock.monotonic().saturating_sub(since) >= PAUSE_AFTER {
                self.input.pause()?;
                paused = true;
            }
            if paused {
                // Serves the group, so that a long stall does not cost the membership. A paused
                // input gives no batch.
                self.input.poll(POLL_WAIT)?;
            }
        }
    }

    /// Reports all that is durable and ends the input.
    pub fn close(&mut self) -> Result<(), InputError> {
        let progress = self.reader.progress();
        Reported::default().report(&mut *self.input, &self.streams, progress)?;
        self.input.close()
    }
}

fn queue_of(partition: &SourcePartition, queues: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    (&partition.topic, partition.epoch).hash(&mut hasher);
    // Neighbouring partitions go to different mappers.
    let spread = hasher.finish().wrapping_add(u64::from(partition.partition));
    usize::try_from(spread % queues.max(1) as u64).unwrap_or(0)
}

/// Positions that an input was told are durable.
#[derive(Default)]
struct Reported(BTreeMap<SourcePartition, u64>);

impl Reported {
    fn report(
        &mut self,
        input: &mut dyn Input,
        streams: &StreamNames,
        progress: Vec<(SourcePartition, u64)>,
    ) -> Result<(), InputError> {
        let mine = progress.into_iter().filter(|(one, _)| streams.contains(&one.topic));
        for (partition, next) in mine {
            if self.0.get(&partition) != Some(&next) && input.durable(&partition, next)? {
                self.0.insert(partition, next);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An input that owns some partitions and notes the reports.
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
    fn a_report_that_an_input_did_not_take_is_repeated() {
        let (ours, theirs) = (SourcePartition::new("t", 0), SourcePartition::new("t", 1));
        let mut input = Owner::default();
        let mut reported = Reported::default();
        let streams = StreamNames::Listed(vec!["t".to_owned()]);
        let mut tell = |owned: &[&SourcePartition], next| {
            input.owned = owned.iter().map(|&partition| partition.clone()).collect();
            let of_others = (SourcePartition::calls(), 9);
            let progress = vec![(ours.clone(), next), (theirs.clone(), 7), of_others];
            reported.report(&mut input, &streams, progress).unwrap();
            std::mem::take(&mut input.told)
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
