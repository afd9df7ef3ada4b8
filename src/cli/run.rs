//! `ledgerline run`.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use anyhow::Context;

use crate::app::{self, AppError, Opened, Running};
use crate::cli::ExitStatus;
use crate::cli::check::{print_diagnostics, refused};
use crate::cli::file_summary::FileSummary;
use crate::command::output::Progress;
use crate::ledger::LedgerReader;
use crate::limits::MAX_SHUTDOWN_SECONDS;
use crate::monitor::Endpoint;
use crate::pipeline::Stop;

/// Polling interval for the end of the pipeline.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Runs the service.
pub fn run(path: &Path) -> anyhow::Result<ExitStatus> {
    // First of all, so that a signal ends a start in order, too.
    let phase = Arc::<Phase>::default();
    let asked = phase.clone();
    let signals = watch_for_signal(move |signal| asked.stop(signal))?;
    let checked = crate::config::load(path);
    print_diagnostics(&checked.diagnostics);
    let Some(config) = checked.config else { return Ok(refused(path)) };
    let mut progress = Progress::new();
    let opened = app::open(config, &mut |doing, done, all| progress.show(doing, done, all))?;
    drop(progress);
    phase.begin_running(opened.stop.clone());
    announce(&opened);
    let (reader, stop) = (opened.reader.clone(), opened.stop.clone());
    let summary = FileSummary::begin(&opened);
    let started = opened.start()?;
    wait(started, &stop, &signals)?;
    if let Some(summary) = summary {
        summary.log();
    }
    let head = reader.head();
    tracing::info!(
        blocks = head.height,
        entries = head.entries,
        tree_size = head.tree_size,
        root = %head.tree_root,
        "ended"
    );
    Ok(ExitStatus::Ok)
}

/// Start or run, for whoever asks for the end.
#[derive(Default)]
struct Phase {
    /// Asks the pipeline for its end; `None` during the start.
    stop: Mutex<Option<Stop>>,
}

impl Phase {
    fn begin_running(&self, stop: Stop) {
        *self.stop.lock().unwrap_or_else(PoisonError::into_inner) = Some(stop);
    }

    /// Stops the pipeline. During the start there is none, and nothing that would be lost: reading a
    /// log or building a state can be left at any point, so the process ends here and now.
    fn stop(&self, signal: &'static str) {
        match &*self.stop.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(stop) => stop.ask(),
            None => {
                tracing::info!(signal, "stopped before it was running; no record was read");
                // Without handlers at exit, which could take away what the start still uses.
                signal_hook::low_level::exit(i32::from(ExitStatus::Ok as u8));
            }
        }
    }
}

fn announce(opened: &Opened) {
    let head = opened.reader.head();
    let endpoint = opened.endpoint.as_ref().map(Endpoint::url);
    tracing::info!(
        ledger = opened.reader.name(),
        directory = %opened.reader.directory().display(),
        blocks = head.height,
        entries = head.entries,
        tree_size = head.tree_size,
        endpoint = endpoint.as_deref().unwrap_or("none"),
        "running"
    );
}

/// Waits for the pipeline. After a stop was asked for, it has a bounded time to drain.
pub fn wait(
    running: Running,
    stop: &Stop,
    signals: &mpsc::Receiver<&'static str>,
) -> anyhow::Result<()> {
    let mut waited = Duration::ZERO;
    while !running.is_finished() {
        match signals.recv_timeout(LOOK_EVERY) {
            Ok(signal) => tracing::info!(
                signal,
                "shutting down: writing the records already read to the ledger"
            ),
            // The signals' thread ends after the first.
            Err(mpsc::RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK_EVERY),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
        if stop.is_asked() {
            waited += LOOK_EVERY;
        }
        if waited > Duration::from_secs(MAX_SHUTDOWN_SECONDS) {
            return Err(AppError::NotDrained(MAX_SHUTDOWN_SECONDS).into());
        }
    }
    Ok(running.wait()?)
}

/// Asks for the stop when SIGINT or SIGTERM comes, and tells which it was.
pub fn watch_signals(stop: Stop) -> anyhow::Result<mpsc::Receiver<&'static str>> {
    watch_for_signal(move |_| stop.ask())
}

/// Calls back when the first SIGINT or SIGTERM comes, and tells which it was.
fn watch_for_signal(
    mut on_signal: impl FnMut(&'static str) + Send + 'static,
) -> anyhow::Result<mpsc::Receiver<&'static str>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .context("cannot start the signal runtime")?;
    let (tell, told) = mpsc::channel();
    let (ready, is_ready) = mpsc::channel();
    let watch = async move {
        use tokio::signal::unix::{SignalKind, signal};
        let installed = signal(SignalKind::interrupt())
            .and_then(|interrupt| Ok((interrupt, signal(SignalKind::terminate())?)));
        let (mut interrupt, mut terminate) = match installed {
            Ok(both) => both,
            Err(error) => return drop(ready.send(Err(error))),
        };
        let _ = ready.send(Ok(()));
        let signal = tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        };
        on_signal(signal);
        let _ = tell.send(signal);
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || runtime.block_on(watch))
        .context("cannot start the signal thread")?;
    is_ready.recv().context("the signals' thread ended")?.context("catching signals")?;
    Ok(told)
}
