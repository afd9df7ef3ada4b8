//! Followers: feed projections from the log, whichever ledger it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::ahead::{Weight, ahead};
use crate::clock::Clock;
use crate::contract::Verdict;
use crate::ledger::{Block, Entry, LedgerError, LedgerReader, block};
use crate::limits::{MAX_GATHERED_BLOCKS, MAX_UNSAVED_ENTRIES};
use crate::pipeline::status::{Stage, Status};
use crate::pipeline::traces::Traces;
use crate::state::{Projection, StateError};

/// Maximum wait of a follower for a block before it checks for a stop.
const WAIT: Duration = Duration::from_millis(100);
/// Least time between savepoints.
const SAVEPOINT_EVERY: Duration = Duration::from_secs(1);
/// Most time between savepoints.
const SAVEPOINT_AT_LEAST_EVERY: Duration = Duration::from_secs(60);
/// A savepoint is due again after so many times what its steps took: a twentieth of the time is its
/// share.
const SAVEPOINT_SHARE: u32 = 20;
/// Least time between two copies of the newest checkpoint.
const KEEP_EVERY: Duration = Duration::from_secs(1);
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
    /// Progress reports of the pipeline's own follower.
    pub status: Option<Arc<Status>>,
    /// Reports of blocked followers.
    pub holds: Arc<Status>,
    /// The recorder of batches.
    pub traces: Traces,
    /// Keeps the newest checkpoint: called once a second while blocks come.
    pub keep: Option<Arc<dyn Fn() + Send + Sync>>,
}

/// The progress of a follower.
struct Run {
    /// Completion time of the newest savepoint.
    saved_at: Duration,
    /// Duration of its steps.
    saving_took: Duration,
    /// Blocks that it holds.
    saved_blocks: u64,
    /// Entries taken in since it began.
    unsaved_entries: usize,
    /// The savepoint under way.
    saving: Option<Saving>,
    kept_at: Duration,
    /// Blocks of the checkpoint that was kept.
    kept_blocks: u64,
    /// Why a destination outside took nothing lately.
    held: Option<String>,
    pause: Duration,
    /// The projections tell the same of the log, so one of them is enough.
    summary: Option<Summary>,
}

/// A savepoint under way.
struct Saving {
    /// Blocks that it is to hold.
    blocks: u64,
    /// Duration of its steps so far.
    took: Duration,
}

impl Run {
    fn is_due(&self, now: Duration) -> bool {
        let pause = self.saving_took * SAVEPOINT_SHARE;
        now.saturating_sub(self.saved_at) >= pause.clamp(SAVEPOINT_EVERY, SAVEPOINT_AT_LEAST_EVERY)
            || self.unsaved_entries as u64 >= MAX_UNSAVED_ENTRIES
    }
}

