//! The command line: commands, options and their `--help`.

mod bench;
mod check;
mod demo;
mod exit;
mod export;
mod file_summary;
mod generate;
mod keygen;
mod look;
mod rebuild;
mod records;
mod results;
mod run;
mod simulate;
mod token;
mod top;

pub use exit::{ExitStatus, exit_status};

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::command::output::LogArgs;
use crate::command::{output, verify, verify_proof};
use crate::limits::{COMMAND_THREADS, SERVICE_THREADS};

/// Device events from Kafka to a ledger that anyone can verify, exactly once.
///
/// Ledgerline reads device events from Kafka (or a file), maps them by declarative JSONPath mappings
/// to calls of smart contracts, signs these, executes the contracts' rules, and appends everything to
/// a tamper-evident ledger. Try `ledgerline demo` first: it needs nothing but this program.
///
/// Exit status: 0 success; 64 wrong usage; 65 data that does not verify, a log that a kept checkpoint
/// goes beyond, or tests that fail; 66 a file or record that is not there; 69 a service that is not
/// there; 70 an internal error; 71 too few threads, by a limit of the system; 73 a file that cannot
/// be made; 74 a failed read or write; 75 try again later; 77 not permitted; 78 a wrong configuration.
#[derive(Debug, Parser)]
#[command(name = "ledgerline", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// Its log lines.
    #[command(flatten)]
    pub log: LogArgs,
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show everything on one machine: embedded broker, simulated fleet, ledger, endpoint.
    Demo(demo::DemoArgs),
    /// Run the service with a configuration.
    ///
    /// SIGINT or SIGTERM ends it in order: it stops reading, brings what it has read into the ledger,
    /// writes the state, commits the group's offsets.
    Run(ConfigArgs),
    /// Read configuration, mappings and contracts, and report every fault with its place.
    Check(check::CheckArgs),
    /// Run the tests that stand in mapping and contract files.
    Test(check::TestArgs),
    /// Verify a ledger offline, from its files alone.
    Verify(verify::VerifyArgs),
    /// Check one proof of a transaction, without the ledger.
    VerifyProof(verify_proof::ProofArgs),
    /// Build the state again from the log.
    Rebuild(rebuild::RebuildArgs),
    /// Write the ledger as JSON lines, or its tree as C2SP tiles.
    Export(export::ExportArgs),
    /// Make a new signing key file (Ed25519, PKCS#8 PEM, mode 0600).
    Keygen(keygen::KeygenArgs),
    /// Make a token for the endpoint: prints it once, keeps its SHA-256 in a file.
    Token(token::TokenArgs),
    /// Show the state of a contract's assets, or of one.
    State(look::StateArgs),
    /// Show how an asset came to its state, newest change first.
    History(look::HistoryArgs),
    /// Show a transaction by its id, such as telemetry/3/4812311/0.
    Tx(look::TransactionArgs),
    /// List transactions, such as those that were refused and why.
    Transactions(records::TransactionsArgs),
    /// Show the disposition of a record, such as telemetry/3/4812311.
    Record(records::RecordArgs),
    /// List records that no mapping matched.
    Filtered(records::FilteredArgs),
    /// Show a block, the newest where no number is given.
    Block(look::BlockArgs),
    /// Show records that could not become a transaction.
    Deadletters(look::DeadLetterArgs),
    /// Watch a running service in the terminal: its overview, live.
    ///
    /// Keys: q, Esc or Ctrl-C leave; p pauses; left and right choose a list, up and down scroll it.
    Top(top::TopArgs),
    /// Measure the whole way beside the bare limits, on an embedded broker.
    Bench(bench::BenchArgs),
    /// Try the promises: lives of a service with faults and power losses, each from a seed.
    ///
    /// Records, scheduling, rebalances, faults of the disk, deaths and power losses follow from the
    /// seed alone, so a seed that breaks a promise repeats it.
    Simulate(simulate::SimulateArgs),
    /// Print the JSON Schema of a file's form, for editors.
    Schema(check::SchemaArgs),
    /// Print the completion script of a shell.
    Completions(generate::CompletionArgs),
    /// Print the man page, or write a page for each command into a folder.
    Man(generate::ManArgs),
}

impl Command {
    /// Threads that it needs besides the first one.
    fn threads(&self) -> usize {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        match self {
            Self::Demo(_) | Self::Run(_) | Self::Bench(_) => SERVICE_THREADS + processors,
            Self::Check(_)
            | Self::Test(_)
            | Self::Keygen(_)
            | Self::Token(_)
            | Self::Simulate(_)
            | Self::VerifyProof(_)
            | Self::Schema(_)
            | Self::Completions(_)
            | Self::Man(_) => 0,
            // The others read a ledger.
            _ => COMMAND_THREADS,
        }
    }
}

/// A configuration file.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The configuration; without it `ledgerline.yaml` here, or else
    /// `/etc/ledgerline/ledgerline.yaml`.
    #[arg(short, long, env = "LEDGERLINE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The usual name of a configuration.
const CONFIG_NAME: &str = "ledgerline.yaml";

/// Default places of the configuration, in this order.
const CONFIG_PLACES: [&str; 2] = [CONFIG_NAME, "/etc/ledgerline/ledgerline.yaml"];

impl ConfigArgs {
    /// The file that was named, or the first that is found in the usual places; the first of these
    /// where none is.
    #[must_use]
    pub fn path(&self) -> &Path {
        let places = CONFIG_PLACES.map(Path::new);
        let found = || places.into_iter().find(|place| place.exists()).unwrap_or(places[0]);
        self.config.as_deref().unwrap_or_else(found)
    }
}

/// Carries a command out.
pub fn run(cli: Cli) -> anyhow::Result<ExitStatus> {
    // What fails in a simulation is meant to, and a line of the log would tear the terminal view.
    let is_quiet = matches!(cli.command, Command::Simulate(_) | Command::Top(_));
    match is_quiet {
        true => output::start_log("off", cli.log.log_format)?,
        false => cli.log.start()?,
    }
    crate::threads::check(cli.command.threads())?;
    match cli.command {
        Command::Demo(args) => demo::demo(&args),
        Command::Run(args) => run::run(args.path()),
        Command::Check(args) => check::check(&args),
        Command::Test(args) => check::test(&args),
        Command::Verify(args) => verify::verify(&args),
        Command::VerifyProof(args) => verify_proof::verify_proof(&args),
        Command::Rebuild(args) => rebuild::rebuild(&args),
        Command::Export(args) => export::export(&args),
        Command::Keygen(args) => keygen::keygen(&args),
        Command::Token(args) => token::token(&args),
        Command::State(args) => look::state(&args),
        Command::History(args) => look::history(&args),
        Command::Tx(args) => look::transaction(&args),
        Command::Transactions(args) => records::transactions(&args),
        Command::Record(args) => records::record(&args),
        Command::Filtered(args) => records::filtered(&args),
        Command::Block(args) => look::block(&args),
        Command::Deadletters(args) => look::dead_letters(&args),
        Command::Top(args) => top::top(&args),
        Command::Bench(args) => bench::bench(&args),
        Command::Simulate(args) => simulate::simulate(args),
        Command::Schema(args) => check::schema(&args),
        Command::Completions(args) => generate::completions(&args),
        Command::Man(args) => generate::man(&args),
    }
}
