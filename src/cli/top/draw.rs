//! Drawing: a pure function from the view to a frame.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, RenderDirection, Sparkline, Wrap};

use crate::cli::top::answers::Answers;
use crate::cli::top::lists;
use crate::cli::top::view::{List, View};
use crate::query::views::grouped;

/// Lines of the row with rate and ledger, borders included.
const UPPER: u16 = 8;
/// Fewest lines of a row with a list, borders included.
const LEAST_ROW: u16 = 4;
/// Most lines that are taken by what is wrong.
const MOST_TROUBLE: u16 = 6;

/// Style of a healthy value.
pub const WELL: Style = Style::new().fg(Color::Green);
/// Style of an error.
pub const WRONG: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
/// Style of a warning.
pub const DOUBTFUL: Style = Style::new().fg(Color::Yellow);
/// Style of secondary text.
pub const FAINT: Style = Style::new().fg(Color::DarkGray);

/// Most lines by which each list can be scrolled.
pub type Bounds = [u16; List::ALL.len()];

/// Draws everything. Gives by how many lines each list can be scrolled there.
pub fn draw(frame: &mut Frame<'_>, view: &View) -> Bounds {
    let troubles = troubles(view);
    let height = height_of(&troubles, frame.area().width).min(MOST_TROUBLE);
    let troubles: Vec<_> =
        troubles.into_iter().map(|trouble| Line::styled(trouble, WRONG)).collect();
    let [head, wrong, body, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(height),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(headline(view), head);
    frame.render_widget(Paragraph::new(troubles).wrap(Wrap { trim: true }), wrong);
    frame.render_widget(footline(view), foot);
    match &view.answers {
        Some(answers) => draw_answers(frame, body, view, answers),
        None => Bounds::default(),
    }
}

/// Lines that a frame needs to show all lists whole.
pub fn whole_height(view: &View, width: u16) -> u16 {
    let troubles = height_of(&troubles(view), width).min(MOST_TROUBLE);
    let rows = view.answers.as_ref().map_or(0, |answers| {
        let middle = lists::records(&answers.status).len().max(answers.status.partitions.len());
        let lower = lists::alerts(answers).len().max(lists::letters(answers).len());
        UPPER + boxed(middle) + boxed(lower)
    });
    rows + troubles + 2
}

/// Lines of a list within its border.
fn boxed(lines: usize) -> u16 {
    u16::try_from(lines).unwrap_or(u16::MAX / 8).saturating_add(2).clamp(LEAST_ROW, u16::MAX / 8)
}

fn headline(view: &View) -> Line<'_> {
    let mut spans = vec![Span::styled("Ledgerline ", Style::new().add_modifier(Modifier::BOLD))];
    if let Some(Answers { status, .. }) = &view.answers {
        spans.push(Span::raw(format!("{} · {} · ", status.version, status.ledger)));
    }
    spans.push(Span::raw(&view.url));
    spans.push(Span::raw(" · "));
    spans.push(match (&view.away, &view.answers) {
        (Some(_), _) => Span::styled("NO ANSWER", WRONG),
        (None, None) => Span::styled("asking", FAINT),
        (None, Some(answers)) if answers.status.ready => Span::styled("ready: ingesting", WELL),
        (None, Some(_)) => Span::styled("NOT READY: not ingesting", WRONG),
    });
    if view.is_paused {
        spans.push(Span::styled(" · paused", DOUBTFUL));
    }
    Line::from(spans)
}

/// The problems, one per line.
fn troubles(view: &View) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(reason) = &view.away {
        lines.push(reason.clone());
        if view.answers.is_some() {
            let ago = view.now.saturating_sub(view.answered).as_secs_f64();
            lines.push(format!("The data below is {} old; retrying.", age(ago)));
        } else {
            lines.push("Retrying until it answers.".to_owned());
        }
    } else if let Some(answers) = &view.answers {
        lines.extend(answers.status.obstacles.iter().map(ToString::to_string));
    }
    lines
}

/// Lines that texts take when they are wrapped, at least.
fn height_of(texts: &[String], width: u16) -> u16 {
    // Wrapping at words takes more than the letters do.
    let width = usize::from(width.max(20)) * 9 / 10;
    let lines: usize = texts.iter().map(|text| text.chars().count().div_ceil(width).max(1)).sum();
    u16::try_from(lines).unwrap_or(u16::MAX)
}

