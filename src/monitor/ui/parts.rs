//! What every page is made of: numbers, times, digests, tables, links to the next page.

use maud::{Markup, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use crate::contract::AlertSeverity;
use crate::event::time;
use crate::limits::FUTURE_TOLERANCE;
use crate::monitor::json;
use crate::monitor::views::grouped;

/// What stands in addresses as it is; all else is encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// Hexadecimal digits of a digest that tell it from others at a glance.
const DIGEST_SHOWN: usize = 12;

/// An address of these names, each encoded.
pub fn address(parts: &[&str]) -> String {
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
    let mut separator = '?';
    for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
        let encode = |text| utf8_percent_encode(text, ENCODED);
        address.push_str(&format!("{separator}{}={}", encode(name), encode(value)));
        separator = '&';
    }
    address
}

/// A text of a device: never markup, and what would steer the reading direction is written out.
pub fn text(text: &str) -> Markup {
    html! { bdi { (json::visible(text)) } }
}

/// A link to what a text of a device names.
pub fn link(address: &str, shown: &str) -> Markup {
    html! { a href=(address) { (text(shown)) } }
}

/// A count with groups of three digits.
pub fn count(number: impl TryInto<u64>) -> Markup {
    html! { (grouped(number.try_into().unwrap_or(u64::MAX))) }
}

/// A cell with a count.
pub fn count_cell(number: impl TryInto<u64>) -> Markup {
    html! { td.number { (count(number)) } }
}

/// The beginning of a digest or key; the whole on demand.
pub fn digest(whole: &impl ToString) -> Markup {
    let whole = whole.to_string();
    let shown: String = whole.chars().take(DIGEST_SHOWN).collect();
    html! { code.digest title=(whole) { (shown) "…" } }
}

/// How long ago a time was, with the time itself on demand.
pub fn ago(time: &str, now_ms: i64) -> Markup {
    let tolerance = i64::try_from(FUTURE_TOLERANCE.as_millis()).unwrap_or(0);
    let shown = match time::parse(time) {
        Ok(time_ms) if time_ms.saturating_sub(now_ms) > tolerance => "in the future".to_owned(),
        Ok(time_ms) => format!("{} ago", duration(now_ms.saturating_sub(time_ms))),
        Err(_) => time.to_owned(),
    };
    html! { time datetime=(time) title=(time) { (shown) } }
}

/// How long a time of milliseconds is, to the largest unit that tells something.
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

/// A table with these headings; where there are no rows, what that means.
pub fn table(caption: &str, headings: &[&str], rows: &[Markup], empty: &str) -> Markup {
    let is_number = |heading: &str| heading.starts_with('#');
    html! {
        div.scroll role="region" aria-label=(json::visible(caption)) tabindex="0" {
            table {
                caption.hidden { (text(caption)) }
                thead { tr {
                    @for heading in headings {
                        th scope="col" class=[is_number(heading).then_some("number")] {
                            (heading.trim_start_matches('#'))
                        }
                    }
                } }
                tbody {
                    @for row in rows { tr { (row) } }
                    @if rows.is_empty() { tr { td.empty colspan=(headings.len()) { (empty) } } }
                }
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
