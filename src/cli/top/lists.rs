//! The lines of each section of the screen.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::cli::top::answers::{AlertCount, Alerted, Answers, Follower, Partition, Status};
use crate::cli::top::draw::{DOUBTFUL, FAINT, WELL, WRONG, age};
use crate::pipeline::DeadLetterTopic;
use crate::query::views::grouped;
use crate::state::World;

/// A name and what there is to say.
fn fact(name: &str, what: String) -> Line<'static> {
    Line::from(vec![Span::styled(format!("{name:<11}"), FAINT), Span::raw(what)])
}

/// The ledger: its size, how fresh it is, its newest blocks.
pub fn ledger(answers: &Answers) -> Vec<Line<'static>> {
    let status = &answers.status;
    let newest = match status.block_age_seconds {
        Some(seconds) => format!("{}, newest {} ago", grouped(status.height), age(seconds)),
        None => "none yet".to_owned(),
    };
    let freshness = match status.freshness_seconds {
        Some(seconds) => format!("newest event was {} old when shown", age(seconds)),
        None => "no event yet".to_owned(),
    };
    let mut lines = vec![
        fact("blocks", newest),
        fact("entries", grouped(status.entries)),
        fact("freshness", freshness),
    ];
    lines.extend(answers.blocks.iter().map(|block| {
        let (valid, invalid, dead) = (block.valid, block.invalid, block.dead_letters);
        let what = format!("{valid} valid, {invalid} invalid, {dead} dead letters");
        fact(&format!("#{}", block.number), what)
    }));
    lines
}

/// Outcomes of all records, and the progress of their effects.
pub fn records(status: &Status) -> Vec<Line<'static>> {
    let records = &status.records;
    let mut lines = vec![
        fact("read", grouped(records.read)),
        fact("valid", grouped(records.valid)),
        fact("invalid", grouped(records.invalid)),
    ];
    lines.extend(records.invalid_reasons.iter().map(|(reason, count)| {
        Line::styled(format!("{:11}{reason} {}", "", grouped(*count)), DOUBTFUL)
    }));
    lines.push(fact("filtered", grouped(records.filtered)));
    lines.push(fact("dead", grouped(records.dead_lettered)));
    let behind = status.state.blocks_behind;
    let unsaved = grouped(status.state.unsaved_assets);
    lines.push(fact("state", format!("{behind} blocks behind, {unsaved} assets unsaved")));
    if let Some(copies) = &status.dead_letter_topic {
        lines.push(fact("copies", format!("{} blocks behind", copies.blocks_behind)));
    }
    let has_line = |one: &Follower| [World::NAME, DeadLetterTopic::NAME].contains(&&*one.name.0);
    for follower in status.followers.iter().filter(|one| !has_line(one)) {
        let (name, behind) = (&follower.name, grouped(follower.lag_blocks));
        lines.push(fact(&format!("{name:<10} "), format!("{behind} blocks behind")));
        if let Some(held) = &follower.held {
            lines.push(Line::styled(format!("{:11}{}", "", held.reason), DOUBTFUL));
        }
    }
    lines
}

/// Each partition and how far behind it is.
pub fn partitions(status: &Status) -> Vec<Line<'static>> {
    let line = |partition: &Partition| {
        let (what, style) = match (partition.assigned, partition.lag) {
            (false, _) => ("not assigned".to_owned(), DOUBTFUL),
            (true, None) => ("not known".to_owned(), FAINT),
            (true, Some(0)) => ("0".to_owned(), WELL),
            (true, Some(lag)) => (grouped(lag), Style::new()),
        };
        let name = format!("{:<24} ", partition.partition);
        Line::from(vec![Span::raw(name), Span::styled(what, style)])
    };
    status.partitions.iter().map(line).collect()
}

/// Order and style of a severity: the worst first.
fn severity(alert: &AlertCount) -> (u8, &str, Style) {
    match alert.severity.as_ref().map(|severity| severity.0.as_str()) {
        Some("critical") => (0, "critical", WRONG),
        Some("warning") => (1, "warning", DOUBTFUL),
        Some("info") => (2, "info", Style::new()),
        _ => (3, "unknown", FAINT),
    }
}

fn active(status: &Status) -> Vec<&AlertCount> {
    let mut active: Vec<_> = status.alerts.iter().filter(|alert| alert.assets > 0).collect();
    active.sort_by_key(|alert| (severity(alert).0, u64::MAX - alert.assets));
    active
}

/// The number of active alerts of each severity.
pub fn alerts_title(status: &Status) -> String {
    let mut counts: Vec<(&str, u64)> = Vec::new();
    for alert in active(status) {
        let name = severity(alert).1;
        match counts.last_mut() {
            Some((last, count)) if *last == name => *count += alert.assets,
            _ => counts.push((name, alert.assets)),
        }
    }
    let counts: Vec<_> =
        counts.iter().map(|(name, count)| format!("{} {name}", grouped(*count))).collect();
    if counts.is_empty() { "no alert".to_owned() } else { format!("alerts: {}", counts.join(", ")) }
}

/// Each active alert: the worst first, with some of the assets that have it.
pub fn alerts(answers: &Answers) -> Vec<Line<'static>> {
    let line = |alert: &AlertCount| {
        let has = |asset: &&Alerted| {
            asset.contract == alert.contract
                && asset.active_alerts.iter().any(|active| active.alert == alert.alert)
        };
        let assets: Vec<_> =
            answers.alerted.iter().filter(has).map(|asset| asset.key.0.as_str()).collect();
        let (_, name, style) = severity(alert);
        Line::from(vec![
            Span::styled(format!("{name:<9}"), style),
            Span::raw(format!("{} {} {}  ", alert.contract, alert.alert, grouped(alert.assets))),
            Span::styled(assets.join(", "), FAINT),
        ])
    };
    active(&answers.status).into_iter().map(line).collect()
}

/// Each cause of dead letters, with the newest letter of it where that is among the latest; then
/// the latest, each with its place.
pub fn letters(answers: &Answers) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for (cause, count) in &answers.status.records.dead_letters {
        let head = format!("{:<18}{:>8}  ", cause.0, grouped(*count));
        let newest = answers.letters.iter().find(|letter| letter.cause == *cause);
        let newest = newest.map(|letter| letter.id.to_string()).unwrap_or_default();
        lines.push(Line::from(vec![Span::raw(head), Span::styled(newest, FAINT)]));
    }
    lines.extend(answers.letters.iter().map(|letter| {
        let head = format!("{} {}", letter.id, letter.cause);
        let told = [&letter.place.0, &letter.message.0].map(String::as_str);
        let what: String =
            told.iter().filter(|text| !text.is_empty()).map(|text| format!(" {text}")).collect();
        Line::from(vec![Span::raw(head), Span::styled(what, FAINT)])
    }));
    lines
}
