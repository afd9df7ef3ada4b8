//! Timestamps and durations of expressions. Nothing here knows the present time or the machine's
//! time zones: the zones of the IANA database are part of the program.

use std::any::Any;
use std::fmt;
use std::sync::LazyLock;

use cel::common::types::{DURATION_TYPE, TIMESTAMP_TYPE, Type};
use cel::common::value::{StaticVal, Val};
use jiff::civil::DateTime;
use jiff::fmt::temporal::Pieces;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp as Moment};

use crate::codec::number::{goes_beyond, rounded};
use crate::expression::decimal::Digits;
use crate::limits::truncated;

const NANOS_PER_SECOND: i128 = 1_000_000_000;
/// The years 1 to 9999, as in CEL.
const FIRST: i128 = -62_135_596_800 * NANOS_PER_SECOND;
const LAST: i128 = 253_402_300_800 * NANOS_PER_SECOND - 1;
/// Decimal places of a second that a timestamp has.
const SECOND_PLACES: i32 = 9;
const TOO_FINE: &str = "`timestamp` takes seconds since 1970 with up to 9 decimal places; round the \
                        number first";
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

static TIMESTAMP: Type = TIMESTAMP_TYPE;
static DURATION: Type = DURATION_TYPE;
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A point in time, to the nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Timestamp {
    /// Since 1970-01-01T00:00:00Z.
    nanos: i128,
}

/// A length of time, to the nanosecond: at most 292 years, as in CEL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Duration {
    nanos: i64,
}

/// Bytes of a string that a message shows.
const LONGEST_SHOWN: usize = 64;

/// An error in words.
type Outcome<T> = Result<T, String>;

impl Timestamp {
    fn of(nanos: i128) -> Outcome<Self> {
        if !(FIRST..=LAST).contains(&nanos) {
            return Err("the timestamp is outside the years 1 to 9999".to_owned());
        }
        Ok(Self { nanos })
    }

    /// Of seconds since 1970, with a fraction of up to nine digits.
    pub(super) fn of_seconds(seconds: Digits) -> Outcome<Self> {
        if seconds.goes_beyond(SECOND_PLACES) {
            return Err(TOO_FINE.to_owned());
        }
        Self::of_scaled(seconds.scaled(SECOND_PLACES))
    }

    /// Of nanoseconds since 1970. What no 128 bits hold is outside of all years.
    fn of_scaled(nanos: Option<i128>) -> Outcome<Self> {
        Self::of(nanos.unwrap_or(i128::MAX)).map_err(|error| {
            format!("{error}: `timestamp` takes seconds since 1970; divide milliseconds by 1000")
        })
    }

    /// As [`Timestamp::of_seconds`], of the digits that were sent.
    pub(super) fn of_sent_seconds(text: &str) -> Outcome<Self> {
        if goes_beyond(text, SECOND_PLACES) {
            return Err(TOO_FINE.to_owned());
        }
        Self::of_scaled(rounded(text, SECOND_PLACES).and_then(|(is_negative, magnitude)| {
            let nanos = i128::try_from(magnitude).ok()?;
            Some(if is_negative { -nanos } else { nanos })
        }))
    }

    /// Of a string as in RFC 3339. A zone in brackets behind it (RFC 9557) must fit the offset.
    pub(super) fn parse(text: &str) -> Outcome<Self> {
        let bad = |why: &str| {
            let text = truncated(text, LONGEST_SHOWN);
            Err(format!("{text:?} is not a timestamp: {why}"))
        };
        let example = "write it like 2024-05-28T12:30:00Z or 2024-05-28T12:30:00.5+02:00";
        // The library reads more forms of ISO 8601, where digits are easily mistaken.
        if !has_separators(text) {
            return bad(example);
        }
        let Ok(pieces) = Pieces::parse(text) else { return bad(example) };
        let Some(time) = pieces.time() else { return bad("the time of day is missing") };
        let Some(offset) = pieces.to_numeric_offset() else {
            return bad("the offset is missing (Z or +01:00)");
        };
        if text.as_bytes().get(17..19) == Some(b"60") {
            return bad("a leap second is not supported");
        }
        let nanos = since_epoch(pieces.date().to_datetime(time));
        let timestamp = Self::of(nanos - i128::from(offset.seconds()) * NANOS_PER_SECOND)?;
        if let Some(annotation) = pieces.time_zone_annotation() {
            let zone = annotation.to_time_zone_with(&ZONES);
            if zone.is_ok_and(|zone| zone.to_offset(timestamp.nearest()) == offset) {
                return Ok(timestamp);
            }
            return bad("the zone in brackets is unknown or does not match the offset");
        }
        Ok(timestamp)
    }

