//! The functions of expressions that the library lacks, or has without bounds.

use std::cmp::Ordering;

use cel::common::types::{CelInt, CelList, CelString};
use cel::common::value::{CowVal, Val};

use crate::budget::text_steps;
use crate::expression::arguments::{
    Outcome, bounded_text, calculated, failure, number, one_number, text, too_long, truth,
};
use crate::expression::meter;
use crate::expression::number::Numeric;
use crate::expression::pattern::Pattern;
use crate::expression::value::describe;
use crate::limits::{COPY_STEPS, MAX_EXPRESSION_ITEMS, MAX_EXPRESSION_TEXT_BYTES};

/// Most decimal places of `round`: a double has no more than 15 that can be relied on.
const MAX_ROUND_DIGITS: i32 = 15;

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
    let (subject, old, new, most) = match args.as_slice() {
        [subject, old, new] => (subject, old, new, None),
        [subject, old, new, most] => (subject, old, new, limit(most, what)?),
        _ => return Err(failure("`replace` takes the old and the new text")),
    };
    let (subject, old) = (text(subject.as_ref(), what)?, text(old.as_ref(), what)?);
    let new = text(new.as_ref(), what)?;
    let most = most.unwrap_or(usize::MAX);
    let growth = subject.matches(old).take(most).count().saturating_mul(new.len());
    if growth.saturating_add(subject.len()) > MAX_EXPRESSION_TEXT_BYTES {
        return Err(too_long());
    }
    bounded_text(subject.replacen(old, new, most))
}

pub(super) fn split<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let what = "`split`";
    let (subject, separator, most) = match args.as_slice() {
        [subject, separator] => (subject, separator, None),
        [subject, separator, most] => (subject, separator, limit(most, what)?),
        _ => return Err(failure("`split` takes a separator")),
    };
    let (subject, separator) = (text(subject.as_ref(), what)?, text(separator.as_ref(), what)?);
    let most = most.unwrap_or(usize::MAX);
    let mut parts: Vec<&str> = match separator {
        // Between the letters: without the empty texts in front of the first and behind the last.
        "" => letters(subject, most),
        _ => subject.splitn(most, separator).take(MAX_EXPRESSION_ITEMS + 1).collect(),
    };
    meter::spend(parts.len() as u64 * COPY_STEPS + text_steps(subject))?;
    if parts.len() > MAX_EXPRESSION_ITEMS {
        return Err(failure(format!("`split` gives more than {MAX_EXPRESSION_ITEMS} parts")));
    }
    let parts = parts.drain(..);
    let parts = parts.map(|part| Box::new(CelString::from(part.to_owned())) as Box<dyn Val + 'v>);
    Ok(CowVal::owned(CelList::from(parts.collect::<Vec<_>>())))
}

/// The letters of a text, the last part holding what is left from `most` on.
fn letters(subject: &str, most: usize) -> Vec<&str> {
    let most = most.min(MAX_EXPRESSION_ITEMS + 1);
    let mut starts = subject.char_indices().map(|(start, _)| start).take(most).peekable();
    let mut parts = Vec::new();
    while let Some(start) = starts.next() {
        parts.push(&subject[start..*starts.peek().unwrap_or(&subject.len())]);
    }
    parts
}

/// How many parts or replacements at most; `None` for a negative number, which means all.
fn limit(most: &CowVal<'_, '_>, what: &str) -> Result<Option<usize>, cel::ExecutionError> {
    match number(most.as_ref(), what)? {
        Numeric::Whole(most) => Ok(usize::try_from(most).ok()),
        Numeric::Decimal(_) => Err(failure(format!("{what} takes a whole number as its limit"))),
    }
}

/// Whether a text contains a match of a pattern that the compiler has compiled.
pub(super) fn matches<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [subject, pattern] = args.as_slice() else {
        return Err(failure("`matches` takes a text and a pattern"));
    };
    let subject = text(subject.as_ref(), "`matches`")?;
    let Some(pattern) = pattern.downcast_ref::<Pattern>() else {
        return Err(failure("`matches` takes a pattern that is written out"));
    };
    meter::spend(text_steps(subject).saturating_mul(pattern.rate()))?;
    Ok(truth(pattern.is_match(subject)))
}

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

/// The first such part that starts at `from` or behind it. The library's own takes the time of the
/// product of both lengths.
pub(super) fn index_of<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    found_at(&args, "`indexOf`", |subject, part, from| {
        let from = from.unwrap_or(0);
        subject[from..].find(part).map(|found| from + found)
    })
}

/// The last such part that starts at `from` or in front of it.
pub(super) fn last_index_of<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    found_at(&args, "`lastIndexOf`", |subject, part, from| {
        let from = from.unwrap_or(subject.len());
        let end = from.saturating_add(part.len()).min(subject.len());
        // Within a letter no part ends, so that the letter may be left out.
        let end = (0..=end).rev().find(|end| subject.is_char_boundary(*end))?;
        subject[..end].rfind(part)
    })
}

/// The letters in front of a part; -1 where it is not found. `find` takes and gives offsets in bytes.
fn found_at<'b, 'v>(
    args: &[CowVal<'b, 'v>],
    what: &str,
    find: fn(&str, &str, Option<usize>) -> Option<usize>,
) -> Outcome<'b, 'v> {
    let (subject, part, from) = match args {
        [subject, part] => (subject, part, None),
        [subject, part, from] => (subject, part, Some(number(from.as_ref(), what)?)),
        _ => return Err(failure(format!("{what} takes a text"))),
    };
    let (subject, part) = (text(subject.as_ref(), what)?, text(part.as_ref(), what)?);
    let from = from.map(|from| offset_of(subject, from, part.is_empty(), what)).transpose()?;
    let letters = match from {
        Some(from) if part.is_empty() => Some(subject[..from].chars().count()),
        from => find(subject, part, from).map(|offset| subject[..offset].chars().count()),
    };
    let index = letters.and_then(|letters| i64::try_from(letters).ok()).unwrap_or(-1);
    Ok(CowVal::owned(CelInt::from(index)))
}

/// The offset in bytes of a letter. `may_end` takes any number behind the last letter as the end.
fn offset_of(
    subject: &str,
    letter: Numeric,
    may_end: bool,
    what: &str,
) -> Result<usize, cel::ExecutionError> {
    let Numeric::Whole(letter) = letter else {
        return Err(failure(format!("{what} takes a whole number as its start")));
    };
    let number = usize::try_from(letter).ok();
    let found = number.and_then(|number| subject.char_indices().nth(number));
    match found {
        Some((offset, _)) => Ok(offset),
        None if may_end && letter >= 0 => Ok(subject.len()),
        None => Err(failure(format!("{what} starts at letter {letter}, which the text lacks"))),
    }
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
