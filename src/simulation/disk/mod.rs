//! A simulated disk with injected faults and power losses, for tests and simulations.

mod fault;
mod model;

pub use fault::{Call, Failure, Fault, Operation};

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Disk, DiskFile, SystemDisk};
use crate::simulation::disk::model::{FileId, Model, Node};

/// The machine's disk, with faults. Its syncs take no time: what they promise is only noted.
///
/// Calls are counted from 0 over all files. The files are real; what is not durable yet is known, and
/// [`FaultyDisk::lose_power`] takes it away from them. Only what goes through this disk is known:
/// files beside it are left alone. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct FaultyDisk {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    operations: Vec<Operation>,
    faults: BTreeMap<usize, Fault>,
    model: Model,
    /// Files that were opened before the last start fail.
    start: u64,
    faults_so_far: u64,
    is_dead: bool,
}

/// The remaining part of a call.
enum Go {
    Whole,
    Half,
    /// Half or all of it, and then this failure.
    HalfThen(io::Error),
    WholeThen(io::Error),
    Lie,
}

fn dead() -> io::Error {
    io::Error::other("the program was killed here")
}

impl FaultyDisk {
    /// The machine's disk, without a fault so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a call fail; calls are numbered from 0.
    pub fn inject(&self, number: usize, fault: Fault) {
        self.shared().faults.insert(number, fault);
    }

    /// The calls so far.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation> {
        self.shared().operations.clone()
    }

    /// Number of the next call.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared().operations.len()
    }

    /// Faults that have not come yet.
    #[must_use]
    pub fn pending_faults(&self) -> u64 {
        self.shared().faults.len() as u64
    }

    /// Faults that have come since the last start.
    #[must_use]
    pub fn faults_so_far(&self) -> u64 {
        self.shared().faults_so_far
    }

    /// True if the program was killed.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.shared().is_dead
    }

    /// The program's next start, on a machine that went on: what was written is there, durable or
    /// not. Files that are still open fail from now on, faults that did not come never will.
    pub fn restart(&self) {
        let mut shared = self.shared();
        shared.is_dead = false;
        shared.faults_so_far = 0;
        shared.start += 1;
        shared.faults.clear();
    }

    /// The machine's power goes, and comes back. `survives` is asked for each piece that is not
    /// durable: a changed sector, a size, a name. An error means that the files could not be brought
    /// into that state.
    pub fn lose_power(&self, survives: &mut dyn FnMut() -> bool) -> io::Result<()> {
        self.restart();
        let left = self.shared().model.lose(survives);
        for (path, node) in left.gone {
            match node {
                Node::File(_) => std::fs::remove_file(path)?,
                // What is in it may be no business of this disk.
                Node::Directory => _ = std::fs::remove_dir(path),
            }
        }
        for path in left.directories.iter().filter(|path| !path.exists()) {
            std::fs::create_dir(path)?;
        }
        left.files.iter().try_for_each(|(path, bytes)| std::fs::write(path, bytes))
    }

    /// Counts a call and says what is to become of it.
    fn begin(shared: &mut Shared, call: Call, path: &Path) -> io::Result<Go> {
        let number = shared.operations.len();
        shared.operations.push(Operation { call, path: path.to_owned() });
        if shared.is_dead {
            return Err(dead());
        }
        let fault = shared.faults.remove(&number);
        shared.faults_so_far += u64::from(fault.is_some());
        match fault {
            None => Ok(Go::Whole),
            Some(Fault::Short) => Ok(if call == Call::Write { Go::Half } else { Go::Whole }),
            Some(Fault::Lie) => Ok(if call.is_sync() { Go::Lie } else { Go::Whole }),
            Some(Fault::FailHalfway(why)) if call == Call::Write => Ok(Go::HalfThen(why.error())),
            Some(Fault::Fail(why) | Fault::FailHalfway(why)) => Err(why.error()),
            Some(Fault::Kill) => {
                shared.is_dead = true;
                Err(dead())
            }
            Some(Fault::KillWithin) => {
                shared.is_dead = true;
                let half = call == Call::Write;
                Ok(if half { Go::HalfThen(dead()) } else { Go::WholeThen(dead()) })
            }
        }
    }

    /// One call about a name.
    fn name<T>(
        &self,
        (call, path): (Call, &Path),
        carry_out: impl FnOnce(&mut Shared) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut shared = self.shared();
        match Self::begin(&mut shared, call, path)? {
            Go::WholeThen(error) | Go::HalfThen(error) => carry_out(&mut shared).and(Err(error)),
            Go::Whole | Go::Half | Go::Lie => carry_out(&mut shared),
        }
    }

    /// Opens a file; `open` gives its number and the machine's own.
    fn opened(
        &self,
        (call, path): (Call, &Path),
        open: impl FnOnce(&mut Shared) -> io::Result<(FileId, Box<dyn DiskFile>)>,
    ) -> io::Result<Box<dyn DiskFile>> {
        let (start, (id, inner)) =
            self.name((call, path), |shared| Ok((shared.start, open(shared)?)))?;
        Ok(Box::new(Opened { disk: self.clone(), path: path.to_owned(), start, id, inner }))
    }
}

