//! Records from a file: one JSON object a line, as `kcat -C -J` writes them.
//!
//! ```text
//! {"topic":"telemetry","partition":0,"offset":7,"tstype":"create","ts":1386018900000,
//!  "headers":["name","value"],"key":"…","payload":"…"}
//! ```
//!
//! A `null` payload is a tombstone; blank lines are no records. Whatever else is no such object is
//! not lost: the line becomes a record of the pseudo topic `NAME.lines` (the file's name without its
//! ending, or `stdin`), partition 0, whose offset is the line's number from 0 and whose value is the
//! line itself, with the reason in [`crate::event::Record::damage`] so that it ends in the dead letters.
//!
//! A reading that starts again skips what the ledger has already. The same file, or the same stream on
//! standard input, must therefore give the same lines again, possibly with more behind them; other
//! content needs another [`FileForm::epoch`]. The last record that the ledger has of each partition is
//! compared with the one in the file, by its digest: a ledger keeps no digest of those before.

mod lines;

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::event::SourcePartition;
use crate::input::collector::{Collector, Parts, record_digest};
use crate::input::file::lines::{Lines, RawLine};
use crate::input::kcat::{self, Line};
use crate::input::{
    Adapter, Assignments, Checking, Input, InputError, InputOptions, LastTaken, LastTakenOf,
    Opened, Opening, Polled, StreamNames, StreamPrefix,
};
use crate::limits::{FILE_CHUNK_BYTES, FILE_QUEUE_CHUNKS, MAX_FILE_PARTITIONS, MAX_LINE_BYTES};

/// A file as an input.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileForm {
    /// The file; `-` is standard input.
    pub path: PathBuf,
    /// Raise it when the file holds other records at the same offsets than those that the ledger has.
    #[serde(default)]
    pub epoch: u32,
}

impl InputOptions for FileForm {
    fn check(mut self: Box<Self>, checking: &mut Checking<'_>) -> Option<Arc<dyn Adapter>> {
        self.path = (checking.at)(&self.path);
        Some(Arc::new(*self))
    }
}

impl Adapter for FileForm {
    fn kind(&self) -> &'static str {
        "file"
    }

    fn streams(&self, prefix: &StreamPrefix) -> StreamNames {
        StreamNames::Prefixed(prefix.clone())
    }

    /// Checks that the file can be read. A special file is not opened: it may be a named pipe,
    /// which can be read only once.
    fn preflight(&self) -> Result<(), InputError> {
        if self.path == Path::new("-") {
            return Ok(());
        }
        let look = || -> std::io::Result<()> {
            let kind = std::fs::metadata(&self.path)?;
            match (kind.is_dir(), kind.is_file()) {
                (true, _) => Err(std::io::ErrorKind::IsADirectory.into()),
                (_, true) => std::fs::File::open(&self.path).map(drop),
                _ => Ok(()),
            }
        };
        look().map_err(|error| InputError::File { path: self.path.clone(), error })
    }

    fn exclusive(&self) -> Option<&'static str> {
        (self.path == Path::new("-")).then_some("standard input")
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Opened, InputError> {
        let input = FileInput::open(self, opening.assignments.clone())?;
        let input = input.comparing(opening.last_taken.clone());
        let counts = Some(input.counts());
        Ok(Opened { counts, ..Opened::of(Box::new(input)) })
    }
}

/// Progress of reading a file.
#[derive(Debug, Default)]
pub struct FileCounts {
    known: AtomicU64,
    is_at_end: AtomicBool,
}

impl FileCounts {
    /// Lines with records that the ledger had already.
    #[must_use]
    pub fn known(&self) -> u64 {
        self.known.load(Relaxed)
    }

    /// True if the file was read to its end.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.is_at_end.load(Relaxed)
    }
}

/// A partition that the file has named.
#[derive(Debug, Clone, Copy)]
struct Lane {
    /// Its place in the collector, which never drops one of a file.
    at: usize,
    /// Highest offset seen plus one, in this reading.
    seen: u64,
}

/// The place of the lines that are no records in the collector: they are assigned first.
const BAD_LINES: usize = 0;

type Chunk = Result<Vec<u8>, std::io::Error>;

/// Reads a file of JSON lines to its end.
pub struct FileInput {
    path: PathBuf,
    epoch: u32,
    chunks: Receiver<Chunk>,
    assignments: Arc<Assignments>,
    collector: Collector,
    lines: Lines,
    /// The partition for bad lines.
    bad_lines: SourcePartition,
    /// Each partition that the file has named, by topic and number.
    lanes: HashMap<String, BTreeMap<u32, Lane>>,
    counts: Arc<FileCounts>,
    last_taken: LastTakenOf,
    /// Of each partition, in the collector's order, the last record that the ledger has.
    last: Vec<Option<LastTaken>>,
    paused: bool,
    ended: bool,
}

