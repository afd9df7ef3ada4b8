//! Try an event: a form for a record, and the result of a dry run.

use std::borrow::Cow;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use maud::{Markup, html};

use crate::codec::json::{self, Value};
use crate::contract::Asset;
use crate::event::is_topic;
use crate::mapping::{Example, Mapping};
use crate::monitor::http::request::Parameters;
use crate::monitor::service::Service;
use crate::monitor::ui::parts::{
    address, alert, cell, count, facts, json_block, link, table, text, verdict, with_parameters,
};
use crate::monitor::ui::shell::Content;
use crate::monitor::ui::{Made, changes, letters, position};
use crate::query::QueryError;
use crate::query::json::{to_plain_pretty_text, visible};
use crate::query::trial::{TrialHeader, TrialRequest};
use crate::query::views::{
    BytesView, DeadLetterView, EventView, MappingAnswerView, OutcomeView, TrialTransactionView,
    TrialView, TrialWriteView, time_text,
};

/// The format of the value in the form: text or base64.
const TEXT: &str = "text";
const BASE64: &str = "base64";

/// A record as the form has it: texts, empty where there is nothing.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Fields {
    topic: String,
    partition: String,
    key: String,
    key_form: String,
    headers: String,
    timestamp: String,
    value: String,
    value_form: String,
}

/// The form alone: empty, with the record of a dead letter, or with an example.
pub fn form(service: &Service, mut given: Parameters) -> Made {
    let letter = given.filled("letter")?;
    let (mapping, test) = (given.filled("mapping")?, given.parsed("test")?);
    given.finish()?;
    let (fields, note) = match (letter, mapping) {
        (Some(letter), _) => {
            let id = position(&format!("{letter}/0"))?;
            let letter = service.queries.dead_letter(&id.partition, id.offset)?;
            (Fields::of_letter(&letter), note_of(&letter))
        }
        (None, Some(mapping)) => (example(service, &mapping, test.unwrap_or(0))?, None),
        (None, None) => (first_example(service), None),
    };
    Ok(content(service, &fields, html! { @if let Some(note) = note { p { (note) } } }))
}

/// The form and the result of its dry run.
pub fn tried(service: &Service, mut given: Parameters) -> Made {
    let fields = Fields::take(&mut given)?;
    given.finish()?;
    let show = |view: &TrialView| result(service, view, &fields);
    let tried =
        fields.to_request().and_then(|asked| service.trial.run(&service.queries, asked, show));
    let result = match tried {
        Ok(result) => result,
        // What was filled in stays, beside what is wrong with it.
        Err(QueryError::Malformed(message)) => {
            html! { p.problem role="alert" { (text(&message)) } }
        }
        Err(error) => return Err(error),
    };
    Ok(content(service, &fields, result))
}

fn content(service: &Service, fields: &Fields, result: Markup) -> Content {
    let body = html! {
        p { "A dry run: what the running mappings and contracts would make of a record, given the current state. Nothing is submitted." }
        (examples(service))
        (fill_in(service, fields))
        div #result { (result) }
    };
    let title = "Try an event".to_owned();
    Content { title, is_live: false, body }
}

impl Fields {
    fn take(given: &mut Parameters) -> Result<Self, QueryError> {
        // A browser sends the ends of lines as two characters, whatever was typed.
        let mut text = |name| -> Result<String, QueryError> {
            Ok(given.text(name)?.unwrap_or_default().replace("\r\n", "\n"))
        };
        Ok(Self {
            topic: text("topic")?,
            partition: text("partition")?,
            key: text("key")?,
            key_form: text("key_form")?,
            headers: text("headers")?,
            timestamp: text("timestamp")?,
            value: text("value")?,
            value_form: text("value_form")?,
        })
    }

