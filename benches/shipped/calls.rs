//! Calls of a shipped contract, as many as are wanted.

use ledgerline::call::Payload;
use ledgerline::event::{Decoder, DeviceName, RecordDigests, SourcePartition, SourcePosition};
use ledgerline::fleet::{FleetSize, TELEMETRY};
use ledgerline::ledger::{LedgerWriter, Progress, Work};
use ledgerline::mapping::Outcome;
use ledgerline::transaction::{Submission, Transaction};

use super::{Books, LEDGER, definitions, messages, record};

/// Transactions of a submission: the default of `submission.max_transactions`.
pub const COUNT: usize = 500;

/// Calls of the shipped cold chain contract with what a transaction says of each.
pub struct Calls {
    calls: Vec<((i64, DeviceName), RecordDigests, Payload)>,
    next: usize,
}

impl Calls {
    pub fn new() -> Self {
        let (mappings, _) = definitions();
        let (decoder, partition) = (Decoder::default(), SourcePartition::new(TELEMETRY, 0));
        let mut calls = Vec::new();
        for message in messages(FleetSize { containers: 40, kits: 0, machines: 0 }, 10_000) {
            let Ok(event) = decoder.decode(&record(&message, &partition, 0)) else { continue };
            let Outcome::Mapped(payloads) = mappings.evaluate(&event) else { continue };
            let from = (message.timestamp_ms, event.device.name());
            calls.extend(payloads.into_iter().map(|call| (from.clone(), event.digests, call)));
        }
        assert!(calls.len() > 9_000, "only {} calls", calls.len());
        Self { calls, next: 0 }
    }

    /// The transactions of the next submission; their ids go on, their calls come round again.
    pub fn take(&mut self) -> (Vec<Transaction>, Progress) {
        let partition = SourcePartition::new(TELEMETRY, 0);
        let (from, next) = (self.next, self.next + COUNT);
        self.next = next;
        let transaction = |number: usize| {
            let (from, digests, call) = self.calls[number % self.calls.len()].clone();
            let offset = number as u64;
            let id = SourcePosition { partition: partition.clone(), offset, output: 0 };
            Transaction::new(id, from, digests, call)
        };
        let transactions = (from..next).map(transaction).collect();
        let progress = Progress {
            partition: partition.clone(),
            from: from as u64,
            next: next as u64,
            records: COUNT as u64,
            last: None,
        };
        (transactions, progress)
    }
}

/// Signs calls and appends them.
pub fn submit(
    books: &mut Books,
    calls: (Vec<Transaction>, Progress),
) -> Box<dyn ledgerline::ledger::Pending> {
    let submission = Submission::sign(LEDGER, &books.signer, calls.0);
    let work = Work { submissions: vec![submission], progress: vec![calls.1], ..Work::default() };
    books.ledger.append(work).unwrap()
}
