//! Threads between inputs and projections, and the bounded queues between the threads.
//!
//! ```text
//! inputs ─→ mappers (by partition) ─→ write loop ─→ ledger ─→ followers ─→ projections
//!   ↑ ↑                                    │                      │
//!   │ └──────────── pause when full ───────┘                      │
//!   └──────────────── offsets that are durable ───────────────────┘
//! ```
//!
//! Each input has a thread. Records of one partition keep their order: they go through one mapper. A
//! full queue makes the stage in front wait, down to the input, which is paused after a while. Nothing
//! is ever dropped but work of an assignment that has ended, which its next owner reads again.

mod dead_letter_topic;
mod definition_counts;
mod follower;
mod intake;
mod mapper;
mod reading;
pub mod status;
mod topic_counts;
mod traces;
mod write_loop;

pub use dead_letter_topic::DeadLetterTopic;
pub use definition_counts::{DefinitionCounts, Verdicts};
pub use follower::{Follower, catch_up};
pub use mapper::{EachSigner, MapStage};
pub use reading::{Reading, reading};
pub use topic_counts::{FutureEvent, FutureEvents, TopicCounts};
pub use traces::{BatchTrace, Origin, Span, Taken, Traces};
pub use write_loop::SubmissionLimits;

pub(crate) use mapper::{MappedBatch, Polled};
pub(crate) use write_loop::WriteLoop;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use crate::clock::Clock;
use crate::input::{Assignments, Input, InputError, StreamNames};
use crate::ledger::{LedgerError, LedgerReader, LedgerWriter};
use crate::limits::MAX_QUEUED_BATCHES;
use crate::pipeline::intake::{Intake, Needed};
use crate::pipeline::status::Status;
use crate::state::{Projection, StateError};
use crate::transaction::Signer;

/// Name of the threads of inputs.
const INPUT_THREAD: &str = "input";

