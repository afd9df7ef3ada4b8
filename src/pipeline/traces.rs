//! Recording of sampled batches, for distributed tracing.
//!
//! A share of the batches is noted, spread evenly; of the others nothing is. It must never hold up a
//! stage: where nobody takes what was noted, it is left out and counted. Nothing here knows how it
//! is told to others.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::event::{Headers, SourcePartition};
use crate::input::Batch;
use crate::ledger::Block;
use crate::limits::{
    MAX_QUEUED_TRACES, MAX_TRACE_LINKS, MAX_TRACE_STATE_BYTES, MAX_TRACEPARENT_BYTES,
};
use crate::pipeline::mapper::MappedBatch;

/// A step of the golden ratio: its multiples fall evenly and in no rhythm with the partitions.
const STEP: u32 = 0x9E37_79B9;
/// As many as there are places for a step's multiples.
const PLACES: f64 = 4_294_967_296.0;
/// `00-TRACE-SPAN-FLAGS` of W3C Trace Context, version 0: 32, 16 and 2 hexadecimal digits.
const TRACEPARENT_DASHES: [usize; 3] = [2, 35, 52];
/// Its length; later versions may be longer.
const TRACEPARENT_BYTES: usize = 55;

/// From and to, on the monotonic clock.
pub type Span = Range<Duration>;

/// The trace of one batch, from its poll to the state.
#[derive(Debug, Clone)]
pub struct BatchTrace {
    /// Topic, epoch and partition.
    pub partition: SourcePartition,
    /// Offset of its first record.
    pub first: u64,
    /// Position after it.
    pub next: u64,
    /// Its records.
    pub records: u64,
    /// Their transactions.
    pub transactions: u64,
    /// Records that no mapping matched.
    pub filtered: u64,
    /// Records that were rejected.
    pub dead_letters: u64,
    /// A moment in milliseconds since 1970, and the same on the monotonic clock.
    pub moment: (i64, Duration),
    /// Waiting for its records and copying them.
    pub poll: Span,
    /// Decoding, mapping, encoding.
    pub map: Span,
    /// Signing, executing and waiting for a place in the writer's queue.
    pub write: Span,
    /// Time at which its block became durable.
    pub durable: Duration,
    /// The block and when the state took it in; `None` where that had not happened at the end.
    pub applied: Option<(u64, Span)>,
    /// The distinct traces that its records belong to.
    pub origins: Vec<Origin>,
    /// Other traces that there was no place for.
    pub more_origins: u32,
}

/// The trace context of a record (W3C Trace Context), as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// `traceparent`.
    pub parent: String,
    /// `tracestate`.
    pub state: Option<String>,
}

/// Takes what was noted. It ends when the pipeline has ended.
#[derive(Debug)]
pub struct Taken {
    /// The batches, each once it is durable and in the state.
    pub batches: Receiver<BatchTrace>,
    /// The number of traces dropped so far because the queue was full.
    pub left_out: Arc<AtomicU64>,
}

/// The recorder of the stages; by default it records nothing.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Arc<Notes>>);

#[derive(Debug)]
struct Notes {
    /// Share of the batches, 0 to 1.
    share: f64,
    turn: AtomicU32,
    /// Written, and not yet both durable and in the state.
    waiting: Mutex<BTreeMap<u64, Waiting>>,
    /// The length of that, so that nothing is locked for batches that are not noted.
    waiting_count: AtomicUsize,
    numbers: AtomicU64,
    out: SyncSender<BatchTrace>,
    left_out: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Waiting {
    trace: BatchTrace,
    is_durable: bool,
}

/// The trace of a batch so far, or nothing.
#[derive(Debug, Default)]
pub struct Noted(Option<Box<Noting>>);

#[derive(Debug)]
struct Noting {
    notes: Arc<Notes>,
    trace: BatchTrace,
}

/// A batch that was written, and whose receipt is to come.
#[derive(Debug)]
pub struct Written {
    notes: Arc<Notes>,
    number: u64,
}

impl Traces {
    /// Notes a share of the batches.
    #[must_use]
    pub fn new(share: f64) -> (Self, Taken) {
        let (out, batches) = sync_channel(MAX_QUEUED_TRACES);
        let left_out = Arc::<AtomicU64>::default();
        let notes = Notes {
            share,
            turn: AtomicU32::new(0),
            waiting: Mutex::default(),
            waiting_count: AtomicUsize::new(0),
            numbers: AtomicU64::new(0),
            out,
            left_out: left_out.clone(),
        };
        (Self(Some(Arc::new(notes))), Taken { batches, left_out })
    }