    /// Whole seconds since 1970, rounded down.
    pub(super) fn seconds(self) -> i128 {
        self.nanos.div_euclid(NANOS_PER_SECOND)
    }

    pub(super) fn nanos(self) -> i128 {
        self.nanos
    }

    pub(super) fn add(self, duration: Duration) -> Outcome<Self> {
        Self::of(self.nanos + i128::from(duration.nanos))
    }

    pub(super) fn subtract(self, duration: Duration) -> Outcome<Self> {
        Self::of(self.nanos - i128::from(duration.nanos))
    }

    pub(super) fn since(self, other: Self) -> Outcome<Duration> {
        Duration::of(self.nanos - other.nanos)
    }

    /// Date and time of day in a zone: a name of the IANA database, `UTC`, or an offset as `+01:00`.
    pub(super) fn civil(self, zone: Option<&str>) -> Outcome<DateTime> {
        let offset = match zone {
            None | Some("" | "UTC") => 0,
            Some(zone) => self.offset(zone)?,
        };
        civil(self.nanos + i128::from(offset) * NANOS_PER_SECOND)
    }

    /// Seconds east of UTC.
    fn offset(self, zone: &str) -> Outcome<i32> {
        let shown = truncated(zone, LONGEST_SHOWN);
        if zone.contains(':') {
            return numeric_offset(zone).ok_or_else(|| {
                format!("{shown:?} is not an offset; write it like +01:00 or -09:30")
            });
        }
        let found: TimeZone = ZONES.get(zone).map_err(|_| {
            format!("{shown:?} is not a time zone; write it like Europe/Berlin or +01:00")
        })?;
        Ok(found.to_offset(self.nearest()).seconds())
    }

    /// For the rules of zones, which end a few hours before the year 9999 does.
    fn nearest(self) -> Moment {
        let bounds = Moment::MIN.as_nanosecond()..=Moment::MAX.as_nanosecond();
        let nanos = self.nanos.clamp(*bounds.start(), *bounds.end());
        Moment::from_nanosecond(nanos).unwrap_or(Moment::UNIX_EPOCH)
    }
}

impl fmt::Display for Timestamp {
    /// As RFC 3339 in UTC, without zeros at the end of the fraction.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = civil(self.nanos).map_err(|_| fmt::Error)?;
        let (date, clock) = (time.date(), time.time());
        write!(f, "{:04}-{:02}-{:02}", date.year(), date.month(), date.day())?;
        write!(f, "T{:02}:{:02}:{:02}", clock.hour(), clock.minute(), clock.second())?;
        f.write_str(&fraction(time.subsec_nanosecond().unsigned_abs()))?;
        f.write_str("Z")
    }
}

impl Duration {
    fn of(nanos: i128) -> Outcome<Self> {
        i64::try_from(nanos)
            .map(|nanos| Self { nanos })
            .map_err(|_| "the duration is longer than 292 years".to_owned())
    }

    /// Of a string like `1h45m`, `1.5s` or `-250ms`.
    pub(super) fn parse(text: &str) -> Outcome<Self> {
        let bad = || {
            let text = truncated(text, LONGEST_SHOWN);
            format!("{text:?} is not a duration; write it like 1h45m, 1.5s or -250ms")
        };
        let (negative, mut rest) = match text.strip_prefix(['-', '+']) {
            Some(rest) => (text.starts_with('-'), rest),
            None => (false, text),
        };
        if rest == "0" {
            return Self::of(0);
        }
        if rest.is_empty() {
            return Err(bad());
        }
        let mut total: i128 = 0;
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
            let (number, after) = rest.split_at(end);
            let length = after.find(|c: char| c.is_ascii_digit() || c == '.');
            let (unit, after) = after.split_at(length.unwrap_or(after.len()));
            let nanos = nanos_of(number, unit_nanos(unit).ok_or_else(bad)?).ok_or_else(bad)?;
            total = total.saturating_add(nanos);
            rest = after;
        }
        Self::of(if negative { -total } else { total })
    }

    pub(super) fn nanos(self) -> i64 {
        self.nanos
    }

    pub(super) fn add(self, other: Self) -> Outcome<Self> {
        Self::of(i128::from(self.nanos) + i128::from(other.nanos))
    }

    pub(super) fn subtract(self, other: Self) -> Outcome<Self> {
        Self::of(i128::from(self.nanos) - i128::from(other.nanos))
    }

    pub(super) fn negate(self) -> Outcome<Self> {
        Self::of(-i128::from(self.nanos))
    }
}

