//! Many readers at a time: each asks for one page or answer after the other, over a connection that it
//! keeps, while records stream in.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, ScopedJoinHandle};
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::cli::bench::reads::quantile_ms;
use crate::clock::{Clock, SystemClock};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Pause after a connection that was not to be had.
const PAUSE: Duration = Duration::from_millis(100);

/// The paths that readers request, in turn.
pub(super) fn paths(contract: &str) -> Vec<String> {
    let pages =
        ["/", "/blocks", "/transactions", "/alerts", "/deadletters", "/definitions", "/try"];
    let asked = ["/api/v1/status", "/api/v1/blocks", "/api/v1/transactions", "/metrics"];
    let of_contract = [format!("/state/{contract}"), format!("/api/v1/state/{contract}")];
    pages.into_iter().chain(asked).map(str::to_owned).chain(of_contract).collect()
}

/// The answers to readers.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Readers {
    /// The number of concurrent readers.
    pub(super) readers: usize,
    /// Answers in all.
    pub(super) answers: usize,
    /// Requests that were turned away: the service was too busy for them.
    pub(super) turned_away: usize,
    /// Connections that failed or gave no answer in time.
    pub(super) failed: usize,
    /// Median and 99th percentile to the first byte of each page or answer, in milliseconds.
    pub(super) first_byte_ms: Vec<(String, f64, f64)>,
}

/// The outcome of one request.
enum Asked {
    /// Answered, by path.
    Answered(usize, Duration),
    TurnedAway,
    Failed,
}

/// Lets so many readers ask an endpoint while something else is done.
pub(super) fn meanwhile(
    (endpoint, readers): (SocketAddr, usize),
    paths: &[String],
    work: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Readers> {
    let done = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let ask = move || read_until((endpoint, readers), paths, done);
        let reading = Builder::new().name("readers".to_owned()).spawn_scoped(scope, ask)?;
        let result = work();
        done.store(true, Ordering::SeqCst);
        let asked = ScopedJoinHandle::join(reading);
        let asked = asked.map_err(|_| anyhow::anyhow!("the readers failed"))??;
        result.map(|()| summary(readers, paths, &asked))
    })
}

fn read_until(
    (endpoint, readers): (SocketAddr, usize),
    paths: &[String],
    done: &AtomicBool,
) -> std::io::Result<Vec<Asked>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut reading = JoinSet::new();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        for reader in 0..readers {
            let (paths, stopped) = (paths.to_vec(), stopped.clone());
            reading.spawn(async move { one_reader(endpoint, reader, &paths, &stopped).await });
        }
        while !done.load(Ordering::SeqCst) {
            sleep(PAUSE).await;
        }
        stop.send_replace(true);
        let mut asked = Vec::new();
        while let Some(read) = reading.join_next().await {
            asked.extend(read.unwrap_or_default());
        }
        Ok(asked)
    })
}

/// Asks until it is told to stop, from another path on than the others.
async fn one_reader(
    endpoint: SocketAddr,
    first: usize,
    paths: &[String],
    stopped: &tokio::sync::watch::Receiver<bool>,
) -> Vec<Asked> {
    let (clock, mut asked) = (SystemClock::new(), Vec::new());
    let mut connection = None;
    let mut next = first;
    while !*stopped.borrow() {
        if connection.is_none() {
            connection = TcpStream::connect(endpoint).await.ok().map(BufReader::new);
        }
        let Some(stream) = &mut connection else {
            sleep(PAUSE).await;
            continue;
        };
        let path = next % paths.len();
        next += 1;
        let began = clock.monotonic();
        match timeout(PATIENCE, ask(stream, endpoint, &paths[path], &clock)).await {
            Ok(Ok((200, at))) => {
                asked.push(Asked::Answered(path, at.saturating_sub(began)));
            }
            Ok(Ok(_)) => asked.push(Asked::TurnedAway),
            Ok(Err(_)) | Err(_) => {
                // A connection that had grown old is no failure.
                connection = None;
                asked.push(Asked::Failed);
            }
        }
    }
    asked
}

/// Status of an answer, and when its first byte came.
async fn ask(
    stream: &mut BufReader<TcpStream>,
    endpoint: SocketAddr,
    path: &str,
    clock: &SystemClock,
) -> std::io::Result<(u16, Duration)> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {endpoint}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let at = clock.monotonic();
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let mut length = 0_u64;
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().unwrap_or(0);
            }
            Some(_) => {}
            None => break,
        }
    }
    tokio::io::copy(&mut stream.take(length), &mut tokio::io::sink()).await?;
    Ok((status, at))
}

fn summary(readers: usize, paths: &[String], asked: &[Asked]) -> Readers {
    let count = |is: fn(&Asked) -> bool| asked.iter().filter(|one| is(one)).count();
    let of_path = |(number, path): (usize, &String)| {
        let mut times: Vec<_> = asked
            .iter()
            .filter_map(|one| match one {
                Asked::Answered(path, took) if *path == number => Some(*took),
                _ => None,
            })
            .collect();
        times.sort_unstable();
        (path.clone(), quantile_ms(&times, 500), quantile_ms(&times, 990))
    };
    Readers {
        readers,
        answers: count(|one| matches!(one, Asked::Answered(..))),
        turned_away: count(|one| matches!(one, Asked::TurnedAway)),
        failed: count(|one| matches!(one, Asked::Failed)),
        first_byte_ms: paths.iter().enumerate().map(of_path).collect(),
    }
}
