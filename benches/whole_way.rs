//! The whole way within the process: records in memory, through the shipped mappings and contracts,
//! to durable and applied; beside decoding the same records alone.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)] // a broken benchmark may stop at once

mod shipped;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use ledgerline::clock::Clock;
use ledgerline::contract::ContractSet;
use ledgerline::event::{Decoder, SourcePartition};
use ledgerline::fleet::{FleetSize, Message};
use ledgerline::follower::Follower;
use ledgerline::input::{
    Assignments, Batch, BatchBuilder, Content, Input, InputError, Polled, StreamNames, StreamPrefix,
};
use ledgerline::ledger::LedgerReader;
use ledgerline::mapping::MappingSet;
use ledgerline::pipeline::status::Status;
use ledgerline::pipeline::{
    Followers, Pipeline, PipelineInput, Stop, SubmissionLimits, Traces, reading, state_observers,
};
use shipped::{Books, Spent, definitions, messages, record};
use tikv_jemallocator::Jemalloc;

/// The program's own.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

const RECORDS: usize = 20_000;
const PARTITIONS: u16 = 4;
/// Records of a batch, as many as Kafka gives at this speed.
const BATCH: usize = 500;
const FLEET: FleetSize = FleetSize { containers: 40, kits: 10, machines: 10 };

/// Batches in memory.
struct Memory(std::vec::IntoIter<Batch>);

impl Memory {
    fn new(messages: &[Message], assignments: &Assignments) -> Self {
        let (mut open, mut full) = (BTreeMap::<_, BatchBuilder>::new(), Vec::new());
        for message in messages {
            let place = (message.topic, message.partition(PARTITIONS));
            let builder = open.entry(place).or_insert_with(|| {
                let partition = SourcePartition::new(place.0, u32::from(place.1));
                let (generation, from) = assignments.assign(&partition, 0);
                BatchBuilder::new(partition, generation, from)
            });
            let (time, value) = (Some(message.timestamp_ms), message.value.as_deref());
            let no_headers = std::iter::empty();
            builder.push(builder.next(), time, Some(&message.key), value, no_headers);
            if builder.len() == BATCH {
                let batch = open.remove(&place).unwrap().build();
                let (partition, generation) = (batch.partition.clone(), batch.generation);
                open.insert(place, BatchBuilder::new(partition, generation, batch.next));
                full.push(batch);
            }
        }
        let rest = open.into_values().filter(|builder| !builder.is_empty());
        full.extend(rest.map(BatchBuilder::build));
        Self(full.into_iter())
    }
}

impl Input for Memory {
    fn poll(&mut self, _wait: Duration) -> Result<Polled, InputError> {
        Ok(self.0.next().map_or(Polled::End, Polled::Batch))
    }

    fn pause(&mut self) -> Result<(), InputError> {
        Ok(())
    }

    fn resume(&mut self) -> Result<(), InputError> {
        Ok(())
    }

    fn durable(&mut self, _partition: &SourcePartition, _next: u64) -> Result<bool, InputError> {
        Ok(true)
    }

    fn close(&mut self) -> Result<(), InputError> {
        Ok(())
    }
}

/// A pipeline between these records and a new ledger.
fn pipeline(
    books: Books,
    mappings: &Arc<MappingSet>,
    messages: &[Message],
) -> (Pipeline, tempfile::TempDir) {
    let assignments = Arc::new(Assignments::new([]));
    let (status, traces) = (Arc::new(Status::default()), Traces::default());
    let clock: Arc<dyn Clock> = books.clock.clone();
    let followers = Arc::new(Followers::default());
    followers.add_observed(books.world, state_observers(&status, &traces, &clock));
    let pipeline = Pipeline {
        inputs: vec![PipelineInput {
            name: "memory".into(),
            input: Box::new(Memory::new(messages, &assignments)),
            streams: StreamNames::Prefixed(StreamPrefix::default()),
            reading: reading(Content::Events, Arc::default(), mappings.clone()),
            keeps_service_alive: true,
        }],
        assignments,
        mapper_threads: std::thread::available_parallelism().map_or(1, |cores| cores.get().min(8)),
        signer: books.signer,
        limits: SubmissionLimits {
            max_transactions: 500,
            max_bytes: 1 << 20,
            max_wait: Duration::from_millis(10),
            sign_each: false,
        },
        writer: Box::new(books.ledger),
        reader: books.reader,
        followers,
        clock: books.clock,
        status,
        traces,
        stop: Stop::default(),
    };
    (pipeline, books.directory)
}

fn run(
    spent: &mut Spent,
    definitions: (&Arc<MappingSet>, &Arc<ContractSet>),
    messages: &[Message],
) -> Duration {
    let books = Books::new(definitions.1.clone());
    let (reader, world) = (books.reader.clone(), books.world.clone());
    let (pipeline, _directory) = pipeline(books, definitions.0, messages);
    let took = spent.time(|| pipeline.run().unwrap());
    assert_eq!(world.totals().records, RECORDS as u64, "every record has its disposition");
    assert_eq!(world.next_block(), reader.head().height, "and is applied");
    took
}

fn whole_way(criterion: &mut Criterion) {
    let (mappings, contracts) = definitions();
    let (mappings, contracts) = (Arc::new(mappings), Arc::new(contracts));
    let messages = messages(FLEET, RECORDS);
    let (mut way, mut decoding) = (Spent::default(), Spent::default());
    let mut group = criterion.benchmark_group("whole way");
    group.throughput(Throughput::Elements(RECORDS as u64)).sample_size(10);
    group.sampling_mode(SamplingMode::Flat);
    group.bench_function("20,000 records to durable and applied", |b| {
        let mut round = || run(&mut way, (&mappings, &contracts), &messages);
        b.iter_custom(|rounds| (0..rounds).map(|_| round()).sum());
    });
    let (decoder, partition) = (Decoder::default(), SourcePartition::new("telemetry", 0));
    group.bench_function("20,000 records decoded by one thread", |b| {
        b.iter_custom(|rounds| {
            let decode = |message| drop(black_box(decoder.decode(&record(message, &partition, 0))));
            let mut round = || decoding.time(|| messages.iter().for_each(decode));
            (0..rounds).map(|_| round()).sum()
        });
    });
    group.finish();
    print(way.mean(), decoding.mean());
}

#[allow(clippy::cast_precision_loss)] // counts far below 2⁵³
fn print(way: f64, decoding: f64) {
    let rate = |mean: f64| RECORDS as f64 / mean;
    println!("durable and applied: {:.0} records/s", rate(way));
    println!("decoded by one thread: {:.0} records/s", rate(decoding));
    println!("the whole way takes {:.2} times as long as decoding alone", way / decoding);
}

criterion_group!(benches, whole_way);
criterion_main!(benches);
