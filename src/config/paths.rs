//! Checks of the files and folders that a configuration names: whether they can be what they are named
//! for. Nothing is written, and nothing is opened that could wait for another process.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::config::{Config, LedgerConfig};
use crate::diagnostic::{Diagnostic, chain};
use crate::disk::{check_writable, directory_of};
use crate::input::InputError;

/// Refuses a copy of the checkpoint that would be lost or replaced together with the ledger, or that
/// cannot be a file.
pub fn check_copy(file: &Path, ledger: &LedgerConfig) -> Option<Diagnostic> {
    let LedgerConfig { directory, checkpoint_copy: copy, places, .. } = ledger;
    let refused = |message: String, help: &str| {
        Some(Diagnostic::error(file, places.checkpoint_copy, message).help(help))
    };
    if resolved(copy).starts_with(resolved(directory)) {
        return refused(
            format!(
                "the copy of the checkpoint, {}, is inside the ledger's folder",
                copy.display()
            ),
            "keep it elsewhere: it shows whether that folder was replaced by an older one",
        );
    }
    if copy.is_dir() {
        let message = format!("{} is a folder; the checkpoint needs a file", copy.display());
        return refused(message, "name a file in it");
    }
    None
}

/// A path with its links followed as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let path: PathBuf = path.components().collect();
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    match path.file_name() {
        Some(name) => resolved(directory_of(&path)).join(name),
        None => path,
    }
}

/// Faults of paths that `run` would meet: a ledger's folder that cannot be made or written, a copy of
/// the checkpoint that cannot be kept, a file of records that is absent.
#[must_use]
pub fn preflight_paths(file: &Path, config: &Config) -> Vec<Diagnostic> {
    let ledger = &config.ledger;
    let mut diagnostics = Vec::new();
    let place = ledger.places.directory;
    if let Err(reason) = check_folder(&ledger.directory) {
        let message = format!("the ledger cannot be in {}: {reason}", ledger.directory.display());
        diagnostics.push(Diagnostic::error(file, place, message));
    }
    let above = directory_of(&ledger.checkpoint_copy);
    // The folder of the ledger is made together with those above it.
    if !resolved(&ledger.directory).starts_with(resolved(above))
        && let Err(error) = check_writable(above)
    {
        let message = format!("the checkpoint cannot be saved in {}: {error}", above.display());
        let help = "without that copy, replacing this ledger with an older one would go unnoticed";
        diagnostics
            .push(Diagnostic::warning(file, ledger.places.checkpoint_copy, message).help(help));
    }
    for input in &config.inputs {
        if let Err(error) = input.adapter.preflight() {
            let message = match error {
                InputError::File { path, error } if error.kind() == ErrorKind::IsADirectory => {
                    format!("{} cannot be read: it is a directory", path.display())
                }
                InputError::File { path, error } => {
                    format!("{} cannot be read: {error}", path.display())
                }
                error => chain(&error),
            };
            let help = "paths are relative to the configuration; `-` is standard input";
            diagnostics.push(Diagnostic::error(file, input.place, message).help(help));
        }
    }
    diagnostics
}

/// Checks that a folder exists and is writable, or can be created.
fn check_folder(path: &Path) -> Result<(), String> {
    if path.as_os_str().as_bytes().contains(&0) {
        return Err("the path contains a NUL character".to_owned());
    }
    let mut existing = path;
    while fs::symlink_metadata(existing).is_err() && directory_of(existing) != existing {
        existing = directory_of(existing);
    }
    check_writable(existing).map_err(|error| match existing == path {
        true => error.to_string(),
        false => format!("{}: {error}", existing.display()),
    })
}
