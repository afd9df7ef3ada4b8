//! Active alerts: the assets that need attention, and since when.

use maud::{Markup, html};

use crate::limits::DEFAULT_PAGE;
use crate::monitor::http::request::Parameters;
use crate::monitor::service::Service;
use crate::monitor::ui::Made;
use crate::monitor::ui::parts::{
    Row, address, address_of_id, ago, alert, cell, count, link, name, paging, seconds,
    severity_name, table, text, with_parameters,
};
use crate::monitor::ui::shell::Content;
use crate::query::AlertFilter;
use crate::query::page::alert_cursor;
use crate::query::views::{AlertChange, AlertCountView, AlertEventView, AlertedView, Page};

const CHANGES: [&str; 5] = ["Asset", "Alert", "Change", "Transaction", "Time"];
const HEADINGS: [&str; 4] = ["Asset", "Alert", "Meaning", "Since"];

/// Alerts by kind, then the assets that have any.
pub fn list(service: &Service, mut given: Parameters) -> Made {
    let after = given.filled("after")?;
    let (cursor, limit) = (after.as_deref().map(alert_cursor).transpose()?, given.limit()?);
    let older = given.parsed("before")?;
    given.finish()?;
    let page = service.queries.alerts(cursor, limit)?;
    let now = service.clock.now_ms();
    let rows: Vec<_> = page.items.iter().flat_map(|item| rows(item, now)).collect();
    let next = page.next.map(|next| with_parameters("/alerts", &[("after", &next)]));
    let is_live = after.is_none() && older.is_none();
    let changes = service.queries.alert_history(&AlertFilter::default(), older, DEFAULT_PAGE)?;
    let body = html! {
        div #kinds data-live { (kinds(&service.queries.alert_counts())) }
        div #list data-live[is_live] {
            (table("Assets with active alerts", &HEADINGS, &rows, "No asset has an active alert."))
            (paging(after.is_some().then_some("/alerts"), next.as_deref()))
        }
        h2 { "Raised and cleared" }
        div #history data-live[is_live] { (history(&changes, older.is_some(), now)) }
    };
    Ok(Content { title: "Alerts".to_owned(), is_live, body })
}

/// Alerts raised and cleared, newest first.
fn history(changes: &Page<AlertEventView>, is_older: bool, now: i64) -> Markup {
    let rows: Vec<_> = changes.items.iter().map(|event| event_row(event, now)).collect();
    let next = changes.next.as_ref().map(|next| with_parameters("/alerts", &[("before", next)]));
    let empty = match &next {
        Some(_) => "None in the blocks that were searched; “older” looks further back.",
        None => "No alert has been raised yet.",
    };
    html! {
        (table("Alerts raised and cleared, newest first", &CHANGES, &rows, empty))
        (paging(is_older.then_some("/alerts"), next.as_deref()))
    }
}

fn event_row(event: &AlertEventView, now: i64) -> Row {
    let asset = address(&["state", &event.contract, &event.key]);
    let what = match (event.change, event.lasted_seconds) {
        (AlertChange::Raised, _) => "raised".to_owned(),
        (AlertChange::Cleared, Some(lasted)) => format!("cleared after {}", seconds(lasted)),
        (AlertChange::Cleared, None) => "cleared".to_owned(),
    };
    vec![
        cell(of_contract(&asset, &event.key, &event.contract)),
        cell(alert(&event.alert, event.severity)),
        cell(html! { (what) }),
        cell(link(&address_of_id("transactions", &event.transaction), &event.transaction)),
        cell(ago(&event.time, now)),
    ]
}

/// A link to an asset, above its contract.
pub fn of_contract(asset: &str, key: &str, contract: &str) -> Markup {
    html! { (link(asset, key)) br; small { (name(contract)) } }
}

/// Number of assets with each alert, the most severe first.
pub fn kinds(counts: &[AlertCountView]) -> Markup {
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by(|a, b| b.severity.cmp(&a.severity).then(b.assets.cmp(&a.assets)));
    html! {
        ul.kinds {
            @for of in counts {
                li { (alert(&of.alert, of.severity)) (count(of.assets)) " " small { (name(&of.contract)) } }
            }
        }
    }
}

/// One row for each alert of an asset.
pub fn rows(item: &AlertedView, now: i64) -> Vec<Row> {
    let asset = address(&["state", &item.asset.contract, &item.asset.key]);
    let row = |of: &crate::query::views::AlertView| {
        vec![
            cell(of_contract(&asset, &item.asset.key, &item.asset.contract)),
            cell(alert(&of.alert, of.severity)),
            cell(text(&of.description)),
            cell(ago(&of.since, now)),
        ]
    };
    item.active_alerts.iter().map(row).collect()
}

/// The active alerts of one asset, with what they mean.
pub fn of_asset(service: &Service, contract: &str, key: &str, now: i64) -> Markup {
    let active = service.queries.alerts_of(contract, key);
    html! {
        @for of in &active {
            p class={ "alert " (severity_name(of.severity)) } {
                (alert(&of.alert, of.severity)) " " (text(&of.description)) " " (ago(&of.since, now))
            }
        }
    }
}
