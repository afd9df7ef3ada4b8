//! The functions of expressions that the library lacks, or has without bounds.

use std::cmp::Ordering;

use cel::common::types::{CelInt, CelList, CelString};
use cel::common::value::{CowVal, Val};

use crate::budget::text_steps;
use crate::expression::arguments::{
    Outcome, bounded_text, decimal, failure, number, one_number, text, too_long, whole,
};
use crate::expression::meter;
use crate::expression::value::{Numeric, describe};
use crate::limits::{COPY_STEPS, MAX_EXPRESSION_ITEMS, MAX_EXPRESSION_TEXT_BYTES};

/// Mean radius of the earth in metres (IUGG).
const EARTH_RADIUS_METRES: f64 = 6_371_008.8;

pub(super) fn join<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let what = "`join`";
    let (list, separator) = match args.as_slice() {
        [list] => (list, ""),
        [list, separator] => (list, text(separator.as_ref(), what)?),
        _ => return Err(failure("`join` takes a list and a separator")),
    };
    let Some(list) = list.downcast_ref::<CelList>() else {
        return Err(failure(format!("`join` takes a list, this is {}", describe(list.as_ref()))));
    };
    let mut joined = String::new();
    for (index, item) in list.inner().iter().enumerate() {
        if index > 0 {
            joined.push_str(separator);
        }
        joined.push_str(text(item.as_ref(), what)?);
        if joined.len() > MAX_EXPRESSION_TEXT_BYTES {
            return Err(too_long());
        }
    }
    bounded_text(joined)
}

pub(super) fn replace<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let what = "`replace`";
    let [subject, old, new] = args.as_slice() else {
        return Err(failure("`replace` takes the old and the new text"));
    };
    let (subject, old) = (text(subject.as_ref(), what)?, text(old.as_ref(), what)?);
    let new = text(new.as_ref(), what)?;
    let growth = subject.matches(old).count().saturating_mul(new.len());
    if growth.saturating_add(subject.len()) > MAX_EXPRESSION_TEXT_BYTES {
        return Err(too_long());
    }
    bounded_text(subject.replace(old, new))
}

pub(super) fn split<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let what = "`split`";
    let [subject, separator] = args.as_slice() else {
        return Err(failure("`split` takes a separator"));
    };
    let (subject, separator) = (text(subject.as_ref(), what)?, text(separator.as_ref(), what)?);
    if separator.is_empty() {
        return Err(failure("`split` takes a separator that is not empty"));
    }
    let parts = subject.matches(separator).count();
    if parts >= MAX_EXPRESSION_ITEMS {
        return Err(failure(format!("`split` gives more than {MAX_EXPRESSION_ITEMS} parts")));
    }
    meter::spend(parts as u64 * COPY_STEPS + text_steps(subject))?;
    let parts = subject.split(separator);
    let parts = parts.map(|part| Box::new(CelString::from(part.to_owned())) as Box<dyn Val + 'v>);
    Ok(CowVal::owned(CelList::from(parts.collect::<Vec<_>>())))
}

/// The library's own takes the time of the product of both lengths.
pub(super) fn index_of<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    found_at(&args, "`indexOf`", |subject, part| subject.find(part))
}

pub(super) fn last_index_of<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    found_at(&args, "`lastIndexOf`", |subject, part| subject.rfind(part))
}

/// The letters in front of a part; −1 where it is not found.
fn found_at<'b, 'v>(
    args: &[CowVal<'b, 'v>],
    what: &str,
    find: fn(&str, &str) -> Option<usize>,
) -> Outcome<'b, 'v> {
    let [subject, part] = args else { return Err(failure(format!("{what} takes a text"))) };
    let (subject, part) = (text(subject.as_ref(), what)?, text(part.as_ref(), what)?);
    let letters = find(subject, part).map(|offset| subject[..offset].chars().count());
    let index = letters.and_then(|letters| i64::try_from(letters).ok()).unwrap_or(-1);
    Ok(CowVal::owned(CelInt::from(index)))
}

pub(super) fn abs<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    one_number(&args, "`abs`", i128::checked_abs, f64::abs)
}

pub(super) fn ceil<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    one_number(&args, "`ceil`", Some, libm::ceil)
}

pub(super) fn floor<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    one_number(&args, "`floor`", Some, libm::floor)
}

pub(super) fn sqrt<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [value] = args.as_slice() else { return Err(failure("`sqrt` takes one number")) };
    decimal(libm::sqrt(number(value.as_ref(), "`sqrt`")?.to_f64()), "`sqrt`")
}

pub(super) fn round<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let what = "`round`";
    let [value, digits] = args.as_slice() else {
        return one_number(&args, what, Some, libm::round);
    };
    let powers =
        [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let power = match number(digits.as_ref(), what)? {
        Numeric::Whole(digits) => usize::try_from(digits).ok().and_then(|d| powers.get(d)),
        Numeric::Decimal(_) => None,
    };
    let Some(power) = power else { return Err(failure("`round` takes 0 to 15 digits")) };
    match number(value.as_ref(), what)? {
        Numeric::Whole(value) => whole(Some(value), what),
        Numeric::Decimal(value) => {
            let scaled = value * power;
            // From 2^52 on an f64 has no digits behind the point: there is nothing to round.
            let exact = !scaled.is_finite() || scaled.abs() >= 4_503_599_627_370_496.0;
            decimal(if exact { value } else { libm::round(scaled) / power }, what)
        }
    }
}

pub(super) fn max<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    extreme(args, "`max`", Ordering::Greater)
}

pub(super) fn min<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    extreme(args, "`min`", Ordering::Less)
}

/// The first of the numbers that no other goes beyond, as it is: an integer stays one.
pub(super) fn extreme<'b, 'v>(
    args: Vec<CowVal<'b, 'v>>,
    what: &str,
    beyond: Ordering,
) -> Outcome<'b, 'v> {
    let mut found: Option<(Numeric, CowVal<'b, 'v>)> = None;
    for candidate in args {
        let value = number(candidate.as_ref(), what)?;
        if found.as_ref().is_none_or(|(best, _)| value.compare(*best) == Some(beyond)) {
            found = Some((value, candidate));
        }
    }
    found.map(|(_, value)| value).ok_or_else(|| failure(format!("{what} takes numbers")))
}

/// The haversine formula (R. W. Sinnott, "Virtues of the Haversine", Sky and Telescope 68, 1984).
pub(super) fn distance<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let what = "`distance`";
    let mut radians = [0.0; 4];
    let bounds = [("latitude", 90.0), ("longitude", 180.0)];
    for ((radian, argument), (name, bound)) in
        radians.iter_mut().zip(&args).zip(bounds.into_iter().cycle())
    {
        let degrees = number(argument.as_ref(), what)?.to_f64();
        if degrees.is_nan() || degrees.abs() > bound {
            return Err(failure(format!("{what}: {degrees} is no {name}; are they swapped?")));
        }
        *radian = degrees.to_radians();
    }
    let [latitude, longitude, other_latitude, other_longitude] = radians;
    let north = libm::sin((other_latitude - latitude) / 2.0);
    let east = libm::sin((other_longitude - longitude) / 2.0);
    let chord = north * north + libm::cos(latitude) * libm::cos(other_latitude) * east * east;
    // Rounding may carry it over 1 for two opposite points.
    let angle = 2.0 * libm::asin(libm::sqrt(chord.min(1.0)));
    decimal(EARTH_RADIUS_METRES * angle, what)
}
