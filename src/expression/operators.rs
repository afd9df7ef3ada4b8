//! The operators of expressions, exact and bounded.

use std::cmp::Ordering;

use cel::ExecutionError;
use cel::common::types::{CelList, CelMap, CelString};
use cel::common::value::{CowVal, Val};

use crate::budget::text_steps;
use crate::expression::arguments::{
    Outcome, calculated, failure, one_number, spend_text, text_value, too_many_values, truth,
    two_numbers,
};
use crate::expression::members;
use crate::expression::meter::{self, Size};
use crate::expression::number::{NumberError, Numeric};
use crate::expression::time::{Duration, Timestamp};
use crate::expression::value::{count, describe};
use crate::limits::{MAX_EXPRESSION_ITEMS, MAX_EXPRESSION_NODES};

pub(super) fn add<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    if let [left, right] = args.as_slice() {
        if let (Some(left), Some(right)) =
            (left.downcast_ref::<CelString>(), right.downcast_ref::<CelString>())
        {
            let (left, right) = (left.inner(), right.inner());
            spend_text(left.len() + right.len())?;
            return Ok(text_value([left, right].concat()));
        }
        if let (Some(first), Some(second)) =
            (left.downcast_ref::<CelList>(), right.downcast_ref::<CelList>())
        {
            meter::spend_copy(first)?;
            meter::spend_copy(second)?;
            if count(first) + count(second) > MAX_EXPRESSION_NODES {
                return Err(too_many_values());
            }
            let joined = first.inner().iter().chain(second.inner());
            let joined: Vec<_> = joined.map(|item| item.clone_as_boxed()).collect();
            return Ok(CowVal::owned(CelList::from(joined)));
        }
    }
    match moments(&args) {
        Moments::Times => Err(failure("two timestamps cannot be added; add a duration")),
        Moments::TimeAndDuration(time, duration) | Moments::DurationAndTime(duration, time) => {
            moved(time.add(duration))
        }
        Moments::Durations(left, right) => moved(left.add(right)),
        Moments::None => numbers(&args, "`+`", Numeric::add),
    }
}

pub(super) fn subtract<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    if let [left, right] = args.as_slice()
        && let (Some(left), Some(right)) =
            (left.downcast_ref::<Timestamp>(), right.downcast_ref::<Timestamp>())
    {
        return moved(left.since(*right));
    }
    match moments(&args) {
        Moments::TimeAndDuration(time, duration) => moved(time.subtract(duration)),
        Moments::DurationAndTime(..) => {
            Err(failure("a timestamp cannot be subtracted from a duration"))
        }
        Moments::Durations(left, right) => moved(left.subtract(right)),
        Moments::Times | Moments::None => numbers(&args, "`-`", Numeric::subtract),
    }
}

pub(super) fn multiply<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    numbers(&args, "`*`", Numeric::multiply)
}

pub(super) fn divide<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    numbers(&args, "`/`", Numeric::divide)
}

pub(super) fn quotient<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    numbers(&args, "`div`", Numeric::quotient)
}

pub(super) fn remainder<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    numbers(&args, "`%`", Numeric::remainder)
}

pub(super) fn negate<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    if let [value] = args.as_slice()
        && let Some(duration) = value.downcast_ref::<Duration>()
    {
        return moved(duration.negate());
    }
    calculated(one_number(&args, "`-`")?.negate(), "`-`")
}

fn numbers<'b, 'v>(
    args: &[CowVal<'b, 'v>],
    what: &str,
    operator: fn(Numeric, Numeric) -> Result<Numeric, NumberError>,
) -> Outcome<'b, 'v> {
    let (left, right) = two_numbers(args, what)?;
    calculated(operator(left, right), what)
}

/// Timestamps and durations among two operands.
enum Moments {
    Times,
    TimeAndDuration(Timestamp, Duration),
    DurationAndTime(Duration, Timestamp),
    Durations(Duration, Duration),
    /// Anything else.
    None,
}

fn moments(args: &[CowVal<'_, '_>]) -> Moments {
    let [left, right] = args else { return Moments::None };
    let time = |value: &CowVal<'_, '_>| value.downcast_ref::<Timestamp>().copied();
    let duration = |value: &CowVal<'_, '_>| value.downcast_ref::<Duration>().copied();
    match (time(left), duration(left), time(right), duration(right)) {
        (Some(_), _, Some(_), _) => Moments::Times,
        (Some(time), _, _, Some(duration)) => Moments::TimeAndDuration(time, duration),
        (_, Some(duration), Some(time), _) => Moments::DurationAndTime(duration, time),
        (_, Some(left), _, Some(right)) => Moments::Durations(left, right),
        _ => Moments::None,
    }
}

