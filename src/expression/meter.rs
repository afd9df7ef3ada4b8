//! Charges the work of an evaluation to its budget.
//!
//! The library calls functions by their address and leaves no place for a state of ours, and it
//! swallows errors (`false && …`, loops). So the steps that are left lie with the thread while an
//! evaluation runs, which never leaves it, and whether they were enough is asked at its end.

use std::cell::Cell;

use cel::ExecutionError;
use cel::common::types::{CelList, CelMap, CelString};
use cel::common::value::Val;

use crate::budget::{Budget, Exhausted, copy_steps, text_steps};
use crate::codec::json::{Map, Value};
use crate::expression::Bound;
use crate::expression::arguments::failure;
use crate::limits::COPY_STEPS;

thread_local! {
    /// Without end where no evaluation runs.
    static LEFT: Cell<u64> = const { Cell::new(u64::MAX) };
    static IS_EXHAUSTED: Cell<bool> = const { Cell::new(false) };
}

/// Runs an evaluation whose steps the budget pays for.
pub(super) fn within<T>(budget: &Budget, evaluate: impl FnOnce() -> T) -> Result<T, Exhausted> {
    let before = budget.left();
    LEFT.set(before);
    IS_EXHAUSTED.set(false);
    let result = evaluate();
    let left = LEFT.replace(u64::MAX);
    if IS_EXHAUSTED.get() {
        budget.exhaust();
        return Err(Exhausted);
    }
    budget.spend(before - left)?;
    Ok(result)
}

/// Pays for steps; whether there were enough.
#[inline]
pub(super) fn pay(steps: u64) -> bool {
    let left = LEFT.get().checked_sub(steps);
    LEFT.set(left.unwrap_or(0));
    if left.is_none() {
        IS_EXHAUSTED.set(true);
    }
    left.is_some()
}

/// Pays for steps within a function that the library calls.
pub(super) fn spend(steps: u64) -> Result<(), ExecutionError> {
    if pay(steps) { Ok(()) } else { Err(failure(Exhausted.to_string())) }
}

/// Pays for a look at all that is in a value: a step for each value, and its text.
pub(super) fn spend_look(value: &dyn Val) -> Result<(), ExecutionError> {
    let size = Size::of(value);
    spend(size.values + size.text)
}

/// Pays for a copy of a value.
pub(super) fn spend_copy(value: &dyn Val) -> Result<(), ExecutionError> {
    let size = Size::of(value);
    spend(size.values * COPY_STEPS + size.text)
}

/// Pays for the value of a variable or field: for its text, and for all that is in a list or map.
pub(super) fn pay_bound(bound: Bound<'_>) -> bool {
    if IS_EXHAUSTED.get() {
        // Nothing can be paid for, and to find out how much there is takes time.
        return false;
    }
    match bound {
        Bound::Value(Value::String(text)) => pay(text_steps(text)),
        Bound::Value(value @ (Value::Array(_) | Value::Object(_))) => pay(copy_steps(value)),
        Bound::Object(fields) => pay(fields_steps(fields)),
        Bound::Text(text) => pay(text_steps(text)),
        Bound::Value(_) | Bound::Integer(_) => true,
    }
}

fn fields_steps(fields: &Map) -> u64 {
    let members = fields.iter().map(|(name, value)| text_steps(name) + copy_steps(value));
    COPY_STEPS + members.sum::<u64>()
}

/// The size of a value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// Values, itself included.
    pub(super) values: u64,
    /// Steps for its text.
    pub(super) text: u64,
}

impl Size {
    /// Of a value. It is gone through no further than the steps that are left reach: paying for it
    /// then fails, and what a library does after that costs next to nothing.
    pub(super) fn of(value: &dyn Val) -> Self {
        let most = LEFT.get();
        let mut size = Self::default();
        let mut open = Vec::new();
        let mut next = Some(value);
        while let Some(value) = next {
            size.values += 1;
            if size.values + size.text > most {
                break;
            }
            if let Some(text) = value.downcast_ref::<CelString>() {
                size.text += text_steps(text.inner());
            } else if let Some(list) = value.downcast_ref::<CelList>() {
                open.extend(list.inner().iter().map(AsRef::as_ref));
            } else if let Some(map) = value.downcast_ref::<CelMap>() {
                open.extend(map.inner().keys().map(|key| key.inner() as &dyn Val));
                open.extend(map.inner().values().map(AsRef::as_ref));
            }
            next = open.pop();
        }
        size
    }
}