impl fmt::Display for Duration {
    /// In seconds, as CEL writes it: `5400s`, `-0.25s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.nanos < 0 { "-" } else { "" };
        let magnitude = i128::from(self.nanos).abs();
        let nanos = u32::try_from(magnitude % NANOS_PER_SECOND).unwrap_or_default();
        write!(f, "{sign}{}{}s", magnitude / NANOS_PER_SECOND, fraction(nanos))
    }
}

/// True if date and time have the separators of RFC 3339, each at its place.
fn has_separators(text: &str) -> bool {
    let places = [(4, "-"), (7, "-"), (10, "Tt "), (13, ":"), (16, ":")];
    let bytes = text.as_bytes();
    places
        .iter()
        .all(|(at, allowed)| bytes.get(*at).is_some_and(|byte| allowed.as_bytes().contains(byte)))
}

fn since_epoch(time: DateTime) -> i128 {
    time.duration_since(EPOCH).as_nanos()
}

fn civil(nanos: i128) -> Outcome<DateTime> {
    SignedDuration::try_from_nanos_i128(nanos)
        .and_then(|since| EPOCH.checked_add(since).ok())
        .ok_or_else(|| "the local time is outside the years 1 to 9999".to_owned())
}

/// `.5` of 500,000,000 nanoseconds; nothing of none.
fn fraction(nanos: u32) -> String {
    match nanos {
        0 => String::new(),
        _ => format!(".{nanos:09}").trim_end_matches('0').to_owned(),
    }
}

/// Seconds of `+01:00`, `-09:30` or `02:00`.
fn numeric_offset(text: &str) -> Option<i32> {
    let (negative, magnitude) = match text.strip_prefix(['-', '+']) {
        Some(magnitude) => (text.starts_with('-'), magnitude),
        None => (false, text),
    };
    let (hours, minutes) = magnitude.split_once(':')?;
    let part = |text: &str, most: i32| {
        let plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i32>().ok().filter(|number| plain && *number <= most)
    };
    let seconds = part(hours, 23)? * 3_600 + part(minutes, 59)? * 60;
    let offset = Offset::from_seconds(if negative { -seconds } else { seconds }).ok()?;
    Some(offset.seconds())
}

fn unit_nanos(unit: &str) -> Option<i128> {
    Some(match unit {
        "h" => 3_600 * NANOS_PER_SECOND,
        "m" => 60 * NANOS_PER_SECOND,
        "s" => NANOS_PER_SECOND,
        "ms" => 1_000_000,
        "us" | "µs" | "μs" => 1_000,
        "ns" => 1,
        _ => return None,
    })
}

/// A number of a unit; `None` where it has digits below a nanosecond.
fn nanos_of(number: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let parse = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<i128>().ok() };
    let fraction = fraction.trim_end_matches('0');
    let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let part = parse(fraction)?.checked_mul(unit)?;
    if part % scale != 0 {
        return None;
    }
    parse(whole)?.checked_mul(unit)?.checked_add(part / scale)
}

macro_rules! value {
    ($name:ident, $type:ident) => {
        impl Val for $name {
            fn get_type(&self) -> &Type {
                &$type
            }

            fn cel_type() -> &'static Type {
                &$type
            }

            fn equals(&self, other: &dyn Val) -> bool {
                other.downcast_ref::<Self>() == Some(self)
            }

            fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
            where
                Self: 'v,
            {
                Box::new(*self)
            }

            fn as_any(&self) -> Option<&dyn Any> {
                Some(self)
            }
        }

        impl StaticVal for $name {}
    };
}

value!(Timestamp, TIMESTAMP);
value!(Duration, DURATION);
