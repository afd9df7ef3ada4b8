//! One call: from arguments and the old state to a verdict and at most one write.

use std::sync::Arc;

use crate::budget::{Budget, Exhausted};
use crate::call::Function;
use crate::codec::json::{Number, Value};
use crate::contract::rules::{self, Refusal, Scope};
use crate::contract::schema::SchemaError;
use crate::contract::state::{self, Fields, Size};
use crate::contract::{
    Asset, Call, Contract, Effects, InvalidCode, StateView, Verdict, Versioned, Write,
};
use crate::limits::{MAX_ASSET_KEY_BYTES, MAX_STATE_BYTES, truncated};

/// No fields.
static NOTHING: Fields = Fields::new();
/// Members of an object that move up in one step.
const MOVED_PER_STEP: usize = 64;
/// Argument of `deleteProperties` that names what to take out.
pub(super) const PROPERTIES: &str = "properties";

fn invalid<T>(code: InvalidCode, detail: impl AsRef<str>) -> Result<T, Verdict> {
    Err(Verdict::invalid(code, detail))
}

impl Contract {
    /// Carries out one call on the state. Never fails: what goes wrong is a verdict.
    ///
    /// Order: function, key, whether the asset exists, merge; then size and schema, the rules that
    /// reject, those that derive, alerts, compliance. An invalid verdict writes nothing.
    #[must_use]
    pub fn execute(&self, call: Call<'_>, state: &dyn StateView) -> Effects {
        self.execute_within(call, state, &Budget::new())
    }

    /// The same with a budget that the calls of one record share.
    #[must_use]
    pub fn execute_within(
        &self,
        call: Call<'_>,
        state: &dyn StateView,
        budget: &Budget,
    ) -> Effects {
        match self.decide(call, state, budget) {
            Ok(write) => Effects { verdict: Verdict::Valid, writes: vec![write] },
            Err(verdict) => Effects { verdict, writes: Vec::new() },
        }
    }

    fn decide(
        &self,
        call: Call<'_>,
        view: &dyn StateView,
        budget: &Budget,
    ) -> Result<Write, Verdict> {
        budget.spend(1).map_err(|exhausted| self.exhausted("the calls", exhausted))?;
        if !self.functions.offers(call.function) {
            let detail = format!("contract `{}` has no function `{}`", self.name, call.function);
            return invalid(InvalidCode::UnknownFunction, detail);
        }
        let Some(arguments) = call.arguments.as_object() else {
            return invalid(InvalidCode::BadArguments, "the arguments are not an object");
        };
        let key = self.asset_key(arguments)?;
        let old = view.asset(&self.name, &key);
        // The state was read, and a merge copies it.
        let read = old.as_ref().map_or(0, |old| old.asset.copy_steps());
        self.pay(budget, read)?;
        let scope = Scope {
            budget,
            state: &NOTHING,
            old: old.as_ref().map_or(&NOTHING, |old| &old.asset.state),
            arguments,
            call: call.function.name(),
            time_ms: call.time_ms,
            constants: &self.constants,
            old_derived: old.as_ref().map_or(&NOTHING, |old| &old.asset.derived),
        };
        let state = self.changed((call.function, &key), old.as_ref(), &scope)?;
        let asset = self.judged(state, old.as_ref(), &scope)?;
        Ok(Write { key, asset: asset.map(Arc::new), replaced: old.map(|old| old.version) })
    }

    /// The asset's key in the arguments: a string that is not empty, or an integer.
    pub(super) fn asset_key(&self, arguments: &Fields) -> Result<Arc<str>, Verdict> {
        let name = self.key.join(".");
        let key: &str = match state::at(arguments, &self.key) {
            None => {
                let detail = format!("the asset's key `{name}` is absent");
                return invalid(InvalidCode::BadArguments, detail);
            }
            Some(Value::String(text)) => text,
            Some(Value::Number(number)) if is_integer(number) => number.as_str(),
            Some(_) => {
                let detail = format!("the asset's key `{name}` is neither a string nor an integer");
                return invalid(InvalidCode::BadArguments, detail);
            }
        };
        if key.is_empty() || key.len() > MAX_ASSET_KEY_BYTES || key.chars().any(char::is_control) {
            let shown = truncated(key, 40).escape_debug().to_string();
            let detail = format!(
                "the asset's key `{name}` is \"{shown}\": it takes 1 to {MAX_ASSET_KEY_BYTES} \
                 bytes without control characters"
            );
            return invalid(InvalidCode::BadArguments, detail);
        }
        Ok(key.into())
    }

