//! The wrapper around sled: one tree, one writer, batches of some assets with the savepoint in
//! each.
//!
//! A savepoint is many batches: sled lets no reader in while it takes one, and frees no page that a
//! batch replaces before the batch ends (100,000 assets at once took it gigabytes). Between them the
//! store holds the place of the savepoint before, and assets as they were when their batch was
//! written; see [`Savepoint::begun`].
//!
//! sled does not promise that what was written is there after a crash, nor that damage is seen. So
//! every batch carries a fingerprint over all assets, and opening compares it with what is
//! there; whatever does not fit, an error or a panic within sled included, means: set it aside and
//! build it again from the log.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::Builder;
use std::time::Duration;

use crate::codec::json::Text;
use crate::codec::{DecodeError, Reader, Writer};
use crate::disk::ScratchFolder;
use crate::limits::{MIN_STATE_SPACE_BYTES, STATE_CACHE_BYTES};
use crate::state::StateError;
use crate::state::alerts::{self, ActiveAlerts, Since};
use crate::state::copy::copy;
use crate::state::known::Known;
use crate::state::savepoint::{Fingerprint, Mark, Member, Savepoint};

const SAVEPOINT_KEY: &[u8] = b"m/savepoint";
/// Written and removed again, to learn whether sled still can.
const PROBE_KEY: &[u8] = b"m/probe";
const ASSET_PREFIX: &[u8] = b"s/";
const ALERT_PREFIX: &[u8] = b"a/";
/// Times that a store in use is tried: sled's own threads hold the lock for a moment after its last
/// user within the process has gone.
const LOCK_TRIES: u32 = 10;
/// Pause between these.
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// Time after which sled is asked whether a pending flush has failed, and interval of further
/// checks.
const FLUSH_PATIENCE: Duration = Duration::from_secs(1);

/// An asset as it is stored: the entry that wrote it, and its canonical bytes; none once deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Entry index.
    pub version: u64,
    /// Canonical bytes.
    pub value: Option<Arc<[u8]>>,
}

/// Contribution of an asset to the fingerprint, as entry `version` wrote it.
#[must_use]
pub fn member(contract: &str, key: &str, version: u64, value: Option<&Arc<[u8]>>) -> Member {
    let stored = Stored { version, value: value.cloned() };
    Member::of(&stored_key(ASSET_PREFIX, contract, key), &stored.encode())
}

impl Stored {
    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.uint(self.version);
        writer.option(self.value.as_deref(), Writer::bytes);
        writer.into_bytes()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let version = reader.uint("version")?;
        let value = reader.option("asset", |r| r.bytes("asset").map(Into::into))?;
        reader.finish()?;
        Ok(Self { version, value })
    }
}

/// An asset that changed.
#[derive(Debug)]
pub struct Change {
    /// Its contract.
    pub contract: Arc<str>,
    /// Its key.
    pub key: Text,
    /// Its newest value.
    pub stored: Stored,
    /// The alerts that are active with it.
    pub alerts: Vec<Since>,
}

/// Contract and key of an asset, in the order that pages list them.
pub type AssetKey = (Arc<str>, String);

/// The open store.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    db: sled::Db,
    known: Known,
    /// The folder of a copy, which goes after the store is closed.
    _copy: Option<ScratchFolder>,
}

fn stored_key(prefix: &[u8], contract: &str, key: &str) -> Vec<u8> {
    // A contract's name holds no zero byte (its form forbids it), so this splits in one way only.
    [prefix, contract.as_bytes(), &[0], key.as_bytes()].concat()
}

fn split_key(stored: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(stored.get(2..)?).ok()?;
    text.split_once('\0')
}

