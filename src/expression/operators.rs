//! The operators of expressions, exact and bounded.

use std::cmp::Ordering;

use cel::ExecutionError;
use cel::common::types::{CelList, CelMap, CelString};
use cel::common::value::CowVal;

use crate::budget::text_steps;
use crate::expression::arguments::{
    Outcome, bounded_text, decimal, failure, number, one_number, too_many_values, truth, whole,
};
use crate::expression::meter::{self, Size};
use crate::expression::value::{Numeric, count, describe};
use crate::limits::{MAX_EXPRESSION_ITEMS, MAX_EXPRESSION_NODES};

/// Both numbers as integers, or both as decimals.
pub(super) fn arithmetic<'b, 'v>(
    args: &[CowVal<'b, 'v>],
    what: &str,
    wholes: fn(i128, i128) -> Option<i128>,
    decimals: fn(f64, f64) -> f64,
) -> Outcome<'b, 'v> {
    let [left, right] = args else { return Err(failure(format!("{what} takes two numbers"))) };
    match (number(left.as_ref(), what)?, number(right.as_ref(), what)?) {
        (Numeric::Whole(left), Numeric::Whole(right)) => whole(wholes(left, right), what),
        (left, right) => decimal(decimals(left.to_f64(), right.to_f64()), what),
    }
}

pub(super) fn add<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    if let [left, right] = args.as_slice() {
        if let (Some(left), Some(right)) =
            (left.downcast_ref::<CelString>(), right.downcast_ref::<CelString>())
        {
            return bounded_text(format!("{}{}", left.inner(), right.inner()));
        }
        if let (Some(first), Some(second)) =
            (left.downcast_ref::<CelList>(), right.downcast_ref::<CelList>())
        {
            if count(first) + count(second) > MAX_EXPRESSION_NODES {
                return Err(too_many_values());
            }
            meter::spend(Size::of(first).copied() + Size::of(second).copied())?;
            let joined = first.inner().iter().chain(second.inner());
            let joined: Vec<_> = joined.map(|item| item.clone_as_boxed()).collect();
            return Ok(CowVal::owned(CelList::from(joined)));
        }
    }
    arithmetic(&args, "`+`", i128::checked_add, |a, b| a + b)
}

pub(super) fn subtract<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    arithmetic(&args, "`-`", i128::checked_sub, |a, b| a - b)
}

pub(super) fn multiply<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    arithmetic(&args, "`*`", i128::checked_mul, |a, b| a * b)
}

pub(super) fn divide<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    not_by_zero(&args)?;
    arithmetic(&args, "`/`", i128::checked_div, |a, b| a / b)
}

pub(super) fn remainder<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    not_by_zero(&args)?;
    arithmetic(&args, "`%`", i128::checked_rem, libm::fmod)
}

pub(super) fn not_by_zero(args: &[CowVal<'_, '_>]) -> Result<(), ExecutionError> {
    match args.get(1).and_then(|divisor| Numeric::of(divisor.as_ref())) {
        Some(divisor) if divisor.to_f64() == 0.0 => Err(failure("a division by zero")),
        _ => Ok(()),
    }
}

pub(super) fn negate<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    one_number(&args, "`-`", |value| value.checked_neg(), |value| -value)
}

pub(super) fn compare(args: &[CowVal<'_, '_>]) -> Result<Ordering, ExecutionError> {
    let [left, right] = args else { return Err(failure("a comparison takes two values")) };
    let (left, right) = (left.as_ref(), right.as_ref());
    let order = match (Numeric::of(left), Numeric::of(right)) {
        (Some(left), Some(right)) => left.compare(right),
        (None, None) => {
            let text = left.downcast_ref::<CelString>();
            meter::spend(text.map_or(0, |text| text_steps(text.inner())))?;
            left.as_comparer().and_then(|comparer| comparer.compare(right).ok())
        }
        _ => None,
    };
    order.ok_or_else(|| {
        let (left, right) = (describe(left), describe(right));
        failure(format!("{left} and {right} cannot be compared"))
    })
}

pub(super) fn less<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    compare(&args).map(|order| truth(order.is_lt()))
}

pub(super) fn less_equal<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    compare(&args).map(|order| truth(order.is_le()))
}

pub(super) fn greater<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    compare(&args).map(|order| truth(order.is_gt()))
}

pub(super) fn greater_equal<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    compare(&args).map(|order| truth(order.is_ge()))
}

pub(super) fn equal<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    same(&args).map(truth)
}

pub(super) fn unequal<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    same(&args).map(|same| truth(!same))
}

pub(super) fn same(args: &[CowVal<'_, '_>]) -> Result<bool, ExecutionError> {
    let [left, right] = args else { return Err(failure("a comparison takes two values")) };
    Ok(match (Numeric::of(left.as_ref()), Numeric::of(right.as_ref())) {
        (Some(left), Some(right)) => left.compare(right) == Some(Ordering::Equal),
        _ => {
            let size = Size::of(left.as_ref());
            meter::spend(size.values + size.text)?;
            left.as_ref().equals(right.as_ref())
        }
    })
}

/// A value that is copied into a list or map.
pub(super) fn copied<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let Some(value) = args.pop() else { return Err(failure("nothing to copy")) };
    meter::spend(Size::of(value.as_ref()).copied())?;
    Ok(value)
}

/// A list that is searched within a loop.
pub(super) fn scanned<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let Some(value) = args.pop() else { return Err(failure("nothing to search")) };
    if value.downcast_ref::<CelList>().is_some() {
        let size = Size::of(value.as_ref());
        meter::spend(size.values + size.text)?;
    }
    Ok(value)
}

/// The elements of a list, or the keys of a map in their order. Pays for the whole loop: each element
/// is copied once, and its text may be looked at by each step of a turn.
pub(super) fn items<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let each = args.pop().and_then(|each| match Numeric::of(each.as_ref()) {
        Some(Numeric::Whole(each)) => u64::try_from(each).ok(),
        _ => None,
    });
    let (Some(range), Some(each)) = (args.pop(), each) else {
        return Err(failure("nothing to walk"));
    };
    let size = match (range.downcast_ref::<CelList>(), range.downcast_ref::<CelMap>()) {
        (Some(list), _) => list.inner().len(),
        (_, Some(map)) => map.inner().len(),
        (None, None) => {
            let found = describe(range.as_ref());
            return Err(failure(format!("only lists and maps have elements, this is {found}")));
        }
    };
    if size > MAX_EXPRESSION_ITEMS {
        return Err(failure(format!("{size} elements, the limit is {MAX_EXPRESSION_ITEMS}")));
    }
    if count(range.as_ref()) > MAX_EXPRESSION_NODES {
        return Err(too_many_values());
    }
    let found = Size::of(range.as_ref());
    let turns = (size as u64).saturating_add(found.text);
    meter::spend(found.values.saturating_add(turns.saturating_mul(each)))?;
    let Some(map) = range.downcast_ref::<CelMap>() else { return Ok(range) };
    let mut keys: Vec<_> = map.inner().keys().collect();
    keys.sort();
    let keys: Vec<_> = keys.into_iter().map(|key| key.inner().clone_as_boxed()).collect();
    Ok(CowVal::owned(CelList::from(keys)))
}
