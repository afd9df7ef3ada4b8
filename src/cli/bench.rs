//! `ledgerline bench`: the whole way, and the bare limits beside it in the same run.

mod bare;
mod process;
mod reads;
mod report;
mod timer;
mod whole;

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use crate::app::demo::{FLEET, Load, STEADY, Senders, Setting, Stage, set_stage};
use crate::app::offline::TemporaryFolder;
use crate::cli::ExitStatus;
use crate::cli::bench::bare::{Bare, append_only, sign_and_check};
use crate::cli::bench::report::{Report, SignEach};
use crate::cli::bench::whole::{Way, whole_way};
use crate::cli::check::print_faults;
use crate::config::Config;
use crate::fleet::FleetSize;

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
/// How long the way at half of the full rate is looked at, in seconds.
const HALF_RATE_SECONDS: u64 = 10;
/// Most records of the way with a signature for each.
const MOST_SIGNED_EACH: u64 = 200_000;

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
    let full = Way { records: args.events, rate: args.rate, sign_each: false };
    let whole = whole_way(args, directory.join("whole"), full)?;
    let ledger = directory.join("whole/ledger");
    let append = append_only(&ledger, &temporary.0.join("append"), whole.blocks_per_commit)?;
    let append = append / whole.log_bytes_per_event;
    let half_rate = half_rate(args, whole.rate, temporary.0.join("half"))?;
    let sign_each = sign_each(args, temporary.0.join("each"))?;
    let ratio = whole.rate / consume_and_decode;
    let limits = report::Limits { consume, consume_and_decode, ratio, append };
    let report = Report::new(args, whole, limits, half_rate, sign_each);
    report.give(args.json)?;
    Ok(ExitStatus::Ok)
}

/// Poll to receipt at half of the full rate, in milliseconds.
fn half_rate(args: &BenchArgs, full: f64, directory: PathBuf) -> anyhow::Result<report::Quantiles> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a rate of records
    let rate = (full / 2.0) as u64;
    let records = (rate * HALF_RATE_SECONDS).clamp(1_000, args.events.max(1_000));
    let way = Way { records, rate: rate.max(1), sign_each: false };
    Ok(whole_way(args, directory, way)?.receipt_ms)
}

fn sign_each(args: &BenchArgs, directory: PathBuf) -> anyhow::Result<SignEach> {
    let records = args.events.min(MOST_SIGNED_EACH);
    let way = Way { records, rate: 0, sign_each: true };
    let rate = whole_way(args, directory, way)?.rate;
    let raw = sign_and_check();
    Ok(SignEach { rate, raw, ratio: rate / raw })
}

/// A stage that is set, and what is sent.
struct Set {
    stage: Stage,
    config: Config,
    load: Load,
    /// Whose assets are read meanwhile.
    contract: &'static str,
}

fn set(args: &BenchArgs, directory: PathBuf, way: Way) -> anyhow::Result<Set> {
    let scene = if args.fleet { &FLEET } else { &STEADY };
    let listen = Some((std::net::Ipv4Addr::LOCALHOST, 0).into());
    let setting = Setting { scene, directory, listen, partitions: args.partitions };
    let stage = set_stage(&setting)?;
    let checked = crate::config::load(&stage.config);
    print_faults(&checked.faults);
    let Some(mut config) = checked.config else { bail!("the shipped configuration has faults") };
    config.submission.sign_each = way.sign_each;
    let third = args.devices / 3;
    let size = FleetSize { containers: args.devices - 2 * third, kits: third, machines: third };
    let load = Load {
        senders: match args.fleet {
            true => Senders::Fleet(size, FLEET_SEED),
            false => Senders::Steady(args.devices),
        },
        records: way.records + way.records / WARM_UP,
        rate: way.rate,
        partitions: args.partitions,
        epoch: stage.epoch,
    };
    let contract = if args.fleet { "cold_chain" } else { "reading" };
    Ok(Set { stage, config, load, contract })
}

/// A count as a float: exact up to 2⁵³, which no count here reaches.
#[allow(clippy::cast_precision_loss)] // see above
fn float(count: u64) -> f64 {
    count as f64
}
