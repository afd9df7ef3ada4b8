//! `ledgerline completions` and `man`: made from the same definitions as `--help`.

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::app::AppError;
use crate::cli::{Cli, ExitStatus};
use crate::command::output::line;

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write a page for each command into this existing folder; without it, print the main page.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Prints the completion script of a shell.
pub fn completions(args: &CompletionArgs) -> anyhow::Result<ExitStatus> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "ledgerline", &mut script);
    line(String::from_utf8_lossy(&script).trim_end())?;
    Ok(ExitStatus::Ok)
}

/// Prints the main page, or writes all pages into a folder.
pub fn man(args: &ManArgs) -> anyhow::Result<ExitStatus> {
    if let Some(directory) = &args.directory {
        let io = |error| AppError::Io { doing: "writing into", path: directory.clone(), error };
        clap_mangen::generate_to(Cli::command(), directory).map_err(io)?;
        return Ok(ExitStatus::Ok);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    page.flush()?;
    line(String::from_utf8_lossy(&page).trim_end())?;
    Ok(ExitStatus::Ok)
}
