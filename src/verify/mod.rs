//! Offline verification of a ledger from its files alone.
//!
//! Reads every frame once and believes nothing: hashes, tree, signatures, effects, source progress,
//! the disposition of every record, and the state store against the log. Changes nothing in the log.

mod accounting;
mod content;
mod groups;
mod one_block;
mod promised;
mod signatures;
mod tree;

pub use one_block::{Before, Step, one_block};

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::ahead::{Weight, ahead};
use crate::codec::{DecodeError, Digest};
use crate::disk::SystemDisk;
use crate::ledger::block::{self, Block};
use crate::ledger::checkpoint::Checkpoint;
use crate::ledger::log::{self, Segment};
use crate::ledger::{BlockFormat, Entry, LedgerError, read_kept};
use crate::state::{Mark, Member, Rest, StateError, StoreSummary};
use crate::transaction::KeyId;
use crate::verify::accounting::Accounting;
use crate::verify::content::Faults;
use crate::verify::groups::Groups;
use crate::verify::promised::Promised;
use crate::verify::signatures::{Computed, Signatures};
use crate::verify::tree::{BlockHashes, Hashing, TreeCheck};

/// Problems that are listed; of more only the number is given.
pub const MAX_LISTED_PROBLEMS: usize = 50;

/// The two checkpoints that a log may have to extend, in words.
const OLDER: &str = "older checkpoint";
const KEPT: &str = "kept checkpoint";

/// The options of a verification.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The ledger's directory.
    pub directory: PathBuf,
    /// An older signed checkpoint that the log must extend.
    pub from_checkpoint: Option<Vec<u8>>,
    /// Copy of the newest checkpoint outside the directory, which the log must extend.
    pub kept_checkpoint: Option<PathBuf>,
    /// The key that must have sealed the first block, where the auditor knows it from elsewhere.
    pub expected_key: Option<KeyId>,
    /// The name that the ledger must have, where the auditor knows it from elsewhere.
    pub expected_name: Option<String>,
}

/// The result of a verification.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The ledger's name.
    pub name: String,
    /// The key that sealed the first block.
    pub first_key: Option<KeyId>,
    /// Blocks read.
    pub blocks: u64,
    /// Entries read.
    pub entries: u64,
    /// Transactions among them.
    pub transactions: u64,
    /// Records that the blocks account for.
    pub records: u64,
    /// Leaves of the tree: entries, and one for each block of format 2.
    pub tree_size: u64,
    /// Root of the tree over all leaves.
    pub root: Digest,
    /// Bytes behind the last block that are not a whole block.
    pub tail_bytes: u64,
    /// Checks that passed or could not be made, in words.
    pub notes: Vec<String>,
    /// Problems with their places; at most [`MAX_LISTED_PROBLEMS`].
    pub problems: Vec<String>,
    /// The number of problems.
    pub problem_count: usize,
}

impl Report {
    /// True if nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problem_count == 0
    }

    fn problem(&mut self, text: String) {
        self.problem_count += 1;
        if self.problems.len() < MAX_LISTED_PROBLEMS {
            self.problems.push(text);
        }
    }
}

/// Collects what is wrong with one block.
pub(crate) struct Problems<'a> {
    number: u64,
    report: &'a mut Report,
}

impl Problems<'_> {
    fn add(&mut self, text: impl AsRef<str>) {
        self.report.problem(format!("block {}: {}", self.number, text.as_ref()));
    }

    fn check(&mut self, holds: bool, text: &str) {
        if !holds {
            self.add(text);
        }
    }
}

/// Verifies a ledger. `observe` is told bytes read and bytes in all. An error means that the files
/// could not be read; what they say wrongly stands in the report.
pub fn verify(request: &Request, observe: &mut dyn FnMut(u64, u64)) -> Result<Report, LedgerError> {
    let mut report = Report::default();
    // Before the log, which may be growing.
    let kept = request.kept_checkpoint.as_deref().and_then(|path| kept(path, &mut report));
    let state = read_state(&request.directory, &mut report);
    let mut verifier = Verifier {
        previous: None,
        effects: Digest::default(),
        tree: TreeCheck::default(),
        signatures: Signatures::new(request.expected_key),
        accounting: Accounting::default(),
        state: None,
        rest: None,
        checkpoints: Vec::new(),
        old_format: OldFormat::default(),
        is_unreadable: false,
    };
    match state {
        // Not even the first savepoint was completed.
        Some(StoreSummary { savepoint, rest, .. }) if savepoint.place.mark.blocks == 0 => {
            verifier.rest = rest;
        }
        state => verifier.state = state,
    }
    let older = request.from_checkpoint.clone().map(|note| (OLDER, note));
    for (name, note) in older.into_iter().chain(kept.map(|note| (KEPT, note))) {
        match Checkpoint::unverified(&note) {
            Ok(head) => verifier.checkpoints.push(Promised { name, head, note, root: None }),
            Err(error) => report.problem(format!("the {name}: {error}")),
        }
    }
    verifier.read(&request.directory, &mut report, observe)?;
    verifier.finish(&mut report);
    if let Some(expected) = request.expected_name.as_ref().filter(|name| **name != report.name) {
        let found = report.name.escape_debug();
        report.problem(format!("the ledger is named `{found}`, not `{expected}`"));
    }
    if report.blocks == 0 {
        report.problem("the log has no blocks, so nothing is verified".to_owned());
    }
    Ok(report)
}