impl std::fmt::Debug for FileInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileInput").field("path", &self.path).finish_non_exhaustive()
    }
}

impl FileInput {
    /// Opens the file and begins to read on a thread of its own, a few chunks ahead.
    pub fn open(form: &FileForm, assignments: Arc<Assignments>) -> Result<Self, InputError> {
        let failed = |error| InputError::File { path: form.path.clone(), error };
        let reader: Box<dyn Read + Send> = if form.path == Path::new("-") {
            Box::new(std::io::stdin())
        } else {
            Box::new(std::fs::File::open(&form.path).map_err(failed)?)
        };
        let (sender, chunks) = mpsc::sync_channel(FILE_QUEUE_CHUNKS);
        let thread = std::thread::Builder::new().name("file-reader".to_owned());
        thread.spawn(move || read_chunks(reader, &sender)).map_err(failed)?;
        let bad_lines = SourcePartition {
            topic: bad_topic(&form.path).into(),
            epoch: form.epoch,
            partition: 0,
        };
        let mut collector = Collector::default();
        collector.assign(bad_lines.clone(), assignments.assign(&bad_lines, 0));
        Ok(Self {
            path: form.path.clone(),
            epoch: form.epoch,
            chunks,
            assignments,
            collector,
            lines: Lines::default(),
            bad_lines,
            lanes: HashMap::new(),
            counts: Arc::default(),
            last_taken: Arc::new(|_| None),
            last: vec![None],
            paused: false,
            ended: false,
        })
    }

    /// Compares the last record that the ledger has of each partition with the one in the file.
    #[must_use]
    pub fn comparing(mut self, last_taken: LastTakenOf) -> Self {
        self.last = vec![last_taken(&self.bad_lines)];
        Self { last_taken, ..self }
    }

    /// The progress so far.
    #[must_use]
    pub fn counts(&self) -> Arc<FileCounts> {
        self.counts.clone()
    }

    fn take_in(&mut self, chunk: Option<&[u8]>) -> Result<(), InputError> {
        let mut lines = std::mem::take(&mut self.lines);
        let result = match chunk {
            Some(bytes) => lines.feed(bytes, |line| self.line(line)),
            None => lines.finish(|line| self.line(line)),
        };
        self.lines = lines;
        self.collector.flush();
        result
    }

    fn line(&mut self, line: RawLine<'_>) -> Result<(), InputError> {
        if let Some((bytes, digest)) = line.cut {
            let message = format!(
                "the line has {bytes} bytes, the limit is {MAX_LINE_BYTES}; only its beginning is stored; SHA-256 of the line {digest}"
            );
            return self.bad_line(line, &message);
        }
        if line.bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        match kcat::parse(line.bytes) {
            Ok(record) => self.record(line, &record),
            Err(message) => self.bad_line(line, &message),
        }
    }

    fn record(&mut self, line: RawLine<'_>, record: &Line) -> Result<(), InputError> {
        if self.epoch == self.bad_lines.epoch && record.topic == *self.bad_lines.topic {
            let message =
                format!("topic `{}` is reserved for lines that are not records", record.topic);
            return self.bad_line(line, &message);
        }
        let Some(lane) = self.lane(record) else {
            let message = format!(
                "the file names more than {MAX_FILE_PARTITIONS} partitions; {}/{} exceeds the limit",
                record.topic, record.partition
            );
            return self.bad_line(line, &message);
        };
        let (at, seen) = (lane.at, lane.seen);
        if record.offset < seen {
            let message = format!(
                "offset {} of {}/{} comes after {}; offsets must rise within a partition",
                record.offset,
                record.topic,
                record.partition,
                seen - 1
            );
            return self.bad_line(line, &message);
        }
        lane.seen = record.offset + 1;
        let parts = Parts {
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            key: record.key.as_deref().map(str::as_bytes),
            value: record.payload.as_deref().map(str::as_bytes),
            damage: None,
        };
        let headers = record.headers.iter();
        let headers =
            headers.map(|(name, value)| (name.as_str(), value.as_deref().map(str::as_bytes)));
        self.push((at, line.number), parts, headers)
    }

