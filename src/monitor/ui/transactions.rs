//! Transactions: the search, and one transaction with its provenance and changes.

use maud::{Markup, html};

use crate::contract::InvalidCode;
use crate::event::SourcePosition;
use crate::ledger::{DefinitionKind, LedgerReader};
use crate::monitor::http::request::Parameters;
use crate::monitor::service::Service;
use crate::monitor::ui::parts::{
    Row, address, address_of_id, ago, call, cell, count, count_cell, digest, facts, json_block,
    link, name, paging, table, text, verdict, with_parameters,
};
use crate::monitor::ui::shell::Content;
use crate::monitor::ui::{Made, changes, position};
use crate::query::QueryError;
use crate::query::views::{TransactionSummary, TransactionView, WriteView};

const HEADINGS: [&str; 7] =
    ["Transaction", "Time", "Device", "Call", "Assets", "Verdict", "#Entry"];
/// The fields of the search, as a form sends them.
const FIELDS: [&str; 6] = ["device_type", "device_id", "contract", "verdict", "since", "until"];

/// Newest transactions first, and the search among them.
pub fn list(service: &Service, mut given: Parameters) -> Made {
    if let Some(id) = given.filled("id")? {
        let id = id.trim().trim_matches('/');
        // A record names its first transaction.
        let is_record = id.split('/').count() == 3;
        let id = if is_record { format!("{id}/0") } else { id.to_owned() };
        return content(service, &position(&id)?);
    }
    let asked = FIELDS.map(|name| (name, given.peek(name).unwrap_or_default()));
    let filter = given.transaction_filter()?;
    let (before, limit) = (given.parsed("before")?, given.limit()?);
    given.finish()?;
    let page = service.queries.transactions(&filter, before, limit)?;
    let asked: Vec<_> = asked.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let is_live = before.is_none();
    let next = page.next.as_deref().map(|next| {
        let parameters: Vec<_> = asked.iter().copied().chain([("before", next)]).collect();
        with_parameters("/transactions", &parameters)
    });
    let first = with_parameters("/transactions", &asked);
    let now = service.clock.now_ms();
    let rows: Vec<_> = page.items.iter().map(|item| row(item, now)).collect();
    let empty = match &next {
        Some(_) => "None in the blocks that were searched; “older” looks further back.",
        None => "No matching transaction.",
    };
    let body = html! {
        (search_form(service, &asked))
        div #list data-live[is_live] {
            (table("Transactions, newest first", &HEADINGS, &rows, empty))
            (paging((!is_live).then_some(first.as_str()), next.as_deref()))
        }
    };
    let title = "Transactions".to_owned();
    Ok(Content { title, is_live, body })
}

fn search_form(service: &Service, asked: &[(&str, &str)]) -> Markup {
    let value =
        |name: &str| asked.iter().find(|(field, _)| *field == name).map_or("", |(_, value)| value);
    let verdicts = ["valid", "invalid"].into_iter().chain(InvalidCode::ALL.map(InvalidCode::name));
    let contracts = service.queries.names(DefinitionKind::Contract);
    html! {
        form.search action="/transactions" method="get" role="search" aria-label="One transaction" {
            label { "Id or record" input name="id" placeholder="telemetry/3/4812311/0" autocomplete="off"; }
            button type="submit" { "Show" }
        }
        form.search action="/transactions" method="get" role="search" aria-label="Transactions" {
            label { "Device type" input name="device_type" value=(value("device_type")) placeholder="reefer-40" autocomplete="off"; }
            label { "Device id" input name="device_id" value=(value("device_id")) placeholder="CON123" autocomplete="off"; }
            label { "Contract"
                select name="contract" {
                    option value="" { "all" }
                    @for name in &contracts {
                        option value=(name) selected[name == value("contract")] { (name) }
                    }
                }
            }
            label { "Verdict"
                select name="verdict" {
                    option value="" { "all" }
                    @for name in verdicts {
                        option value=(name) selected[name == value("verdict")] { (name) }
                    }
                }
            }
            label { "Recorded from (UTC)" input name="since" value=(value("since")) placeholder="2026-01-31T12:00:00Z" autocomplete="off"; }
            label { "until" input name="until" value=(value("until")) placeholder="2026-01-31T13:00:00Z" autocomplete="off"; }
            button type="submit" { "Search" }
        }
    }
}

/// A transaction in a list.
fn row(transaction: &TransactionSummary, now: i64) -> Row {
    vec![
        cell(link(&address_of_id("transactions", &transaction.id), &transaction.id)),
        cell(ago(&transaction.time, now)),
        cell(name(&transaction.device())),
        cell(call(&transaction.contract, transaction.function)),
        cell(keys(transaction)),
        cell(verdict_of(transaction)),
        count_cell(transaction.entry),
    ]
}

/// Verdict of a transaction, and the reason where it is not valid.
pub fn verdict_of(transaction: &TransactionSummary) -> Markup {
    html! {
        (verdict(transaction.verdict))
        @if let Some(detail) = &transaction.detail { " " (text(detail)) }
    }
}

