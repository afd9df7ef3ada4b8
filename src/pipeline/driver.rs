//! The driver of followers: feeds one from the log, makes its savepoints and tries again what was held
//! up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::ahead::{Weight, ahead};
use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::follower::{Follower, FollowerError};
use crate::ledger::{Block, LedgerError, LedgerReader, block};
use crate::limits::{MAX_GATHERED_BLOCKS, MAX_UNSAVED_ENTRIES};
use crate::pipeline::followers::Following;

/// Maximum wait of a follower for a block before it checks for a stop.
const WAIT: Duration = Duration::from_millis(100);
/// Least time between savepoints.
const SAVEPOINT_EVERY: Duration = Duration::from_secs(1);
/// Most time between savepoints.
const SAVEPOINT_AT_LEAST_EVERY: Duration = Duration::from_secs(60);
/// A savepoint is due again after so many times what its steps took: a twentieth of the time is its
/// share.
const SAVEPOINT_SHARE: u32 = 20;

/// Runs one follower.
pub struct FollowerDriver {
    /// The log.
    pub reader: Arc<dyn LedgerReader>,
    /// The follower, and who looks on.
    pub following: Arc<Following>,
    /// Time.
    pub clock: Arc<dyn Clock>,
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
    /// Why nothing was taken in or saved lately.
    held: Option<String>,
    /// The pauses between attempts; `None` where there is one attempt only.
    pauses: Option<Backoff>,
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

impl FollowerDriver {
    fn follower(&self) -> &dyn Follower {
        self.following.follower()
    }

    /// Runs until the pipeline has drained and the last block is taken in and saved, or the follower
    /// ends before that. An error is one that the service cannot go on with.
    pub fn run(&self, drained: &AtomicBool) -> Result<(), FollowerError> {
        let error = match self.run_to_end(drained) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let (name, may_retry) =
            (self.follower().name(), self.follower().retry().pauses().is_some());
        match error {
            // What it could not deliver or save stays in the log for the next start.
            FollowerError::Held(reason) if may_retry => {
                tracing::warn!(
                    reason,
                    "follower `{name}` ends with blocks left for the next start"
                );
                Ok(())
            }
            FollowerError::Held(_) | FollowerError::Failed(_)
                if !self.follower().is_essential() =>
            {
                let reason = format!("it has ended: {}", crate::diagnostic::chain(&error));
                self.following.hold(&reason, self.clock.now_ms());
                tracing::error!(reason, "follower `{name}` is held up until the next start");
                Ok(())
            }
            error => Err(error),
        }
    }

