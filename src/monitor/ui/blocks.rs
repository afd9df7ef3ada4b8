//! The chain, and one block of it.

use maud::{Markup, html};

use crate::ledger::LedgerReader;
use crate::monitor::http::request::Parameters;
use crate::monitor::service::Service;
use crate::monitor::ui::parts::{
    Row, address_of_id, ago, call, cell, count, count_cell, digest, facts, link, name, paging,
    table, text, wide_cell, with_parameters,
};
use crate::monitor::ui::shell::Content;
use crate::monitor::ui::{Made, transactions};
use crate::query::QueryError;
use crate::query::views::{BlockSummary, BlockView, EntryView, StepView};

const HEADINGS: [&str; 8] = [
    "Block",
    "Created",
    "#Valid",
    "#Invalid",
    "#Filtered",
    "#Dead letters",
    "#Definitions",
    "Hash",
];

/// Newest blocks first.
pub fn list(service: &Service, mut given: Parameters) -> Made {
    let (before, limit) = (given.parsed("before")?, given.limit()?);
    given.finish()?;
    let page = service.queries.blocks(before, limit)?;
    let now = service.clock.now_ms();
    let rows: Vec<_> = page.items.iter().map(|block| row(block, now)).collect();
    let next = page.next.map(|next| with_parameters("/blocks", &[("before", &next)]));
    let body = html! {
        p { "Each block is sealed by the ledger's key and names the hash of the one before it." }
        div #list data-live[before.is_none()] {
            (table("Blocks, newest first", &HEADINGS, &rows, "No blocks yet."))
            (paging(before.map(|_: u64| "/blocks"), next.as_deref()))
        }
    };
    let is_live = before.is_none();
    Ok(Content { title: "Blocks".to_owned(), is_live, body })
}

/// A link to a block.
pub fn link_to(number: u64) -> Markup {
    html! { a href={ "/blocks/" (number) } { (count(number)) } }
}

/// A block in a list.
fn row(block: &BlockSummary, now: i64) -> Row {
    vec![
        cell(link_to(block.number)),
        cell(ago(&block.time, now)),
        count_cell(block.valid as u64),
        count_cell(block.invalid as u64),
        count_cell(block.filtered),
        count_cell(block.dead_letters as u64),
        count_cell(block.definitions as u64),
        cell(digest(&block.hash)),
    ]
}

/// One block.
pub fn one(service: &Service, number: &String, mut given: Parameters) -> Made {
    let from = given.parsed("from")?;
    let (limit, is_verified) = (given.limit()?, given.filled("verify")?.is_some());
    given.finish()?;
    let number: u64 = number
        .parse()
        .map_err(|_| QueryError::Malformed(format!("`{number}` is not a block number")))?;
    let block = service.queries.block(number, from.unwrap_or(0), limit)?;
    let steps = is_verified.then(|| service.queries.verify_block(number)).transpose()?;
    let now = service.clock.now_ms();
    let path = format!("/blocks/{number}");
    let next = block.next.map(|next| with_parameters(&path, &[("from", &next.to_string())]));
    let rows: Vec<_> = block.entries.iter().map(entry).collect();
    let headings = ["#Entry", "Transaction or definition", "Device", "Call", "Assets", "Verdict"];
    let body = html! {
        nav.paging aria-label="Neighbouring blocks" {
            @if let Some(previous) = number.checked_sub(1) {
                a href={ "/blocks/" (previous) } rel="prev" { "← block " (count(previous)) }
            }
            @if number + 1 < service.queries.ledger().head().height {
                a href={ "/blocks/" (number + 1) } rel="next" { "block " (count(number + 1)) " →" }
            }
        }
        (header(&block, now))
        (verification(&path, steps.as_deref()))
        h2 { "Source records" }
        (progress(&block))
        h2 { "Entries" }
        (table("Entries of the block", &headings, &rows, "No entries: the block only advances in its source."))
        (paging(from.map(|_: u64| path.as_str()), next.as_deref()))
        h2 { "Submission signatures" }
        (submissions(&block))
        h2 { "Signed checkpoint" }
        pre tabindex="0" { code { (block.checkpoint) } }
    };
    let title = format!("Block {number}");
    Ok(Content { title, is_live: false, body })
}