/// Asks every stage to come to its end; shared with the signal handler.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks for the stop.
    pub fn ask(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it was asked for.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Why a pipeline ended.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// An input cannot go on.
    #[error("the input `{name}` cannot go on")]
    Input {
        /// Its name.
        name: Arc<str>,
        /// Why.
        #[source]
        error: InputError,
    },
    /// The ledger cannot go on.
    #[error("the ledger cannot go on")]
    Ledger(#[from] LedgerError),
    /// A projection cannot go on. The next start builds it again.
    #[error("the {name} projection cannot go on; the next start builds it again from the log")]
    Projection {
        /// Its name.
        name: &'static str,
        /// Why.
        #[source]
        error: StateError,
    },
    /// A thread could not be started.
    #[error("the thread `{0}` could not be started")]
    Thread(&'static str),
    /// A thread has panicked, which is a defect of this program.
    #[error("the thread `{0}` panicked: this is a defect, please report it with the log")]
    Panicked(&'static str),
}

/// An open input and the reading of its records.
pub struct PipelineInput {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// The supplier of records.
    pub input: Box<dyn Input>,
    /// Names of its streams.
    pub streams: StreamNames,
    /// From its records to transactions.
    pub reading: Arc<dyn Reading>,
    /// Whether the service goes on as long as this input has not ended.
    pub keeps_service_alive: bool,
}

/// The parts of a pipeline.
pub struct Pipeline {
    /// The inputs, each on a thread of its own.
    pub inputs: Vec<PipelineInput>,
    /// Positions, shared with the inputs.
    pub assignments: Arc<Assignments>,
    /// Mapping threads.
    pub mapper_threads: usize,
    /// Signs submissions.
    pub signer: Signer,
    /// When a submission is due.
    pub limits: SubmissionLimits,
    /// The ledger's writing side.
    pub writer: Box<dyn LedgerWriter>,
    /// Its reading side.
    pub reader: Arc<dyn LedgerReader>,
    /// Folds that follow the log, each on a thread of its own.
    pub projections: Vec<Arc<dyn Projection>>,
    /// Keeps the newest checkpoint: called once a second while blocks come.
    pub keep: Arc<dyn Fn() + Send + Sync>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// What the stages tell of themselves.
    pub status: Arc<Status>,
    /// Where batches are noted for those who follow them.
    pub traces: Traces,
    /// Asked from outside to stop.
    pub stop: Stop,
}

/// The first failure of any stage; the others then come to their end.
#[derive(Clone)]
struct Failure {
    first: Arc<Mutex<Option<PipelineError>>>,
    stop: Stop,
}

impl Failure {
    fn set(&self, error: impl Into<PipelineError>) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(error.into());
        self.stop.ask();
    }

    fn input(&self, name: &Arc<str>, error: InputError) {
        self.set(PipelineError::Input { name: name.clone(), error });
    }

    fn take(&self) -> Option<PipelineError> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Starts a stage's thread under its name. Where there is none to be had, or where it panics, the
/// failure says so and the other stages come to their end.
fn spawn<'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &'static str,
    failure: &Failure,
    stage: impl FnOnce() + Send + 'scope,
) -> Option<ScopedJoinHandle<'scope, ()>> {
    let of_stage = failure.clone();
    let stage = move || _ = or_panicked(name, &of_stage, stage);
    let thread = Builder::new().name(name.to_owned()).spawn_scoped(scope, stage);
    thread.inspect_err(|_| failure.set(PipelineError::Thread(name))).ok()
}

/// What a stage gives; `None` where it panics, which the failure then says.
fn or_panicked<T>(name: &'static str, failure: &Failure, stage: impl FnOnce() -> T) -> Option<T> {
    // A stage that has panicked is not used any more.
    let result = catch_unwind(AssertUnwindSafe(stage));
    result.inspect_err(|_| failure.set(PipelineError::Panicked(name))).ok()
}

impl Pipeline {
    /// Runs until the inputs end, a stop is asked for, or a stage fails; then drains: what was taken
    /// in becomes durable and applied, and the inputs hear so, before this returns.
    pub fn run(mut self) -> Result<(), PipelineError> {
        let failure = Failure { first: Arc::default(), stop: self.stop.clone() };
        let traces = self.traces.clone();
        let mut intakes = self.intakes();
        std::thread::scope(|scope| self.run_stages(scope, &failure, &mut intakes));
        traces.finish();
        for (name, intake) in &mut intakes {
            let closed = or_panicked(INPUT_THREAD, &failure, || intake.close());
            closed.unwrap_or(Ok(())).unwrap_or_else(|error| failure.input(name, error));
        }
        failure.take().map_or(Ok(()), Err)
    }

    /// One for each input, with its name.
    fn intakes(&mut self) -> Vec<(Arc<str>, Intake)> {
        let inputs = std::mem::take(&mut self.inputs);
        // Where none of them keeps the service alive, all of them do.
        let alive = inputs.iter().filter(|input| input.keeps_service_alive).count();
        let needed = Needed::new(if alive == 0 { inputs.len() } else { alive });
        let intake = |input: PipelineInput| {
            let intake = Intake {
                input: input.input,
                streams: input.streams,
                reading: input.reading,
                keeps_service_alive: input.keeps_service_alive || alive == 0,
                needed: needed.clone(),
                reader: self.reader.clone(),
                clock: self.clock.clone(),
                status: self.status.clone(),
                stop: self.stop.clone(),
            };
            (input.name, intake)
        };
        inputs.into_iter().map(intake).collect()
    }

    fn run_stages<'scope, 'env>(
        self,
        scope: &'scope Scope<'scope, 'env>,
        failure: &Failure,
        intakes: &'env mut [(Arc<str>, Intake)],
    ) {
        let drained = Arc::new(AtomicBool::new(false));
        let (mapped_in, mapped_out) = sync_channel(MAX_QUEUED_BATCHES);
        let queues = self.start_mappers(scope, failure, &mapped_in);
        drop(mapped_in);
        let following = self.start_followers(scope, failure, &drained);
        let write_loop = WriteLoop {
            assignments: self.assignments,
            signer: self.signer,
            limits: self.limits,
            writer: self.writer,
            clock: self.clock.clone(),
            status: self.status.clone(),
        };
        let write_failure = failure.clone();
        let writing = spawn(scope, "write-loop", failure, move || {
            // Ends when every mapper has ended; what was taken in is then durable.
            write_loop.run(&mapped_out).unwrap_or_else(|error| write_failure.set(error));
        });
        let mut reading = Vec::new();
        for (name, intake) in intakes {
            let (queues, of_input) = (queues.clone(), failure.clone());
            reading.extend(spawn(scope, INPUT_THREAD, failure, move || {
                intake.run(&queues).unwrap_or_else(|error| of_input.input(name, error));
            }));
        }
        // Once the last input has ended, the mappers end, then the write loop, then the followers.
        drop(queues);
        // The failure has a panic already.
        for input in reading {
            let _ = input.join();
        }
        let _ = writing.map(ScopedJoinHandle::join);
        drained.store(true, Ordering::SeqCst);
        for follower in following {
            let _ = follower.join();
        }
    }

    fn start_mappers<'scope>(
        &self,
        scope: &'scope Scope<'scope, '_>,
        failure: &Failure,
        out: &SyncSender<MappedBatch>,
    ) -> Vec<SyncSender<Polled>> {
        let mut queues = Vec::new();
        for _ in 0..self.mapper_threads.max(1) {
            let (batches_in, batches_out) = sync_channel(MAX_QUEUED_BATCHES);
            queues.push(batches_in);
            let stage = MapStage {
                sign_each: self.sign_each(),
                clock: self.clock.clone(),
                status: self.status.clone(),
                traces: self.traces.clone(),
            };
            let out = out.clone();
            spawn(scope, "mapper", failure, move || stage.run(&batches_out, &out));
        }
        queues
    }

    fn sign_each(&self) -> Option<EachSigner> {
        let signer =
            || EachSigner { ledger: self.writer.name().into(), signer: self.signer.clone() };
        self.limits.sign_each.then(signer)
    }

    /// The first projection's follower tells the status what it saw.
    fn start_followers<'scope>(
        &self,
        scope: &'scope Scope<'scope, '_>,
        failure: &Failure,
        drained: &Arc<AtomicBool>,
    ) -> Vec<ScopedJoinHandle<'scope, ()>> {
        let mut following = Vec::new();
        for (number, projection) in self.projections.iter().enumerate() {
            let follower = Follower {
                reader: self.reader.clone(),
                projection: projection.clone(),
                clock: self.clock.clone(),
                status: (number == 0).then(|| self.status.clone()),
                holds: self.status.clone(),
                traces: if number == 0 { self.traces.clone() } else { Traces::default() },
                keep: (number == 0).then(|| self.keep.clone()),
            };
            let (failure, drained) = (failure.clone(), drained.clone());
            let name = projection.name();
            following.extend(spawn(scope, name, &failure.clone(), move || {
                follower.run(&drained).unwrap_or_else(|error| match error {
                    // What it could not deliver or save stays in the log for the next start.
                    StateError::Destination(reason) => tracing::error!(reason, "{name} ends"),
                    error @ StateError::NoSpace { .. } => tracing::warn!(%error, "{name} ends"),
                    error => failure.set(PipelineError::Projection { name, error }),
                });
            }));
        }
        following
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_that_panics_is_a_failure_and_asks_the_others_to_stop() {
        let failure = Failure { first: Arc::default(), stop: Stop::default() };
        std::thread::scope(|scope| {
            spawn(scope, "mapper", &failure, || panic!("a panic of this test"));
        });
        assert!(failure.stop.is_asked());
        assert!(matches!(failure.take(), Some(PipelineError::Panicked("mapper"))));
        let failure = Failure { first: Arc::default(), stop: Stop::default() };
        std::thread::scope(|scope| spawn(scope, "mapper", &failure, || ()).is_some());
        assert!(!failure.stop.is_asked() && failure.take().is_none());
    }
}
