//! The ledger's state: contracts, their assets, and one asset, now and in the past.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::call::Function;
use crate::codec::json::{Map, Value};
use crate::event::time;
use crate::ledger::{DefinitionKind, LedgerReader};
use crate::monitor::http::request::Parameters;
use crate::monitor::service::Service;
use crate::monitor::ui::chart::{Frame, Line, chart};
use crate::monitor::ui::parts::{
    self, Row, address, address_of_id, ago, alert, cell, count, count_cell, duration, json_block,
    link, paging, table, text, with_parameters,
};
use crate::monitor::ui::shell::Content;
use crate::monitor::ui::{Made, alerts, changes, map};
use crate::query::views::{AssetView, ChangeView};
use crate::query::{At, QueryError};
use crate::state::Filter;

/// Numeric fields of an asset that are drawn.
const MAX_CHARTS: usize = 6;
/// Changes that charts and the timeline look at.
const SHOWN_CHANGES: usize = 60;
/// Fields of a state that a list shows.
const SHOWN_FIELDS: usize = 5;

/// Every contract with its assets' alerts.
pub fn contracts(service: &Service, given: Parameters) -> Made {
    given.finish()?;
    let alerts = service.queries.alert_counts();
    let row = |name: &String| {
        let active: u64 =
            alerts.iter().filter(|alert| alert.contract == *name).map(|alert| alert.assets).sum();
        let version = service.queries.versions(DefinitionKind::Contract, name);
        let version = version.first().and_then(|newest| newest.version);
        let version = version.map_or("text".to_owned(), |version| format!("version {version}"));
        vec![
            cell(link(&address(&["state", name]), name)),
            cell(link(&address(&["contracts", name]), &version)),
            count_cell(active),
        ]
    };
    let rows: Vec<_> = service.queries.names(DefinitionKind::Contract).iter().map(row).collect();
    let body = html! {
        p { "The current state of each asset, computed by its contract from all events so far." }
        div #list data-live {
            (table("Contracts", &["Contract", "Definition", "#Active alerts"], &rows, "The ledger has no contract yet."))
        }
    };
    Ok(Content { title: "State".to_owned(), is_live: true, body })
}

/// The assets of a contract, in order of keys.
pub fn assets(service: &Service, contract: &String, mut given: Parameters) -> Made {
    // A key that cannot stand in a path.
    if let Some(key) = given.filled("key")? {
        return asset(service, &(contract.clone(), key), given);
    }
    let prefix = given.filled("prefix")?.unwrap_or_default();
    let condition = given.filled("where")?.unwrap_or_default();
    let alerts_only = given.filled("alerts_only")?.is_some();
    let (after, limit) = (given.filled("after")?, given.limit()?);
    given.finish()?;
    let fields = match condition.split_once('=') {
        Some((field, value)) => vec![(field.trim().to_owned(), value.trim().to_owned())],
        None if condition.is_empty() => Vec::new(),
        None => {
            let message =
                format!("`{condition}` is not a condition; use the form `cargo.kind=fish`");
            return Err(QueryError::Malformed(message));
        }
    };
    let filter = Filter { prefix: prefix.clone(), fields, alerts_only };
    let page = service.queries.assets(contract, after.as_deref(), &filter, limit)?;
    let path = address(&["state", contract]);
    let alerts_value = if alerts_only { "true" } else { "" };
    let asked = [("prefix", prefix.as_str()), ("where", &condition), ("alerts_only", alerts_value)];
    let next = page.next.as_deref().map(|next| {
        let parameters: Vec<_> = asked.into_iter().chain([("after", next)]).collect();
        with_parameters(&path, &parameters)
    });
    let first = with_parameters(&path, &asked);
    let rows: Vec<_> = page.items.iter().map(|asset| row(service, asset)).collect();
    let empty = match &next {
        Some(_) => "None among the assets that were searched; “older” looks further.",
        None => "No matching asset.",
    };
    let is_live = after.is_none();
    let body = html! {
        form.search action=(path) method="get" role="search" {
            label { "Key begins with" input name="prefix" value=(prefix) autocomplete="off"; }
            label { "Field" input name="where" value=(condition) placeholder="cargo.kind=fish" autocomplete="off"; }
            label.check { input type="checkbox" name="alerts_only" value="true" checked[alerts_only]; "with active alerts" }
            button type="submit" { "Show" }
        }
        div #list data-live[is_live] {
            (map::of_assets(service, &page.items))
            (table("Assets in order of keys", &["Asset", "State", "Alerts", "#Version"], &rows, empty))
            (paging((!is_live).then_some(first.as_str()), next.as_deref()))
        }
        (export_links(&address(&["api", "v1", "export", "state", contract]), &filter_parameters(&filter)))
    };
    let title = format!("Assets of {contract}");
    Ok(Content { title, is_live, body })
}