impl Store {
    /// Opens the store and compares what is there with its savepoint, an empty one for a new store.
    /// An error means that it has to be built again.
    pub fn open(path: &Path) -> Result<(Self, Savepoint, ActiveAlerts), StateError> {
        let broken = |reason: String| StateError::Store { path: path.to_owned(), reason };
        let try_open = || {
            let opened = catch_unwind(AssertUnwindSafe(|| Self::open_unguarded(path)));
            opened.unwrap_or_else(|_| Err(broken("sled panicked while reading it".to_owned())))
        };
        for _ in 1..LOCK_TRIES {
            match try_open() {
                Err(StateError::InUse(_)) => std::thread::sleep(LOCK_PAUSE),
                result => return result,
            }
        }
        try_open()
    }

    fn open_unguarded(path: &Path) -> Result<(Self, Savepoint, ActiveAlerts), StateError> {
        let broken = |reason: String| StateError::Store { path: path.to_owned(), reason };
        let config =
            sled::Config::new().path(path).cache_capacity(STATE_CACHE_BYTES).flush_every_ms(None);
        let db = config.open().map_err(|error| match error.to_string() {
            reason if reason.contains("could not acquire lock") => {
                StateError::InUse(path.to_owned())
            }
            reason => broken(reason),
        })?;
        let store = Self { path: path.to_owned(), db, known: Known::default(), _copy: None };
        let savepoint = match store.get(SAVEPOINT_KEY)? {
            Some(bytes) => Savepoint::decode(&bytes)?,
            None if store.db.is_empty() => Savepoint::default(),
            None => return Err(broken("it has data but no savepoint".to_owned())),
        };
        let alerts = store.alerts()?;
        let (fingerprint, has_alerts) = store.read_assets(&alerts)?;
        if fingerprint != savepoint.fingerprint {
            return Err(broken("its assets do not match its savepoint".to_owned()));
        }
        if !has_alerts {
            return Err(broken("its list of alerts does not match its assets".to_owned()));
        }
        Ok((store, savepoint, alerts))
    }

    fn error(&self, error: &sled::Error) -> StateError {
        StateError::Store { path: self.path.clone(), reason: error.to_string() }
    }

    fn broken(&self, reason: &str) -> StateError {
        StateError::Store { path: self.path.clone(), reason: reason.to_owned() }
    }

    fn get(&self, key: &[u8]) -> Result<Option<sled::IVec>, StateError> {
        self.db.get(key).map_err(|error| self.error(&error))
    }

    /// The bytes of an asset.
    fn get_asset(&self, stored_key: &[u8]) -> Result<Option<sled::IVec>, StateError> {
        match self.known.may_hold(stored_key) {
            true => self.get(stored_key),
            false => Ok(None),
        }
    }

    /// The fingerprint of all assets, which are then known, and whether these are their alerts.
    fn read_assets(&self, alerts: &ActiveAlerts) -> Result<(Fingerprint, bool), StateError> {
        let mut fingerprint = Fingerprint::default();
        let (mut agree, mut with_alerts) = (true, 0);
        for pair in self.db.scan_prefix(ASSET_PREFIX) {
            let (stored_key, value) = pair.map_err(|error| self.error(&error))?;
            fingerprint.add(&Member::of(&stored_key, &value));
            self.known.add(&stored_key);
            let (contract, key) =
                split_key(&stored_key).ok_or(DecodeError::Malformed("asset key"))?;
            agree &= alerts.agrees(contract, key, Stored::decode(&value)?.value.as_deref());
            with_alerts += usize::from(!alerts.of(contract, key).is_empty());
        }
        Ok((fingerprint, agree && with_alerts == alerts.assets()))
    }

    /// An asset, deleted ones included.
    pub fn asset(&self, contract: &str, key: &str) -> Result<Option<Stored>, StateError> {
        let stored = self.get_asset(&stored_key(ASSET_PREFIX, contract, key))?;
        Ok(stored.map(|bytes| Stored::decode(&bytes)).transpose()?)
    }

