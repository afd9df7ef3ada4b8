//! Opening a ledger: read the log once, check it, lock it, repair a torn tail.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::ahead::{Ahead, Weight, ahead};
use crate::codec::{DecodeError, Digest};
use crate::disk::{Disk, SystemDisk, make_directories, open_regular};
use crate::ledger::block::{self, BlockFormat, BlockOutline};
use crate::ledger::checkpoint::check_origin;
use crate::ledger::embedded::executor::Position;
use crate::ledger::embedded::index::Index;
use crate::ledger::embedded::kept::{check_kept, read_kept};
use crate::ledger::embedded::log::{self, Location, LogWriter, ScanEnd, Segment};
use crate::ledger::embedded::{EmbeddedReader, WriterParts};
use crate::ledger::tree::{Appended, Frontier, Tree};
use crate::ledger::{Definition, DefinitionKind, Entry, LedgerError, leaf_bytes};
use crate::limits::MAX_DEFINITIONS_BYTES;
use crate::transaction::leaf_hash;

/// The options for opening a ledger for writing.
#[derive(Debug, Clone)]
pub struct Opening {
    /// The ledger's directory; made where it is absent.
    pub directory: PathBuf,
    /// The ledger's name, the origin of its checkpoints.
    pub name: String,
    /// The checkpoint kept outside the directory, against old copies.
    pub checkpoint_copy: Option<PathBuf>,
    /// A segment is closed when it has grown past this many bytes.
    pub max_segment_bytes: u64,
}

/// A ledger that was read and locked, and whose writer is not started yet.
pub struct OpenLedger {
    pub(super) name: Arc<str>,
    pub(super) shared: Arc<EmbeddedReader>,
    pub(super) parts: WriterParts,
    /// Bytes of a torn tail that were cut off.
    pub repaired_bytes: u64,
}

/// Opens a ledger for writing. `observe` is told bytes read and bytes in all.
pub fn open(
    opening: &Opening,
    observe: &mut dyn FnMut(u64, u64),
) -> Result<OpenLedger, LedgerError> {
    open_on(&(Arc::new(SystemDisk) as Arc<dyn Disk>), opening, observe)
}

/// The same on a disk of the caller's choice.
pub fn open_on(
    disk: &Arc<dyn Disk>,
    opening: &Opening,
    observe: &mut dyn FnMut(u64, u64),
) -> Result<OpenLedger, LedgerError> {
    check_origin(&opening.name).map_err(|error| LedgerError::Key(error.to_string()))?;
    let directory = &opening.directory;
    let make = |error| LedgerError::Io { doing: "making", path: directory.clone(), error };
    make_directories(&**disk, directory).map_err(make)?;
    let lock = lock(directory)?;
    if !has_segments(&**disk, directory)? {
        LogWriter::make_place(&**disk, directory)?;
    }
    let mut read = read((&**disk, directory), observe)?;
    if read.index.segments.is_empty() {
        read.index.segments.push(Segment::new(directory, 0));
    }
    let name: Arc<str> = opening.name.as_str().into();
    check_name(&read.index, opening)?;
    let last = last_segment(&read.index, directory)?;
    let repaired_bytes = read.end.file_len - read.end.good_len;
    let position = Position {
        number: read.index.height(),
        previous: read.index.head().map(|head| head.block_hash).unwrap_or_default(),
        entries: read.index.head().map_or(0, |head| head.entries),
        frontier: read.frontier,
        effects: read.index.effects(),
        time_ms: read.index.head().map_or(i64::MIN, |head| head.time_ms),
        keys: read.index.keys.clone(),
    };
    let format = read.index.format();
    let shared = Arc::new(EmbeddedReader::new(
        (disk.clone(), directory),
        name.clone(),
        read.index,
        read.tree,
    ));
    if let Some(path) = &opening.checkpoint_copy
        && let Some(kept) = read_kept(&**disk, path)?
    {
        check_kept(&kept, &shared)?;
    }
    // Repairs only what turned out to be the right ledger: a tail that the kept checkpoint covers
    // was acknowledged, and must not be cut off.
    let place = (last.0, &last.1);
    let log = LogWriter::open(disk.clone(), directory, place, read.end, opening.max_segment_bytes)?;
    let parts = WriterParts { log, position, lock, format };
    Ok(OpenLedger { name, shared, parts, repaired_bytes })
}

fn last_segment(index: &Index, directory: &Path) -> Result<(u32, Segment), LedgerError> {
    let numbered = (0..).zip(&index.segments).last();
    let (number, segment) = numbered.ok_or_else(|| LedgerError::Absent(directory.to_owned()))?;
    Ok((number, segment.clone()))
}

