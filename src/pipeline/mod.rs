//! Threads between inputs and followers, and the bounded queues between the threads.
//!
//! ```text
//! inputs ─→ mappers (by partition) ─→ write loop ─→ ledger ─→ followers
//!   ↑ ↑                                    │           │
//!   │ └──────────── pause when full ───────┘           │
//!   └──────────────── offsets that are durable ────────┘
//! ```
//!
//! Each input has a thread. Records of one partition keep their order: they go through one mapper. A
//! full queue makes the stage in front wait, down to the input, which is paused after a while. Nothing
//! is ever dropped but work of an assignment that has ended, which its next owner reads again.

mod dead_letter_topic;
mod definition_counts;
mod driver;
mod followers;
mod intake;
mod mapper;
mod observer;
mod reading;
pub mod status;
mod topic_counts;
mod traces;
mod write_loop;

pub use dead_letter_topic::DeadLetterTopic;
pub use definition_counts::{DefinitionCounts, Verdicts};
pub use driver::{FollowerDriver, catch_up};
pub use followers::{Followers, Following, Hold};
pub use mapper::{EachSigner, MapStage};
pub use observer::{CheckpointCopy, Observer, state_observers};
pub use reading::{Reading, reading};
pub use topic_counts::{FutureEvent, FutureEvents, TopicCounts};
pub use traces::{BatchTrace, Origin, Span, Taken, Traces};
pub use write_loop::SubmissionLimits;

pub(crate) use mapper::{MappedBatch, Polled};
pub(crate) use write_loop::WriteLoop;

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use crate::clock::Clock;
use crate::follower::FollowerError;
use crate::input::{Assignments, Input, InputError, StreamNames};
use crate::ledger::{LedgerError, LedgerReader, LedgerWriter};
use crate::limits::MAX_QUEUED_BATCHES;
use crate::pipeline::intake::{Intake, Needed};
use crate::pipeline::status::Status;
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

    /// True if it was asked for.
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
    #[error("the ledger cannot continue")]
    Ledger(#[from] LedgerError),
    /// An essential follower cannot go on. The next start takes it up again from its savepoint.
    #[error(
        "follower `{name}` cannot go on; the next start takes it up from its savepoint or the log"
    )]
    Follower {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        error: FollowerError,
    },
    /// Two followers have one name, so that nobody could tell them apart.
    #[error("two followers have the name `{0}`: give one of them another")]
    SharedName(String),
    /// A thread could not be started.
    #[error("the thread `{0}` could not be started")]
    Thread(Cow<'static, str>),
    /// A thread has panicked, which is a defect of this program.
    #[error("the thread `{0}` panicked: this is a defect, please report it with the log")]
    Panicked(Cow<'static, str>),
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
    /// True if the service goes on as long as this input has not ended.
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
    /// Limits at which a submission is sent.
    pub limits: SubmissionLimits,
    /// The ledger's writing side.
    pub writer: Box<dyn LedgerWriter>,
    /// Its reading side.
    pub reader: Arc<dyn LedgerReader>,
    /// The followers of the log, each on its own thread.
    pub followers: Arc<Followers>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counters of the stages.
    pub status: Arc<Status>,
    /// The recorder of batches, for tracing.
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
    name: impl Into<Cow<'static, str>>,
    failure: &Failure,
    stage: impl FnOnce() + Send + 'scope,
) -> Option<ScopedJoinHandle<'scope, ()>> {
    let name = name.into();
    let (of_stage, own_name) = (failure.clone(), name.clone());
    let stage = move || _ = or_panicked(own_name, &of_stage, stage);
    let thread = Builder::new().name(name.to_string()).spawn_scoped(scope, stage);
    thread.inspect_err(|_| failure.set(PipelineError::Thread(name))).ok()
}

/// The result of a stage; `None` if it panics, which is then recorded as the failure.
fn or_panicked<T>(
    name: impl Into<Cow<'static, str>>,
    failure: &Failure,
    stage: impl FnOnce() -> T,
) -> Option<T> {
    // A stage that has panicked is not used any more.
    let result = catch_unwind(AssertUnwindSafe(stage));
    result.inspect_err(|_| failure.set(PipelineError::Panicked(name.into()))).ok()
}

/// Ends the inputs, all at the same time: each may wait for a broker.
fn close<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    failure: &Failure,
    intakes: &'env mut [(Arc<str>, Intake)],
) {
    for (name, intake) in intakes {
        let of_input = failure.clone();
        spawn(scope, INPUT_THREAD, failure, move || {
            intake.close().unwrap_or_else(|error| of_input.input(name, error));
        });
    }
}

impl Pipeline {
    /// Runs until the inputs end, a stop is asked for, or a stage fails; then drains: what was taken
    /// in becomes durable and applied, and the inputs hear so, before this returns.
    pub fn run(mut self) -> Result<(), PipelineError> {
        if let Some(name) = self.followers.shared_name() {
            return Err(PipelineError::SharedName(name));
        }
        let failure = Failure { first: Arc::default(), stop: self.stop.clone() };
        let traces = self.traces.clone();
        let mut intakes = self.intakes();
        std::thread::scope(|scope| self.run_stages(scope, &failure, &mut intakes));
        traces.finish();
        std::thread::scope(|scope| close(scope, &failure, &mut intakes));
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
                match intake.run(&queues) {
                    Ok(()) => tracing::info!(input = %name, "the input has ended"),
                    Err(error) => of_input.input(name, error),
                }
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

    fn start_followers<'scope>(
        &self,
        scope: &'scope Scope<'scope, '_>,
        failure: &Failure,
        drained: &Arc<AtomicBool>,
    ) -> Vec<ScopedJoinHandle<'scope, ()>> {
        let mut threads = Vec::new();
        for following in self.followers.all() {
            let name = following.follower().name().to_owned();
            let (reader, clock) = (self.reader.clone(), self.clock.clone());
            let driver = FollowerDriver { reader, following, clock };
            let (of_driver, drained) = (failure.clone(), drained.clone());
            threads.extend(spawn(scope, name.clone(), failure, move || {
                let failed = |error| of_driver.set(PipelineError::Follower { name, error });
                driver.run(&drained).unwrap_or_else(failed);
            }));
        }
        threads
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
        assert!(matches!(failure.take(), Some(PipelineError::Panicked(name)) if name == "mapper"));
        let failure = Failure { first: Arc::default(), stop: Stop::default() };
        std::thread::scope(|scope| spawn(scope, "mapper", &failure, || ()).is_some());
        assert!(!failure.stop.is_asked() && failure.take().is_none());
    }
}
