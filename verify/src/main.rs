//! The `ledgerline-verify` program.

use std::process::ExitCode;

use ledgerline::command::{auditor, exit, main as command};

fn main() -> ExitCode {
    command("ledgerline-verify", auditor::run, exit::exit_status)
}
