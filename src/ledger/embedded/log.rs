//! The block log: segment files of frames. Appends in groups, one write and one `fdatasync` each.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, DiskFile, directory_of};
use crate::ledger::LedgerError;
use crate::ledger::embedded::frame::{
    self, Checksum, FRAME_HEADER_BYTES, FrameError, FrameHeader, SEGMENT_MAGIC,
};
use crate::ledger::embedded::tail::{LOOK_AHEAD_BYTES, Tail};
use crate::limits::LOG_CHUNK_BYTES;

/// Folder of the segments within a ledger's directory.
pub const LOG_DIRECTORY: &str = "log";
/// Bytes that are written again at once when a log is opened.
const REWRITE_BYTES: u64 = 1 << 20;

/// One segment file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Number of its first block, which is also its name.
    pub first_block: u64,
    /// The file.
    pub path: PathBuf,
}

/// The location of a block's frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// Index in the list of segments.
    pub segment: u32,
    /// Byte offset of the frame.
    pub offset: u64,
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LedgerError {
    let path = path.to_owned();
    move |error| LedgerError::Io { doing, path, error }
}

/// The segments of a ledger, in order.
pub fn segments(disk: &dyn Disk, ledger: &Path) -> Result<Vec<Segment>, LedgerError> {
    let directory = ledger.join(LOG_DIRECTORY);
    let paths = match disk.list(&directory) {
        Ok(paths) => paths,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(LedgerError::Absent(ledger.to_owned()));
        }
        Err(error) => return Err(io_error("reading", &directory)(error)),
    };
    let segment =
        |path: PathBuf| first_block_of(&path).map(|first_block| Segment { first_block, path });
    let mut segments: Vec<_> = paths.into_iter().filter_map(segment).collect();
    segments.sort_by_key(|segment| segment.first_block);
    Ok(segments)
}

impl Segment {
    /// The one that begins with this block.
    #[must_use]
    pub fn new(ledger: &Path, first_block: u64) -> Self {
        let path = ledger.join(LOG_DIRECTORY).join(format!("blocks-{first_block:020}.log"));
        Self { first_block, path }
    }
}

fn first_block_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let digits = name.strip_prefix("blocks-")?.strip_suffix(".log")?;
    (digits.len() == 20).then(|| digits.parse().ok()).flatten()
}

/// The end of a scan of a segment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanEnd {
    /// Bytes that were durable when the last good frame was written.
    pub sure_len: u64,
    /// Bytes up to the end of the last good frame.
    pub good_len: u64,
    /// Bytes of the file.
    pub file_len: u64,
}

/// Reads every block of a segment in order, with its frame's place. What follows the last good frame is a torn tail where
/// `last` allows one and no later frame proves that it was acknowledged; else it is damage.
pub fn scan(
    disk: &dyn Disk,
    segment: &Segment,
    last: bool,
    mut visit: impl FnMut(u64, Vec<u8>) -> Result<(), LedgerError>,
) -> Result<ScanEnd, LedgerError> {
    let path = &segment.path;
    let file = disk.open(path).map_err(io_error("opening", path))?;
    let file_len = file.size().map_err(io_error("reading", path))?;
    let mut reader = FrameFile { file, path, at: SEGMENT_MAGIC.len() as u64, file_len };
    if let Err(reason) = reader.check_magic()? {
        // A segment is made durable before its first block: a torn one can only be the last, empty.
        if last && file_len <= SEGMENT_MAGIC.len() as u64 {
            return Ok(ScanEnd { sure_len: 0, good_len: 0, file_len });
        }
        return Err(damaged(path, 0, reason));
    }
    let mut buffer = Vec::new();
    let mut sure_len = 0;
    while reader.at < file_len {
        let offset = reader.at;
        match reader.next_frame(&mut buffer)? {
            Ok(header) if header.durable > offset => {
                let reason = "the frame declares later bytes durable";
                return Err(damaged(path, offset, reason));
            }
            Ok(header) => sure_len = header.durable,
            Err(error) if !last || reader.is_acknowledged(offset)? => {
                return Err(damaged(path, offset, &error.to_string()));
            }
            Err(_) => return Ok(ScanEnd { sure_len, good_len: offset, file_len }),
        }
        let unpacked = frame::unpack(&buffer);
        visit(offset, unpacked.map_err(|error| damaged(path, offset, &error.to_string()))?)?;
    }
    Ok(ScanEnd { sure_len, good_len: file_len, file_len })
}

fn damaged(path: &Path, offset: u64, reason: &str) -> LedgerError {
    LedgerError::Damaged { path: path.to_owned(), offset, reason: reason.to_owned() }
}

