//! `ledgerline simulate`.

use std::ops::Range;
use std::path::PathBuf;

use clap::Args;

use crate::app::offline::temporary_folder;
use crate::cli::ExitStatus;
use crate::command::output::{Progress, line};
use crate::query::views::grouped;
use crate::simulation::{Hunted, hunt};

/// Arguments of `simulate`.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// The seeds; the last one is not among them.
    #[arg(long, default_value = "0..1000", value_name = "A..B", value_parser = seeds)]
    pub seeds: Range<u64>,
    /// Let the disk say that bytes are durable which are not. Nothing can survive that: it shows that
    /// the simulation would notice.
    #[arg(long)]
    pub lying_disk: bool,
    /// Directory for the ledgers, each removed after its seed. Default: the system's temporary
    /// folder.
    #[arg(long, value_name = "DIR")]
    pub directory: Option<PathBuf>,
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let range = text
        .split_once("..")
        .and_then(|(from, to)| Some(from.trim().parse().ok()?..to.trim().parse().ok()?));
    let range = range.filter(|range: &Range<u64>| !range.is_empty());
    range.ok_or_else(|| "two numbers separated by `..`, the larger one last".to_owned())
}

/// Simulates each seed, up to the first that breaks a promise.
pub fn simulate(args: SimulateArgs) -> anyhow::Result<ExitStatus> {
    let SimulateArgs { seeds, lying_disk, directory } = args;
    let temporary = match &directory {
        Some(_) => None,
        None => Some(temporary_folder()?),
    };
    let within = directory.or_else(|| temporary.as_ref().map(|folder| folder.path().to_owned()));
    let count = seeds.end - seeds.start;
    let mut progress = Progress::new();
    let mut go_on = |hunted: &Hunted| {
        progress.show("simulating", hunted.seeds, count);
        hunted.broken.is_empty()
    };
    let hunted = hunt(seeds, lying_disk, &within.unwrap_or_default(), &mut go_on)?;
    drop(progress);
    let Hunted { seeds, total, broken } = hunted;
    if let Some(broken) = broken.first() {
        line(broken)?;
        return Ok(ExitStatus::Data);
    }
    let [lives, records, faults, losses] =
        [total.lives, total.records, total.faults, total.power_losses].map(grouped);
    let seeds = grouped(seeds);
    line(format!(
        "{seeds} seeds: {lives} starts, {faults} faults of the disk, {losses} power losses; each of \
         {records} records once and in order"
    ))?;
    Ok(ExitStatus::Ok)
}
