//! Helpers shared by operators and functions: arguments, results and error messages.

use std::sync::LazyLock;

use cel::ExecutionError;
use cel::common::types::{CelBool, CelString};
use cel::common::value::{CowVal, Val};

use crate::budget::{byte_steps, text_steps};
use crate::expression::meter;
use crate::expression::number::{NumberError, Numeric};
use crate::expression::value::describe;
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

/// The result of a calculation, or why there is none.
pub(super) fn calculated<'b, 'v>(
    result: Result<Numeric, NumberError>,
    what: &str,
) -> Outcome<'b, 'v> {
    result.map(Numeric::into_value).map_err(|error| failure(error.message(what)))
}

pub(super) fn number(value: &dyn Val, what: &str) -> Result<Numeric, ExecutionError> {
    Numeric::of(value)
        .ok_or_else(|| failure(format!("{what} takes numbers, this is {}", describe(value))))
}

pub(super) fn text<'b>(value: &'b dyn Val, what: &str) -> Result<&'b str, ExecutionError> {
    let text = value.downcast_ref::<CelString>().map(CelString::inner);
    text.ok_or_else(|| failure(format!("{what} takes strings, this is {}", describe(value))))
}

/// A string that is about to be read to its end, paid for.
pub(super) fn read_text<'b>(value: &'b dyn Val, what: &str) -> Result<&'b str, ExecutionError> {
    let text = text(value, what)?;
    meter::spend(text_steps(text))?;
    Ok(text)
}

/// Pays for a string that is about to be built, and holds it to its limit.
pub(super) fn spend_text(bytes: usize) -> Result<(), ExecutionError> {
    if bytes > MAX_EXPRESSION_TEXT_BYTES {
        let limit = MAX_EXPRESSION_TEXT_BYTES;
        return Err(failure(format!("the string would exceed {limit} bytes, the limit")));
    }
    meter::spend(byte_steps(bytes))
}

/// A string as a result.
pub(super) fn text_value<'b, 'v>(text: String) -> CowVal<'b, 'v> {
    CowVal::owned(CelString::from(text))
}

pub(super) fn one_number(args: &[CowVal<'_, '_>], what: &str) -> Result<Numeric, ExecutionError> {
    let [value] = args else { return Err(failure(format!("{what} takes one number"))) };
    number(value.as_ref(), what)
}

pub(super) fn two_numbers(
    args: &[CowVal<'_, '_>],
    what: &str,
) -> Result<(Numeric, Numeric), ExecutionError> {
    let [left, right] = args else { return Err(failure(format!("{what} takes two numbers"))) };
    Ok((number(left.as_ref(), what)?, number(right.as_ref(), what)?))
}

pub(super) fn too_many_values() -> ExecutionError {
    failure(format!("more than {MAX_EXPRESSION_NODES} values in one list or map, the limit"))
}
