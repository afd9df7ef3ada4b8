//! Counters and timings of the stages in this process, for status and metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::ledger::{Block, Entry};
use crate::limits::FUTURE_TOLERANCE;
use crate::pipeline::DefinitionCounts;
use crate::pipeline::topic_counts::{self, FutureEvents, TopicCounts};
use crate::timing::TimeCounts;

/// The stages that measure themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Waiting for and copying records.
    Poll,
    /// Decoding, mapping, encoding.
    Map,
    /// Signing, executing, and waiting for a place in the writer's queue.
    Write,
    /// Taking blocks into the state.
    Apply,
    /// Writing the state.
    Savepoint,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Self; 5] = [Self::Poll, Self::Map, Self::Write, Self::Apply, Self::Savepoint];

    /// The name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Poll => "poll",
            Self::Map => "map",
            Self::Write => "write",
            Self::Apply => "apply",
            Self::Savepoint => "savepoint",
        }
    }
}

#[derive(Debug, Default)]
struct Meter {
    items: AtomicU64,
    nanos: AtomicU64,
}

/// Counts and times since the process started. Every value only grows but the gauges.
#[derive(Debug, Default)]
pub struct Status {
    meters: [Meter; Stage::ALL.len()],
    queued_batches: AtomicI64,
    stale_records: AtomicU64,
    written_records: AtomicU64,
    has_events: AtomicBool,
    freshness_ms: AtomicI64,
    receipts: Mutex<TimeCounts>,
    applied_transactions: AtomicU64,
    by_definition: Mutex<DefinitionCounts>,
    topics: Mutex<BTreeMap<Arc<str>, TopicCounts>>,
    future: Mutex<FutureEvents>,
}

/// Locks data shared by stages and readers. Each change leaves the value consistent, so a poisoned
/// lock can be used.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Status {
    /// Adds items that a stage has worked on, and the time that it took.
    pub fn add(&self, stage: Stage, items: usize, took: Duration) {
        let meter = &self.meters[stage as usize];
        meter.items.fetch_add(items as u64, Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        meter.nanos.fetch_add(nanos, Relaxed);
    }

    /// Items and time of a stage so far.
    #[must_use]
    pub fn stage(&self, stage: Stage) -> (u64, Duration) {
        let meter = &self.meters[stage as usize];
        (meter.items.load(Relaxed), Duration::from_nanos(meter.nanos.load(Relaxed)))
    }

    /// Notes batches that entered (or, negative, left) the mappers' queues.
    pub fn queued(&self, change: i64) {
        self.queued_batches.fetch_add(change, Relaxed);
    }

    /// Batches in the mappers' queues.
    #[must_use]
    pub fn queued_batches(&self) -> i64 {
        self.queued_batches.load(Relaxed).max(0)
    }

    /// Counts records of an assignment that had ended; their next owner reads them again.
    pub fn count_stale(&self, records: u64) {
        self.stale_records.fetch_add(records, Relaxed);
    }

    /// Records dropped because their assignment had ended.
    #[must_use]
    pub fn stale_records(&self) -> u64 {
        self.stale_records.load(Relaxed)
    }

    /// Notes how long records of one block took from the poll of the first to their receipts.
    pub fn observe_receipts(&self, took: Duration, records: u64) {
        let records = u32::try_from(records).unwrap_or(u32::MAX);
        lock(&self.receipts).add_many(took, records);
    }

    /// Times from poll to receipt, of each record.
    #[must_use]
    pub fn receipts(&self) -> TimeCounts {
        *lock(&self.receipts)
    }

    /// Counts records that were handed to the ledger.
    pub fn count_written(&self, records: u64) {
        self.written_records.fetch_add(records, Relaxed);
    }

    /// Records that were handed to the ledger.
    #[must_use]
    pub fn written_records(&self) -> u64 {
        self.written_records.load(Relaxed)
    }

    /// Records that were read and have not been handed to the ledger yet.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        // Read in this order, a record on its way is counted rather than missed.
        let done = self.written_records().saturating_add(self.stale_records());
        self.stage(Stage::Poll).0.saturating_sub(done)
    }

    /// Notes a block that the state has taken in.
    pub fn applied(&self, block: &Block, now_ms: i64) {
        let count = block.entries.iter().filter_map(Entry::transaction).count();
        self.applied_transactions.fetch_add(count as u64, Relaxed);
        lock(&self.by_definition).add(block);
        let transactions = || block.entries.iter().filter_map(Entry::transaction).map(Arc::as_ref);
        topic_counts::add(&mut lock(&self.topics), &block.records, transactions());
        let tolerance = i64::try_from(FUTURE_TOLERANCE.as_millis()).unwrap_or(0);
        let latest_ms = now_ms.saturating_add(tolerance);
        let newest = topic_counts::newest_event(transactions(), latest_ms, |count, last| {
            let mut future = lock(&self.future);
            future.count += count;
            future.last = Some(last);
        });
        if let Some(newest) = newest {
            // Within the tolerance it is as fresh as can be.
            self.freshness_ms.store(now_ms.saturating_sub(newest).max(0), Relaxed);
            self.has_events.store(true, Relaxed);
        }
    }

    /// Records by topic.
    #[must_use]
    pub fn topics(&self) -> BTreeMap<Arc<str>, TopicCounts> {
        lock(&self.topics).clone()
    }

    /// Events that were dated ahead of the clock when the state took them in.
    #[must_use]
    pub fn future_events(&self) -> FutureEvents {
        lock(&self.future).clone()
    }

    /// Counters of each mapping and contract.
    #[must_use]
    pub fn by_definition(&self) -> DefinitionCounts {
        lock(&self.by_definition).clone()
    }

    /// Transactions that this process has applied.
    #[must_use]
    pub fn applied_transactions(&self) -> u64 {
        self.applied_transactions.load(Relaxed)
    }

    /// Age of the newest event of the newest block when it was applied, in milliseconds, events from
    /// the future left out; `None` before the first.
    #[must_use]
    pub fn freshness_ms(&self) -> Option<i64> {
        self.has_events.load(Relaxed).then(|| self.freshness_ms.load(Relaxed))
    }
}
