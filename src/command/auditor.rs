//! The command line of `ledgerline-verify`: the verification commands of `ledgerline` alone.

use clap::{Parser, Subcommand};

use crate::command::exit::ExitStatus;
use crate::command::output::LogArgs;
use crate::command::verify::{self, VerifyArgs};
use crate::command::verify_proof::{self, ProofArgs};
use crate::limits::COMMAND_THREADS;

/// Verifies ledgers of Ledgerline offline, from their files alone.
///
/// `ledgerline-verify ledger` is `ledgerline verify`, and `ledgerline-verify proof` is
/// `ledgerline verify-proof`: the same code, arguments, output and exit statuses, in a program
/// without Kafka, network or TLS.
///
/// Exit status: 0 verified; 64 wrong usage; 65 data that does not verify; 66 a file not found;
/// 70 an internal error; 71 too few threads, by a limit of the system; 73 a file that cannot be made;
/// 74 a failed read or write; 77 not permitted.
#[derive(Debug, Parser)]
#[command(name = "ledgerline-verify", version, propagate_version = true, max_term_width = 100)]
pub struct AuditorCli {
    #[command(flatten)]
    log: LogArgs,
    #[command(subcommand)]
    command: AuditorCommand,
}

/// The commands of an auditor.
#[derive(Debug, Subcommand)]
enum AuditorCommand {
    /// Verify a ledger offline, from its files alone.
    Ledger(VerifyArgs),
    /// Check one proof of a transaction, without the ledger.
    Proof(ProofArgs),
}

/// Carries a command out.
pub fn run(cli: AuditorCli) -> anyhow::Result<ExitStatus> {
    cli.log.start()?;
    match cli.command {
        AuditorCommand::Ledger(args) => {
            crate::threads::check(COMMAND_THREADS)?;
            verify::verify(&args)
        }
        AuditorCommand::Proof(args) => verify_proof::verify_proof(&args),
    }
}
