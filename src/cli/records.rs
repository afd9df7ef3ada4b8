//! `ledgerline record`, `filtered` and `transactions`: dispositions of records, and calls that were
//! refused.

use clap::Args;

use crate::cli::ExitStatus;
use crate::cli::exit::UsageError;
use crate::cli::look::{LookArgs, Most, item, more, one, paged, record_of, text_of};
use crate::command::output::{note, safe};
use crate::query::views::RecordOutcome;
use crate::query::{FilteredFilter, TransactionFilter, VerdictFilter};

/// Arguments of `record`.
#[derive(Debug, Args)]
pub struct RecordArgs {
    #[command(flatten)]
    look: LookArgs,
    /// The record: topic, partition and offset, such as telemetry/3/4812311.
    record: String,
}

/// Arguments of `filtered`.
#[derive(Debug, Args)]
pub struct FilteredArgs {
    #[command(flatten)]
    look: LookArgs,
    /// Only of this topic.
    #[arg(long)]
    topic: Option<String>,
    /// Only of this partition.
    #[arg(long)]
    partition: Option<u32>,
    /// Most runs that are shown.
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Show all of them.
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

/// Arguments of `transactions`.
#[derive(Debug, Args)]
pub struct TransactionsArgs {
    #[command(flatten)]
    look: LookArgs,
    /// Only those that are `valid` or `invalid`, or invalid for one reason, such as `rejected`.
    #[arg(long)]
    verdict: Option<String>,
    /// Only those that call this contract.
    #[arg(long)]
    contract: Option<String>,
    /// Only those of devices of this type.
    #[arg(long)]
    device_type: Option<String>,
    /// Only those of devices with this id.
    #[arg(long)]
    device_id: Option<String>,
    /// Most transactions that are shown.
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// Show all of them.
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

/// Prints the disposition of a record.
pub fn record(args: &RecordArgs) -> anyhow::Result<ExitStatus> {
    let position = record_of(&args.record)?;
    let (queries, status) = args.look.log()?;
    let view = queries.record(&position.partition, position.offset)?;
    one(&view, args.look.json)?;
    if !matches!(view.outcome, RecordOutcome::NotReached | RecordOutcome::Skipped) {
        return Ok(status);
    }
    note(format!("the record {} is not in the ledger", safe(&view.id)));
    Ok(if status == ExitStatus::Ok { ExitStatus::NoInput } else { status })
}

/// Lists records that no mapping matched, oldest first.
pub fn filtered(args: &FilteredArgs) -> anyhow::Result<ExitStatus> {
    let (queries, status) = args.look.log()?;
    let filter = FilteredFilter { topic: args.topic.clone(), partition: args.partition };
    let (mut left, mut is_more) = (Most::of(args.limit, args.all), false);
    queries.filtered(&filter, |run| {
        is_more = !left.take();
        if is_more {
            return Ok(false);
        }
        item(&run, args.look.json, |view| {
            let [partition, first, last, records, block, last_block] =
                ["partition", "first", "last", "records", "block", "last_block"]
                    .map(|field| text_of(&view[field]));
            let blocks = match block == last_block {
                true => format!("block {block}"),
                false => format!("blocks {block} to {last_block}"),
            };
            match first == last {
                true => format!("{partition}/{first}  1 record  {blocks}"),
                false => format!("{partition}/{first} to {last}  {records} records  {blocks}"),
            }
        })?;
        Ok::<_, anyhow::Error>(true)
    })?;
    more(is_more);
    Ok(status)
}

/// Lists transactions, newest first.
pub fn transactions(args: &TransactionsArgs) -> anyhow::Result<ExitStatus> {
    let verdict = args.verdict.as_deref().map(|text| {
        text.parse::<VerdictFilter>().map_err(|help| {
            let message = format!("`--verdict {}` is not a verdict; {help}", safe(text));
            UsageError(message.trim_end_matches("; ").to_owned())
        })
    });
    let filter = TransactionFilter {
        device_type: args.device_type.clone(),
        device_id: args.device_id.clone(),
        contract: args.contract.clone(),
        verdict: verdict.transpose()?,
        ..TransactionFilter::default()
    };
    let (queries, status) = args.look.log()?;
    let ask = |before: Option<String>, limit| {
        queries.transactions(&filter, before.and_then(|entry| entry.parse().ok()), limit)
    };
    paged(Most::of(args.limit, args.all), args.look.json, ask, |view| {
        let shown = ["time", "id", "contract", "function", "verdict"];
        let mut text = shown.map(|field| text_of(&view[field])).join("  ");
        for field in ["keys", "detail"] {
            let more = text_of(&view[field]);
            if !view[field].is_null() && !more.is_empty() {
                text = format!("{text}  {more}");
            }
        }
        text
    })?;
    Ok(status)
}
