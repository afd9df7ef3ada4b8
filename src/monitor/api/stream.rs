//! `/api/v1/stream`: server-sent events.
//!
//! Every event but `status` comes from the log and bears its place there as its id, so a client that
//! was away says the last id it saw (`Last-Event-ID`) and misses nothing. Nothing is kept for a client:
//! the stream reads a block when the events of the one before have been taken, so a slow reader falls
//! behind by itself and holds up nobody.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::sse::{Event, KeepAlive};
use axum::response::{IntoResponse, Sse};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;

use crate::contract::Alerts;
use crate::ledger::{Block, Entry, LedgerReader};
use crate::limits::{MAX_QUEUED_STREAM_EVENTS, STREAM_HEARTBEAT, STREAM_LIFETIME};
use crate::monitor::http::answer::Problem;
use crate::monitor::http::asking::{Answer, App, ask};
use crate::monitor::http::parameter;
use crate::monitor::http::request::Parameters;
use crate::monitor::service::StatusView;
use crate::query::QueryError;
use crate::query::TransactionFilter;
use crate::query::json;
use crate::query::views::{BlockSummary, DeadLetterSummary, TransactionSummary};

/// The most often that a status is sent, and how soon a client should come back.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// And the least often: readiness and lag change without blocks as well.
const STATUS_AT_LEAST_EVERY: Duration = Duration::from_secs(4);

/// Headers that keep proxies from holding events back: nginx buffers answers unless the first one
/// says otherwise, and a proxy that compresses would wait for enough to compress.
const UNBUFFERED: [(HeaderName, &str); 2] = [
    (HeaderName::from_static("x-accel-buffering"), "no"),
    (header::CACHE_CONTROL, "no-cache, no-transform"),
];

/// The events that a client may ask for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Kinds {
    blocks: bool,
    transactions: bool,
    alerts: bool,
    dead_letters: bool,
    status: bool,
}

impl FromStr for Kinds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut kinds = Self::default();
        for name in text.split(',').map(str::trim) {
            match name {
                "block" => kinds.blocks = true,
                "transaction" => kinds.transactions = true,
                "alert" => kinds.alerts = true,
                "dead_letter" => kinds.dead_letters = true,
                "status" => kinds.status = true,
                other => {
                    let known = "block, transaction, alert, dead_letter, status";
                    return Err(format!("there is no event `{other}`; known are {known}"));
                }
            }
        }
        Ok(kinds)
    }
}

/// A place in the log: a block, and how many of its events lie before. In text `block.events`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cursor {
    block: u64,
    events: usize,
}

impl FromStr for Cursor {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        let is_known = |letter: u8| letter.is_ascii_digit() || letter == b'.';
        let parse = |(block, events): (&str, &str)| {
            Some(Self { block: block.parse().ok()?, events: events.parse().ok()? })
        };
        let numbers = text.split_once('.').filter(|_| text.bytes().all(is_known));
        numbers.and_then(parse).ok_or_else(|| {
            let shown = crate::limits::truncated(text, 40);
            QueryError::Malformed(format!("`{shown}` is not an id of an event of this stream"))
        })
    }
}

/// The events that a client asks for.
#[derive(Debug, Clone)]
pub struct Wanted {
    kinds: Kinds,
    filter: TransactionFilter,
    /// Block to begin with.
    from: Option<u64>,
}

/// Takes what a client asks for.
pub fn take(given: &mut Parameters) -> Result<Wanted, QueryError> {
    let kinds = given.parsed(parameter::EVENTS)?;
    let usual = Kinds { blocks: true, alerts: true, dead_letters: true, ..Kinds::default() };
    let filter = given.transaction_filter()?;
    let from = given.parsed(parameter::FROM_BLOCK)?;
    Ok(Wanted { kinds: kinds.unwrap_or(usual), filter, from })
}

/// One event of the log.
struct Happening {
    name: &'static str,
    id: String,
    data: String,
}

/// An alert that a transaction raised or cleared.
#[derive(Debug, Serialize, JsonSchema)]
struct AlertChange<'a> {
    /// `raised` or `cleared`.
    change: &'static str,
    /// Its name.
    alert: &'a str,
    /// Contract of the asset.
    contract: &'a str,
    /// Key of the asset.
    key: &'a str,
    /// Id of the transaction.
    transaction: String,
    /// Time of the event.
    time: String,
}

impl Wanted {
    /// The events of a block behind a place in it. Places count all events, whether asked for or not,
    /// so an id means the same to every client.
    fn events(&self, block: &Block, skip: usize) -> Vec<Happening> {
        let mut events = Vec::new();
        let mut at = 0;
        let mut add = |is_wanted: bool, name, data: &dyn Fn() -> String| {
            at += 1;
            if is_wanted && at > skip {
                let id = format!("{}.{at}", block.header.number);
                events.push(Happening { name, id, data: data() });
            }
        };
        for letter in &block.records.dead_letters {
            let data = || json::to_text(&DeadLetterSummary::new(block, letter));
            add(self.kinds.dead_letters, "dead_letter", &data);
        }
        for (index, entry) in block.numbered_entries() {
            let Entry::Transaction { transaction, verdict, writes } = entry else { continue };
            let is_taken = self.filter.takes(entry);
            let summary = || TransactionSummary::new(index, transaction, (verdict, writes));
            let data = || json::to_text(&summary());
            add(self.kinds.transactions && is_taken, "transaction", &data);
            for write in writes {
                let changes = write.value.as_deref().and_then(Alerts::of_asset);
                let Some(changes) = changes else { continue };
                let lists = [("raised", &changes.raised), ("cleared", &changes.cleared)];
                for (change, names) in lists {
                    for alert in names {
                        let data = || {
                            json::to_text(&AlertChange {
                                change,
                                alert,
                                contract: &transaction.contract,
                                key: &write.key,
                                transaction: transaction.id.to_string(),
                                time: summary().time,
                            })
                        };
                        add(self.kinds.alerts && is_taken, "alert", &data);
                    }
                }
            }
        }
        add(self.kinds.blocks, "block", &|| json::to_text(&BlockSummary::new(block)));
        events
    }
}

