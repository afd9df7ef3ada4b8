//! `verify`: a whole ledger, from its files alone.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};

use crate::clock::{Clock, SystemClock};
use crate::command::exit::{ExitStatus, FileError, UsageError};
use crate::command::metrics::Verification;
use crate::command::output::{Progress, line, note, safe};
use crate::disk::{SystemDisk, read_bounded, replace, require_replaceable};
use crate::ledger::checkpoint::{parse_verifier_key, verifier_key};
use crate::ledger::{default_checkpoint_copy, require_kept};
use crate::limits::MAX_CHECKPOINT_BYTES;
use crate::query::json::to_text;
use crate::query::views::grouped;
use crate::verify::{Report, Request};

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The ledger's directory.
    #[arg(value_name = "DIR")]
    pub ledger: PathBuf,
    /// An older signed checkpoint that the log must extend.
    #[arg(long, value_name = "FILE")]
    pub from_checkpoint: Option<PathBuf>,
    /// Copy of the newest checkpoint outside the directory (`ledger.checkpoint_copy`); the log must
    /// contain everything that it covers. Default: `DIR.checkpoint`, if it exists.
    #[arg(long, value_name = "FILE")]
    pub kept_checkpoint: Option<PathBuf>,
    /// The key that the ledger must have begun with, as `ledgerline keygen` or another auditor gave
    /// it (`name+number+key`). Without it the first block's own key is taken and printed.
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Write the outcome into this file (`*.prom`) for the textfile collector of Prometheus' node
    /// exporter, also where the verification fails.
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// Print one JSON object on standard output.
    #[arg(long)]
    pub json: bool,
}

/// Verifies a ledger.
pub fn verify(args: &VerifyArgs) -> anyhow::Result<ExitStatus> {
    let clock = SystemClock::new();
    let verified = verified(args);
    let written = match &args.metrics {
        Some(path) => write_metrics(path, args, verified.as_ref().ok(), &clock),
        None => Ok(()),
    };
    let is_sound = verified.as_ref().is_ok_and(Report::is_sound);
    if let (false, Err(error)) = (is_sound, &written) {
        // It must not stand in front of what is wrong with the ledger.
        note(format!("ledgerline: {error:#}"));
    }
    let report = verified?;
    match args.json {
        true => line(to_text(&report_value(&report)))?,
        false => print_report(&report)?,
    }
    if !is_sound {
        return Ok(ExitStatus::Data);
    }
    written.map(|()| ExitStatus::Ok)
}

fn verified(args: &VerifyArgs) -> anyhow::Result<Report> {
    let from_checkpoint = match &args.from_checkpoint {
        Some(path) => {
            let note = read_bounded(path, MAX_CHECKPOINT_BYTES);
            let doing = "reading the older checkpoint";
            Some(note.map_err(|error| FileError { doing, path: path.clone(), error })?)
        }
        None => None,
    };
    let (expected_name, expected_key) = match &args.key {
        Some(text) => {
            let (name, key) = parse_verifier_key(text)
                .map_err(|error| UsageError(format!("`--key`: {error}")))?;
            (Some(name), Some(key))
        }
        None => (None, None),
    };
    let directory = args.ledger.clone();
    let kept_checkpoint = match &args.kept_checkpoint {
        Some(path) => require_kept(path)?.path,
        None => default_checkpoint_copy(&directory),
    };
    let kept_checkpoint = Some(kept_checkpoint);
    let request =
        Request { directory, from_checkpoint, kept_checkpoint, expected_key, expected_name };
    let mut progress = Progress::new();
    let observe = &mut |done, all| progress.show("verifying", done, all);
    Ok(crate::verify::verify(&request, observe)?)
}

fn write_metrics(
    path: &Path,
    args: &VerifyArgs,
    report: Option<&Report>,
    clock: &dyn Clock,
) -> anyhow::Result<()> {
    // The same ledger has the same label, wherever it is asked from.
    let directory = args.ledger.canonicalize().unwrap_or_else(|_| args.ledger.clone());
    let (ended_ms, took) = (clock.now_ms(), clock.monotonic());
    let verification = Verification { directory: &directory, report, ended_ms, took };
    let text = verification.to_text().context("writing the metrics")?;
    let written =
        require_replaceable(path).and_then(|()| replace(&SystemDisk, path, text.as_bytes()));
    written.map_err(|error| FileError {
        doing: "writing the metrics into",
        path: path.to_owned(),
        error,
    })?;
    Ok(())
}

/// A verification's outcome for programs.
fn report_value(report: &Report) -> Value {
    json!({
        "verified": report.is_sound(),
        "ledger": report.name,
        "begun_with": report.first_key.map(|key| verifier_key(&report.name, &key)),
        "blocks": report.blocks,
        "entries": report.entries,
        "transactions": report.transactions,
        "records": report.records,
        "tree_size": report.tree_size,
        "tree_root": report.root,
        "tail_bytes": report.tail_bytes,
        "notes": report.notes,
        "problems": report.problems,
        "problem_count": report.problem_count,
    })
}

/// Prints what a verification found.
pub fn print_report(report: &Report) -> anyhow::Result<()> {
    line(format!("ledger        {}", safe(&report.name)))?;
    line(format!("blocks        {}", grouped(report.blocks)))?;
    line(format!(
        "entries       {} ({} transactions)",
        grouped(report.entries),
        grouped(report.transactions)
    ))?;
    line(format!("records       {}, each with one disposition", grouped(report.records)))?;
    line(format!("tree          {} leaves, root {}", grouped(report.tree_size), report.root))?;
    if let Some(key) = &report.first_key {
        line(format!("begun with    {}", verifier_key(&report.name, key)))?;
    }
    for note in &report.notes {
        line(format!("note          {}", safe(note)))?;
    }
    for problem in &report.problems {
        line(format!("WRONG         {}", safe(problem)))?;
    }
    let more = report.problem_count - report.problems.len();
    if more > 0 {
        line(format!("WRONG         and {more} more"))?;
    }
    match report.is_sound() {
        true if report.tail_bytes > 0 => {
            line(format!("verified up to block {}", report.blocks.saturating_sub(1)))
        }
        true => line("verified"),
        false => line("NOT VERIFIED"),
    }
}
