//! `ledgerline export`: the ledger's contents as JSON lines, or the tree as C2SP tiles.

use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::app::{AppError, offline};
use crate::cli::ExitStatus;
use crate::cli::look::told;
use crate::command::output::{Progress, line};
use crate::ledger::tiles::TilePath;
use crate::ledger::{Block, EmbeddedReader, LedgerReader};
use crate::limits::TILE_WIDTH;
use crate::query::views::{
    BlockView, DeadLetterView, DefinitionView, FilteredView, TransactionView, grouped,
};
use crate::query::{LogQueries, json};
use crate::state::history::Found;

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The ledger's directory.
    #[arg(value_name = "DIR")]
    pub ledger: PathBuf,
    /// Write these kinds, block by block, each line with its kind as `type`. Without it every
    /// transaction and definition is written, without a `type`.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        value_name = "KIND,…",
        conflicts_with = "tiles"
    )]
    pub kinds: Vec<Kind>,
    /// Write the checkpoint and the tiles of the tree into this directory instead (C2SP tlog-tiles).
    #[arg(long, value_name = "DIR")]
    pub tiles: Option<PathBuf>,
    /// Copy of the newest checkpoint outside the directory (`ledger.checkpoint_copy`). The exit
    /// code is 65 if it covers more than the log has. Default: `DIR.checkpoint`, if it exists.
    #[arg(long, value_name = "FILE")]
    pub kept_checkpoint: Option<PathBuf>,
}

/// The kinds of export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// All of them.
    All,
    /// `block`: header, seal, signed checkpoint, how far each partition was read.
    Blocks,
    /// `submission`: the signature over some of a block's transactions.
    Submissions,
    /// `transaction`: with arguments, verdict and writes.
    Transactions,
    /// `definition`: a mapping, contract or key, with its text.
    Definitions,
    /// `dead_letter`: with the bytes of its record.
    DeadLetters,
    /// `filtered`: a run of records that no mapping matched.
    Filtered,
}

/// Writes lines or tiles.
pub fn export(args: &ExportArgs) -> anyhow::Result<ExitStatus> {
    let mut progress = Progress::new();
    let observe = &mut |doing, done, all| progress.show(doing, done, all);
    let log = offline::open_log(&args.ledger, args.kept_checkpoint.as_deref(), observe)?;
    progress.finish();
    let status = told(&log);
    match &args.tiles {
        Some(directory) => {
            export_tiles(&LogQueries::new(log.reader), directory, &mut progress)?;
        }
        None => export_lines(&log.reader, &args.kinds, &mut progress)?,
    }
    Ok(status)
}

fn export_lines(
    reader: &EmbeddedReader,
    kinds: &[Kind],
    progress: &mut Progress,
) -> anyhow::Result<()> {
    let mut lines = Lines { out: BufWriter::new(std::io::stdout().lock()), kinds };
    let height = reader.head().height;
    for number in 0..height {
        let block = reader.block(number).map_err(AppError::from)?;
        match lines.block(&block) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            written => written.context("writing to standard output")?,
        }
        progress.show("writing", number + 1, height);
    }
    lines.out.flush().context("writing to standard output")
}

/// A line with its kind.
#[derive(Serialize)]
struct Typed<T> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    view: T,
}

/// A submission with its place.
#[derive(Serialize)]
struct Submission<T> {
    block: u64,
    /// Place among the submissions of the block.
    at: usize,
    #[serde(flatten)]
    view: T,
}

struct Lines<'a, W> {
    out: W,
    /// None for entries alone, without a kind.
    kinds: &'a [Kind],
}

impl<W: Write> Lines<'_, W> {
    fn has(&self, kind: Kind) -> bool {
        let by_default = matches!(kind, Kind::Transactions | Kind::Definitions);
        match self.kinds {
            [] => by_default,
            kinds => kinds.contains(&kind) || kinds.contains(&Kind::All),
        }
    }

    fn write(&mut self, kind: &'static str, view: impl Serialize) -> std::io::Result<()> {
        let text = match self.kinds {
            [] => json::to_text(&view),
            _ => json::to_text(&Typed { kind, view }),
        };
        writeln!(self.out, "{text}")
    }

    fn block(&mut self, block: &Arc<Block>) -> std::io::Result<()> {
        let number = block.header.number;
        let mut view = BlockView::new(block, 0, 0);
        let submissions = std::mem::take(&mut view.submissions);
        if self.has(Kind::Blocks) {
            let mut view = serde_json::to_value(&view).map_err(std::io::Error::other)?;
            // They have lines of their own.
            if let Some(view) = view.as_object_mut() {
                for name in ["entries", "next", "submissions"] {
                    view.remove(name);
                }
            }
            self.write("block", view)?;
        }
        if self.has(Kind::Submissions) {
            for (at, view) in submissions.into_iter().enumerate() {
                self.write("submission", Submission { block: number, at, view })?;
            }
        }
        self.entries(block)?;
        if self.has(Kind::DeadLetters) {
            for letter in &block.records.dead_letters {
                self.write("dead_letter", DeadLetterView::new(block, letter))?;
            }
        }
        if self.has(Kind::Filtered) {
            for filtered in &block.records.filtered {
                for (first, count) in &filtered.runs {
                    let run = FilteredView::new(&filtered.partition, *first, *count, number);
                    self.write("filtered", run)?;
                }
            }
        }
        Ok(())
    }

    fn entries(&mut self, block: &Arc<Block>) -> std::io::Result<()> {
        let (transactions, definitions) =
            (self.has(Kind::Transactions), self.has(Kind::Definitions));
        for (number, entry) in block.numbered_entries() {
            match entry.definition() {
                Some(definition) if definitions => {
                    self.write("definition", DefinitionView::new(number, definition, true))?;
                }
                None if transactions => {
                    let found = Found { block: block.clone(), number };
                    if let Some(view) = TransactionView::of(&found) {
                        self.write("transaction", view)?;
                    }
                }
                Some(_) | None => {}
            }
        }
        Ok(())
    }
}

fn export_tiles(
    queries: &LogQueries,
    directory: &Path,
    progress: &mut Progress,
) -> anyhow::Result<()> {
    let size = queries.ledger().head().tree_size;
    let mut count = 0;
    for path in TilePath::all(size) {
        write_file(directory, &path.to_string(), &queries.tile(path)?)?;
        count += 1;
        progress.show("writing tiles", count, size.div_ceil(TILE_WIDTH) * 2 + 2);
    }
    write_file(directory, "checkpoint", queries.checkpoint()?.as_bytes())?;
    progress.finish();
    line(format!("{} tiles and the checkpoint of tree size {}", grouped(count), grouped(size)))
}

fn write_file(directory: &Path, name: &str, bytes: &[u8]) -> Result<(), AppError> {
    let path = directory.join(name.trim_start_matches('/'));
    let io = |error| AppError::Io { doing: "writing", path: path.clone(), error };
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(io)?;
    }
    std::fs::write(&path, bytes).map_err(io)
}
