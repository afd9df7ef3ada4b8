//! `ledgerline demo`.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use clap::Args;

use crate::app::offline::temporary_folder;
use crate::app::{self, AppError, Opened};
use crate::cli::check::print_diagnostics;
use crate::cli::run::{wait, watch_signals};
use crate::cli::{ExitStatus, output};
use crate::command::output::{line, note};
use crate::command::verify::print_report;
use crate::demo::{Brokers, FLEET, Feeding, Load, Senders, Setting, consumed_by, set_stage};
use crate::fleet::FleetSize;
use crate::ledger::{EmbeddedReader, LedgerReader};
use crate::monitor::EndpointError;
use crate::pipeline::Stop;
use crate::query::views::grouped;
use crate::state::World;
use crate::verify::Request;

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Stop after this many records, print a summary and verify the ledger; 0 runs until Ctrl-C.
    #[arg(long, default_value_t = 0, value_name = "N")]
    events: u64,
    /// Keep everything in this folder; a temporary one, removed at the end, where not given.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Address of the endpoint and its pages; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:8780", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Records a second; 0 for as many as the machine takes.
    #[arg(long, default_value_t = 2_000, value_name = "N")]
    rate: u64,
    /// Partitions of each topic.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    partitions: u16,
    /// Seed of the simulated fleet: the same seed does the same things.
    #[arg(long, default_value_t = 2016)]
    seed: u64,
    /// Refrigerated containers in the fleet; there are a quarter as many kits and machines.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    containers: u32,
}

/// Refresh interval of the live line on a terminal.
const LIVE_EVERY: Duration = Duration::from_secs(1);
/// Its interval elsewhere.
const LOG_EVERY: Duration = Duration::from_secs(10);
/// Polling interval for the end.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Runs the demonstration.
pub fn demo(args: &DemoArgs) -> anyhow::Result<ExitStatus> {
    let temporary = match args.directory {
        Some(_) => None,
        None => Some(temporary_folder()?),
    };
    let directory = match (&args.directory, &temporary) {
        (Some(directory), _) => directory.clone(),
        (None, Some(temporary)) => temporary.path().to_owned(),
        (None, None) => PathBuf::from("."),
    };
    let listen = Some(args.listen);
    let brokers = Brokers::Embedded(args.partitions);
    let setting = Setting { scene: &FLEET, directory: directory.clone(), listen, brokers };
    let stage = set_stage(&setting)?;
    let checked = crate::config::load(&stage.config);
    print_diagnostics(&checked.diagnostics);
    let Some(config) = checked.config else { return Ok(ExitStatus::Config) };
    let opened = app::open(config, &mut |_, _, _| {}).inspect_err(|error| {
        if matches!(error, AppError::Endpoint(EndpointError::Bind { .. })) {
            note("`--listen 127.0.0.1:0` picks a free port");
        }
    })?;
    introduce(&opened, &directory, &stage.token)?;
    let signals = watch_signals(opened.stop.clone())?;
    let smaller = args.containers.div_ceil(4);
    let size = FleetSize { containers: args.containers, kits: smaller, machines: smaller };
    let load =
        Load { senders: Senders::Fleet(size, args.seed), records: args.events, rate: args.rate };
    let before = opened.world.totals().records;
    let goal = (args.events > 0).then_some(before + args.events);
    let consumed = consumed_by(opened.reader.clone());
    let feeding = Feeding::start(&stage, load, consumed, opened.clock.clone())?;
    let show = Show {
        world: opened.world.clone(),
        reader: opened.reader.clone(),
        clock: opened.clock.clone(),
        stop: opened.stop.clone(),
    };
    let running = opened.start()?;
    show.until_done(goal, &feeding, &signals, &|| running.is_finished());
    show.stop.ask();
    let fed = feeding.end();
    wait(running, &show.stop, &signals)?;
    fed?;
    let Show { world, reader, .. } = show;
    summarise(&world, &reader)?;
    // The state store can be open only once.
    drop((world, reader));
    let request = Request { directory: directory.join("ledger"), ..Request::default() };
    let report = crate::verify::verify(&request, &mut |_, _| {}).map_err(AppError::from)?;
    print_report(&report)?;
    Ok(if report.is_sound() { ExitStatus::Ok } else { ExitStatus::Data })
}

