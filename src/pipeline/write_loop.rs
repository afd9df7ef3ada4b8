//! The write loop: gathers mapped batches, signs submissions, appends them with their progress.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::clock::Clock;
use crate::event::SourcePartition;
use crate::input::{Accepted, Assignments};
use crate::ledger::{DeadLetter, Filtered, LedgerError, LedgerWriter, Pending, Progress, Work};
use crate::limits::{DUE_BLOCK_ITEMS, MAX_BLOCK_DEAD_LETTER_BYTES, MAX_SUBMISSION_TRANSACTIONS};
use crate::pipeline::mapper::MappedBatch;
use crate::pipeline::status::{Stage, Status};
use crate::pipeline::traces::{Noted, Written};
use crate::transaction::{Encoded, Signer, Submission};

/// The limits of a submission: it is sent as soon as one of them is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubmissionLimits {
    /// Transactions, at most [`MAX_SUBMISSION_TRANSACTIONS`].
    pub max_transactions: usize,
    /// Bytes of arguments.
    pub max_bytes: usize,
    /// Time since its first record was taken in.
    pub max_wait: Duration,
    /// True if each transaction is a submission of its own, with a signature of its own. What was
    /// gathered still goes into one block.
    pub sign_each: bool,
}

/// The stage.
pub struct WriteLoop {
    /// Decides which batches are next.
    pub assignments: Arc<Assignments>,
    /// Signs submissions.
    pub signer: Signer,
    /// The limits of a submission.
    pub limits: SubmissionLimits,
    /// The ledger.
    pub writer: Box<dyn LedgerWriter>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counters of the stage.
    pub status: Arc<Status>,
}

impl WriteLoop {
    /// Runs until every mapper has ended; everything taken in is then durable.
    pub fn run(mut self, mapped: &Receiver<MappedBatch>) -> Result<(), LedgerError> {
        let mut gathering = Gathering::default();
        let mut receipts = Receipts::default();
        loop {
            match mapped.recv_timeout(self.wait(&gathering)) {
                Ok(batch) => {
                    if gathering.count() + batch.count() > MAX_SUBMISSION_TRANSACTIONS {
                        self.append(&mut gathering, &mut receipts)?;
                    }
                    self.take(batch, &mut gathering);
                }
                // A halted ledger ends the program, be there more to do or not.
                Err(RecvTimeoutError::Timeout) => self.writer.check()?,
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.is_due(&gathering) {
                self.append(&mut gathering, &mut receipts)?;
            }
            receipts.look(&self.status);
        }
        self.append(&mut gathering, &mut receipts)?;
        receipts.wait(&*self.clock, &self.status)
    }

    fn wait(&self, gathering: &Gathering) -> Duration {
        let Some(since) = gathering.since else { return IDLE_WAIT };
        (since + self.limits.max_wait).saturating_sub(self.clock.monotonic())
    }

    fn is_due(&self, gathering: &Gathering) -> bool {
        gathering.count() >= self.limits.max_transactions
            || gathering.argument_bytes >= self.limits.max_bytes
            || gathering.dead_letter_bytes >= MAX_BLOCK_DEAD_LETTER_BYTES
            || gathering.items() >= DUE_BLOCK_ITEMS
            || gathering
                .since
                .is_some_and(|since| self.clock.monotonic() >= since + self.limits.max_wait)
    }

    fn take(&self, batch: MappedBatch, gathering: &mut Gathering) {
        let positions = batch.from..batch.next;
        match self.assignments.accept(&batch.partition, batch.generation, positions) {
            Accepted::Next => gathering.add(batch, self.clock.monotonic()),
            Accepted::Stale => self.status.count_stale(batch.records),
        }
    }

    fn append(
        &mut self,
        gathering: &mut Gathering,
        receipts: &mut Receipts,
    ) -> Result<(), LedgerError> {
        if gathering.since.is_none() {
            return Ok(());
        }
        let mut gathered = std::mem::take(gathering);
        let started = self.clock.monotonic();
        let (records, polled) = (gathered.records(), gathered.polled);
        let noted = std::mem::take(&mut gathered.noted).into_iter();
        let written: Vec<_> = noted.filter_map(Noted::writing).collect();
        let work = gathered.into_work(self.writer.name(), &self.signer);
        let pending = self.writer.append(work)?;
        let now = self.clock.monotonic();
        self.status.add(Stage::Write, records, now.saturating_sub(started));
        self.status.count_written(records as u64);
        written.iter().for_each(|one| one.written(&(started..now)));
        receipts.0.push_back(Awaited { pending, polled, records: records as u64, written });
        Ok(())
    }
}

/// Blocks whose receipts have not come yet, in the order of the ledger.
#[derive(Default)]
struct Receipts(VecDeque<Awaited>);

struct Awaited {
    pending: Box<dyn Pending>,
    /// Poll time of its first record.
    polled: Duration,
    records: u64,
    /// Its batches of which something is noted.
    written: Vec<Written>,
}

impl Receipts {
    /// Takes note of those that have come.
    fn look(&mut self, status: &Status) {
        while let Some(oldest) = self.0.front_mut() {
            let Some(at) = oldest.pending.durable_at() else { return };
            status.observe_receipts(at.saturating_sub(oldest.polled), oldest.records);
            oldest.written.drain(..).for_each(|one| one.durable(at));
            self.0.pop_front();
        }
    }

