//! Faults that `run` would refuse and that a configuration alone does not show: unusable keys, and
//! definitions that the ledger holds with another text. Reads only; a service may be running over the
//! same ledger.

use std::path::{Path, PathBuf};

use crate::app::Observe;
use crate::app::offline::open_log;
use crate::app::service::contract_definition;
use crate::config::{Config, LedgerConfig, preflight_paths};
use crate::diagnostic::{Diagnostic, Place, chain};
use crate::ledger::LedgerReader;
use crate::ledger::embedded::log::LOG_DIRECTORY;
use crate::ledger::embedded::{EmbeddedReader, is_new, unregistered_key};
use crate::ledger::keys::LEDGER_ROLE;
use crate::transaction::{KeyId, read_key_file};

/// Every reason for which `run` would not start with a configuration that is sound in itself.
#[must_use]
pub fn preflight(file: &Path, config: &Config, observe: Observe<'_>) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    let LedgerConfig { key, previous_key, submitter_key, places, .. } = &config.ledger;
    let mut read = |path: &PathBuf, place: Place| {
        // The configuration's own check reports a key file that is absent.
        if !path.exists() {
            return None;
        }
        let key =
            read_key_file(path).map_err(|error| Diagnostic::error(file, place, chain(&error)));
        key.map_err(|diagnostic| diagnostics.push(diagnostic)).ok().map(|signer| signer.id())
    };
    let mine = read(key, places.key);
    let previous = previous_key.as_ref().and_then(|path| read(path, places.previous_key));
    if submitter_key != key {
        read(submitter_key, places.submitter_key);
    }
    diagnostics.extend(preflight_paths(file, config));
    let directory = &config.ledger.directory;
    if directory.join(LOG_DIRECTORY).exists() {
        let kept = Some(config.ledger.checkpoint_copy.as_path()).filter(|path| path.exists());
        match open_log(directory, kept, observe) {
            Ok(log) if log.is_cut_short => {
                let reason = log.notes.last().map_or("", String::as_str);
                diagnostics.push(Diagnostic::error(file, places.directory, reason));
            }
            Ok(log) => {
                diagnostics.extend(against(file, config, &log.reader, Sealing { mine, previous }))
            }
            Err(error) => {
                diagnostics.push(Diagnostic::error(file, places.directory, chain(&error)))
            }
        }
    }
    diagnostics
}

/// The keys of a configuration that may seal blocks, where they could be read.
struct Sealing {
    mine: Option<KeyId>,
    /// The key before, during a rotation.
    previous: Option<KeyId>,
}

/// Compares a configuration with the ledger that it is for.
fn against(
    file: &Path,
    config: &Config,
    ledger: &EmbeddedReader,
    Sealing { mine, previous }: Sealing,
) -> Vec<Diagnostic> {
    let places = &config.ledger.places;
    let mut diagnostics = Vec::new();
    if ledger.name() != config.ledger.name {
        let message = format!(
            "the ledger in {} is named `{}`; signatures cover the name, so it cannot be changed",
            config.ledger.directory.display(),
            ledger.name().escape_debug()
        );
        diagnostics.push(Diagnostic::error(file, places.name, message));
    }
    let registered = ledger.keys_of(LEDGER_ROLE);
    let may_seal = |key: KeyId| registered.contains(&key);
    if let Some(mine) = mine.filter(|mine| !may_seal(*mine) && !previous.is_some_and(may_seal)) {
        diagnostics.push(Diagnostic::error(file, places.key, unregistered_key(mine, &registered)));
    }
    let known = ledger.definitions();
    for contract in config.contracts.iter() {
        if let Err(error) = is_new(&contract_definition(contract), &known) {
            let (file, place) = contract.version_place();
            diagnostics.push(Diagnostic::error(file, place, chain(&error)));
        }
    }
    diagnostics
}
