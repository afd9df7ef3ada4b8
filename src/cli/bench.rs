//! `ledgerline bench`: the whole way, and the bare limits beside it in the same run.

mod process;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use serde::Serialize;

use crate::app::demo::{
    Consumed, FLEET, Feeding, Load, STEADY, Senders, Setting, Stage, consumed_by, set_stage,
};
use crate::app::offline::TemporaryFolder;
use crate::app::{self, AppError};
use crate::cli::ExitStatus;
use crate::cli::bench::process::{ThreadTimes, peak_resident_mib};
use crate::cli::check::print_faults;
use crate::cli::output::{grouped, line};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, SourceConfig};
use crate::disk::SystemDisk;
use crate::event::Decoder;
use crate::fleet::FleetSize;
use crate::ledger::LedgerReader;
use crate::ledger::embedded::log::{self, AppendError, LogWriter, ScanEnd, Segment};
use crate::pipeline::status::{Stage as PipelineStage, Status};
use crate::source::{Assignments, Batch, KafkaSource, Polled, Source};
use crate::timing::TIME_BUCKETS_US;

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Records of each measurement.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    events: u64,
    /// Devices that send.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(3..=1_000_000))]
    devices: u32,
    /// Partitions of each topic.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    partitions: u16,
    /// Let the demonstration's fleet send, through the shipped mappings and contracts, instead of the
    /// steady load of 300-byte readings with eight mapped fields and three rules.
    #[arg(long)]
    fleet: bool,
    /// Records a second; 0 for as many as are taken.
    #[arg(long, default_value_t = 0)]
    rate: u64,
    /// Where the ledger is written; a temporary folder where not given.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Seed of the fleet.
const FLEET_SEED: u64 = 2016;
/// Share of the records that are let through before the clock starts: the group has formed by then.
const WARM_UP: u64 = 20;
/// Bytes that are appended for the bare limit of the log.
const APPENDED_BYTES: u64 = 64 * 1024 * 1024;
/// Longest wait for the next record before a measurement is given up.
const STALL: Duration = Duration::from_secs(60);
/// How often the end is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    events: u64,
    devices: u32,
    partitions: u16,
    /// Kafka → durable and applied, records a second.
    whole_way: f64,
    /// Consuming from the same broker and nothing else.
    consume: f64,
    /// Consuming, parsing, identifying.
    consume_and_decode: f64,
    /// The whole way over consuming and decoding.
    ratio: f64,
    /// Appending the blocks of the whole way to a log, durably, and nothing else.
    append: f64,
    /// Processor time of each thread a record, in microseconds, from the end of the warm-up.
    threads_us: Vec<(String, f64)>,
    /// Time of each stage a record, waiting included, in microseconds.
    stages_us: Vec<(&'static str, f64)>,
    /// From poll to append: upper ends of the buckets that hold the quantiles, in milliseconds.
    /// `None` above the last bucket.
    append_ms: Vec<(&'static str, Option<f64>)>,
    /// Bytes of the log a record.
    log_bytes_per_event: f64,
    /// Peak resident memory of this process, broker and fleet included, in MiB.
    resident_mib: f64,
}

/// Measures.
pub fn bench(args: &BenchArgs) -> anyhow::Result<ExitStatus> {
    let temporary = TemporaryFolder::new()?;
    let directory = args.directory.clone().unwrap_or_else(|| temporary.0.clone());
    let bare = Bare { args, directory: temporary.0.join("bare") };
    let consume = bare.measure(|_, _| {})?;
    let consume_and_decode = bare.measure(|batch, decoder| {
        for record in batch.records() {
            // Rubbish is refused at the same cost as in the pipeline.
            std::hint::black_box(decoder.decode(&record)).ok();
        }
    })?;
    let whole = whole_way(args, directory.join("whole"))?;
    let ledger = directory.join("whole/ledger");
    let append = append_only(&ledger, &temporary.0.join("append"), whole.blocks_per_commit)?;
    let report = Report {
        events: args.events,
        devices: args.devices,
        partitions: args.partitions,
        whole_way: whole.rate,
        consume,
        consume_and_decode,
        ratio: whole.rate / consume_and_decode,
        append: append / whole.log_bytes_per_event,
        threads_us: whole.threads_us,
        stages_us: whole.stages_us,
        append_ms: whole.append_ms,
        log_bytes_per_event: whole.log_bytes_per_event,
        resident_mib: peak_resident_mib(),
    };
    match args.json {
        true => line(serde_json::to_string(&report)?)?,
        false => print(&report)?,
    }
    Ok(ExitStatus::Ok)
}

fn print(report: &Report) -> anyhow::Result<()> {
    let Report { events, devices, partitions, .. } = report;
    line(format!(
        "{} records of {} devices over {partitions} partitions; broker and senders on the same cores",
        grouped(*events),
        grouped(u64::from(*devices))
    ))?;
    line(format!("whole way            {:>10.0} events/s, durable and applied", report.whole_way))?;
    line(format!("consume only         {:>10.0} events/s", report.consume))?;
    line(format!("consume and decode   {:>10.0} events/s", report.consume_and_decode))?;
    line(format!("append to the log    {:>10.0} events/s, durable", report.append))?;
    line(format!("whole way over consume and decode  {:.2}", report.ratio))?;
    for (thread, micros) in &report.threads_us {
        line(format!("thread {thread:<13} {micros:>10.2} µs of processor time an event"))?;
    }
    for (stage, micros) in &report.stages_us {
        line(format!("stage {stage:<14} {micros:>10.2} µs an event, waiting included"))?;
    }
    for (quantile, millis) in &report.append_ms {
        let text = millis.map_or("over 1,000 ms".to_owned(), |ms| format!("{ms} ms or less"));
        line(format!("poll to append {quantile:<5} {text:>21}"))?;
    }
    line(format!("log                  {:>10.0} bytes an event", report.log_bytes_per_event))?;
    line(format!(
        "resident memory      {:>10.0} MiB, broker and fleet included",
        report.resident_mib
    ))
}

struct Set {
    stage: Stage,
    config: Config,
    load: Load,
}

fn set(args: &BenchArgs, directory: PathBuf) -> anyhow::Result<Set> {
    let scene = if args.fleet { &FLEET } else { &STEADY };
    let setting = Setting { scene, directory, listen: None, partitions: args.partitions };
    let stage = set_stage(&setting)?;
    let checked = crate::config::load(&stage.config);
    print_faults(&checked.faults);
    let Some(config) = checked.config else { bail!("the shipped configuration has faults") };
    let third = args.devices / 3;
    let size = FleetSize { containers: args.devices - 2 * third, kits: third, machines: third };
    let load = Load {
        senders: match args.fleet {
            true => Senders::Fleet(size, FLEET_SEED),
            false => Senders::Steady(args.devices),
        },
        records: args.events + args.events / WARM_UP,
        rate: args.rate,
        partitions: args.partitions,
        epoch: stage.epoch,
    };
    Ok(Set { stage, config, load })
}

/// The source alone.
struct Bare<'a> {
    args: &'a BenchArgs,
    directory: PathBuf,
}

