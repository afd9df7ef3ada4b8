//! Readings: from a record to its transactions, by what the records of its input hold.

use std::sync::Arc;

use crate::call::ManualCall;
use crate::event::{Cause, Decoder, Record, Rejection, SourcePosition};
use crate::input::Content;
use crate::ledger::LastRecord;
use crate::mapping::{MappingSet, Outcome};
use crate::transaction::{Encoded, Transaction};

/// Reads the records of an input.
pub trait Reading: Send + Sync {
    /// The transactions of a record; `None` where no mapping matches.
    fn transactions(&self, record: &Record<'_>) -> Result<Option<Vec<Encoded>>, Rejection>;

    /// The record as the ledger notes the last one of a partition.
    fn last(&self, record: &Record<'_>) -> LastRecord {
        LastRecord::of(record)
    }
}

/// The reading for what the records of an input hold.
#[must_use]
pub fn reading(
    content: Content,
    decoder: Arc<Decoder>,
    mappings: Arc<MappingSet>,
) -> Arc<dyn Reading> {
    match content {
        Content::Events => Arc::new(Mapped { decoder, mappings }),
        Content::Calls => Arc::new(Manual),
    }
}

/// Events of devices.
struct Mapped {
    decoder: Arc<Decoder>,
    mappings: Arc<MappingSet>,
}

impl Reading for Mapped {
    fn transactions(&self, record: &Record<'_>) -> Result<Option<Vec<Encoded>>, Rejection> {
        let event = self.decoder.decode(record)?;
        match self.mappings.evaluate(&event) {
            Outcome::Mapped(payloads) => Ok(Some(Transaction::of_event(&event, payloads))),
            Outcome::NotMatched => Ok(None),
            Outcome::Rejected(rejection) => Err(rejection),
        }
    }
}

/// Calls of people.
struct Manual;

impl Manual {
    fn transaction(record: &Record<'_>) -> Result<Transaction, Rejection> {
        let call = ManualCall::decode(record.value.unwrap_or_default()).map_err(|error| {
            Rejection::new(Cause::Envelope, "", format!("the call cannot be read: {error}"))
        })?;
        let partition = record.partition.clone();
        let id = SourcePosition { partition, offset: record.offset, output: 0 };
        Ok(Transaction::of_call(call, id))
    }
}

impl Reading for Manual {
    fn transactions(&self, record: &Record<'_>) -> Result<Option<Vec<Encoded>>, Rejection> {
        Self::transaction(record).map(|transaction| Some(vec![transaction.into()]))
    }

    /// The digest of a call is over what was asked for, which its transaction holds.
    fn last(&self, record: &Record<'_>) -> LastRecord {
        let digest = Self::transaction(record).ok().and_then(|made| made.record_digest);
        let of_record = || LastRecord::of(record);
        digest.map_or_else(of_record, |digest| LastRecord { offset: record.offset, digest })
    }
}
