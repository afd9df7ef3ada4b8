//! Model of the durable contents of a disk, beside the visible ones: the computable part of a power
//! loss. Nothing here touches a file.
//!
//! Bytes are tracked by sector, each durable or not on its own, in no order. A sync that failed
//! leaves its sectors clean though they never reached the disk, as Linux does: a later sync of the
//! same file succeeds and saves nothing of them. Names are tracked by change, each durable on its
//! own; a failed sync of a directory may be tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Bytes that reach a disk whole or not at all.
const SECTOR_BYTES: usize = 512;

/// A file's number, as a name leads to it.
pub(super) type FileId = usize;

/// The target of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    Directory,
    File(FileId),
}

#[derive(Debug, Default)]
struct Content {
    shown: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors that the next sync makes durable.
    dirty: BTreeSet<usize>,
}

#[derive(Debug)]
struct NameChange {
    directory: PathBuf,
    change: Change,
}

#[derive(Debug)]
enum Change {
    Link(PathBuf, Node),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf),
}

/// The model.
#[derive(Debug, Default)]
pub(super) struct Model {
    files: Vec<Content>,
    shown: BTreeMap<PathBuf, Node>,
    durable: BTreeMap<PathBuf, Node>,
    pending: Vec<NameChange>,
}

/// The contents after a power loss.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Names that must go, those within a directory in front of it.
    pub(super) gone: Vec<(PathBuf, Node)>,
    /// Directories, those above in front.
    pub(super) directories: Vec<PathBuf>,
    /// Files with their bytes.
    pub(super) files: Vec<(PathBuf, Vec<u8>)>,
}

impl Model {
    pub(super) fn node(&self, path: &Path) -> Option<Node> {
        self.shown.get(path).copied()
    }

    /// Takes in a file that was there before, durable as it is.
    pub(super) fn adopt(&mut self, path: &Path, bytes: Vec<u8>) -> FileId {
        let id = self.files.len();
        let (shown, durable) = (bytes.clone(), bytes);
        self.files.push(Content { shown, durable, dirty: BTreeSet::new() });
        self.shown.insert(path.to_owned(), Node::File(id));
        self.durable.insert(path.to_owned(), Node::File(id));
        id
    }

    pub(super) fn create(&mut self, path: &Path) -> FileId {
        let id = self.files.len();
        self.files.push(Content::default());
        self.link(path, Node::File(id));
        id
    }

    pub(super) fn make_directory(&mut self, path: &Path) {
        self.link(path, Node::Directory);
    }

    fn link(&mut self, path: &Path, node: Node) {
        self.shown.insert(path.to_owned(), node);
        self.push(path, Change::Link(path.to_owned(), node));
    }

    pub(super) fn unlink(&mut self, path: &Path) {
        self.shown.remove(path);
        self.push(path, Change::Unlink(path.to_owned()));
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) {
        let change = Change::Rename(from.to_owned(), to.to_owned());
        change.apply(&mut self.shown);
        self.push(to, change);
    }

    fn push(&mut self, path: &Path, change: Change) {
        let directory = crate::disk::directory_of(path).to_owned();
        self.pending.push(NameChange { directory, change });
    }

    pub(super) fn write(&mut self, id: FileId, bytes: &[u8], at: usize) {
        let Some(file) = self.files.get_mut(id) else { return };
        let end = at + bytes.len();
        if file.shown.len() < end {
            file.resize(end);
        }
        if let Some(place) = file.shown.get_mut(at..end) {
            place.copy_from_slice(bytes);
        }
        file.dirty.extend(at / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES));
    }

    pub(super) fn set_size(&mut self, id: FileId, size: usize) {
        if let Some(file) = self.files.get_mut(id) {
            file.resize(size);
        }
    }

    /// A sync that held what it promised.
    pub(super) fn sync(&mut self, id: FileId) {
        if let Some(file) = self.files.get_mut(id) {
            let dirty = std::mem::take(&mut file.dirty);
            file.durable.resize(file.shown.len(), 0);
            dirty.into_iter().for_each(|sector| file.keep(sector));
        }
    }

    /// A sync that failed, or said that it had not.
    pub(super) fn forget(&mut self, id: FileId) {
        if let Some(file) = self.files.get_mut(id) {
            file.dirty.clear();
        }
    }

    pub(super) fn sync_directory(&mut self, directory: &Path) {
        for NameChange { change, .. } in
            self.pending.extract_if(.., |pending| pending.directory == directory)
        {
            change.apply(&mut self.durable);
        }
    }

    /// The power goes. `survives` is asked for each piece that is not durable.
    pub(super) fn lose(&mut self, survives: &mut dyn FnMut() -> bool) -> Left {
        for NameChange { change, .. } in std::mem::take(&mut self.pending) {
            if survives() {
                change.apply(&mut self.durable);
            }
        }
        let durable = &self.durable;
        // A name within a directory that is gone leads nowhere.
        let is_reached = |path: &Path| {
            let mut above = path.ancestors().skip(1);
            above.all(|above| !self.shown.contains_key(above) || durable.contains_key(above))
        };
        let gone = self.shown.iter().map(|(path, node)| (path.clone(), *node)).rev();
        let mut left = Left { gone: gone.collect(), ..Left::default() };
        let reached = durable.iter().filter(|(path, _)| is_reached(path));
        let reached: BTreeMap<PathBuf, Node> =
            reached.map(|(path, node)| (path.clone(), *node)).collect();
        for (path, node) in &reached {
            match node {
                Node::Directory => left.directories.push(path.clone()),
                Node::File(id) => {
                    let bytes = self.files.get_mut(*id).map(|file| file.lose(survives));
                    left.files.push((path.clone(), bytes.unwrap_or_default()));
                }
            }
        }
        (self.shown, self.durable) = (reached.clone(), reached);
        left
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Self::Link(path, node) => _ = names.insert(path.clone(), *node),
            Self::Unlink(path) => _ = names.remove(path),
            Self::Rename(from, to) => {
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
        }
    }
}

