//! Observers: look on while a follower works, on its thread, and change nothing of what it does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::contract::Verdict;
use crate::ledger::{Block, Entry};
use crate::pipeline::status::{Stage, Status};
use crate::pipeline::traces::{Span, Traces};

/// Least time between two copies of the newest checkpoint.
const KEEP_EVERY: Duration = Duration::from_secs(1);
/// Time between summaries of dead letters in the log.
const SUMMARY_EVERY: Duration = Duration::from_secs(10);

/// Looks on while a follower works.
pub trait Observer: Send + Sync {
    /// It took in a block, from and to these times.
    fn applied(&self, _block: &Block, _span: &Span) {}

    /// A savepoint is complete whose steps took so long.
    fn saved(&self, _took: Duration) {}

    /// It has looked for blocks, which happens several times a second, and needs this one next. At
    /// the end there is no further one.
    fn looked(&self, _next_block: u64, _is_at_end: bool) {}
}

/// Observers of the state in every service: counters and timings, traces of batches, and a log line
/// about rejections and refusals.
#[must_use]
pub fn state_observers(
    status: &Arc<Status>,
    traces: &Traces,
    clock: &Arc<dyn Clock>,
) -> Vec<Box<dyn Observer>> {
    let counts =
        StateCounts { status: status.clone(), traces: traces.clone(), clock: clock.clone() };
    vec![Box::new(counts), Box::new(RejectionLog::new(clock.clone()))]
}

/// Measures the state, and notes when the transactions of a batch can be read.
struct StateCounts {
    status: Arc<Status>,
    traces: Traces,
    clock: Arc<dyn Clock>,
}

impl Observer for StateCounts {
    fn applied(&self, block: &Block, span: &Span) {
        let took = span.end.saturating_sub(span.start);
        self.status.add(Stage::Apply, block.entries.len(), took);
        self.traces.applied(block, span);
        self.status.applied(block, self.clock.now_ms());
    }

    fn saved(&self, took: Duration) {
        self.status.add(Stage::Savepoint, 1, took);
    }
}

/// Keeps the newest checkpoint, once a second while blocks come.
pub struct CheckpointCopy {
    keep: Box<dyn Fn() + Send + Sync>,
    clock: Arc<dyn Clock>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    at: Duration,
    /// Blocks of the checkpoint that was kept, once there is one.
    blocks: Option<u64>,
}

impl CheckpointCopy {
    /// Calls `keep` for each copy.
    pub fn new(keep: Box<dyn Fn() + Send + Sync>, clock: Arc<dyn Clock>) -> Self {
        let kept = Mutex::new(Kept { at: clock.monotonic(), blocks: None });
        Self { keep, clock, kept }
    }
}

impl Observer for CheckpointCopy {
    fn looked(&self, next_block: u64, is_at_end: bool) {
        let mut kept = lock(&self.kept);
        let now = self.clock.monotonic();
        let is_due = is_at_end || now.saturating_sub(kept.at) >= KEEP_EVERY;
        if is_due && kept.blocks != Some(next_block) {
            (self.keep)();
            *kept = Kept { at: now, blocks: Some(next_block) };
        }
    }
}

/// One thread changes it at a time, and each change leaves it whole.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells of dead letters and invalid transactions, by one line every now and then.
struct RejectionLog {
    clock: Arc<dyn Clock>,
    summary: Mutex<Summary>,
}

impl RejectionLog {
    fn new(clock: Arc<dyn Clock>) -> Self {
        let summary = Mutex::new(Summary::new(clock.monotonic()));
        Self { clock, summary }
    }
}

impl Observer for RejectionLog {
    fn applied(&self, block: &Block, _: &Span) {
        lock(&self.summary).add(block);
    }

    fn looked(&self, _: u64, is_at_end: bool) {
        lock(&self.summary).print(self.clock.monotonic(), is_at_end);
    }
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