/// A filter as the API takes it.
fn filter_parameters(filter: &Filter) -> Vec<(String, &str)> {
    let fields = filter.fields.iter();
    let fields = fields.map(|(field, value)| (format!("where.{field}"), value.as_str()));
    let alerts_only = if filter.alerts_only { "true" } else { "" };
    let own = [("prefix", filter.prefix.as_str()), ("alerts_only", alerts_only)];
    own.map(|(name, value)| (name.to_owned(), value)).into_iter().chain(fields).collect()
}

/// Links to the same as files.
fn export_links(path: &str, parameters: &[(String, &str)]) -> Markup {
    let link = |form: &'static str| {
        let asked = parameters.iter().map(|(name, value)| (name.as_str(), *value));
        let parameters: Vec<_> = std::iter::once(("format", form)).chain(asked).collect();
        with_parameters(path, &parameters)
    };
    html! {
        p { "Download: " a href=(link("csv")) download { "CSV" } ", " a href=(link("jsonl")) download { "JSON lines" } }
    }
}

fn row(service: &Service, asset: &AssetView) -> Row {
    let severity = |name: &String| service.queries.severity(&asset.contract, name);
    vec![
        cell(link(&address(&["state", &asset.contract, &asset.key]), &asset.key)),
        cell(brief(&asset.asset.state, &asset.key)),
        cell(html! {
            @for name in &asset.asset.alerts.active { (alert(name, severity(name))) }
        }),
        count_cell(asset.version),
    ]
}

/// Some plain members of a state, numbers first: they change.
pub fn brief(state: &Map, key: &str) -> Markup {
    let is_plain =
        |value: &Value| !matches!(value, Value::Array(_) | Value::Object(_) | Value::Null);
    let says_key = |value: &Value| matches!(value, Value::String(text) if text.as_str() == key);
    let mut plain: Vec<_> =
        state.iter().filter(|(_, value)| is_plain(value) && !says_key(value)).collect();
    plain.sort_by_key(|(_, value)| !matches!(value, Value::Number(_)));
    let shown = plain.iter().take(SHOWN_FIELDS).map(|(name, value)| match value {
        Value::String(text) => (name.as_str(), text.as_str().to_owned()),
        value => (name.as_str(), value.to_string()),
    });
    pairs(shown)
}

/// Names with their values in one line, which breaks between two pairs before it breaks within one.
fn pairs<'a>(pairs: impl Iterator<Item = (&'a str, String)>) -> Markup {
    html! {
        @for (at, (name, value)) in pairs.enumerate() {
            @if at > 0 { " · " }
            (parts::name(&format!("{name} {value}")))
        }
    }
}

/// One asset: now, or as a past block left it.
pub fn asset(service: &Service, (contract, key): &(String, String), mut given: Parameters) -> Made {
    let (at, from) = (given.at()?, given.parsed("from")?);
    let before = given.parsed("before")?;
    given.finish()?;
    let title = format!("{key} of {contract}");
    if let Some(at) = at {
        let body = past(service, (contract, key), at, from)?;
        return Ok(Content { title, is_live: false, body });
    }
    let now = service.clock.now_ms();
    let history = service.queries.history((contract, key), before, SHOWN_CHANGES)?;
    let current = match service.queries.asset(contract, key) {
        Err(QueryError::NotFound(_)) => None,
        current => Some(current?),
    };
    let path = address(&["state", contract, key]);
    let next = history.next.as_deref().map(|next| with_parameters(&path, &[("before", next)]));
    let is_live = before.is_none();
    let body = html! {
        div #now data-live[is_live] {
            @match &current {
                Some(asset) => (present(service, asset, &history.items, now)),
                None => p.problem { "The asset was deleted; its history remains." },
            }
            (charts(&history.items))
            @if let Some(asset) = &current { (map::of_asset(service, asset, &history.items)) }
            h2 { "History" }
            (timeline(service, (contract, key), &history.items, now)?)
            (paging(before.map(|_: u64| path.as_str()), next.as_deref()))
        }
        (export_links(&address(&["api", "v1", "export", "history", contract, key]), &[]))
        (travel_form(service, (contract, key)))
    };
    Ok(Content { title, is_live, body })
}

