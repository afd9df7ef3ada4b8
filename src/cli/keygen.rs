//! `ledgerline keygen`: key files and their public keys.

use std::path::PathBuf;

use clap::Args;

use crate::cli::ExitStatus;
use crate::cli::exit::UsageError;
use crate::command::output::line;
use crate::ledger::checkpoint::{check_origin, verifier_key};
use crate::transaction::{read_key_file, write_new_key_file};

/// Arguments of `keygen`.
#[derive(Debug, Args)]
pub struct KeygenArgs {
    /// The key file to make. An existing file is never overwritten.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Make nothing: print the public key of an existing key file.
    #[arg(long)]
    pub show: bool,
    /// The ledger's name: prints the public key in the form that verifiers take.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

/// Makes a key file, or shows the public key of one.
pub fn keygen(args: &KeygenArgs) -> anyhow::Result<ExitStatus> {
    if let Some(name) = &args.name {
        check_origin(name).map_err(|error| UsageError(format!("`--name`: {error}")))?;
    }
    let signer = match args.show {
        true => read_key_file(&args.file),
        false => write_new_key_file(&args.file),
    };
    let signer = signer?;
    match &args.name {
        Some(name) => line(verifier_key(name, &signer.id()))?,
        None => line(signer.id())?,
    }
    Ok(ExitStatus::Ok)
}