    /// The new state that the function makes; `None` deletes.
    fn changed(
        &self,
        (function, key): (Function, &str),
        old: Option<&Versioned>,
        scope: &Scope<'_>,
    ) -> Result<Option<Fields>, Verdict> {
        let create = match function {
            Function::Create => true,
            Function::Update => self.functions.update_creates,
            Function::Replace => self.functions.replace_creates,
            Function::Delete | Function::DeleteProperties => false,
        };
        match (function, old) {
            (Function::Create, Some(_)) => {
                invalid(InvalidCode::AssetExists, format!("`{key}` exists"))
            }
            (_, None) if !create => {
                invalid(InvalidCode::AssetAbsent, format!("`{key}` does not exist"))
            }
            (Function::Update, _) => {
                Ok(Some(state::merged(scope.old, scope.arguments, self.functions.nulls)))
            }
            (Function::Create | Function::Replace, _) => Ok(Some(scope.arguments.clone())),
            (Function::Delete, _) => Ok(None),
            (Function::DeleteProperties, _) => self.without_properties(scope).map(Some),
        }
    }

    fn without_properties(&self, scope: &Scope<'_>) -> Result<Fields, Verdict> {
        let (state, arguments) = (scope.old, scope.arguments);
        let is_key = |name: &str| self.key.first().is_some_and(|key| key == name);
        let known = |name: &str| name == PROPERTIES || is_key(name);
        if let Some(name) = arguments.keys().find(|name| !known(name)) {
            let detail = format!("`{name}` is not an argument of deleteProperties");
            return invalid(InvalidCode::BadArguments, detail);
        }
        let Some(Value::Array(listed)) = arguments.get(PROPERTIES) else {
            return invalid(
                InvalidCode::BadArguments,
                "`properties` is not a list of dotted paths",
            );
        };
        let Some(paths) = listed.iter().map(property_path).collect::<Option<Vec<_>>>() else {
            return invalid(
                InvalidCode::BadArguments,
                "`properties` is not a list of dotted paths",
            );
        };
        if paths.is_empty() {
            return invalid(InvalidCode::BadArguments, "`properties` names nothing");
        }
        let mut remaining = state.clone();
        for path in &paths {
            let shown = path.join(".");
            if self.key.starts_with(path) {
                let detail = format!("`{shown}` contains the asset's key");
                return invalid(InvalidCode::BadPath, detail);
            }
            if state::at(state, path).is_none() {
                return invalid(InvalidCode::BadPath, format!("the state has no `{shown}`"));
            }
            // What stands behind it moves up.
            let steps = 1 + (state::neighbours(&remaining, path) / MOVED_PER_STEP) as u64;
            let exhausted = |exhausted| self.exhausted("`properties`", exhausted);
            scope.budget.spend(steps).map_err(exhausted)?;
            // It may be gone already, with an object around it that is named too.
            state::remove(&mut remaining, path);
        }
        Ok(remaining)
    }

