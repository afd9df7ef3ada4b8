//! The mapping stage: from records to transactions, one thread for some of the partitions.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Duration;

use crate::clock::Clock;
use crate::event::{Record, Rejection, SourcePartition};
use crate::input::{Batch, Generation};
use crate::ledger::{DeadLetter, LastRecord};
use crate::limits::MAX_SUBMISSION_TRANSACTIONS;
use crate::pipeline::reading::Reading;
use crate::pipeline::status::{Stage, Status};
use crate::pipeline::traces::{Noted, Traces};
use crate::transaction::{Encoded, Signer, Submission};

/// A batch on its way to a mapper.
pub struct Polled {
    /// Its records.
    pub batch: Batch,
    /// The reading of its input.
    pub reading: Arc<dyn Reading>,
}

/// Dispositions of consecutive records of one partition.
#[derive(Debug)]
pub struct MappedBatch {
    /// Topic, epoch and partition.
    pub partition: SourcePartition,
    /// The assignment that they were read under.
    pub generation: Generation,
    /// Position before the first record.
    pub from: u64,
    /// Position after the last.
    pub next: u64,
    /// Number of records.
    pub records: u64,
    /// Their transactions, in order; none where each is signed by itself.
    pub transactions: Vec<Encoded>,
    /// The same, each signed by itself.
    pub submissions: Vec<Submission>,
    /// Bytes of all arguments.
    pub argument_bytes: usize,
    /// Offsets of records that no mapping matched.
    pub filtered: Vec<u64>,
    /// Records that were rejected.
    pub dead_letters: Vec<DeadLetter>,
    /// The last record, where there is one.
    pub last: Option<LastRecord>,
    /// Poll time of the batch, on the monotonic clock.
    pub polled: Duration,
    /// The trace of the batch; with the last one if a batch produced several.
    pub noted: Noted,
}

/// Signs each transaction by itself.
#[derive(Debug, Clone)]
pub struct EachSigner {
    /// Name of the ledger, which every signature covers.
    pub ledger: Arc<str>,
    /// The key.
    pub signer: Signer,
}

/// The stage.
pub struct MapStage {
    /// Signs each transaction by itself, where that is wanted; the mappers share the work.
    pub sign_each: Option<EachSigner>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counters of the stage.
    pub status: Arc<Status>,
    /// The recorder of batches.
    pub traces: Traces,
}

impl MapStage {
    /// Runs until the queue is closed or the next stage is gone.
    pub fn run(&self, batches: &Receiver<Polled>, out: &SyncSender<MappedBatch>) {
        while let Ok(Polled { batch, reading }) = batches.recv() {
            let started = self.clock.monotonic();
            let mut noted = self.traces.begin(&batch, &*self.clock);
            let mut mapped = self.empty(&batch, batch.from);
            let mut last = None;
            for record in batch.records() {
                let result = reading.transactions(&record);
                let outputs = result.as_ref().map_or(0, |made| made.as_ref().map_or(0, Vec::len));
                if mapped.transactions.len() + outputs > MAX_SUBMISSION_TRANSACTIONS {
                    noted.count(&mapped);
                    mapped.last = last.as_ref().map(|record| reading.last(record));
                    let full = self.empty(&batch, mapped.next);
                    if !self.hand_on(std::mem::replace(&mut mapped, full), out) {
                        return;
                    }
                }
                mapped.take(&record, result);
                last = Some(record);
            }
            mapped.last = last.as_ref().map(|record| reading.last(record));
            // Offsets behind the last record (a transaction's mark, a compacted record) belong to it.
            mapped.next = batch.next;
            noted.count(&mapped);
            let ended = self.clock.monotonic();
            noted.mapped(started..ended);
            mapped.noted = noted;
            self.status.add(Stage::Map, batch.len(), ended.saturating_sub(started));
            self.status.queued(-1);
            if !self.hand_on(mapped, out) {
                return;
            }
        }
    }

    /// Signs a batch where that is wanted, and hands it on; whether the next stage is still there.
    fn hand_on(&self, mut mapped: MappedBatch, out: &SyncSender<MappedBatch>) -> bool {
        if let Some(EachSigner { ledger, signer }) = &self.sign_each {
            let each = std::mem::take(&mut mapped.transactions).into_iter();
            mapped.submissions = each.map(|one| Submission::sign(ledger, signer, [one])).collect();
        }
        out.send(mapped).is_ok()
    }

    fn empty(&self, batch: &Batch, from: u64) -> MappedBatch {
        MappedBatch {
            partition: batch.partition.clone(),
            generation: batch.generation,
            from,
            next: from,
            records: 0,
            transactions: Vec::with_capacity(batch.len()),
            submissions: Vec::new(),
            argument_bytes: 0,
            filtered: Vec::new(),
            dead_letters: Vec::new(),
            last: None,
            polled: batch.polled,
            noted: Noted::default(),
        }
    }
}

impl MappedBatch {
    /// Number of its transactions, signed or not.
    #[must_use]
    pub fn count(&self) -> usize {
        self.transactions.len() + self.submissions.len()
    }

    fn take(&mut self, record: &Record<'_>, result: Result<Option<Vec<Encoded>>, Rejection>) {
        self.records += 1;
        self.next = record.offset + 1;
        match result {
            Ok(Some(transactions)) => {
                let bytes = |made: &Encoded| made.transaction().arguments.bytes().len();
                self.argument_bytes += transactions.iter().map(bytes).sum::<usize>();
                self.transactions.extend(transactions);
            }
            Ok(None) => self.filtered.push(record.offset),
            Err(rejection) => self.dead_letters.push(DeadLetter::new(record, rejection)),
        }
    }
}
