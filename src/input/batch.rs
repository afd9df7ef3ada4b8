//! A batch of records in one buffer: one allocation for many records.

use std::time::Duration;

use crate::codec::Writer;
use crate::event::{Headers, Record, SourcePartition};
use crate::input::Generation;

/// Records of one partition, in rising order of offsets.
#[derive(Debug)]
pub struct Batch {
    /// Topic, epoch and partition.
    pub partition: SourcePartition,
    /// The assignment it was read under.
    pub generation: Generation,
    /// Position before the batch: the offset that was next.
    pub from: u64,
    /// Position after the batch: its last offset plus one.
    pub next: u64,
    /// Time at which the pipeline polled for it, on the monotonic clock; zero before.
    pub asked: Duration,
    /// Time at which the pipeline received it, on the monotonic clock; zero before.
    pub polled: Duration,
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

#[derive(Debug)]
struct Span {
    offset: u64,
    timestamp_ms: Option<i64>,
    start: usize,
    headers: usize,
    key: Option<usize>,
    value: Option<usize>,
    damage: Option<usize>,
}

impl Batch {
    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// True if it has no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Bytes of all keys, headers and values.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// The records in order.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.spans.iter().map(|span| self.record(span))
    }

    fn record(&self, span: &Span) -> Record<'_> {
        let mut rest = &self.bytes[span.start..];
        let mut take = |len: usize| {
            let (taken, left) = rest.split_at(len);
            rest = left;
            taken
        };
        let headers = Headers::from_encoded(take(span.headers));
        let key = span.key.map(&mut take);
        let value = span.value.map(&mut take);
        // It was written from a string.
        let damage = span.damage.and_then(|len| std::str::from_utf8(take(len)).ok());
        Record {
            partition: &self.partition,
            offset: span.offset,
            timestamp_ms: span.timestamp_ms,
            key,
            value,
            headers,
            damage,
        }
    }
}

/// Collects the records of one partition.
#[derive(Debug)]
pub struct BatchBuilder {
    batch: Batch,
}

impl BatchBuilder {
    /// An empty batch that begins at `from`.
    #[must_use]
    pub fn new(partition: SourcePartition, generation: Generation, from: u64) -> Self {
        let batch = Batch {
            partition,
            generation,
            from,
            next: from,
            asked: Duration::ZERO,
            polled: Duration::ZERO,
            bytes: Vec::new(),
            spans: Vec::new(),
        };
        Self { batch }
    }

    /// Number of records so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// True if nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Bytes so far.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.batch.byte_len()
    }

    /// Position after the last record.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.batch.next
    }

    /// Adds a record. Its offset must not lie below [`BatchBuilder::next`]; the caller checks.
    #[allow(clippy::too_many_arguments)] // the parts of a record, borrowed from wherever they are
    pub fn push<'h>(
        &mut self,
        offset: u64,
        timestamp_ms: Option<i64>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = (&'h str, Option<&'h [u8]>)>,
    ) {
        let start = self.batch.bytes.len();
        let mut writer = Writer::onto(std::mem::take(&mut self.batch.bytes));
        for (name, value) in headers {
            writer.text(name);
            writer.option(value, |w, bytes| w.bytes(bytes));
        }
        let headers = writer.len() - start;
        writer.raw(key.unwrap_or_default());
        writer.raw(value.unwrap_or_default());
        self.batch.bytes = writer.into_bytes();
        let (key, value) = (key.map(<[u8]>::len), value.map(<[u8]>::len));
        self.batch.spans.push(Span {
            offset,
            timestamp_ms,
            start,
            headers,
            key,
            value,
            damage: None,
        });
        self.batch.next = offset + 1;
    }

    /// Marks the last record: the source could not read all of it, for this reason.
    pub fn mark_damaged(&mut self, reason: &str) {
        let Some(span) = self.batch.spans.last_mut() else { return };
        span.damage = Some(reason.len());
        self.batch.bytes.extend_from_slice(reason.as_bytes());
    }

    /// The batch.
    #[must_use]
    pub fn build(self) -> Batch {
        self.batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back() {
        let mut builder = BatchBuilder::new(SourcePartition::new("t", 1), Generation::default(), 5);
        let headers = [("a", Some(b"1".as_slice())), ("b", None)];
        builder.push(5, Some(7), Some(b"key"), Some(b"value"), headers.into_iter());
        builder.push(9, None, None, None, std::iter::empty());
        builder.push(10, None, None, Some(b"{"), std::iter::empty());
        builder.mark_damaged("bad");
        builder.push(11, None, None, Some(b"}"), std::iter::empty());
        let batch = builder.build();
        assert_eq!((batch.from, batch.next, batch.len()), (5, 12, 4));
        let records: Vec<_> = batch.records().collect();
        assert_eq!(records[0].key, Some(b"key".as_slice()));
        assert_eq!(records[0].value, Some(b"value".as_slice()));
        assert_eq!(records[0].headers.iter().collect::<Vec<_>>(), headers);
        assert_eq!(records[0].headers.get("a"), Some(b"1".as_slice()));
        assert_eq!(records[0].headers.get("A"), None);
        assert_eq!(records[0].headers.get_ignoring_case("A"), Some(b"1".as_slice()));
        assert_eq!((records[1].offset, records[1].key, records[1].value), (9, None, None));
        let damages: Vec<_> = records.iter().map(|record| record.damage).collect();
        assert_eq!(damages, [None, None, Some("bad"), None]);
        assert_eq!(records[3].value, Some(b"}".as_slice()));
    }
}
