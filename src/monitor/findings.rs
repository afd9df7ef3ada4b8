//! What is wrong with a service, and what to do: from its status and the figures of the last minutes.

use schemars::JsonSchema;
use serde::Serialize;

use crate::monitor::service::StatusView;
use crate::monitor::views::grouped;
use crate::monitor::watch::Sample;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Gravity {
    /// Someone should look.
    Warning,
    /// Nothing is taken in.
    Critical,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// How bad it is.
    pub gravity: Gravity,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub help: String,
}

/// Blocks that the state may be behind without anyone looking: a second or two at full speed.
const MOST_BLOCKS_BEHIND: u64 = 500;
/// Share of dead letters among the newest records above which something is wrong: one in twenty, as
/// its denominator. The shipped alert rule has the same.
const DEAD_LETTER_SHARE: u64 = 20;
/// Newest records below which a share says nothing.
const FEWEST_RECORDS: u64 = 100;
/// Records that may wait in Kafka without anyone looking.
const SMALL_LAG: u64 = 1_000;
/// Samples over which a lag that never shrinks is one that grows: half a minute.
const LAG_SAMPLES: usize = 15;

/// Everything that is wrong, the worst first; nothing where all is well.
#[must_use]
pub fn findings(status: &StatusView, samples: &[Sample]) -> Vec<Finding> {
    let mut findings: Vec<_> = status.obstacles.iter().map(|what| obstacle(what)).collect();
    findings.extend(state_behind(status));
    findings.extend(growing_lag(samples));
    findings.extend(dead_letters(samples));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.gravity));
    findings
}

fn obstacle(what: &str) -> Finding {
    let help = if what.contains("halted") {
        "The process must be started again; it continues where the ledger ends. If it halts again, look \
         at its log and run `ledgerline verify` on the ledger."
    } else if what.contains("space") {
        "Free space on the ledger's disk. Ingestion goes on by itself, nothing is lost."
    } else {
        "Records wait in Kafka and none is lost. Look whether the brokers of the configuration run and \
         can be reached from here."
    };
    Finding { gravity: Gravity::Critical, what: what.to_owned(), help: help.to_owned() }
}

fn state_behind(status: &StatusView) -> Option<Finding> {
    let behind = status.state.blocks_behind;
    (behind > MOST_BLOCKS_BEHIND).then(|| Finding {
        gravity: Gravity::Warning,
        what: format!("the state is {} blocks behind the ledger", grouped(behind)),
        help: "States and alerts shown here are old. The disk of the ledger may be slow or full: look at \
               `ledgerline_stage_seconds_total{stage=\"savepoint\"}`."
            .to_owned(),
    })
}

fn growing_lag(samples: &[Sample]) -> Option<Finding> {
    let newest = &samples[samples.len().checked_sub(LAG_SAMPLES)?..];
    let lags: Vec<_> = newest.iter().map(|sample| sample.lag).collect::<Option<_>>()?;
    let (first, last) = (*lags.first()?, *lags.last()?);
    let grows = lags.is_sorted() && last > first && last > SMALL_LAG;
    grows.then(|| Finding {
        gravity: Gravity::Warning,
        what: format!("{} records wait in Kafka, and it gets more", grouped(last)),
        help: "More comes in than is taken in. Look for a processor or disk at its limit, at partitions \
               that no one reads, or give the service a faster machine."
            .to_owned(),
    })
}

fn dead_letters(samples: &[Sample]) -> Option<Finding> {
    let (first, last) = (samples.first()?, samples.last()?);
    let records = last.records.saturating_sub(first.records);
    let dead = last.dead_lettered.saturating_sub(first.dead_lettered);
    let is_much = records >= FEWEST_RECORDS && dead * DEAD_LETTER_SHARE > records;
    is_much.then(|| Finding {
        gravity: Gravity::Warning,
        what: format!(
            "{} of the newest {} records are dead letters",
            grouped(dead),
            grouped(records)
        ),
        help: "Look at the dead letters by cause: a sender or a mapping has changed.".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::DefinitionCounts;

    fn sample(records: u64, dead_lettered: u64, lag: Option<u64>) -> Sample {
        Sample {
            time: String::new(),
            time_ms: 0,
            records,
            valid: 0,
            invalid: 0,
            filtered: 0,
            dead_lettered,
            height: 0,
            lag,
            freshness_seconds: None,
            commit_seconds: 0.0,
            commits: 0,
            by_definition: DefinitionCounts::default(),
        }
    }

    #[test]
    fn a_lag_is_told_when_it_grows() {
        let lags = |lags: &mut dyn Iterator<Item = u64>| -> Vec<Sample> {
            lags.map(|lag| sample(0, 0, Some(lag))).collect()
        };
        assert!(growing_lag(&lags(&mut (0..15).map(|at| at * 100))).is_some());
        assert!(growing_lag(&lags(&mut (0..14).map(|at| at * 100))).is_none(), "too short");
        assert!(growing_lag(&lags(&mut (0..15))).is_none(), "small");
        assert!(growing_lag(&lags(&mut (0..15).rev().map(|at| at * 1_000))).is_none(), "shrinks");
        assert!(growing_lag(&lags(&mut std::iter::repeat_n(9_000, 15))).is_none(), "stays");
        assert!(growing_lag(&vec![sample(0, 0, None); 15]).is_none(), "unknown");
    }

    #[test]
    fn dead_letters_are_told_when_they_are_many() {
        let told = |records: u64, dead: u64| {
            dead_letters(&[sample(50, 5, None), sample(50 + records, 5 + dead, None)])
        };
        assert!(told(1_000, 51).is_some());
        assert!(told(1_000, 50).is_none());
        assert!(told(99, 99).is_none());
        assert!(dead_letters(&[]).is_none());
    }
}
