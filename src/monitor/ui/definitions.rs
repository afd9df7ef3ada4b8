//! Mappings and contracts as the ledger recorded them: texts, versions, and their own tests.

use maud::{Markup, html};

use crate::ledger::DefinitionKind;
use crate::monitor::http::request::Parameters;
use crate::monitor::service::{Service, ThroughputView};
use crate::monitor::ui::Made;
use crate::monitor::ui::parts::{
    Row, address, ago, cell, count, count_cell, digest, facts, link, number_cell, table, text,
    with_parameters,
};
use crate::monitor::ui::shell::Content;
use crate::monitor::watch::Sample;
use crate::query::views::{DefinitionView, TestView, time_text};

/// Every name with its newest version, and what came of those that run.
pub fn list(service: &Service, samples: &[Sample], given: Parameters) -> Made {
    given.finish()?;
    let throughput = service.throughput(samples);
    let part = |kind: DefinitionKind| {
        let row = |name: &String| {
            let versions = service.queries.versions(kind, name);
            let mut running = throughput.iter();
            let running = running.find(|of| of.kind == kind.name() && of.name == *name);
            let newest = versions.first();
            let mut row = vec![cell(link(&address(&[folder(kind), name]), name))];
            row.extend(figures_of(kind, running));
            row.push(count_cell(versions.len() as u64));
            row.push(cell(html! { @if let Some(newest) = newest { (digest(&newest.digest)) } }));
            row.push(number_cell(
                html! { @if let Some(newest) = newest { (count(newest.entry)) } },
            ));
            row
        };
        let rows: Vec<_> = service.queries.names(kind).iter().map(row).collect();
        let figures: &[&str] = match kind {
            DefinitionKind::Mapping => &["#Rate (/s)", "#Valid", "#Invalid", "#Rejected"],
            _ => &["#Rate (/s)", "#Valid", "#Invalid"],
        };
        let versions = ["#Versions", "Newest", "#Recorded at entry"];
        let headings = [&["Name"], figures, &versions].concat();
        table(kind.name(), &headings, &rows, "None in the ledger.")
    };
    let uptime_ms = i64::try_from(service.clock.monotonic().as_millis()).unwrap_or(i64::MAX);
    let started = time_text(service.clock.now_ms().saturating_sub(uptime_ms));
    let body = html! {
        p {
            "A version is recorded in the ledger before the first transaction that uses it, so the text "
            "behind a value can always be looked up. Counts are of this process, since "
            (ago(&started, service.clock.now_ms())) "."
        }
        h2 { "Mappings" }
        div #mappings data-live { (part(DefinitionKind::Mapping)) }
        h2 { "Contracts" }
        div #contracts data-live { (part(DefinitionKind::Contract)) }
    };
    let title = "Mappings & contracts".to_owned();
    Ok(Content { title, is_live: true, body })
}

/// Figures of a running definition; for one that no longer runs, that.
fn figures_of(kind: DefinitionKind, running: Option<&ThroughputView>) -> Row {
    let is_mapping = kind == DefinitionKind::Mapping;
    let Some(of) = running else {
        let mut row = vec![number_cell(html! { span.empty { "not running" } })];
        row.resize_with(if is_mapping { 4 } else { 3 }, || number_cell(html! {}));
        return row;
    };
    let rate = of.per_second.map_or("–".to_owned(), |rate| format!("{rate:.1}"));
    let mut row = vec![number_cell(html! { (rate) }), count_cell(of.valid), count_cell(of.invalid)];
    if is_mapping {
        row.push(count_cell(of.rejected));
    }
    row
}

/// The path segment of a kind of definition.
fn folder(kind: DefinitionKind) -> &'static str {
    if kind == DefinitionKind::Contract { "contracts" } else { "mappings" }
}

/// A mapping: the newest version, or the one with a digest.
#[allow(clippy::ptr_arg)] // the type that the route reads its address as
pub fn mapping(service: &Service, name: &String, given: Parameters) -> Made {
    one(service, DefinitionKind::Mapping, name, given)
}

/// A contract: the newest version, or the one with a digest.
#[allow(clippy::ptr_arg)] // the type that the route reads its address as
pub fn contract(service: &Service, name: &String, given: Parameters) -> Made {
    one(service, DefinitionKind::Contract, name, given)
}

fn one(service: &Service, kind: DefinitionKind, name: &str, mut given: Parameters) -> Made {
    let asked = given.filled("digest")?;
    given.finish()?;
    let definition = service.queries.definition(kind, name, asked.as_deref())?;
    let path = address(&[folder(kind), name]);
    let source = definition.text.as_deref().unwrap_or_default();
    let body = html! {
        (facts(&[
            ("SHA-256", html! { code { (definition.digest) } }),
            ("Recorded at entry", count(definition.entry)),
        ]))
        @if kind == DefinitionKind::Contract {
            p { a href=(address(&["state", name])) { "Assets of this contract" } }
        }
        h2 { "Text" }
        pre tabindex="0" { code { (crate::query::json::visible(source)) } }
        h2 { "Tests" }
        (tests(&service.queries.definition_tests(kind, name, asked.as_deref())?))
        h2 { "Versions" }
        (versions(&service.queries.versions(kind, name), &definition, &path))
    };
    let title =
        format!("{} {name}", if kind == DefinitionKind::Contract { "Contract" } else { "Mapping" });
    Ok(Content { title, is_live: false, body })
}

fn tests(results: &[TestView]) -> Markup {
    html! {
        @if results.is_empty() { p.empty { "The definition has no tests." } }
        ol.steps {
            @for result in results {
                li.good[result.failure.is_none()].bad[result.failure.is_some()] {
                    (if result.failure.is_none() { "✓ " } else { "✗ " }) (text(&result.test))
                    @if let Some(failure) = &result.failure { pre tabindex="0" { code { (text(failure)) } } }
                }
            }
        }
    }
}

fn versions(versions: &[DefinitionView], shown: &DefinitionView, path: &str) -> Markup {
    let row = |version: &DefinitionView| {
        let link = with_parameters(path, &[("digest", &version.digest.to_string())]);
        let is_shown = version.digest == shown.digest;
        let number = version.version.map_or("–".to_owned(), |version| version.to_string());
        vec![
            cell(html! {
                a href=(link) aria-current=[is_shown.then_some("true")] { (digest(&version.digest)) }
            }),
            number_cell(html! { (number) }),
            count_cell(version.entry),
        ]
    };
    let rows: Vec<_> = versions.iter().map(row).collect();
    table("Versions, newest first", &["Digest", "#Version", "#Recorded at entry"], &rows, "None.")
}
