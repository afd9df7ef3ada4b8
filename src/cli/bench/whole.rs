//! End-to-end measurement: the ordinary service, fed by an embedded broker.

use std::path::PathBuf;
use std::time::Duration;

use crate::app;
use crate::app::Running;
use crate::cli::bench::process::{ThreadTimes, peak_resident_mib};
use crate::cli::bench::readers::Readers;
use crate::cli::bench::report::Quantiles;
use crate::cli::bench::timer::{LOOK_EVERY, Timer};
use crate::cli::bench::{BenchArgs, Set, feed, float, readers, reads, set};
use crate::clock::Clock;
use crate::demo::{Feeding, consumed_by};
use crate::ledger::LedgerReader;
use crate::pipeline::status::{Stage as PipelineStage, Status};
use crate::state::World;
use crate::timing::TimeCounts;

/// Measuring time of one reader on a ledger at rest.
const REST: Duration = Duration::from_secs(3);
/// Looks between two readings of the threads' times.
const LOOKS_A_READING: u32 = 100;

/// The settings of a measurement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    /// The number of records measured.
    pub(super) records: u64,
    /// The number of records before, for warm-up.
    pub(super) warm_up: u64,
    /// Records per second; 0 for no limit.
    pub(super) rate: u64,
    /// True if each is signed by itself.
    pub(super) sign_each: bool,
    /// Concurrent readers; with none, one reader asks for assets now and then.
    pub(super) readers: usize,
}

/// The result of an end-to-end measurement.
pub(super) struct Whole {
    pub(super) rate: f64,
    pub(super) partitions: u16,
    /// Rates of the first and the last million.
    pub(super) ends: Option<(f64, f64)>,
    pub(super) threads_us: Vec<(String, f64)>,
    pub(super) stages_us: Vec<(&'static str, f64)>,
    pub(super) receipt_ms: Quantiles,
    pub(super) read_ms: (f64, f64),
    pub(super) readers: Option<Readers>,
    /// One reader once everything is taken in.
    pub(super) at_rest: Option<Readers>,
    pub(super) log_bytes_per_event: f64,
    pub(super) blocks_per_commit: usize,
    pub(super) resident_mib: f64,
}

/// Runs the service over so many records.
pub(super) fn whole_way(args: &BenchArgs, directory: PathBuf, way: Way) -> anyhow::Result<Whole> {
    let Set { stage, config, load, contract } = set(args, directory, way)?;
    let opened = app::open(config, &mut |_, _, _| {})?;
    let (world, reader) = (opened.world.clone(), opened.reader.clone());
    let (status, clock, stop) = (opened.status.clone(), opened.clock.clone(), opened.stop.clone());
    let endpoint = opened.endpoint.as_ref().map(|endpoint| endpoint.address());
    let goal = load.records;
    let feeding = feed((&stage, load), consumed_by(reader.clone()), clock.clone())?;
    let running = opened.start()?;
    let mut watch = Watch {
        timer: Timer::new(&*clock, way.warm_up),
        clock: &*clock,
        world: &world,
        status: &status,
        before: ThreadTimes::default(),
        times: ThreadTimes::default(),
        receipts_before: TimeCounts::default(),
    };
    let (mut many, mut at_rest) = (None, None);
    let read = match endpoint.filter(|_| way.readers > 0) {
        None => reads::meanwhile(endpoint, contract, || watch.until(goal, &running))?,
        Some(endpoint) => {
            let paths = readers::paths(contract);
            let work = || watch.until(goal, &running);
            many = Some(readers::meanwhile((endpoint, way.readers), &paths, work)?);
            // Nothing is taken in any more.
            let rest = || {
                std::thread::sleep(REST);
                Ok(())
            };
            at_rest = Some(readers::meanwhile((endpoint, 1), &paths, rest)?);
            Vec::new()
        }
    };
    let seen = watch.end()?;
    stop.ask();
    feeding.map_or(Ok(()), Feeding::end)?;
    running.wait()?;
    let counts = reader.counts();
    tracing::debug!(root = %reader.head().tree_root, "measured");
    let per_event = |time: Duration| time.as_secs_f64() * 1e6 / float(seen.records.max(1));
    Ok(Whole {
        rate: seen.rate,
        partitions: stage.partitions,
        ends: seen.ends,
        threads_us: seen.threads_us,
        stages_us: PipelineStage::ALL
            .into_iter()
            .filter(|stage| *stage != PipelineStage::Poll)
            .map(|stage| (stage.name(), per_event(status.stage(stage).1)))
            .collect(),
        receipt_ms: Quantiles::of(&status.receipts().since(&seen.receipts_before)),
        read_ms: (reads::quantile_ms(&read, 500), reads::quantile_ms(&read, 990)),
        readers: many,
        at_rest,
        log_bytes_per_event: float(counts.bytes) / float(seen.records.max(1)),
        blocks_per_commit: usize::try_from(counts.blocks / counts.commits.max(1)).unwrap_or(1),
        resident_mib: peak_resident_mib(),
    })
}

/// Looks at a service at work.
struct Watch<'a> {
    timer: Timer,
    clock: &'a dyn Clock,
    world: &'a World,
    status: &'a Status,
    /// Times of the threads at the end of the warm-up, and newest ones.
    before: ThreadTimes,
    times: ThreadTimes,
    receipts_before: TimeCounts,
}

/// The observations of a [`Watch`].
struct Seen {
    records: u64,
    rate: f64,
    ends: Option<(f64, f64)>,
    threads_us: Vec<(String, f64)>,
    receipts_before: TimeCounts,
}

impl Watch<'_> {
    /// Looks until so many records count: their blocks are durable and the state has taken them in.
    fn until(&mut self, goal: u64, running: &Running) -> anyhow::Result<()> {
        let mut looks = 0_u32;
        loop {
            let records = self.world.totals().records;
            if records >= goal || running.is_finished() {
                return Ok(());
            }
            if self.timer.seen(records, self.clock)? {
                self.before = ThreadTimes::read();
                self.receipts_before = self.status.receipts();
            }
            looks += 1;
            if looks.is_multiple_of(LOOKS_A_READING) {
                self.times.grow(ThreadTimes::read());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn end(mut self) -> anyhow::Result<Seen> {
        let records = self.world.totals().records;
        self.timer.seen(records, self.clock)?;
        let rate = self.timer.rate(records, self.clock);
        self.times.grow(ThreadTimes::read());
        Ok(Seen {
            records,
            rate,
            ends: self.timer.ends(),
            threads_us: self.times.since(&self.before, self.timer.counted(records)),
            receipts_before: self.receipts_before,
        })
    }
}