    /// Waits for all of them. They come in order, so the newest speaks for all.
    fn wait(mut self, clock: &dyn Clock, status: &Status) -> Result<(), LedgerError> {
        let Some(newest) = self.0.pop_back() else { return Ok(()) };
        newest.pending.wait()?;
        let now = clock.monotonic();
        status.observe_receipts(now.saturating_sub(newest.polled), newest.records);
        newest.written.into_iter().for_each(|one| one.durable(now));
        self.look(status);
        Ok(())
    }
}

/// Sleep of an idle loop.
const IDLE_WAIT: Duration = Duration::from_millis(100);

/// The contents of the next block.
#[derive(Default)]
struct Gathering {
    since: Option<Duration>,
    polled: Duration,
    transactions: Vec<Encoded>,
    submissions: Vec<Submission>,
    argument_bytes: usize,
    dead_letter_bytes: usize,
    letter_items: usize,
    partitions: BTreeMap<SourcePartition, (Progress, Filtered)>,
    dead_letters: Vec<DeadLetter>,
    noted: Vec<Noted>,
}

impl Gathering {
    fn add(&mut self, batch: MappedBatch, now: Duration) {
        if self.since.is_none() {
            (self.since, self.polled) = (Some(now), batch.polled);
        }
        // Each mapper hands its own batches on in order, but not those of the others.
        self.polled = self.polled.min(batch.polled);
        if batch.noted.is_some() {
            self.noted.push(batch.noted);
        }
        self.transactions.extend(batch.transactions);
        self.submissions.extend(batch.submissions);
        self.argument_bytes += batch.argument_bytes;
        self.dead_letter_bytes +=
            batch.dead_letters.iter().map(DeadLetter::kept_bytes).sum::<usize>();
        self.letter_items +=
            batch.dead_letters.iter().map(|one| 1 + one.headers.len()).sum::<usize>();
        self.dead_letters.extend(batch.dead_letters);
        let partition = batch.partition;
        let (progress, filtered) = self.partitions.entry(partition).or_insert_with_key(|key| {
            let (partition, from) = (key.clone(), batch.from);
            let progress = Progress { partition, from, next: from, records: 0, last: None };
            (progress, Filtered { partition: key.clone(), runs: Vec::new() })
        });
        progress.next = batch.next;
        progress.last = batch.last.or(progress.last);
        progress.records += batch.records;
        batch.filtered.into_iter().for_each(|offset| filtered.push(offset));
    }

    /// Transactions, signed or not.
    fn count(&self) -> usize {
        self.transactions.len() + self.submissions.len()
    }

    /// Dead letters with their headers, and runs of filtered records.
    fn items(&self) -> usize {
        let runs = self.partitions.values().map(|(_, filtered)| filtered.runs.len());
        self.letter_items + runs.sum::<usize>()
    }

    fn records(&self) -> usize {
        let records = self.partitions.values().map(|(progress, _)| progress.records).sum::<u64>();
        usize::try_from(records).unwrap_or(usize::MAX)
    }

    fn into_work(self, ledger: &str, signer: &Signer) -> Work {
        let (dead_letters, submissions) = (self.dead_letters, self.submissions);
        let mut work = Work { dead_letters, submissions, ..Work::default() };
        if !self.transactions.is_empty() {
            work.submissions.push(Submission::sign(ledger, signer, self.transactions));
        }
        for (progress, filtered) in self.partitions.into_values() {
            work.progress.push(progress);
            if !filtered.runs.is_empty() {
                work.filtered.push(filtered);
            }
        }
        work
    }
}
