//! The overview: findings with what to do about them, rates, and the outcome of every record.

use maud::{Markup, html};

use crate::limits::MAX_PAGE_ITEMS;
use crate::monitor::findings::{Gravity, findings};
use crate::monitor::http::request::Parameters;
use crate::monitor::service::{FollowerView, Service, StatusView};
use crate::monitor::ui::Made;
use crate::monitor::ui::chart::{Frame, Line, chart};
use crate::monitor::ui::parts::{
    self, Row, address, address_of_id, ago, cell, count, count_cell, link, name, number_cell,
    table, text,
};
use crate::monitor::ui::shell::Content;
use crate::monitor::ui::{alerts, blocks, letters, state};
use crate::monitor::watch::{Sample, SamplesView};
use crate::query::QueryError;
use crate::query::views::seconds;
use crate::query::views::{BlockSummary, ChangeView, DeadLetterSummary, grouped};

/// Rows of each list here.
const ROWS: usize = 8;

/// The page at `/`.
pub fn overview(service: &Service, samples: &SamplesView, given: Parameters) -> Made {
    given.finish()?;
    let status = service.status();
    let now = service.clock.now_ms();
    let body = html! {
        p { "Device events from Kafka become signed transactions in a ledger that anyone can verify." }
        div #findings data-live { (wrong(&status, &samples.samples)) }
        div #figures data-live { (figures(&status, &samples.samples)) }
        div #charts data-live { (charts(&samples.samples)) }
        section #ends data-live aria-labelledby="ends-title" {
            h2 #ends-title { "Outcome of every record" }
            (ends(&status))
        }
        div.columns #lists data-live { (lists(service, now)?) }
        section #partitions data-live aria-labelledby="partitions-title" {
            h2 #partitions-title { "Partitions" }
            (partitions(&status))
        }
        section #followers data-live aria-labelledby="followers-title" {
            h2 #followers-title { "Followers of the ledger" }
            (followers(&status, now))
        }
    };
    Ok(Content { title: "Overview".to_owned(), is_live: true, body })
}

fn wrong(status: &StatusView, samples: &[Sample]) -> Markup {
    let findings = findings(status, samples);
    html! {
        @if findings.is_empty() {
            p.finding.good data-claim { strong { "Healthy:" } " ingesting, state up to date." }
        }
        @for finding in &findings {
            div.finding.bad[finding.gravity == Gravity::Critical].warn[finding.gravity == Gravity::Warning] role="alert" {
                strong { (text(&finding.what)) }
                p { (text(&finding.help)) }
            }
        }
    }
}

/// Change of a count from one sample to the next, a second.
fn rate(samples: &[Sample], of: impl Fn(&Sample) -> u64) -> Vec<(f64, f64)> {
    let point = |pair: &[Sample]| {
        let (before, after) = (&pair[0], &pair[1]);
        let took = seconds(after.time_ms.saturating_sub(before.time_ms));
        let change = precise(of(after).saturating_sub(of(before)));
        (took > 0.0).then_some((seconds(after.time_ms), change / took))
    };
    samples.windows(2).filter_map(point).collect()
}

/// A count as a number for a chart. Exact up to 2⁵³.
#[allow(clippy::cast_precision_loss)] // said above
fn precise(count: u64) -> f64 {
    count as f64
}

/// A number for a chart in words. What is drawn is never negative.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // said above
fn rounded(value: f64) -> String {
    if value < 10.0 && value.fract() > 0.05 {
        format!("{value:.1}")
    } else {
        grouped(value.round() as u64)
    }
}

fn figures(status: &StatusView, samples: &[Sample]) -> Markup {
    let perhaps = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
    let rate = rate(samples, |sample| sample.records);
    let lag = samples.last().and_then(|newest| newest.lag);
    let age = status.block_age_seconds.map(parts::seconds);
    let figures = [
        (
            "Ingestion rate (/s)",
            perhaps(rate.last().map(|(_, rate)| rounded(*rate))),
            "records per second".to_owned(),
        ),
        ("Consumer lag", perhaps(lag.map(grouped)), "records not yet durable".to_owned()),
        (
            "End-to-end latency",
            perhaps(status.freshness_seconds.map(parts::seconds)),
            "of the newest event".to_owned(),
        ),
        (
            "Blocks",
            grouped(status.height),
            age.map_or("none yet".to_owned(), |age| format!("newest {age} ago")),
        ),
        ("Entries", grouped(status.entries), "each with a proof".to_owned()),
        (
            "Assets with alerts",
            grouped(status.assets_with_alerts as u64),
            format!("{} critical", grouped(status.fleet.critical)),
        ),
    ];
    html! {
        dl.figures {
            @for (name, value, more) in &figures { div { dt { (name) } dd { (value) small { (more) } } } }
        }
    }
}

