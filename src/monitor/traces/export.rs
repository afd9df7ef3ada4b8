//! The export thread. It waits for the collector; nothing waits for it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::RecvTimeoutError;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::limits::{MAX_QUEUED_TRACES, MAX_SENT_TRACES, TRACES_EVERY, TRACES_PAUSE, TRACES_STOP};
use crate::monitor::traces::TraceSettings;
use crate::monitor::traces::collector::{Collector, NotTaken};
use crate::monitor::traces::spans::Spans;
use crate::pipeline::{BatchTrace, Taken, Traces};

/// Polling interval for the end of the thread.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The running thread.
pub struct TraceExport {
    thread: JoinHandle<()>,
    clock: Arc<dyn Clock>,
}

/// State of the thread.
struct Exporter {
    collector: Collector,
    spans: Spans,
    taken: Taken,
    clock: Arc<dyn Clock>,
    ready: VecDeque<BatchTrace>,
    /// Time of the next attempt.
    due: Duration,
    backoff: Backoff,
    /// Why it failed last, until it succeeds.
    failed: Option<String>,
    /// Batches that will not be told of, and how many of them were warned of.
    lost: u64,
    warned: u64,
}

impl TraceExport {
    /// Checks that the settings allow an export; the error says why not.
    pub fn check(settings: &TraceSettings) -> Result<(), String> {
        Collector::open(settings).map(drop)
    }

    /// Starts the thread. It ends some time after the pipeline that gets the other part.
    pub fn start(
        settings: &TraceSettings,
        ledger: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Traces), String> {
        let (traces, taken) = Traces::new(settings.share);
        let exporter = Exporter {
            collector: Collector::open(settings)?,
            spans: Spans::new(settings, ledger),
            taken,
            clock: clock.clone(),
            ready: VecDeque::new(),
            due: Duration::ZERO,
            backoff: Backoff::new(TRACES_EVERY, TRACES_PAUSE),
            failed: None,
            lost: 0,
            warned: 0,
        };
        let thread = Builder::new().name("traces".to_owned()).spawn(move || exporter.run());
        let thread = thread.map_err(|error| error.to_string())?;
        Ok((Self { thread, clock }, traces))
    }

    /// Gives the thread [`TRACES_STOP`] to tell what is left, once the pipeline has ended.
    pub fn stop(self) {
        let until = self.clock.monotonic() + TRACES_STOP;
        while !self.thread.is_finished() {
            if self.clock.monotonic() >= until {
                tracing::warn!("the trace collector did not accept the last traces in time");
                return;
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

impl Exporter {
    fn run(mut self) {
        loop {
            let wait = self.due.saturating_sub(self.clock.monotonic());
            // Only what has come in waits to be told with others.
            let wait = if self.ready.is_empty() { TRACES_EVERY.max(wait) } else { wait };
            let is_last = match self.taken.batches.recv_timeout(wait) {
                Ok(trace) => {
                    self.keep(trace);
                    false
                }
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            let is_due = self.clock.monotonic() >= self.due;
            let is_full = self.failed.is_none() && self.ready.len() >= MAX_SENT_TRACES;
            while !self.ready.is_empty() && (is_due || is_full || is_last) && self.tell() {
                if !is_last && self.ready.len() < MAX_SENT_TRACES {
                    break;
                }
            }
            if is_last {
                self.lost += self.ready.len() as u64;
            }
            if is_due || is_last {
                self.warn_of_lost();
            }
            if is_last {
                return;
            }
        }
    }

    fn keep(&mut self, trace: BatchTrace) {
        if self.ready.is_empty() && self.failed.is_none() {
            self.due = self.clock.monotonic() + TRACES_EVERY;
        }
        match self.ready.len() {
            MAX_QUEUED_TRACES.. => self.lost += 1,
            _ => self.ready.push_back(trace),
        }
    }

    /// Tells of the oldest; whether the collector takes more.
    fn tell(&mut self) -> bool {
        let count = self.ready.len().min(MAX_SENT_TRACES);
        let told = self.collector.give(&self.spans.of(self.ready.range(..count)));
        match told {
            Ok(()) => {
                self.ready.drain(..count);
                self.backoff.reset();
                if self.failed.take().is_some() {
                    tracing::info!("the trace collector accepts traces again");
                }
            }
            Err(NotTaken::Ever { spans, reason }) => {
                self.ready.drain(..count);
                self.lost += count as u64;
                self.fail(reason, spans);
                return false;
            }
            Err(NotTaken::Now(reason)) => {
                self.fail(reason, None);
                return false;
            }
        }
        self.due = self.clock.monotonic() + TRACES_EVERY;
        true
    }

    /// Pauses, longer each time, and tells what is new.
    fn fail(&mut self, reason: String, spans: Option<u64>) {
        if self.failed.as_ref() != Some(&reason) {
            tracing::warn!(
                reason,
                spans,
                "the trace collector does not accept traces; ingestion continues"
            );
        }
        self.due = self.clock.monotonic() + self.backoff.pause();
        self.failed = Some(reason);
    }

    fn warn_of_lost(&mut self) {
        let lost = self.lost + self.taken.left_out.load(Relaxed);
        if lost > self.warned {
            let (batches, in_all) = (lost - self.warned, lost);
            tracing::warn!(batches, in_all, "traces of batches were dropped");
            self.warned = lost;
        }
    }
}
