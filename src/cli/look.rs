//! `ledgerline state`, `history`, `tx`, `block` and `deadletters`: the endpoint's own views, in a
//! shell.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value;

use crate::app::offline::{self, Looking, OpenedLog};
use crate::cli::ExitStatus;
use crate::cli::exit::UsageError;
use crate::command::output::{Progress, line, note, safe};
use crate::event::SourcePosition;
use crate::ledger::LedgerReader;
use crate::limits::MAX_PAGE_ITEMS;
use crate::query::json::{to_pretty_text, to_text};
use crate::query::page::letter_cursor;
use crate::query::views::Page;
use crate::query::{LogQueries, QueryError};
use crate::state::{AssetRef, Filter};

/// Arguments common to all read commands.
#[derive(Debug, Args)]
pub struct LookArgs {
    /// The ledger's directory.
    #[arg(value_name = "DIR")]
    pub ledger: PathBuf,
    /// Print JSON, the same shapes as the endpoint's; lists as one object a line.
    #[arg(long)]
    pub json: bool,
    /// Copy of the newest checkpoint outside the directory (`ledger.checkpoint_copy`). The exit
    /// code is 65 if it covers more than the log has. Default: `DIR.checkpoint`, if it exists.
    #[arg(long, value_name = "FILE")]
    pub kept_checkpoint: Option<PathBuf>,
}

impl LookArgs {
    /// Opens the log, and says on standard error what is wrong with it.
    pub fn log(&self) -> anyhow::Result<(LogQueries, ExitStatus)> {
        let mut progress = Progress::new();
        let observe = &mut |doing, done, all| progress.show(doing, done, all);
        let log = offline::open_log(&self.ledger, self.kept_checkpoint.as_deref(), observe)?;
        drop(progress);
        let status = told(&log);
        Ok((LogQueries::new(log.reader), status))
    }

    /// The same with the state.
    fn state(&self) -> anyhow::Result<(Looking, ExitStatus)> {
        let mut progress = Progress::new();
        let observe = &mut |doing, done, all| progress.show(doing, done, all);
        let looking = offline::look(&self.ledger, self.kept_checkpoint.as_deref(), observe)?;
        drop(progress);
        let status = told(&looking.log);
        Ok((looking, status))
    }
}

/// Prints what is to be known of a log; how a command ends that shows it.
pub fn told(log: &OpenedLog) -> ExitStatus {
    log.notes.iter().for_each(|text| note(format!("note: {}", safe(text))));
    if log.is_cut_short { ExitStatus::Data } else { ExitStatus::Ok }
}

/// The maximum number of items shown.
#[derive(Debug, Clone, Copy)]
pub struct Most(usize);

impl Most {
    /// As many as the options say.
    pub fn of(limit: usize, all: bool) -> Self {
        Self(if all { usize::MAX } else { limit })
    }

    /// Takes one; whether there was one left.
    pub fn take(&mut self) -> bool {
        let left = self.0 > 0;
        self.0 = self.0.saturating_sub(1);
        left
    }
}