fn moved<'b, 'v>(result: Result<impl Val + 'static, String>) -> Outcome<'b, 'v> {
    result.map(CowVal::owned).map_err(failure)
}

pub(super) fn compare(args: &[CowVal<'_, '_>]) -> Result<Ordering, ExecutionError> {
    let [left, right] = args else { return Err(failure("a comparison takes two values")) };
    let (left, right) = (left.as_ref(), right.as_ref());
    let order = match (Numeric::of(left), Numeric::of(right)) {
        (Some(left), Some(right)) => left.compare(right),
        (None, None) => {
            let text = left.downcast_ref::<CelString>();
            meter::spend(text.map_or(0, |text| text_steps(text.inner())))?;
            time_order(left, right)
                .or_else(|| left.as_comparer().and_then(|comparer| comparer.compare(right).ok()))
        }
        _ => None,
    };
    order.ok_or_else(|| {
        let (left, right) = (describe(left), describe(right));
        failure(format!("{left} and {right} cannot be compared"))
    })
}

fn time_order(left: &dyn Val, right: &dyn Val) -> Option<Ordering> {
    let times = (left.downcast_ref::<Timestamp>(), right.downcast_ref::<Timestamp>());
    let durations = (left.downcast_ref::<Duration>(), right.downcast_ref::<Duration>());
    match (times, durations) {
        ((Some(left), Some(right)), _) => Some(left.cmp(right)),
        (_, (Some(left), Some(right))) => Some(left.cmp(right)),
        _ => None,
    }
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
    if let (Some(left), Some(right)) = (Numeric::of(left.as_ref()), Numeric::of(right.as_ref())) {
        return Ok(left.compare(right) == Some(Ordering::Equal));
    }
    meter::spend_look(left.as_ref())?;
    Ok(is_same(left.as_ref(), right.as_ref()))
}

/// True if two values are equal, their numbers compared exactly: the library would round a whole
/// number that meets one beyond 64 bits. Looks at no more than is in either of them.
pub(super) fn is_same(left: &dyn Val, right: &dyn Val) -> bool {
    if let (Some(left), Some(right)) = (Numeric::of(left), Numeric::of(right)) {
        return left.compare(right) == Some(Ordering::Equal);
    }
    if let (Some(left), Some(right)) =
        (left.downcast_ref::<CelList>(), right.downcast_ref::<CelList>())
    {
        let (left, right) = (left.inner(), right.inner());
        let mut pairs = left.iter().zip(right);
        return left.len() == right.len()
            && pairs.all(|(left, right)| is_same(left.as_ref(), right.as_ref()));
    }
    if let (Some(fields), Some(others)) =
        (left.downcast_ref::<CelMap>(), right.downcast_ref::<CelMap>())
    {
        return fields.inner().len() == others.inner().len()
            && fields.inner().iter().all(|(key, value)| {
                let other = members::step(right, key.inner());
                other.is_some_and(|other| is_same(value.as_ref(), other))
            });
    }
    left.equals(right)
}

/// A value that is copied into a list or map.
pub(super) fn copied<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let Some(value) = args.pop() else { return Err(failure("nothing to copy")) };
    meter::spend_copy(value.as_ref())?;
    Ok(value)
}

/// A list that a loop built. What it holds is counted here, since the library appends to it unasked.
pub(super) fn built<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let Some(value) = args.pop() else { return Err(failure("nothing was built")) };
    if count(value.as_ref()) > MAX_EXPRESSION_NODES {
        return Err(too_many_values());
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
    let found = Size::of(range.as_ref());
    let turns = (size as u64).saturating_add(found.text);
    meter::spend(found.values.saturating_add(turns.saturating_mul(each)))?;
    if count(range.as_ref()) > MAX_EXPRESSION_NODES {
        return Err(too_many_values());
    }
    let Some(map) = range.downcast_ref::<CelMap>() else { return Ok(range) };
    let mut keys: Vec<_> = map.inner().keys().collect();
    keys.sort();
    let keys: Vec<_> = keys.into_iter().map(|key| key.inner().clone_as_boxed()).collect();
    Ok(CowVal::owned(CelList::from(keys)))
}