impl Shared {
    /// The file of a name; one that this disk has not seen yet is durable as it is.
    fn file(&mut self, path: &Path) -> io::Result<FileId> {
        match self.model.node(path) {
            Some(Node::File(id)) => Ok(id),
            Some(Node::Directory) => Err(io::ErrorKind::IsADirectory.into()),
            None => Ok(self.model.adopt(path, std::fs::read(path)?)),
        }
    }
}

impl Disk for FaultyDisk {
    fn make_directory(&self, path: &Path) -> io::Result<()> {
        self.name((Call::MakeDirectory, path), |shared| {
            SystemDisk.make_directory(path)?;
            shared.model.make_directory(path);
            Ok(())
        })
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        self.name((Call::List, directory), |_| SystemDisk.list(directory))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.opened((Call::Create, path), |shared| {
            let inner = SystemDisk.create(path)?;
            Ok((shared.model.create(path), inner))
        })
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.opened((Call::Open, path), |shared| Ok((shared.file(path)?, SystemDisk.open(path)?)))
    }

    fn open_to_write(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.opened((Call::Open, path), |shared| {
            Ok((shared.file(path)?, SystemDisk.open_to_write(path)?))
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.name((Call::Remove, path), |shared| {
            // A file that is not there is no file to know.
            let known = shared.file(path);
            SystemDisk.remove(path)?;
            known.map(|_| shared.model.unlink(path))
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.name((Call::Rename, to), |shared| {
            shared.file(from)?;
            // The name that is lost comes back where the change does not last.
            let _ = shared.file(to);
            SystemDisk.rename(from, to)?;
            shared.model.rename(from, to);
            Ok(())
        })
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let mut shared = self.shared();
        let then = match Self::begin(&mut shared, Call::SyncDirectory, path)? {
            Go::Lie => return Ok(()),
            Go::WholeThen(error) | Go::HalfThen(error) => Err(error),
            Go::Whole | Go::Half => Ok(()),
        };
        shared.model.sync_directory(path);
        then
    }
}

#[derive(Debug)]
struct Opened {
    disk: FaultyDisk,
    path: PathBuf,
    start: u64,
    id: FileId,
    inner: Box<dyn DiskFile>,
}

impl Opened {
    fn begin(&self, shared: &mut Shared, call: Call) -> io::Result<Go> {
        if self.start != shared.start {
            return Err(dead());
        }
        FaultyDisk::begin(shared, call, &self.path)
    }

    fn read<T>(&self, read: impl FnOnce(&dyn DiskFile) -> io::Result<T>) -> io::Result<T> {
        match self.begin(&mut self.disk.shared(), Call::Read)? {
            Go::WholeThen(error) | Go::HalfThen(error) => Err(error),
            Go::Whole | Go::Half | Go::Lie => read(&*self.inner),
        }
    }

    fn sync(&self, call: Call) -> io::Result<()> {
        let shared = &mut self.disk.shared();
        match self.begin(shared, call) {
            Ok(Go::Whole | Go::Half) => {
                shared.model.sync(self.id);
                Ok(())
            }
            Ok(Go::WholeThen(error) | Go::HalfThen(error)) => {
                shared.model.sync(self.id);
                Err(error)
            }
            Ok(Go::Lie) => {
                shared.model.forget(self.id);
                Ok(())
            }
            Err(error) => {
                if !shared.is_dead && self.start == shared.start {
                    shared.model.forget(self.id);
                }
                Err(error)
            }
        }
    }
}

impl DiskFile for Opened {
    fn size(&self) -> io::Result<u64> {
        self.read(|file| file.size())
    }

    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.read(|file| file.read_exact_at(buffer, at))
    }

    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<usize> {
        let mut shared = self.disk.shared();
        let half = bytes.get(..bytes.len().div_ceil(2)).unwrap_or_default();
        let (part, then) = match self.begin(&mut shared, Call::Write)? {
            Go::Whole | Go::Lie => (bytes, Ok(bytes.len())),
            Go::Half => (half, Ok(half.len())),
            Go::HalfThen(error) => (half, Err(error)),
            Go::WholeThen(error) => (bytes, Err(error)),
        };
        self.inner.write_all_at(part, at)?;
        let at = usize::try_from(at).map_err(io::Error::other)?;
        shared.model.write(self.id, part, at);
        then
    }

    fn set_size(&mut self, size: u64) -> io::Result<()> {
        let mut shared = self.disk.shared();
        let then = match self.begin(&mut shared, Call::SetSize)? {
            Go::WholeThen(error) | Go::HalfThen(error) => Err(error),
            Go::Whole | Go::Half | Go::Lie => Ok(()),
        };
        self.inner.set_size(size)?;
        shared.model.set_size(self.id, usize::try_from(size).map_err(io::Error::other)?);
        then
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.sync(Call::SyncData)
    }

    fn sync_all(&mut self) -> io::Result<()> {
        self.sync(Call::SyncAll)
    }
}
