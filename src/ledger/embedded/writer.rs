//! The log's one writer: takes built blocks, makes groups of them durable, publishes them.
//!
//! A full disk is waited out. A failed sync, or a half-written group that cannot be taken back,
//! halts the ledger for good: what is on disk is then not known, and only a new start, which reads
//! it, can tell.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::diagnostic::chain;
use crate::ledger::embedded::executor::BuiltBlock;
use crate::ledger::embedded::log::{AppendError, Location, LogWriter};
use crate::ledger::embedded::reader::EmbeddedReader;
use crate::ledger::{Entry, LedgerError, Pending, Receipt};
use crate::limits::{MAX_GROUP_BLOCKS, MAX_QUEUED_BLOCKS};
use crate::{clock::Clock, contract::Verdict, ledger::Block};

/// Pause on a full disk before the group is tried again.
const FULL_DISK_PAUSE: Duration = Duration::from_millis(500);

struct Job {
    built: BuiltBlock,
    done: mpsc::SyncSender<Done>,
}

/// A block that is durable, and since when, on the monotonic clock.
struct Done {
    block: Arc<Block>,
    at: Duration,
}

/// The queue to the writer.
pub struct WriterQueue {
    way: Way,
    shared: Arc<EmbeddedReader>,
}

/// The thread that makes queued blocks durable.
enum Way {
    /// A thread, as soon as there are some.
    Thread { jobs: Option<SyncSender<Job>>, thread: Option<JoinHandle<()>> },
    /// Whoever waits for one or asks for it.
    Steps(Arc<Mutex<Steps>>),
}

impl WriterQueue {
    /// Starts the thread.
    pub fn start(
        log: LogWriter,
        shared: Arc<EmbeddedReader>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LedgerError> {
        let (jobs, queue) = sync_channel(MAX_QUEUED_BLOCKS);
        let committer = Committer { log, shared: shared.clone(), clock };
        let thread = std::thread::Builder::new()
            .name("ledger-writer".to_owned())
            .spawn(move || committer.run(&queue))
            .map_err(|error| {
                LedgerError::Halted(format!("cannot start the writer thread: {error}"))
            })?;
        Ok(Self { way: Way::Thread { jobs: Some(jobs), thread: Some(thread) }, shared })
    }

    /// A queue without a thread.
    #[must_use]
    pub fn stepped(log: LogWriter, shared: Arc<EmbeddedReader>, clock: Arc<dyn Clock>) -> Self {
        let committer = Committer { log, shared: shared.clone(), clock };
        let steps = Steps { queue: VecDeque::new(), committer: Some(committer) };
        Self { way: Way::Steps(Arc::new(Mutex::new(steps))), shared }
    }

    /// Queues a block; waits while the queue is full.
    pub fn push(&self, built: BuiltBlock) -> Result<Box<dyn Pending>, LedgerError> {
        let (done, waiting) = mpsc::sync_channel(1);
        let job = Job { built, done };
        let (sent, steps) = match &self.way {
            Way::Thread { jobs, .. } => {
                (jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok()), None)
            }
            Way::Steps(steps) => (lock(steps).push(job), Some(steps.clone())),
        };
        match sent {
            true => {
                let shared = self.shared.clone();
                Ok(Box::new(PendingBlock { waiting, done: None, shared, steps }))
            }
            false => Err(self.shared.halted_error()),
        }
    }

    /// Makes one group of queued blocks durable, where no thread does that. Whether there was one.
    pub fn step(&self) -> bool {
        match &self.way {
            Way::Thread { .. } => false,
            Way::Steps(steps) => lock(steps).step(),
        }
    }
}

impl Drop for WriterQueue {
    fn drop(&mut self) {
        if let Way::Thread { jobs, thread } = &mut self.way {
            *jobs = None;
            if let Some(thread) = thread.take() {
                // A panic there has been printed; the queue's users see a halted ledger.
                let _ = thread.join();
            }
        }
    }
}

/// Blocks that wait for a step.
struct Steps {
    queue: VecDeque<Job>,
    /// `None` once it has halted.
    committer: Option<Committer>,
}

