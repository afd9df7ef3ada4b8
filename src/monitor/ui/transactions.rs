//! What was asked of contracts: the search, and one transaction with the way it came.

use maud::{Markup, html};

use crate::contract::InvalidCode;
use crate::event::SourcePosition;
use crate::ledger::{DefinitionKind, LedgerReader};
use crate::monitor::query::QueryError;
use crate::monitor::request::Parameters;
use crate::monitor::service::Service;
use crate::monitor::ui::parts::{
    address, address_of_id, ago, count, count_cell, digest, facts, json_block, link, paging, table,
    text, verdict, with_parameters,
};
use crate::monitor::ui::shell::{Content, Section};
use crate::monitor::ui::{Made, changes, position};
use crate::monitor::views::{TransactionSummary, TransactionView, WriteView};

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
        None => "No transaction is like that.",
    };
    let body = html! {
        (search_form(service, &asked))
        div #list data-live[is_live] {
            (table("Transactions, newest first", &HEADINGS, &rows, empty))
            (paging((!is_live).then_some(first.as_str()), next.as_deref()))
        }
    };
    let title = "Transactions".to_owned();
    Ok(Content { title, section: Some(Section::Transactions), is_live, body })
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
pub fn row(transaction: &TransactionSummary, now: i64) -> Markup {
    html! {
        td.id { (link(&address_of_id("transactions", &transaction.id), &transaction.id)) }
        td { (ago(&transaction.time, now)) }
        td { (text(&transaction.device())) }
        td { (text(&transaction.contract)) "." (transaction.function) }
        td { (keys(transaction)) }
        td { (verdict(transaction.verdict)) @if let Some(detail) = &transaction.detail { " " (text(detail)) } }
        (count_cell(transaction.entry))
    }
}

/// Links to the assets that a transaction changed.
fn keys(transaction: &TransactionSummary) -> Markup {
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
        p.lead {
            (verdict(summary.verdict)) " "
            @if let Some(detail) = &summary.detail { (text(detail)) }
        }
        h2 { "The way it came" }
        (way(service, &transaction, now)?)
        h2 { "Arguments of " (text(&summary.contract)) "." (summary.function) }
        (json_block(&transaction.arguments))
        h2 { "What it changed" }
        @if transaction.writes.is_empty() { p.empty { "Nothing: the contract did not take it." } }
        @for write in &transaction.writes { (written(service, summary, write)?) }
        h2 { "Proof" }
        p {
            "Entry " (count(summary.entry)) " of the ledger's tree. Anyone can check it offline: "
            a href={ (proof) "?format=tlog-proof" } download={ (summary.id.replace('/', "-")) ".tlog-proof" } {
                "download the inclusion proof"
            }
            " (C2SP tlog-proof) or read it "
            a href=(proof) { "as JSON" } "."
        }
    };
    let title = format!("Transaction {}", summary.id);
    Ok(Content { title, section: Some(Section::Transactions), is_live: false, body })
}

/// Record, mapping, contract, block: each step with a link.
fn way(service: &Service, transaction: &TransactionView, now: i64) -> Result<Markup, QueryError> {
    let summary = &transaction.summary;
    let mapping =
        service.queries.definition_named(DefinitionKind::Mapping, &transaction.mapping_digest);
    let contract = service.queries.contract_before(&summary.contract, summary.entry);
    let time = html! { (ago(&summary.time, now)) " (" (summary.time) ")" };
    let record = summary.id.rsplit_once('/').map_or(summary.id.as_str(), |(record, _)| record);
    let digests = html! {
        @if let Some(record) = &transaction.record_digest { "digest " (digest(record)) ", " }
        "digest of the value " (digest(&transaction.value_digest))
    };
    let first = match &transaction.caller {
        Some(caller) => {
            vec![("By hand", html! { "of " (text(caller)) ", " (time) ", " (digests) })]
        }
        None => vec![
            ("Kafka record", html! { (text(record)) ", " (digests) }),
            ("Event", html! { "of " (text(&summary.device())) ", " (time) }),
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
                " of " (count(service.queries.ledger().head().height)) ", made " (ago(&transaction.block_time, now))
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

/// What it wrote of one asset, beside what stood there before.
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
