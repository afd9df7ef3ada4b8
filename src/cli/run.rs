//! `ledgerline run`.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Context;

use crate::app::{self, AppError, Opened, Running};
use crate::cli::ExitStatus;
use crate::cli::check::{print_faults, refused};
use crate::cli::output::Progress;
use crate::ledger::LedgerReader;
use crate::limits::MAX_SHUTDOWN_SECONDS;
use crate::monitor::Endpoint;
use crate::pipeline::Stop;

/// How often the end of the pipeline is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Runs the service.
pub fn run(path: &Path) -> anyhow::Result<ExitStatus> {
    let checked = crate::config::load(path);
    print_faults(&checked.faults);
    let Some(config) = checked.config else { return Ok(refused(path)) };
    let mut progress = Progress::new();
    let opened = app::open(config, &mut |doing, done, all| progress.show(doing, done, all))?;
    drop(progress);
    announce(&opened);
    let signals = watch_signals(opened.stop.clone())?;
    let (reader, stop) = (opened.reader.clone(), opened.stop.clone());
    let started = opened.start()?;
    wait(started, &stop, &signals)?;
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
            Ok(signal) => tracing::info!(signal, "ending: bringing what was read into the ledger"),
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
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .context("no runtime for signals")?;
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
        stop.ask();
        let _ = tell.send(signal);
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || runtime.block_on(watch))
        .context("no thread for signals")?;
    is_ready.recv().context("the signals' thread ended")?.context("catching signals")?;
    Ok(told)
}
