//! Dry runs: the result that the pipeline would give for a record, with the mappings, the contracts and
//! the state of the running service. Nothing is submitted and nothing is kept.

use std::sync::{Arc, Mutex, PoisonError};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::budget::Budget;
use crate::codec::Writer;
use crate::contract::{Call, ContractSet, StateView};
use crate::event::{Decoder, Headers, Record, SourcePartition, StreamNames, is_topic, time};
use crate::ledger::{LedgerReader, PendingView};
use crate::limits::MAX_PAGE_BYTES;
use crate::mapping::{MappingSet, Outcome};
use crate::query::views::{
    EventView, MappingAnswerView, OutcomeView, TrialTransactionView, TrialView, TrialWriteView,
};
use crate::query::{Queries, QueryError};
use crate::transaction::Transaction;

/// Held while a record is tried and shown.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The definitions that records are tried with.
#[derive(Debug, Clone, Default)]
pub struct Trial {
    /// The inputs of events.
    pub inputs: Vec<TrialInput>,
    /// Events → payloads.
    pub mappings: Arc<MappingSet>,
    /// Payloads → verdicts and writes.
    pub contracts: Arc<ContractSet>,
}

/// An input of events.
#[derive(Debug, Clone)]
pub struct TrialInput {
    /// Its name.
    pub name: Arc<str>,
    /// Names of its streams.
    pub streams: StreamNames,
    /// From its records to events.
    pub decoder: Arc<Decoder>,
}

/// Base64 with its padding (RFC 4648, section 4), with blanks between whole groups.
const BASE64: &str = "^(\\s*([A-Za-z0-9+/]{4}))*\\s*\
                      ([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$";

/// A schema: of text and base64 at most one is given.
fn not_both(text: &str, base64: &str) -> serde_json::Value {
    let given = json!({"type": "string"});
    json!({"not": {"required": [text, base64], "properties": {text: given, base64: given}}})
}

/// Reads a whole number in any way of writing it: for JSON Schema `80.0` is an integer too.
fn whole_number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    let value = number.as_f64().filter(|value| value.fract() == 0.0);
    let value = value.filter(|value| (0.0..=f64::from(u32::MAX)).contains(value));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked above
    let whole = value.map(|value| value as u32);
    let reason = || format!("{number} is not a whole number from 0 to {}", u32::MAX);
    whole.ok_or_else(|| serde::de::Error::custom(reason()))
}

/// A record to be tried.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("allOf" = [not_both("key", "key_base64"), not_both("value", "value_base64")]))]
pub struct TrialRequest {
    /// Topic that it would come from; with several inputs, the name of the stream.
    #[schemars(extend("pattern" = "^[a-zA-Z0-9._-]{1,249}$", "not" = json!({"enum": [".", ".."]})))]
    pub topic: String,
    /// Partition of the topic, from 0.
    #[serde(default, deserialize_with = "whole_number")]
    pub partition: u32,
    /// Record key as text.
    #[serde(default)]
    pub key: Option<String>,
    /// Record key in base64, where it is no text.
    #[serde(default)]
    #[schemars(extend("pattern" = BASE64))]
    pub key_base64: Option<String>,
    /// Record headers in order.
    #[serde(default)]
    pub headers: Vec<TrialHeader>,
    /// The broker's timestamp, RFC 3339.
    #[serde(default)]
    #[schemars(extend("format" = "date-time"))]
    pub timestamp: Option<String>,
    /// Record value as text: the bytes as a device sends them. A tombstone where there is neither.
    #[serde(default)]
    pub value: Option<String>,
    /// Record value in base64, where it is no text.
    #[serde(default)]
    #[schemars(extend("pattern" = BASE64))]
    pub value_base64: Option<String>,
}

/// A header of a record to be tried.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrialHeader {
    /// Name.
    pub name: String,
    /// Value as text.
    pub value: String,
}

/// A record with bytes of its own.
struct OwnRecord {
    partition: SourcePartition,
    timestamp_ms: Option<i64>,
    key: Option<Vec<u8>>,
    headers: Vec<u8>,
    value: Option<Vec<u8>>,
}

impl Trial {
    /// Tries a record against the state as it is now, and shows what came of it. Whoever may ask may
    /// send records that are made to be large, so only one is tried at a time.
    pub fn run<T>(
        &self,
        queries: &Queries,
        asked: TrialRequest,
        show: impl FnOnce(&TrialView) -> T,
    ) -> Result<T, QueryError> {
        // A panic in another trial leaves nothing behind.
        let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        self.view(queries, asked).map(|view| show(&view))
    }

    fn view(&self, queries: &Queries, asked: TrialRequest) -> Result<TrialView, QueryError> {
        let own = OwnRecord::of(asked)?;
        let height = queries.ledger().head().height;
        let decoder = self.decoder(&own.partition.topic);
        let event = match decoder.decode(&own.record()) {
            Ok(event) => event,
            Err(rejection) => return Ok(TrialView::rejected(height, None, rejection)),
        };
        let answers = self.mappings.mismatches(&event).into_iter().map(|(mapping, reason)| {
            MappingAnswerView {
                mapping: mapping.name.to_string(),
                matches: reason.is_none(),
                reason,
            }
        });
        let answers: Vec<_> = answers.collect();
        let outcome = self.mappings.evaluate(&event);
        // Its parts are moved where they can be: a body may take many times its text.
        let known = |event| Some((EventView::from(event), answers));
        Ok(match outcome {
            Outcome::Rejected(rejection) => TrialView::rejected(height, known(event), rejection),
            Outcome::NotMatched => TrialView::new(height, OutcomeView::Filtered, known(event)),
            Outcome::Mapped(payloads) => {
                let made = Transaction::of_event(&event, payloads);
                let mut view = TrialView::new(height, OutcomeView::Mapped, known(event));
                let each = made.iter().map(|encoded| &**encoded.transaction());
                view.transactions = self.execute(queries, each)?;
                view.not_tried = made.len() - view.transactions.len();
                view
            }
        })
    }

