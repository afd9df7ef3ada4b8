//! `ledgerline token`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use crate::cli::ExitStatus;
use crate::clock::{Clock as _, SystemClock};
use crate::command::output::{line, note};
use crate::monitor::access::{Role, tokens};

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Arguments of `token`.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// The name of the caller. The ledger records its calls under this name.
    #[arg(value_name = "NAME")]
    name: String,
    /// Role of the caller: viewer, operator or admin.
    #[arg(long, value_name = "ROLE")]
    role: Role,
    /// The file of tokens, `monitor.access.tokens` of the configuration. It is made where it is not
    /// there, and gets a line otherwise.
    #[arg(long, default_value = "tokens.yaml", value_name = "FILE")]
    file: PathBuf,
    /// Days until it expires; it does not where not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    days: Option<u16>,
}

/// Makes a token, prints it and keeps its digest.
pub fn token(args: &TokenArgs) -> anyhow::Result<ExitStatus> {
    let now_ms = SystemClock::new().now_ms();
    let expires_ms = args.days.map(|days| now_ms + i64::from(days) * DAY_MS);
    let others = tokens::count_named(&args.file, &args.name);
    let grant = tokens::Grant { name: &args.name, role: args.role, expires_ms };
    let token = tokens::add(&args.file, &grant, now_ms);
    line(token.context("no token was created")?)?;
    note(
        "It is shown only once; the file keeps only its SHA-256. Hand it to the person or program it is for.",
    );
    if others > 0 {
        let (name, count, file) = (&args.name, others + 1, args.file.display());
        note(format!(
            "warning: `{name}` has {count} tokens in {file} now, and each of them is valid; to \
             revoke one, remove its line"
        ));
    }
    Ok(ExitStatus::Ok)
}
