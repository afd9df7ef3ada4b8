//! Followers: feed projections from the log, whichever ledger it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::ahead::ahead;
use crate::clock::Clock;
use crate::ledger::{Block, Entry, LedgerError, LedgerReader};
use crate::limits::{MAX_GATHERED_ASSETS, MAX_GATHERED_BLOCKS};
use crate::pipeline::status::{Stage, Status};
use crate::pipeline::traces::Traces;
use crate::state::{Projection, StateError};

/// How long a follower waits for a block before it looks whether it should end.
const WAIT: Duration = Duration::from_millis(100);
/// Least time between savepoints.
const SAVEPOINT_EVERY: Duration = Duration::from_secs(1);
/// Most time between savepoints: what a start after a crash has to take in again.
const SAVEPOINT_AT_LEAST_EVERY: Duration = Duration::from_secs(10);
/// A savepoint is due again after so many times its own length: a twentieth of the time is its share.
const SAVEPOINT_SHARE: u32 = 20;
/// Pause after the first refusal of a destination outside.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Time between summaries of dead letters in the log.
const SUMMARY_EVERY: Duration = Duration::from_secs(10);

/// Feeds one projection.
pub struct Follower {
    /// The log.
    pub reader: Arc<dyn LedgerReader>,
    /// The fold.
    pub projection: Arc<dyn Projection>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where the pipeline's own follower tells what it saw.
    pub status: Option<Arc<Status>>,
    /// Where it notes what became of batches.
    pub traces: Traces,
    /// Called after each savepoint.
    pub after_savepoint: Option<Arc<dyn Fn() + Send + Sync>>,
}

/// How far a follower is.
struct Run {
    saved_at: Duration,
    /// How long the newest savepoint took.
    saving_took: Duration,
    saved_blocks: u64,
    /// Why a destination outside took nothing lately.
    held: Option<String>,
    pause: Duration,
    /// The projections tell the same of the log, so one of them is enough.
    summary: Option<Summary>,
}

