//! The `ledgerline` program.

use std::process::ExitCode;
use std::sync::Arc;

use ledgerline::cli::{exit_status, run};

// The allocator. Memory is often allocated by one thread and freed by another, where the system's
// allocator is slow.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Makes a write beyond the limit on the size of files (`ulimit -f`) fail, so that it is treated as a
/// full disk. Without a handler the signal that comes with it ends the process.
fn outlive_file_size_limit() {
    // Where no handler can be installed, the system's default stays.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
}

fn main() -> ExitCode {
    outlive_file_size_limit();
    ledgerline::command::main("ledgerline", run, exit_status)
}