fn footline(view: &View) -> Line<'static> {
    let pause = if view.is_paused { "p go on" } else { "p pause" };
    Line::styled(format!("q quit · {pause} · ←→ choose a list · ↑↓ scroll"), FAINT)
}

fn draw_answers(frame: &mut Frame<'_>, area: Rect, view: &View, answers: &Answers) -> Bounds {
    let status = &answers.status;
    let records = lists::records(status);
    let partitions = lists::partitions(status);
    let rest = area.height.saturating_sub(UPPER);
    let (alerts, letters) = (lists::alerts(answers), lists::letters(answers));
    // The middle takes half, and what the lower row has no need of.
    let spare = rest.saturating_sub(boxed(alerts.len().max(letters.len())));
    let most = spare.max(rest / 2).max(LEAST_ROW);
    let middle = boxed(records.len().max(partitions.len())).min(most);
    let [upper, middle, lower] = Layout::vertical([
        Constraint::Length(UPPER),
        Constraint::Length(middle),
        Constraint::Fill(1),
    ])
    .areas(area);
    let [rate, ledger] = halves(upper);
    draw_rate(frame, rate, view);
    frame.render_widget(Paragraph::new(lists::ledger(answers)).block(titled("ledger")), ledger);
    let [left, right] = halves(middle);
    frame.render_widget(Paragraph::new(records).block(titled("records")), left);
    let lag = match status.partitions.iter().filter_map(|partition| partition.lag).reduce(sum) {
        Some(lag) => format!("lag: {}", grouped(lag)),
        None => "lag: not known".to_owned(),
    };
    let of_partitions = draw_list(frame, right, view, (List::Partitions, lag, partitions));
    let [left, right] = halves(lower);
    let alerts = (List::Alerts, lists::alerts_title(status), alerts);
    let of_alerts = draw_list(frame, left, view, alerts);
    let title = format!("dead letters: {}", grouped(status.records.dead_lettered));
    let letters = (List::Letters, title, letters);
    let of_letters = draw_list(frame, right, view, letters);
    [of_partitions, of_alerts, of_letters]
}

fn sum(one: u64, other: u64) -> u64 {
    one.saturating_add(other)
}

fn halves(area: Rect) -> [Rect; 2] {
    Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(area)
}

fn titled(title: &str) -> Block<'_> {
    Block::bordered().title(format!(" {title} ")).border_style(FAINT)
}

