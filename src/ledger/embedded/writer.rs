//! The log's one writer: takes built blocks, makes groups of them durable, publishes them.
//!
//! A full disk is waited out. A failed sync, or a half-written group that cannot be taken back,
//! halts the ledger for good: what is on disk is then not known, and only a new start, which reads
//! it, can tell.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::fault::chain;
use crate::ledger::embedded::executor::BuiltBlock;
use crate::ledger::embedded::log::{AppendError, Location, LogWriter};
use crate::ledger::embedded::shared::Shared;
use crate::ledger::{Entry, LedgerError, Pending, Receipt};
use crate::limits::{MAX_GROUP_BLOCKS, MAX_QUEUED_BLOCKS};
use crate::{clock::Clock, contract::Verdict, ledger::Block};

/// How long a full disk is left alone before the group is tried again.
const FULL_DISK_PAUSE: Duration = Duration::from_millis(500);

struct Job {
    built: BuiltBlock,
    done: mpsc::SyncSender<Arc<Block>>,
}

/// The queue to the writer's thread.
pub struct WriterQueue {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

impl WriterQueue {
    /// Starts the thread.
    pub fn start(
        log: LogWriter,
        shared: Arc<Shared>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LedgerError> {
        let (jobs, queue) = sync_channel(MAX_QUEUED_BLOCKS);
        let for_thread = shared.clone();
        let thread = std::thread::Builder::new()
            .name("ledger-writer".to_owned())
            .spawn(move || Loop { log, shared: for_thread, clock }.run(&queue))
            .map_err(|error| LedgerError::Halted(format!("no thread for the writer: {error}")))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), shared })
    }

    /// Queues a block; waits while the queue is full.
    pub fn push(&self, built: BuiltBlock) -> Result<Box<dyn Pending>, LedgerError> {
        let (done, durable) = mpsc::sync_channel(1);
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(Job { built, done }).is_ok());
        match sent {
            true => Ok(Box::new(PendingBlock { durable, shared: self.shared.clone() })),
            false => Err(self.shared.halted_error()),
        }
    }
}

impl Drop for WriterQueue {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed; the queue's users see a halted ledger.
            let _ = thread.join();
        }
    }
}

struct PendingBlock {
    durable: Receiver<Arc<Block>>,
    shared: Arc<Shared>,
}

impl Pending for PendingBlock {
    fn wait(self: Box<Self>) -> Result<Vec<Receipt>, LedgerError> {
        let block = self.durable.recv().map_err(|_| self.shared.halted_error())?;
        let receipt = |(index, entry): (u64, &Entry)| Receipt {
            id: entry.transaction().map(|transaction| transaction.id.clone()),
            block: block.header.number,
            entry: index,
            verdict: match entry {
                Entry::Transaction { verdict, .. } => verdict.clone(),
                Entry::Definition(_) => Verdict::Valid,
            },
        };
        Ok(block.indexed_entries().map(receipt).collect())
    }
}

struct Loop {
    log: LogWriter,
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
}

impl Loop {
    fn run(mut self, queue: &Receiver<Job>) {
        while let Ok(first) = queue.recv() {
            let mut group = vec![first];
            while group.len() < MAX_GROUP_BLOCKS {
                match queue.try_recv() {
                    Ok(job) => group.push(job),
                    Err(_) => break,
                }
            }
            if let Err(error) = self.commit(&mut group) {
                // Before the group goes: whoever waits for its receipts asks why there are none.
                let reason = chain(&error);
                tracing::error!(reason, "the ledger halts: what is on disk is not known any more");
                self.shared.halt(reason);
                return;
            }
        }
    }

    fn commit(&mut self, group: &mut Vec<Job>) -> Result<(), LedgerError> {
        if self.log.is_full() {
            let first = group.first().map_or(0, |job| job.built.outline.header.number);
            let segment = self.until_space(|log| log.rotate(first))?;
            self.shared.push_segment(segment);
        }
        let payloads: Vec<_> = group.iter().map(|job| job.built.payload.as_slice()).collect();
        let started = self.clock.monotonic();
        let locations = self.until_space(|log| log.append(&payloads))?;
        let took = self.clock.monotonic().saturating_sub(started);
        let bytes = payloads.iter().map(|payload| payload.len() as u64).sum();
        self.shared.count_commit(group.len() as u64, bytes, took);
        for (job, location) in group.drain(..).zip(locations) {
            self.publish(job, location);
        }
        Ok(())
    }

    fn publish(&self, job: Job, location: Location) {
        let block = job.built.block.clone();
        self.shared.publish(job.built, location);
        // Nobody may be waiting for this receipt.
        let _ = job.done.try_send(block);
    }

    /// Repeats a step while the disk is full. Ends with the process only.
    fn until_space<T>(
        &mut self,
        mut step: impl FnMut(&mut LogWriter) -> Result<T, AppendError>,
    ) -> Result<T, LedgerError> {
        loop {
            match step(&mut self.log) {
                Ok(done) => {
                    self.shared.set_full(None);
                    return Ok(done);
                }
                Err(AppendError::NoSpace(error)) => {
                    let reason = chain(&error);
                    if self.shared.set_full(Some(reason.clone())) {
                        tracing::warn!(reason, "the disk is full; intake waits for space");
                    }
                    std::thread::sleep(FULL_DISK_PAUSE);
                }
                Err(AppendError::Fatal(error)) => return Err(error),
            }
        }
    }
}