    /// The decoder of the input that gives this stream; of the first input where none does.
    fn decoder(&self, stream: &str) -> Arc<Decoder> {
        let gives = |input: &&TrialInput| input.streams.contains(stream);
        let input = self.inputs.iter().find(gives).or(self.inputs.first());
        input.map(|input| input.decoder.clone()).unwrap_or_default()
    }

    /// Executes transactions one after the other, each over what those before it wrote, until their
    /// changes take [`MAX_PAGE_BYTES`].
    pub fn execute<'a>(
        &self,
        queries: &Queries,
        transactions: impl Iterator<Item = &'a Transaction>,
    ) -> Result<Vec<TrialTransactionView>, QueryError> {
        // What is put over the state must count as newer than all of it.
        let version = queries.ledger().head().entries;
        let mut view = PendingView::over(queries.world().clone());
        let budget = Budget::new();
        let mut executed = Vec::new();
        let mut bytes = 0;
        for transaction in transactions {
            if bytes > MAX_PAGE_BYTES {
                break;
            }
            bytes += transaction.arguments.bytes().len();
            let call = Call {
                function: transaction.function,
                arguments: transaction.arguments.value(),
                time_ms: transaction.time_ms,
            };
            let contract = &transaction.contract;
            let effects = self.contracts.execute_within(contract, call, &view, &budget);
            let mut writes = Vec::new();
            for write in effects.writes {
                let before = view.asset(&transaction.contract, &write.key);
                let shown = TrialWriteView {
                    key: write.key.to_string(),
                    before: before.map(|before| before.asset.as_ref().clone()),
                    after: write.asset.as_deref().cloned(),
                };
                let assets = shown.before.iter().chain(&shown.after);
                bytes += assets.map(|asset| asset.to_bytes().len()).sum::<usize>();
                writes.push(shown);
                view.put(&transaction.contract, &write.key, (version, write.asset));
            }
            if let Some(reason) = view.take_failure() {
                return Err(QueryError::NotReady(format!("the state cannot be read: {reason}")));
            }
            let mapping = self.name_of(transaction);
            let verdict = &effects.verdict;
            executed.push(TrialTransactionView::new(transaction, mapping, verdict, writes));
        }
        Ok(executed)
    }

    fn name_of(&self, transaction: &Transaction) -> Option<String> {
        let mut mappings = self.mappings.mappings.iter();
        let found = mappings.find(|mapping| mapping.digest == transaction.mapping_digest)?;
        Some(found.name.to_string())
    }
}

impl OwnRecord {
    fn of(asked: TrialRequest) -> Result<Self, QueryError> {
        if !is_topic(&asked.topic) {
            let message = format!(
                "`topic` cannot be `{}`: letters, digits, `.`, `_` and `-`, at most 249",
                crate::limits::truncated(&asked.topic, crate::limits::MAX_DETAIL_BYTES)
            );
            return Err(QueryError::Malformed(message));
        }
        let timestamp_ms = asked.timestamp.as_deref().map(time::parse).transpose();
        let timestamp_ms =
            timestamp_ms.map_err(|error| QueryError::Malformed(format!("`timestamp`: {error}")))?;
        let mut headers = Writer::new();
        for header in &asked.headers {
            headers.text(&header.name);
            headers.option(Some(&header.value), |writer, value| writer.text(value));
        }
        Ok(Self {
            partition: SourcePartition::new(&asked.topic, asked.partition),
            timestamp_ms,
            key: bytes("key", asked.key, asked.key_base64)?,
            headers: headers.into_bytes(),
            value: bytes("value", asked.value, asked.value_base64)?,
        })
    }

    /// It stands nowhere, so its offset is 0.
    fn record(&self) -> Record<'_> {
        Record {
            partition: &self.partition,
            offset: 0,
            timestamp_ms: self.timestamp_ms,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: Headers::from_encoded(&self.headers),
            damage: None,
        }
    }
}

/// Bytes that were given as text or in base64.
fn bytes(
    name: &str,
    text: Option<String>,
    base64: Option<String>,
) -> Result<Option<Vec<u8>>, QueryError> {
    match (text, base64) {
        (Some(_), Some(_)) => {
            let message = format!("`{name}` and `{name}_base64` are mutually exclusive");
            Err(QueryError::Malformed(message))
        }
        (Some(text), None) => Ok(Some(text.into_bytes())),
        (None, Some(base64)) => {
            let compact: String = base64.split_ascii_whitespace().collect();
            let decoded = BASE64_STANDARD.decode(compact);
            decoded.map(Some).map_err(|error| {
                QueryError::Malformed(format!("`{name}_base64` is not valid base64: {error}"))
            })
        }
        (None, None) => Ok(None),
    }
}