    /// A contract's assets from a key on, in order, deleted ones included.
    pub fn assets<'a>(
        &'a self,
        contract: &str,
        from: &str,
    ) -> impl Iterator<Item = Result<(String, Stored), StateError>> + use<'a> {
        let prefix = stored_key(ASSET_PREFIX, contract, "");
        self.db
            .range(stored_key(ASSET_PREFIX, contract, from)..)
            .map(|pair| pair.map_err(|error| self.error(&error)))
            .take_while(move |pair| !pair.as_ref().is_ok_and(|(key, _)| !key.starts_with(&prefix)))
            .map(|pair| {
                let (stored, value) = pair?;
                let (_, key) = split_key(&stored).ok_or(DecodeError::Malformed("asset key"))?;
                Ok((key.to_owned(), Stored::decode(&value)?))
            })
    }

    /// The alerts that were active at the savepoint.
    fn alerts(&self) -> Result<ActiveAlerts, StateError> {
        let mut active = ActiveAlerts::default();
        for pair in self.db.scan_prefix(ALERT_PREFIX) {
            let (key, value) = pair.map_err(|error| self.error(&error))?;
            let (contract, key) = split_key(&key).ok_or(DecodeError::Malformed("alert key"))?;
            active.set(&contract.into(), key, alerts::decode(&value)?);
        }
        Ok(active)
    }

    /// Refuses where the disk may not have space for so many bytes of changes.
    pub fn check_space(&self, bytes: u64) -> Result<(), StateError> {
        // Where the system cannot tell, the write itself will.
        let Ok(space) = crate::disk::space(&self.path) else { return Ok(()) };
        // Each change stands in the store's log, and in pages that are written anew.
        match space.free_bytes < MIN_STATE_SPACE_BYTES.saturating_add(bytes.saturating_mul(4)) {
            true => Err(StateError::NoSpace { path: self.path.clone() }),
            false => Ok(()),
        }
    }

    /// Writes changed assets and the savepoint in one batch; gives the savepoint with the fingerprint that
    /// the store then has.
    pub fn write(
        &self,
        changes: &[Change],
        mut savepoint: Savepoint,
    ) -> Result<Savepoint, StateError> {
        let mut batch = sled::Batch::default();
        for Change { contract, key, stored, alerts } in changes {
            let asset_key = stored_key(ASSET_PREFIX, contract, key);
            let mut had_alerts = false;
            if let Some(old) = self.get_asset(&asset_key)? {
                savepoint.fingerprint.remove(&Member::of(&asset_key, &old));
                let broken = |_| self.broken("an asset in it cannot be read");
                let old = Stored::decode(&old).map_err(broken)?;
                had_alerts = alerts::any(old.value.as_deref());
            }
            self.known.add(&asset_key);
            let value = stored.encode();
            savepoint.fingerprint.add(&Member::of(&asset_key, &value));
            batch.insert(asset_key, value);
            let alert_key = stored_key(ALERT_PREFIX, contract, key);
            match &**alerts {
                [] if had_alerts => batch.remove(alert_key),
                [] => {}
                since => batch.insert(alert_key, alerts::encode(since)),
            }
        }
        batch.insert(SAVEPOINT_KEY, savepoint.encode());
        self.db.apply_batch(batch).map_err(|error| self.error(&error))?;
        Ok(savepoint)
    }

    /// Makes all that was written lasting.
    pub fn flush(&self) -> Result<(), StateError> {
        // A write of sled can fail without anybody telling a flush that waits for it. Whoever writes
        // next is told, and then wakes the flush; so something is written when it takes long. It must
        // change something: sled skips a write that does not.
        let write = || drop(self.db.insert(PROBE_KEY, &[]).and_then(|_| self.db.remove(PROBE_KEY)));
        let flushed = remind(FLUSH_PATIENCE, || self.db.flush(), write);
        let no_thread = |error| {
            let path = self.path.clone();
            StateError::Io { doing: "starting a thread to flush", path, error }
        };
        flushed.map_err(no_thread)?.map(drop).map_err(|error| self.error(&error))
    }
}

