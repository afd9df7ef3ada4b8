//! The budget of steps that one record may take, however it is made and whatever is declared for it.
//!
//! Steps are counted, never time: the same record takes the same steps on every machine, so that all
//! of them refuse the same ones. A step is about as long as one look at a value; see
//! [`crate::limits::MAX_RECORD_STEPS`] for how many there are and why.
//!
//! Whoever does work that grows with the data pays before the work is done, in bulk where its size
//! is known. Once a payment fails nothing more can be paid for: work that goes on regardless, because
//! a library swallows the error, ends soon.

use std::cell::Cell;

use crate::codec::json::Value;
use crate::limits::{COPY_STEPS, MAX_RECORD_STEPS, TEXT_STEP_BYTES};

/// The steps that are left. Shared by everything that works on one record, on one thread.
#[derive(Debug)]
pub struct Budget {
    left: Cell<u64>,
    is_exhausted: Cell<bool>,
}

/// A budget that is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the budget of {MAX_RECORD_STEPS} steps for one record is used up; use smaller lists, fewer \
     loops within loops, or fewer fields and rules"
)]
pub struct Exhausted;

impl Default for Budget {
    fn default() -> Self {
        Self::new()
    }
}

impl Budget {
    /// The budget of one record.
    #[must_use]
    pub fn new() -> Self {
        Self::of(MAX_RECORD_STEPS)
    }

    /// A budget of so many steps.
    #[must_use]
    pub fn of(steps: u64) -> Self {
        Self { left: Cell::new(steps), is_exhausted: Cell::new(false) }
    }

    /// The steps that are left.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.left.get()
    }

    /// The steps that are gone of a record's budget.
    #[must_use]
    pub fn used(&self) -> u64 {
        MAX_RECORD_STEPS.saturating_sub(self.left())
    }

    /// True if a payment has failed.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.is_exhausted.get()
    }

    /// Pays for steps.
    ///
    /// # Errors
    ///
    /// More than are left. From then on none are left.
    #[inline]
    pub fn spend(&self, steps: u64) -> Result<(), Exhausted> {
        match self.left.get().checked_sub(steps) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => {
                self.exhaust();
                Err(Exhausted)
            }
        }
    }

    /// Pays for a copy of a value.
    ///
    /// # Errors
    ///
    /// As [`Budget::spend`].
    #[inline]
    pub fn spend_copy(&self, value: &Value) -> Result<(), Exhausted> {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => self.spend(COPY_STEPS),
            Value::String(text) => self.spend(COPY_STEPS + text_steps(text)),
            Value::Array(_) | Value::Object(_) => self.spend(copy_steps(value)),
        }
    }

    /// Leaves no step.
    #[cold]
    pub fn exhaust(&self) {
        self.left.set(0);
        self.is_exhausted.set(true);
    }
}

/// Steps for a look at a string.
#[inline]
#[must_use]
pub fn text_steps(text: &str) -> u64 {
    byte_steps(text.len())
}

/// Steps for a string of so many bytes.
#[inline]
#[must_use]
pub fn byte_steps(bytes: usize) -> u64 {
    (bytes / TEXT_STEP_BYTES) as u64
}

/// Steps for a copy of a value: [`COPY_STEPS`] for each value in it, and its text.
#[must_use]
pub fn copy_steps(value: &Value) -> u64 {
    COPY_STEPS
        + match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text_steps(text),
            Value::Array(elements) => elements.iter().map(copy_steps).sum(),
            Value::Object(members) => {
                members.iter().map(|(name, value)| text_steps(name) + copy_steps(value)).sum()
            }
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::json::json;

    #[test]
    fn nothing_is_paid_for_once_a_payment_failed() {
        let budget = Budget::of(10);
        assert_eq!(budget.spend(10), Ok(()));
        assert!(!budget.is_exhausted(), "to the last step is not beyond it");
        assert_eq!(budget.spend(0), Ok(()));
        assert_eq!(budget.spend(1), Err(Exhausted));
        assert!(budget.is_exhausted());
        let budget = Budget::of(10);
        assert_eq!(budget.spend(11), Err(Exhausted));
        assert_eq!((budget.left(), budget.spend(1)), (0, Err(Exhausted)));
    }

    #[test]
    fn a_copy_costs_its_values_and_its_text() {
        let cases = [
            (json!(null), 4),
            (json!(21.5), 4),
            (json!("short"), 4),
            (json!("x".repeat(80)), 14),
            (json!([]), 4),
            (json!([1, [2]]), 16),
            (json!({"a": 1, "b": {"c": "x".repeat(16)}}), 18),
            (json!({"n".repeat(24): 1}), 11),
        ];
        for (value, steps) in cases {
            let budget = Budget::of(100);
            assert_eq!(budget.spend_copy(&value), Ok(()));
            assert_eq!((100 - budget.left(), copy_steps(&value)), (steps, steps), "{value}");
        }
    }
}
