//! Work on an existing ledger: checking submissions, applying blocks to the state, verifying the
//! log, rebuilding the state, reading assets as JSON.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)] // a broken benchmark may stop at once

mod shipped;

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use ledgerline::follower::Follower;
use ledgerline::ledger::LedgerReader;
use ledgerline::pipeline::catch_up;
use ledgerline::query::Queries;
use ledgerline::state::{Filter, World};
use ledgerline::transaction::{Encoded, SignatureCheck, Submission};
use ledgerline::verify::{self, Request};
use shipped::calls::{COUNT, Calls, submit};
use shipped::{Books, LEDGER, definitions};
use tikv_jemallocator::Jemalloc;

/// The program's own.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Blocks of the ledger.
const BLOCKS: usize = 100;
/// Contract of the ledger's assets.
const CONTRACT: &str = "cold_chain";

/// A ledger of [`BLOCKS`] submissions, whose state is up to date.
fn filled() -> (Books, u64) {
    let (_, contracts) = definitions();
    let (mut books, mut calls) = (Books::new(Arc::new(contracts)), Calls::new());
    for _ in 0..BLOCKS {
        submit(&mut books, calls.take()).wait().unwrap();
    }
    catch_up(&*books.reader, &*books.world, &mut |_, _| {}).unwrap();
    let entries = books.reader.head().entries;
    (books, entries)
}

fn submissions(criterion: &mut Criterion) {
    let transactions: Vec<Encoded> = Calls::new().take().0.into_iter().map(Into::into).collect();
    let signer = ledgerline::transaction::Signer::from_seed(&[7; 32]);
    let mut group = criterion.benchmark_group("submission of 500");
    group.throughput(Throughput::Elements(COUNT as u64));
    group.bench_function("signed", |b| {
        b.iter_batched(
            || transactions.clone(),
            |transactions| Submission::sign(LEDGER, &signer, transactions),
            BatchSize::SmallInput,
        );
    });
    let signed = Submission::sign(LEDGER, &signer, transactions);
    group.bench_function("checked", |b| {
        b.iter(|| black_box(&signed).verify(LEDGER, &mut SignatureCheck::default()))
    });
    group.finish();
}

fn resting(criterion: &mut Criterion) {
    let (books, entries) = filled();
    let folder = tempfile::tempdir().unwrap();
    let mut group = criterion.benchmark_group("a ledger of 50,000 entries");
    group.throughput(Throughput::Elements(entries)).sample_size(10);
    group.sampling_mode(SamplingMode::Flat);
    let mut round = 0_u32;
    group.bench_function("taken into a new state", |b| {
        b.iter(|| {
            round += 1;
            let path = folder.path().join(format!("state-{round}"));
            let (world, _) = World::open(&path, &*books.reader).unwrap();
            catch_up(&*books.reader, &world, &mut |_, _| {}).unwrap();
            assert_eq!(world.next_block(), books.reader.head().height);
        });
    });
    let directory = books.directory.path().join("ledger");
    let request = Request { directory, ..Request::default() };
    group.bench_function("verified", |b| {
        b.iter(|| assert!(verify::verify(&request, &mut |_, _| {}).unwrap().is_sound()));
    });
    group.finish();

    let queries = Queries::new(books.reader.clone(), books.world.clone());
    let assets = books.world.list(CONTRACT, None, &Filter::default(), (100, 1_000)).unwrap().0;
    let mut keys = assets.iter().map(|asset| asset.key.as_str()).cycle();
    criterion.bench_function("read of an asset, as JSON", |b| {
        b.iter(|| {
            let view = queries.asset(CONTRACT, keys.next().unwrap()).unwrap();
            serde_json::to_vec(&view).unwrap()
        });
    });
}

criterion_group!(benches, submissions, resting);
criterion_main!(benches);