/// Works on a thread of its own, and calls `reminder` whenever that takes so long again. An error
/// where there is no thread to be had.
fn remind<T: Send>(
    patience: Duration,
    work: impl FnOnce() -> T + Send,
    reminder: impl Fn(),
) -> std::io::Result<T> {
    std::thread::scope(|scope| {
        let (done, wait) = channel::<()>();
        let working = Builder::new().name("flush".to_owned()).spawn_scoped(scope, move || {
            let _ends_with_the_work = done;
            work()
        })?;
        while wait.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            reminder();
        }
        Ok(working.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

/// True if a folder holds anything.
#[must_use]
pub fn holds_files(path: &Path) -> bool {
    std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some())
}

/// Moves a store that cannot be used out of the way, over the one that was set aside before.
pub fn set_aside(path: &Path) -> Result<PathBuf, StateError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".set-aside");
    let aside = path.with_file_name(name);
    let io = |doing| {
        let path = path.to_owned();
        move |error| StateError::Io { doing, path, error }
    };
    let removed = match std::fs::symlink_metadata(&aside) {
        Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(&aside),
        Ok(_) => std::fs::remove_file(&aside),
        Err(_) => Ok(()),
    };
    removed.map_err(io("removing the older copy of"))?;
    if path.exists() {
        std::fs::rename(path, &aside).map_err(io("setting aside"))?;
    }
    Ok(aside)
}

/// The store's record of itself, once its assets were compared with its savepoint.
#[derive(Debug)]
pub struct StoreSummary {
    /// Progress and fingerprint.
    pub savepoint: Savepoint,
    /// Active alerts, and since when.
    pub alerts: ActiveAlerts,
    /// The rest of a savepoint that was cut short.
    pub rest: Option<Rest>,
}

/// A savepoint that was cut short: some of what blocks up to its mark wrote is in the store.
#[derive(Debug)]
pub struct Rest {
    /// The target of the savepoint.
    pub mark: Mark,
    /// Entries that the store has taken in as a whole.
    pub entries: u64,
    fingerprint: Fingerprint,
    store: Store,
}

impl Rest {
    /// The store's fingerprint once it has taken in the newest write of each asset that was written
    /// since: what a start does. Each is a contract, a key and what it then adds.
    pub fn taken_in<'a>(
        &self,
        newest: impl Iterator<Item = (&'a str, &'a str, &'a Member)>,
    ) -> Result<Fingerprint, StateError> {
        let mut fingerprint = self.fingerprint;
        for (contract, key, member) in newest {
            let stored_key = stored_key(ASSET_PREFIX, contract, key);
            if let Some(value) = self.store.get_asset(&stored_key)? {
                fingerprint.remove(&Member::of(&stored_key, &value));
            }
            fingerprint.add(member);
        }
        Ok(fingerprint)
    }
}

/// Looks at a store that nobody uses. Its files stay as they are: a copy is opened.
pub fn summary(path: &Path) -> Result<StoreSummary, StateError> {
    let copy = copy(path)?;
    let of_the_copy = |error| match error {
        StateError::Store { reason, .. } => StateError::Store { path: path.to_owned(), reason },
        other => other,
    };
    let (mut store, savepoint, alerts) = Store::open(copy.path()).map_err(of_the_copy)?;
    store._copy = Some(copy);
    let (entries, fingerprint) = (savepoint.place.entries, savepoint.fingerprint);
    let rest = savepoint.begun.map(|mark| Rest { mark, entries, fingerprint, store });
    Ok(StoreSummary { savepoint, alerts, rest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_waits_for_a_reminder_gets_one() {
        let (reminder, reminded) = channel();
        let work = move || (reminded.recv(), reminded.recv());
        let result =
            remind(Duration::from_millis(1), work, || reminder.send(7).unwrap_or(())).unwrap();
        assert_eq!(result, (Ok(7), Ok(7)));
    }
}