/// Draws a list from where it is scrolled to; by how much it can be.
fn draw_list(
    frame: &mut Frame<'_>,
    area: Rect,
    view: &View,
    (list, title, lines): (List, String, Vec<Line<'static>>),
) -> u16 {
    let mut block = titled(&title);
    if view.chosen == list {
        block = block.border_style(Style::new());
    }
    let shown = block.inner(area).height;
    let most = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_sub(shown);
    let from = view.scrolled[list as usize].min(most);
    if most > 0 {
        let behind = most - from;
        block = block.title_bottom(Line::from(format!(" {behind} more ")).right_aligned());
    }
    frame.render_widget(Paragraph::new(lines).scroll((from, 0)).block(block), area);
    most
}

/// Events a second: now, and as a line over the last minute.
fn draw_rate(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let block = titled("events a second");
    let [number, line] =
        Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(block.inner(area));
    frame.render_widget(block, area);
    let highest = view.rates.iter().copied().max().unwrap_or(0);
    let text = match view.rates.back() {
        Some(rate) => vec![
            Span::styled(grouped(*rate), Style::new().add_modifier(Modifier::BOLD)),
            Span::styled(format!("  at most {} in the last minute", grouped(highest)), FAINT),
        ],
        None => vec![Span::styled("known after the second refresh", FAINT)],
    };
    frame.render_widget(Line::from(text), number);
    let newest_first: Vec<_> = view.rates.iter().rev().copied().collect();
    let line_of_rates = Sparkline::default()
        .data(newest_first)
        .direction(RenderDirection::RightToLeft)
        .max(highest.max(1))
        .style(WELL);
    frame.render_widget(line_of_rates, line);
}

/// A time in the unit that fits it.
#[must_use]
pub fn age(seconds: f64) -> String {
    match seconds {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3_600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use serde_json::{Value, json};

    use super::*;
    use crate::cli::top::answers::Page;

    const SECOND: Duration = Duration::from_secs(1);

    fn status() -> Value {
        json!({
            "ledger": "example.com/test", "version": "1.2.3", "ready": true, "obstacles": [],
            "height": 1_234, "entries": 56_789, "block_age_seconds": 300.0,
            "records": {
                "read": 1_000, "filtered": 7, "dead_lettered": 12, "valid": 979, "invalid": 2,
                "dead_letters": { "empty": 2, "not_json": 10 },
                "invalid_reasons": { "rejected": 2 },
            },
            "state": { "blocks_behind": 3, "unsaved_assets": 4_000 },
            "alerts": [
                { "contract": "c", "alert": "COLD", "severity": "warning", "assets": 1 },
                { "contract": "c", "alert": "GONE", "severity": null, "assets": 1 },
                { "contract": "c", "alert": "HOT", "severity": "critical", "assets": 2 },
                { "contract": "c", "alert": "WET", "severity": "critical", "assets": 0 },
            ],
            "partitions": (0..9).map(|number| json!({
                "partition": format!("t/{number}"), "assigned": number != 8,
                "lag": if number == 7 { Value::Null } else { json!(number * 1_000) },
            })).collect::<Vec<_>>(),
            "freshness_seconds": 0.25,
        })
    }

    fn answers(status: Value) -> Answers {
        let page = |items: Value| json!({ "items": items, "next": null });
        let asset = |key: &str, alert: &str| json!({ "contract": "c", "key": key, "state": {}, "active_alerts": [{ "alert": alert }] });
        let letter = |offset: u64, message: &str| {
            let id = format!("t/0/{offset}");
            json!({ "id": id, "cause": "not_json", "place": "line 1", "message": message })
        };
        let alerted = json!([asset("A", "HOT"), asset("B", "COLD"), asset("C\u{7}", "HOT")]);
        let letters = json!([letter(9, "\u{1b}[2Jgone"), letter(4, "older")]);
        let block = json!({ "number": 1_233, "valid": 5, "invalid": 1, "dead_letters": 2 });
        let alerted: Page<_> = serde_json::from_value(page(alerted)).unwrap();
        let letters: Page<_> = serde_json::from_value(page(letters)).unwrap();
        let blocks: Page<_> = serde_json::from_value(page(json!([block]))).unwrap();
        let status = serde_json::from_value(status).unwrap();
        Answers { status, alerted: alerted.items, blocks: blocks.items, letters: letters.items }
    }

    fn view() -> View {
        View::new("http://there:1", SECOND)
    }

    /// A view after two rounds, a second and so many records apart.
    fn seen(status: &Value, records: u64) -> View {
        let mut view = view();
        let mut before = status.clone();
        let read = status["records"]["read"].as_u64().unwrap();
        before["records"]["read"] = json!(read - records);
        view.take(Ok(answers(before)), SECOND);
        view.take(Ok(answers(status.clone())), 2 * SECOND);
        view
    }

    fn picture(view: &View, (width, height): (u16, u16)) -> (String, Bounds) {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let mut bounds = Bounds::default();
        terminal.draw(|frame| bounds = draw(frame, view)).unwrap();
        (terminal.backend().to_string(), bounds)
    }

    #[track_caller]
    fn check(view: &View, shows: &[&str], hides: &[&str]) {
        let (picture, _) = picture(view, (110, 40));
        for text in shows {
            assert!(picture.contains(text), "{text} is not in\n{picture}");
        }
        for text in hides {
            assert!(!picture.contains(text), "{text} is in\n{picture}");
        }
        assert!(!picture.replace('\n', "").contains(char::is_control), "{picture:?}");
    }

    #[test]
    fn all_that_is_known_is_shown() {
        let shows = [
            "Ledgerline 1.2.3 · example.com/test · http://there:1 · ready: ingesting",
            "│250  at most 250 in the last minute",
            "blocks     1,234, newest 5 min ago",
            "entries    56,789",
            "freshness  newest event was 0.2 s old when shown",
            "#1233      5 valid, 1 invalid, 2 dead letters",
            "read       1,000",
            "           rejected 2",
            "filtered   7",
            "state      3 blocks behind, 4,000 assets unsaved",
            " lag: 29,000 ",
            "t/1                      1,000",
            "t/7                      not known",
            "t/8                      not assigned",
            " alerts: 2 critical, 1 warning, 1 unknown ",
            "critical c HOT 2  A, C\\u{7}",
            "warning  c COLD 1  B",
            "unknown  c GONE 1",
            " dead letters: 12 ",
            "empty                    2",
            "not_json                10  t/0/9",
            "t/0/9 not_json line 1 \\u{1b}[2Jgone",
            "t/0/4 not_json line 1 older",
        ];
        check(&seen(&status(), 250), &shows, &["NOT READY", "copies", "WET", "paused"]);
    }

    #[test]
    fn what_is_wrong_stands_in_words() {
        check(&view(), &["http://there:1 · asking", "q quit"], &["blocks"]);

        let mut broken = status();
        broken["ready"] = json!(false);
        broken["obstacles"] = json!(["no broker is reachable", "the ledger \u{9b}waits for space"]);
        broken["dead_letter_topic"] = json!({ "blocks_behind": 17 });
        broken["followers"] = json!([
            { "name": "state", "lag_blocks": 5, "held": null },
            { "name": "webhook", "lag_blocks": 6, "held": { "reason": "no \u{9b}answer" } },
        ]);
        broken["block_age_seconds"] = Value::Null;
        broken["freshness_seconds"] = Value::Null;
        broken["alerts"] = json!([]);
        broken["partitions"] = json!([]);
        let shows = [
            "NOT READY: not ingesting",
            "no broker is reachable",
            "the ledger \\u{9b}waits for space",
            "copies     17 blocks behind",
            "webhook    6 blocks behind",
            "no \\u{9b}answer",
            "blocks     none yet",
            "no event yet",
            "no alert",
            "lag: not known",
        ];
        check(&seen(&broken, 0), &shows, &[]);

        let mut away = view();
        away.take(Err("no answer from http://there:1".to_owned()), SECOND);
        let shows = ["NO ANSWER", "no answer from http://there:1", "Retrying until it answers"];
        check(&away, &shows, &["asking"]);

        let mut gone = seen(&status(), 250);
        gone.take(Err("nobody answers".to_owned()), 14 * SECOND);
        gone.is_paused = true;
        let shows = ["NO ANSWER · paused", "The data below is 12 s old", "1,234", "p go on"];
        check(&gone, &shows, &["ready: ingesting"]);
        gone.take(Ok(answers(status())), 15 * SECOND);
        check(&gone, &["ready: ingesting"], &["NO ANSWER", "old; it"]);
    }

    #[test]
    fn a_rate_is_what_came_in_the_time_between() {
        let mut view = view();
        let mut at = SECOND;
        for (read, seconds, rate) in
            [(1_000, 1, None), (3_000, 2, Some(1_000)), (3_000, 1, Some(0)), (2_000, 1, Some(0))]
        {
            let mut status = status();
            status["records"]["read"] = json!(read);
            at += seconds * SECOND;
            view.take(Ok(answers(status)), at);
            assert_eq!(view.rates.back().copied(), rate, "{read}");
        }
        for _ in 0..100 {
            at += SECOND;
            view.take(Ok(answers(status())), at);
        }
        assert_eq!(view.rates.len(), 60, "a minute");
    }

    #[test]
    fn a_list_is_scrolled_as_far_as_it_goes() {
        let mut view = seen(&status(), 250);
        let size = (110, 24);
        let (top, bounds) = picture(&view, size);
        assert!(bounds[0] > 0 && top.contains("t/0 ") && !top.contains("t/8 "), "{top}");
        let behind = format!(" {} more ", bounds[0]);
        assert!(top.contains(&behind), "{top}");
        for _ in 0..100 {
            view.scroll(true, 1);
        }
        let (end, same) = picture(&view, size);
        assert_eq!(same, bounds);
        assert!(!end.contains("t/0 ") && end.contains("t/8 "), "{end}");
        List::ALL.into_iter().zip(bounds).for_each(|(list, most)| view.bound(list, most));
        assert_eq!(view.scrolled, [bounds[0], 0, 0]);
        view.scroll(false, 200);
        assert_eq!(picture(&view, size).0, top);
        view.choose(true);
        view.scroll(true, 1);
        assert_eq!((view.chosen, view.scrolled), (List::Alerts, [0, 1, 0]));
        view.choose(false);
        view.choose(false);
        assert_eq!(view.chosen, List::Letters);
    }

    #[test]
    fn no_terminal_is_too_small() {
        let view = seen(&status(), 250);
        for size in [(1, 1), (3, 2), (10, 5), (20, 9), (40, 12), (300, 3), (2, 100)] {
            picture(&view, size);
        }
        let height = whole_height(&view, 110);
        let (_, bounds) = picture(&view, (110, height));
        assert_eq!(bounds, [0, 0, 0], "all of it has a place in {height} lines");
    }
}
