//! The YAML form of a contract, as a data engineer writes it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::call::Function;
use crate::codec::json::Map;
use crate::codec::yaml::{Exact, Located};

/// A contract: functions and rules over the state of assets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Ledgerline contract")]
pub(super) struct ContractForm {
    /// Unique name; mappings call the contract by it, and its assets stand below it.
    pub contract: Located<String>,
    /// Version, raised with every change of the text. From 1.
    pub version: Located<u32>,
    /// The purpose of the contract.
    #[serde(default)]
    pub description: String,
    /// Dotted path of the asset's key in the arguments of every call. The value is a string or an
    /// integer.
    pub key: Located<String>,
    /// JSON Schema (2020-12) of the state that devices send. It is checked after merging.
    pub state: Located<ExactFields>,
    /// The functions on offer, each with its options or nothing. Without it: `update` alone.
    #[serde(default)]
    pub functions: Option<BTreeMap<Function, Option<FunctionOptions>>>,
    /// Values that rules may use as `constants.NAME`.
    #[serde(default)]
    pub constants: ExactFields,
    /// Rules: those that reject run first, then those that derive, then alerts, each in this order.
    #[serde(default)]
    pub rules: Vec<Located<RuleForm>>,
    /// Chains of calls with what must come of them.
    #[serde(default)]
    pub tests: Vec<TestForm>,
}

/// An object of the file, its numbers as they are written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(from = "BTreeMap<String, Exact>")]
#[schemars(with = "serde_json::Map<String, serde_json::Value>")]
pub(super) struct ExactFields(pub Map);

impl From<BTreeMap<String, Exact>> for ExactFields {
    fn from(fields: BTreeMap<String, Exact>) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name, value.0)).collect())
    }
}

/// Options of one function.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FunctionOptions {
    /// `update` and `replace`: whether an absent asset is created. `update` does so unless told
    /// otherwise, `replace` does not.
    #[serde(default)]
    pub create_when_absent: Option<bool>,
    /// `update`: whether `null` takes a property out (RFC 7396). Unless told so, `null` is a value.
    #[serde(default)]
    pub null_deletes: Option<bool>,
}

/// One rule. It is exactly one of `reject`, `derive` and `alert`.
///
/// Expressions are CEL. They may use `state` (merged, new), `old` (before the call; empty where
/// the asset was absent), `arguments`, `call` (the function's name), `time` (of the event, in milliseconds since
/// 1970), `constants`, `old_derived`, and, but for `reject`, `derived` (what the rules above gave).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleForm {
    /// Name of a rule that refuses the transaction.
    #[serde(default)]
    pub reject: Option<Located<String>>,
    /// `reject`: refuses where this holds. Where a field is absent it does not hold.
    #[serde(default)]
    pub when: Option<Located<String>>,
    /// `reject`: what the verdict says.
    #[serde(default)]
    pub message: Option<Located<String>>,
    /// Name of an alert.
    #[serde(default)]
    pub alert: Option<Located<String>>,
    /// `alert`: raised while this holds. Where a field is absent the alert is clear.
    #[serde(default)]
    pub raise_when: Option<Located<String>>,
    /// `alert`: once raised, it stays until this holds. Without it: until `raise_when` does not.
    #[serde(default)]
    pub clear_when: Option<Located<String>>,
    /// `alert`: how bad it is. Without it: `warning`.
    #[serde(default)]
    pub severity: Option<AlertSeverity>,
    /// `alert`: what it means and what to do.
    #[serde(default)]
    pub description: Option<Located<String>>,
    /// Dotted name of a field that the contract computes, out of every device's reach.
    #[serde(default)]
    pub derive: Option<Located<String>>,
    /// `derive`: the value. Where a field is absent, or the value is null, the field is absent.
    #[serde(default)]
    pub value: Option<Located<String>>,
}

/// The severity of an alert.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Default,
    serde::Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum AlertSeverity {
    /// Good to know.
    Info,
    /// Someone should look.
    #[default]
    Warning,
    /// Someone must act.
    Critical,
}

/// A chain of calls on an empty ledger.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TestForm {
    /// The behaviour that it shows.
    pub name: Located<String>,
    /// The calls, one after the other.
    pub steps: Vec<Located<StepForm>>,
}

/// One call and what must come of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StepForm {
    /// The function.
    pub call: Function,
    /// Its arguments.
    pub arguments: ExactFields,
    /// Time of the event, in milliseconds since 1970. Default: a second after the previous call.
    #[serde(default)]
    pub time: Option<i64>,
    /// The expected result. Default: a valid verdict.
    #[serde(default)]
    pub expect: ExpectForm,
}

/// The expected result of a call. Anything left out is not checked.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectForm {
    /// `valid`, or the reason's name, such as `rejected` or `schema_violation`. Without it: `valid`.
    #[serde(default)]
    pub verdict: Option<Located<String>>,
    /// A part of the verdict's text, such as the rule's name.
    #[serde(default)]
    pub detail: Option<String>,
    /// The asset must exist after the call (`true`) or must not (`false`).
    #[serde(default)]
    pub exists: Option<bool>,
    /// The device's state after the call, whole.
    #[serde(default)]
    pub state: Option<ExactFields>,
    /// The alerts after the call; each list whole, in any order.
    #[serde(default)]
    pub alerts: Option<AlertsForm>,
    /// The asset must have no active alert (`true`) or at least one (`false`).
    #[serde(default)]
    pub compliant: Option<bool>,
    /// The derived fields after the call, whole.
    #[serde(default)]
    pub derived: Option<ExactFields>,
}

/// Expected alerts.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertsForm {
    /// Raised now or before, and not cleared.
    #[serde(default)]
    pub active: Option<Vec<String>>,
    /// Active now and not before.
    #[serde(default)]
    pub raised: Option<Vec<String>>,
    /// Active before and not now.
    #[serde(default)]
    pub cleared: Option<Vec<String>>,
}

/// JSON Schema of a contract file's documents, for editors.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(ContractForm).to_value()
}
