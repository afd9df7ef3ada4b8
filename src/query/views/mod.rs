//! The JSON shapes of everything that can be looked at. The endpoint and the command line print the
//! same ones.
//!
//! Digests are hexadecimal, times RFC 3339 in UTC with milliseconds, bytes base64. Indexes, offsets
//! and sizes are JSON numbers. Nothing here reads the ledger: a view is made of what was read.

mod alerts;
mod blocks;
mod records;
mod transactions;
mod trial;

pub use alerts::{
    AlertCatalogue, AlertChange, AlertCountView, AlertEventView, AlertView, AlertedView, FleetView,
};
pub use blocks::{BlockSummary, BlockView, EntryView, ProgressView, StepView, SubmissionView};
pub use records::{
    BytesView, DeadLetterSummary, DeadLetterView, DefinitionView, FilteredView, HeaderView,
    RecordOutcome, RecordView, TestView, record_id,
};
pub use transactions::{
    AssetAnswer, AssetView, ChangeView, PastView, ProofView, TransactionSummary, TransactionView,
    WriteView, asset_value,
};

pub use trial::{
    EventView, MappingAnswerView, OutcomeView, RejectionView, TrialTransactionView, TrialView,
    TrialWriteView,
};

use schemars::JsonSchema;
use serde::Serialize;

/// A time in text, such as `2026-01-31T12:00:00.000Z`; one that no calendar has, as its milliseconds
/// since 1970.
#[must_use]
pub fn time_text(time_ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(time_ms) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => time_ms.to_string(),
    }
}

/// A number with its digits in groups of three.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A page of a longer list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// The value of `before` or `from` (newest first) or `after` (in order) for the next page;
    /// absent at the end. A search that reached its limit may return few or no items together with
    /// this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Milliseconds as seconds. Exact up to 2⁵³, far beyond any age.
#[allow(clippy::cast_precision_loss)] // said above
#[must_use]
pub fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stand_in_groups() {
        for (number, expected) in [(0, "0"), (999, "999"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), expected);
        }
    }
}
