//! Manual calls: transactions that no device caused but a person whose name stands in them. They go
//! the way of records, from the write loop on, with positions of their own.
//!
//! A call is in the ledger once its block is durable; nothing here keeps it until then.

use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::call::{Arguments, Function};
use crate::clock::Clock;
use crate::codec::Digest;
use crate::event::{DeviceName, SourcePartition, SourcePosition};
use crate::input::{Assignments, Generation};
use crate::ledger::{LastRecord, LedgerReader};
use crate::pipeline::MappedBatch;
use crate::pipeline::mapper::EachSigner;
use crate::pipeline::traces::Noted;
use crate::transaction::{Encoded, OPERATOR_TYPE, Submission, Transaction, call_digest};

/// Timeout of one wait for the ledger.
const WAIT: Duration = Duration::from_millis(20);

/// A call as a person asks for it.
#[derive(Debug, Clone)]
pub struct CallByHand {
    /// The caller. The transaction's device is `operator:NAME`.
    pub caller: String,
    /// Name of the contract.
    pub contract: Arc<str>,
    /// Its function.
    pub function: Function,
    /// Its arguments.
    pub arguments: Arguments,
    /// Time of the call's event, in milliseconds since 1970; now if absent.
    pub time_ms: Option<i64>,
}

impl CallByHand {
    /// Its transaction. No mapping made it, and what it is made of stands in it whole: the record's
    /// digest is over that.
    #[must_use]
    pub fn transaction(&self, id: SourcePosition, now_ms: i64) -> Transaction {
        let time_ms = self.time_ms.unwrap_or(now_ms);
        let mut transaction = Transaction {
            id,
            time_ms,
            device: DeviceName::new(OPERATOR_TYPE, self.caller.as_str()),
            record_digest: Some(Digest::default()),
            value_digest: Digest::default(),
            mapping_digest: Digest::default(),
            contract: self.contract.clone(),
            function: self.function,
            arguments: self.arguments.clone(),
        };
        let asked = call_digest(&transaction);
        (transaction.record_digest, transaction.value_digest) = (Some(asked), asked);
        transaction
    }
}

/// Why a call is not in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// There is no pipeline to take it: not yet, or no more.
    #[error("the service is not accepting calls; nothing was submitted. Try again later")]
    Closed,
    /// No place was free in time.
    #[error("the ledger is too busy to accept the call, so it was not submitted; try again")]
    Busy,
    /// It was handed on, and its block did not come in time.
    #[error(
        "the call {0} was submitted but is not durable yet; check /api/v1/transactions/{0} before sending it again"
    )]
    NotYet(SourcePosition),
}

/// Takes calls in.
pub struct Calls {
    assignments: Arc<Assignments>,
    clock: Arc<dyn Clock>,
    way: Mutex<Option<Way>>,
}

/// The way into an open pipeline.
struct Way {
    out: SyncSender<MappedBatch>,
    sign_each: Option<EachSigner>,
    generation: Generation,
    next: u64,
}

impl Calls {
    /// For a pipeline that is not open yet.
    #[must_use]
    pub fn new(assignments: Arc<Assignments>, clock: Arc<dyn Clock>) -> Self {
        Self { assignments, clock, way: Mutex::new(None) }
    }

    /// Opens the way into a pipeline, behind the last call of the ledger.
    pub(super) fn open(&self, out: SyncSender<MappedBatch>, sign_each: Option<EachSigner>) {
        let (generation, next) = self.assignments.assign(&SourcePartition::calls(), 0);
        *self.way() = Some(Way { out, sign_each, generation, next });
    }

    /// Closes the way, so that the pipeline can come to its end.
    pub(super) fn close(&self) {
        *self.way() = None;
    }

    fn way(&self) -> MutexGuard<'_, Option<Way>> {
        // A panic in between leaves a way whose next call is refused as one that was taken.
        self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings a call into the ledger and waits until its block is durable, at most this long.
    ///
    /// # Errors
    ///
    /// [`CallError`] says whether it was submitted.
    pub fn submit(
        &self,
        call: &CallByHand,
        ledger: &dyn LedgerReader,
        patience: Duration,
    ) -> Result<SourcePosition, CallError> {
        let deadline = self.clock.monotonic() + patience;
        let id = loop {
            if let Some(id) = self.offer(call)? {
                break id;
            }
            if self.clock.monotonic() >= deadline {
                return Err(CallError::Busy);
            }
            std::thread::sleep(WAIT);
        };
        while ledger.block_of_record(&id.partition, id.offset).is_none() {
            if self.clock.monotonic() >= deadline {
                return Err(CallError::NotYet(id));
            }
            ledger.wait_for(ledger.head().height + 1, WAIT);
        }
        Ok(id)
    }

    /// Hands a call on; `None` where no place is free.
    fn offer(&self, call: &CallByHand) -> Result<Option<SourcePosition>, CallError> {
        let mut way = self.way();
        let open = way.as_mut().ok_or(CallError::Closed)?;
        let now_ms = self.clock.now_ms();
        let id =
            SourcePosition { partition: SourcePartition::calls(), offset: open.next, output: 0 };
        let transaction = call.transaction(id.clone(), now_ms);
        let batch = open.batch(transaction.into(), self.clock.monotonic());
        match open.out.try_send(batch) {
            Ok(()) => {
                open.next += 1;
                Ok(Some(id))
            }
            Err(TrySendError::Full(_)) => Ok(None),
            Err(TrySendError::Disconnected(_)) => Err(CallError::Closed),
        }
    }
}

impl Way {
    /// One call as what became of one record.
    fn batch(&self, call: Encoded, polled: Duration) -> MappedBatch {
        let argument_bytes = call.transaction().arguments.bytes().len();
        let last =
            call.transaction().record_digest.map(|digest| LastRecord { offset: self.next, digest });
        let (transactions, submissions) = match &self.sign_each {
            None => (vec![call], Vec::new()),
            Some(EachSigner { ledger, signer }) => {
                (Vec::new(), vec![Submission::sign(ledger, signer, [call])])
            }
        };
        MappedBatch {
            partition: SourcePartition::calls(),
            generation: self.generation,
            from: self.next,
            next: self.next + 1,
            records: 1,
            transactions,
            submissions,
            argument_bytes,
            filtered: Vec::new(),
            dead_letters: Vec::new(),
            last,
            polled,
            noted: Noted::default(),
        }
    }
}
