//! Elements of lists and maps: indexes, `in` and `has`. The library's own copy what they are asked
//! about into their errors, hash texts unpaid, and fail where `has` should be false.

use std::sync::Arc;

use cel::ExecutionError;
use cel::common::types::{CelBool, CelList, CelMap, CelString};
use cel::common::value::{CowVal, Val};

use crate::budget::text_steps;
use crate::expression::arguments::{Outcome, failure, truth};
use crate::expression::meter;
use crate::expression::number::Numeric;
use crate::expression::operators::is_same;
use crate::expression::value::describe;

/// An element of a list or map.
pub(super) fn index<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let Ok([container, key]) = <[CowVal<'b, 'v>; 2]>::try_from(args) else {
        return Err(failure("an index takes a list or map"));
    };
    let key = key.as_ref();
    // What the library would refuse is refused here: it copies both into its errors.
    check_index(container.as_ref(), key)?;
    let absent = || ExecutionError::NoSuchKey(Arc::new(String::new()));
    match container {
        CowVal::Borrowed(container) => container.as_indexer().ok_or_else(absent)?.get(key),
        CowVal::Owned(container) => {
            container.into_indexer().ok_or_else(absent)?.steal(key).map(CowVal::Owned)
        }
    }
}

/// Refuses an index that this value cannot have, and pays for looking a string up.
fn check_index(container: &dyn Val, key: &dyn Val) -> Result<(), ExecutionError> {
    if container.downcast_ref::<CelMap>().is_some() {
        return check_key(key);
    }
    let Some(list) = container.downcast_ref::<CelList>() else {
        let found = describe(container);
        return Err(failure(format!("only lists and maps have elements, this is {found}")));
    };
    match Numeric::of(key) {
        Some(Numeric::Whole(at)) if position(at, list).is_some() => Ok(()),
        Some(number) if number.is_whole() => Err(failure("list index out of range")),
        Some(_) => Err(failure("a list index is an integer, this has a fraction")),
        None => {
            let found = describe(key);
            Err(failure(format!("a list index is an integer, this is {found}")))
        }
    }
}

fn position(at: i128, list: &CelList<'_>) -> Option<usize> {
    usize::try_from(at).ok().filter(|at| *at < list.inner().len())
}

/// Refuses what cannot be a key of a map, and pays for looking a string up.
fn check_key(key: &dyn Val) -> Result<(), ExecutionError> {
    if let Some(text) = key.downcast_ref::<CelString>() {
        return meter::spend(text_steps(text.inner()));
    }
    if Numeric::of(key).is_some() || key.downcast_ref::<CelBool>().is_some() {
        return Ok(());
    }
    let found = describe(key);
    Err(failure(format!(
        "a key of a map is a string, a whole number, true or false, this is {found}"
    )))
}

/// A computed key of a map that is written out, paid for.
pub(super) fn key<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let Some(key) = args.pop() else { return Err(failure("a map literal needs keys")) };
    check_key(key.as_ref())?;
    meter::spend_copy(key.as_ref())?;
    Ok(key)
}

/// Checks for an equal element in a list, or for a key in a map.
pub(super) fn is_in<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [value, container] = args.as_slice() else {
        return Err(failure("`in` takes a value and a list or map"));
    };
    let (value, container) = (value.as_ref(), container.as_ref());
    if let Some(list) = container.downcast_ref::<CelList>() {
        meter::spend_look(container)?;
        return Ok(truth(list.inner().iter().any(|element| is_same(element.as_ref(), value))));
    }
    if container.downcast_ref::<CelMap>().is_none() {
        let found = describe(container);
        return Err(failure(format!("`in` takes a list or a map, this is {found}")));
    }
    check_key(value)?;
    Ok(truth(step(container, value).is_some()))
}

/// Checks that a chain of fields and indexes, given as a list, leads to an existing value.
pub(super) fn has<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [value, steps] = args.as_slice() else { return Err(failure("`has` takes a field")) };
    let Some(steps) = steps.downcast_ref::<CelList>() else {
        return Err(failure("`has` takes a field"));
    };
    let mut steps = steps.inner().iter();
    Ok(truth(steps.try_fold(value.as_ref(), |from, key| step(from, key.as_ref())).is_some()))
}

/// The value of a field or index; `None` if it does not exist.
pub(super) fn step<'b, 'v>(from: &'b (dyn Val + 'v), key: &dyn Val) -> Option<&'b (dyn Val + 'v)> {
    if let Some(list) = from.downcast_ref::<CelList>() {
        let Numeric::Whole(at) = Numeric::of(key)? else { return None };
        return list.inner().get(position(at, list)?).map(AsRef::as_ref);
    }
    let map = from.downcast_ref::<CelMap>()?;
    match map.as_indexer()?.get(key) {
        Ok(CowVal::Borrowed(value)) => Some(value),
        Ok(CowVal::Owned(_)) | Err(_) => None,
    }
}