/// Reads the checkpoint that is kept in a file.
fn kept(path: &Path, report: &mut Report) -> Option<Vec<u8>> {
    let place = path.display();
    match read_kept(&SystemDisk, path) {
        Ok(Some(kept)) => return Some(kept.note),
        Ok(None) => report.notes.push(format!(
            "there is no checkpoint in {place}: a truncated log, or an older copy in its place, cannot be \
             detected"
        )),
        Err(LedgerError::Io { error, .. }) if error.kind() == io::ErrorKind::PermissionDenied => {
            report.notes.push(format!("no permission to read the checkpoint kept in {place}"));
        }
        Err(error) => report.problem(crate::diagnostic::chain(&error)),
    }
    None
}

fn read_state(directory: &Path, report: &mut Report) -> Option<StoreSummary> {
    let path = directory.join(crate::state::STATE_DIRECTORY);
    if std::fs::symlink_metadata(&path).is_err() {
        report.notes.push("no state store: nothing to compare with the log".to_owned());
        return None;
    }
    match crate::state::summary(&path) {
        Ok(summary) => Some(summary),
        Err(StateError::InUse(_)) => {
            report.notes.push("the state store is in use and was not compared".to_owned());
            None
        }
        // Without the right to read it, or without a place for a copy, the log is verified alone.
        Err(StateError::Io { error, .. }) if error.kind() == io::ErrorKind::PermissionDenied => {
            report.notes.push("the state store cannot be read and was not compared".to_owned());
            None
        }
        Err(error @ StateError::NotCopied { .. }) => {
            report.notes.push(error.to_string());
            None
        }
        Err(error @ StateError::Io { .. }) => {
            report.problem(crate::diagnostic::chain(&error));
            None
        }
        Err(error) => {
            let why = crate::diagnostic::chain(&error);
            report.problem(format!("{why}; the next start rebuilds it from the log"));
            None
        }
    }
}

/// A block with all that can be said of it without the one before.
struct Prepared {
    block: Block,
    hashes: BlockHashes,
    members: Vec<Member>,
    /// Errors of the block by itself.
    faults: Faults,
    /// True if its signatures hold: seal, submissions and the checkpoint's, which is by the seal's
    /// key. Whether the keys may sign is another question.
    is_signed: bool,
}

impl Prepared {
    fn of(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut hashing = Hashing::default();
        let hash = &mut |entry: &Entry, bytes: &[u8], at| hashing.entry(entry, bytes, at);
        let block = Block::decode_with(payload, hash)?;
        let (hashes, members) = (hashing.finish(&block), accounting::members(&block));
        let faults = content::faults(&block);
        Ok(Self { block, hashes, members, faults, is_signed: false })
    }
}

/// Blocks that follow one another.
type Group<T> = Vec<T>;

/// Prepares blocks, and checks their signatures together where the ledger's name is known. Those of a
/// group with a signature that does not hold are checked one by one later, each the strict way.
fn prepare(
    payloads: Group<Vec<u8>>,
    name: Option<&str>,
    weight: &Weight,
) -> Group<Result<Prepared, DecodeError>> {
    let of = |payload: Vec<u8>| Prepared::of(&payload);
    let mut prepared: Group<_> = payloads.into_iter().map(of).collect();
    let memory = |one: &Prepared| one.block.memory_bytes();
    weight.set(prepared.iter().flatten().map(memory).sum());
    let Some(name) = name else { return prepared };
    let blocks = || prepared.iter().flatten();
    let blocks = blocks().map(|prepared| (&prepared.block, &prepared.hashes));
    if signatures::all_hold(name, blocks) {
        prepared.iter_mut().flatten().for_each(|prepared| prepared.is_signed = true);
    }
    prepared
}

