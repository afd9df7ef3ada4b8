//! Building blocks of the pages: numbers, times, digests, tables, links to the next page.

use std::fmt::Display;

use maud::{Markup, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use crate::contract::AlertSeverity;
use crate::event::time;
use crate::limits::FUTURE_TOLERANCE;
use crate::query::json;
use crate::query::views::grouped;

/// Characters that addresses contain unencoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// Hexadecimal digits of a digest that tell it from others at a glance.
const DIGEST_SHOWN: usize = 12;

/// An address of these names, each encoded. A key at its end that is a step in a path (`.` or `..`)
/// would be taken out of it by browsers and proxies: it goes into the parameter `key` instead.
pub fn address(parts: &[&str]) -> String {
    if let [names @ .., key @ ("." | "..")] = parts {
        return with_parameters(&address(names), &[("key", key)]);
    }
    let encoded = parts.iter().map(|part| format!("/{}", utf8_percent_encode(part, ENCODED)));
    encoded.collect()
}

/// The address of what has an id with slashes in it, such as a transaction.
pub fn address_of_id(page: &str, id: &str) -> String {
    let parts: Vec<_> = std::iter::once(page).chain(id.split('/')).collect();
    address(&parts)
}

/// An address with parameters; those without a value are left out.
pub fn with_parameters(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut address = path.to_owned();
    let mut separator = if path.contains('?') { '&' } else { '?' };
    for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
        let encode = |text| utf8_percent_encode(text, ENCODED);
        address.push_str(&format!("{separator}{}={}", encode(name), encode(value)));
        separator = '&';
    }
    address
}

/// A string of a device: never markup, and what would steer the reading direction is written out.
pub fn text(text: &str) -> Markup {
    html! { bdi { (json::visible(text)) } }
}

/// A name or id from a device, kept on one line where it fits on one.
pub fn name(name: &str) -> Markup {
    html! { bdi.name { (json::visible(name)) } }
}

/// A link with a device's text, such as a key or an id, kept on one line where it fits on one.
pub fn link(address: &str, shown: &str) -> Markup {
    html! { a.name href=(address) { (text(shown)) } }
}

/// Contract and function of a call.
pub fn call(contract: &str, function: impl Display) -> Markup {
    html! { span.name { (text(contract)) "." (function.to_string()) } }
}

/// A count with groups of three digits.
pub fn count(number: impl TryInto<u64>) -> Markup {
    html! { (grouped(number.try_into().unwrap_or(u64::MAX))) }
}

/// A cell of a table.
pub struct Cell {
    content: Markup,
    is_number: bool,
    columns: usize,
}

/// A row of a table.
pub type Row = Vec<Cell>;

/// A cell with text.
pub fn cell(content: Markup) -> Cell {
    Cell { content, is_number: false, columns: 1 }
}

/// A cell with text across several columns.
pub fn wide_cell(columns: usize, content: Markup) -> Cell {
    Cell { columns, ..cell(content) }
}

/// A cell with a number, aligned with those above and below it.
pub fn number_cell(content: Markup) -> Cell {
    Cell { is_number: true, ..cell(content) }
}

/// A cell with a count.
pub fn count_cell(number: impl TryInto<u64>) -> Cell {
    number_cell(count(number))
}

/// The beginning of a digest or key; the whole on demand.
pub fn digest(whole: &impl ToString) -> Markup {
    let whole = whole.to_string();
    let shown: String = whole.chars().take(DIGEST_SHOWN).collect();
    html! { code.digest title=(whole) { (shown) "…" } }
}

/// The age of a time, with the time itself on demand.
pub fn ago(time: &str, now_ms: i64) -> Markup {
    let tolerance = i64::try_from(FUTURE_TOLERANCE.as_millis()).unwrap_or(0);
    let shown = match time::parse(time) {
        Ok(time_ms) if time_ms.saturating_sub(now_ms) > tolerance => "in the future".to_owned(),
        Ok(time_ms) => format!("{} ago", duration(now_ms.saturating_sub(time_ms))),
        Err(_) => time.to_owned(),
    };
    html! { time datetime=(time) title=(time) { (shown) } }
}

