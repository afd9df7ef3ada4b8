//! `ledgerline state`, `history`, `tx`, `block` and `deadletters`: the endpoint's own views, in a
//! shell.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value;

use crate::app::offline::{self, Looking};
use crate::cli::ExitStatus;
use crate::cli::exit::UsageError;
use crate::cli::output::{Progress, line, note, safe};
use crate::event::SourcePosition;
use crate::ledger::LedgerReader;
use crate::limits::MAX_PAGE_ITEMS;
use crate::monitor::json::{to_pretty_text, to_text};
use crate::monitor::views::Page;
use crate::state::Filter;

/// What every look has in common.
#[derive(Debug, Args)]
pub struct LookArgs {
    /// The ledger's directory.
    #[arg(value_name = "DIR")]
    pub ledger: PathBuf,
    /// Print JSON, the same shapes as the endpoint's; lists as one object a line.
    #[arg(long)]
    pub json: bool,
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
        /// Most that are shown.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Show one with its original bytes.
    Show {
        #[command(flatten)]
        look: LookArgs,
        /// Its record: topic, partition and offset, such as telemetry/3/4812311.
        record: String,
    },
}

fn look(ledger: &Path) -> anyhow::Result<Looking> {
    let mut progress = Progress::new();
    Ok(offline::look(ledger, &mut |doing, done, all| progress.show(doing, done, all))?)
}

/// Shows assets.
pub fn state(args: &StateArgs) -> anyhow::Result<ExitStatus> {
    let looking = look(&args.look.ledger)?;
    if let Some(key) = &args.key {
        return one(&looking.queries.asset(&args.contract, key)?, args.look.json);
    }
    let filter = Filter {
        prefix: args.prefix.clone(),
        fields: args.fields.iter().map(|text| field(text)).collect::<Result<_, _>>()?,
        alerts_only: args.alerts,
    };
    let mut left = args.limit;
    let mut after: Option<String> = None;
    loop {
        let limit = left.min(MAX_PAGE_ITEMS);
        let page = looking.queries.assets(&args.contract, after.as_deref(), &filter, limit)?;
        left -= page.items.len();
        for asset in &page.items {
            item(asset, args.look.json, |view| {
                let alerts = text_of(&view["alerts"]["active"]);
                format!("{}  {alerts}  {}", text_of(&view["key"]), text_of(&view["state"]))
            })?;
        }
        after = page.next;
        if after.is_none() || left == 0 {
            return more(after.is_some());
        }
    }
}

fn field(text: &str) -> anyhow::Result<(String, String)> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| UsageError(format!("`--where {}` has no `=`", safe(text))))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Shows an asset's changes.
pub fn history(args: &HistoryArgs) -> anyhow::Result<ExitStatus> {
    let looking = look(&args.look.ledger)?;
    let place = (args.contract.as_str(), args.key.as_str());
    let limit = args.limit.min(MAX_PAGE_ITEMS);
    let page = looking.queries.history(place, None, limit)?;
    list(&page, args.look.json, |view| {
        let asset = &view["write"]["asset"];
        format!(
            "{}  {}  {}  {}",
            text_of(&view["time"]),
            text_of(&view["id"]),
            text_of(&view["function"]),
            if asset.is_null() { "deleted".to_owned() } else { text_of(asset) }
        )
    })
}

/// Shows a transaction or its proof.
pub fn transaction(args: &TransactionArgs) -> anyhow::Result<ExitStatus> {
    let looking = look(&args.look.ledger)?;
    if !args.proof {
        return one(&looking.queries.transaction(&args.id)?, args.look.json);
    }
    let proof = looking.queries.proof(&args.id)?;
    match args.look.json {
        true => line(to_pretty_text(&proof))?,
        false => line(proof.tlog_proof.trim_end())?,
    }
    Ok(ExitStatus::Ok)
}

/// Shows a block.
pub fn block(args: &BlockArgs) -> anyhow::Result<ExitStatus> {
    let looking = look(&args.look.ledger)?;
    let height = looking.queries.ledger().head().height;
    let number = args.number.unwrap_or(height.saturating_sub(1));
    let limit = args.limit.min(MAX_PAGE_ITEMS);
    one(&looking.queries.block(number, 0, limit)?, args.look.json)
}

/// Shows dead letters.
pub fn dead_letters(args: &DeadLetterArgs) -> anyhow::Result<ExitStatus> {
    match &args.command {
        DeadLetterCommand::List { look: args, limit } => {
            let looking = look(&args.ledger)?;
            let page = looking.queries.dead_letters(None, None, (*limit).min(MAX_PAGE_ITEMS))?;
            list(&page, args.json, |view| {
                let fields = ["time", "id", "cause", "place", "message"];
                fields.map(|field| text_of(&view[field])).join("  ")
            })
        }
        DeadLetterCommand::Show { look: args, record } => {
            // A record is named like a transaction without its output.
            let Ok(position) = format!("{record}/0").parse::<SourcePosition>() else {
                let record = safe(record);
                let message = format!("`{record}` names no record, such as telemetry/3/4812311");
                return Err(UsageError(message).into());
            };
            let looking = look(&args.ledger)?;
            let letter = looking.queries.dead_letter(&position.partition, position.offset)?;
            one(&letter, args.json)
        }
    }
}

fn list<T: Serialize>(
    page: &Page<T>,
    json: bool,
    summary: impl Fn(&Value) -> String,
) -> anyhow::Result<ExitStatus> {
    for view in &page.items {
        item(view, json, &summary)?;
    }
    more(page.next.is_some())
}

fn item<T: Serialize>(
    view: &T,
    json: bool,
    summary: impl Fn(&Value) -> String,
) -> anyhow::Result<()> {
    match json {
        true => line(to_text(view)),
        false => line(safe(&summary(&serde_json::to_value(view)?))),
    }
}

fn more(is_more: bool) -> anyhow::Result<ExitStatus> {
    if is_more {
        note("there is more: raise `--limit`");
    }
    Ok(ExitStatus::Ok)
}

fn one<T: Serialize>(view: &T, json: bool) -> anyhow::Result<ExitStatus> {
    match json {
        true => line(to_pretty_text(view))?,
        false => outline(&serde_json::to_value(view)?, 0)?,
    }
    Ok(ExitStatus::Ok)
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

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(text_of).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}