impl Bare<'_> {
    fn measure(&self, mut work: impl FnMut(&Batch, &Decoder)) -> anyhow::Result<f64> {
        let Set { stage, config, load } = set(self.args, self.directory.clone())?;
        let SourceConfig::Kafka(settings) = &config.source else { bail!("no Kafka source") };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let assignments = Arc::new(Assignments::default());
        let mut source = KafkaSource::new(settings, assignments.clone(), clock.clone())
            .map_err(AppError::from)?;
        let consumed: Consumed = {
            let assignments = assignments.clone();
            Box::new(move |partition| assignments.next(partition).unwrap_or(0))
        };
        let all = load.records;
        let feeding = Feeding::start(stage.broker.bootstrap(), load, consumed, clock.clone())?;
        let mut timer = Timer::new(&*clock, self.args.events);
        let mut read = 0;
        while read < all {
            match source.poll(LOOK_EVERY).map_err(AppError::from)? {
                Polled::Batch(batch) => {
                    work(&batch, &config.decoder);
                    read += batch.len() as u64;
                    let positions = batch.from..batch.next;
                    assignments.accept(&batch.partition, batch.generation, positions);
                }
                Polled::Idle => {}
                Polled::End => break,
            }
            timer.seen(read, &*clock)?;
        }
        let rate = timer.rate(read, &*clock);
        feeding.end()?;
        source.close().map_err(AppError::from)?;
        Ok(rate)
    }
}

/// Times from the end of the warm-up on.
struct Timer {
    warm_up: u64,
    began: Option<(Duration, u64)>,
    newest: (Duration, u64),
}

impl Timer {
    fn new(clock: &dyn Clock, events: u64) -> Self {
        Self { warm_up: events / WARM_UP, began: None, newest: (clock.monotonic(), 0) }
    }

    /// Takes note of a count; whether the warm-up has just ended.
    fn seen(&mut self, count: u64, clock: &dyn Clock) -> anyhow::Result<bool> {
        let now = clock.monotonic();
        if count > self.newest.1 {
            self.newest = (now, count);
        }
        let begins = self.began.is_none() && count >= self.warm_up;
        if begins {
            self.began = Some((now, count));
        }
        if now.saturating_sub(self.newest.0) > STALL {
            bail!("no record came for {} s; {count} had come before", STALL.as_secs());
        }
        Ok(begins)
    }