fn lock(steps: &Mutex<Steps>) -> MutexGuard<'_, Steps> {
    steps.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Steps {
    fn push(&mut self, job: Job) -> bool {
        if self.queue.len() >= MAX_QUEUED_BLOCKS {
            self.step();
        }
        let goes_on = self.committer.is_some();
        if goes_on {
            self.queue.push_back(job);
        }
        goes_on
    }

    fn step(&mut self) -> bool {
        let count = self.queue.len().min(MAX_GROUP_BLOCKS);
        let mut group: Vec<_> = self.queue.drain(..count).collect();
        if group.is_empty() {
            return false;
        }
        if !self.committer.as_mut().is_some_and(|committer| committer.goes_on(&mut group)) {
            self.committer = None;
            self.queue.clear();
        }
        true
    }
}

struct PendingBlock {
    waiting: Receiver<Done>,
    /// Once it was asked for.
    done: Option<Done>,
    shared: Arc<EmbeddedReader>,
    steps: Option<Arc<Mutex<Steps>>>,
}

impl Pending for PendingBlock {
    fn wait(self: Box<Self>) -> Result<Vec<Receipt>, LedgerError> {
        if let Some(steps) = &self.steps {
            // Blocks become durable in order, so nothing stays behind that came before this one.
            while lock(steps).step() {}
        }
        let done = match self.done {
            Some(done) => done,
            None => self.waiting.recv().map_err(|_| self.shared.halted_error())?,
        };
        let block = done.block;
        let receipt = |(index, entry): (u64, &Entry)| Receipt {
            id: entry.transaction().map(|transaction| transaction.id.clone()),
            block: block.header.number,
            entry: index,
            verdict: match entry {
                Entry::Transaction { verdict, .. } => verdict.clone(),
                Entry::Definition(_) => Verdict::Valid,
            },
        };
        Ok(block.numbered_entries().map(receipt).collect())
    }

    fn durable_at(&mut self) -> Option<Duration> {
        if self.done.is_none() {
            self.done = self.waiting.try_recv().ok();
        }
        self.done.as_ref().map(|done| done.at)
    }
}

/// Makes groups of blocks durable and publishes them.
struct Committer {
    log: LogWriter,
    shared: Arc<EmbeddedReader>,
    clock: Arc<dyn Clock>,
}

impl Committer {
    fn run(mut self, queue: &Receiver<Job>) {
        while let Ok(first) = queue.recv() {
            let mut group = vec![first];
            while group.len() < MAX_GROUP_BLOCKS {
                match queue.try_recv() {
                    Ok(job) => group.push(job),
                    Err(_) => break,
                }
            }
            if !self.goes_on(&mut group) {
                return;
            }
        }
    }

    /// Commits a group. After a failure the committer must not be used again.
    fn goes_on(&mut self, group: &mut Vec<Job>) -> bool {
        let Err(error) = self.commit(group) else { return true };
        // Before the group goes: whoever waits for its receipts asks why there are none.
        let reason = chain(&error);
        tracing::error!(reason, "the ledger halts: the state of the disk is unknown");
        self.shared.halt(reason);
        false
    }

    fn commit(&mut self, group: &mut Vec<Job>) -> Result<(), LedgerError> {
        if self.log.is_full() {
            let first = group.first().map_or(0, |job| job.built.outline.header.number);
            let segment = self.until_space(|log| log.rotate(first))?;
            self.shared.push_segment(segment);
        }
        let payloads: Vec<_> = group.iter().map(|job| job.built.payload.as_slice()).collect();
        let started = self.clock.monotonic();
        let (locations, bytes) = self.until_space(|log| log.append(&payloads))?;
        let took = self.clock.monotonic().saturating_sub(started);
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
        let _ = job.done.try_send(Done { block, at: self.clock.monotonic() });
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
                        tracing::warn!(reason, "the disk is full; ingestion waits for space");
                    }
                    self.clock.sleep(FULL_DISK_PAUSE);
                }
                Err(AppendError::Fatal(error)) => return Err(error),
            }
        }
    }
}
