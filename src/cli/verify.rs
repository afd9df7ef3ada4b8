//! `ledgerline verify`, `rebuild`, `export` and `keygen`.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use crate::app::{AppError, offline};
use crate::cli::ExitStatus;
use crate::cli::exit::UsageError;
use crate::cli::output::{Progress, line, note, safe};
use crate::clock::{Clock, SystemClock};
use crate::disk::{SystemDisk, replace};
use crate::ledger::LedgerReader;
use crate::ledger::checkpoint::{check_origin, parse_verifier_key, verifier_key};
use crate::ledger::embedded::Shared;
use crate::ledger::tiles::TilePath;
use crate::limits::TILE_WIDTH;
use crate::monitor::views::{DefinitionView, TransactionView, grouped};
use crate::monitor::{Queries, Verification, json};
use crate::state::history::Found;
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
    /// The key that the ledger must have begun with, as `ledgerline keygen` or another auditor gave
    /// it (`name+number+key`). Without it the first block's own key is taken and printed.
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Write the outcome into this file (`*.prom`) for the textfile collector of Prometheus' node
    /// exporter, also where the verification fails.
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
}

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The ledger's directory.
    #[arg(value_name = "DIR")]
    pub ledger: PathBuf,
    /// Write the checkpoint and the tiles of the tree into this directory instead (C2SP tlog-tiles).
    #[arg(long, value_name = "DIR")]
    pub tiles: Option<PathBuf>,
}

/// Arguments of `keygen`.
#[derive(Debug, Args)]
pub struct KeygenArgs {
    /// The key file to make. An existing file is never overwritten.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The ledger's name: prints the public key in the form that verifiers take.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
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
    print_report(&verified?)?;
    if !is_sound {
        return Ok(ExitStatus::Data);
    }
    written.map(|()| ExitStatus::Ok)
}

fn verified(args: &VerifyArgs) -> anyhow::Result<Report> {
    let from_checkpoint = match &args.from_checkpoint {
        Some(path) => Some(std::fs::read(path).map_err(|error| AppError::Io {
            doing: "reading the older checkpoint",
            path: path.clone(),
            error,
        })?),
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
    let request = Request { directory, from_checkpoint, expected_key, expected_name };
    let mut progress = Progress::new();
    let observe = &mut |done, all| progress.show("verifying", done, all);
    Ok(crate::verify::verify(&request, observe).map_err(AppError::from)?)
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
    replace(&SystemDisk, path, text.as_bytes()).map_err(|error| AppError::Io {
        doing: "writing the metrics into",
        path: path.to_owned(),
        error,
    })?;
    Ok(())
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
    line(if report.is_sound() { "verified" } else { "NOT VERIFIED" })
}

/// Builds the state again.
pub fn rebuild(ledger: &Path) -> anyhow::Result<ExitStatus> {
    let mut progress = Progress::new();
    let observe = &mut |doing, done, all| progress.show(doing, done, all);
    let blocks = offline::rebuild(ledger, observe)?;
    drop(progress);
    line(format!("the state holds what {} blocks wrote", grouped(blocks)))?;
    Ok(ExitStatus::Ok)
}

/// Makes a key file.
pub fn keygen(args: &KeygenArgs) -> anyhow::Result<ExitStatus> {
    if let Some(name) = &args.name {
        check_origin(name).map_err(|error| UsageError(format!("`--name`: {error}")))?;
    }
    let signer = crate::transaction::write_new_key_file(&args.file).map_err(AppError::from)?;
    match &args.name {
        Some(name) => line(verifier_key(name, &signer.id()))?,
        None => line(signer.id())?,
    }
    Ok(ExitStatus::Ok)
}

/// Writes entries or tiles.
pub fn export(args: &ExportArgs) -> anyhow::Result<ExitStatus> {
    let mut progress = Progress::new();
    let observe = &mut |doing, done, all| progress.show(doing, done, all);
    match &args.tiles {
        Some(directory) => {
            let looking = offline::look(&args.ledger, observe)?;
            export_tiles(&looking.queries, directory, &mut progress)
        }
        None => {
            let reader = offline::open_log(&args.ledger, observe)?;
            export_entries(&reader, &mut progress)
        }
    }
}

fn export_entries(reader: &Shared, progress: &mut Progress) -> anyhow::Result<ExitStatus> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let height = reader.head().height;
    for number in 0..height {
        let block = reader.block(number).map_err(AppError::from)?;
        for (index, entry) in block.indexed_entries() {
            let text = match entry.definition() {
                Some(definition) => json::to_text(&DefinitionView::new(index, definition, true)),
                None => {
                    let found = Found { block: block.clone(), index };
                    TransactionView::of(&found).map(|view| json::to_text(&view)).unwrap_or_default()
                }
            };
            match writeln!(out, "{text}") {
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                    return Ok(ExitStatus::Ok);
                }
                result => result.context("writing to standard output")?,
            }
        }
        progress.show("writing entries", number + 1, height);
    }
    out.flush().context("writing to standard output")?;
    Ok(ExitStatus::Ok)
}

fn export_tiles(
    queries: &Queries,
    directory: &Path,
    progress: &mut Progress,
) -> anyhow::Result<ExitStatus> {
    let size = queries.ledger().head().tree_size;
    let mut count = 0;
    for path in TilePath::all(size) {
        write_file(directory, &path.to_string(), &queries.tile(path)?)?;
        count += 1;
        progress.show("writing tiles", count, size.div_ceil(TILE_WIDTH) * 2 + 2);
    }
    write_file(directory, "checkpoint", queries.checkpoint()?.as_bytes())?;
    progress.finish();
    line(format!("{} tiles and the checkpoint of tree size {}", grouped(count), grouped(size)))?;
    Ok(ExitStatus::Ok)
}

fn write_file(directory: &Path, name: &str, bytes: &[u8]) -> Result<(), AppError> {
    let path = directory.join(name.trim_start_matches('/'));
    let io = |error| AppError::Io { doing: "writing", path: path.clone(), error };
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(io)?;
    }
    std::fs::write(&path, bytes).map_err(io)
}
