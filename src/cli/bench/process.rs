//! Resource usage of this process, as reported by the system.

use std::collections::BTreeMap;

use crate::cli::bench::float;

/// Processor time of each thread so far, in ticks, by its name.
#[derive(Debug, Default)]
pub(super) struct ThreadTimes(BTreeMap<String, u64>);

impl ThreadTimes {
    /// Reads the times of all threads; none where the system does not tell.
    pub(super) fn read() -> Self {
        let mut times = BTreeMap::new();
        let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        for task in tasks {
            let Ok(text) = std::fs::read_to_string(task.path().join("stat")) else { continue };
            // proc(5): number (name) state, then ten fields, then utime and stime.
            let Some((_, rest)) = text.split_once('(') else { continue };
            let Some((name, rest)) = rest.rsplit_once(") ") else { continue };
            let times_of = rest.split(' ').skip(11).take(2).flat_map(str::parse::<u64>);
            // Threads of one pool count as one: `rdk:broker1`, `rdk:broker2`.
            let name = name.trim_end_matches(|last: char| last.is_ascii_digit() || last == '-');
            *times.entry(name.to_owned()).or_default() += times_of.sum::<u64>();
        }
        Self(times)
    }

    /// Takes a later reading in. What a thread that has ended had used stays counted.
    pub(super) fn grow(&mut self, later: Self) {
        for (name, ticks) in later.0 {
            let known = self.0.entry(name).or_default();
            *known = ticks.max(*known);
        }
    }

    /// Microseconds a record since an earlier reading, the largest first.
    pub(super) fn since(self, before: &Self, records: u64) -> Vec<(String, f64)> {
        let micros = |(name, ticks): (String, u64)| {
            let earlier = before.0.get(&name).copied().unwrap_or(0);
            (name, float(ticks.saturating_sub(earlier) * TICK_MICROS) / float(records.max(1)))
        };
        let mut times: Vec<_> =
            self.0.into_iter().map(micros).filter(|(_, us)| *us > 0.01).collect();
        times.sort_by(|left, right| right.1.total_cmp(&left.1));
        times
    }
}

/// A tick of the system's accounting: 100 a second on every Linux that Rust runs on.
const TICK_MICROS: u64 = 10_000;

/// `VmHWM` of this process; 0 where the system does not tell.
pub(super) fn peak_resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.map_or(0.0, |kib| float(kib) / 1024.0)
}
