//! Active alerts: which assets need someone, and since when.

use maud::{Markup, html};

use crate::limits::DEFAULT_PAGE;
use crate::monitor::query::AlertFilter;
use crate::monitor::request::{Parameters, alert_cursor};
use crate::monitor::service::Service;
use crate::monitor::ui::Made;
use crate::monitor::ui::parts::{
    address, address_of_id, ago, alert, count, link, paging, seconds, table, text, with_parameters,
};
use crate::monitor::ui::shell::{Content, Section};
use crate::monitor::views::{AlertChange, AlertCountView, AlertEventView, AlertedView, Page};

const CHANGES: [&str; 5] = ["Asset", "Alert", "What", "Transaction", "When"];
const HEADINGS: [&str; 4] = ["Asset", "Alert", "What it means", "Since"];

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
    Ok(Content { title: "Alerts".to_owned(), section: Some(Section::Alerts), is_live, body })
}

/// What was raised and cleared, newest first.
fn history(changes: &Page<AlertEventView>, is_older: bool, now: i64) -> Markup {
    let rows: Vec<_> = changes.items.iter().map(|event| event_row(event, now)).collect();
    let next = changes.next.as_ref().map(|next| with_parameters("/alerts", &[("before", next)]));
    let empty = match &next {
        Some(_) => "None in the blocks that were searched; “older” looks further back.",
        None => "No alert was ever raised.",
    };
    html! {
        (table("Alerts raised and cleared, newest first", &CHANGES, &rows, empty))
        (paging(is_older.then_some("/alerts"), next.as_deref()))
    }
}

fn event_row(event: &AlertEventView, now: i64) -> Markup {
    let asset = address(&["state", &event.contract, &event.key]);
    let what = match (event.change, event.lasted_seconds) {
        (AlertChange::Raised, _) => "raised".to_owned(),
        (AlertChange::Cleared, Some(lasted)) => format!("cleared after {}", seconds(lasted)),
        (AlertChange::Cleared, None) => "cleared".to_owned(),
    };
    html! {
        td { (link(&asset, &event.key)) br; small { (text(&event.contract)) } }
        td { (alert(&event.alert, event.severity)) }
        td { (what) }
        td { (link(&address_of_id("transactions", &event.transaction), &event.transaction)) }
        td { (ago(&event.time, now)) }
    }
}

/// How many assets have each alert, the worst first.
pub fn kinds(counts: &[AlertCountView]) -> Markup {
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by(|a, b| b.severity.cmp(&a.severity).then(b.assets.cmp(&a.assets)));
    html! {
        ul.kinds {
            @for of in counts {
                li { (alert(&of.alert, of.severity)) (count(of.assets)) " " small { (text(&of.contract)) } }
            }
        }
    }
}

/// One row for each alert of an asset.
pub fn rows(item: &AlertedView, now: i64) -> Vec<Markup> {
    let asset = address(&["state", &item.asset.contract, &item.asset.key]);
    let row = |of: &crate::monitor::views::AlertView| {
        html! {
            td { (link(&asset, &item.asset.key)) br; small { (text(&item.asset.contract)) } }
            td { (alert(&of.alert, of.severity)) }
            td { (text(&of.description)) }
            td { (ago(&of.since, now)) }
        }
    };
    item.active_alerts.iter().map(row).collect()
}

/// The active alerts of one asset, with what they mean.
pub fn of_asset(service: &Service, contract: &str, key: &str, now: i64) -> Markup {
    let active = service.queries.alerts_of(contract, key);
    html! {
        @for of in &active {
            p.alert {
                (alert(&of.alert, of.severity)) " " (text(&of.description)) " " (ago(&of.since, now))
            }
        }
    }
}