fn charts(samples: &[Sample]) -> Markup {
    let newest = samples.last().map_or(0.0, |newest| seconds(newest.time_ms));
    let x = |at: f64| match newest - at {
        ..5.0 => "now".to_owned(),
        ago @ ..90.0 => format!("−{ago:.0} s"),
        ago => format!("−{:.1} min", ago / 60.0),
    };
    let frame = |title, y| Frame { title, x: &x, y, from_zero: true };
    let line = |name: &str, points| Line { name: name.to_owned(), points };
    let measured = |of: &dyn Fn(&Sample) -> Option<f64>| -> Vec<(f64, f64)> {
        samples.iter().filter_map(|sample| Some((seconds(sample.time_ms), of(sample)?))).collect()
    };
    let lag = measured(&|sample| sample.lag.map(precise));
    let fresh = measured(&|sample| sample.freshness_seconds.map(|seconds| seconds.max(0.0)));
    let dispositions = [
        line("valid", rate(samples, |sample| sample.valid)),
        line("filtered", rate(samples, |sample| sample.filtered)),
        line("invalid", rate(samples, |sample| sample.invalid)),
        line("dead letters", rate(samples, |sample| sample.dead_lettered)),
    ];
    html! {
        div.charts {
            (chart(&frame("Records per second", &rounded), &dispositions))
            (chart(&frame("Consumer lag", &rounded), &[line("lag", lag)]))
            (chart(&frame("End-to-end latency", &parts::seconds), &[line("freshness", fresh)]))
            (chart(&frame("Blocks per second", &rounded), &[line("blocks", rate(samples, |sample| sample.height))]))
        }
    }
}

fn ends(status: &StatusView) -> Markup {
    let records = &status.records;
    let ends = [
        ("valid", records.valid, "valid transactions", "/transactions?verdict=valid"),
        (
            "invalid",
            records.invalid,
            "invalid (refused by contract)",
            "/transactions?verdict=invalid",
        ),
        ("filtered", records.filtered, "filtered (no matching mapping)", "/definitions"),
        ("dead", records.dead_lettered, "dead letters (kept for repair)", "/deadletters"),
    ];
    let whole: u64 = ends.iter().map(|(_, value, _, _)| value).sum::<u64>().max(1);
    let begins =
        ends.iter().scan(0, |at, (_, value, _, _)| Some(std::mem::replace(at, *at + value)));
    html! {
        svg.bar viewBox={ "0 0 " (whole) " 1" } preserveAspectRatio="none" aria-hidden="true" {
            @for ((kind, value, _, _), begin) in ends.iter().zip(begins) {
                rect class=(kind) x=(begin) y="0" width=(value) height="1" {}
            }
        }
        ul.kinds.ends {
            li { strong { (count(records.read)) } " records read:" }
            @for (kind, value, what, address) in ends {
                li class=(kind) { a href=(address) { (count(value)) " " (what) } }
            }
        }
    }
}

