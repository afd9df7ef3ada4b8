//! Submissions of 500 transactions on the embedded ledger, from signing to durable, beside the bare
//! write and sync of the same bytes.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)] // a broken benchmark may stop at once

mod shipped;

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::Arc;

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use ledgerline::call::Payload;
use ledgerline::codec::Digest;
use ledgerline::event::{Decoder, SourcePartition, SourcePosition};
use ledgerline::fleet::{FleetSize, TELEMETRY};
use ledgerline::ledger::{LedgerWriter, Progress, Work};
use ledgerline::mapping::Outcome;
use ledgerline::transaction::{Submission, Transaction};
use shipped::{Books, LEDGER, Spent, definitions, messages, record};

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Transactions of a submission: the default of `submission.max_transactions`.
const COUNT: usize = 500;
/// Submissions on their way before the oldest is waited for.
const ON_THE_WAY: usize = 8;

/// Calls of the shipped cold chain contract with what a transaction says of each.
struct Calls {
    calls: Vec<((i64, String), Digest, Payload)>,
    next: usize,
}

impl Calls {
    fn new() -> Self {
        let (mappings, _) = definitions();
        let (decoder, partition) = (Decoder::default(), SourcePartition::new(TELEMETRY, 0));
        let mut calls = Vec::new();
        for message in messages(FleetSize { containers: 40, kits: 0, machines: 0 }, 10_000) {
            let Ok(event) = decoder.decode(&record(&message, &partition, 0)) else { continue };
            let Outcome::Mapped(payloads) = mappings.evaluate(&event) else { continue };
            let device = format!("{}:{}", event.device.device_type, event.device.id);
            let from = (message.timestamp_ms, device);
            calls
                .extend(payloads.into_iter().map(|call| (from.clone(), event.record_digest, call)));
        }
        assert!(calls.len() > 9_000, "only {} calls", calls.len());
        Self { calls, next: 0 }
    }

    /// The transactions of the next submission; their ids go on, their calls come round again.
    fn take(&mut self) -> (Vec<Transaction>, Progress) {
        let partition = SourcePartition::new(TELEMETRY, 0);
        let (from, next) = (self.next, self.next + COUNT);
        self.next = next;
        let transaction = |number: usize| {
            let (from, digest, call) = self.calls[number % self.calls.len()].clone();
            let offset = number as u64;
            let id = SourcePosition { partition: partition.clone(), offset, output: 0 };
            Transaction::new(id, from, digest, call)
        };
        let transactions = (from..next).map(transaction).collect();
        let progress = Progress {
            partition: partition.clone(),
            from: from as u64,
            next: next as u64,
            records: COUNT as u64,
        };
        (transactions, progress)
    }
}

fn submit(
    books: &mut Books,
    calls: (Vec<Transaction>, Progress),
) -> Box<dyn ledgerline::ledger::Pending> {
    let submission = Submission::sign(LEDGER, &books.signer, calls.0);
    let work = Work { submissions: vec![submission], progress: vec![calls.1], ..Work::default() };
    books.ledger.append(work).unwrap()
}

fn append(criterion: &mut Criterion) {
    let (_, contracts) = definitions();
    let mut books = Books::new(Arc::new(contracts));
    let (mut calls, mut alone, mut queued, mut bare) =
        (Calls::new(), Spent::default(), Spent::default(), Spent::default());
    let mut group = criterion.benchmark_group("append");
    group.throughput(Throughput::Elements(COUNT as u64)).sample_size(20);
    group.sampling_mode(SamplingMode::Flat);
    group.bench_function("500 transactions, one submission after the other", |b| {
        b.iter_custom(|rounds| {
            let mut round = || {
                let calls = calls.take();
                alone.time(|| drop(submit(&mut books, calls).wait().unwrap()))
            };
            (0..rounds).map(|_| round()).sum()
        });
    });
    let mut waiting = VecDeque::new();
    group.bench_function("500 transactions, several submissions on the way", |b| {
        b.iter_custom(|rounds| {
            let mut round = || {
                let calls = calls.take();
                queued.time(|| {
                    waiting.push_back(submit(&mut books, calls));
                    if waiting.len() > ON_THE_WAY {
                        waiting.pop_front().unwrap().wait().unwrap();
                    }
                })
            };
            (0..rounds).map(|_| round()).sum()
        });
    });
    waiting.into_iter().for_each(|pending| drop(pending.wait().unwrap()));
    let counts = books.reader.counts();
    let bytes = usize::try_from(counts.bytes / counts.blocks).unwrap();
    let block = vec![0x5a; bytes];
    let mut file = std::fs::File::create(books.directory.path().join("bare")).unwrap();
    group.bench_function("bare write and sync of as many bytes", |b| {
        b.iter_custom(|rounds| {
            let mut round = || {
                bare.time(|| {
                    file.write_all(&block).unwrap();
                    file.sync_data().unwrap();
                })
            };
            (0..rounds).map(|_| round()).sum()
        });
    });
    group.finish();
    print(bytes, [&alone, &queued, &bare].map(Spent::mean));
}

#[allow(clippy::cast_precision_loss)] // counts far below 2⁵³
fn print(bytes: usize, [alone, queued, bare]: [f64; 3]) {
    println!("a block of {COUNT} transactions: {bytes} bytes");
    println!("bare write and sync: {:.2} ms", bare * 1e3);
    for (name, mean) in [("one after the other", alone), ("several on the way", queued)] {
        println!(
            "{name}: {:.2} ms, {:.0} transactions/s, {:.2} times the bare write and sync",
            mean * 1e3,
            COUNT as f64 / mean,
            mean / bare
        );
    }
}

criterion_group!(benches, append);
criterion_main!(benches);