impl Follower {
    /// Runs until the pipeline has drained and the last block is taken in and saved. What a
    /// destination outside refuses is offered again after a while, until the pipeline has drained.
    pub fn run(&self, drained: &AtomicBool) -> Result<(), StateError> {
        let (now, blocks) = (self.clock.monotonic(), self.projection.next_block());
        let mut run = Run {
            saved_at: now,
            saving_took: Duration::ZERO,
            saved_blocks: blocks,
            unsaved_entries: 0,
            saving: None,
            kept_at: now,
            kept_blocks: blocks,
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
                    // What was to be saved is taken in again from the last place that was.
                    run.saving = None;
                    self.hold(&mut run, (reason, LONGEST_PAUSE), drained);
                }
                Err(error @ StateError::NoSpace { .. }) if !is_last_round => {
                    self.hold(&mut run, (error.to_string(), FIRST_PAUSE), drained);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes in the next blocks and saves some; whether the end was reached and is saved.
    fn round(&self, run: &mut Run, is_last_round: bool) -> Result<bool, StateError> {
        let next = self.projection.next_block();
        let is_busy = is_last_round || run.saving.is_some();
        let wait = if is_busy { Duration::ZERO } else { WAIT };
        let head = self.reader.wait_for(next + 1, wait);
        for number in next..head.height.min(next + MAX_GATHERED_BLOCKS) {
            let block = self.reader.block(number)?;
            self.take(&block)?;
            run.unsaved_entries += block.entries.len();
            if let Some(summary) = &mut run.summary {
                summary.add(&block);
            }
            self.save(run, false)?;
        }
        let blocks = self.projection.next_block();
        let is_at_end = is_last_round && blocks == self.reader.head().height;
        self.save(run, is_at_end)?;
        self.keep(run, is_at_end);
        if let Some(summary) = &mut run.summary {
            summary.print(self.clock.monotonic(), is_at_end);
        }
        Ok(is_at_end && run.saving.is_none() && run.saved_blocks == blocks)
    }

    /// Waits after a refusal, longer each time, and tells what is new of it.
    fn hold(&self, run: &mut Run, (reason, longest): (String, Duration), drained: &AtomicBool) {
        self.holds.hold(self.projection.name(), &reason, self.clock.now_ms());
        if run.held.as_ref() != Some(&reason) {
            tracing::error!(reason, "the {} is blocked", self.projection.name());
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

    /// Begins a savepoint where one is due, and does a step of the one under way; as many as it takes,
    /// where too much waits for it.
    fn save(&self, run: &mut Run, is_at_end: bool) -> Result<(), StateError> {
        let blocks = self.projection.next_block();
        let is_due = is_at_end || run.is_due(self.clock.monotonic()) || self.projection.is_full();
        if run.saving.is_none() && blocks != run.saved_blocks && is_due {
            run.saving = Some(Saving { blocks, took: Duration::ZERO });
            run.unsaved_entries = 0;
        }
        while run.saving.is_some() {
            self.save_some(run)?;
            if !self.projection.is_full() {
                break;
            }
        }
        Ok(())
    }

    fn save_some(&self, run: &mut Run) -> Result<(), StateError> {
        let Some(saving) = &mut run.saving else { return Ok(()) };
        let started = self.clock.monotonic();
        let is_complete = self.projection.save_some()?;
        let ended = self.clock.monotonic();
        saving.took += ended.saturating_sub(started);
        if is_complete {
            (run.saved_at, run.saved_blocks, run.saving_took) = (ended, saving.blocks, saving.took);
            run.saving = None;
            if let Some(status) = &self.status {
                status.add(Stage::Savepoint, 1, run.saving_took);
            }
        }
        if run.held.take().is_some() {
            run.pause = FIRST_PAUSE;
            self.holds.release(self.projection.name());
            tracing::info!("the {} continues", self.projection.name());
        }
        Ok(())
    }

    fn keep(&self, run: &mut Run, is_at_end: bool) {
        let (Some(keep), blocks) = (&self.keep, self.projection.next_block()) else { return };
        let now = self.clock.monotonic();
        let is_due = is_at_end || now.saturating_sub(run.kept_at) >= KEEP_EVERY;
        if is_due && run.kept_blocks != blocks {
            keep();
            (run.kept_at, run.kept_blocks) = (now, blocks);
        }
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
    let mut unsaved_entries = 0;
    let mut take = |block: Result<Arc<Block>, LedgerError>| {
        let block = block?;
        projection.apply(&block)?;
        observe(block.header.number + 1, height);
        unsaved_entries += block.entries.len();
        if unsaved_entries as u64 >= MAX_UNSAVED_ENTRIES || projection.is_full() {
            unsaved_entries = 0;
            projection.savepoint()?;
        }
        Ok::<(), StateError>(())
    };
    // Each takes as much as the largest at most, until it is read.
    let most = block::most_memory(reader.largest_block());
    ahead(
        |number, weight: &Weight| {
            let block = reader.block(number);
            weight.set(block.as_ref().map_or(0, |block| block.memory_bytes()));
            block
        },
        |blocks| {
            for number in first..height {
                while let Some(block) = blocks.make_room(most) {
                    take(block)?;
                }
                blocks.push_sized(number, most).map_or(Ok(()), &mut take)?;
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
    dead_letter: Option<String>,
    refused: Option<String>,
}

impl Summary {
    fn new(now: Duration) -> Self {
        Self { since: now, counts: BTreeMap::new(), dead_letter: None, refused: None }
    }

    fn add(&mut self, block: &Block) {
        for letter in &block.records.dead_letters {
            *self.counts.entry(letter.rejection.cause.name()).or_default() += 1;
            self.dead_letter.get_or_insert_with(|| {
                let position = format!("{}/{}", letter.partition, letter.offset);
                format!("{position}: {}", letter.rejection).escape_debug().to_string()
            });
        }
        for entry in &block.entries {
            if let Entry::Transaction { transaction, verdict, .. } = entry
                && let Verdict::Invalid { detail, .. } = verdict
            {
                *self.counts.entry(verdict.name()).or_default() += 1;
                self.refused.get_or_insert_with(|| {
                    let refused = format!("{}: {}: {detail}", transaction.id, verdict.name());
                    refused.escape_debug().to_string()
                });
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
        tracing::warn!(
            counts = counts.join(", "),
            first_dead_letter = self.dead_letter,
            first_refused = self.refused,
            "records rejected or transactions refused; `ledgerline deadletters list` and \
             `ledgerline transactions --verdict invalid` list them"
        );
        *self = Self::new(now);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::clock::SystemClock;
    use crate::codec::Digest;
    use crate::event::SourcePartition;
    use crate::ledger::block::Seal;
    use crate::ledger::{BlockFormat, Head, Header, Records};
    use crate::transaction::KeyId;

    /// A ledger of blocks without entries.
    struct Empty {
        blocks: u64,
    }

    impl LedgerReader for Empty {
        fn name(&self) -> &str {
            "l"
        }

        fn head(&self) -> Head {
            Head {
                height: self.blocks,
                entries: 0,
                tree_size: 0,
                tree_root: Digest::default(),
                block_hash: Digest::default(),
                time_ms: 0,
            }
        }

        fn block(&self, number: u64) -> Result<Arc<Block>, LedgerError> {
            let header = Header {
                format: BlockFormat::V2,
                number,
                previous: Digest::default(),
                first_entry: 0,
                entries_end: 0,
                first_leaf: 0,
                entries_root: Digest::default(),
                effects: Digest::default(),
                records: Digest::default(),
                time_ms: 0,
            };
            let seal = Seal { signer: KeyId([0; 32]), signature: [0; 64] };
            let (checkpoint, records) = (Box::default(), Records::default());
            Ok(Arc::new(Block { header, seal, checkpoint, records, entries: Vec::new() }))
        }

        fn largest_block(&self) -> usize {
            0
        }

        fn wait_for(&self, _height: u64, _wait: Duration) -> Head {
            self.head()
        }

        fn block_of_entry(&self, _entry: u64) -> Option<u64> {
            None
        }

        fn block_of_record(&self, _partition: &SourcePartition, _offset: u64) -> Option<u64> {
            None
        }

        fn blocks_with_dead_letters(&self, _before: u64, _limit: usize) -> Vec<u64> {
            Vec::new()
        }

        fn progress(&self) -> Vec<(SourcePartition, u64)> {
            Vec::new()
        }
    }

    /// A destination that refuses its first savepoint and goes back to what it had.
    #[derive(Default)]
    struct RefusesOnce(Mutex<(u64, u64, bool)>);

    impl Projection for RefusesOnce {
        fn name(&self) -> &'static str {
            "destination"
        }

        fn next_block(&self) -> u64 {
            self.0.lock().unwrap().0
        }

        fn lasting_block(&self) -> Option<u64> {
            Some(self.0.lock().unwrap().1)
        }

        fn apply(&self, block: &Block) -> Result<(), StateError> {
            self.0.lock().unwrap().0 = block.header.number + 1;
            Ok(())
        }

        fn is_full(&self) -> bool {
            false
        }

        fn save_some(&self) -> Result<bool, StateError> {
            let (next, saved, refused) = &mut *self.0.lock().unwrap();
            if !std::mem::replace(refused, true) {
                *next = *saved;
                return Err(StateError::Destination("no".to_owned()));
            }
            *saved = *next;
            Ok(true)
        }
    }

    #[test]
    fn a_refused_savepoint_is_made_again_with_all_blocks() {
        let destination = Arc::new(RefusesOnce::default());
        let follower = Follower {
            reader: Arc::new(Empty { blocks: 3 }),
            projection: destination.clone(),
            clock: Arc::new(SystemClock::new()),
            status: None,
            holds: Arc::default(),
            traces: Traces::default(),
            keep: None,
        };
        let drained = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let following = scope.spawn(|| follower.run(&drained));
            // Without an end: the ledger is idle from here on.
            for _ in 0..600 {
                if destination.lasting_block() == Some(3) {
                    break;
                }
                std::thread::sleep(WAIT);
            }
            let lasting = destination.lasting_block();
            drained.store(true, Ordering::SeqCst);
            following.join().unwrap().unwrap();
            assert_eq!(lasting, Some(3), "the last blocks were never saved");
        });
    }

    #[test]
    fn a_savepoint_is_due_by_its_share_of_the_time_or_by_what_a_start_would_take_in_again() {
        let ms = Duration::from_millis;
        let most = usize::try_from(MAX_UNSAVED_ENTRIES).unwrap_or(usize::MAX);
        let cases = [
            // How long the newest took, how long ago it was, entries since.
            (ms(0), ms(0), 0, false),
            (ms(1), ms(999), most - 1, false),
            (ms(1), ms(1_000), 1, true),
            (ms(1), ms(0), most, true),
            (ms(100), ms(1_999), 1, false),
            (ms(100), ms(2_000), 1, true),
            (ms(9_000), ms(59_999), most - 1, false),
            (ms(9_000), ms(59_999), most, true),
            (ms(9_000), ms(60_000), 1, true),
        ];
        for (saving_took, ago, unsaved_entries, expected) in cases {
            let run = Run {
                saved_at: ms(5),
                saving_took,
                saved_blocks: 0,
                unsaved_entries,
                saving: None,
                kept_at: ms(5),
                kept_blocks: 0,
                held: None,
                pause: FIRST_PAUSE,
                summary: None,
            };
            let is_due = run.is_due(ms(5) + ago);
            assert_eq!(is_due, expected, "{saving_took:?}, {ago:?}, {unsaved_entries}");
        }
    }
}
