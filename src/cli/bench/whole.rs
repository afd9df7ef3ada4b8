//! The whole way: the ordinary service, fed by an embedded broker.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::app;
use crate::app::demo::{Feeding, consumed_by};
use crate::cli::bench::process::{ThreadTimes, peak_resident_mib};
use crate::cli::bench::report::Quantiles;
use crate::cli::bench::timer::{LOOK_EVERY, Timer};
use crate::cli::bench::{BenchArgs, Set, feed, float, reads, set};
use crate::ledger::LedgerReader;
use crate::pipeline::status::Stage as PipelineStage;
use crate::timing::TimeCounts;

/// Looks between two readings of the threads' times.
const LOOKS_A_READING: u32 = 100;

/// How records go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    /// How many are measured.
    pub(super) records: u64,
    /// How many come before.
    pub(super) warm_up: u64,
    /// How many a second; 0 for as many as are taken.
    pub(super) rate: u64,
    /// Whether each is signed by itself.
    pub(super) sign_each: bool,
}

/// What was seen of a whole way.
pub(super) struct Whole {
    pub(super) rate: f64,
    pub(super) partitions: u16,
    /// Rates of the first and the last million.
    pub(super) ends: Option<(f64, f64)>,
    pub(super) threads_us: Vec<(String, f64)>,
    pub(super) stages_us: Vec<(&'static str, f64)>,
    pub(super) receipt_ms: Quantiles,
    pub(super) read_ms: (f64, f64),
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
    let mut timer = Timer::new(&*clock, way.warm_up);
    let (mut before, mut times) = (ThreadTimes::default(), ThreadTimes::default());
    let mut receipts_before = TimeCounts::default();
    let done = AtomicBool::new(false);
    let read = std::thread::scope(|scope| {
        let done = &done;
        let reading =
            endpoint.map(|address| scope.spawn(move || reads::read_until(address, contract, done)));
        let mut looks = 0_u32;
        // A record counts once its block is durable and the state has taken it in.
        let result = loop {
            let records = world.totals().records;
            if records >= goal || running.is_finished() {
                break Ok(());
            }
            match timer.seen(records, &*clock) {
                Ok(true) => {
                    before = ThreadTimes::read();
                    receipts_before = status.receipts();
                }
                Ok(false) => {}
                Err(error) => break Err(error),
            }
            looks += 1;
            if looks.is_multiple_of(LOOKS_A_READING) {
                times.grow(ThreadTimes::read());
            }
            std::thread::sleep(LOOK_EVERY);
        };
        done.store(true, Ordering::SeqCst);
        let read = reading.map(|thread| thread.join()).transpose();
        let read = read.map_err(|_| anyhow::anyhow!("the reader failed"))?.transpose()?;
        result.map(|()| read.unwrap_or_default())
    })?;
    let records = world.totals().records;
    timer.seen(records, &*clock)?;
    let rate = timer.rate(records, &*clock);
    times.grow(ThreadTimes::read());
    let threads_us = times.since(&before, timer.counted(records));
    stop.ask();
    feeding.map_or(Ok(()), Feeding::end)?;
    running.wait()?;
    let counts = reader.counts();
    tracing::debug!(root = %reader.head().tree_root, "measured");
    let per_event = |time: Duration| time.as_secs_f64() * 1e6 / float(records.max(1));
    Ok(Whole {
        rate,
        partitions: stage.partitions,
        ends: timer.ends(),
        threads_us,
        stages_us: PipelineStage::ALL
            .into_iter()
            .filter(|stage| *stage != PipelineStage::Poll)
            .map(|stage| (stage.name(), per_event(status.stage(stage).1)))
            .collect(),
        receipt_ms: Quantiles::of(&status.receipts().since(&receipts_before)),
        read_ms: (reads::quantile_ms(&read, 500), reads::quantile_ms(&read, 990)),
        log_bytes_per_event: float(counts.bytes) / float(records.max(1)),
        blocks_per_commit: usize::try_from(counts.blocks / counts.commits.max(1)).unwrap_or(1),
        resident_mib: peak_resident_mib(),
    })
}