fn introduce(opened: &Opened, directory: &Path, token: &str) -> anyhow::Result<()> {
    if let Some(endpoint) = &opened.endpoint {
        let url = endpoint.url();
        line(format!("page      {url}/"))?;
        line(format!("state     {url}/api/v1/state/cold_chain"))?;
        line(format!("alerts    {url}/api/v1/alerts"))?;
        line(format!("metrics   {url}/metrics"))?;
        line(format!("operator  {url}/login with {token}"))?;
    }
    line(format!(
        "folder    {} (configuration, mappings, contracts, ledger)",
        directory.display()
    ))?;
    line("Ctrl-C stops the demo and verifies its ledger; the first records take a few seconds")
}

/// The data of the live line.
struct Show {
    world: Arc<World>,
    reader: Arc<EmbeddedReader>,
    clock: Arc<dyn crate::clock::Clock>,
    stop: Stop,
}

impl Show {
    /// Shows the live line until the goal is reached, a stop is asked for, or something has ended.
    fn until_done(
        &self,
        goal: Option<u64>,
        feeding: &Feeding,
        signals: &Receiver<&'static str>,
        is_finished: &dyn Fn() -> bool,
    ) {
        let on_terminal = std::io::stderr().is_terminal();
        let every = if on_terminal { LIVE_EVERY } else { LOG_EVERY };
        let mut shown = (self.clock.monotonic(), self.world.totals().records);
        loop {
            if let Err(RecvTimeoutError::Disconnected) | Ok(_) = signals.recv_timeout(LOOK_EVERY) {
                break;
            }
            let records = self.world.totals().records;
            let has_failed = feeding.is_finished() && goal.is_none();
            if goal.is_some_and(|goal| records >= goal) || is_finished() || has_failed {
                break;
            }
            let now = self.clock.monotonic();
            let took = now.saturating_sub(shown.0);
            if took >= every {
                let rate = f64::from(u32::try_from(records - shown.1).unwrap_or(u32::MAX))
                    / took.as_secs_f64();
                self.print(rate, on_terminal);
                shown = (now, records);
            }
        }
        if on_terminal {
            eprintln!();
        }
    }

    fn print(&self, rate: f64, on_terminal: bool) {
        let totals = self.world.totals();
        let alerts = self.world.assets_with_alerts();
        let text = format!(
            "{rate:>8.0} events/s  {} events  {} blocks  {alerts} assets with alerts  \
             {} dead letters  {} invalid  {} filtered",
            grouped(totals.records),
            grouped(self.reader.head().height),
            grouped(totals.dead_letter_count()),
            grouped(totals.invalid_count()),
            grouped(totals.filtered),
        );
        match on_terminal {
            true => {
                eprint!("\r\u{1b}[2K{text}");
                // A terminal that is gone ends the program by its signal.
                let _ = std::io::stderr().flush();
            }
            false => tracing::info!("{}", text.trim_start()),
        }
    }
}

fn summarise(world: &World, reader: &EmbeddedReader) -> anyhow::Result<()> {
    let totals = world.totals();
    let list = |counts: Vec<(&str, u64)>| {
        let counts: Vec<_> =
            counts.iter().map(|(name, count)| format!("{name} {}", grouped(*count))).collect();
        if counts.is_empty() { "none".to_owned() } else { counts.join(", ") }
    };
    line("")?;
    line(format!("records       {}", grouped(totals.records)))?;
    line(format!("  committed   {} valid transactions", grouped(totals.valid)))?;
    line(format!("  invalid     {}", list(totals.invalid_by_name().collect())))?;
    line(format!("  filtered    {} (no matching mapping)", grouped(totals.filtered)))?;
    line(format!("  dead        {}", list(totals.dead_letters_by_name().collect())))?;
    let (alerts, more) = world.alerts(None, 5).map_err(AppError::from)?;
    for asset in &alerts {
        let names = asset.asset.alerts.active.join(", ");
        line(format!("alert         {} {}: {names}", asset.contract, output::safe(&asset.key)))?;
    }
    if more.is_some() {
        line("alert         and more")?;
    }
    line(format!("checkpoint    tree size {}", grouped(reader.head().tree_size)))?;
    line("")
}
