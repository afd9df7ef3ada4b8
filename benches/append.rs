//! Submissions of 500 transactions on the embedded ledger, from signing to durable, beside the bare
//! write and sync of the same bytes.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)] // a broken benchmark may stop at once

mod shipped;

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::Arc;

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use shipped::calls::{COUNT, Calls, submit};
use shipped::{Books, Spent, definitions};
use tikv_jemallocator::Jemalloc;

/// The program's own.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Submissions on their way before the oldest is waited for.
const ON_THE_WAY: usize = 8;

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