    /// Records since the warm-up.
    fn counted(&self, count: u64) -> u64 {
        count - self.began.map_or(0, |(_, before)| before)
    }

    fn rate(&self, count: u64, clock: &dyn Clock) -> f64 {
        let Some((began, before)) = self.began else { return 0.0 };
        float(count - before) / clock.monotonic().saturating_sub(began).as_secs_f64()
    }
}

struct Whole {
    rate: f64,
    threads_us: Vec<(String, f64)>,
    stages_us: Vec<(&'static str, f64)>,
    append_ms: Vec<(&'static str, Option<f64>)>,
    log_bytes_per_event: f64,
    blocks_per_commit: usize,
}

/// Appends blocks of a ledger to another log, as many at a time as there; bytes a second.
fn append_only(ledger: &Path, scratch: &Path, at_a_time: usize) -> anyhow::Result<f64> {
    let (mut blocks, mut bytes) = (Vec::new(), 0);
    for segment in log::segments(&SystemDisk, ledger)? {
        log::scan(&SystemDisk, &segment, true, |_, block| {
            if bytes < APPENDED_BYTES {
                bytes += block.len() as u64;
                blocks.push(block);
            }
            Ok(())
        })?;
        if bytes >= APPENDED_BYTES {
            break;
        }
    }
    std::fs::create_dir_all(scratch)?;
    LogWriter::make_place(&SystemDisk, scratch)?;
    let (segment, empty) = (Segment::new(scratch, 0), ScanEnd::default());
    let mut log = LogWriter::open(Arc::new(SystemDisk), scratch, (0, &segment), empty, u64::MAX)?;
    let clock = SystemClock::new();
    let began = clock.monotonic();
    for group in blocks.chunks(at_a_time.max(1)) {
        let group: Vec<_> = group.iter().map(Vec::as_slice).collect();
        log.append(&group).map_err(|error| match error {
            AppendError::NoSpace(error) | AppendError::Fatal(error) => error,
        })?;
    }
    Ok(float(bytes) / clock.monotonic().saturating_sub(began).as_secs_f64())
}

fn whole_way(args: &BenchArgs, directory: PathBuf) -> anyhow::Result<Whole> {
    let Set { stage, config, load } = set(args, directory)?;
    let opened = app::open(config, &mut |_, _, _| {})?;
    let (world, reader) = (opened.world.clone(), opened.reader.clone());
    let (status, clock, stop) = (opened.status.clone(), opened.clock.clone(), opened.stop.clone());
    let goal = load.records;
    let consumed = consumed_by(reader.clone());
    let feeding = Feeding::start(stage.broker.bootstrap(), load, consumed, clock.clone())?;
    let running = opened.start()?;
    let mut timer = Timer::new(&*clock, args.events);
    let mut before = ThreadTimes::default();
    // A record counts once its block is durable and the state has taken it in.
    while world.totals().records < goal && !running.is_finished() {
        if timer.seen(world.totals().records, &*clock)? {
            before = ThreadTimes::read();
        }
        std::thread::sleep(LOOK_EVERY);
    }
    let records = world.totals().records;
    let rate = timer.rate(records, &*clock);
    let threads_us = ThreadTimes::read().since(&before, timer.counted(records));
    stop.ask();
    feeding.end()?;
    running.wait()?;
    let counts = reader.counts();
    let bytes = counts.bytes;
    tracing::debug!(root = %reader.head().tree_root, "measured");
    let per_event = |time: Duration| time.as_secs_f64() * 1e6 / float(records.max(1));
    Ok(Whole {
        rate,
        threads_us,
        stages_us: PipelineStage::ALL
            .into_iter()
            .filter(|stage| *stage != PipelineStage::Poll)
            .map(|stage| (stage.name(), per_event(status.stage(stage).1)))
            .collect(),
        append_ms: quantiles(&status),
        log_bytes_per_event: float(bytes) / float(records.max(1)),
        blocks_per_commit: usize::try_from(counts.blocks / counts.commits.max(1)).unwrap_or(1),
    })
}

fn quantiles(status: &Status) -> Vec<(&'static str, Option<f64>)> {
    let buckets = status.queueing().counts;
    let all: u64 = buckets.iter().sum();
    let quantile = |share: f64| {
        let mut seen = 0;
        let at = buckets.iter().position(|count| {
            seen += count;
            float(seen) >= float(all) * share
        });
        let end = at.and_then(|at| TIME_BUCKETS_US.get(at)).filter(|us| **us < u64::MAX);
        end.map(|us| float(*us) / 1e3)
    };
    vec![("p50", quantile(0.5)), ("p99", quantile(0.99)), ("p99.9", quantile(0.999))]
}

/// A count as a float: exact up to 2⁵³, which no count here reaches.
#[allow(clippy::cast_precision_loss)] // see above
fn float(count: u64) -> f64 {
    count as f64
}