/// Links to the assets that a transaction changed.
pub fn keys(transaction: &TransactionSummary) -> Markup {
    html! {
        @for key in &transaction.keys {
            (link(&address(&["state", &transaction.contract, key]), key)) " "
        }
    }
}

/// One transaction.
pub fn one(
    service: &Service,
    (topic, partition, offset, output): &(String, String, String, String),
    given: Parameters,
) -> Made {
    given.finish()?;
    content(service, &position(&format!("{topic}/{partition}/{offset}/{output}"))?)
}

fn content(service: &Service, id: &SourcePosition) -> Made {
    let transaction = service.queries.transaction(id)?;
    let summary = &transaction.summary;
    let now = service.clock.now_ms();
    let proof = format!("/api/v1{}/proof", address_of_id("transactions", &summary.id));
    let body = html! {
        p.lead { (verdict_of(summary)) }
        h2 { "Provenance" }
        (provenance(service, &transaction, now)?)
        h2 { "Arguments of " (text(&summary.contract)) "." (summary.function) }
        (json_block(&transaction.arguments))
        h2 { "Changes" }
        @if transaction.writes.is_empty() { p.empty { "None: the contract refused the call." } }
        @for write in &transaction.writes { (written(service, summary, write)?) }
        h2 { "Proof" }
        p {
            "Entry " (count(summary.entry)) " of the ledger's tree. It can be verified offline: "
            a href={ (proof) "?format=tlog-proof" } download={ (summary.id.replace('/', "-")) ".tlog-proof" } {
                "download the inclusion proof"
            }
            " (C2SP tlog-proof) or read it "
            a href=(proof) { "as JSON" } "."
        }
    };
    let title = format!("Transaction {}", summary.id);
    Ok(Content { title, is_live: false, body })
}

/// Record, mapping, contract, block: each step with a link.
fn provenance(
    service: &Service,
    transaction: &TransactionView,
    now: i64,
) -> Result<Markup, QueryError> {
    let summary = &transaction.summary;
    let mapping =
        service.queries.definition_named(DefinitionKind::Mapping, &transaction.mapping_digest);
    let contract = service.queries.contract_before(&summary.contract, summary.entry);
    let time = html! { (ago(&summary.time, now)) " " (name(&format!("({})", summary.time))) };
    let record = summary.id.rsplit_once('/').map_or(summary.id.as_str(), |(record, _)| record);
    let digests = html! {
        @if let Some(record) = &transaction.record_digest { "digest " (digest(record)) ", " }
        "digest of the value " (digest(&transaction.value_digest))
    };
    let first = match &transaction.caller {
        Some(caller) => {
            vec![("Manual call", html! { "by " (text(caller)) ", " (time) ", " (digests) })]
        }
        None => vec![
            ("Kafka record", html! { (name(record)) ", " (digests) }),
            ("Event", html! { "from " (name(&summary.device())) ", " (time) }),
            ("Mapping", mapping_of(mapping.as_deref(), transaction)),
        ],
    };
    let then = [
        (
            "Contract",
            html! {
                @match &contract {
                    Some(view) => {
                        a href=(with_parameters(&address(&["contracts", &view.name]), &[("digest", &view.digest.to_string())])) { (text(&view.name)) }
                        @if let Some(version) = view.version { " version " (version) }
                    },
                    None => { (text(&summary.contract)) " (not in this ledger)" },
                }
            },
        ),
        (
            "Block",
            html! {
                a href={ "/blocks/" (transaction.block) } { (count(transaction.block)) }
                " of " (count(service.queries.ledger().head().height)) ", created " (ago(&transaction.block_time, now))
            },
        ),
    ];
    let steps: Vec<_> = first.into_iter().chain(then).collect();
    Ok(facts(&steps))
}

fn mapping_of(name: Option<&str>, transaction: &TransactionView) -> Markup {
    let whole = transaction.mapping_digest.to_string();
    html! {
        @if let Some(name) = name {
            a href=(with_parameters(&address(&["mappings", name]), &[("digest", &whole)])) { (text(name)) } " "
        }
        (digest(&transaction.mapping_digest))
    }
}

/// Its changes to one asset.
fn written(
    service: &Service,
    summary: &TransactionSummary,
    write: &WriteView,
) -> Result<Markup, QueryError> {
    let before = match write.replaced {
        Some(entry) => service.queries.asset_at_entry((&summary.contract, &write.key), entry)?,
        None => None,
    };
    let asset = address(&["state", &summary.contract, &write.key]);
    Ok(html! {
        section {
            h3 { (link(&asset, &write.key)) }
            @match write.replaced {
                Some(entry) => p { "replaces the version of entry " (count(entry)) },
                None => p { "a new asset" },
            }
            (changes::table_of(&format!("{} of {}", summary.id, write.key), (before.as_ref(), write.asset.as_ref())))
        }
    })
}