impl Content {
    fn resize(&mut self, size: usize) {
        let sectors = |size: usize| size.div_ceil(SECTOR_BYTES);
        // The sector that the end stood in, or stands in now, changes with it.
        let ends = self.shown.len().min(size) / SECTOR_BYTES..sectors(size);
        self.shown.resize(size, 0);
        self.dirty.retain(|sector| *sector < sectors(size));
        self.dirty.extend(ends);
    }

    /// The sector as it is shown, within the durable size.
    fn keep(&mut self, sector: usize) {
        let start = sector * SECTOR_BYTES;
        let end = (start + SECTOR_BYTES).min(self.durable.len()).min(self.shown.len());
        if let (Some(to), Some(from)) =
            (self.durable.get_mut(start..end), self.shown.get(start..end))
        {
            to.copy_from_slice(from);
        }
    }

    fn lose(&mut self, survives: &mut dyn FnMut() -> bool) -> Vec<u8> {
        if self.shown.len() != self.durable.len() && survives() {
            self.durable.resize(self.shown.len(), 0);
        }
        for sector in 0..self.durable.len().div_ceil(SECTOR_BYTES) {
            let range = sector * SECTOR_BYTES
                ..((sector + 1) * SECTOR_BYTES).min(self.durable.len()).min(self.shown.len());
            if self.durable.get(range.clone()) != self.shown.get(range) && survives() {
                self.keep(sector);
            }
        }
        self.shown.clone_from(&self.durable);
        self.dirty.clear();
        self.durable.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of a file that a power loss leaves.
    fn left(model: &mut Model, path: &str, survives: bool) -> Option<Vec<u8>> {
        let left = model.lose(&mut || survives);
        left.files.into_iter().find(|(name, _)| name == Path::new(path)).map(|(_, bytes)| bytes)
    }

    fn with_file() -> (Model, FileId) {
        let mut model = Model::default();
        let id = model.create(Path::new("d/a"));
        model.write(id, b"first", 0);
        model.sync(id);
        (model, id)
    }

    #[test]
    fn a_name_lasts_once_its_directory_was_synced() {
        let (mut model, _) = with_file();
        assert_eq!(left(&mut model, "d/a", false), None);
        let (mut model, _) = with_file();
        assert_eq!(left(&mut model, "d/a", true).unwrap(), b"first");
        let (mut model, _) = with_file();
        model.sync_directory(Path::new("d"));
        model.rename(Path::new("d/a"), Path::new("d/b"));
        assert_eq!(left(&mut model, "d/a", false).unwrap(), b"first");
        assert_eq!(model.node(Path::new("d/b")), None);
    }

    #[test]
    fn bytes_last_once_they_were_synced() {
        for (survives, expected) in [(false, &b"first"[..]), (true, b"first and more")] {
            let (mut model, id) = with_file();
            model.sync_directory(Path::new("d"));
            model.write(id, b" and more", 5);
            assert_eq!(left(&mut model, "d/a", survives).unwrap(), expected);
        }
    }

    #[test]
    fn a_sync_after_a_failed_one_saves_nothing_but_what_is_written_again() {
        for (again, expected) in [(false, vec![0; 5]), (true, b"first".to_vec())] {
            let mut model = Model::default();
            let id = model.create(Path::new("d/a"));
            model.sync_directory(Path::new("d"));
            model.write(id, b"first", 0);
            model.forget(id);
            if again {
                model.write(id, b"first", 0);
            }
            model.sync(id);
            assert_eq!(left(&mut model, "d/a", false).unwrap(), expected);
        }
    }

    #[test]
    fn a_cut_that_was_not_synced_may_come_undone() {
        for (survives, expected) in [(false, &b"first"[..]), (true, b"fir")] {
            let (mut model, id) = with_file();
            model.sync_directory(Path::new("d"));
            model.set_size(id, 3);
            assert_eq!(left(&mut model, "d/a", survives).unwrap(), expected);
        }
    }
}
