//! The block log: segment files of frames. Appends in groups, one write and one `fdatasync` each.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::ledger::LedgerError;
use crate::ledger::embedded::frame::{self, FRAME_HEADER_BYTES, FrameError, SEGMENT_MAGIC};

/// Folder of the segments within a ledger's directory.
pub const LOG_DIRECTORY: &str = "log";

/// One segment file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Number of its first block, which is also its name.
    pub first_block: u64,
    /// The file.
    pub path: PathBuf,
}

/// Where a block's frame stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// Index in the list of segments.
    pub segment: u32,
    /// Byte offset of the frame.
    pub offset: u64,
    /// Bytes of its payload.
    pub len: u32,
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LedgerError {
    let path = path.to_owned();
    move |error| LedgerError::Io { doing, path, error }
}

/// Makes new names in a directory durable.
pub fn sync_directory(path: &Path) -> Result<(), LedgerError> {
    let sync = File::open(path).and_then(|directory| directory.sync_all());
    sync.map_err(io_error("making names durable in", path))
}

/// The segments of a ledger, in order.
pub fn segments(ledger: &Path) -> Result<Vec<Segment>, LedgerError> {
    let directory = ledger.join(LOG_DIRECTORY);
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(LedgerError::Absent(ledger.to_owned()));
        }
        Err(error) => return Err(io_error("reading", &directory)(error)),
    };
    let mut segments = Vec::new();
    for entry in entries {
        let path = entry.map_err(io_error("reading", &directory))?.path();
        if let Some(first_block) = first_block_of(&path) {
            segments.push(Segment { first_block, path });
        }
    }
    segments.sort_by_key(|segment| segment.first_block);
    Ok(segments)
}

fn first_block_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let digits = name.strip_prefix("blocks-")?.strip_suffix(".log")?;
    (digits.len() == 20).then(|| digits.parse().ok()).flatten()
}

fn segment_path(ledger: &Path, first_block: u64) -> PathBuf {
    ledger.join(LOG_DIRECTORY).join(format!("blocks-{first_block:020}.log"))
}

/// How a scan of a segment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanEnd {
    /// Bytes up to the end of the last good frame.
    pub good_len: u64,
    /// Bytes of the file.
    pub file_len: u64,
}

/// Reads every frame of a segment in order. What follows the last good frame is a torn tail where
/// `last` allows one and no later frame proves that it was acknowledged; else it is damage.
pub fn scan(
    segment: &Segment,
    last: bool,
    mut visit: impl FnMut(u64, &[u8]) -> Result<(), LedgerError>,
) -> Result<ScanEnd, LedgerError> {
    let path = &segment.path;
    let file = File::open(path).map_err(io_error("opening", path))?;
    let file_len = file.metadata().map_err(io_error("reading", path))?.len();
    let mut reader = FrameFile { file, path, at: SEGMENT_MAGIC.len() as u64, file_len };
    if let Err(reason) = reader.check_magic()? {
        // A segment is made durable before its first block: a torn one can only be the last, empty.
        if last && file_len <= SEGMENT_MAGIC.len() as u64 {
            return Ok(ScanEnd { good_len: 0, file_len });
        }
        return Err(damaged(path, 0, reason));
    }
    let mut buffer = Vec::new();
    while reader.at < file_len {
        let offset = reader.at;
        if let Err(error) = reader.next_frame(&mut buffer)? {
            if !last || reader.is_acknowledged(offset)? {
                return Err(damaged(path, offset, &error.to_string()));
            }
            return Ok(ScanEnd { good_len: offset, file_len });
        }
        visit(offset, &buffer)?;
    }
    Ok(ScanEnd { good_len: file_len, file_len })
}

fn damaged(path: &Path, offset: u64, reason: &str) -> LedgerError {
    LedgerError::Damaged { path: path.to_owned(), offset, reason: reason.to_owned() }
}

struct FrameFile<'a> {
    file: File,
    path: &'a Path,
    at: u64,
    file_len: u64,
}

