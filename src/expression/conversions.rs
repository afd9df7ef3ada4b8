//! Conversions between the types of expressions: `int`, `uint`, `double`, `string`, `timestamp`,
//! `duration`. Each is exact or refused, save where its name asks for less: `int` cuts a fraction.

use cel::common::types::{CelBool, CelString};
use cel::common::value::{CowVal, Val};

use crate::codec::json::Number;
use crate::codec::number::integer_text;
use crate::expression::arguments::{
    Outcome, calculated, failure, read_text, spend_text, text_value, truth,
};
use crate::expression::decimal::Digits;
use crate::expression::number::{NumberError, Numeric};
use crate::expression::sent::Sent;
use crate::expression::time::{Duration, Timestamp};
use crate::expression::value::describe;
use crate::limits::{MAX_NUMBER_BYTES, truncated};

const LONGEST_SHOWN: usize = 40;

fn one<'a, 'b, 'v>(
    args: &'a [CowVal<'b, 'v>],
    what: &str,
) -> Result<&'a (dyn Val + 'v), cel::ExecutionError> {
    match args {
        [value] => Ok(value.as_ref()),
        _ => Err(failure(format!("{what} takes one value"))),
    }
}

pub(super) fn int<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let what = "`int`";
    let value = one(&args, what)?;
    if let Some(time) = value.downcast_ref::<Timestamp>() {
        return calculated(Numeric::whole(Some(time.seconds())), what);
    }
    calculated(whole(value, what)?, what)
}

pub(super) fn uint<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let what = "`uint`";
    match whole(one(&args, what)?, what)? {
        Ok(Numeric::Whole(whole)) if whole < 0 => {
            Err(failure(format!("`uint` takes numbers from 0, this is {whole}")))
        }
        number => calculated(number, what),
    }
}

/// The whole part of a number, or the number of a string that has no fraction.
fn whole(value: &dyn Val, what: &str) -> Result<Result<Numeric, NumberError>, cel::ExecutionError> {
    if value.downcast_ref::<CelString>().is_some() {
        let text = read_text(value, what)?;
        return match is_number(text).then(|| integer_text(text)).flatten() {
            Some(digits) => Ok(Numeric::whole_of_64_bits(digits.parse().ok())),
            None => Err(failure(unread(text, "a whole number", what))),
        };
    }
    let Some(number) = Numeric::of(value) else {
        let takes =
            if what == "`int`" { "numbers, strings and timestamps" } else { "numbers and strings" };
        return Err(unsuited(value, what, takes));
    };
    Ok(number.truncate().and_then(|number| match number {
        Numeric::Whole(_) => Ok(number),
        Numeric::Decimal(_) => Err(NumberError::Overflow),
    }))
}

pub(super) fn double<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let what = "`double`";
    let value = one(&args, what)?;
    if value.downcast_ref::<CelString>().is_some() {
        let text = read_text(value, what)?;
        if !is_number(text) {
            return Err(failure(unread(text, "a number", what)));
        }
        return match Numeric::parse(text) {
            Some(number) => Ok(number.into_value()),
            None => Err(failure(format!(
                "{what}: neither a 64-bit integer nor a double can hold {text} exactly"
            ))),
        };
    }
    let nanos = match (value.downcast_ref::<Timestamp>(), value.downcast_ref::<Duration>()) {
        (Some(time), _) => Some(time.nanos()),
        (_, Some(duration)) => Some(duration.nanos().into()),
        (None, None) => None,
    };
    if let Some(nanos) = nanos {
        let seconds = Numeric::parse(&format!("{nanos}e-9"));
        return calculated(seconds.ok_or(NumberError::NotFinite), what);
    }
    match Numeric::of(value) {
        Some(number) => Ok(number.into_value()),
        None => Err(unsuited(value, what, "numbers, strings, timestamps and durations")),
    }
}

