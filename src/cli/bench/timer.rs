//! Times at which records passed.

use std::time::Duration;

use anyhow::bail;

use crate::cli::bench::float;
use crate::clock::Clock;

/// Longest wait for the next record before a measurement is given up.
const STALL: Duration = Duration::from_secs(60);
/// Polling interval for the end.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Records of the stretches at both ends whose rates are compared.
const STRETCH: u64 = 1_000_000;

/// Times from the end of the warm-up on.
pub(super) struct Timer {
    warm_up: u64,
    began: Option<(Duration, u64)>,
    newest: (Duration, u64),
    /// The time at which each further stretch was complete.
    stretches: Vec<(Duration, u64)>,
}

impl Timer {
    pub(super) fn new(clock: &dyn Clock, warm_up: u64) -> Self {
        Self { warm_up, began: None, newest: (clock.monotonic(), 0), stretches: Vec::new() }
    }

    /// Takes note of a count; whether the warm-up has just ended.
    pub(super) fn seen(&mut self, count: u64, clock: &dyn Clock) -> anyhow::Result<bool> {
        let now = clock.monotonic();
        if count > self.newest.1 {
            self.newest = (now, count);
        }
        let begins = self.began.is_none() && count >= self.warm_up;
        if begins {
            self.began = Some((now, count));
            self.stretches.push((now, count));
        }
        if self.stretches.last().is_some_and(|(_, last)| count >= last + STRETCH) {
            self.stretches.push((now, count));
        }
        if now.saturating_sub(self.newest.0) > STALL {
            bail!("no record arrived for {} s; {count} had arrived before", STALL.as_secs());
        }
        Ok(begins)
    }

    /// Records since the warm-up.
    pub(super) fn counted(&self, count: u64) -> u64 {
        count - self.began.map_or(0, |(_, before)| before)
    }

    pub(super) fn rate(&self, count: u64, clock: &dyn Clock) -> f64 {
        let Some((began, before)) = self.began else { return 0.0 };
        float(count - before) / clock.monotonic().saturating_sub(began).as_secs_f64()
    }

    /// Records a second in the first million and in the last, where there are two of them.
    pub(super) fn ends(&self) -> Option<(f64, f64)> {
        let rate = |pair: &[(Duration, u64)]| match pair {
            [(began, before), (ended, after)] => {
                Some(float(after - before) / ended.saturating_sub(*began).as_secs_f64())
            }
            _ => None,
        };
        let last = self.stretches.len().checked_sub(2).filter(|last| *last > 0)?;
        Some((rate(&self.stretches[..2])?, rate(&self.stretches[last..])?))
    }
}
