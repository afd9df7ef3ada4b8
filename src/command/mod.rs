//! Commands that need no service: `verify` and `verify-proof`, and what every command shares, its
//! output and exit status. With them the modules above make a program for auditors
//! ([`auditor::AuditorCli`]), built without the feature `service`.

pub mod auditor;
pub mod exit;
mod metrics;
pub(crate) mod output;
pub(crate) mod verify;
pub(crate) mod verify_proof;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::command::exit::ExitStatus;

/// Reads the arguments of a program, carries its command out and prints its error.
pub fn main<C: Parser>(
    name: &str,
    run: fn(C) -> anyhow::Result<ExitStatus>,
    exit_status: fn(&anyhow::Error) -> ExitStatus,
) -> ExitCode {
    let cli = match C::try_parse() {
        Ok(cli) => cli,
        Err(message) => {
            let is_error = message.use_stderr();
            let printed = message.print().and_then(|()| std::io::stdout().flush());
            return match (is_error, printed) {
                // Nothing can be done where even the message cannot be printed.
                (true, _) => ExitStatus::Usage.into(),
                (false, Err(error)) if error.kind() != ErrorKind::BrokenPipe => {
                    ExitStatus::Io.into()
                }
                (false, _) => ExitStatus::Ok.into(),
            };
        }
    };
    match run(cli) {
        Ok(status) => status.into(),
        Err(error) => {
            // A closed standard error must not end it with another status.
            let _ = writeln!(std::io::stderr(), "{name}: {error:#}");
            exit_status(&error).into()
        }
    }
}