/// Holds a block against the one before it.
fn chain(previous: Option<&block::Header>, block: &Block, problems: &mut Problems<'_>) {
    let header = &block.header;
    let (number, hash, first, time) = match previous {
        None => (0, Digest::default(), (0, 0), i64::MIN),
        Some(previous) => {
            let first = (previous.entries_end, previous.tree_size());
            (previous.number + 1, previous.hash(), first, previous.time_ms)
        }
    };
    problems.check(header.number == number, "its number is not the expected one");
    problems.check(header.previous == hash, "its previous hash is not that of the previous block");
    problems.check(header.first_entry == first.0, "its first entry is not the expected one");
    problems.check(header.first_leaf == first.1, "its first leaf is not the expected one");
    problems.check(header.time_ms >= time, "its time is before that of the previous block");
}

/// The blocks of format 1 at the beginning of a ledger.
#[derive(Debug, Clone, Copy, Default)]
struct OldFormat {
    /// Number of blocks.
    blocks: u64,
    /// Size of the tree after them.
    tree_size: u64,
}

impl OldFormat {
    /// A note on what checkpoints of these blocks do not cover.
    fn not_covered(self) -> Option<String> {
        let Self { blocks, tree_size } = self;
        (blocks > 0).then(|| {
            format!(
                "the first {blocks} blocks are in format 1: a checkpoint of up to tree size \
                 {tree_size} covers their entries only. Their dead letters, filtered records, \
                 progress, times, seals and submission signatures are covered by the blocks' own \
                 seals, and by every checkpoint of a later block in format 2"
            )
        })
    }
}

fn differs(blocks: u64, report: &mut Report) {
    report.problem(format!(
        "the state store does not match the writes of the first {blocks} blocks; the next start rebuilds \
         it, or run `ledgerline rebuild`"
    ));
}

struct Verifier {
    previous: Option<block::Header>,
    effects: Digest,
    tree: TreeCheck,
    signatures: Signatures,
    accounting: Accounting,
    state: Option<StoreSummary>,
    /// The remaining comparison of an incomplete savepoint.
    rest: Option<Rest>,
    old_format: OldFormat,
    /// A block could not be read: nothing behind it can be checked.
    is_unreadable: bool,
    checkpoints: Vec<Promised>,
}

impl Verifier {
    fn read(
        &mut self,
        directory: &Path,
        report: &mut Report,
        observe: &mut dyn FnMut(u64, u64),
    ) -> Result<(), LedgerError> {
        let segments = log::segments(&SystemDisk, directory)?;
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        let total = segments.iter().map(|segment| size(&segment.path)).sum();
        let name = OnceLock::new();
        let prepare =
            |group, weight: &Weight| prepare(group, name.get().map(String::as_str), weight);
        ahead(prepare, |prepared| {
            let mut groups = Groups { ahead: prepared, next: Vec::new(), bytes: 0, name: &name };
            self.segments(&segments, &mut groups, report, &mut |at| observe(at, total))
        })?;
        observe(total, total);
        Ok(())
    }

