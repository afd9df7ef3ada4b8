//! The id by which the process joins its consumer group as a static member, so that a start after a
//! kill takes its partitions over at once and does not wait until Kafka gives the dead one up.
//!
//! The id belongs to the ledger's directory, of which one process at a time has the lock: it is the
//! same at each start, also on another machine that the directory moved to. A second configuration
//! for the same group, a copy for a test or a ledger restored from `log` alone, has another one and
//! cannot push the first out of the group.

use std::path::Path;

use crate::disk::{SystemDisk, read_whole};
use crate::input::InputError;
use crate::limits::MAX_NOTE_BYTES;

/// File in the ledger's directory.
const FILE: &str = "member";
/// Text in front of the random part.
const PREFIX: &str = "ledgerline-";
/// Random bytes of an id.
const ID_BYTES: usize = 8;

/// The id that a ledger's directory keeps; makes one at the first start.
pub(super) fn member_id(directory: &Path) -> Result<String, InputError> {
    let path = directory.join(FILE);
    let kept = read_whole(&SystemDisk, &path, MAX_NOTE_BYTES).unwrap_or_default();
    let kept = String::from_utf8(kept).unwrap_or_default();
    if is_id(kept.trim()) {
        return Ok(kept.trim().to_owned());
    }
    let mut random = [0; ID_BYTES];
    let failed = |error| InputError::MemberId { path: path.clone(), error };
    getrandom::fill(&mut random).map_err(|error| failed(std::io::Error::other(error)))?;
    let id = format!("{PREFIX}{}", hex::encode(random));
    let new = directory.join(format!("{FILE}.new"));
    let written = std::fs::write(&new, format!("{id}\n"));
    written.and_then(|()| std::fs::rename(&new, &path)).map_err(failed)?;
    Ok(id)
}

fn is_id(text: &str) -> bool {
    let random = text.strip_prefix(PREFIX);
    random.is_some_and(|r| r.len() == 2 * ID_BYTES && r.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_its_id() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = member_id(one.path()).unwrap();
        assert!(is_id(&first), "{first}");
        assert_eq!(member_id(one.path()).unwrap(), first);
        assert_ne!(member_id(other.path()).unwrap(), first);
        // Nothing that Kafka would refuse is taken from the file.
        for broken in ["", "ledgerline-", "x y", &"a".repeat(400)] {
            std::fs::write(one.path().join(FILE), broken).unwrap();
            assert!(is_id(&member_id(one.path()).unwrap()), "{broken}");
        }
        assert!(member_id(&one.path().join("absent")).is_err());
    }
}
