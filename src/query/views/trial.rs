//! The result of a dry run of a record.

use schemars::JsonSchema;
use serde::Serialize;

use crate::codec::json::Value;
use crate::contract::{Asset, Verdict};
use crate::event::{Event, Rejection};
use crate::query::views::time_text;
use crate::transaction::Transaction;

/// The pipeline's result for a record, given the current state.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TrialView {
    /// Number of blocks whose state it was tried against.
    pub height: u64,
    /// The outcome.
    pub outcome: OutcomeView,
    /// Why it would be a dead letter; absent where it would not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejection: Option<RejectionView>,
    /// The event in it; absent where none can be made of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<EventView>,
    /// The result of each mapping for the event.
    pub mappings: Vec<MappingAnswerView>,
    /// Its transactions, in order, each executed over what those before it wrote.
    pub transactions: Vec<TrialTransactionView>,
    /// Further transactions, which were not tried because the answer would be too large.
    pub not_tried: usize,
}

/// The outcome of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeView {
    /// It gives transactions.
    Mapped,
    /// No mapping matches it.
    Filtered,
    /// It goes to the dead letters.
    DeadLettered,
}

/// Why a record is a dead letter.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RejectionView {
    /// The kind of error.
    pub cause: &'static str,
    /// JSONPath into the event's document, or line and column in the value; empty for the whole
    /// record.
    pub place: String,
    /// The error, and the expected input.
    pub message: String,
}

/// The sender and contents of an event.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EventView {
    /// Organisation; empty where the source knows none.
    pub org: String,
    /// Device type.
    pub device_type: String,
    /// Device id within its type.
    pub device_id: String,
    /// Event type.
    pub event_type: String,
    /// Payload format.
    pub format: String,
    /// Time of the event; absent if neither the event nor the record has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Its body.
    pub payload: Value,
}

/// The result of a mapping for an event.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MappingAnswerView {
    /// Name of the mapping.
    pub mapping: String,
    /// True if it takes the event.
    pub matches: bool,
    /// Why not; absent where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A transaction as it would be.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TrialTransactionView {
    /// Name of the mapping; absent for a manual call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mapping: Option<String>,
    /// Contract.
    pub contract: String,
    /// Function.
    pub function: &'static str,
    /// Arguments: the payload.
    pub arguments: Value,
    /// `valid`, or the name of the reason.
    pub verdict: &'static str,
    /// Details of the reason; absent if valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The changes that it would make.
    pub writes: Vec<TrialWriteView>,
}

/// A change as it would be.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TrialWriteView {
    /// Key of the asset.
    pub key: String,
    /// The asset before; `null` where there is none.
    pub before: Option<Asset>,
    /// The asset after; `null` where it would be deleted.
    pub after: Option<Asset>,
}

impl TrialView {
    /// Of a record with this outcome; an event comes with what each mapping says of it.
    #[must_use]
    pub fn new(
        height: u64,
        outcome: OutcomeView,
        known: Option<(EventView, Vec<MappingAnswerView>)>,
    ) -> Self {
        let (event, mappings) = known.unzip();
        let mappings = mappings.unwrap_or_default();
        Self {
            height,
            outcome,
            rejection: None,
            event,
            mappings,
            transactions: Vec::new(),
            not_tried: 0,
        }
    }

    /// Of a record that would be a dead letter.
    #[must_use]
    pub fn rejected(
        height: u64,
        known: Option<(EventView, Vec<MappingAnswerView>)>,
        rejection: Rejection,
    ) -> Self {
        let Rejection { cause, place, message } = rejection;
        let rejection = RejectionView { cause: cause.name(), place, message };
        let view = Self::new(height, OutcomeView::DeadLettered, known);
        Self { rejection: Some(rejection), ..view }
    }
}

impl From<Event> for EventView {
    fn from(event: Event) -> Self {
        let Event { device, info, payload, .. } = event;
        Self {
            org: device.org.to_string(),
            device_type: device.device_type.to_string(),
            device_id: device.id.to_string(),
            event_type: info.event_type.to_string(),
            format: info.format.to_string(),
            time: info.time_ms.map(time_text),
            payload,
        }
    }
}

impl TrialTransactionView {
    /// Of a transaction, the name of its mapping, what its contract says, and its changes.
    #[must_use]
    pub fn new(
        (transaction, mapping, verdict): (&Transaction, Option<String>, &Verdict),
        writes: Vec<TrialWriteView>,
    ) -> Self {
        let detail = match verdict {
            Verdict::Valid => None,
            Verdict::Invalid { detail, .. } => Some(detail.clone()),
        };
        Self {
            mapping,
            contract: transaction.contract.to_string(),
            function: transaction.function.name(),
            arguments: transaction.arguments.value().clone(),
            verdict: verdict.name(),
            detail,
            writes,
        }
    }
}