struct FrameFile<'a> {
    file: Box<dyn DiskFile>,
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
        Ok(if &magic == SEGMENT_MAGIC {
            Ok(())
        } else {
            Err("this is not a segment of a block log")
        })
    }

    fn read(&self, buffer: &mut [u8], at: u64) -> Result<(), LedgerError> {
        self.file.read_exact_at(buffer, at).map_err(io_error("reading", self.path))
    }

    fn next_frame(
        &mut self,
        payload: &mut Vec<u8>,
    ) -> Result<Result<FrameHeader, FrameError>, LedgerError> {
        let left = self.file_len - self.at;
        if left < FRAME_HEADER_BYTES as u64 {
            return Ok(Err(FrameError::Cut));
        }
        let mut header = [0; FRAME_HEADER_BYTES];
        self.read(&mut header, self.at)?;
        let header = match FrameHeader::parse(&header) {
            Ok(header) => header,
            Err(error) => return Ok(Err(error)),
        };
        let whole = (FRAME_HEADER_BYTES + header.len) as u64;
        if left < whole {
            return Ok(Err(FrameError::Cut));
        }
        let at = self.at + FRAME_HEADER_BYTES as u64;
        // A forged length must not ask for memory.
        if header.len > LOG_CHUNK_BYTES && !self.has_payload_of(&header, at)? {
            return Ok(Err(FrameError::Checksum));
        }
        payload.resize(header.len, 0);
        self.read(payload, at)?;
        if let Err(error) = header.check(payload) {
            return Ok(Err(error));
        }
        self.at += whole;
        Ok(Ok(header))
    }

    /// Checks that the bytes from a position on are a frame's payload, read in pieces.
    fn has_payload_of(&self, header: &FrameHeader, at: u64) -> Result<bool, LedgerError> {
        let (before, end) = (Checksum::default(), at + header.len as u64);
        let (mut sum, mut at, mut bytes) = (before, at, Vec::new());
        while at < end {
            let len = (end - at).min(LOG_CHUNK_BYTES as u64);
            bytes.resize(usize::try_from(len).unwrap_or(LOG_CHUNK_BYTES), 0);
            self.read(&mut bytes, at)?;
            (sum, at) = (sum.append(&bytes), at + len);
        }
        Ok(header.fits(before, sum))
    }

    /// Checks for a later frame that proves the bytes at `position` were acknowledged. Holes of the
    /// file are not read.
    fn is_acknowledged(&self, position: u64) -> Result<bool, LedgerError> {
        let mut tail = Tail::new(position, self.file_len);
        let mut bytes = Vec::new();
        while tail.at() < self.file_len && !tail.is_acknowledged() {
            let at = tail.at();
            let data = self.file.next_data(at).map_err(io_error("reading", self.path))?;
            let data = data.unwrap_or(self.file_len).min(self.file_len);
            if data > at {
                tail.push_zeros(data);
                continue;
            }
            let (left, chunk) = (self.file_len - at, LOG_CHUNK_BYTES as u64);
            let given = left.min(chunk + LOOK_AHEAD_BYTES as u64);
            bytes.resize(usize::try_from(given).unwrap_or_default(), 0);
            self.read(&mut bytes, at)?;
            tail.push(&bytes, usize::try_from(left.min(chunk)).unwrap_or_default());
        }
        Ok(tail.is_acknowledged())
    }
}

/// Reads one block.
pub fn read_block(
    disk: &dyn Disk,
    segment: &Segment,
    at: Location,
) -> Result<Vec<u8>, LedgerError> {
    let path = &segment.path;
    let file = disk.open(path).map_err(io_error("opening", path))?;
    let file_len = file.size().map_err(io_error("reading", path))?;
    let mut packed = Vec::new();
    let read = match file_len.checked_sub(at.offset) {
        Some(_) => FrameFile { file, path, at: at.offset, file_len }.next_frame(&mut packed)?,
        None => Err(FrameError::Cut),
    };
    let block = read.and_then(|_| frame::unpack(&packed));
    block.map_err(|error| damaged(path, at.offset, &error.to_string()))
}

/// Why a group was not appended.
#[derive(Debug)]
pub enum AppendError {
    /// The disk is full (or a quota is): nothing of the group is in the log; it may be tried again.
    NoSpace(LedgerError),
    /// The state of the disk is unknown. The process must end.
    Fatal(LedgerError),
}

/// Appends frames to the last segment.
#[derive(Debug)]
pub struct LogWriter {
    disk: Arc<dyn Disk>,
    ledger: PathBuf,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    /// Index of the segment in the list.
    segment: u32,
    /// Everything below is durable.
    durable: u64,
    max_segment_bytes: u64,
    buffer: Vec<u8>,
}

