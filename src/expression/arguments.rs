//! What operators and functions have in common: arguments in, results out, failures in words.

use std::sync::LazyLock;

use cel::ExecutionError;
use cel::common::types::{CelBool, CelDouble, CelInt, CelString, CelUInt};
use cel::common::value::{CowVal, Val};

use crate::budget::text_steps;
use crate::expression::meter;
use crate::expression::value::{Numeric, describe};
use crate::limits::{MAX_EXPRESSION_NODES, MAX_EXPRESSION_TEXT_BYTES};

pub(super) type Outcome<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

pub(super) fn failure(message: impl Into<String>) -> ExecutionError {
    ExecutionError::FunctionError { function: String::new(), message: message.into() }
}

static TRUE: LazyLock<CelBool> = LazyLock::new(|| CelBool::from(true));
static FALSE: LazyLock<CelBool> = LazyLock::new(|| CelBool::from(false));

/// Borrowed from a constant: most operators of rules end in one of the two.
pub(super) fn truth<'b, 'v>(truth: bool) -> CowVal<'b, 'v> {
    let constant: &'static CelBool = if truth { &TRUE } else { &FALSE };
    CowVal::Borrowed(constant)
}

pub(super) fn decimal<'b, 'v>(value: f64, what: &str) -> Outcome<'b, 'v> {
    if value.is_finite() {
        Ok(CowVal::owned(CelDouble::from(value)))
    } else {
        Err(failure(format!("{what} gives no finite number")))
    }
}

pub(super) fn whole<'b, 'v>(value: Option<i128>, what: &str) -> Outcome<'b, 'v> {
    let overflow = || failure(format!("{what} goes beyond 64 bits"));
    let value = value.ok_or_else(overflow)?;
    if let Ok(int) = i64::try_from(value) {
        return Ok(CowVal::owned(CelInt::from(int)));
    }
    match u64::try_from(value) {
        Ok(uint) => Ok(CowVal::owned(CelUInt::from(uint))),
        Err(_) => Err(overflow()),
    }
}

pub(super) fn number(value: &dyn Val, what: &str) -> Result<Numeric, ExecutionError> {
    Numeric::of(value)
        .ok_or_else(|| failure(format!("{what} takes numbers, this is {}", describe(value))))
}

pub(super) fn text<'b>(value: &'b dyn Val, what: &str) -> Result<&'b str, ExecutionError> {
    let text = value.downcast_ref::<CelString>().map(CelString::inner);
    text.ok_or_else(|| failure(format!("{what} takes texts, this is {}", describe(value))))
}

pub(super) fn bounded_text<'b, 'v>(text: String) -> Outcome<'b, 'v> {
    if text.len() > MAX_EXPRESSION_TEXT_BYTES {
        return Err(too_long());
    }
    meter::spend(text_steps(&text))?;
    Ok(CowVal::owned(CelString::from(text)))
}

pub(super) fn too_long() -> ExecutionError {
    failure(format!("the text would go over {MAX_EXPRESSION_TEXT_BYTES} bytes, the limit"))
}

pub(super) fn one_number<'b, 'v>(
    args: &[CowVal<'b, 'v>],
    what: &str,
    wholes: fn(i128) -> Option<i128>,
    decimals: fn(f64) -> f64,
) -> Outcome<'b, 'v> {
    let [value] = args else { return Err(failure(format!("{what} takes one number"))) };
    match number(value.as_ref(), what)? {
        Numeric::Whole(value) => whole(wholes(value), what),
        Numeric::Decimal(value) => decimal(decimals(value), what),
    }
}

pub(super) fn too_many_values() -> ExecutionError {
    failure(format!("more than {MAX_EXPRESSION_NODES} values in one list or map, the limit"))
}
