//! The functions of expressions over numbers.

use std::cmp::Ordering;

use cel::common::value::CowVal;

use crate::expression::arguments::{Outcome, calculated, failure, number, one_number};
use crate::expression::number::Numeric;

/// Most decimal places of `round`: a double has no more than 15 that can be relied on.
const MAX_ROUND_DIGITS: i32 = 15;

/// Mean radius of the earth in metres (IUGG).
const EARTH_RADIUS_METRES: f64 = 6_371_008.8;

/// Rounds a fraction to one of the whole numbers beside it.
fn rounded<'b, 'v>(args: &[CowVal<'b, 'v>], what: &str, round: fn(f64) -> f64) -> Outcome<'b, 'v> {
    let number = one_number(args, what)?;
    calculated(
        match number {
            Numeric::Whole(_) => Ok(number),
            Numeric::Decimal(decimal) => Numeric::decimal(round(decimal)),
        },
        what,
    )
}

pub(super) fn abs<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let number = one_number(&args, "`abs`")?;
    let negative = number.compare(Numeric::ZERO) == Some(Ordering::Less);
    calculated(if negative { number.negate() } else { Ok(number) }, "`abs`")
}

pub(super) fn ceil<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    rounded(&args, "`ceil`", libm::ceil)
}

pub(super) fn floor<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    rounded(&args, "`floor`", libm::floor)
}

pub(super) fn sqrt<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let number = one_number(&args, "`sqrt`")?;
    calculated(Numeric::decimal(libm::sqrt(number.to_f64())), "`sqrt`")
}

pub(super) fn round<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let what = "`round`";
    let [value, digits] = args.as_slice() else {
        return calculated(one_number(&args, what)?.round(0), what);
    };
    let places = match number(digits.as_ref(), what)? {
        Numeric::Whole(digits) => i32::try_from(digits).ok(),
        Numeric::Decimal(_) => None,
    };
    let most = MAX_ROUND_DIGITS;
    let Some(places) = places.filter(|places| (-most..=most).contains(places)) else {
        return Err(failure(format!("`round` takes -{most} to {most} digits")));
    };
    calculated(number(value.as_ref(), what)?.round(places), what)
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
            return Err(failure(format!("{what}: {degrees} is not a {name}; are they swapped?")));
        }
        *radian = degrees.to_radians();
    }
    let [latitude, longitude, other_latitude, other_longitude] = radians;
    let north = libm::sin((other_latitude - latitude) / 2.0);
    let east = libm::sin((other_longitude - longitude) / 2.0);
    let chord = north * north + libm::cos(latitude) * libm::cos(other_latitude) * east * east;
    // Rounding may carry it over 1 for two opposite points.
    let angle = 2.0 * libm::asin(libm::sqrt(chord.min(1.0)));
    calculated(Numeric::decimal(EARTH_RADIUS_METRES * angle), what)
}
