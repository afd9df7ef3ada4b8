//! The rules of a contract: inputs and decisions.

use crate::budget::Budget;
use crate::codec::json::Value;

use crate::contract::asset::Alerts;
use crate::contract::form::AlertSeverity;
use crate::contract::state::{self, Fields};
use crate::contract::verdict::{InvalidCode, Verdict};
use crate::expression::{Bound, EvaluationError, Expression};

/// The variables of rules. A rule that rejects sees all but the last.
pub(super) const VARIABLES: [&str; 8] =
    ["state", "old", "arguments", "call", "time", "constants", "old_derived", "derived"];

/// Refuses a transaction.
#[derive(Debug)]
pub(super) struct RejectRule {
    pub(super) name: String,
    pub(super) when: Expression,
    pub(super) message: String,
}

impl RejectRule {
    /// True if it judges the state alone, and not the call that leads to it.
    pub(super) fn is_about_the_state(&self) -> bool {
        let is = |name: &str| self.when.paths().iter().any(|path| path[0] == name);
        let others = VARIABLES.iter().filter(|name| !["state", "constants"].contains(name));
        is("state") && !others.into_iter().any(|name| is(name))
    }
}

/// A call that a rule refuses.
#[derive(Debug)]
pub(super) struct Refusal<'a> {
    /// The rule.
    pub(super) rule: &'a RejectRule,
    /// The resulting verdict.
    pub(super) verdict: Verdict,
}

/// Computes a field.
#[derive(Debug)]
pub(super) struct DeriveRule {
    /// The dotted name, as it was written.
    pub(super) name: String,
    /// Its parts.
    pub(super) path: Vec<String>,
    pub(super) value: Expression,
}

/// Raises and clears an alert.
#[derive(Debug)]
pub(super) struct AlertRule {
    pub(super) name: String,
    pub(super) raise_when: Expression,
    pub(super) clear_when: Option<Expression>,
    pub(super) severity: AlertSeverity,
    pub(super) description: String,
}

/// Everything that the rules of one call see but for derived fields.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    /// Pays for the rules.
    pub(super) budget: &'a Budget,
    pub(super) state: &'a Fields,
    pub(super) old: &'a Fields,
    pub(super) arguments: &'a Fields,
    /// Name of the function; `function` itself is a word that CEL reserves.
    pub(super) call: &'static str,
    pub(super) time_ms: i64,
    pub(super) constants: &'a Fields,
    pub(super) old_derived: &'a Fields,
}

type Variables<'a> = [(&'static str, Bound<'a>); VARIABLES.len()];

impl<'a> Scope<'a> {
    /// The same call, had it left this state.
    pub(super) fn of(&self, state: &'a Fields) -> Self {
        Self { state, ..*self }
    }

    /// In the order of [`VARIABLES`], so that each is found where it is expected.
    fn with(&self, derived: &'a Fields) -> Variables<'a> {
        [
            ("state", Bound::Object(self.state)),
            ("old", Bound::Object(self.old)),
            ("arguments", Bound::Object(self.arguments)),
            ("call", Bound::Text(self.call)),
            ("time", Bound::Integer(self.time_ms)),
            ("constants", Bound::Object(self.constants)),
            ("old_derived", Bound::Object(self.old_derived)),
            ("derived", Bound::Object(derived)),
        ]
    }
}

/// The verdict on a rule that cannot be evaluated.
fn failed(kind: &str, name: &str, error: &EvaluationError) -> Verdict {
    let code = match error {
        EvaluationError::Exhausted(_) => InvalidCode::Limit,
        EvaluationError::Missing(_) | EvaluationError::Failed(_) => InvalidCode::RuleFailed,
    };
    Verdict::invalid(code, format!("{kind} `{name}`: {error}"))
}

/// The first rule that refuses the call. One that lacks a field does not.
pub(super) fn reject<'a>(
    rules: impl IntoIterator<Item = &'a RejectRule>,
    scope: &Scope<'_>,
) -> Result<(), Refusal<'a>> {
    let nothing = Fields::new();
    let variables = scope.with(&nothing);
    for rule in rules {
        match rule.when.holds_within(&variables, scope.budget) {
            Ok(false) | Err(EvaluationError::Missing(_)) => {}
            Ok(true) => {
                let detail = format!("{}: {}", rule.name, rule.message);
                let verdict = Verdict::invalid(InvalidCode::Rejected, detail);
                return Err(Refusal { rule, verdict });
            }
            Err(error) => {
                return Err(Refusal { rule, verdict: failed("reject", &rule.name, &error) });
            }
        }
    }
    Ok(())
}

/// The derived fields. One that lacks a field, or is null, is absent.
pub(super) fn derive(rules: &[DeriveRule], scope: &Scope<'_>) -> Result<Fields, Verdict> {
    let mut derived = Fields::new();
    for rule in rules {
        match rule.value.evaluate_within(&scope.with(&derived), scope.budget) {
            Ok(Value::Null) | Err(EvaluationError::Missing(_)) => {}
            Ok(value) => state::put(&mut derived, &rule.path, value),
            Err(error) => return Err(failed("derive", &rule.name, &error)),
        }
    }
    Ok(derived)
}

/// The alerts after a call, from those that were active before it. Rules come sorted by name.
pub(super) fn alerts(
    rules: &[AlertRule],
    scope: &Scope<'_>,
    derived: &Fields,
    was_active: &[String],
) -> Result<Alerts, Verdict> {
    let variables = scope.with(derived);
    let mut alerts = Alerts::default();
    for rule in rules {
        let before = was_active.contains(&rule.name);
        let now = rule.is_active(&variables, scope.budget, before)?;
        if now {
            alerts.active.push(rule.name.clone());
        }
        match (before, now) {
            (false, true) => alerts.raised.push(rule.name.clone()),
            (true, false) => alerts.cleared.push(rule.name.clone()),
            (true, true) | (false, false) => {}
        }
    }
    // An earlier version of the contract may have raised what this one has no rule for.
    let known = |name: &String| rules.iter().any(|rule| rule.name == *name);
    let orphans = was_active.iter().filter(|name| !known(name)).cloned();
    alerts.cleared.extend(orphans);
    alerts.cleared.sort_unstable();
    alerts.cleared.dedup();
    Ok(alerts)
}

impl AlertRule {
    fn is_active(
        &self,
        variables: &Variables<'_>,
        budget: &Budget,
        before: bool,
    ) -> Result<bool, Verdict> {
        let condition = |condition| self.condition(condition, variables, budget);
        if condition(&self.raise_when)?.unwrap_or(false) {
            return Ok(true);
        }
        match &self.clear_when {
            // An absent field clears, so that no alert stays for want of a value.
            Some(clear) if before => Ok(!condition(clear)?.unwrap_or(true)),
            _ => Ok(false),
        }
    }

    /// `None` where a field is absent.
    fn condition(
        &self,
        condition: &Expression,
        variables: &Variables<'_>,
        budget: &Budget,
    ) -> Result<Option<bool>, Verdict> {
        match condition.holds_within(variables, budget) {
            Ok(held) => Ok(Some(held)),
            Err(EvaluationError::Missing(_)) => Ok(None),
            Err(error) => Err(failed("alert", &self.name, &error)),
        }
    }
}
