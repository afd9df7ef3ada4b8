//! `ledgerline rebuild`: the state, built again from the log.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::app::offline;
use crate::cli::ExitStatus;
use crate::command::output::{Progress, line};
use crate::query::views::grouped;

/// Arguments of `rebuild`.
#[derive(Debug, Args)]
pub struct RebuildArgs {
    /// The ledger's directory.
    #[arg(value_name = "DIR")]
    pub ledger: PathBuf,
    /// Print one JSON object on standard output.
    #[arg(long)]
    pub json: bool,
}

/// Builds the state again.
pub fn rebuild(args: &RebuildArgs) -> anyhow::Result<ExitStatus> {
    let mut progress = Progress::new();
    let observe = &mut |doing, done, all| progress.show(doing, done, all);
    let blocks = offline::rebuild(&args.ledger, observe)?;
    drop(progress);
    match args.json {
        true => line(json!({ "blocks": blocks }))?,
        false => line(format!("the state matches the writes of {} blocks", grouped(blocks)))?,
    }
    Ok(ExitStatus::Ok)
}
