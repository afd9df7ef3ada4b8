//! Parts of timestamps and durations: `getHours` and its like.

use cel::ExecutionError;
use cel::common::types::CelInt;
use cel::common::value::CowVal;
use jiff::civil::DateTime;

use crate::expression::arguments::{Outcome, failure, read_text};
use crate::expression::time::{Duration, Timestamp};
use crate::expression::value::describe;

const NANOS_PER_MILLISECOND: i64 = 1_000_000;
const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// A part of date and time in a zone.
type Part = fn(DateTime) -> i64;

fn part<'b, 'v>(
    args: &[CowVal<'b, 'v>],
    name: &str,
    part: Part,
    nanos: Option<i64>,
) -> Outcome<'b, 'v> {
    let (moment, zone) = match args {
        [moment] => (moment, None),
        [moment, zone] => (moment, Some(read_text(zone.as_ref(), name)?)),
        _ => return Err(takes(name, nanos, "no value")),
    };
    if let Some(time) = moment.downcast_ref::<Timestamp>() {
        return time.civil(zone).map(|time| integer(part(time))).map_err(failure);
    }
    match (moment.downcast_ref::<Duration>(), nanos, zone) {
        (Some(duration), Some(nanos), None) => Ok(integer(duration.nanos() / nanos)),
        (Some(_), Some(_), Some(_)) => {
            Err(failure(format!("{name} of a duration does not take a time zone")))
        }
        _ => Err(takes(name, nanos, describe(moment.as_ref()))),
    }
}

fn integer<'b, 'v>(number: i64) -> CowVal<'b, 'v> {
    CowVal::owned(CelInt::from(number))
}

fn takes(name: &str, nanos: Option<i64>, found: &str) -> ExecutionError {
    let takes = if nanos.is_some() { "timestamps and durations" } else { "timestamps" };
    failure(format!("{name} takes {takes}, this is {found}"))
}

macro_rules! parts {
    ($($function:ident $name:literal $nanos:expr, $part:expr;)*) => {
        $(pub(super) fn $function<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
            part(&args, concat!("`", $name, "`"), $part, $nanos)
        })*
    };
}

parts! {
    full_year "getFullYear" None, |time| time.year().into();
    // CEL counts months, days of the month and days of the year from 0, but `getDate` from 1.
    month "getMonth" None, |time| i64::from(time.month()) - 1;
    date "getDate" None, |time| time.day().into();
    day_of_month "getDayOfMonth" None, |time| i64::from(time.day()) - 1;
    day_of_week "getDayOfWeek" None, |time| time.weekday().to_sunday_zero_offset().into();
    day_of_year "getDayOfYear" None, |time| i64::from(time.day_of_year()) - 1;
    hours "getHours" Some(3_600 * NANOS_PER_SECOND), |time| time.hour().into();
    minutes "getMinutes" Some(60 * NANOS_PER_SECOND), |time| time.minute().into();
    seconds "getSeconds" Some(NANOS_PER_SECOND), |time| time.second().into();
    milliseconds "getMilliseconds" Some(NANOS_PER_MILLISECOND), |time| time.millisecond().into();
}
