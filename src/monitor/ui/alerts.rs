//! Active alerts: which assets need someone, and since when.

use maud::{Markup, html};

use crate::monitor::request::{Parameters, alert_cursor};
use crate::monitor::service::Service;
use crate::monitor::ui::Made;
use crate::monitor::ui::parts::{
    address, ago, alert, count, link, paging, table, text, with_parameters,
};
use crate::monitor::ui::shell::{Content, Section};
use crate::monitor::views::{AlertCountView, AlertedView};

const HEADINGS: [&str; 4] = ["Asset", "Alert", "What it means", "Since"];

/// Alerts by kind, then the assets that have any.
pub fn list(service: &Service, mut given: Parameters) -> Made {
    let after = given.filled("after")?;
    let (cursor, limit) = (after.as_deref().map(alert_cursor).transpose()?, given.limit()?);
    given.finish()?;
    let page = service.queries.alerts(cursor, limit)?;
    let now = service.clock.now_ms();
    let rows: Vec<_> = page.items.iter().flat_map(|item| rows(item, now)).collect();
    let next = page.next.map(|next| with_parameters("/alerts", &[("after", &next)]));
    let is_live = after.is_none();
    let body = html! {
        div #kinds data-live { (kinds(&service.queries.alert_counts())) }
        div #list data-live[is_live] {
            (table("Assets with active alerts", &HEADINGS, &rows, "No asset has an active alert."))
            (paging((!is_live).then_some("/alerts"), next.as_deref()))
        }
    };
    Ok(Content { title: "Alerts".to_owned(), section: Some(Section::Alerts), is_live, body })
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