fn lists(service: &Service, now: i64) -> Result<Markup, QueryError> {
    let queries = &service.queries;
    let mut alerted: Vec<_> = queries.alerts(None, MAX_PAGE_ITEMS.min(100))?.items;
    alerted.sort_by_key(|item| {
        let worst = item.active_alerts.iter().map(|alert| alert.severity).max().flatten();
        let newest = item.active_alerts.iter().map(|alert| alert.since.clone()).max();
        std::cmp::Reverse((worst, newest))
    });
    let alert_rows: Vec<_> =
        alerted.iter().flat_map(|item| alerts::rows(item, now)).take(ROWS).collect();
    let recent = queries.recent(None, ROWS)?;
    let recent_rows: Vec<_> = recent.items.iter().map(|change| changed(change, now)).collect();
    let newest = queries.blocks(None, ROWS)?;
    let block_rows: Vec<_> = newest.items.iter().map(|block| block_row(block, now)).collect();
    let dead = queries.dead_letters(None, None, ROWS)?;
    let letter_rows: Vec<_> = dead.items.iter().map(|letter| letter_row(letter, now)).collect();
    let list = |title, address: &str, more: Markup, headings: &[&str], rows: &[Row], empty| {
        html! {
            section {
                h2 { a href=(address) { (title) } }
                (more)
                (table(title, headings, rows, empty))
            }
        }
    };
    Ok(html! {
        (list("Active alerts", "/alerts", alerts::kinds(&queries.alert_counts().into_iter().filter(|of| of.assets > 0).collect::<Vec<_>>()),
            &["Asset", "Alert", "Meaning", "Since"], &alert_rows, "No asset has an active alert."))
        (list("Latest changes", "/state", html! {}, &["Asset", "State", "Transaction"], &recent_rows, "None yet."))
        (list("Newest blocks", "/blocks", html! {}, &["Block", "Created", "#Valid", "#Invalid", "#Filtered", "#Dead"], &block_rows, "None yet."))
        (list("Newest dead letters", "/deadletters", letters::causes(service, ""), &["Record", "Cause", "Problem"], &letter_rows, "None."))
    })
}

fn changed(change: &ChangeView, now: i64) -> Row {
    let transaction = &change.transaction;
    let key = &change.write.key;
    let asset =
        change.write.asset.as_ref().and_then(|asset| asset.as_object()?.get("state")?.as_object());
    let said = asset.map_or(html! { "deleted" }, |map| state::brief(map, key));
    let asset = address(&["state", &transaction.contract, key]);
    vec![
        cell(alerts::of_contract(&asset, key, &transaction.contract)),
        cell(said),
        cell(html! {
            (link(&address_of_id("transactions", &transaction.id), &transaction.id))
            br; small { (ago(&transaction.time, now)) }
        }),
    ]
}

fn block_row(block: &BlockSummary, now: i64) -> Row {
    vec![
        cell(blocks::link_to(block.number)),
        cell(ago(&block.time, now)),
        count_cell(block.valid as u64),
        count_cell(block.invalid as u64),
        count_cell(block.filtered),
        count_cell(block.dead_letters as u64),
    ]
}

fn letter_row(letter: &DeadLetterSummary, now: i64) -> Row {
    vec![
        cell(html! {
            (link(&address_of_id("deadletters", &letter.id), &letter.id))
            br; small { (ago(&letter.time, now)) }
        }),
        cell(html! { span.badge.dead { (letter.cause) } }),
        cell(html! {
            (text(&letter.message))
            @if !letter.place.is_empty() { br; small { (name(&letter.place)) } }
        }),
    ]
}

fn partitions(status: &StatusView) -> Markup {
    let perhaps = |value: Option<u64>| value.map_or("–".to_owned(), grouped);
    let row = |of: &crate::monitor::service::PartitionView| {
        vec![
            cell(name(&of.partition)),
            cell(html! { (if of.assigned { "yes" } else { "no" }) }),
            count_cell(of.durable),
            // The end was asked for a while ago: more may have been taken in since.
            number_cell(html! { (perhaps(of.end.map(|end| end.max(of.durable)))) }),
            number_cell(html! { (perhaps(of.lag)) }),
        ]
    };
    let rows: Vec<_> = status.partitions.iter().map(row).collect();
    let headings = ["Partition", "Assigned", "#Durable offset", "#End offset", "#Lag"];
    table("Positions of the partitions", &headings, &rows, "No partitions yet.")
}

fn followers(status: &StatusView, now: i64) -> Markup {
    let row = |one: &FollowerView| {
        let held = one.held.as_ref();
        vec![
            cell(name(&one.name)),
            count_cell(one.next_block),
            count_cell(one.saved_block),
            count_cell(one.lag_blocks),
            cell(html! {
                @if let Some(held) = held {
                    (text(&held.reason)) br; small { (ago(&held.since, now)) }
                } @else { "no" }
            }),
        ]
    };
    let rows: Vec<_> = status.followers.iter().map(row).collect();
    let headings = ["Follower", "#Next block", "#Saved up to block", "#Blocks behind", "Held up"];
    table("What follows the ledger", &headings, &rows, "No followers.")
}
