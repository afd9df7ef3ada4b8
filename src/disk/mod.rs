//! The file operations that the ledger's durability depends on, behind a trait, so that each of
//! them can be made to fail.
//!
//! What goes through here is the block log and the checkpoint that is kept outside it. Nothing here
//! tries anything again or hides an error: what a failure means is for the caller to say.

mod scratch;

pub use scratch::ScratchFolder;

use std::fmt::Debug;
use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, OFlags, PROC_SUPER_MAGIC, SeekFrom};
use rustix::io::Errno;

use crate::limits::MAX_LISTED_FILES;

/// Names of files and directories.
///
/// What is made, renamed or removed is only sure to stay so once the directory that holds the name
/// was synced.
pub trait Disk: Debug + Send + Sync {
    /// Makes one directory; the one above it must be there.
    fn make_directory(&self, path: &Path) -> io::Result<()>;

    /// The contents of a directory, unordered; at most [`MAX_LISTED_FILES`]. A symbolic link to a
    /// directory is refused.
    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>>;

    /// Makes a file, which must be absent, and opens it for writing.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a regular file for reading. Symbolic links and special files are refused, without
    /// waiting for whoever may be at their other end.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a regular file for reading and writing; refuses what [`Disk::open`] refuses.
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

    /// The first place from `at` on that may hold anything but zeros; `None` where only zeros follow.
    fn next_data(&self, at: u64) -> io::Result<Option<u64>> {
        Ok(Some(at))
    }

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

/// Reads a whole file that has at most so many bytes.
pub fn read_whole(disk: &dyn Disk, path: &Path, max_bytes: usize) -> io::Result<Vec<u8>> {
    let file = disk.open(path)?;
    let size = usize::try_from(file.size()?).unwrap_or(usize::MAX);
    if size > max_bytes {
        let reason = format!("it has {size} bytes, the limit is {max_bytes}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// Reads a file that a person names, which may be a pipe, of at most so many bytes.
pub fn read_bounded(path: &Path, max_bytes: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(max_bytes as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > max_bytes {
        let reason = format!("it has more than {max_bytes} bytes, the limit");
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    Ok(bytes)
}

/// Refuses to replace what is there and is not a regular file: a rename takes the place of a link, a
/// pipe or a device as well.
pub fn require_replaceable(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => Err(wrong_kind(found.file_type(), "a regular file")),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
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

/// The file type of a path, for messages.
fn kind_name(kind: FileType) -> &'static str {
    match kind {
        kind if kind.is_symlink() => "a symbolic link",
        kind if kind.is_dir() => "a directory",
        kind if kind.is_fifo() => "a named pipe",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_block_device() || kind.is_char_device() => "a device",
        kind if kind.is_file() => "a file",
        _ => "a special file",
    }
}

fn wrong_kind(kind: FileType, expected: &str) -> io::Error {
    let kind = kind_name(kind);
    io::Error::new(io::ErrorKind::InvalidInput, format!("it is {kind}, not {expected}"))
}

/// Refuses a path that is not a directory itself: one reached over a symbolic link may belong to
/// anyone.
pub fn require_directory(path: &Path) -> io::Result<()> {
    let kind = fs::symlink_metadata(path)?.file_type();
    kind.is_dir().then_some(()).ok_or_else(|| wrong_kind(kind, "a directory"))
}

/// Opens a regular file, and nothing else: neither what a symbolic link leads to nor a pipe, which
/// could wait without end, nor a device.
pub fn open_regular(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // Before it is opened, as opening a device can already do something.
    let kind = fs::symlink_metadata(path)?.file_type();
    if !kind.is_file() {
        return Err(wrong_kind(kind, "a regular file"));
    }
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let file = options.custom_flags(flags).open(path)?;
    // It may have become another one since.
    let kind = file.metadata()?.file_type();
    if !kind.is_file() {
        return Err(wrong_kind(kind, "a regular file"));
    }
    Ok(file)
}

/// Opens a regular file for reading. Symbolic links are followed, because mounted secrets are links;
/// anything else is refused before it is opened, because opening a named pipe waits for its writer.
pub fn open_followed(path: &Path) -> io::Result<File> {
    let require = |kind: FileType| match kind.is_file() {
        true => Ok(()),
        false => Err(wrong_kind(kind, "a regular file")),
    };
    require(fs::metadata(path)?.file_type())?;
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    // The path may lead to another file by now.
    require(file.metadata()?.file_type())?;
    Ok(file)
}

/// Checks that this process can create files in a directory; the error says why not. Nothing is
/// written.
pub fn check_writable(directory: &Path) -> io::Result<()> {
    let kind = fs::metadata(directory)?.file_type();
    if !kind.is_dir() {
        return Err(wrong_kind(kind, "a directory"));
    }
    rustix::fs::access(directory, Access::WRITE_OK | Access::EXEC_OK)?;
    if rustix::fs::statfs(directory)?.f_type == PROC_SUPER_MAGIC {
        let message = "/proc is not a place for files";
        return Err(io::Error::new(io::ErrorKind::Unsupported, message));
    }
    Ok(())
}

impl Disk for SystemDisk {
    fn make_directory(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        require_directory(directory)?;
        let mut paths = Vec::new();
        for entry in fs::read_dir(directory)? {
            if paths.len() == MAX_LISTED_FILES {
                let reason = format!("it contains more than {MAX_LISTED_FILES} files");
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
            }
            paths.push(entry?.path());
        }
        Ok(paths)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).open(path).map(opened)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        open_regular(path, OpenOptions::new().read(true)).map(opened)
    }

    fn open_to_write(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        open_regular(path, OpenOptions::new().read(true).write(true)).map(opened)
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

    fn next_data(&self, at: u64) -> io::Result<Option<u64>> {
        match rustix::fs::seek(&self.0, SeekFrom::Data(at)) {
            Ok(data) => Ok(Some(data)),
            Err(Errno::NXIO) => Ok(None),
            // A file system that does not know its holes.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(Some(at)),
            Err(error) => Err(error.into()),
        }
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
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    #[test]
    fn only_regular_files_are_opened_and_only_directories_listed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "bytes").unwrap();
        fs::create_dir(at("directory")).unwrap();
        symlink(at("file"), at("link")).unwrap();
        symlink(at("directory"), at("directory link")).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, mode, 0)
            .unwrap();
        let cases = [
            ("file", "", "it is a file, not a directory"),
            ("directory", "it is a directory, not a regular file", ""),
            ("link", "it is a symbolic link, not a regular file", "it is a symbolic link"),
            ("directory link", "it is a symbolic link", "it is a symbolic link, not a directory"),
            ("socket", "it is a socket, not a regular file", "it is a socket"),
            ("pipe", "it is a named pipe, not a regular file", "it is a named pipe"),
        ];
        let check = |name: &str, result: Option<io::Error>, says: &str| match result {
            None => assert_eq!(says, "", "{name}"),
            Some(error) => {
                assert!(!says.is_empty() && error.to_string().contains(says), "{name}: {error}");
            }
        };
        for (name, opening, listing) in cases {
            check(name, SystemDisk.open(&at(name)).err(), opening);
            check(name, SystemDisk.open_to_write(&at(name)).err(), opening);
            check(name, SystemDisk.list(&at(name)).err(), listing);
        }
        for (name, says) in [
            ("file", ""),
            ("link", ""),
            ("directory link", "it is a directory, not a regular file"),
            ("socket", "it is a socket, not a regular file"),
            ("pipe", "it is a named pipe, not a regular file"),
        ] {
            check(name, open_followed(&at(name)).err(), says);
        }
        check("directory", check_writable(&at("directory")).err(), "");
        check("file", check_writable(&at("file")).err(), "it is a file, not a directory");
        check("/proc", check_writable(Path::new("/proc")).err(), "/proc is not a place");
        let absent = SystemDisk.open(&at("absent")).unwrap_err();
        assert_eq!(absent.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn holes_are_told_and_a_small_file_is_read_up_to_its_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let file = File::create(&path).unwrap();
        file.set_len(1 << 30).unwrap();
        file.write_all_at(b"data", 1 << 29).unwrap();
        let open = SystemDisk.open(&path).unwrap();
        let data = open.next_data(0).unwrap().unwrap();
        assert!(data <= 1 << 29, "never behind data");
        assert_eq!(open.next_data(1 << 29).unwrap(), Some(1 << 29));
        let error = read_whole(&SystemDisk, &path, 1_000).unwrap_err();
        assert!(error.to_string().contains("the limit is 1000"), "{error}");
        fs::write(&path, "a note").unwrap();
        assert_eq!(read_whole(&SystemDisk, &path, 6).unwrap(), b"a note");
        assert!(read_whole(&SystemDisk, &path, 5).is_err());
    }

    #[test]
    fn a_file_system_without_a_size_is_unknown_and_not_full() {
        let error = space(Path::new("/proc")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{error}");
        let folder = tempfile::tempdir().unwrap();
        let space = space(folder.path()).unwrap();
        assert!(space.size_bytes >= space.free_bytes && space.free_bytes > 0, "{space:?}");
    }
}