    /// Begins a batch that was polled; nothing is noted where it is not its turn.
    pub(super) fn begin(&self, batch: &Batch, clock: &dyn Clock) -> Noted {
        let Some(notes) = self.0.as_ref().filter(|notes| notes.is_turn()) else {
            return Noted::default();
        };
        let mut trace = BatchTrace::of(batch, (clock.now_ms(), clock.monotonic()));
        batch.records().for_each(|record| trace.note_origin(record.headers));
        Noted(Some(Box::new(Noting { notes: notes.clone(), trace })))
    }

    /// Notes that the state has taken in a block.
    pub(super) fn applied(&self, block: &Block, span: &Span) {
        let Some(notes) = &self.0 else { return };
        if notes.waiting_count.load(Relaxed) == 0 {
            return;
        }
        let mut waiting = notes.waiting();
        for Waiting { trace, .. } in waiting.values_mut() {
            let holds = block.records.progress.iter().any(|progress| {
                progress.partition == trace.partition
                    && progress.from < trace.next
                    && trace.next <= progress.next
            });
            if holds {
                trace.applied = Some((block.header.number, span.clone()));
            }
        }
        let done = |waiting: &Waiting| waiting.is_durable && waiting.trace.applied.is_some();
        let done: Vec<_> =
            waiting.iter().filter(|(_, one)| done(one)).map(|(number, _)| *number).collect();
        done.into_iter().for_each(|number| notes.hand_on(&mut waiting, number));
    }

    /// Hands on what is durable and will not come into the state any more. At the end.
    pub(super) fn finish(&self) {
        let Some(notes) = &self.0 else { return };
        let mut waiting = notes.waiting();
        let durable = waiting.iter().filter(|(_, one)| one.is_durable);
        let durable: Vec<_> = durable.map(|(number, _)| *number).collect();
        durable.into_iter().for_each(|number| notes.hand_on(&mut waiting, number));
    }
}

impl Notes {
    fn is_turn(&self) -> bool {
        f64::from(self.turn.fetch_add(STEP, Relaxed)) < self.share * PLACES
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<u64, Waiting>> {
        // A panic in between leaves a trace that lacks a part.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand_on(&self, waiting: &mut BTreeMap<u64, Waiting>, number: u64) {
        let Some(Waiting { trace, .. }) = waiting.remove(&number) else { return };
        self.waiting_count.store(waiting.len(), Relaxed);
        if self.out.try_send(trace).is_err() {
            self.left_out.fetch_add(1, Relaxed);
        }
    }
}

impl Noted {
    /// True if anything is noted.
    pub(super) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// Counts the outcomes of some of its records.
    pub(super) fn count(&mut self, mapped: &MappedBatch) {
        let Some(Noting { trace, .. }) = self.0.as_deref_mut() else { return };
        trace.transactions += mapped.count() as u64;
        trace.filtered += mapped.filtered.len() as u64;
        trace.dead_letters += mapped.dead_letters.len() as u64;
    }

    /// Notes that it was mapped.
    pub(super) fn mapped(&mut self, span: Span) {
        if let Some(noting) = self.0.as_deref_mut() {
            noting.trace.map = span;
        }
    }

    /// Notes that it will be written, before it can be durable.
    pub(super) fn writing(self) -> Option<Written> {
        let Noting { notes, trace } = *self.0?;
        let number = notes.numbers.fetch_add(1, Relaxed);
        let mut waiting = notes.waiting();
        if waiting.len() >= MAX_QUEUED_TRACES {
            notes.left_out.fetch_add(1, Relaxed);
            return None;
        }
        waiting.insert(number, Waiting { trace, is_durable: false });
        notes.waiting_count.store(waiting.len(), Relaxed);
        drop(waiting);
        Some(Written { notes, number })
    }
}

impl Written {
    /// Notes how long writing took.
    pub(super) fn written(&self, span: &Span) {
        if let Some(Waiting { trace, .. }) = self.notes.waiting().get_mut(&self.number) {
            trace.write = span.clone();
        }
    }

    /// Notes when it was durable.
    pub(super) fn durable(self, at: Duration) {
        let mut waiting = self.notes.waiting();
        let Some(one) = waiting.get_mut(&self.number) else { return };
        one.trace.durable = at;
        one.is_durable = true;
        if one.trace.applied.is_some() {
            self.notes.hand_on(&mut waiting, self.number);
        }
    }
}

impl BatchTrace {
    fn of(batch: &Batch, moment: (i64, Duration)) -> Self {
        let nothing = Duration::ZERO..Duration::ZERO;
        Self {
            partition: batch.partition.clone(),
            first: batch.records().next().map_or(batch.from, |record| record.offset),
            next: batch.next,
            records: batch.len() as u64,
            transactions: 0,
            filtered: 0,
            dead_letters: 0,
            moment,
            poll: batch.asked..batch.polled,
            map: nothing.clone(),
            write: nothing,
            durable: Duration::ZERO,
            applied: None,
            origins: Vec::new(),
            more_origins: 0,
        }
    }