impl FrameFile<'_> {
    fn check_magic(&self) -> Result<Result<(), &'static str>, LedgerError> {
        let mut magic = [0; SEGMENT_MAGIC.len()];
        if self.file_len < magic.len() as u64 {
            return Ok(Err("the file is shorter than a segment's first bytes"));
        }
        self.read(&mut magic, 0)?;
        Ok(if &magic == SEGMENT_MAGIC { Ok(()) } else { Err("this is no segment of a block log") })
    }

    fn read(&self, buffer: &mut [u8], at: u64) -> Result<(), LedgerError> {
        self.file.read_exact_at(buffer, at).map_err(io_error("reading", self.path))
    }

    fn next_frame(&mut self, payload: &mut Vec<u8>) -> Result<Result<(), FrameError>, LedgerError> {
        let left = self.file_len - self.at;
        if left < FRAME_HEADER_BYTES as u64 {
            return Ok(Err(FrameError::Cut));
        }
        let mut header = [0; FRAME_HEADER_BYTES];
        self.read(&mut header, self.at)?;
        let header = match frame::FrameHeader::parse(&header) {
            Ok(header) => header,
            Err(error) => return Ok(Err(error)),
        };
        let whole = (FRAME_HEADER_BYTES + header.len) as u64;
        if left < whole {
            return Ok(Err(FrameError::Cut));
        }
        payload.resize(header.len, 0);
        self.read(payload, self.at + FRAME_HEADER_BYTES as u64)?;
        if let Err(error) = header.check(payload) {
            return Ok(Err(error));
        }
        self.at += whole;
        Ok(Ok(()))
    }

    fn is_acknowledged(&self, position: u64) -> Result<bool, LedgerError> {
        // A segment is bounded, and this happens only after a crash.
        let mut rest = Vec::new();
        let len = usize::try_from(self.file_len - position).unwrap_or(0);
        rest.resize(len, 0);
        self.read(&mut rest, position)?;
        let behind = rest.get(1..).unwrap_or_default();
        Ok(frame::acknowledged_after(behind, position))
    }
}

/// Reads one block's payload.
pub fn read_payload(segment: &Segment, at: Location) -> Result<Vec<u8>, LedgerError> {
    let path = &segment.path;
    let file = File::open(path).map_err(io_error("opening", path))?;
    let mut bytes = vec![0; FRAME_HEADER_BYTES + at.len as usize];
    file.read_exact_at(&mut bytes, at.offset).map_err(io_error("reading", path))?;
    match frame::whole(&bytes) {
        Ok(_) => {
            bytes.drain(..FRAME_HEADER_BYTES);
            Ok(bytes)
        }
        Err(error) => Err(damaged(path, at.offset, &error.to_string())),
    }
}

/// Why a group was not appended.
#[derive(Debug)]
pub enum AppendError {
    /// The disk is full (or a quota is): nothing of the group is in the log; it may be tried again.
    NoSpace(LedgerError),
    /// What is on disk is not known any more. The process must end.
    Fatal(LedgerError),
}

/// Appends frames to the last segment.
#[derive(Debug)]
pub struct LogWriter {
    ledger: PathBuf,
    path: PathBuf,
    file: File,
    /// Index of the segment in the list.
    segment: u32,
    /// Everything below is durable.
    durable: u64,
    max_segment_bytes: u64,
    buffer: Vec<u8>,
}

impl LogWriter {
    /// Makes the first segment of a new ledger.
    pub fn create(ledger: &Path) -> Result<(), LedgerError> {
        let directory = ledger.join(LOG_DIRECTORY);
        fs::create_dir_all(&directory).map_err(io_error("making", &directory))?;
        sync_directory(ledger)?;
        new_segment(ledger, 0).map(|_| ())
    }

