//! A reader that asks the endpoint for one asset after the other while records stream in.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, ScopedJoinHandle};
use std::time::Duration;

use crate::clock::{Clock, SystemClock};

/// Pause between two questions.
const PAUSE: Duration = Duration::from_millis(10);
/// Assets that are asked for in turn.
const ASSETS: usize = 100;
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks an endpoint while something else is done; how long each answer took, in order of length.
pub(super) fn meanwhile(
    endpoint: Option<SocketAddr>,
    contract: &str,
    work: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Duration>> {
    let done = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let read = |address| {
            let ask = move || read_until(address, contract, done);
            Builder::new().name("reader".to_owned()).spawn_scoped(scope, ask)
        };
        let reading = endpoint.map(read).transpose()?;
        let result = work();
        done.store(true, Ordering::SeqCst);
        let read = reading.map(ScopedJoinHandle::join).transpose();
        let read = read.map_err(|_| anyhow::anyhow!("the reader failed"))?.transpose()?;
        result.map(|()| read.unwrap_or_default())
    })
}

/// The duration of each answer, until stopped.
fn read_until(
    address: SocketAddr,
    contract: &str,
    stop: &AtomicBool,
) -> std::io::Result<Vec<Duration>> {
    let clock = SystemClock::new();
    let mut paths = Vec::new();
    let mut times = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        std::thread::sleep(PAUSE);
        if paths.is_empty() {
            let list = ask(address, &format!("/api/v1/state/{contract}?limit={ASSETS}"))?;
            paths = keys(&list).map(|key| format!("/api/v1/state/{contract}/{key}")).collect();
            continue;
        }
        let began = clock.monotonic();
        ask(address, &paths[times.len() % paths.len()])?;
        times.push(clock.monotonic().saturating_sub(began));
    }
    times.sort_unstable();
    Ok(times)
}

/// The quantile of sorted times, in milliseconds; 0 where there are none.
pub(super) fn quantile_ms(sorted: &[Duration], per_mille: usize) -> f64 {
    let at = (sorted.len() * per_mille).div_ceil(1_000).saturating_sub(1);
    sorted.get(at).map_or(0.0, |took| took.as_secs_f64() * 1e3)
}

/// The body of an answer.
fn ask(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
        _ => Err(std::io::Error::other(format!("{path} was answered with: {answer}"))),
    }
}

/// The keys of a page of assets.
fn keys(page: &str) -> impl Iterator<Item = String> {
    let page: serde_json::Value = serde_json::from_str(page).unwrap_or_default();
    let items = page["items"].as_array().cloned().unwrap_or_default();
    items.into_iter().filter_map(|item| item["key"].as_str().map(str::to_owned))
}