impl LogWriter {
    /// Makes the place of a new ledger's segments; the ledger's directory is there.
    pub fn make_place(disk: &dyn Disk, ledger: &Path) -> Result<(), LedgerError> {
        // Whoever made the directory may have died before its name was durable. One in a place that
        // this user may not even read was made by others.
        let above = directory_of(ledger);
        match disk.sync_directory(above) {
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => {
                return Err(sync_error(above)(error));
            }
            _ => {}
        }
        let directory = ledger.join(LOG_DIRECTORY);
        match disk.make_directory(&directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(io_error("making", &directory)(error));
            }
            _ => {}
        }
        disk.sync_directory(ledger).map_err(sync_error(ledger))
    }

    /// Goes on behind the last good frame of the last segment. A torn tail is cut off; a segment
    /// without a block is made anew, or for the first time.
    pub fn open(
        disk: Arc<dyn Disk>,
        ledger: &Path,
        (index, segment): (u32, &Segment),
        end: ScanEnd,
        max_segment_bytes: u64,
    ) -> Result<Self, LedgerError> {
        let path = segment.path.clone();
        let (file, durable) = if end.good_len <= SEGMENT_MAGIC.len() as u64 {
            // Its name may not be durable: whoever made it may have died before that.
            match disk.remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(io_error("removing the empty segment", &path)(error));
                }
                _ => {}
            }
            (new_segment(&*disk, &path)?, SEGMENT_MAGIC.len() as u64)
        } else {
            let mut file = disk.open_to_write(&path).map_err(io_error("opening", &path))?;
            if end.good_len < end.file_len {
                file.set_size(end.good_len)
                    .map_err(io_error("truncating the torn tail of", &path))?;
            }
            rewrite(&mut *file, end).map_err(io_error("rewriting the last blocks of", &path))?;
            file.sync_all().map_err(io_error("making durable", &path))?;
            (file, end.good_len)
        };
        let (ledger, buffer) = (ledger.to_owned(), Vec::new());
        Ok(Self { disk, ledger, path, file, segment: index, durable, max_segment_bytes, buffer })
    }

    /// True if the next group should begin a new segment. One without a block is never full: the
    /// next would have its name.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.durable >= self.max_segment_bytes && self.durable > SEGMENT_MAGIC.len() as u64
    }

    /// Begins a new segment, whose first block has this number.
    pub fn rotate(&mut self, first_block: u64) -> Result<Segment, AppendError> {
        let segment = Segment::new(&self.ledger, first_block);
        // A rotation that the disk had no space for may have left an empty file.
        let _ = self.disk.remove(&segment.path);
        self.file = new_segment(&*self.disk, &segment.path).map_err(classify)?;
        self.path.clone_from(&segment.path);
        self.segment += 1;
        self.durable = SEGMENT_MAGIC.len() as u64;
        Ok(segment)
    }

    /// Appends blocks as one durable step. Returns where each stands, and how many bytes they take.
    pub fn append(&mut self, blocks: &[&[u8]]) -> Result<(Vec<Location>, u64), AppendError> {
        self.buffer.clear();
        let mut locations = Vec::with_capacity(blocks.len());
        for block in blocks {
            let offset = self.durable + self.buffer.len() as u64;
            locations.push(Location { segment: self.segment, offset });
            frame::encode(&frame::pack(block), self.durable, &mut self.buffer);
        }
        if let Err(error) = self.file.write_all_at(&self.buffer, self.durable) {
            return Err(self.cut_back(error));
        }
        self.file.sync_data().map_err(|error| AppendError::Fatal(sync_error(&self.path)(error)))?;
        let bytes = self.buffer.len() as u64;
        self.durable += bytes;
        Ok((locations, bytes))
    }

    /// Takes a half-written group back.
    fn cut_back(&mut self, error: io::Error) -> AppendError {
        let full = is_full(&error);
        let error = io_error("appending to", &self.path)(error);
        match self.file.set_size(self.durable) {
            Ok(()) if full => AppendError::NoSpace(error),
            _ => AppendError::Fatal(error),
        }
    }
}

/// Writes again what may never have become durable: after a sync that failed, the bytes can be read
/// although the disk does not have them, and the next sync does not care for them.
fn rewrite(file: &mut dyn DiskFile, end: ScanEnd) -> io::Result<()> {
    let mut at = end.sure_len;
    let mut bytes = Vec::new();
    while at < end.good_len {
        let len = (end.good_len - at).min(REWRITE_BYTES);
        bytes.resize(usize::try_from(len).map_err(io::Error::other)?, 0);
        file.read_exact_at(&mut bytes, at)?;
        file.write_all_at(&bytes, at)?;
        at += len;
    }
    Ok(())
}

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

fn classify(error: LedgerError) -> AppendError {
    match &error {
        LedgerError::Io { error: cause, .. } if is_full(cause) => AppendError::NoSpace(error),
        _ => AppendError::Fatal(error),
    }
}

fn sync_error(path: &Path) -> impl FnOnce(io::Error) -> LedgerError {
    io_error("making durable", path)
}

fn new_segment(disk: &dyn Disk, path: &Path) -> Result<Box<dyn DiskFile>, LedgerError> {
    let mut file = disk.create(path).map_err(io_error("creating the segment", path))?;
    file.write_all_at(SEGMENT_MAGIC, 0).map_err(io_error("writing", path))?;
    file.sync_all().map_err(sync_error(path))?;
    let directory = directory_of(path);
    disk.sync_directory(directory).map_err(sync_error(directory))?;
    Ok(file)
}
