//! Streams: the names under which the ledger knows what an input reads.
//!
//! A stream has the name of its topic, with the prefix that the configuration gives to the input. So two
//! inputs may read topics of one name, for instance of two Kafka clusters.

use std::str::FromStr;
use std::sync::Arc;

use crate::event::is_topic;

/// Text in front of the topics of an input; empty in the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamPrefix(Arc<str>);

/// Most bytes of a prefix.
pub const MAX_STREAM_PREFIX_BYTES: usize = 64;

impl FromStr for StreamPrefix {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // `.` and `..` are names of no topic, but good prefixes.
        let is_sound = text.len() <= MAX_STREAM_PREFIX_BYTES && is_topic(&format!("{text}x"));
        let rule = "letters, digits, `.`, `_` and `-`, at most 64";
        is_sound.then(|| Self(text.into())).ok_or(rule)
    }
}

impl StreamPrefix {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True if there is no prefix.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The topic of a stream; `None` where the stream has another prefix.
    #[must_use]
    pub fn topic<'a>(&self, stream: &'a str) -> Option<&'a str> {
        stream.strip_prefix(&*self.0)
    }
}

/// Names of the streams of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamNames {
    /// Exactly these.
    Listed(Vec<String>),
    /// Every topic's name with this prefix: the records say which.
    Prefixed(StreamPrefix),
}

impl StreamNames {
    /// True if a stream of this name belongs to the input.
    #[must_use]
    pub fn contains(&self, stream: &str) -> bool {
        match self {
            Self::Listed(names) => names.iter().any(|name| name == stream),
            Self::Prefixed(prefix) => is_topic(stream) && prefix.topic(stream).is_some(),
        }
    }

    /// A name or prefix that both could give; `None` where no stream can belong to both.
    #[must_use]
    pub fn common<'a>(&'a self, other: &'a Self) -> Option<&'a str> {
        match (self, other) {
            (Self::Listed(mine), _) => {
                mine.iter().map(String::as_str).find(|name| other.contains(name))
            }
            (_, Self::Listed(_)) => other.common(self),
            (Self::Prefixed(mine), Self::Prefixed(theirs)) => {
                let (mine, theirs) = (mine.as_str(), theirs.as_str());
                match mine.len() >= theirs.len() {
                    true => mine.starts_with(theirs).then_some(mine),
                    false => theirs.starts_with(mine).then_some(theirs),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_that_two_inputs_could_both_give_are_found() {
        let listed = |names: &[&str]| {
            StreamNames::Listed(names.iter().map(|name| (*name).to_owned()).collect())
        };
        let prefixed = |prefix: &str| StreamNames::Prefixed(prefix.parse().unwrap());
        let table = [
            (listed(&["a", "b"]), listed(&["c", "b"]), Some("b")),
            (listed(&["a"]), listed(&["b"]), None),
            (listed(&["a"]), prefixed(""), Some("a")),
            (listed(&["a"]), prefixed("f."), None),
            (listed(&["~calls"]), prefixed(""), None),
            (prefixed("f."), prefixed("f.g"), Some("f.g")),
            (prefixed("f."), prefixed("g."), None),
            (prefixed(""), prefixed("g."), Some("g.")),
        ];
        for (one, other, expected) in &table {
            assert_eq!(one.common(other), *expected, "{one:?}, {other:?}");
            assert_eq!(other.common(one), *expected, "{other:?}, {one:?}");
        }
    }

    #[test]
    fn a_prefix_keeps_to_what_a_topic_may_be() {
        for sound in ["", "b.", ".", "a-_", &"x".repeat(MAX_STREAM_PREFIX_BYTES)] {
            assert!(sound.parse::<StreamPrefix>().is_ok(), "{sound}");
        }
        for bad in ["~", "a/", "ä", " ", &"x".repeat(MAX_STREAM_PREFIX_BYTES + 1)] {
            assert!(bad.parse::<StreamPrefix>().is_err(), "{bad}");
        }
    }
}
