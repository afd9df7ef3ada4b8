//! Counters of the endpoint's answers, by status.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use axum::http::StatusCode;

/// Answers by status code, since the start of the process.
#[derive(Debug, Default)]
pub struct AnswerCounts(Mutex<BTreeMap<u16, u64>>);

impl AnswerCounts {
    /// Counts one.
    pub fn add(&self, status: StatusCode) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(status.as_u16()).or_default() += 1;
    }

    /// All, in the order of their codes.
    #[must_use]
    pub fn all(&self) -> BTreeMap<u16, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