    /// Hands a record on, or compares it where the ledger has it already.
    fn push<'h>(
        &mut self,
        (lane, line_number): (usize, u64),
        parts: Parts<'_>,
        headers: impl Iterator<Item = (&'h str, Option<&'h [u8]>)>,
    ) -> Result<(), InputError> {
        if self.collector.next(lane).is_none_or(|next| parts.offset >= next) {
            self.collector.push(lane, parts, headers)?;
            self.flush_full();
            return Ok(());
        }
        self.counts.known.fetch_add(1, Relaxed);
        let last = self.last.get(lane).copied().flatten();
        let Some(last) = last.filter(|last| last.offset == parts.offset) else { return Ok(()) };
        let found = record_digest(parts, headers);
        match found == last.digest {
            true => Ok(()),
            false => Err(InputError::LineChanged {
                place: format!("{}, line {}", self.path.display(), line_number + 1).into(),
                partition: Box::new(self.collector.positions().swap_remove(lane).0),
                offset: last.offset,
                found,
                taken: last.digest,
            }),
        }
    }

    /// The record's partition; a new one is assigned, as long as there are not too many.
    fn lane(&mut self, record: &Line) -> Option<&mut Lane> {
        let is_known = self
            .lanes
            .get(record.topic.as_str())
            .is_some_and(|lanes| lanes.contains_key(&record.partition));
        if !is_known {
            let at = self.collector.len();
            // The lines that are no records have one of their own.
            if at > MAX_FILE_PARTITIONS {
                return None;
            }
            let partition = SourcePartition {
                topic: record.topic.as_str().into(),
                epoch: self.epoch,
                partition: record.partition,
            };
            let assigned = self.assignments.assign(&partition, record.offset);
            self.last.push((self.last_taken)(&partition));
            self.collector.assign(partition, assigned);
            let lanes = self.lanes.entry(record.topic.clone()).or_default();
            lanes.insert(record.partition, Lane { at, seen: 0 });
        }
        self.lanes.get_mut(record.topic.as_str())?.get_mut(&record.partition)
    }

    fn bad_line(&mut self, line: RawLine<'_>, message: &str) -> Result<(), InputError> {
        let lane = BAD_LINES;
        let parts = Parts {
            offset: line.number,
            timestamp_ms: None,
            key: None,
            value: Some(line.bytes),
            damage: Some(message),
        };
        self.push((lane, line.number), parts, std::iter::empty())
    }

    fn flush_full(&mut self) {
        if self.collector.is_full() {
            self.collector.flush();
        }
    }
}

impl Input for FileInput {
    fn poll(&mut self, wait: Duration) -> Result<Polled, InputError> {
        if self.paused {
            std::thread::sleep(wait);
            return Ok(Polled::Idle);
        }
        if let Some(batch) = self.collector.take() {
            return Ok(Polled::Batch(batch));
        }
        if self.ended {
            return Ok(Polled::End);
        }
        match self.chunks.recv_timeout(wait) {
            Ok(Ok(bytes)) => self.take_in(Some(&bytes))?,
            Ok(Err(error)) => {
                return Err(InputError::File { path: self.path.clone(), error });
            }
            Err(RecvTimeoutError::Timeout) => return Ok(Polled::Idle),
            Err(RecvTimeoutError::Disconnected) => {
                self.ended = true;
                self.take_in(None)?;
                self.counts.is_at_end.store(true, Relaxed);
            }
        }
        Ok(self.collector.take().map_or(Polled::Idle, Polled::Batch))
    }

    fn pause(&mut self) -> Result<(), InputError> {
        self.paused = true;
        Ok(())
    }

    fn resume(&mut self) -> Result<(), InputError> {
        self.paused = false;
        Ok(())
    }

    fn durable(&mut self, _partition: &SourcePartition, _next: u64) -> Result<bool, InputError> {
        Ok(true) // the ledger itself says where to go on
    }

    fn close(&mut self) -> Result<(), InputError> {
        self.ended = true;
        Ok(())
    }
}

/// Reads until the end or an error. On standard input this thread may wait for ever; it ends with
/// the process.
fn read_chunks(mut reader: Box<dyn Read + Send>, sender: &SyncSender<Chunk>) {
    loop {
        let mut chunk = vec![0; FILE_CHUNK_BYTES];
        let chunk = match reader.read(&mut chunk) {
            Ok(0) => return,
            Ok(len) => {
                chunk.truncate(len);
                Ok(chunk)
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let failed = chunk.is_err();
        if sender.send(chunk).is_err() || failed {
            return;
        }
    }
}

/// `readings.kcat.jsonl` → `readings.kcat.lines`, with what Kafka does not allow replaced.
fn bad_topic(path: &Path) -> String {
    const ENDING: &str = ".lines";
    const LONGEST: usize = 249;
    if path == Path::new("-") {
        return format!("stdin{ENDING}");
    }
    let stem =
        path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let legal = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let stem: String = stem.chars().map(legal).take(LONGEST - ENDING.len()).collect();
    format!("{stem}{ENDING}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topic_of_bad_lines_is_legal() {
        let table = [
            ("-", "stdin.lines"),
            ("/a/readings.kcat.jsonl", "readings.kcat.lines"),
            ("müll 1.json", "m_ll_1.lines"),
            ("..", ".lines"),
        ];
        for (path, topic) in table {
            assert_eq!(bad_topic(Path::new(path)), topic);
            assert!(crate::event::is_topic(topic));
        }
        assert!(crate::event::is_topic(&bad_topic(Path::new(&"x".repeat(300)))));
    }
}
