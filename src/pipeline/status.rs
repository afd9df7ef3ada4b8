//! What the stages tell of themselves: counts and times of this process, for status and metrics.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::ledger::{Block, Entry};
use crate::pipeline::DefinitionCounts;
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
    newest_event_ms: AtomicI64,
    freshness_ms: AtomicI64,
    receipts: Mutex<TimeCounts>,
    applied_transactions: AtomicU64,
    by_definition: Mutex<DefinitionCounts>,
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
        self.receipts.lock().unwrap_or_else(PoisonError::into_inner).add_many(took, records);
    }

    /// Times from poll to receipt, of each record.
    #[must_use]
    pub fn receipts(&self) -> TimeCounts {
        *self.receipts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a block that the state has taken in.
    pub fn applied(&self, block: &Block, now_ms: i64) {
        let transactions = block.entries.iter().filter_map(Entry::transaction);
        let (mut newest, mut count) = (i64::MIN, 0);
        for transaction in transactions {
            // A person may tell of any time.
            if !transaction.id.partition.is_calls() {
                newest = newest.max(transaction.time_ms);
            }
            count += 1;
        }
        self.applied_transactions.fetch_add(count, Relaxed);
        self.by_definition.lock().unwrap_or_else(PoisonError::into_inner).add(block);
        if newest > i64::MIN {
            self.newest_event_ms.fetch_max(newest, Relaxed);
            self.freshness_ms.store(now_ms.saturating_sub(newest), Relaxed);
        }
    }

    /// What came of each mapping and contract.
    #[must_use]
    pub fn by_definition(&self) -> DefinitionCounts {
        self.by_definition.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Transactions that this process has applied.
    #[must_use]
    pub fn applied_transactions(&self) -> u64 {
        self.applied_transactions.load(Relaxed)
    }

    /// Age of the newest event of the newest block when it was applied, in milliseconds; `None`
    /// before the first.
    #[must_use]
    pub fn freshness_ms(&self) -> Option<i64> {
        let seen = self.newest_event_ms.load(Relaxed) != 0;
        seen.then(|| self.freshness_ms.load(Relaxed))
    }
}