    /// Checks the new state and computes all that the contract computes.
    fn judged(
        &self,
        state: Option<Fields>,
        old: Option<&Versioned>,
        scope: &Scope<'_>,
    ) -> Result<Option<Asset>, Verdict> {
        let Some(state) = state else {
            rules::reject(&self.rejects, scope).map_err(|refusal| refusal.verdict)?;
            return Ok(None);
        };
        let too_large = || {
            let detail = format!("the state would exceed {MAX_STATE_BYTES} bytes");
            Verdict::invalid(InvalidCode::StateTooLarge, detail)
        };
        let size = Size::of(&state);
        // It was put together above, and is written into the block.
        self.pay(scope.budget, size.copy_steps)?;
        if !size.fits(&[&state], MAX_STATE_BYTES) {
            return Err(too_large());
        }
        let state = self.matching_schema(state, scope.budget).map_err(|verdict| {
            let before = old.and_then(|old| {
                self.pay(scope.budget, old.asset.copy_steps()).ok()?;
                self.matching_schema(old.asset.state.clone(), scope.budget).err()
            });
            with_blame(verdict, before)
        })?;
        let scope = scope.of(&state);
        rules::reject(&self.rejects, &scope).map_err(|Refusal { rule, verdict }| {
            let old = old.filter(|_| rule.is_about_the_state());
            let before = old.map(|old| rules::reject([rule], &scope.of(&old.asset.state)));
            with_blame(verdict, before.and_then(Result::err).map(|refusal| refusal.verdict))
        })?;
        let derived = rules::derive(&self.derives, &scope)?;
        if !size.plus(Size::of(&derived)).fits(&[&state, &derived], MAX_STATE_BYTES) {
            return Err(too_large());
        }
        let was_active = old.map_or(&[][..], |old| &old.asset.alerts.active);
        let alerts = rules::alerts(&self.alerts, &scope, &derived, was_active)?;
        Ok(Some(Asset::new(state, derived, alerts).with_size(size)))
    }

    /// Pays for work on a whole state.
    fn pay(&self, budget: &Budget, steps: u64) -> Result<(), Verdict> {
        budget.spend(steps).map_err(|exhausted| self.exhausted("the asset's state", exhausted))
    }

    fn matching_schema(&self, state: Fields, budget: &Budget) -> Result<Fields, Verdict> {
        let state = Value::Object(state);
        match self.schema.check(&state, budget) {
            Ok(()) => {}
            Err(SchemaError::Diagnostic(diagnostic)) => {
                return invalid(InvalidCode::SchemaViolation, diagnostic);
            }
            Err(SchemaError::Exhausted) => {
                return Err(self.exhausted("the state schema", Exhausted));
            }
            Err(SchemaError::TooDeep) => {
                let detail = format!(
                    "contract `{}`: the state is nested too deeply for a schema whose subschemas \
                     are nested that deeply; use fewer `allOf`, `$ref` and the like within one \
                     another",
                    self.name
                );
                return invalid(InvalidCode::Limit, detail);
            }
        }
        match state {
            Value::Object(state) => Ok(state),
            _ => invalid(InvalidCode::SchemaViolation, "the state is not an object"),
        }
    }

    fn exhausted(&self, what: &str, exhausted: Exhausted) -> Verdict {
        let detail = format!("contract `{}`, {what}: {exhausted}", self.name);
        Verdict::invalid(InvalidCode::Limit, detail)
    }
}

/// A verdict that says so where the state had the same fault before the call: what the device sent is
/// then not what is wrong. A budget that is used up says nothing about the state.
fn with_blame(verdict: Verdict, before: Option<Verdict>) -> Verdict {
    match (verdict, before) {
        (Verdict::Invalid { code, detail }, Some(Verdict::Invalid { detail: same, .. }))
            if detail == same && code != InvalidCode::Limit =>
        {
            Verdict::invalid(code, format!("{detail} (the state had this before the call)"))
        }
        (verdict, _) => verdict,
    }
}

/// An integer as text, without sign of zero, fraction or exponent: the same key for the same number.
fn is_integer(number: &Number) -> bool {
    let text = number.as_str();
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.bytes().all(|byte| byte.is_ascii_digit()) && text != "-0"
}

/// A property's path: dotted, or a list of names where a name itself holds a dot.
fn property_path(value: &Value) -> Option<Vec<String>> {
    let names: Vec<String> = match value {
        Value::String(dotted) => dotted.split('.').map(str::to_owned).collect(),
        Value::Array(names) => {
            let names = names.iter().map(|name| name.as_str().map(str::to_owned));
            names.collect::<Option<_>>()?
        }
        _ => return None,
    };
    (!names.is_empty()).then_some(names)
}