    /// Keeps what a record's headers say of its trace, where that can be right.
    fn note_origin(&mut self, headers: Headers<'_>) {
        let text = |name| {
            headers.get_ignoring_case(name).and_then(|value| std::str::from_utf8(value).ok())
        };
        let Some(parent) = text("traceparent").filter(|parent| looks_right(parent)) else { return };
        if self.origins.iter().any(|origin| origin.parent == parent) {
            return;
        }
        if self.origins.len() >= MAX_TRACE_LINKS {
            self.more_origins = self.more_origins.saturating_add(1);
            return;
        }
        let state = text("tracestate").filter(|state| state.len() <= MAX_TRACE_STATE_BYTES);
        self.origins.push(Origin { parent: parent.to_owned(), state: state.map(str::to_owned) });
    }
}

/// True if it has the form and names a trace and a span, so that nonsense takes no places.
fn looks_right(parent: &str) -> bool {
    if !(TRACEPARENT_BYTES..=MAX_TRACEPARENT_BYTES).contains(&parent.len()) {
        return false;
    }
    let known = &parent.as_bytes()[..TRACEPARENT_BYTES];
    let is_known = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-');
    let is_named = |digits: &[u8]| digits.iter().any(|digit| *digit != b'0');
    known.iter().all(is_known)
        && TRACEPARENT_DASHES.iter().all(|at| known[*at] == b'-')
        && is_named(&known[3..35])
        && is_named(&known[36..52])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::input::{BatchBuilder, Generation};

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn batch(parents: &[&str]) -> Batch {
        let partition = SourcePartition::new("t", 1);
        let mut builder = BatchBuilder::new(partition, Generation::default(), 5);
        for (offset, parent) in (7..).zip(parents) {
            let headers = [("traceparent", Some(parent.as_bytes()))];
            builder.push(offset, None, None, Some(b"{}"), headers.into_iter());
        }
        builder.build()
    }

    fn begin(traces: &Traces, parents: &[&str]) -> Noted {
        traces.begin(&batch(parents), &SystemClock::new())
    }

    #[test]
    fn the_share_is_kept_and_spread() {
        for (share, expected) in
            [(0.0, 0..=0), (0.01, 90..=110), (0.5, 4_950..=5_050), (1.0, 10_000..=10_000)]
        {
            let (traces, _taken) = Traces::new(share);
            let noted: Vec<_> = (0..10_000_u32).filter(|_| begin(&traces, &[]).is_some()).collect();
            assert!(expected.contains(&noted.len()), "{share}: {}", noted.len());
            // Every partition of eight that come in turn has its part.
            let parts =
                (0..8).filter(|part| noted.iter().any(|number| number % 8 == *part)).count();
            assert_eq!(parts, if share > 0.0 { 8 } else { 0 }, "{share}");
        }
        assert!(!begin(&Traces::default(), &[PARENT]).is_some());
    }

    #[test]
    fn origins_are_kept_once_and_within_bounds() {
        let (traces, _taken) = Traces::new(1.0);
        let origins = |parents: &[&str]| {
            let noting = begin(&traces, parents).0.unwrap();
            (noting.trace.first, noting.trace.origins.len(), noting.trace.more_origins)
        };
        let upper = PARENT.to_uppercase();
        let long = PARENT.to_owned() + &"-".repeat(MAX_TRACEPARENT_BYTES);
        let (no_trace, no_span) = (
            PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            PARENT.replace("00f067aa0ba902b7", &"0".repeat(16)),
        );
        assert_eq!(
            origins(&[PARENT, "", "nonsense", &upper, &long, &no_trace, &no_span, PARENT]),
            (7, 1, 0)
        );
        let many: Vec<_> = (0..MAX_TRACE_LINKS + 3)
            .map(|number| format!("00-{:032x}-00f067aa0ba902b7-01", number + 1))
            .collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert_eq!(origins(&many), (7, MAX_TRACE_LINKS, 3));
    }

    #[test]
    fn what_nobody_takes_is_left_out_and_counted() {
        let (traces, taken) = Traces::new(1.0);
        let through = || {
            if let Some(written) = begin(&traces, &[PARENT]).writing() {
                written.written(&(Duration::ZERO..Duration::ZERO));
                written.durable(Duration::ZERO);
            }
            traces.finish();
        };
        (0..MAX_QUEUED_TRACES + 5).for_each(|_| through());
        assert_eq!(
            (taken.left_out.load(Relaxed), taken.batches.try_iter().count()),
            (5, MAX_QUEUED_TRACES)
        );
        // None is taken into the state, so that none is handed on; and there is an end to that too.
        let waiting = (0..MAX_QUEUED_TRACES + 7).filter_map(|_| begin(&traces, &[]).writing());
        assert_eq!(waiting.count(), MAX_QUEUED_TRACES);
        assert_eq!((taken.left_out.load(Relaxed), taken.batches.try_iter().count()), (12, 0));
    }
}
