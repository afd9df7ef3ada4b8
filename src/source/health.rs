//! What a source says about its connection, for readiness and pages.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Shared between a source and whoever shows it.
#[derive(Debug, Default)]
pub struct SourceHealth {
    report: Mutex<HealthReport>,
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
        Self { report: Mutex::new(report) }
    }

    /// The present state.
    #[must_use]
    pub fn report(&self) -> HealthReport {
        self.lock().clone()
    }

    /// Whether at least one broker is reached.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.lock().connected
    }

    /// Notes whether a broker is reached. Returns whether that is news. The last error goes when the
    /// connection comes back.
    pub(super) fn set_connected(&self, connected: bool, now_ms: i64) -> bool {
        let mut report = self.lock();
        if report.connected == connected {
            return false;
        }
        report.connected = connected;
        report.since_ms = now_ms;
        if connected {
            report.last_error = None;
        }
        true
    }

    /// Notes a trouble that passes by itself or needs a person. Returns whether it is another than
    /// the last one.
    pub(super) fn set_error(&self, message: &str, at_ms: i64) -> bool {
        let error = LastError { message: message.to_owned(), at_ms };
        let before = self.lock().last_error.replace(error);
        before.is_none_or(|before| before.message != message)
    }

    fn lock(&self) -> MutexGuard<'_, HealthReport> {
        // Each change is one assignment of plain values, so a panic elsewhere leaves it whole.
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
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
        assert!(!health.set_error("refused", 2));
        assert_eq!(health.report().since_ms, 1);
        assert!(health.set_connected(true, 3));
        assert_eq!(
            health.report(),
            HealthReport { connected: true, since_ms: 3, last_error: None }
        );
    }
}
