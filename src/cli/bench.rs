//! `ledgerline bench`: the end-to-end rate, and the bare limits in the same run.

mod bare;
mod process;
#[cfg(feature = "profile")]
mod profile;
mod readers;
mod reads;
mod report;
mod timer;
mod whole;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::bail;
use clap::Args;

use crate::app::offline::temporary_folder;
use crate::cli::ExitStatus;
use crate::cli::bench::bare::{Bare, append_only, sign_and_check};
#[cfg(feature = "profile")]
use crate::cli::bench::profile::Profile;
use crate::cli::bench::report::{Report, SignEach, WithReaders};
use crate::cli::bench::whole::{Way, whole_way};
use crate::cli::check::print_diagnostics;
use crate::cli::exit::UsageError;
use crate::clock::{Clock, SystemClock};
use crate::command::output::note;
use crate::config::Config;
use crate::demo::{
    Brokers, Consumed, FLEET, Feeding, Load, NamedBrokers, STEADY, Senders, Setting, Stage,
    set_stage,
};
use crate::disk::ScratchFolder;
use crate::fleet::{FleetSize, READINGS};
use crate::input::producer::GatedProducer;

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
    /// Read from these brokers instead of an embedded one.
    ///
    /// Their topic `ledgerline-bench` is filled first where it holds too few records, so that senders
    /// take no part in what is measured. It stays for the next run, with the partitions that it has.
    #[arg(long, value_name = "HOST:PORT,…", conflicts_with_all = ["fleet", "partitions", "rate"])]
    brokers: Option<String>,
    /// A property of librdkafka for these brokers, such as `security.protocol=SASL_SSL`; may be given
    /// several times.
    #[arg(short = 'X', long = "property", value_name = "KEY=VALUE", requires = "brokers", value_parser = property)]
    properties: Vec<(String, String)>,
    /// Directory for the ledger; a temporary folder by default.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Write a flame graph (SVG) of the whole way to this file. It needs Linux's `perf`, and costs some
    /// of the speed.
    #[cfg(feature = "profile")]
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Measure the whole way once more with so many readers of the pages and the API at a time.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=2_000))]
    readers: u16,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Seed of the fleet.
const FLEET_SEED: u64 = 2016;
/// Share of the records that are let through before the clock starts: the group has formed by then.
const WARM_UP: u64 = 20;
/// Measuring time at half of the full rate, in seconds.
const HALF_RATE_SECONDS: u64 = 10;
/// Warm-up time before it.
const HALF_RATE_WARM_UP_SECONDS: u64 = 4;
/// Records of the ledger whose pages those of the whole one are compared with.
const SMALL_LEDGER: u64 = 10_000;
/// Most records of the way with a signature for each.
const MOST_SIGNED_EACH: u64 = 200_000;

fn property(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').ok_or("use the form KEY=VALUE")?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}

/// Does some work, and draws where its time went where that is asked for.
#[cfg(feature = "profile")]
fn profiled<T>(
    args: &BenchArgs,
    temporary: &ScratchFolder,
    work: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let Some(out) = &args.profile else { return work() };
    let profile = Profile::start(temporary.path().join("perf.data"))?;
    let done = work()?;
    profile.draw(out)?;
    Ok(done)
}

/// Does some work: this program was built without its profiler.
#[cfg(not(feature = "profile"))]
fn profiled<T>(
    _: &BenchArgs,
    _: &ScratchFolder,
    work: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    work()
}

/// Measures.
pub fn bench(args: &BenchArgs) -> anyhow::Result<ExitStatus> {
    #[cfg(feature = "profile")]
    if args.profile.is_some() {
        Profile::check()?;
    }
    let temporary = temporary_folder()?;
    let directory = args.directory.clone().unwrap_or_else(|| temporary.path().to_owned());
    if args.brokers.is_some() {
        if directory.join("whole/ledger").exists() {
            let reason = "has a ledger of an earlier run, which has already read the topic; choose \
                          another --directory, or omit it";
            return Err(UsageError(format!("{} {reason}", directory.display())).into());
        }
        fill(args, temporary.path().join("fill"))?;
    }
    let bare = Bare { args, directory: temporary.path().join("bare") };
    let consume = bare.measure(|_, _| {})?;
    let consume_and_parse = bare.measure(|batch, _| {
        for record in batch.records() {
            let value = record.value.unwrap_or_default();
            std::hint::black_box(serde_json::from_slice::<serde_json::Value>(value)).ok();
        }
    })?;
    let consume_and_decode = bare.measure(|batch, decoder| {
        for record in batch.records() {
            // Rubbish is refused at the same cost as in the pipeline.
            std::hint::black_box(decoder.decode(&record)).ok();
        }
    })?;
    let whole =
        profiled(args, &temporary, || whole_way(args, directory.join("whole"), full(args)))?;
    let ledger = directory.join("whole/ledger");
    let append = append_only(&ledger, &temporary.path().join("append"), whole.blocks_per_commit)?;
    let append = append / whole.log_bytes_per_event;
    // What a topic holds already comes at no rate.
    let half_rate = match args.brokers {
        None => Some(half_rate(args, whole.rate, temporary.path().join("half"))?),
        Some(_) => None,
    };
    let sign_each = sign_each(args, temporary.path().join("each"))?;
    let with_readers = with_readers(args, whole.rate, temporary.path().join("readers"))?;
    let limits = report::Limits {
        consume,
        consume_and_parse,
        parse_ratio: whole.rate / consume_and_parse,
        consume_and_decode,
        ratio: whole.rate / consume_and_decode,
        append,
    };
    let report = Report::new(args, whole, limits, half_rate, (sign_each, with_readers));
    report.give(args.json)?;
    Ok(ExitStatus::Ok)
}

/// As fast as records are taken, or as fast as asked for.
fn full(args: &BenchArgs) -> Way {
    let (records, warm_up) = (args.events, args.events / WARM_UP);
    Way { records, warm_up, rate: args.rate, sign_each: false, readers: 0 }
}

/// Poll to receipt at half of the full rate, in milliseconds.
fn half_rate(args: &BenchArgs, full: f64, directory: PathBuf) -> anyhow::Result<report::Quantiles> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a rate of records
    let rate = (full / 2.0) as u64;
    let records = (rate * HALF_RATE_SECONDS).clamp(1_000, args.events.max(1_000));
    // What gathers until the group has formed is read at the full rate.
    let warm_up = rate * HALF_RATE_WARM_UP_SECONDS;
    let way = Way { records, warm_up, rate: rate.max(1), sign_each: false, readers: 0 };
    Ok(whole_way(args, directory, way)?.receipt_ms)
}