    fn of_letter(letter: &DeadLetterView) -> Self {
        let (key, key_form) = written(letter.key.as_ref());
        let (value, value_form) = written(letter.value.as_ref());
        let header = |name: &str, value: Option<&BytesView>| {
            let value = value.and_then(|value| value.text.as_deref()).unwrap_or_default();
            format!("{name}: {value}\n")
        };
        let headers = letter.headers.iter();
        let mut id = letter.summary.id.split('/');
        Self {
            topic: id.next().unwrap_or_default().split('@').next().unwrap_or_default().to_owned(),
            partition: id.next().unwrap_or_default().to_owned(),
            key,
            key_form,
            headers: headers.map(|one| header(&one.name, one.value.as_ref())).collect(),
            timestamp: letter.timestamp.clone().unwrap_or_default(),
            value,
            value_form,
        }
    }

    fn of_example(example: Example) -> Self {
        let header = |(name, value): (String, String)| format!("{name}: {value}\n");
        Self {
            topic: example.topic,
            key: example.key.unwrap_or_default(),
            headers: example.headers.into_iter().map(header).collect(),
            timestamp: example.timestamp_ms.map(time_text).unwrap_or_default(),
            value: example.value.map(|value| indented(&value)).unwrap_or_default(),
            ..Self::default()
        }
    }

    fn to_request(&self) -> Result<TrialRequest, QueryError> {
        let refused = |message: String| QueryError::Malformed(message);
        let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let (key, key_base64) = read("key", &self.key, &self.key_form)?;
        let (value, value_base64) = read("value", &self.value, &self.value_form)?;
        let header = |line: &str| {
            let (name, value) = line.split_once(':').ok_or_else(|| {
                refused(format!("`{line}` is not a header; write one per line as `name: value`"))
            })?;
            Ok(TrialHeader { name: name.trim().to_owned(), value: value.trim().to_owned() })
        };
        let lines = self.headers.lines().filter(|line| !line.trim().is_empty());
        Ok(TrialRequest {
            topic: self.topic.trim().to_owned(),
            partition: match self.partition.trim() {
                "" => 0,
                number => number.parse().map_err(|error| {
                    refused(format!("`partition` cannot be `{number}`: {error}"))
                })?,
            },
            key,
            key_base64,
            headers: lines.map(header).collect::<Result<_, QueryError>>()?,
            timestamp: filled(self.timestamp.trim()),
            value,
            value_base64,
        })
    }
}

/// Bytes as a field of the form and how they are written there.
fn written(bytes: Option<&BytesView>) -> (String, String) {
    match bytes {
        None => (String::new(), TEXT.to_owned()),
        // A field of a form would not give back the ends of lines and some controls as they were.
        Some(BytesView { text: Some(text), .. })
            if matches!(visible(&text.replace('\t', " ")), Cow::Borrowed(_)) =>
        {
            (text.clone(), TEXT.to_owned())
        }
        Some(BytesView { base64, .. }) => (base64.clone(), BASE64.to_owned()),
    }
}

type TextOrBase64 = (Option<String>, Option<String>);

fn read(name: &str, text: &str, form: &str) -> Result<TextOrBase64, QueryError> {
    match (text, form) {
        ("", _) => Ok((None, None)),
        (text, "" | TEXT) => Ok((Some(text.to_owned()), None)),
        (text, BASE64) => Ok((None, Some(text.to_owned()))),
        (_, other) => {
            let message = format!("`{name}_form` cannot be `{other}`: known are text and base64");
            Err(QueryError::Malformed(message))
        }
    }
}

/// JSON with a line for each field, as people write it; any other text as it is.
fn indented(value: &str) -> String {
    match json::parse(value.as_bytes()) {
        Ok(read) => to_plain_pretty_text(&read),
        Err(_) => value.to_owned(),
    }
}

