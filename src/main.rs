//! The `ledgerline` program.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use ledgerline::cli::{Cli, ExitStatus, exit_status, run};
use tikv_jemallocator::Jemalloc;

/// What one thread makes another drops, all the way: the system's allocator is slow at that.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(message) => {
            let is_error = message.use_stderr();
            // Nothing can be done where even the message cannot be printed.
            let _ = message.print();
            return if is_error { ExitStatus::Usage.into() } else { ExitStatus::Ok.into() };
        }
    };
    match run(cli) {
        Ok(status) => status.into(),
        Err(error) => {
            // A closed standard error must not end it with another status.
            let _ = writeln!(std::io::stderr(), "ledgerline: {error:#}");
            exit_status(&error).into()
        }
    }
}
