//! Disk calls and their possible faults.

use std::io;
use std::path::PathBuf;

#[cfg(doc)]
use crate::disk::{Disk, DiskFile};

/// Linux' number for an input/output error.
const EIO: i32 = 5;
/// Linux' number for a full disk.
const ENOSPC: i32 = 28;

/// A disk call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// [`Disk::make_directory`].
    MakeDirectory,
    /// [`Disk::list`].
    List,
    /// [`Disk::create`].
    Create,
    /// [`Disk::open`] and [`Disk::open_to_write`].
    Open,
    /// [`Disk::remove`].
    Remove,
    /// [`Disk::rename`].
    Rename,
    /// [`Disk::sync_directory`].
    SyncDirectory,
    /// [`DiskFile::size`] and [`DiskFile::read_exact_at`].
    Read,
    /// [`DiskFile::write_at`].
    Write,
    /// [`DiskFile::set_size`].
    SetSize,
    /// [`DiskFile::sync_data`].
    SyncData,
    /// [`DiskFile::sync_all`].
    SyncAll,
}

impl Call {
    /// True if it may change what is on the disk.
    #[must_use]
    pub fn changes(self) -> bool {
        !matches!(self, Self::List | Self::Open | Self::Read)
    }

    /// True if it makes something durable.
    #[must_use]
    pub fn is_sync(self) -> bool {
        matches!(self, Self::SyncDirectory | Self::SyncData | Self::SyncAll)
    }
}

/// One call, as it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The call.
    pub call: Call,
    /// Of which file or directory.
    pub path: PathBuf,
}

/// Why a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// An input/output error (`EIO`).
    Io,
    /// The disk is full (`ENOSPC`).
    NoSpace,
}

impl Failure {
    pub(super) fn error(self) -> io::Error {
        io::Error::from_raw_os_error(match self {
            Self::Io => EIO,
            Self::NoSpace => ENOSPC,
        })
    }
}

/// The fault of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It does nothing and says why. A sync that fails so loses what it was to make durable.
    Fail(Failure),
    /// A write writes its first half and says how much that is; any other call is carried out.
    Short,
    /// A write writes its first half, and fails; any other call fails as with [`Fault::Fail`].
    FailHalfway(Failure),
    /// The program dies: this call and all after it do nothing.
    Kill,
    /// The program dies in the call, which is carried out (a write by its first half).
    KillWithin,
    /// A sync makes nothing durable, then or later, and says that it did; any other call is carried
    /// out. No software survives that and a power loss: it serves to see that a test would notice.
    Lie,
}