/// The whole way with many readers, where any are asked for.
fn with_readers(
    args: &BenchArgs,
    alone: f64,
    directory: PathBuf,
) -> anyhow::Result<Option<WithReaders>> {
    if args.readers == 0 {
        return Ok(None);
    }
    let readers = usize::from(args.readers);
    let whole = whole_way(args, directory.join("whole"), Way { readers, ..full(args) })?;
    let small = Way { records: SMALL_LEDGER, warm_up: 0, rate: 0, sign_each: false, readers: 1 };
    let small = whole_way(args, directory.join("small"), small)?;
    let (Some(many), Some(large), Some(small)) = (whole.readers, whole.at_rest, small.at_rest)
    else {
        bail!("readers need an endpoint, but none is configured")
    };
    let ratio = whole.rate / alone;
    Ok(Some(WithReaders { rate: whole.rate, ratio, many, large, small }))
}

fn sign_each(args: &BenchArgs, directory: PathBuf) -> anyhow::Result<SignEach> {
    let records = args.events.min(MOST_SIGNED_EACH);
    let way = Way { records, warm_up: records / WARM_UP, rate: 0, sign_each: true, readers: 0 };
    let rate = whole_way(args, directory, way)?.rate;
    let raw = sign_and_check();
    Ok(SignEach { rate, raw, ratio: rate / raw })
}

/// Fills the topic of named brokers with what it lacks.
fn fill(args: &BenchArgs, directory: PathBuf) -> anyhow::Result<()> {
    let Set { stage, load, .. } = set(args, directory, full(args))?;
    let producer = GatedProducer::with_properties(&stage.bootstrap, &stage.properties)?;
    let held = producer.held(READINGS)?;
    let missing = load.records.saturating_sub(held);
    if missing > 0 {
        note(format!("the topic {READINGS} holds {held} records; writing {missing} more"));
        let load = Load { records: missing, ..load };
        let clock = Arc::new(SystemClock::new());
        // Nobody reads yet, and these brokers keep what they are given.
        Feeding::start(&stage, load, Box::new(|_| u64::MAX), clock)?.finish()?;
    }
    Ok(())
}

/// A stage that is set, and what is sent.
struct Set {
    stage: Stage,
    config: Config,
    load: Load,
    /// The contract whose assets are read meanwhile.
    contract: &'static str,
}

/// Lets the devices send, unless the topic was filled before.
fn feed(
    stage: &Stage,
    load: Load,
    consumed: Consumed,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Option<Feeding>> {
    let is_filled = stage.embedded.is_none();
    Ok((!is_filled).then(|| Feeding::start(stage, load, consumed, clock)).transpose()?)
}

/// The brokers to use, with a consumer group for each measurement, because each reads from the
/// start.
fn brokers(args: &BenchArgs, directory: &Path) -> Brokers {
    let Some(bootstrap) = &args.brokers else { return Brokers::Embedded(args.partitions) };
    let way = directory.file_name().unwrap_or_default().to_string_lossy();
    Brokers::Named(NamedBrokers {
        bootstrap: bootstrap.clone(),
        properties: args.properties.clone(),
        group: format!("{READINGS}-{}-{way}", SystemClock::new().now_ms()),
    })
}

fn set(args: &BenchArgs, directory: PathBuf, way: Way) -> anyhow::Result<Set> {
    let scene = if args.fleet { &FLEET } else { &STEADY };
    let listen = Some((std::net::Ipv4Addr::LOCALHOST, 0).into());
    let brokers = brokers(args, &directory);
    let setting = Setting { scene, directory, listen, brokers };
    let stage = set_stage(&setting)?;
    let checked = crate::config::load(&stage.config);
    print_diagnostics(&checked.diagnostics);
    let Some(mut config) = checked.config else { bail!("the shipped configuration has errors") };
    config.submission.sign_each = way.sign_each;
    let third = args.devices / 3;
    let size = FleetSize { containers: args.devices - 2 * third, kits: third, machines: third };
    let load = Load {
        senders: match args.fleet {
            true => Senders::Fleet(size, FLEET_SEED),
            false => Senders::Steady(args.devices),
        },
        records: way.records + way.warm_up,
        rate: way.rate,
    };
    let contract = if args.fleet { "cold_chain" } else { "reading" };
    Ok(Set { stage, config, load, contract })
}

/// A count as a float: exact up to 2⁵³, which no count here reaches.
#[allow(clippy::cast_precision_loss)] // see above
fn float(count: u64) -> f64 {
    count as f64
}
