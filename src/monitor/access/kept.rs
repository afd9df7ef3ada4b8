//! Files that are read again when they change: tokens, certificates, key sets. What was good stays
//! until there is something good again.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::codec::Digest;
use crate::disk::open_followed;
use crate::limits::MAX_ACCESS_FILE_BYTES;

/// Turns the contents of the files into a value, or says why that cannot be done. A file that does not
/// exist is `None`.
type Make<T> = Box<dyn Fn(&[Option<Contents>]) -> Result<T, String> + Send + Sync>;

/// A file as it was read.
#[derive(Debug)]
pub struct Contents {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its permission bits, at the moment the bytes were read.
    pub mode: u32,
}

/// The value that some files come to.
pub struct Kept<T> {
    files: Vec<PathBuf>,
    make: Make<T>,
    seen: Mutex<Seen>,
    value: RwLock<Arc<T>>,
}

/// The outcome of the last look at the files.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// Contents with this digest became the value.
    Good(Digest),
    /// Contents with this digest were refused for this reason. It may go away while the contents stay,
    /// so every look tries again.
    Refused(Digest, String),
}

impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("files", &self.files).finish_non_exhaustive()
    }
}

impl<T> Kept<T> {
    /// Reads the files for the first time.
    pub fn open(
        files: Vec<PathBuf>,
        make: impl Fn(&[Option<Contents>]) -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let contents = read_all(&files)?;
        let value = RwLock::new(Arc::new(make(&contents)?));
        let seen = Mutex::new(Seen::Good(digest(&contents)));
        Ok(Self { files, make: Box::new(make), seen, value })
    }

    /// The last good value.
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.value.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files again; where they have changed, takes them or logs once why not. Waits for the
    /// disk.
    pub fn look(&self) {
        let files = self.files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>();
        let files = files.join(", ");
        match self.renew() {
            Some(Ok(())) => tracing::info!(files, "has changed and was reloaded"),
            Some(Err(reason)) => {
                tracing::error!(
                    files,
                    reason,
                    "has changed but cannot be used; the last good one stays in use"
                )
            }
            None => {}
        }
    }

    /// Reads the files again; `None` where there is no news.
    fn renew(&self) -> Option<Result<(), String>> {
        let contents = read_all(&self.files);
        let now = match &contents {
            Ok(contents) => digest(contents),
            Err(reason) => Digest::of(reason.as_bytes()),
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == Seen::Good(now) {
            return None;
        }
        match contents.and_then(|contents| (self.make)(&contents)) {
            Ok(value) => {
                *self.value.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
                *seen = Seen::Good(now);
                Some(Ok(()))
            }
            Err(reason) => {
                let refused = Seen::Refused(now, reason.clone());
                let is_news = *seen != refused;
                *seen = refused;
                is_news.then_some(Err(reason))
            }
        }
    }
}

fn read_all(files: &[PathBuf]) -> Result<Vec<Option<Contents>>, String> {
    files.iter().map(|file| read_regular(file)).collect()
}

/// As [`read_whole`], but refuses what is not a regular file: these are read again and again, and a
/// named pipe would hold that up.
fn read_regular(file: &Path) -> Result<Option<Contents>, String> {
    match open_followed(file) {
        Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {
            Err(format!("{} cannot be read: {error}", file.display()))
        }
        _ => read_whole(file),
    }
}

/// Reads a file of bounded length; `None` where it does not exist.
pub fn read(file: &Path) -> Result<Option<Vec<u8>>, String> {
    Ok(read_whole(file)?.map(|contents| contents.bytes))
}

fn read_whole(file: &Path) -> Result<Option<Contents>, String> {
    let reason = |error| format!("{} cannot be read: {error}", file.display());
    let open = match File::open(file) {
        Ok(open) => open,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(reason(error)),
    };
    let mode = open.metadata().map_err(reason)?.permissions().mode() & 0o7777;
    let mut bytes = Vec::new();
    open.take(MAX_ACCESS_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(reason)?;
    if bytes.len() as u64 > MAX_ACCESS_FILE_BYTES {
        return Err(format!("{} has more than {MAX_ACCESS_FILE_BYTES} bytes", file.display()));
    }
    Ok(Some(Contents { bytes, mode }))
}

/// Modes take part: who may read a key or write a list decides whether it is taken.
fn digest(contents: &[Option<Contents>]) -> Digest {
    let each = contents.iter().map(|contents| match contents {
        Some(Contents { bytes, mode }) => Digest::of_parts(&[&mode.to_le_bytes(), bytes]).0,
        None => [0; 32],
    });
    Digest::of(&each.collect::<Vec<_>>().concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(contents: &[Option<Contents>]) -> Result<u32, String> {
        let Some(Contents { bytes, .. }) = &contents[0] else { return Ok(0) };
        String::from_utf8_lossy(bytes).parse().map_err(|error| format!("{error}"))
    }

    #[test]
    fn the_last_good_contents_stay() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("number");
        std::fs::write(&file, "x").unwrap();
        assert!(Kept::open(vec![file.clone()], number).is_err());
        std::fs::write(&file, "1").unwrap();
        let kept = Kept::open(vec![file.clone()], number).unwrap();
        let long = "1".repeat(usize::try_from(MAX_ACCESS_FILE_BYTES).unwrap() + 1);
        for (text, expected) in
            [(Some("1"), 1), (Some("2"), 2), (Some("x"), 2), (Some("3"), 3), (Some(&*long), 3)]
                .into_iter()
                .chain([(None, 0), (Some("4"), 4)])
        {
            match text {
                Some(text) => std::fs::write(&file, text).unwrap(),
                None => std::fs::remove_file(&file).unwrap(),
            }
            kept.look();
            assert_eq!(*kept.get(), expected, "{text:?}");
        }
    }

    #[test]
    fn refused_contents_are_tried_again_and_reported_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("number");
        let set_mode = |mode| {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        std::fs::write(&file, "1").unwrap();
        set_mode(0o600);
        let obstacle = Arc::new(Mutex::new(None));
        let told = Arc::clone(&obstacle);
        let make = move |contents: &[Option<Contents>]| match &*told.lock().unwrap() {
            Some(reason) => Err(String::from(*reason)),
            None => number(contents),
        };
        let kept = Kept::open(vec![file.clone()], make).unwrap();
        let told = |now: Option<&'static str>| {
            *obstacle.lock().unwrap() = now;
            kept.renew()
        };
        let refused = |reason: &str| Some(Err(reason.to_owned()));
        std::fs::write(&file, "2").unwrap();
        assert_eq!([told(Some("a")), told(Some("a"))], [refused("a"), None], "reported once");
        assert_eq!([told(Some("b")), told(Some("b"))], [refused("b"), None], "another reason");
        std::fs::write(&file, "3").unwrap();
        assert_eq!([told(Some("b")), told(Some("b"))], [refused("b"), None], "other contents");
        assert_eq!((told(None), *kept.get()), (Some(Ok(())), 3), "the cause is gone");
        assert_eq!(told(Some("a")), None, "what was taken is not looked at again");
        set_mode(0o666);
        assert_eq!(told(Some("a")), refused("a"), "unless its mode changes");
        set_mode(0o600);
        assert_eq!((told(None), told(None), *kept.get()), (Some(Ok(())), None, 3));
    }
}
