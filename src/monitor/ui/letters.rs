//! Dead letters: by cause, and one with its original bytes.

use maud::{Markup, html};

use crate::event::Cause;
use crate::monitor::http::request::Parameters;
use crate::monitor::service::Service;
use crate::monitor::ui::parts::{
    Row, address_of_id, ago, cell, count, digest, facts, link, name, paging, table, text,
    with_parameters,
};
use crate::monitor::ui::shell::Content;
use crate::monitor::ui::{Made, position};
use crate::query::json;
use crate::query::page::letter_cursor;
use crate::query::views::{BytesView, DeadLetterSummary, DeadLetterView};

const HEADINGS: [&str; 5] = ["Record", "Created", "Cause", "Place", "Problem"];

/// Newest dead letters first, of all causes or of one.
pub fn list(service: &Service, mut given: Parameters) -> Made {
    let (cause, before) = (given.filled("cause")?, given.filled("before")?);
    let (cursor, limit) = (before.as_deref().map(letter_cursor).transpose()?, given.limit()?);
    given.finish()?;
    let page = service.queries.dead_letters(cursor, cause.as_deref(), limit)?;
    let now = service.clock.now_ms();
    let rows: Vec<_> = page.items.iter().map(|letter| row(letter, now)).collect();
    let asked = cause.as_deref().unwrap_or_default();
    let next = page
        .next
        .map(|next| with_parameters("/deadletters", &[("cause", asked), ("before", &next)]));
    let first = with_parameters("/deadletters", &[("cause", asked)]);
    let is_live = before.is_none();
    let empty = match &next {
        Some(_) => "None in the blocks that were searched; “older” looks further back.",
        None => "No dead letters.",
    };
    let body = html! {
        p { "Records that could not become a transaction. Each is kept in the ledger with its cause, the place of the fault and the original bytes." }
        div #causes data-live { (causes(service, asked)) }
        div #list data-live[is_live] {
            (table("Dead letters, newest first", &HEADINGS, &rows, empty))
            (paging((!is_live).then_some(first.as_str()), next.as_deref()))
        }
    };
    let title = "Dead letters".to_owned();
    Ok(Content { title, is_live, body })
}

/// Number of dead letters by cause, each a link to its own list.
pub fn causes(service: &Service, asked: &str) -> Markup {
    let totals = service.queries.world().totals();
    let mut causes: Vec<_> = totals.dead_letters_by_name().collect();
    causes.sort_by_key(|(_, letters)| std::cmp::Reverse(*letters));
    html! {
        ul.kinds {
            @if !asked.is_empty() { li { a href="/deadletters" { "all causes" } } }
            @for (name, letters) in causes {
                li {
                    a href=(with_parameters("/deadletters", &[("cause", name)])) aria-current=[(name == asked).then_some("true")] {
                        span.badge.dead { (name) }
                    }
                    (count(letters))
                }
            }
        }
    }
}

/// A dead letter in a list.
fn row(letter: &DeadLetterSummary, now: i64) -> Row {
    vec![
        cell(link(&address_of_id("deadletters", &letter.id), &letter.id)),
        cell(ago(&letter.time, now)),
        cell(html! { span.badge.dead { (letter.cause) } }),
        cell(html! { @if !letter.place.is_empty() { (name(&letter.place)) } }),
        cell(text(&letter.message)),
    ]
}

/// One dead letter.
pub fn one(
    service: &Service,
    (topic, partition, offset): &(String, String, String),
    given: Parameters,
) -> Made {
    given.finish()?;
    let id = position(&format!("{topic}/{partition}/{offset}/0"))?;
    let letter = service.queries.dead_letter(&id.partition, id.offset)?;
    let now = service.clock.now_ms();
    let summary = &letter.summary;
    let body = html! {
        p.problem { span.badge.dead { (summary.cause) } " " (text(&summary.message)) }
        (facts(&[
            ("Place", html! { @if summary.place.is_empty() { "the record as a whole" } @else { code { (text(&summary.place)) } } }),
            ("Block", html! { a href={ "/blocks/" (summary.block) } { (count(summary.block)) } ", created " (ago(&summary.time, now)) }),
            ("Broker's timestamp", html! { (letter.timestamp.as_deref().unwrap_or("none")) }),
            ("Whole value", html! { (count(letter.value_bytes)) " bytes, SHA-256 " (digest(&letter.digest)) }),
        ]))
        h2 { "Value" }
        (value(&letter))
        h2 { "Key" }
        (bytes(letter.key.as_ref()))
        @if !letter.headers.is_empty() {
            h2 { "Headers" }
            dl.facts {
                @for header in &letter.headers {
                    div { dt { (text(&header.name)) } dd { (bytes(header.value.as_ref())) } }
                }
            }
        }
        h2 { "What to do" }
        p { (help(summary.cause)) }
        p { (link(&with_parameters("/try", &[("letter", &summary.id)]), "Try it again with the running mappings and contracts")) }
    };
    let title = format!("Dead letter {}", summary.id);
    Ok(Content { title, is_live: false, body })
}