/// A duration in milliseconds, in its largest useful unit.
pub fn duration(ms: i64) -> String {
    let seconds = ms.max(0) / 1_000;
    match seconds {
        0..100 => format!("{seconds} s"),
        100..6_000 => format!("{} min", seconds / 60),
        6_000..180_000 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Seconds with as many digits as tell something.
pub fn seconds(seconds: f64) -> String {
    match seconds {
        ..0.01 => format!("{:.1} ms", seconds * 1_000.0),
        ..1.0 => format!("{:.0} ms", seconds * 1_000.0),
        ..100.0 => format!("{seconds:.1} s"),
        ..6_000.0 => format!("{:.0} min", seconds / 60.0),
        ..180_000.0 => format!("{:.0} h", seconds / 3_600.0),
        _ => format!("{:.0} d", seconds / 86_400.0),
    }
}

/// A verdict as a badge.
pub fn verdict(verdict: &str) -> Markup {
    let kind = if verdict == "valid" { "valid" } else { "invalid" };
    html! { span class={ "badge " (kind) } { (verdict) } }
}

/// An alert as a badge in the colour of its severity.
pub fn alert(name: &str, severity: Option<AlertSeverity>) -> Markup {
    html! { span class={ "badge " (severity_name(severity)) } title=(severity_name(severity)) { (text(name)) } }
}

/// A severity in words; `unknown` where the contract no longer says.
pub fn severity_name(severity: Option<AlertSeverity>) -> &'static str {
    match severity {
        Some(AlertSeverity::Critical) => "critical",
        Some(AlertSeverity::Warning) => "warning",
        Some(AlertSeverity::Info) => "info",
        None => "unknown",
    }
}

/// JSON for people.
pub fn json_block(value: &impl Serialize) -> Markup {
    html! { pre tabindex="0" { code { (json::visible(&json::to_plain_pretty_text(value))) } } }
}

/// A table with these headings, of which those of numbers begin with `#`; where there are no rows,
/// the reason. Where it is too narrow for a table, each row becomes a card in which every cell but
/// the first has its heading as a label.
pub fn table(caption: &str, headings: &[&str], rows: &[Row], empty: &str) -> Markup {
    let is_number = |heading: &str| heading.starts_with('#');
    // Room that a table needs, in fifths of that of a column of texts.
    let weight = |heading: &&str| if is_number(heading) { 3 } else { 5 };
    let width = match headings.iter().map(weight).sum() {
        ..=10 => "pair",
        11..=25 => "cards",
        _ => "cards many",
    };
    html! {
        div.scroll role="region" aria-label=(json::visible(caption)) tabindex="0" {
            table class=(width) {
                caption.hidden { (text(caption)) }
                thead { tr {
                    @for heading in headings {
                        th scope="col" class=[is_number(heading).then_some("number")] {
                            (heading.trim_start_matches('#'))
                        }
                    }
                } }
                tbody {
                    @for row in rows { tr { (cells(row, headings)) } }
                    @if rows.is_empty() { tr { td.empty colspan=(headings.len()) { (empty) } } }
                }
            }
        }
    }
}

fn cells(row: &[Cell], headings: &[&str]) -> Markup {
    html! {
        @for (at, cell) in row.iter().enumerate() {
            @let label = headings.get(at).map(|heading| heading.trim_start_matches('#'));
            @let columns = (cell.columns > 1).then_some(cell.columns);
            td class=[cell.is_number.then_some("number")] colspan=[columns] data-label=[label.filter(|_| at > 0)] {
                (cell.content)
            }
        }
    }
}

/// A list of names and values.
pub fn facts(facts: &[(&str, Markup)]) -> Markup {
    html! {
        dl.facts {
            @for (name, value) in facts { div { dt { (name) } dd { (value) } } }
        }
    }
}

/// Links to the first page and the next one.
pub fn paging(first: Option<&str>, next: Option<&str>) -> Markup {
    html! {
        @if first.is_some() || next.is_some() {
            nav.paging aria-label="Pages" {
                @if let Some(first) = first { a href=(first) { "← newest" } }
                @if let Some(next) = next { a href=(next) rel="next" { "older →" } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_hold_any_name() {
        assert_eq!(address(&["state", "a/b", "ü?&\""]), "/state/a%2Fb/%C3%BC%3F%26%22");
        assert_eq!(address(&["state", "a", "..."]), "/state/a/...");
        assert_eq!(address(&["state", "a", "."]), "/state/a?key=.");
        let dots = address(&["state", "a", ".."]);
        assert_eq!(with_parameters(&dots, &[("before", "7")]), "/state/a?key=..&before=7");
        assert_eq!(address_of_id("transactions", "t/3/9/0"), "/transactions/t/3/9/0");
        let parameters = [("a", "1&2"), ("b", ""), ("c", "x y")];
        assert_eq!(with_parameters("/p", &parameters), "/p?a=1%262&c=x%20y");
        assert_eq!(with_parameters("/p", &[]), "/p");
    }

    #[test]
    fn what_devices_send_is_no_markup() {
        let shown = text("<b>\u{202e}&\u{1b}").into_string();
        assert_eq!(shown, "<bdi>&lt;b&gt;\\u202e&amp;\\u001b</bdi>");
        let shown = json_block(&serde_json::json!({"a<": "\u{9b}>"})).into_string();
        assert!(shown.contains(r"&quot;a&lt;&quot;: &quot;\u009b&gt;&quot;"), "{shown}");
    }

    #[test]
    fn times_in_words() {
        for (ms, expected) in [
            (-5, "0 s"),
            (99_999, "99 s"),
            (100_000, "1 min"),
            (6_000_000, "1 h"),
            (180_000_000, "2 d"),
        ] {
            assert_eq!(duration(ms), expected);
        }
        assert_eq!(
            (seconds(0.0021), seconds(0.5), seconds(3.21)),
            ("2.1 ms".into(), "500 ms".into(), "3.2 s".into())
        );
        let shown = ago("2026-01-31T12:00:00.000Z", 1_769_860_830_000).into_string();
        assert!(shown.contains(">30 s ago<"), "{shown}");
    }
}