pub(super) fn string<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let what = "`string`";
    let value = one(&args, what)?;
    if value.downcast_ref::<CelString>().is_some() {
        return args.into_iter().next().ok_or_else(|| failure("`string` takes one value"));
    }
    let text = if let Some(number) = Numeric::of(value) {
        number_text(number)
    } else if let Some(truth) = value.downcast_ref::<CelBool>() {
        truth.inner().to_string()
    } else if let Some(time) = value.downcast_ref::<Timestamp>() {
        time.to_string()
    } else if let Some(duration) = value.downcast_ref::<Duration>() {
        duration.to_string()
    } else {
        return Err(unsuited(
            value,
            what,
            "numbers, true or false, strings, timestamps and durations",
        ));
    };
    spend_text(text.len())?;
    Ok(text_value(text))
}

/// True or false, from itself or from a string.
pub(super) fn boolean<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let what = "`bool`";
    let value = one(&args, what)?;
    if let Some(held) = value.downcast_ref::<CelBool>() {
        return Ok(truth(*held.inner()));
    }
    let Some(text) = value.downcast_ref::<CelString>() else {
        return Err(unsuited(value, what, "true or false and strings"));
    };
    match text.inner() {
        "1" | "t" | "true" | "TRUE" | "True" => Ok(truth(true)),
        "0" | "f" | "false" | "FALSE" | "False" => Ok(truth(false)),
        text => Err(failure(unread(text, "true or false", what))),
    }
}

/// The value itself.
pub(super) fn dynamic<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    args.pop().ok_or_else(|| failure("`dyn` takes one value"))
}

fn number_text(number: Numeric) -> String {
    match number {
        Numeric::Whole(whole) => whole.to_string(),
        Numeric::Decimal(decimal) => Number::from_f64(decimal)
            .map_or_else(|| decimal.to_string(), |number| number.as_str().to_owned()),
    }
}

pub(super) fn timestamp<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let what = "`timestamp`";
    let value = one(&args, what)?;
    let timestamp = if let Some(time) = value.downcast_ref::<Timestamp>() {
        Ok(*time)
    } else if value.downcast_ref::<CelString>().is_some() {
        let text = read_text(value, what)?;
        Timestamp::parse(text)
    } else if let Some(sent) = value.downcast_ref::<Sent>() {
        Timestamp::of_sent_seconds(sent.text())
    } else if let Some(seconds) = Numeric::of(value) {
        Timestamp::of_seconds(Digits::of(seconds))
    } else {
        return Err(unsuited(value, what, "strings and seconds since 1970"));
    };
    timestamp.map(CowVal::owned).map_err(failure)
}

pub(super) fn duration<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let what = "`duration`";
    let value = one(&args, what)?;
    let duration = if let Some(duration) = value.downcast_ref::<Duration>() {
        Ok(*duration)
    } else if value.downcast_ref::<CelString>().is_some() {
        let text = read_text(value, what)?;
        Duration::parse(text)
    } else {
        return Err(unsuited(value, what, "strings like 1h45m or 1.5s"));
    };
    duration.map(CowVal::owned).map_err(failure)
}

/// True if a string is digits, with a sign, a fraction and an exponent where it has them.
fn is_number(text: &str) -> bool {
    if text.len() > MAX_NUMBER_BYTES {
        return false;
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let magnitude = text.strip_prefix('-').unwrap_or(text);
    let (significand, exponent) = magnitude.split_once(['e', 'E']).unwrap_or((magnitude, "0"));
    let (whole, fraction) = significand.split_once('.').unwrap_or((significand, "0"));
    digits(whole)
        && digits(fraction)
        && digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))
}

fn unread(text: &str, needed: &str, what: &str) -> String {
    format!("{what} takes {needed}, this is the string {:?}", truncated(text, LONGEST_SHOWN))
}

fn unsuited(value: &dyn Val, what: &str, takes: &str) -> cel::ExecutionError {
    failure(format!("{what} takes {takes}, this is {}", describe(value)))
}