fn has_segments(disk: &dyn Disk, directory: &Path) -> Result<bool, LedgerError> {
    match log::segments(disk, directory) {
        Ok(segments) => Ok(!segments.is_empty()),
        Err(LedgerError::Absent(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Bytes behind the last whole block: of an interrupted write, or of one that is going on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The newest segment.
    pub path: PathBuf,
    /// Their number.
    pub bytes: u64,
}

/// Opens a ledger for reading only: takes no lock, writes nothing, reads up to the last whole block.
pub fn open_read_only(
    directory: &Path,
    observe: &mut dyn FnMut(u64, u64),
) -> Result<Arc<EmbeddedReader>, LedgerError> {
    open_to_look(directory, observe).map(|(shared, _)| shared)
}

/// The same, with what follows the last whole block.
pub fn open_to_look(
    directory: &Path,
    observe: &mut dyn FnMut(u64, u64),
) -> Result<(Arc<EmbeddedReader>, Option<TornTail>), LedgerError> {
    let disk = Arc::new(SystemDisk);
    let Read { index, tree, end, .. } = read((&*disk, directory), observe)?;
    let name = ledger_name(&index).ok_or_else(|| LedgerError::Absent(directory.to_owned()))?;
    let name = name.into();
    let torn = end.file_len.checked_sub(end.good_len).filter(|bytes| *bytes > 0);
    let torn = torn.zip(index.segments.last());
    let torn = torn.map(|(bytes, segment)| TornTail { path: segment.path.clone(), bytes });
    Ok((Arc::new(EmbeddedReader::new((disk, directory), name, index, tree)), torn))
}

/// One process for each ledger: the lock goes with the process, however it ends.
pub fn lock(directory: &Path) -> Result<File, LedgerError> {
    let path = directory.join("lock");
    let io = |error| LedgerError::Io { doing: "locking", path: path.clone(), error };
    // Neither through a link nor into a pipe: the folder may come from anyone.
    let file = match open_regular(&path, OpenOptions::new().write(true)) {
        Err(error) if error.kind() == ErrorKind::NotFound => File::create(&path),
        opened => opened,
    };
    let file = file.map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LedgerError::Locked(directory.to_owned())),
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}

struct Read {
    index: Index,
    tree: Tree,
    frontier: Frontier,
    end: ScanEnd,
    definition_bytes: usize,
}

fn read(
    (disk, directory): (&dyn Disk, &Path),
    observe: &mut dyn FnMut(u64, u64),
) -> Result<Read, LedgerError> {
    let segments = log::segments(disk, directory)?;
    // Only to tell how far reading is.
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let total = segments.iter().map(|segment| size(&segment.path)).sum();
    let mut read = Read {
        index: Index::over(segments.clone()),
        tree: Tree::new(),
        frontier: Frontier::new(),
        end: ScanEnd::default(),
        definition_bytes: 0,
    };
    ahead(
        |(payload, location): (Vec<u8>, Location), weight: &Weight| {
            let outlined = Outlined::read(&payload);
            weight.set(outlined.as_ref().map_or(0, Outlined::memory_bytes));
            (outlined, location)
        },
        |outlined| read.segments(disk, &segments, outlined, &mut |at| observe(at, total)),
    )?;
    observe(total, total);
    Ok(read)
}

/// A block's outline with all of its entries that opening needs: nothing of the block before.
struct Outlined {
    outline: BlockOutline,
    /// Leaf hashes of its entries.
    leaves: Vec<Digest>,
    /// Hash of its own leaf.
    own_leaf: Option<Digest>,
    definitions: Vec<(u64, Definition)>,
    /// Bytes of the block.
    len: usize,
}

impl Outlined {
    fn read(payload: &[u8]) -> Result<Self, DecodeError> {
        let (outline, entries) = BlockOutline::decode(payload)?;
        let (mut leaves, mut definitions) = (Vec::with_capacity(entries.left()), Vec::new());
        let mut room = MAX_DEFINITIONS_BYTES;
        for (number, bytes) in (outline.header.first_entry..).zip(entries) {
            let bytes = bytes?;
            leaves.push(leaf_hash(&leaf_bytes(bytes)));
            if Entry::is_definition(bytes)
                && let Entry::Definition(definition) = Entry::decode(bytes)?
            {
                let left = room.checked_sub(definition.memory_bytes());
                room = left.ok_or(DecodeError::TooMuch("definitions"))?;
                definitions.push((number, definition));
            }
        }
        let own_leaf = block::own_leaf(&outline.header, &outline.seal);
        let own_leaf = own_leaf.map(|leaf| leaf_hash(&leaf));
        let len = payload.len();
        Ok(Self { outline, leaves, own_leaf, definitions, len })
    }

    fn memory_bytes(&self) -> usize {
        let definitions = self.definitions.iter().map(|(_, definition)| definition.memory_bytes());
        let leaves = self.leaves.len() * size_of::<Digest>();
        self.outline.records.memory_bytes() + leaves + definitions.sum::<usize>()
    }
}

/// The result of reading a frame, and its location.
type ReadFrame = (Result<Outlined, DecodeError>, Location);

impl Read {
    fn segments(
        &mut self,
        disk: &dyn Disk,
        segments: &[Segment],
        outlined: &mut Ahead<'_, (Vec<u8>, Location), ReadFrame>,
        observe: &mut dyn FnMut(u64),
    ) -> Result<(), LedgerError> {
        let mut before = 0;
        for (number, segment) in (0_u32..).zip(segments) {
            let is_last = number as usize + 1 == segments.len();
            if segment.first_block != self.index.height() {
                let reason = format!(
                    "the log has no segment for it; the next one is {}",
                    segment.path.display()
                );
                return Err(LedgerError::Inconsistent { number: self.index.height(), reason });
            }
            let mut refused = false;
            let end = log::scan(disk, segment, is_last, |offset, payload| {
                observe(before + offset);
                let location = Location { segment: number, offset };
                let len = block::most_memory(payload.len());
                let mut taken = Ok(());
                while taken.is_ok()
                    && let Some(it) = outlined.make_room(len)
                {
                    taken = self.take(it);
                }
                let next = outlined.push_sized((payload, location), len);
                taken = taken.and_then(|()| next.map_or(Ok(()), |it| self.take(it)));
                taken.inspect_err(|_| refused = true)
            });
            // What stands in front of damage comes first; what stands behind a refusal is not asked.
            while !refused && let Some(it) = outlined.take() {
                self.take(it)?;
            }
            self.end = end?;
            before += self.end.file_len;
        }
        Ok(())
    }

    fn take(&mut self, (outlined, location): ReadFrame) -> Result<(), LedgerError> {
        let number = self.index.height();
        let decode = |error| LedgerError::Decode { number, error };
        let outlined = outlined.map_err(decode)?;
        let Outlined { outline, leaves, own_leaf, definitions, len } = outlined;
        self.index.largest_block = self.index.largest_block.max(len);
        let inconsistent = |reason| LedgerError::Inconsistent { number, reason };
        self.index.check(&outline).map_err(inconsistent)?;
        let mut appended = Appended::default();
        let frontier = &mut self.frontier;
        leaves.into_iter().for_each(|leaf| frontier.append_and_note(leaf, &mut appended));
        for (number, definition) in &definitions {
            check_format(definition)?;
            self.definition_bytes += definition.memory_bytes();
            if self.definition_bytes > MAX_DEFINITIONS_BYTES {
                let reason =
                    format!("mappings and contracts take more than {MAX_DEFINITIONS_BYTES} bytes");
                return Err(inconsistent(reason));
            }
            self.index.push_definition(*number, definition);
        }
        if self.index.format().is_some_and(|format| format != outline.header.format) {
            return Err(inconsistent("it is in another format than the ledger".to_owned()));
        }
        if self.frontier.root() != outline.header.entries_root {
            return Err(inconsistent("its tree root does not match its entries".to_owned()));
        }
        if let Some(leaf) = own_leaf {
            self.frontier.append_and_note(leaf, &mut appended);
        }
        self.tree.extend(&appended);
        self.index.push_outline(&outline, location, self.frontier.root());
        Ok(())
    }
}

/// Refuses a ledger of a format that is not known here.
fn check_format(definition: &Definition) -> Result<(), LedgerError> {
    let names_format = definition.kind == DefinitionKind::Ledger;
    match names_format && BlockFormat::from_text(&definition.text).is_none() {
        true => Err(LedgerError::Format(definition.text.escape_debug().to_string())),
        false => Ok(()),
    }
}

fn ledger_name(index: &Index) -> Option<&str> {
    let is_ledger = |kind| kind == DefinitionKind::Ledger;
    let mut definitions = index.definitions.iter().map(|(_, definition)| definition);
    definitions.find(|found| is_ledger(found.kind)).map(|found| found.name.as_str())
}

fn check_name(index: &Index, opening: &Opening) -> Result<(), LedgerError> {
    match ledger_name(index) {
        Some(found) if found != opening.name => Err(LedgerError::Name {
            directory: opening.directory.clone(),
            found: found.to_owned(),
            expected: opening.name.clone(),
        }),
        _ => Ok(()),
    }
}