fn header(block: &BlockView, now: i64) -> Markup {
    let summary = &block.summary;
    facts(&[
        ("Created", html! { (ago(&summary.time, now)) " " (name(&format!("({})", summary.time))) }),
        (
            "Entries",
            html! { (count(summary.entry_count as u64)) ", from " (count(summary.first_entry)) },
        ),
        (
            "Valid, invalid",
            html! { (count(summary.valid as u64)) ", " (count(summary.invalid as u64)) },
        ),
        (
            "Filtered, dead letters",
            html! { (count(summary.filtered)) ", " (count(summary.dead_letters as u64)) },
        ),
        ("Hash", html! { code { (summary.hash) } }),
        ("Hash of the previous block", html! { code { (block.previous) } }),
        ("Root over its entries", html! { code { (block.entries_root) } }),
        ("Effects so far", html! { code { (block.effects) } }),
        ("Records", html! { code { (block.records) } }),
        ("Sealed by", html! { code { (block.signer) } }),
        ("Seal", html! { code { (block.signature) } }),
    ])
}

fn verification(path: &str, steps: Option<&[StepView]>) -> Markup {
    html! {
        section #verification aria-labelledby="verification-title" {
            h2 #verification-title { "Verification" }
            @match steps {
                None => p {
                    a.button href={ (path) "?verify=1#verification" } rel="nofollow" { "Verify this block" }
                    " from its bytes: hashes, seal, tree, signatures. "
                    "The whole ledger: " code { "ledgerline verify" } ", offline."
                },
                Some(steps) => ol.steps {
                    @for step in steps {
                        li.good[step.holds].bad[!step.holds] {
                            strong { (if step.holds { "✓ " } else { "✗ " }) (step.what) }
                            " " span { (text(&step.found)) }
                        }
                    }
                },
            }
        }
    }
}

fn progress(block: &BlockView) -> Markup {
    let row = |progress: &crate::query::views::ProgressView| {
        vec![
            cell(name(&progress.partition)),
            count_cell(progress.from),
            count_cell(progress.next),
            count_cell(progress.records),
        ]
    };
    let rows: Vec<_> = block.progress.iter().map(row).collect();
    let headings = ["Partition", "#From offset", "#To offset", "#Records"];
    table("Ranges of the source", &headings, &rows, "None: the block holds definitions only.")
}

fn submissions(block: &BlockView) -> Markup {
    let row = |seal: &crate::query::views::SubmissionView| {
        vec![
            count_cell(seal.transactions),
            cell(digest(&seal.signer)),
            cell(digest(&seal.root)),
            cell(digest(&seal.signature)),
        ]
    };
    let rows: Vec<_> = block.submissions.iter().map(row).collect();
    let headings = ["#Transactions", "Signer", "Root", "Signature"];
    table("Submissions", &headings, &rows, "None: the block holds no transactions.")
}

fn entry(entry: &EntryView) -> Row {
    match entry {
        EntryView::Transaction(transaction) => vec![
            count_cell(transaction.entry),
            cell(link(&address_of_id("transactions", &transaction.id), &transaction.id)),
            cell(name(&transaction.device())),
            cell(call(&transaction.contract, transaction.function)),
            cell(transactions::keys(transaction)),
            cell(transactions::verdict_of(transaction)),
        ],
        EntryView::Definition(definition) => vec![
            count_cell(definition.entry),
            wide_cell(
                5,
                html! {
                    (definition.definition) " " strong { (text(&definition.name)) }
                    @if let Some(version) = definition.version { " version " (version) }
                    " " (digest(&definition.digest))
                },
            ),
        ],
    }
}