    /// Goes on behind the last good frame of the last segment. A torn tail is cut off.
    pub fn open(
        ledger: &Path,
        (index, segment): (u32, &Segment),
        end: ScanEnd,
        max_segment_bytes: u64,
    ) -> Result<Self, LedgerError> {
        let path = segment.path.clone();
        if end.good_len == 0 {
            fs::remove_file(&path).map_err(io_error("removing the torn segment", &path))?;
            let (path, file) = new_segment(ledger, segment.first_block)?;
            let len = SEGMENT_MAGIC.len() as u64;
            return Ok(Self::at(ledger, path, file, (index, len, max_segment_bytes)));
        }
        let file =
            OpenOptions::new().write(true).open(&path).map_err(io_error("opening", &path))?;
        if end.good_len < end.file_len {
            file.set_len(end.good_len).map_err(io_error("cutting the torn tail of", &path))?;
        }
        // What was scanned may not be durable yet: the crash may have come before the sync.
        file.sync_all().map_err(io_error("making durable", &path))?;
        Ok(Self::at(ledger, path, file, (index, end.good_len, max_segment_bytes)))
    }

    fn at(ledger: &Path, path: PathBuf, file: File, at: (u32, u64, u64)) -> Self {
        let (segment, durable, max_segment_bytes) = at;
        let (ledger, buffer) = (ledger.to_owned(), Vec::new());
        Self { ledger, path, file, segment, durable, max_segment_bytes, buffer }
    }

    /// Whether the next group should begin a new segment. One without a block is never full: the
    /// next would have its name.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.durable >= self.max_segment_bytes && self.durable > SEGMENT_MAGIC.len() as u64
    }

    /// Begins a new segment, whose first block has this number.
    pub fn rotate(&mut self, first_block: u64) -> Result<Segment, AppendError> {
        let path = segment_path(&self.ledger, first_block);
        // A rotation that the disk had no space for may have left an empty file.
        let _ = fs::remove_file(&path);
        let (path, file) = new_segment(&self.ledger, first_block).map_err(classify)?;
        (self.path, self.file) = (path.clone(), file);
        self.segment += 1;
        self.durable = SEGMENT_MAGIC.len() as u64;
        Ok(Segment { first_block, path })
    }

    /// Appends payloads as one durable step. Returns where each stands.
    pub fn append(&mut self, payloads: &[&[u8]]) -> Result<Vec<Location>, AppendError> {
        self.buffer.clear();
        let mut locations = Vec::with_capacity(payloads.len());
        for payload in payloads {
            let offset = self.durable + self.buffer.len() as u64;
            // The executor refuses blocks over MAX_BLOCK_BYTES, which is far below 4 GiB.
            let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
            locations.push(Location { segment: self.segment, offset, len });
            frame::encode(payload, self.durable, &mut self.buffer);
        }
        if let Err(error) = write_all_at(&self.file, &self.buffer, self.durable) {
            return Err(self.cut_back(error));
        }
        self.file
            .sync_data()
            .map_err(|error| AppendError::Fatal(io_error("making durable", &self.path)(error)))?;
        self.durable += self.buffer.len() as u64;
        Ok(locations)
    }

    /// Takes a half-written group back.
    fn cut_back(&mut self, error: io::Error) -> AppendError {
        let full = is_full(&error);
        let error = io_error("appending to", &self.path)(error);
        match self.file.set_len(self.durable) {
            Ok(()) if full => AppendError::NoSpace(error),
            _ => AppendError::Fatal(error),
        }
    }
}

fn write_all_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    file.write_all_at(bytes, at)
}

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

fn classify(error: LedgerError) -> AppendError {
    match &error {
        LedgerError::Io { error: cause, .. } if is_full(cause) => AppendError::NoSpace(error),
        _ => AppendError::Fatal(error),
    }
}

fn new_segment(ledger: &Path, first_block: u64) -> Result<(PathBuf, File), LedgerError> {
    let path = segment_path(ledger, first_block);
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .open(&path)
        .map_err(io_error("making the segment", &path))?;
    file.write_all(SEGMENT_MAGIC).map_err(io_error("writing", &path))?;
    file.sync_all().map_err(io_error("making durable", &path))?;
    sync_directory(&ledger.join(LOG_DIRECTORY))?;
    Ok((path, file))
}
