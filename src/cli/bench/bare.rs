//! The bare limits: the source alone, the log alone, signatures alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::Builder;
use std::time::Duration;

use anyhow::bail;

use crate::app::AppError;
use crate::cli::bench::timer::{LOOK_EVERY, Timer};
use crate::cli::bench::{BenchArgs, Set, feed, float, full, set};
use crate::clock::{Clock, SystemClock};
use crate::config::InputConfig;
use crate::demo::{Consumed, Feeding};
use crate::disk::SystemDisk;
use crate::event::{Decoder, SourcePartition};
use crate::input::{Assignments, Batch, Input, KafkaInput, Polled};
use crate::ledger::embedded::log::{self, AppendError, LogWriter, ScanEnd, Segment};
use crate::transaction::{SignatureCheck, Signer};

/// Bytes that are appended for the bare limit of the log.
const APPENDED_BYTES: u64 = 64 * 1024 * 1024;
/// Measuring time for signatures.
const SIGNING: Duration = Duration::from_secs(1);

/// The source alone.
pub(super) struct Bare<'a> {
    pub(super) args: &'a BenchArgs,
    pub(super) directory: PathBuf,
}

impl Bare<'_> {
    /// Records a second through some work on each batch.
    pub(super) fn measure(&self, mut work: impl FnMut(&Batch, &Decoder)) -> anyhow::Result<f64> {
        let way = full(self.args);
        let Set { stage, config, load, .. } = set(self.args, self.directory.clone(), way)?;
        let cluster = |input| Some((InputConfig::clone(input), input.adapter.cluster()?));
        let mut clusters = config.inputs.iter().filter_map(cluster);
        let Some((input, settings)) = clusters.next() else { bail!("no input is Kafka") };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let assignments = Arc::new(Assignments::default());
        let nothing_taken = Arc::new(|_: &SourcePartition| None);
        let mut source =
            KafkaInput::new(settings, assignments.clone(), nothing_taken, clock.clone())
                .map_err(AppError::from)?;
        let consumed: Consumed = {
            let assignments = assignments.clone();
            Box::new(move |partition| assignments.next(partition).unwrap_or(0))
        };
        let all = load.records;
        let feeding = feed((&stage, load), consumed, clock.clone())?;
        let mut timer = Timer::new(&*clock, way.warm_up);
        let mut read = 0;
        while read < all {
            match source.poll(LOOK_EVERY).map_err(AppError::from)? {
                Polled::Batch(batch) => {
                    work(&batch, &input.decoder);
                    read += batch.len() as u64;
                    let positions = batch.from..batch.next;
                    assignments.accept(&batch.partition, batch.generation, positions);
                }
                Polled::Idle => {}
                Polled::End => break,
            }
            timer.seen(read, &*clock)?;
        }
        let rate = timer.rate(read, &*clock);
        feeding.map_or(Ok(()), Feeding::end)?;
        source.close().map_err(AppError::from)?;
        Ok(rate)
    }
}

/// Appends blocks of a ledger to another log, as many at a time as there; bytes a second.
pub(super) fn append_only(ledger: &Path, scratch: &Path, at_a_time: usize) -> anyhow::Result<f64> {
    let (mut blocks, mut bytes) = (Vec::new(), 0);
    for segment in log::segments(&SystemDisk, ledger)? {
        log::scan(&SystemDisk, &segment, true, |_, block| {
            if bytes < APPENDED_BYTES {
                bytes += block.len() as u64;
                blocks.push(block);
            }
            Ok(())
        })?;
        if bytes >= APPENDED_BYTES {
            break;
        }
    }
    std::fs::create_dir_all(scratch)?;
    LogWriter::make_place(&SystemDisk, scratch)?;
    let (segment, empty) = (Segment::new(scratch, 0), ScanEnd::default());
    let mut log = LogWriter::open(Arc::new(SystemDisk), scratch, (0, &segment), empty, u64::MAX)?;
    let clock = SystemClock::new();
    let began = clock.monotonic();
    for group in blocks.chunks(at_a_time.max(1)) {
        let group: Vec<_> = group.iter().map(Vec::as_slice).collect();
        log.append(&group).map_err(|error| match error {
            AppendError::NoSpace(error) | AppendError::Fatal(error) => error,
        })?;
    }
    Ok(float(bytes) / clock.monotonic().saturating_sub(began).as_secs_f64())
}

/// Signatures made and checked a second, on every processor at once.
pub(super) fn sign_and_check() -> f64 {
    let clock = SystemClock::new();
    let began = clock.monotonic();
    let work = || {
        let signer = Signer::from_seed(&[1; 32]);
        let (id, mut check, mut count) = (signer.id(), SignatureCheck::default(), 0_u64);
        while clock.monotonic().saturating_sub(began) < SIGNING {
            let message = count.to_le_bytes();
            let checked = check.passes(&id, &message, &signer.sign(&message));
            count += u64::from(std::hint::black_box(checked));
        }
        count
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let count = std::thread::scope(|scope| {
        let start = |_| Builder::new().name("signing".to_owned()).spawn_scoped(scope, work).ok();
        let threads: Vec<_> = (0..processors).filter_map(start).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).sum()
    });
    float(count) / clock.monotonic().saturating_sub(began).as_secs_f64()
}