    /// Runs until the end is reached and saved, or there is no further attempt.
    fn run_to_end(&self, drained: &AtomicBool) -> Result<(), FollowerError> {
        let mut run = Run {
            saved_at: self.clock.monotonic(),
            saving_took: Duration::ZERO,
            saved_blocks: self.follower().saved_block(),
            unsaved_entries: 0,
            saving: None,
            held: None,
            pauses: self.follower().retry().pauses(),
        };
        loop {
            // Read before the head: a block that came after it is seen in the next round.
            let is_last_round = drained.load(Ordering::SeqCst);
            match self.round(&mut run, is_last_round) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(FollowerError::Held(reason)) if !is_last_round => {
                    let pause = run.pauses.as_mut().map(Backoff::pause);
                    let Some(pause) = pause else { return Err(FollowerError::Held(reason)) };
                    self.hold(&mut run, reason, pause, drained);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes in the next blocks and saves some; whether the end was reached and is saved.
    fn round(&self, run: &mut Run, is_last_round: bool) -> Result<bool, FollowerError> {
        let next = self.follower().next_block();
        let is_busy = is_last_round || run.saving.is_some();
        let wait = if is_busy { Duration::ZERO } else { WAIT };
        let head = self.reader.wait_for(next + 1, wait);
        for number in next..head.height.min(next + MAX_GATHERED_BLOCKS) {
            let block = self.reader.block(number)?;
            self.take(&block)?;
            run.unsaved_entries += block.entries.len();
            self.save(run, false)?;
        }
        let blocks = self.follower().next_block();
        let is_at_end = is_last_round && blocks == self.reader.head().height;
        self.save(run, is_at_end)?;
        self.following.observers().iter().for_each(|one| one.looked(blocks, is_at_end));
        Ok(is_at_end && run.saving.is_none() && run.saved_blocks == blocks)
    }

    /// Waits after a refusal, and tells what is new of it.
    fn hold(&self, run: &mut Run, reason: String, pause: Duration, drained: &AtomicBool) {
        // What went back is taken in again before it is saved.
        let next = self.follower().next_block();
        run.saving = run.saving.take().filter(|saving| saving.blocks <= next);
        self.following.hold(&reason, self.clock.now_ms());
        if run.held.as_ref() != Some(&reason) {
            tracing::error!(reason, "follower `{}` is held up", self.follower().name());
            run.held = Some(reason);
        }
        let until = self.clock.monotonic() + pause;
        while self.clock.monotonic() < until && !drained.load(Ordering::SeqCst) {
            std::thread::sleep(WAIT);
        }
    }

    fn take(&self, block: &Block) -> Result<(), FollowerError> {
        let started = self.clock.monotonic();
        self.follower().apply(block)?;
        let span = started..self.clock.monotonic();
        self.following.observers().iter().for_each(|one| one.applied(block, &span));
        Ok(())
    }

    /// Begins a savepoint where one is due, and does a step of the one under way; as many as it takes,
    /// where too much waits for it.
    fn save(&self, run: &mut Run, is_at_end: bool) -> Result<(), FollowerError> {
        let blocks = self.follower().next_block();
        let is_due = is_at_end || run.is_due(self.clock.monotonic()) || self.follower().is_full();
        if run.saving.is_none() && blocks != run.saved_blocks && is_due {
            run.saving = Some(Saving { blocks, took: Duration::ZERO });
            run.unsaved_entries = 0;
        }
        while run.saving.is_some() {
            self.save_some(run)?;
            if !self.follower().is_full() {
                break;
            }
        }
        Ok(())
    }

    fn save_some(&self, run: &mut Run) -> Result<(), FollowerError> {
        let Some(saving) = &mut run.saving else { return Ok(()) };
        let started = self.clock.monotonic();
        let is_complete = self.follower().save_some()?;
        let ended = self.clock.monotonic();
        saving.took += ended.saturating_sub(started);
        if is_complete {
            (run.saved_at, run.saved_blocks, run.saving_took) = (ended, saving.blocks, saving.took);
            run.saving = None;
            self.following.observers().iter().for_each(|one| one.saved(run.saving_took));
        }
        if run.held.take().is_some() {
            run.pauses = self.follower().retry().pauses();
            self.following.release();
            tracing::info!("follower `{}` goes on", self.follower().name());
        }
        Ok(())
    }
}

/// Feeds a follower up to the log's end. `observe` is told blocks taken in and blocks in all.
pub fn catch_up(
    reader: &dyn LedgerReader,
    follower: &dyn Follower,
    observe: &mut dyn FnMut(u64, u64),
) -> Result<(), FollowerError> {
    let height = reader.head().height;
    let first = follower.next_block();
    let mut unsaved_entries = 0;
    let mut take = |block: Result<Arc<Block>, LedgerError>| {
        let block = block?;
        follower.apply(&block)?;
        observe(block.header.number + 1, height);
        unsaved_entries += block.entries.len();
        if unsaved_entries as u64 >= MAX_UNSAVED_ENTRIES || follower.is_full() {
            unsaved_entries = 0;
            follower.savepoint()?;
        }
        Ok::<(), FollowerError>(())
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
            Ok::<(), FollowerError>(())
        },
    )?;
    if first < height {
        follower.savepoint()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::clock::SystemClock;
    use crate::codec::Digest;
    use crate::event::SourcePartition;
    use crate::follower::Retry;
    use crate::ledger::block::Seal;
    use crate::ledger::{BlockFormat, Head, Header, Records};
    use crate::pipeline::Followers;
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

    /// The driver of a follower over a ledger of three blocks.
    fn driver(follower: Arc<dyn Follower>) -> FollowerDriver {
        let followers = Followers::default();
        followers.add(follower);
        let following = followers.all().remove(0);
        let reader = Arc::new(Empty { blocks: 3 });
        FollowerDriver { reader, following, clock: Arc::new(SystemClock::new()) }
    }

    /// A follower that takes in nothing, for this reason.
    struct Refuses {
        is_failure: bool,
        retry: Retry,
        is_essential: bool,
    }

    impl Follower for Refuses {
        fn name(&self) -> &str {
            "refuses"
        }

        fn next_block(&self) -> u64 {
            0
        }

        fn saved_block(&self) -> u64 {
            0
        }

        fn apply(&self, _: &Block) -> Result<(), FollowerError> {
            match self.is_failure {
                true => Err(FollowerError::failed("broken")),
                false => Err(FollowerError::Held("away".to_owned())),
            }
        }

        fn save_some(&self) -> Result<bool, FollowerError> {
            Ok(true)
        }

        fn retry(&self) -> Retry {
            self.retry
        }

        fn is_essential(&self) -> bool {
            self.is_essential
        }
    }

    #[test]
    fn only_an_essential_follower_ends_the_service() {
        let cases = [
            // Failure or refusal, policy, essential, drained; what ends the service, what is told.
            (true, Retry::LOCAL, true, false, Some("broken"), None),
            (true, Retry::LOCAL, false, false, None, Some("it has ended: broken")),
            (false, Retry::Never, true, false, Some("away"), None),
            (false, Retry::Never, false, false, None, Some("it has ended: away")),
            // What is held up until the end stays for the next start.
            (false, Retry::LOCAL, true, true, None, None),
            (false, Retry::LOCAL, false, true, None, None),
            (false, Retry::Never, true, true, Some("away"), None),
        ];
        for (is_failure, retry, is_essential, drained, ends, told) in cases {
            let driver = driver(Arc::new(Refuses { is_failure, retry, is_essential }));
            let result = driver.run(&AtomicBool::new(drained)).map_err(|error| error.to_string());
            assert_eq!(result.err().as_deref(), ends, "{is_failure}, {retry:?}, {is_essential}");
            let held = driver.following.held().map(|hold| hold.reason);
            assert_eq!(held.as_deref(), told, "{is_failure}, {retry:?}, {is_essential}");
        }
    }

    #[test]
    fn a_follower_that_is_held_up_says_why_until_the_pipeline_has_drained() {
        let refuses = Refuses { is_failure: false, retry: Retry::DESTINATION, is_essential: false };
        let driver = driver(Arc::new(refuses));
        let drained = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let following = scope.spawn(|| driver.run(&drained));
            let held = (0..600).find_map(|_| {
                std::thread::sleep(WAIT);
                driver.following.held()
            });
            drained.store(true, Ordering::SeqCst);
            following.join().unwrap().unwrap();
            assert_eq!(held.unwrap().reason, "away");
        });
    }

    /// A destination that refuses its first savepoint and goes back to what it had.
    #[derive(Default)]
    struct RefusesOnce(Mutex<(u64, u64, bool)>);

    impl Follower for RefusesOnce {
        fn name(&self) -> &str {
            "destination"
        }

        fn next_block(&self) -> u64 {
            self.0.lock().unwrap().0
        }

        fn saved_block(&self) -> u64 {
            self.0.lock().unwrap().1
        }

        fn apply(&self, block: &Block) -> Result<(), FollowerError> {
            self.0.lock().unwrap().0 = block.header.number + 1;
            Ok(())
        }

        fn save_some(&self) -> Result<bool, FollowerError> {
            let (next, saved, refused) = &mut *self.0.lock().unwrap();
            if !std::mem::replace(refused, true) {
                *next = *saved;
                return Err(FollowerError::Held("no".to_owned()));
            }
            *saved = *next;
            Ok(true)
        }
    }

    #[test]
    fn a_refused_savepoint_is_made_again_with_all_blocks() {
        let destination = Arc::new(RefusesOnce::default());
        let follower = driver(destination.clone());
        let drained = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let following = scope.spawn(|| follower.run(&drained));
            // Without an end: the ledger is idle from here on.
            for _ in 0..600 {
                if destination.saved_block() == 3 {
                    break;
                }
                std::thread::sleep(WAIT);
            }
            let saved = destination.saved_block();
            drained.store(true, Ordering::SeqCst);
            following.join().unwrap().unwrap();
            assert_eq!(saved, 3, "the last blocks were never saved");
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
                held: None,
                pauses: None,
            };
            let is_due = run.is_due(ms(5) + ago);
            assert_eq!(is_due, expected, "{saving_took:?}, {ago:?}, {unsaved_entries}");
        }
    }
}
