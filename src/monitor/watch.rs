//! Monitored values: the ledger's height, for streams that wait for the next block, and samples
//! every two seconds, for the charts of the last minutes. Kept in memory only: the charts are empty
//! after a start.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};

use crate::ledger::LedgerReader;
use crate::limits::MAX_SAMPLES;
use crate::monitor::findings::{self, Code};
use crate::monitor::service::Service;
use crate::pipeline::DefinitionCounts;
use crate::query::views::seconds;
use crate::query::views::time_text;

/// Polling interval of the height: the maximum delay of a live page.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Looks from one sample to the next.
const LOOKS_A_SAMPLE: u32 = 20;

/// Figures at a moment. Counts are over the whole ledger.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Sample {
    /// Time of the sample.
    pub time: String,
    /// The same, in milliseconds since 1970.
    #[serde(skip)]
    pub time_ms: i64,
    /// The monotonic clock then.
    #[serde(skip)]
    pub monotonic: Duration,
    /// Records read.
    pub records: u64,
    /// Valid transactions.
    pub valid: u64,
    /// Transactions that are not valid.
    pub invalid: u64,
    /// Records that no mapping matched.
    pub filtered: u64,
    /// Records that could not become a transaction.
    pub dead_lettered: u64,
    /// Blocks.
    pub height: u64,
    /// Records that are not durable yet, over all partitions; absent where the source knows no end.
    pub lag: Option<u64>,
    /// Age of the newest event when its state could be read, in seconds.
    pub freshness_seconds: Option<f64>,
    /// Time that writing and syncing took so far in this process, in seconds.
    pub commit_seconds: f64,
    /// Group commits so far in this process.
    pub commits: u64,
    /// Records that were read and were not in a block yet.
    pub in_flight: u64,
    /// Records of the source that this process handed to the ledger so far.
    #[serde(skip)]
    pub written_records: u64,
    /// The block of the savepoint of each follower that has blocks left to save.
    #[serde(skip)]
    pub unsaved: BTreeMap<String, u64>,
    /// Events dated in the future so far in this process.
    pub future_events: u64,
    /// Counters of each mapping and contract so far in this process.
    #[serde(skip)]
    pub by_definition: DefinitionCounts,
}

/// The samples of the last minutes.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SamplesView {
    /// Seconds from one to the next, about.
    pub every_seconds: f64,
    /// The oldest first; ten minutes at most.
    pub samples: Vec<Sample>,
}

/// Readers' side.
#[derive(Debug, Clone)]
pub struct Watched {
    height: watch::Receiver<u64>,
    samples: Arc<Mutex<VecDeque<Sample>>>,
}

impl Watched {
    /// The ledger's height as it grows. It ends with the endpoint.
    #[must_use]
    pub fn height(&self) -> watch::Receiver<u64> {
        self.height.clone()
    }

    /// The samples of the last minutes.
    #[must_use]
    pub fn samples(&self) -> SamplesView {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let every_seconds = (LOOK_EVERY * LOOKS_A_SAMPLE).as_secs_f64();
        SamplesView { every_seconds, samples: samples.iter().cloned().collect() }
    }
}

/// Looks at a service until it is dropped.
pub struct Watcher {
    service: Arc<Service>,
    height: watch::Sender<u64>,
    samples: Arc<Mutex<VecDeque<Sample>>>,
    /// Findings that are in the log.
    logged: Arc<Mutex<BTreeSet<Code>>>,
}

impl Watcher {
    /// A watcher, and what it lets others see.
    #[must_use]
    pub fn new(service: Arc<Service>) -> (Self, Watched) {
        let (sender, height) = watch::channel(service.queries.ledger().head().height);
        let samples = Arc::<Mutex<_>>::default();
        let watched = Watched { height, samples: Arc::clone(&samples) };
        let watcher = Self { service, height: sender, samples, logged: Arc::default() };
        watcher.sample();
        (watcher, watched)
    }

    /// Looks again and again.
    pub async fn run(self) {
        let mut looks = looks();
        let mut left = LOOKS_A_SAMPLE;
        loop {
            looks.tick().await;
            let height = self.service.queries.ledger().head().height;
            self.height.send_if_modified(|known| std::mem::replace(known, height) != height);
            left -= 1;
            if left == 0 {
                self.sample();
                self.log_findings();
                left = LOOKS_A_SAMPLE;
            }
        }
    }

    /// Writes to the log which findings have come and gone, on a thread that may wait. Problems of
    /// source and ledger are logged where they arise.
    fn log_findings(&self) {
        let (service, samples) = (Arc::clone(&self.service), Arc::clone(&self.samples));
        let logged = Arc::clone(&self.logged);
        tokio::task::spawn_blocking(move || {
            // A look that takes longer than the time between two stands for both.
            let Ok(mut logged) = logged.try_lock() else { return };
            let status = service.status();
            let samples: Vec<_> =
                samples.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
            let figures = findings::figures(&status, &samples);
            let present: BTreeSet<_> = figures.iter().map(|finding| finding.code).collect();
            for finding in figures.iter().filter(|finding| !logged.contains(&finding.code)) {
                // Names of devices and topics come from outside.
                tracing::warn!(code = finding.code.name(), "{}", finding.what.escape_debug());
            }
            for code in logged.difference(&present) {
                tracing::info!(code = code.name(), "resolved");
            }
            *logged = present;
        });
    }

    fn sample(&self) {
        let sample = sample(&self.service);
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() == MAX_SAMPLES {
            samples.pop_front();
        }
        samples.push_back(sample);
    }
}

/// The times of the samples. Samples missed by a suspended process are skipped: many samples of one
/// moment would look like minutes without progress.
fn looks() -> Interval {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    looks
}

fn sample(service: &Service) -> Sample {
    let (totals, time_ms) = (service.queries.world().totals(), service.clock.now_ms());
    let (ledger, partitions) = (service.queries.ledger(), service.partitions());
    let counts = ledger.counts();
    Sample {
        time: time_text(time_ms),
        time_ms,
        monotonic: service.clock.monotonic(),
        records: totals.records,
        valid: totals.valid,
        invalid: totals.invalid_count(),
        filtered: totals.filtered,
        dead_lettered: totals.dead_letter_count(),
        height: ledger.head().height,
        lag: partitions.iter().filter_map(|partition| partition.lag).reduce(|all, lag| all + lag),
        freshness_seconds: service.status.freshness_ms().map(seconds),
        commit_seconds: counts.times.sum.as_secs_f64(),
        commits: counts.commits,
        in_flight: service.status.in_flight(),
        written_records: service.status.written_records(),
        unsaved: service.unsaved(),
        future_events: service.status.future_events().count,
        by_definition: service.status.by_definition(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn looks_that_were_missed_are_not_made_up_for() {
        let mut looks = looks();
        looks.tick().await;
        // The whole process stands still, as it does while it is stopped.
        std::thread::sleep(LOOK_EVERY * 5);
        let (missed, next) = (looks.tick().await, looks.tick().await);
        assert!(next - missed >= LOOK_EVERY * 4, "{:?}", next - missed);
    }
}