fn bytes(view: Option<&BytesView>) -> Markup {
    match view {
        None => html! { p.empty { "none" } },
        Some(BytesView { text: Some(text), .. }) => {
            html! { pre tabindex="0" { code { (json::visible(text)) } } }
        }
        Some(BytesView { base64, .. }) => {
            html! { p { "not UTF-8; base64:" } pre tabindex="0" { code { (base64) } } }
        }
    }
}

/// The original bytes, the failing place marked where it is one in the text.
fn value(letter: &DeadLetterView) -> Markup {
    let text = letter.value.as_ref().and_then(|value| value.text.as_deref());
    let marked = text.and_then(|text| marked(text, &letter.summary.place));
    marked.unwrap_or_else(|| bytes(letter.value.as_ref()))
}

/// A string with the place marked that a rejection names; `None` where that is no place in the text.
pub fn marked(text: &str, place: &str) -> Option<Markup> {
    let (before, from) = text.split_at(place_in(text, place)?);
    let end = from.chars().next().map_or(0, char::len_utf8);
    let (wrong, after) = from.split_at(end);
    Some(html! {
        pre tabindex="0" {
            code {
                (json::visible(before))
                mark { @if wrong.is_empty() { "◂ end" } @else { (json::visible(wrong)) } }
                (json::visible(after))
            }
        }
    })
}

/// The byte that `line L, column C` means, where a place begins so.
fn place_in(text: &str, place: &str) -> Option<usize> {
    let (line, rest) = place.strip_prefix("line ")?.split_once(", column ")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    // A place within something else, such as a payload in base64, is not one of this text.
    let (line, column): (usize, usize) = (line.parse().ok()?, digits.parse().ok()?);
    if rest.len() != digits.len() {
        return None;
    }
    let before = text.split_inclusive('\n').take(line.checked_sub(1)?);
    let at = before.map(str::len).sum::<usize>() + column.checked_sub(1)?;
    let at = at.min(text.len());
    text.is_char_boundary(at).then_some(at)
}

/// The remedy for a cause.
fn help(cause: &str) -> &'static str {
    let cause = Cause::ALL.into_iter().find(|known| known.name() == cause);
    match cause {
        Some(Cause::Empty) => {
            "An empty value is not JSON. A null value (a tombstone) is different: mappings see it as `payload == null`."
        }
        Some(Cause::TooLarge) => {
            "The record is over a limit of `limits.rs`. Send less at a time, or split it at the source."
        }
        Some(
            Cause::NotUtf8 | Cause::NotJson | Cause::DuplicateKey | Cause::TooDeep | Cause::Number,
        ) => "The bytes are not unambiguous JSON. Fix the sender, then send the record again.",
        Some(Cause::Identity | Cause::Envelope) => {
            "Key, headers or envelope do not identify the device. Check `identity` in the configuration, and the gateway's messages."
        }
        Some(
            Cause::MissingField
            | Cause::FieldType
            | Cause::Lookup
            | Cause::Expression
            | Cause::ForEach,
        ) => {
            "A mapping expects another event. Try the bytes on “Try an event”, adapt the mapping, add this event to its tests, and send the record again."
        }
        Some(Cause::PayloadTooLarge | Cause::Limit) => {
            "The mapping's work exceeds a limit. Map less, use fewer loops, or send less at a time."
        }
        None => "Unknown to this version of the program.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_in_the_text() {
        for (text, place, expected) in [
            ("{\"a\": nope}", "line 1, column 7", Some(6)),
            ("{\n  x}", "line 2, column 3", Some(4)),
            ("{", "line 1, column 2", Some(1)),
            ("{", "line 1, column 99", Some(1)),
            ("ä", "line 1, column 2", None),
            ("{}", "line 1, column 1 of the payload", None),
            ("{}", "$.payload.a", None),
            ("{}", "line 0, column 0", None),
            ("{}", "line 18446744073709551616, column 1", None),
        ] {
            assert_eq!(place_in(text, place), expected, "{text} {place}");
        }
    }

    #[test]
    fn every_cause_has_help() {
        for cause in Cause::ALL {
            assert!(!help(cause.name()).contains("does not know"), "{cause}");
        }
    }
}
