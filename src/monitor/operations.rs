//! Manual calls: a person's call of a contract, as a dry run or into the ledger under the person's name.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::call::{Arguments, Function, ManualCall};
use crate::codec::json::Value;
use crate::diagnostic::did_you_mean;
use crate::event::{SourcePartition, SourcePosition, time};
use crate::input::{CallError, Calls};
use crate::ledger::LedgerReader;
use crate::limits::MAX_ARGUMENTS_BYTES;
use crate::monitor::service::Service;
use crate::query::QueryError;
use crate::query::views::{TransactionView, TrialTransactionView};
use crate::transaction::Transaction;

/// Time to wait for a call to become durable while its sender waits.
const PATIENCE: Duration = Duration::from_secs(5);
/// Timeout of one wait for the ledger.
const WAIT: Duration = Duration::from_millis(20);

/// A call that a person asks for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallRequest {
    /// Name of the contract.
    pub contract: String,
    /// Its function.
    pub function: Function,
    /// Its arguments: the asset's key, and what the function takes.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub arguments: Value,
    /// Time of the call's event, RFC 3339; now if absent.
    #[serde(default)]
    #[schemars(extend("format" = "date-time"))]
    pub time: Option<String>,
}

impl CallRequest {
    /// The call, under a person's name.
    pub fn by(self, service: &Service, caller: &str) -> Result<ManualCall, QueryError> {
        let contracts = &service.trial.contracts;
        let Some(contract) = contracts.get(&self.contract) else {
            let names = contracts.iter().map(|contract| &*contract.name);
            let help = did_you_mean(&self.contract, names);
            let message = format!("there is no contract `{}`", self.contract);
            return Err(QueryError::Malformed(format!("{message}; {help}")));
        };
        let time_ms = self.time.as_deref().map(time::parse).transpose();
        let refused = |message: String| QueryError::Malformed(message);
        if self.arguments.as_object().is_none() {
            return Err(refused("`arguments` must be an object".to_owned()));
        }
        let arguments = Arguments::from_value(self.arguments)
            .map_err(|error| refused(format!("`arguments`: {error}")))?;
        let bytes = arguments.bytes().len();
        if bytes > MAX_ARGUMENTS_BYTES {
            return Err(refused(format!(
                "`arguments` take {bytes} bytes, the limit is {MAX_ARGUMENTS_BYTES}"
            )));
        }
        Ok(ManualCall {
            caller: caller.to_owned(),
            contract: contract.name.clone(),
            function: self.function,
            arguments,
            time_ms: time_ms.map_err(|error| refused(format!("`time`: {error}")))?,
        })
    }
}

/// The result of a dry run of a call.
pub fn check(service: &Service, call: &ManualCall) -> Result<TrialTransactionView, QueryError> {
    let now_ms = service.clock.now_ms();
    let position = SourcePosition { partition: SourcePartition::calls(), offset: 0, output: 0 };
    let call = ManualCall { time_ms: call.time_ms.or(Some(now_ms)), ..call.clone() };
    let transaction = Transaction::of_call(call, position);
    let mut tried = service.trial.execute(&service.queries, std::iter::once(&transaction))?;
    let first = (!tried.is_empty()).then(|| tried.swap_remove(0));
    first.ok_or_else(|| QueryError::NotReady("nothing was evaluated".to_owned()))
}

/// Brings a call into the ledger and waits for it.
pub fn submit(service: &Service, call: &ManualCall) -> Result<TransactionView, QueryError> {
    let ledger = service.queries.ledger();
    if let Some(obstacle) = service.ledger_obstacles().next() {
        return Err(QueryError::NotReady(obstacle));
    }
    let calls = service.calls.as_ref().ok_or(CallError::NotEnabled)?;
    let id = until_durable(calls, call, ledger)?;
    let ManualCall { caller, contract, function, .. } = call;
    tracing::info!(%id, caller, %contract, %function, "a manual call is in the ledger");
    service.queries.transaction(&id)
}

/// Waits until the block of a call is durable.
fn until_durable(
    calls: &Calls,
    call: &ManualCall,
    ledger: &dyn LedgerReader,
) -> Result<SourcePosition, CallError> {
    let deadline = calls.clock().monotonic() + PATIENCE;
    let id = calls.offer(call, deadline)?;
    while ledger.block_of_record(&id.partition, id.offset).is_none() {
        if calls.clock().monotonic() >= deadline {
            return Err(CallError::NotYet(id));
        }
        ledger.wait_for(ledger.head().height + 1, WAIT);
    }
    Ok(id)
}

/// The newest manual calls, newest first.
pub fn newest(service: &Service, limit: usize) -> Result<Vec<TransactionView>, QueryError> {
    let progress = service.queries.ledger().progress();
    let calls = progress.into_iter().find(|(partition, _)| partition.is_calls());
    let Some((partition, next)) = calls else { return Ok(Vec::new()) };
    let position = |offset| SourcePosition { partition: partition.clone(), offset, output: 0 };
    let newest = (0..next).rev().take(limit);
    newest.map(|offset| service.queries.transaction(&position(offset))).collect()
}

impl From<CallError> for QueryError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::NotEnabled => Self::Malformed(error.to_string()),
            CallError::Closed | CallError::Busy => Self::NotReady(error.to_string()),
            CallError::NotYet(_) => Self::Unknown(error.to_string()),
        }
    }
}
