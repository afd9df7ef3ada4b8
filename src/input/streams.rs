//! Inputs whose records carry the names of streams instead of topics.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::event::{SourcePartition, StreamPrefix};
use crate::input::{Input, InputError, LastTakenOf, Polled};

impl StreamPrefix {
    /// The stream's partition of a topic's partition.
    pub(super) fn stream<'a>(&self, partition: &'a SourcePartition) -> Cow<'a, SourcePartition> {
        if self.is_empty() {
            return Cow::Borrowed(partition);
        }
        let topic = format!("{}{}", self.as_str(), partition.topic).into();
        Cow::Owned(SourcePartition { topic, ..*partition })
    }

    /// The topic's partition of a stream's partition; `None` where the stream has another prefix.
    pub(super) fn partition(&self, stream: &SourcePartition) -> Option<SourcePartition> {
        if self.is_empty() {
            return Some(stream.clone());
        }
        let topic = self.topic(&stream.topic)?.into();
        Some(SourcePartition { topic, ..*stream })
    }

    /// Asks for the last record of a topic's partition.
    #[must_use]
    pub fn last_taken(&self, of_stream: LastTakenOf) -> LastTakenOf {
        let prefix = self.clone();
        if prefix.is_empty() {
            return of_stream;
        }
        Arc::new(move |partition| of_stream(&prefix.stream(partition)))
    }
}

/// An input whose batches carry the names of streams.
pub(super) struct Prefixed {
    input: Box<dyn Input>,
    prefix: StreamPrefix,
}

impl Prefixed {
    /// Wraps an input, where there is a prefix.
    pub(super) fn wrap(input: Box<dyn Input>, prefix: StreamPrefix) -> Box<dyn Input> {
        match prefix.is_empty() {
            true => input,
            false => Box::new(Self { input, prefix }),
        }
    }
}

impl Input for Prefixed {
    fn poll(&mut self, wait: Duration) -> Result<Polled, InputError> {
        let polled = self.input.poll(wait)?;
        let Polled::Batch(mut batch) = polled else { return Ok(polled) };
        batch.partition = self.prefix.stream(&batch.partition).into_owned();
        Ok(Polled::Batch(batch))
    }

    fn pause(&mut self) -> Result<(), InputError> {
        self.input.pause()
    }

    fn resume(&mut self) -> Result<(), InputError> {
        self.input.resume()
    }

    fn durable(&mut self, stream: &SourcePartition, next: u64) -> Result<bool, InputError> {
        match self.prefix.partition(stream) {
            Some(partition) => self.input.durable(&partition, next),
            None => Ok(true),
        }
    }

    fn stop(&mut self) {
        self.input.stop();
    }

    fn close(&mut self) -> Result<(), InputError> {
        self.input.close()
    }
}
