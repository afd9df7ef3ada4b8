//! What a source says about its connection, for readiness and pages.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::limits::{MAX_REMEMBERED_TROUBLES, SAME_TROUBLE_QUIET};

/// Shared between a source and whoever shows it.
#[derive(Debug, Default)]
pub struct SourceHealth {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    report: HealthReport,
    /// Troubles that were news lately.
    told: VecDeque<LastError>,
}

/// A moment's health.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HealthReport {
    /// Whether at least one broker is reached.
    pub connected: bool,
    /// Since when `connected` has its value, in milliseconds since 1970.
    pub since_ms: i64,
    /// The last trouble; `None` where there was none since connecting.
    pub last_error: Option<LastError>,
}

/// A trouble of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    /// In words for a person.
    pub message: String,
    /// When it came, in milliseconds since 1970.
    pub at_ms: i64,
}

impl SourceHealth {
    /// Not connected yet.
    #[must_use]
    pub fn new(now_ms: i64) -> Self {
        let report = HealthReport { since_ms: now_ms, ..HealthReport::default() };
        Self { state: Mutex::new(State { report, told: VecDeque::new() }) }
    }

    /// The present state.
    #[must_use]
    pub fn report(&self) -> HealthReport {
        self.lock().report.clone()
    }

    /// Whether at least one broker is reached.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.lock().report.connected
    }

    /// Notes whether a broker is reached. Returns whether that is news. The last error goes when the
    /// connection comes back.
    pub(super) fn set_connected(&self, connected: bool, now_ms: i64) -> bool {
        let mut state = self.lock();
        if state.report.connected == connected {
            return false;
        }
        state.report.connected = connected;
        state.report.since_ms = now_ms;
        if connected {
            state.report.last_error = None;
        }
        state.told.clear();
        true
    }

    /// Notes a trouble that passes by itself or needs a person. Returns whether it is news: not told
    /// since the connection came or went, or not for [`SAME_TROUBLE_QUIET`].
    pub(super) fn set_error(&self, message: &str, at_ms: i64) -> bool {
        let error = LastError { message: message.to_owned(), at_ms };
        let mut state = self.lock();
        state.report.last_error = Some(error.clone());
        let quiet = i64::try_from(SAME_TROUBLE_QUIET.as_millis()).unwrap_or(i64::MAX);
        state.told.retain(|told| at_ms.saturating_sub(told.at_ms) < quiet);
        if state.told.iter().any(|told| told.message == message) {
            return false;
        }
        state.told.truncate(MAX_REMEMBERED_TROUBLES - 1);
        state.told.push_front(error);
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is an assignment of plain values, so a panic elsewhere leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_are_news() {
        let health = SourceHealth::new(1);
        assert!(!health.connected());
        assert!(!health.set_connected(false, 2));
        assert!(health.set_error("refused", 2));
        assert!(health.set_error("no such name", 2));
        assert!(!health.set_error("refused", 3), "the two troubles take turns");
        assert!(health.set_error("refused", 2 + 60_000), "it is said again after a while");
        for number in 0..MAX_REMEMBERED_TROUBLES {
            assert!(health.set_error(&number.to_string(), 60_002));
        }
        assert!(health.set_error("refused", 60_002), "only so many are remembered");
        assert_eq!(health.report().since_ms, 1);
        assert!(health.set_connected(true, 3));
        assert_eq!(
            health.report(),
            HealthReport { connected: true, since_ms: 3, last_error: None }
        );
    }
}
