//! Manual calls: an input whose records are calls that people make through the API or the pages.
//!
//! The only partition is `~calls/0`. A call is in the ledger once its block is durable; until then
//! nothing keeps it, and its caller waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::call::ManualCall;
use crate::clock::Clock;
use crate::event::{SourcePartition, SourcePosition};
use crate::input::{
    Adapter, Assignments, BatchBuilder, Checking, Content, Generation, Input, InputError,
    InputOptions, Opened, Opening, Polled, StreamNames, StreamPrefix,
};
use crate::limits::MAX_WAITING_CALLS;

/// Pause before a full queue is tried again.
const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(10);

/// Options of the input of manual calls: none so far.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallsForm {}

impl InputOptions for CallsForm {
    fn check(self: Box<Self>, _: &mut Checking<'_>) -> Option<Arc<dyn Adapter>> {
        Some(Arc::new(CallsAdapter))
    }
}

/// Opens the input of manual calls.
#[derive(Debug)]
pub struct CallsAdapter;

impl Adapter for CallsAdapter {
    fn kind(&self) -> &'static str {
        "calls"
    }

    fn streams(&self, _: &StreamPrefix) -> StreamNames {
        StreamNames::Listed(vec![SourcePartition::calls().topic.to_string()])
    }

    fn exclusive(&self) -> Option<&'static str> {
        Some("manual calls")
    }

    fn gives_events(&self) -> bool {
        false
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Opened, InputError> {
        let (input, calls) = CallsInput::new(&opening.assignments, opening.clock.clone());
        let opened = Opened { calls: Some(calls), ..Opened::of(Box::new(input)) };
        Ok(Opened { content: Content::Calls, keeps_service_alive: false, ..opened })
    }
}

/// Why a call is not in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No input takes calls: it has ended.
    #[error("the service is not accepting calls; nothing was submitted. Try again later")]
    Closed,
    /// The configuration has no such input.
    #[error(
        "manual calls are not enabled; nothing was submitted. Add an input with `calls: {{}}` under `inputs`"
    )]
    NotEnabled,
    /// The input did not take it in time.
    #[error("the ledger is too busy to accept the call, so it was not submitted; try again")]
    Busy,
    /// It was taken, and its block was not durable in time.
    #[error(
        "the call {0} was submitted but is not durable yet; check /api/v1/transactions/{0} before sending it again"
    )]
    NotYet(SourcePosition),
}

/// Submits calls to the input.
#[derive(Clone)]
pub struct Calls {
    queue: SyncSender<Submitted>,
    clock: Arc<dyn Clock>,
}

/// A call in the queue.
struct Submitted {
    call: ManualCall,
    /// Set once, by the input that takes the call or by a caller that waits no longer.
    is_claimed: Arc<AtomicBool>,
    position: SyncSender<SourcePosition>,
}

impl Calls {
    /// Waits until the input has taken the call, at most until this moment of the monotonic clock.
    ///
    /// # Errors
    ///
    /// After an error the call is not in the ledger and never will be.
    pub fn offer(
        &self,
        call: &ManualCall,
        deadline: Duration,
    ) -> Result<SourcePosition, CallError> {
        let is_claimed = Arc::new(AtomicBool::new(false));
        let (position, answer) = sync_channel(1);
        let call = call.clone();
        let mut submitted = Submitted { call, is_claimed: is_claimed.clone(), position };
        while let Err(error) = self.queue.try_send(submitted) {
            let TrySendError::Full(back) = error else { return Err(CallError::Closed) };
            if self.clock.monotonic() >= deadline {
                return Err(CallError::Busy);
            }
            submitted = back;
            std::thread::sleep(FULL_QUEUE_PAUSE);
        }
        let left = deadline.saturating_sub(self.clock.monotonic());
        match answer.recv_timeout(left) {
            Ok(position) => Ok(position),
            Err(RecvTimeoutError::Disconnected) => Err(CallError::Closed),
            Err(RecvTimeoutError::Timeout) if !is_claimed.swap(true, Ordering::SeqCst) => {
                Err(CallError::Busy)
            }
            // The input has it in hand.
            Err(RecvTimeoutError::Timeout) => answer.recv().map_err(|_| CallError::Closed),
        }
    }

    /// Time.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }
}

/// The input.
pub struct CallsInput {
    queue: Option<Receiver<Submitted>>,
    clock: Arc<dyn Clock>,
    generation: Generation,
    next: u64,
    is_paused: bool,
}

impl CallsInput {
    /// The input, which goes on behind the last call of the ledger, and the way to submit calls to it.
    #[must_use]
    pub fn new(assignments: &Assignments, clock: Arc<dyn Clock>) -> (Self, Calls) {
        let (sender, queue) = sync_channel(MAX_WAITING_CALLS);
        let (generation, next) = assignments.assign(&SourcePartition::calls(), 0);
        let calls = Calls { queue: sender, clock: clock.clone() };
        (Self { queue: Some(queue), clock, generation, next, is_paused: false }, calls)
    }

    /// The record of a call; `None` where its caller waits no longer.
    fn take(&mut self, submitted: &Submitted) -> Option<Polled> {
        if submitted.is_claimed.swap(true, Ordering::SeqCst) {
            return None;
        }
        let (partition, offset) = (SourcePartition::calls(), self.next);
        let mut batch = BatchBuilder::new(partition.clone(), self.generation, offset);
        let value = submitted.call.encode(self.clock.now_ms());
        batch.push(offset, None, None, Some(&value), std::iter::empty());
        self.next += 1;
        // A caller that went away meanwhile finds the call in the ledger.
        let _ = submitted.position.try_send(SourcePosition { partition, offset, output: 0 });
        Some(Polled::Batch(batch.build()))
    }
}

impl Input for CallsInput {
    fn poll(&mut self, wait: Duration) -> Result<Polled, InputError> {
        let Some(queue) = self.queue.as_ref().filter(|_| !self.is_paused) else {
            std::thread::sleep(wait);
            return Ok(Polled::Idle);
        };
        Ok(match queue.recv_timeout(wait) {
            Ok(submitted) => self.take(&submitted).unwrap_or(Polled::Idle),
            Err(RecvTimeoutError::Timeout) => Polled::Idle,
            Err(RecvTimeoutError::Disconnected) => Polled::End,
        })
    }

    fn pause(&mut self) -> Result<(), InputError> {
        self.is_paused = true;
        Ok(())
    }

    fn resume(&mut self) -> Result<(), InputError> {
        self.is_paused = false;
        Ok(())
    }

    fn durable(&mut self, _: &SourcePartition, _: u64) -> Result<bool, InputError> {
        Ok(true) // callers ask the ledger
    }

    fn stop(&mut self) {
        self.queue = None;
    }

    fn close(&mut self) -> Result<(), InputError> {
        Ok(())
    }
}
