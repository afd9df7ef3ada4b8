//! The `ledgerline` program.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use ledgerline::cli::{Cli, ExitStatus, exit_status, run};
use tikv_jemallocator::Jemalloc;

/// The allocator. Memory is often allocated by one thread and freed by another, where the system's
/// allocator is slow.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Makes a write beyond the limit on the size of files (`ulimit -f`) fail, so that it is treated as a
/// full disk. Without a handler the signal that comes with it ends the process.
fn outlive_file_size_limit() {
    // Where no handler can be installed, the system's default stays.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
}

fn main() -> ExitCode {
    outlive_file_size_limit();
    let cli = match Cli::try_parse() {
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
            let _ = writeln!(std::io::stderr(), "ledgerline: {error:#}");
            exit_status(&error).into()
        }
    }
}