fn present(service: &Service, asset: &AssetView, changes: &[ChangeView], now: i64) -> Markup {
    let contract = address(&["state", &asset.contract]);
    html! {
        p.lead {
            (link(&contract, &asset.contract)) ", version " (count(asset.version))
            @if let Some(newest) = changes.first() { ", changed " (ago(&newest.transaction.time, now)) }
            @if asset.asset.compliant { ", " span.badge.valid { "compliant" } }
        }
        (alerts::of_asset(service, &asset.contract, &asset.key, now))
        (operations_of(service, asset))
        h2 { "State" }
        (fields("State", &asset.asset.state))
        @if !asset.asset.derived.is_empty() { h2 { "Derived by rules" } (fields("Derived by rules", &asset.asset.derived)) }
    }
}

/// Links to the calls that can be made on an asset manually.
fn operations_of(service: &Service, asset: &AssetView) -> Markup {
    let contract = service.trial.contracts.get(&asset.contract);
    let functions = contract.into_iter().flat_map(|contract| contract.functions());
    let form = |function: Function| {
        let form = address(&["operations", &asset.contract, function.name()]);
        with_parameters(&form, &[("key", &asset.key)])
    };
    html! {
        p {
            "Manual call: "
            @for function in functions.filter(|function| **function != Function::Create) {
                (link(&form(*function), function.name())) " "
            }
        }
    }
}

/// Fields by their dotted names.
fn fields(caption: &str, map: &Map) -> Markup {
    let whole = Value::Object(map.clone());
    let changes = changes::between(None, Some(&whole));
    let row = |change: &changes::Change<'_>| {
        let value = change.after.map(Value::to_string).unwrap_or_default();
        vec![cell(parts::name(&change.field)), cell(html! { code.value { (text(&value)) } })]
    };
    let rows: Vec<_> = changes.iter().take(crate::limits::MAX_SHOWN_CHANGES).map(row).collect();
    table(caption, &["Field", "Value"], &rows, "No fields.")
}

/// Numbers of a state over time, the oldest first: by dotted name.
fn series(changes: &[ChangeView]) -> BTreeMap<String, Vec<(f64, f64)>> {
    let mut series: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for change in changes.iter().rev() {
        let Ok(time_ms) = time::parse(&change.transaction.time) else { continue };
        let state = change.write.asset.as_ref().and_then(|asset| asset.as_object()?.get("state"));
        for field in changes::between(None, state) {
            if let Some(Value::Number(number)) = field.after
                && let Ok(value) = number.as_str().parse()
            {
                let at = crate::query::views::seconds(time_ms);
                series.entry(field.field).or_default().push((at, value));
            }
        }
    }
    series
}

fn charts(changes: &[ChangeView]) -> Markup {
    let mut series = series(changes);
    // What never changes tells nothing in a chart.
    series.retain(|_, points| points.windows(2).any(|pair| pair[0].1 != pair[1].1));
    let x = |at: f64| {
        #[allow(clippy::cast_possible_truncation)] // seconds of a calendar
        let text = crate::query::views::time_text((at * 1_000.0) as i64);
        text.get(11..19).unwrap_or(&text).to_owned()
    };
    let y =
        |value: f64| format!("{:.4}", value).trim_end_matches('0').trim_end_matches('.').to_owned();
    html! {
        div.charts {
            @for (name, points) in series.into_iter().take(MAX_CHARTS) {
                @let frame = Frame { title: &name, x: &x, y: &y, from_zero: false };
                (chart(&frame, &[Line { name: name.clone(), points }]))
            }
        }
    }
}

