//! Files that are read again when they change: tokens, certificates, key sets. What was good stays
//! until there is something good again.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::codec::Digest;
use crate::disk::open_followed;
use crate::limits::MAX_ACCESS_FILE_BYTES;

/// What the files come to, or why to nothing. A file that is not there is `None`.
type Make<T> = Box<dyn Fn(&[Option<Vec<u8>>]) -> Result<T, String> + Send + Sync>;

/// What some files come to.
pub struct Kept<T> {
    files: Vec<PathBuf>,
    make: Make<T>,
    /// Digest of what was read last, good or not.
    seen: Mutex<Digest>,
    value: RwLock<Arc<T>>,
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
        make: impl Fn(&[Option<Vec<u8>>]) -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let contents = read_all(&files)?;
        let value = RwLock::new(Arc::new(make(&contents)?));
        let seen = Mutex::new(digest(&contents));
        Ok(Self { files, make: Box::new(make), seen, value })
    }

    /// What they came to when they were good last.
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.value.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads them again; where they have changed, takes them or says once why not. Waits for the
    /// disk.
    pub fn look(&self) {
        let files = self.files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>();
        let files = files.join(", ");
        let contents = read_all(&self.files);
        let now = match &contents {
            Ok(contents) => digest(contents),
            Err(reason) => Digest::of(reason.as_bytes()),
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut *seen, now) == now {
            return;
        }
        match contents.and_then(|contents| (self.make)(&contents)) {
            Ok(value) => {
                *self.value.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
                tracing::info!(files, "has changed and was read again");
            }
            Err(reason) => {
                tracing::error!(
                    files,
                    reason,
                    "has changed and cannot be used; the last one stays"
                );
            }
        }
    }
}

fn read_all(files: &[PathBuf]) -> Result<Vec<Option<Vec<u8>>>, String> {
    files.iter().map(|file| read_regular(file)).collect()
}

/// As [`read`], but refuses what is not a regular file: it is read again and again, and a named pipe
/// would hold that up.
fn read_regular(file: &Path) -> Result<Option<Vec<u8>>, String> {
    match open_followed(file) {
        Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {
            Err(format!("{} cannot be read: {error}", file.display()))
        }
        _ => read(file),
    }
}

/// Reads a file of bounded length; `None` where it is not there.
pub fn read(file: &Path) -> Result<Option<Vec<u8>>, String> {
    let reason = |error| format!("{} cannot be read: {error}", file.display());
    let open = match File::open(file) {
        Ok(open) => open,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(reason(error)),
    };
    let mut bytes = Vec::new();
    open.take(MAX_ACCESS_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(reason)?;
    if bytes.len() as u64 > MAX_ACCESS_FILE_BYTES {
        return Err(format!("{} has more than {MAX_ACCESS_FILE_BYTES} bytes", file.display()));
    }
    Ok(Some(bytes))
}

fn digest(contents: &[Option<Vec<u8>>]) -> Digest {
    let each = contents.iter().map(|bytes| match bytes {
        Some(bytes) => Digest::of(bytes).0,
        None => [0; 32],
    });
    Digest::of(&each.collect::<Vec<_>>().concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_good_contents_stay() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("number");
        let number = |contents: &[Option<Vec<u8>>]| {
            let Some(bytes) = &contents[0] else { return Ok(0) };
            String::from_utf8_lossy(bytes).parse::<u32>().map_err(|error| error.to_string())
        };
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
}