impl Follower {
    /// Runs until the pipeline has drained and the last block is taken in and saved. What a
    /// destination outside refuses is offered again after a while, until the pipeline has drained.
    pub fn run(&self, drained: &AtomicBool) -> Result<(), StateError> {
        let now = self.clock.monotonic();
        let mut run = Run {
            saved_at: now,
            saving_took: Duration::ZERO,
            saved_blocks: self.projection.next_block(),
            held: None,
            pause: FIRST_PAUSE,
            summary: self.status.is_some().then(|| Summary::new(now)),
        };
        loop {
            // Read before the head: a block that came after it is seen in the next round.
            let is_last_round = drained.load(Ordering::SeqCst);
            match self.round(&mut run, is_last_round) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(StateError::Destination(reason)) if !is_last_round => {
                    self.hold(&mut run, (reason, LONGEST_PAUSE), drained);
                }
                Err(error @ StateError::NoSpace { .. }) if !is_last_round => {
                    self.hold(&mut run, (error.to_string(), FIRST_PAUSE), drained);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes in the next blocks; whether the end was reached.
    fn round(&self, run: &mut Run, is_last_round: bool) -> Result<bool, StateError> {
        let next = self.projection.next_block();
        let wait = if is_last_round { Duration::ZERO } else { WAIT };
        let head = self.reader.wait_for(next + 1, wait);
        for number in next..head.height.min(next + MAX_GATHERED_BLOCKS) {
            let block = self.reader.block(number)?;
            self.take(&block)?;
            if let Some(summary) = &mut run.summary {
                summary.add(&block);
            }
        }
        let now = self.clock.monotonic();
        let is_at_end = is_last_round && self.projection.next_block() == self.reader.head().height;
        let pause = run.saving_took * SAVEPOINT_SHARE;
        let is_due = now.saturating_sub(run.saved_at)
            >= pause.clamp(SAVEPOINT_EVERY, SAVEPOINT_AT_LEAST_EVERY)
            || self.projection.gathered() >= MAX_GATHERED_ASSETS;
        if self.projection.next_block() != run.saved_blocks && (is_due || is_at_end) {
            self.save()?;
            (run.saved_at, run.saved_blocks) = (now, self.projection.next_block());
            run.saving_took = self.clock.monotonic().saturating_sub(now);
            if run.held.take().is_some() {
                run.pause = FIRST_PAUSE;
                tracing::info!("the {} goes on", self.projection.name());
            }
        }
        if let Some(summary) = &mut run.summary {
            summary.print(now, is_at_end);
        }
        Ok(is_at_end)
    }

    /// Waits after a refusal, longer each time, and tells what is new of it.
    fn hold(&self, run: &mut Run, (reason, longest): (String, Duration), drained: &AtomicBool) {
        if run.held.as_ref() != Some(&reason) {
            tracing::error!(reason, "the {} is held up", self.projection.name());
            run.held = Some(reason);
        }
        let until = self.clock.monotonic() + run.pause;
        run.pause = (run.pause * 2).min(longest);
        while self.clock.monotonic() < until && !drained.load(Ordering::SeqCst) {
            std::thread::sleep(WAIT);
        }
    }

    fn take(&self, block: &Block) -> Result<(), StateError> {
        let started = self.clock.monotonic();
        self.projection.apply(block)?;
        if let Some(status) = &self.status {
            let ended = self.clock.monotonic();
            status.add(Stage::Apply, block.entries.len(), ended.saturating_sub(started));
            self.traces.applied(block, &(started..ended));
            status.applied(block, self.clock.now_ms());
        }
        Ok(())
    }

    fn save(&self) -> Result<(), StateError> {
        let started = self.clock.monotonic();
        self.projection.savepoint()?;
        if let Some(status) = &self.status {
            status.add(Stage::Savepoint, 1, self.clock.monotonic().saturating_sub(started));
        }
        if let Some(after) = &self.after_savepoint {
            after();
        }
        Ok(())
    }
}

/// Feeds a projection up to the log's end. `observe` is told blocks taken in and blocks in all.
pub fn catch_up(
    reader: &dyn LedgerReader,
    projection: &dyn Projection,
    observe: &mut dyn FnMut(u64, u64),
) -> Result<(), StateError> {
    let height = reader.head().height;
    let first = projection.next_block();
    let mut take = |block: Result<Arc<Block>, LedgerError>| {
        let block = block?;
        projection.apply(&block)?;
        let next = block.header.number + 1;
        observe(next, height);
        let is_round = (next - first).is_multiple_of(MAX_GATHERED_BLOCKS);
        match is_round || projection.gathered() >= MAX_GATHERED_ASSETS {
            true => projection.savepoint(),
            false => Ok(()),
        }
    };
    ahead(
        |number| reader.block(number),
        |blocks| {
            for number in first..height {
                blocks.push(number).map_or(Ok(()), &mut take)?;
            }
            while let Some(block) = blocks.take() {
                take(block)?;
            }
            Ok::<(), StateError>(())
        },
    )?;
    if first < height {
        projection.savepoint()?;
    }
    Ok(())
}

/// Counts dead letters and invalid transactions for one line every now and then: under load a line
/// for each would drown everything else.
struct Summary {
    since: Duration,
    counts: BTreeMap<&'static str, u64>,
    example: Option<String>,
}

impl Summary {
    fn new(now: Duration) -> Self {
        Self { since: now, counts: BTreeMap::new(), example: None }
    }

    fn add(&mut self, block: &Block) {
        for letter in &block.records.dead_letters {
            *self.counts.entry(letter.rejection.cause.name()).or_default() += 1;
            self.example.get_or_insert_with(|| {
                let position = format!("{}/{}", letter.partition, letter.offset);
                format!("{position}: {}", letter.rejection).escape_debug().to_string()
            });
        }
        for entry in &block.entries {
            if let Entry::Transaction { verdict, .. } = entry
                && !verdict.is_valid()
            {
                *self.counts.entry(verdict.name()).or_default() += 1;
            }
        }
    }

    fn print(&mut self, now: Duration, is_last: bool) {
        let is_due = is_last || now.saturating_sub(self.since) >= SUMMARY_EVERY;
        if !is_due || self.counts.is_empty() {
            return;
        }
        let counts: Vec<_> =
            self.counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
        let example = self.example.as_deref().unwrap_or("none");
        tracing::warn!(
            counts = counts.join(", "),
            first = example,
            "records rejected or transactions invalid; `ledgerline deadletters list` shows letters"
        );
        *self = Self::new(now);
    }
}