/// Changes, newest first, each with its differences.
fn timeline(
    service: &Service,
    place: (&str, &str),
    changes: &[ChangeView],
    now: i64,
) -> Result<Markup, QueryError> {
    let oldest = changes.last().and_then(|oldest| oldest.write.replaced);
    let before_all = oldest.map(|entry| service.queries.asset_at_entry(place, entry));
    let before_all = before_all.transpose()?.flatten();
    let befores = changes.iter().skip(1).map(|older| older.write.asset.as_ref());
    let befores = befores.chain([before_all.as_ref()]);
    Ok(html! {
        ol.timeline {
            @for (change, before) in changes.iter().zip(befores) {
                @let transaction = &change.transaction;
                li {
                    (ago(&transaction.time, now)) " " (transaction.function)
                    " by " (link(&address_of_id("transactions", &transaction.id), &transaction.id))
                    " in block " a href={ "/blocks/" (change.block) } { (count(change.block)) }
                    (alert_changes(service, change))
                    details {
                        summary { (said(before, change.write.asset.as_ref())) }
                        (changes::table_of(&transaction.id, (before, change.write.asset.as_ref())))
                    }
                }
            }
        }
    })
}

/// The changed fields of the state in one line.
fn said(before: Option<&Value>, after: Option<&Value>) -> Markup {
    let changes = changes::between(before, after);
    let of_state =
        changes.iter().filter_map(|change| Some((change.field.strip_prefix("state.")?, change)));
    let said: Vec<_> = of_state
        .take(SHOWN_FIELDS)
        .map(|(name, change)| {
            (name, change.after.map_or("removed".to_owned(), |value| value.to_string()))
        })
        .collect();
    html! { @if said.is_empty() { "state unchanged" } @else { (pairs(said.into_iter())) } }
}

/// Alerts that a change raised and cleared.
fn alert_changes(service: &Service, change: &ChangeView) -> Markup {
    let names = |list: &str| -> Vec<String> {
        let alerts = change.write.asset.as_ref().and_then(|asset| asset.as_object()?.get("alerts"));
        let list = alerts.and_then(|alerts| alerts.as_object()?.get(list)?.as_array());
        let name = |value: &Value| match value {
            Value::String(text) => Some(text.to_string()),
            _ => None,
        };
        list.into_iter().flatten().filter_map(name).collect()
    };
    let severity = |name: &str| service.queries.severity(&change.transaction.contract, name);
    html! {
        @for list in ["raised", "cleared"] {
            @for name in names(list) { " · " (list) " " (alert(&name, severity(&name))) }
        }
    }
}

/// The form for an earlier state.
fn travel_form(service: &Service, (contract, key): (&str, &str)) -> Markup {
    let newest = service.queries.ledger().head().height.saturating_sub(1);
    let path = address(&["state", contract, key]);
    // A form replaces the parameters of its address.
    let (path, has_key) =
        path.split_once('?').map_or((path.as_str(), false), |(path, _)| (path, true));
    html! {
        section aria-labelledby="travel" {
            h2 #travel { "Earlier state" }
            form.search action=(path) method="get" {
                @if has_key { input type="hidden" name="key" value=(key); }
                label { "At block" input name="at_block" inputmode="numeric" placeholder=(newest) autocomplete="off"; }
                label { "or at time (UTC)" input name="at_time" placeholder="2026-01-31T12:00:00Z" autocomplete="off"; }
                button type="submit" { "Show" }
            }
        }
    }
}

fn past(
    service: &Service,
    (contract, key): (&str, &str),
    at: At,
    from: Option<u64>,
) -> Result<Markup, QueryError> {
    let past = service.queries.asset_at((contract, key), at, from)?;
    let block = service.queries.block(past.block, 0, 0)?;
    let age =
        time::parse(&block.summary.time).map(|made| service.clock.now_ms().saturating_sub(made));
    let path = address(&["state", contract, key]);
    Ok(html! {
        p.lead {
            "State at block " a href={ "/blocks/" (past.block) } { (count(past.block)) }
            ", created " (parts::name(&block.summary.time))
            @if let Ok(age) = age { " (" (duration(age)) " ago)" }
            @if let Some(version) = past.version { ", written by entry " (count(version)) }
        }
        @match &past.asset {
            Some(asset) => (json_block(asset)),
            None => p.problem { "The asset did not exist at that time." },
        }
        p { a href=(path) { "Current state" } }
        (travel_form(service, (contract, key)))
    })
}