/// Arguments of `state`.
#[derive(Debug, Args)]
pub struct StateArgs {
    #[command(flatten)]
    look: LookArgs,
    /// The contract.
    contract: String,
    /// The asset's key; every asset where it is not given.
    key: Option<String>,
    /// Only assets with an active alert.
    #[arg(long)]
    alerts: bool,
    /// Only assets whose key begins so.
    #[arg(long, default_value = "")]
    prefix: String,
    /// Only assets where a field has this value, such as `carrier=C-ABC` or `cargo.kind=fish`.
    #[arg(long = "where", value_name = "FIELD=VALUE")]
    fields: Vec<String>,
    /// Most assets that are shown.
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Show all of them.
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

/// Arguments of `history`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    #[command(flatten)]
    look: LookArgs,
    /// The contract.
    contract: String,
    /// The asset's key.
    key: String,
    /// Most changes that are shown.
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// Show all of them.
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

/// Arguments of `tx`.
#[derive(Debug, Args)]
pub struct TransactionArgs {
    #[command(flatten)]
    look: LookArgs,
    /// The transaction's id: topic, partition, offset, output.
    id: SourcePosition,
    /// Print the proof that it is in the ledger (C2SP tlog-proof) instead.
    #[arg(long)]
    proof: bool,
}

/// Arguments of `block`.
#[derive(Debug, Args)]
pub struct BlockArgs {
    #[command(flatten)]
    look: LookArgs,
    /// Its number; the newest where not given.
    number: Option<u64>,
    /// Most entries that are shown.
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// Show all of them.
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

/// Arguments of `deadletters`.
#[derive(Debug, Args)]
pub struct DeadLetterArgs {
    #[command(subcommand)]
    command: DeadLetterCommand,
}

#[derive(Debug, Subcommand)]
enum DeadLetterCommand {
    /// List dead letters, newest first.
    List {
        #[command(flatten)]
        look: LookArgs,
        /// Only those with this cause, such as `not_json`.
        #[arg(long)]
        cause: Option<String>,
        /// Most that are shown.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Show all of them.
        #[arg(long, conflicts_with = "limit")]
        all: bool,
    },
    /// Show one with its original bytes.
    Show {
        #[command(flatten)]
        look: LookArgs,
        /// Its record: topic, partition and offset, such as telemetry/3/4812311.
        record: String,
    },
}

/// Shows assets.
pub fn state(args: &StateArgs) -> anyhow::Result<ExitStatus> {
    let (looking, status) = args.look.state()?;
    if let Some(key) = &args.key {
        one(&looking.queries.asset(&args.contract, key)?, args.look.json)?;
        return Ok(status);
    }
    let filter = Filter {
        prefix: args.prefix.clone(),
        fields: args.fields.iter().map(|text| field(text)).collect::<Result<_, _>>()?,
        alerts_only: args.alerts,
    };
    let ask = |after: Option<String>, limit| {
        looking.queries.assets(&args.contract, after.as_deref(), &filter, limit)
    };
    paged(Most::of(args.limit, args.all), args.look.json, ask, |view| {
        let alerts = text_of(&view["alerts"]["active"]);
        format!("{}  {alerts}  {}", text_of(&view["key"]), text_of(&view["state"]))
    })?;
    Ok(status)
}

fn field(text: &str) -> anyhow::Result<(String, String)> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| UsageError(format!("`--where {}` has no `=`", safe(text))))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Shows an asset's changes.
pub fn history(args: &HistoryArgs) -> anyhow::Result<ExitStatus> {
    let (looking, status) = args.look.state()?;
    let asset = AssetRef { contract: &args.contract, key: &args.key };
    let ask = |from: Option<String>, limit| {
        looking.queries.history(asset, from.and_then(|entry| entry.parse().ok()), limit)
    };
    paged(Most::of(args.limit, args.all), args.look.json, ask, |view| {
        let asset = &view["write"]["asset"];
        format!(
            "{}  {}  {}  {}",
            text_of(&view["time"]),
            text_of(&view["id"]),
            text_of(&view["function"]),
            if asset.is_null() { "deleted".to_owned() } else { text_of(asset) }
        )
    })?;
    Ok(status)
}

/// Shows a transaction or its proof.
pub fn transaction(args: &TransactionArgs) -> anyhow::Result<ExitStatus> {
    let (queries, status) = args.look.log()?;
    if !args.proof {
        one(&queries.transaction(&args.id)?, args.look.json)?;
        return Ok(status);
    }
    let proof = queries.proof(&args.id)?;
    match args.look.json {
        true => line(to_pretty_text(&proof))?,
        false => line(proof.tlog_proof.trim_end())?,
    }
    Ok(status)
}

/// Shows a block.
pub fn block(args: &BlockArgs) -> anyhow::Result<ExitStatus> {
    let (queries, status) = args.look.log()?;
    let height = queries.ledger().head().height;
    let number = args.number.unwrap_or(height.saturating_sub(1));
    let Most(limit) = Most::of(args.limit, args.all);
    let block = queries.block(number, 0, limit)?;
    one(&block, args.look.json)?;
    more(block.next.is_some());
    Ok(status)
}

/// Shows dead letters.
pub fn dead_letters(args: &DeadLetterArgs) -> anyhow::Result<ExitStatus> {
    match &args.command {
        DeadLetterCommand::List { look: args, cause, limit, all } => {
            let (queries, status) = args.log()?;
            let ask = |before: Option<String>, limit| {
                let before = before.as_deref().map(letter_cursor).transpose()?;
                queries.dead_letters(before, cause.as_deref(), limit)
            };
            paged(Most::of(*limit, *all), args.json, ask, |view| {
                let fields = ["time", "id", "cause", "place", "message"];
                fields.map(|field| text_of(&view[field])).join("  ")
            })?;
            Ok(status)
        }
        DeadLetterCommand::Show { look: args, record } => {
            let position = record_of(record)?;
            let (queries, status) = args.log()?;
            one(&queries.dead_letter(&position.partition, position.offset)?, args.json)?;
            Ok(status)
        }
    }
}

/// A record is named like a transaction without its output.
pub fn record_of(record: &str) -> Result<SourcePosition, UsageError> {
    format!("{record}/0").parse().map_err(|_| {
        let record = safe(record);
        UsageError(format!("`{record}` is not a record's name, such as telemetry/3/4812311"))
    })
}

/// Prints items page by page, at most so many. `ask` is given where to go on and how many to find.
pub fn paged<T: Serialize>(
    most: Most,
    json: bool,
    mut ask: impl FnMut(Option<String>, usize) -> Result<Page<T>, QueryError>,
    summary: impl Fn(&Value) -> String,
) -> anyhow::Result<()> {
    let Most(mut left) = most;
    let mut from = None;
    loop {
        // One is asked for even where none is wanted: an asset that never was is told all the same.
        let page = ask(from, left.clamp(1, MAX_PAGE_ITEMS))?;
        for view in page.items.iter().take(left) {
            item(view, json, &summary)?;
        }
        let is_more = page.items.len() > left || page.next.is_some();
        left = left.saturating_sub(page.items.len());
        from = page.next;
        if left == 0 || from.is_none() {
            more(is_more);
            return Ok(());
        }
    }
}

/// Prints one item of a list on a line.
pub fn item<T: Serialize>(
    view: &T,
    json: bool,
    summary: impl Fn(&Value) -> String,
) -> anyhow::Result<()> {
    match json {
        true => line(to_text(view)),
        false => line(safe(&summary(&serde_json::to_value(view)?))),
    }
}

/// Says whether a list was cut.
pub fn more(is_more: bool) {
    if is_more {
        note("there is more: raise `--limit`, or use `--all`");
    }
}

/// Prints one thing.
pub fn one<T: Serialize>(view: &T, json: bool) -> anyhow::Result<()> {
    match json {
        true => line(to_pretty_text(view)),
        false => outline(&serde_json::to_value(view)?, 0),
    }
}

/// Prints a view as indented lines of names and values.
fn outline(value: &Value, depth: usize) -> anyhow::Result<()> {
    let indent = "  ".repeat(depth);
    let nested = |value: &Value| match value {
        Value::Object(object) => !object.is_empty(),
        Value::Array(list) => list.iter().any(|item| item.is_object() || item.is_array()),
        _ => false,
    };
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                if nested(value) {
                    line(format!("{indent}{}:", safe(name)))?;
                    outline(value, depth + 1)?;
                } else {
                    line(format!("{indent}{}: {}", safe(name), safe(&text_of(value))))?;
                }
            }
            Ok(())
        }
        Value::Array(list) => list.iter().enumerate().try_for_each(|(at, value)| {
            line(format!("{indent}- {at}"))?;
            outline(value, depth + 1)
        }),
        other => line(format!("{indent}{}", safe(&text_of(other)))),
    }
}

/// A value in one line.
pub fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(text_of).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}