/// The schema of the stream: text, and in it the data of each event by the event's name.
pub fn schema(generator: &mut SchemaGenerator) -> Schema {
    let events = [
        ("block", generator.subschema_for::<BlockSummary>()),
        ("transaction", generator.subschema_for::<TransactionSummary>()),
        ("alert", generator.subschema_for::<AlertChange<'_>>()),
        ("dead_letter", generator.subschema_for::<DeadLetterSummary>()),
        ("status", generator.subschema_for::<StatusView>()),
        ("problem", generator.subschema_for::<Problem>()),
    ];
    let events: BTreeMap<_, _> = events.into_iter().collect();
    json_schema!({"type": "string", "x-events": events})
}

/// Answers with the stream.
pub async fn stream(app: App, headers: HeaderMap, wanted: Wanted) -> Answer {
    let last = headers.get(parameter::LAST_EVENT_ID.name).map(|id| id.to_str().unwrap_or_default());
    let height = *app.watched.height().borrow();
    let cursor = match (last, wanted.from) {
        (Some(last), _) => last.parse()?,
        (None, Some(block)) => Cursor { block, events: 0 },
        (None, None) => Cursor { block: height, events: 0 },
    };
    let place = app.places.streams.try_take(app.asker).ok_or_else(|| {
        let detail = "too many streams are open; try again, or ask /api/v1/status instead";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    })?;
    let (sender, receiver) = mpsc::channel(MAX_QUEUED_STREAM_EVENTS);
    let feed = Feed { app, wanted: Arc::new(wanted), cursor, sender };
    tokio::spawn(async move {
        // When its time is over the reader comes back to where it was.
        let _ = timeout(STREAM_LIFETIME, feed.run()).await;
        drop(place);
    });
    let heartbeat = KeepAlive::new().interval(STREAM_HEARTBEAT).text("heartbeat");
    let events = Sse::new(ReceiverStream::new(receiver)).keep_alive(heartbeat);
    Ok((UNBUFFERED, events).into_response())
}

/// Feeds one stream.
struct Feed {
    app: App,
    wanted: Arc<Wanted>,
    cursor: Cursor,
    sender: mpsc::Sender<Result<Event, Infallible>>,
}

/// Why a feed ends before its time: its reader went away, or the endpoint stops.
struct Ended;

impl Feed {
    async fn run(mut self) {
        let hello = Event::default().retry(STATUS_EVERY).comment("ledgerline");
        if self.send(hello).await.is_ok() {
            while self.round().await.is_ok() {}
        }
    }

    async fn send(&self, event: Event) -> Result<(), Ended> {
        self.sender.send(Ok(event)).await.map_err(|_| Ended)
    }

    /// Sends what is new, then waits for more.
    async fn round(&mut self) -> Result<(), Ended> {
        let mut height = self.app.watched.height();
        let known = *height.borrow_and_update();
        while self.cursor.block < known {
            self.block().await?;
        }
        if self.wanted.kinds.status {
            let status = ask(self.app.clone(), |service| Ok(json::to_text(&service.status())));
            if let Ok(status) = status.await {
                self.send(Event::default().event("status").data(status)).await?;
            }
            tokio::time::sleep(STATUS_EVERY).await;
        }
        tokio::select! {
            () = self.sender.closed() => Err(Ended),
            // An error is the end of the one who looks: the endpoint stops.
            changed = timeout(STATUS_AT_LEAST_EVERY, height.changed()) => match changed {
                Ok(changed) => changed.map_err(|_| Ended),
                Err(_) => Ok(()),
            },
        }
    }

    /// Sends the events of the next block.
    async fn block(&mut self) -> Result<(), Ended> {
        let (wanted, Cursor { block, events }) = (Arc::clone(&self.wanted), self.cursor);
        // Streams wait for one another, so that together they leave room for questions.
        let turn = self.app.places.stream_reads.acquire().await.map_err(|_| Ended)?;
        let read = ask(self.app.clone(), move |service| {
            let block = service.queries.ledger().block(block)?;
            Ok(wanted.events(&block, events))
        });
        let read = read.await;
        drop(turn);
        match read {
            Ok(found) => {
                for Happening { name, id, data } in found {
                    self.send(Event::default().event(name).id(id).data(data)).await?;
                }
                self.cursor = Cursor { block: block + 1, events: 0 };
                Ok(())
            }
            Err(problem) if problem.status() == StatusCode::SERVICE_UNAVAILABLE => {
                tokio::time::sleep(STATUS_EVERY).await;
                Ok(())
            }
            Err(problem) => {
                self.send(Event::default().event("problem").data(json::to_text(&problem))).await?;
                Err(Ended)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_kinds_are_read_or_refused() {
        assert_eq!("7.3".parse::<Cursor>().unwrap(), Cursor { block: 7, events: 3 });
        for text in
            ["", "7", "7.", ".3", "a.b", "7.3.1", "-1.0", "+1.0", "1.+0", "99999999999999999999.0"]
        {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
        let kinds: Kinds = "block, alert".parse().unwrap();
        assert_eq!(kinds, Kinds { blocks: true, alerts: true, ..Kinds::default() });
        let error = "block,blocks".parse::<Kinds>().unwrap_err();
        assert!(error.contains("`blocks`") && error.contains("dead_letter"), "{error}");
    }
}
