//! Metrics of a verification, for the textfile collector of Prometheus' node exporter: it runs now
//! and then beside the service, so there is no endpoint to scrape.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use crate::exposition::{Families, Value};
use crate::query::views::seconds;
use crate::verify::Report;

/// A verification that has ended.
#[derive(Debug)]
pub struct Verification<'a> {
    /// The ledger's directory: tells ledgers of one machine apart.
    pub directory: &'a Path,
    /// The report; `None` if the files could not be read.
    pub report: Option<&'a Report>,
    /// End time, in milliseconds since 1970.
    pub ended_ms: i64,
    /// Its duration.
    pub took: Duration,
}

impl Verification<'_> {
    /// The metrics in Prometheus' text form.
    pub fn to_text(&self) -> Result<String, impl Error + Send + Sync + use<>> {
        let directory = self.directory.display().to_string();
        let labels = [("directory", directory.as_str())];
        let is_sound = self.report.is_some_and(Report::is_sound);
        let mut families = Families::default();
        families
            .gauges("ledgerline_verify_ok", "1 if the verification passed.")
            .add(&labels, u64::from(is_sound));
        families
            .gauges("ledgerline_verify_time_seconds", "End time, in seconds since 1970.")
            .add(&labels, Value(seconds(self.ended_ms)));
        families
            .gauges("ledgerline_verify_duration_seconds", "Duration in seconds.")
            .add(&labels, Value(self.took.as_secs_f64()));
        if let Some(report) = self.report {
            families
                .gauges("ledgerline_verify_entries", "Entries that were read.")
                .add(&labels, report.entries);
            families
                .gauges("ledgerline_verify_problems", "Problems found.")
                .add(&labels, report.problem_count as u64);
        }
        families.into_text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(report: Option<&Report>, expected: &[(&str, &str)]) {
        let directory = Path::new("/var/lib/\"l\"");
        let (ended_ms, took) = (1_700_000_000_500, Duration::from_millis(1_500));
        let text = Verification { directory, report, ended_ms, took }.to_text().unwrap();
        let values: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let label = r#"directory="/var/lib/\"l\"""#;
        let line =
            |(name, value): &(&str, &str)| format!("ledgerline_verify_{name}{{{label}}} {value}");
        assert_eq!(values, expected.iter().map(line).collect::<Vec<_>>());
    }

    #[test]
    fn it_is_well_only_where_the_files_were_read_and_nothing_is_wrong() {
        let sound = Report { entries: 7, ..Report::default() };
        let wrong = Report { problem_count: 2, ..sound.clone() };
        let when = [("time_seconds", "1700000000.5"), ("duration_seconds", "1.5")];
        let with =
            |ok, problems| [("ok", ok), when[0], when[1], ("entries", "7"), ("problems", problems)];
        check(Some(&sound), &with("1", "0"));
        check(Some(&wrong), &with("0", "2"));
        check(None, &[("ok", "0"), when[0], when[1]]);
    }
}
