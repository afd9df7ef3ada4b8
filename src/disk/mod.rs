//! The few file operations that the ledger's survival rests on, behind a trait, so that each of them
//! can be made to fail.
//!
//! What goes through here is the block log and the checkpoint that is kept outside it. Nothing here
//! tries anything again or hides an error: what a failure means is for the caller to say.

mod fault;
mod faulty;
mod model;

pub use fault::{Call, Failure, Fault, Operation};
pub use faulty::FaultyDisk;

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Names of files and directories.
///
/// What is made, renamed or removed is only sure to stay so once the directory that holds the name
/// was synced.
pub trait Disk: Debug + Send + Sync {
    /// Makes one directory; the one above it must be there.
    fn make_directory(&self, path: &Path) -> io::Result<()>;

    /// What is in a directory, in no order.
    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>>;

    /// Makes a file, which must be absent, and opens it for writing.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file for reading.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file for reading and writing.
    fn open_to_write(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Gives a file another name, over the file that has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
}

/// An open file.
pub trait DiskFile: Debug + Send {
    /// Bytes of the file.
    fn size(&self) -> io::Result<u64>;

    /// Reads so many bytes from a place on; fewer are an error.
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()>;

    /// Writes bytes to a place, or the first of them; how many.
    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<usize>;

    /// Cuts the file, or fills it up with zeros.
    fn set_size(&mut self, size: u64) -> io::Result<()>;

    /// Makes the bytes durable, and the size that it takes to read them.
    fn sync_data(&mut self) -> io::Result<()>;

    /// Makes the bytes durable, and all that is known of the file.
    fn sync_all(&mut self) -> io::Result<()>;

    /// Writes all bytes to a place. After an error any of them may have been written.
    fn write_all_at(&mut self, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write_at(bytes, at) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    bytes = bytes.get(written..).unwrap_or_default();
                    at += written as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Room on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that this program may still write.
    pub free_bytes: u64,
    /// Bytes of the whole disk.
    pub size_bytes: u64,
}

/// Room on the disk that holds a path. A local file system answers from memory. One that reports no
/// size (some network and user-space file systems) does not know its room either: that is an error,
/// not a full disk.
pub fn space(path: &Path) -> io::Result<Space> {
    let disk = rustix::fs::statvfs(path)?;
    if disk.f_blocks == 0 || disk.f_frsize == 0 {
        let message = format!("the file system of {} reports no size", path.display());
        return Err(io::Error::new(io::ErrorKind::Unsupported, message));
    }
    Ok(Space {
        free_bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
        size_bytes: disk.f_blocks.saturating_mul(disk.f_frsize),
    })
}

/// Replaces a small file by a rename that is never half done. The new file is durable before it
/// takes the name: a crash of the machine would else leave an empty one.
pub fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = Path::new(&new);
    match disk.remove(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = disk.create(new)?;
    file.write_all_at(bytes, 0)?;
    file.sync_all()?;
    disk.rename(new, path)?;
    disk.sync_directory(directory_of(path))
}

/// Reads a whole file, one of few bytes.
pub fn read_whole(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let file = disk.open(path)?;
    let mut bytes = vec![0; usize::try_from(file.size()?).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// The directory that holds a name.
#[must_use]
pub fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// Makes a directory and those above it, as far as they are absent, each name durable.
pub fn make_directories(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    let above = directory_of(path);
    let made = match disk.make_directory(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && above != path => {
            make_directories(disk, above)?;
            disk.make_directory(path)
        }
        made => made,
    };
    match made {
        Ok(()) => disk.sync_directory(above),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// The machine's disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDisk;

fn opened(file: File) -> Box<dyn DiskFile> {
    Box::new(SystemFile(file))
}

impl Disk for SystemDisk {
    fn make_directory(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect()
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).open(path).map(opened)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        File::open(path).map(opened)
    }

    fn open_to_write(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        OpenOptions::new().read(true).write(true).open(path).map(opened)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

#[derive(Debug)]
struct SystemFile(File);

impl DiskFile for SystemFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, at)
    }

    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<usize> {
        self.0.write_at(bytes, at)
    }

    fn set_size(&mut self, size: u64) -> io::Result<()> {
        self.0.set_len(size)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync_all(&mut self) -> io::Result<()> {
        self.0.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_without_a_size_is_unknown_and_not_full() {
        let error = space(Path::new("/proc")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{error}");
        let folder = tempfile::tempdir().unwrap();
        let space = space(folder.path()).unwrap();
        assert!(space.size_bytes >= space.free_bytes && space.free_bytes > 0, "{space:?}");
    }
}
