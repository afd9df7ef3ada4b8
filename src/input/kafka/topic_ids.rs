//! Ids of topics, which distinguish a recreated topic from the one that is being read.
//!
//! The client library takes in a new id before it fetches by it, and goes on at the old position. It
//! tells of the new id in its log only, from its own thread, so every record of the new topic comes
//! to a poll after that line. Fetching by id needs brokers of Kafka 3.1 or later.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

/// The part of the library's log that tells of ids.
const PART: &str = "metadata";
/// The id of a broker that knows none, as the library writes it.
const NONE: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// A topic that has another id than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewId {
    pub(super) topic: String,
    pub(super) former: String,
    pub(super) present: String,
}

/// The ids of all topics so far. Has a lock of its own that is never held while the library is
/// called: the library holds its own locks when it logs.
#[derive(Debug, Default)]
pub(super) struct TopicIds {
    state: Mutex<State>,
    has_news: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    ids: BTreeMap<String, String>,
    news: Vec<NewId>,
}

/// Lets the library log the ids of topics.
pub(super) fn log_ids(config: &mut ClientConfig) {
    let parts = config.get("debug").unwrap_or_default();
    let is_logged = parts.split(',').any(|part| [PART, "all"].contains(&part.trim()));
    let parts = match (parts.trim().is_empty(), is_logged) {
        (_, true) => parts.to_owned(),
        (true, false) => PART.to_owned(),
        (false, false) => format!("{parts},{PART}"),
    };
    config.set("debug", parts).set_log_level(RDKafkaLogLevel::Debug);
}

impl TopicIds {
    /// Takes in a line of the library's log, which may tell the id of a topic.
    pub(super) fn observe(&self, line: &str) {
        let Some((topic, present)) = id_of(line) else { return };
        let mut state = self.lock();
        let former = state.ids.insert(topic.to_owned(), present.to_owned());
        if let Some(former) = former.filter(|former| former != present) {
            let (topic, present) = (topic.to_owned(), present.to_owned());
            state.news.push(NewId { topic, former, present });
            self.has_news.store(true, Ordering::SeqCst);
        }
    }

    /// The topics that were given another id since the last call.
    pub(super) fn take_news(&self) -> Vec<NewId> {
        match self.has_news.swap(false, Ordering::SeqCst) {
            true => std::mem::take(&mut self.lock().news),
            false => Vec::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The topic and its new id, where a line of the library's log tells one.
fn id_of(line: &str) -> Option<(&str, &str)> {
    let (before, ids) = line.split_once(" changed id from ")?;
    let (_, topic) = before.rsplit_once("Topic ")?;
    let (_, present) = ids.split_once(" to ")?;
    let present = present.trim();
    (present != NONE).then_some((topic, present))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(topic: &str, from: &str, to: &str) -> String {
        format!("[thrd:main]: Topic {topic} changed id from {from} to {to}")
    }

    #[test]
    fn another_id_is_news_once_and_the_first_one_is_none() {
        let ids = TopicIds::default();
        let news = |line: &str| {
            ids.observe(line);
            let news = ids.take_news().into_iter();
            news.map(|one| [one.topic, one.former, one.present].join(" ")).collect::<Vec<_>>()
        };
        let (a, b) = ("0CVtCQbyQoqyVz7nmb1tCw", "xZQdRtE1TjqxMjWuhIDfzQ");
        assert_eq!(news(&line("t", NONE, a)), [""; 0], "the first id");
        assert_eq!(news(&line("u", NONE, b)), [""; 0], "another topic");
        assert_eq!(news(&line("t", NONE, a)), [""; 0], "the library forgot it in between");
        assert_eq!(news(&line("t", a, NONE)), [""; 0], "a broker that knows no ids");
        assert_eq!(news("[thrd:main]: Topic t [0] Leader 1 Epoch 0"), [""; 0]);
        assert_eq!(news(&line("t", NONE, b)), [format!("t {a} {b}")]);
        assert_eq!(news(&line("t", b, b)), [""; 0]);
    }

    #[test]
    fn what_the_user_logs_stays() {
        let table = [
            (None, "metadata"),
            (Some("fetch"), "fetch,metadata"),
            (Some("metadata, fetch"), "metadata, fetch"),
            (Some("all"), "all"),
        ];
        for (debug, expected) in table {
            let mut config = ClientConfig::new();
            if let Some(debug) = debug {
                config.set("debug", debug);
            }
            log_ids(&mut config);
            assert_eq!(config.get("debug"), Some(expected));
        }
    }
}
