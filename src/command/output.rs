//! Output of the commands: lines, log lines, progress bars.

use std::io::{IsTerminal, Write};

use anyhow::Context;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{FmtSpan, JsonFields};

use crate::command::exit::UsageError;

/// Form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// Readable lines.
    Text,
    /// One JSON object a line.
    Json,
}

/// Arguments of every command about its log lines.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// Log format: readable lines on a terminal, JSON otherwise.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Auto, env = "LEDGERLINE_LOG_FORMAT")]
    pub log_format: LogFormat,
    /// Log filter: error, warn, info, debug, trace, or by module (`info,ledgerline::input=debug`).
    #[arg(
        long,
        global = true,
        default_value = "info",
        env = "LEDGERLINE_LOG",
        value_name = "FILTER"
    )]
    pub log: String,
}

impl LogArgs {
    /// Starts the log as these say.
    pub fn start(&self) -> anyhow::Result<()> {
        start_log(&self.log, self.log_format)
    }
}

/// Starts the log, on standard error.
pub fn start_log(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| UsageError(format!("`--log` is not a valid filter: {error}")))?;
    let on_terminal = std::io::stderr().is_terminal();
    let is_json = match format {
        LogFormat::Auto => !on_terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // It would be told on standard error, whose end is the likeliest reason, and panic.
        .log_internal_errors(false)
        .with_span_events(FmtSpan::NONE);
    // A second start within one process (tests) keeps the first.
    let _ = if is_json {
        log.json().fmt_fields(JsonFields::new()).flatten_event(true).try_init()
    } else {
        log.with_ansi(on_terminal).with_target(false).try_init()
    };
    Ok(())
}

/// A progress bar for long work, on a terminal only.
pub struct Progress {
    bar: Option<(&'static str, ProgressBar)>,
}

impl Progress {
    /// No bar yet: it appears with the first news.
    #[must_use]
    pub fn new() -> Self {
        Self { bar: None }
    }

    /// Shows how far the work is.
    pub fn show(&mut self, doing: &'static str, done: u64, all: u64) {
        if self.bar.as_ref().is_none_or(|(shown, _)| *shown != doing) {
            self.finish();
            let bar = ProgressBar::new(all);
            let style = ProgressStyle::with_template("{msg:24} {wide_bar} {percent:>3}% {eta:>5}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_message(doing);
            self.bar = Some((doing, bar));
        }
        if let Some((_, bar)) = &self.bar {
            bar.set_length(all);
            bar.set_position(done);
        }
    }

    /// Takes the bar away.
    pub fn finish(&mut self) {
        if let Some((_, bar)) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Prints a line. A closed pipe (`| head`) ends the program quietly.
pub fn line(text: impl std::fmt::Display) -> anyhow::Result<()> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        result => result.context("writing to standard output"),
    }
}

/// Prints a line beside the output, on standard error. Where that is closed nobody wants to know.
pub fn note(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// True if a character turns the direction of what follows it, so that a line reads as another.
fn turns(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A string that came from outside, safe for a terminal: control characters are escaped, and those
/// that turn the direction of writing.
#[must_use]
pub fn safe(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped: Box<dyn Iterator<Item = char>> = match c {
                '\t' => Box::new(std::iter::once(' ')),
                c if c.is_control() || turns(c) => Box::new(c.escape_default()),
                c => Box::new(std::iter::once(c)),
            };
            escaped
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text() {
        assert_eq!(safe("a\u{1b}[31mb\n"), "a\\u{1b}[31mb\\n");
        assert_eq!(safe("a\u{202e}b\u{9b}å"), "a\\u{202e}b\\u{9b}å");
    }
}
