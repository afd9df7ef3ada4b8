//! The position of a record in its source.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Stands for the topic of manual calls: no topic of Kafka has such a name.
const CALLS: &str = "~calls";

/// Topic, stream epoch and partition. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourcePartition {
    /// Topic name: letters, digits, `.`, `_` and `-`, at most 249 characters, as Kafka has it; or
    /// `~calls`, which Kafka does not allow, for manual calls.
    pub topic: Arc<str>,
    /// Raised by configuration when a topic was deleted and made again, so that its offsets, which
    /// start at 0 once more, are other positions.
    pub epoch: u32,
    /// Kafka partition.
    pub partition: u32,
}

impl SourcePartition {
    /// A partition of a topic in its first epoch.
    #[must_use]
    pub fn new(topic: &str, partition: u32) -> Self {
        Self { topic: topic.into(), epoch: 0, partition }
    }

    /// The partition of manual calls, of which no source knows.
    #[must_use]
    pub fn calls() -> Self {
        Self::new(CALLS, 0)
    }

    /// True if this is the partition of manual calls.
    #[must_use]
    pub fn is_calls(&self) -> bool {
        *self.topic == *CALLS
    }
}

impl fmt::Display for SourcePartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.topic)?;
        if self.epoch > 0 {
            write!(f, "@{}", self.epoch)?;
        }
        write!(f, "/{}", self.partition)
    }
}

/// One output of one record. In text, `telemetry/3/4812311/0`, it is the transaction's id:
/// topic, partition, offset and output index; `telemetry@1/…` in the second stream epoch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourcePosition {
    /// Topic, epoch and partition.
    pub partition: SourcePartition,
    /// Kafka offset.
    pub offset: u64,
    /// Output of the record, counted from 0.
    pub output: u32,
}

impl fmt::Display for SourcePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.partition, self.offset, self.output)
    }
}

/// A string that is no source position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a transaction id; an id looks like `telemetry/3/4812311/0`: topic, partition, offset, output"
)]
pub struct PositionError(pub String);

impl FromStr for SourcePosition {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        parse(text).ok_or_else(|| PositionError(text.chars().take(300).collect()))
    }
}

fn parse(text: &str) -> Option<SourcePosition> {
    let mut parts = text.rsplitn(4, '/');
    let output = number(parts.next()?)?;
    let offset = number(parts.next()?)?;
    let partition = number(parts.next()?)?;
    let topic = parts.next()?;
    let (topic, epoch) = match topic.split_once('@') {
        None => (topic, 0),
        Some((topic, epoch)) => (topic, number(epoch).filter(|epoch| *epoch > 0)?),
    };
    (is_topic(topic) || topic == CALLS).then(|| SourcePosition {
        partition: SourcePartition { topic: topic.into(), epoch, partition },
        offset,
        output,
    })
}

/// True if Kafka allows this as a topic's name.
#[must_use]
pub fn is_topic(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let is_path = name == "." || name == "..";
    !name.is_empty() && !is_path && name.len() <= 249 && name.chars().all(allowed)
}

/// A decimal number in its one canonical form.
fn number<T: FromStr + ToString>(text: &str) -> Option<T> {
    text.parse::<T>().ok().filter(|number| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        for text in ["telemetry/3/4812311/0", "a.b_c-d@7/0/0/12", "~calls/0/3/0"] {
            assert_eq!(text.parse::<SourcePosition>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "a/1/2",
            "a/1/2/03",
            "a/1/+2/3",
            "a@0/1/2/3",
            "a/b/1/2/3",
            "/1/2/3",
            "ä/1/2/3",
            "~x/1/2/3",
        ] {
            assert!(text.parse::<SourcePosition>().is_err(), "{text}");
        }
    }
}