fn note_of(letter: &DeadLetterView) -> Option<String> {
    let kept = letter.value.as_ref().and_then(|value| BASE64_STANDARD.decode(&value.base64).ok());
    let is_whole = kept.is_none_or(|kept| kept.len() as u64 >= letter.value_bytes);
    (!is_whole).then(|| {
        format!(
            "The value has {} bytes; the ledger keeps only its beginning, shown here.",
            letter.value_bytes
        )
    })
}

fn find<'a>(service: &'a Service, name: &str) -> Option<&'a Mapping> {
    service.trial.mappings.mappings.iter().find(|mapping| &*mapping.name == name)
}

fn example(service: &Service, mapping: &str, test: usize) -> Result<Fields, QueryError> {
    let found = find(service, mapping).and_then(|mapping| mapping.examples().nth(test));
    found.map(Fields::of_example).ok_or_else(|| {
        QueryError::NotFound(format!("the running mapping `{mapping}` has no test {test}"))
    })
}

/// Something to begin with.
fn first_example(service: &Service) -> Fields {
    let mut mappings = service.trial.mappings.mappings.iter();
    let example = mappings.find_map(|mapping| mapping.examples().next());
    example.map(Fields::of_example).unwrap_or_default()
}

fn examples(service: &Service) -> Markup {
    let examples = service.trial.mappings.mappings.iter().flat_map(|mapping| {
        let tests = mapping.examples().enumerate();
        tests.map(|(number, example)| (mapping.name.clone(), number, example.test))
    });
    html! {
        details {
            summary { "Examples from the mappings' own tests" }
            ul {
                @for (mapping, number, test) in examples {
                    li {
                        (link(
                            &with_parameters("/try", &[("mapping", &mapping), ("test", &number.to_string())]),
                            &format!("{mapping}: {test}"),
                        ))
                    }
                }
            }
        }
    }
}

fn fill_in(service: &Service, fields: &Fields) -> Markup {
    let status = service.assignments.status().into_iter();
    let topics: std::collections::BTreeSet<_> =
        status.map(|status| status.partition.topic).filter(|topic| is_topic(topic)).collect();
    let written_as = |name: &str, chosen: &str| {
        html! {
            label { (name) " encoding"
                select name={ (name) "_form" } {
                    option value=(TEXT) { "text" }
                    option value=(BASE64) selected[chosen == BASE64] { "base64" }
                }
            }
        }
    };
    html! {
        form.fill action="/try" method="post" aria-label="A record" {
            div.search {
                label { "Topic"
                    input name="topic" value=(fields.topic) list="topics" required autocomplete="off";
                }
                datalist #topics { @for topic in topics { option value=(topic) {} } }
                label { "Partition" input name="partition" value=(fields.partition) inputmode="numeric" placeholder="0" autocomplete="off"; }
                label { "Broker's timestamp" input name="timestamp" value=(fields.timestamp) placeholder="2026-01-31T12:00:00Z" autocomplete="off"; }
            }
            label { "Key" textarea name="key" rows="2" spellcheck="false" { "\n" (fields.key) } }
            label { "Value" textarea name="value" rows="9" spellcheck="false" { "\n" (fields.value) } }
            label { "Headers, one per line as name: value"
                textarea name="headers" rows="2" spellcheck="false" { "\n" (fields.headers) }
            }
            div.search {
                (written_as("key", &fields.key_form))
                (written_as("value", &fields.value_form))
                button type="submit" { "Try it" }
            }
        }
    }
}