    fn segments(
        &mut self,
        segments: &[Segment],
        groups: &mut Groups<'_, '_>,
        report: &mut Report,
        observe: &mut dyn FnMut(u64),
    ) -> Result<(), LedgerError> {
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        let mut before = 0;
        for (at, segment) in segments.iter().enumerate() {
            let is_last = at + 1 == segments.len();
            if segment.first_block != report.blocks {
                report.problem(format!(
                    "{}: expected block {}, but by its name the segment begins with block {}",
                    segment.path.display(),
                    report.blocks,
                    segment.first_block
                ));
            }
            let scanned = log::scan(&SystemDisk, segment, is_last, |offset, payload| {
                observe(before + offset);
                groups.push(payload, &mut |it| self.block(it, report));
                if self.is_unreadable {
                    return Err(LedgerError::NoBlock { number: report.blocks, height: 0 });
                }
                if report.blocks > 0 {
                    groups.name.get_or_init(|| self.signatures.name().to_owned());
                }
                Ok(())
            });
            groups.finish(&mut |it| self.block(it, report));
            match scanned {
                // Nothing behind it is asked for.
                _ if self.is_unreadable => return Ok(()),
                Ok(end) if end.good_len < end.file_len => {
                    report.tail_bytes = end.file_len - end.good_len;
                    report.notes.push(format!(
                        "{}: {} bytes after the last block are not a complete block: an interrupted \
                         write, which the next start truncates, or a last block that was damaged or changed. A kept checkpoint shows which",
                        segment.path.display(),
                        report.tail_bytes
                    ));
                }
                Ok(_) => {}
                Err(error @ LedgerError::Damaged { .. }) => {
                    report.problem(error.to_string());
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
            before += size(&segment.path);
        }
        Ok(())
    }

    fn block(&mut self, prepared: Result<Prepared, DecodeError>, report: &mut Report) {
        if self.is_unreadable {
            return;
        }
        let number = report.blocks;
        report.blocks += 1;
        let Prepared { block, mut hashes, members, faults, is_signed } = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                self.is_unreadable = true;
                return report.problem(format!(
                    "block {number}: it cannot be read: {error}. It is damaged, or another version of \
                     Ledgerline wrote it; nothing after it was checked"
                ));
            }
        };
        let mut problems = Problems { number, report };
        chain(self.previous.as_ref(), &block, &mut problems);
        faults.into_iter().for_each(|fault| problems.add(fault));
        let leaves = std::mem::take(&mut hashes.leaves);
        self.tree.block(&block, leaves, &mut problems);
        let effects = block::chain_effects(&self.effects, &hashes.effects);
        problems.check(effects == block.header.effects, "its effects hash does not match");
        self.effects = block.header.effects;
        let found = Computed { hashes: &hashes, tree_root: self.tree.root(), is_signed };
        self.signatures.block(&block, found, &mut problems);
        self.accounting.block(&block, members, &mut problems);
        for Promised { head, root, .. } in &mut self.checkpoints {
            if root.is_none() && head.size <= block.header.tree_size() {
                *root = self.tree.root_at(head.size, &block);
            }
        }
        if block.header.format == BlockFormat::V1 {
            let tree_size = block.header.tree_size();
            self.old_format = OldFormat { blocks: report.blocks, tree_size };
        }
        self.compare_state(&block, report);
        report.entries += block.entries.len() as u64;
        report.tree_size = block.header.tree_size();
        report.root = self.tree.root();
        self.previous = Some(block.header);
    }

    fn compare_state(&mut self, block: &Block, report: &mut Report) {
        let mark = Mark { blocks: block.header.number + 1, block_hash: block.header.hash() };
        let is_here = |of: &Mark| of.blocks == mark.blocks;
        if let Some(rest) = self.rest.take_if(|rest| is_here(&rest.mark)) {
            let newest = self.accounting.written_since(rest.entries);
            let fingerprint = rest.taken_in(newest);
            let fits = rest.mark == mark
                && fingerprint.is_ok_and(|found| found == self.accounting.fingerprint());
            match fits {
                true => report.notes.push(format!(
                    "the state store has an unfinished savepoint of the first {} blocks; the next start completes it \
                     from the log",
                    mark.blocks
                )),
                false => differs(mark.blocks, report),
            }
        }
        let Some(state) = self.state.take_if(|state| is_here(&state.savepoint.place.mark)) else {
            return;
        };
        let (savepoint, is_whole) = (&state.savepoint, state.rest.is_none());
        let fits = savepoint.place.mark == mark
            && savepoint.place.totals == self.accounting.totals
            && (!is_whole || savepoint.fingerprint == self.accounting.fingerprint())
            && (!is_whole || state.alerts == self.accounting.alerts);
        match fits {
            true if is_whole => report.notes.push(format!(
                "the state store matches the writes of the first {} blocks: {} assets",
                mark.blocks,
                savepoint.fingerprint.count()
            )),
            true => self.rest = state.rest,
            false => differs(mark.blocks, report),
        }
    }

    fn finish(self, report: &mut Report) {
        report.name = self.signatures.name().to_owned();
        report.notes.extend(self.old_format.not_covered());
        report.first_key = self.signatures.first_key();
        report.transactions = self.accounting.transactions;
        report.records = self.accounting.records;
        let not_reached = self.state.map(|state| state.savepoint.place.mark);
        if let Some(Mark { blocks, .. }) = not_reached.or(self.rest.map(|rest| rest.mark)) {
            let has = report.blocks;
            report.problem(format!("the state store is at block {blocks}, the log has {has}"));
        }
        // Without a first block there is neither a name nor a key to compare with.
        let is_named = !self.signatures.name().is_empty();
        for promised in self.checkpoints.into_iter().filter(|_| is_named) {
            promised.finish(&self.signatures, report);
        }
    }
}