fn result(service: &Service, view: &TrialView, fields: &Fields) -> Markup {
    let made = view.transactions.len();
    html! {
        h2 { "Result" }
        @match (view.outcome, &view.rejection) {
            (_, Some(rejection)) => {
                p.problem role="alert" {
                    span.badge.dead { (rejection.cause) } " dead letter: " (text(&rejection.message))
                    @if !rejection.place.is_empty() { " (at " code { (text(&rejection.place)) } ")" }
                }
                @if let Some(marked) = letters::marked(&fields.value, &rejection.place) { (marked) }
            }
            (OutcomeView::Filtered, _) => {
                p.finding { span.badge.filtered { "filtered" } " No mapping matches this event: it would be counted and skipped." }
            }
            _ => {
                p.finding.good {
                    @if made == 1 { "One transaction" } @else { (count(made as u64)) " transactions" }
                    ", tried against the state at height " (count(view.height)) "."
                }
            }
        }
        @for transaction in &view.transactions { (transaction_of(service, transaction)) }
        @if view.not_tried > 0 {
            p { (count(view.not_tried as u64)) " more were not tried: the page would be too large." }
        }
        @if let Some(event) = &view.event { (event_of(event)) }
        @if !view.mappings.is_empty() { (mappings_of(&view.mappings)) }
    }
}

/// A transaction as it would be.
pub fn transaction_of(service: &Service, transaction: &TrialTransactionView) -> Markup {
    html! {
        section {
            h3 { (text(&transaction.contract)) "." (transaction.function) }
            p {
                (verdict(transaction.verdict)) " "
                @if let Some(detail) = &transaction.detail { (text(detail)) " " }
                @if let Some(mapping) = &transaction.mapping {
                    "by mapping " (link(&address(&["mappings", mapping]), mapping))
                }
            }
            @for write in &transaction.writes { (write_of(service, &transaction.contract, write)) }
            details open[transaction.writes.is_empty()] {
                summary { "Payload" }
                (json_block(&transaction.arguments))
            }
        }
    }
}

fn write_of(service: &Service, contract: &str, write: &TrialWriteView) -> Markup {
    let value = |asset: Option<&Asset>| -> Option<Value> { json::parse(&asset?.to_bytes()).ok() };
    let (before, after) = (value(write.before.as_ref()), value(write.after.as_ref()));
    let alerts = write.after.as_ref().map(|asset| &asset.alerts);
    let severity = |name: &str| {
        let mut alerts = service.trial.contracts.get(contract)?.alerts();
        alerts.find(|alert| alert.name == name).map(|alert| alert.severity)
    };
    let named = |names: &[String]| html! { @for name in names { (alert(name, severity(name))) } };
    html! {
        p {
            (link(&address(&["state", contract, &write.key]), &write.key))
            @match (&before, &after) {
                (None, _) => " would be a new asset",
                (_, None) => " would be deleted",
                _ => " would change",
            }
            @if let Some(alerts) = alerts {
                @if !alerts.raised.is_empty() { "; raised: " (named(&alerts.raised)) }
                @if !alerts.cleared.is_empty() { "; cleared: " (named(&alerts.cleared)) }
            }
        }
        (changes::table_of(&format!("the event in {}", write.key), (before.as_ref(), after.as_ref())))
    }
}

fn event_of(event: &EventView) -> Markup {
    html! {
        h2 { "Event" }
        (facts(&[
            ("Device type", text(&event.device_type)),
            ("Device id", text(&event.device_id)),
            ("Organisation", text(&event.org)),
            ("Event type", text(&event.event_type)),
            ("Format", text(&event.format)),
            ("Time", html! { (event.time.as_deref().unwrap_or("none")) }),
        ]))
        details { summary { "Payload of the event" } (json_block(&event.payload)) }
    }
}

fn mappings_of(answers: &[MappingAnswerView]) -> Markup {
    let row = |answer: &MappingAnswerView| {
        vec![
            cell(link(&address(&["mappings", &answer.mapping]), &answer.mapping)),
            cell(html! {
                @if answer.matches { span.badge.valid { "match" } }
                @else { span.badge.filtered { "no match" } }
            }),
            cell(html! { @if let Some(reason) = &answer.reason { (text(reason)) } }),
        ]
    };
    let rows: Vec<_> = answers.iter().map(row).collect();
    html! {
        h2 { "Mappings" }
        (table("Mappings and whether they match the event", &["Mapping", "Result", "Reason"], &rows, "No mappings."))
    }
}
