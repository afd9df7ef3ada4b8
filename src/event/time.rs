//! Times as senders write them: text with an offset, local text, numbers of a unit.
//!
//! There is one reader, [`TimeReader`], for fields of mappings and for the time of an event. It reads
//! exactly or refuses: an instant is kept to the nanosecond, an integer that makes no sense in
//! milliseconds is refused, and local text needs a zone.
//!
//! Time is data here: nothing asks what time it is.

mod error;
mod format;
mod options;
mod zone;

pub use error::TimeError;
use format::Format;
pub use options::{Ambiguous, TimeOptions, Unit};

use std::fmt;

use jiff::Timestamp;
use jiff::fmt::temporal::{DateTimeParser, DateTimePrinter};
use jiff::tz::TimeZone;

use crate::codec::json::{Number, Value};
use crate::codec::number;
use crate::limits::{
    EARLIEST_PLAUSIBLE_TIME_MS, LATEST_PLAUSIBLE_TIME_MS, MAX_PLAUSIBLE_AHEAD_MS, MAX_TIME_BYTES,
    truncated,
};

static PARSER: DateTimeParser = DateTimeParser::new();

/// The beginning of the year 0.
const YEAR_0: Timestamp = Timestamp::constant(-62_167_219_200, 0);

/// An instant that a sender wrote, to the nanosecond, within the years 0 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SentTime(Timestamp);

impl SentTime {
    /// The instant at these milliseconds since 1970, and nanoseconds below the millisecond; `None`
    /// outside the years 0 to 9999.
    #[must_use]
    pub fn new(ms: i64, below_ms_ns: u32) -> Option<Self> {
        Self::at(i128::from(ms) * 1_000_000 + i128::from(below_ms_ns))
    }

    fn at(nanoseconds: i128) -> Option<Self> {
        Timestamp::from_nanosecond(nanoseconds).ok().and_then(Self::of)
    }

    /// The time of the library's timestamp; `None` before the year 0, which RFC 3339 cannot write.
    fn of(timestamp: Timestamp) -> Option<Self> {
        (timestamp >= YEAR_0).then_some(Self(timestamp))
    }

    /// RFC 3339 in UTC with 3, 6 or 9 digits of a second, as many as the instant needs:
    /// `2017-01-04T11:11:33.601Z`.
    #[must_use]
    pub fn text(self) -> String {
        let digits = match self.below_ms_ns() {
            0 => 3,
            rest if rest.is_multiple_of(1_000) => 6,
            _ => 9,
        };
        DateTimePrinter::new().precision(Some(digits)).timestamp_to_string(&self.0)
    }

    /// Milliseconds since 1970, of the millisecond that the instant is in.
    #[must_use]
    pub fn ms(self) -> i64 {
        let ms = self.0.as_nanosecond().div_euclid(1_000_000);
        // The years end long before the range does.
        i64::try_from(ms).unwrap_or(i64::MAX)
    }

    /// Nanoseconds of the instant below its millisecond: 0 to 999,999.
    #[must_use]
    pub fn below_ms_ns(self) -> u32 {
        let rest = self.0.as_nanosecond().rem_euclid(1_000_000);
        u32::try_from(rest).unwrap_or_default()
    }
}

impl fmt::Display for SentTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// Reads the times of one place in the events: a field, or the path of the event's time.
#[derive(Debug, Clone, Default)]
pub struct TimeReader {
    unit: Option<Unit>,
    zone: Option<TimeZone>,
    format: Option<Format>,
    ambiguous: Ambiguous,
}

impl TimeReader {
    /// The same for the broker's timestamp, which is in milliseconds where no option says otherwise.
    #[must_use]
    pub fn of_broker_time(self) -> Self {
        match (self.unit, &self.format) {
            (None, None) => Self { unit: Some(Unit::Ms), ..self },
            _ => self,
        }
    }

    /// Reads a string or a number. `record_ms` is the broker's timestamp of the record, where there is
    /// one: a number without a unit that lies more than a year behind it is refused.
    ///
    /// # Errors
    ///
    /// Any other value, and what [`TimeReader::text`] and [`TimeReader::number`] refuse.
    pub fn value(&self, value: &Value, record_ms: Option<i64>) -> Result<SentTime, TimeError> {
        match value {
            Value::String(text) => self.text(text, record_ms),
            Value::Number(number) => self.number(number.as_str(), record_ms),
            Value::Null => Err(TimeError::Type("null")),
            Value::Bool(_) => Err(TimeError::Type("a boolean")),
            Value::Array(_) => Err(TimeError::Type("an array")),
            Value::Object(_) => Err(TimeError::Type("an object")),
        }
    }

    /// Reads a string: in the reader's format where it has one; else RFC 3339, also with the
    /// platform's offsets without minutes (`+02`) or a zone behind it (RFC 9557,
    /// `+01:00[Europe/Berlin]`), local text where the reader has a zone, or the digits of a number. A
    /// leap second (23:59:60 UTC) counts as the second before it.
    ///
    /// # Errors
    ///
    /// What is not such a string, or names no instant.
    pub fn text(&self, text: &str, record_ms: Option<i64>) -> Result<SentTime, TimeError> {
        if text.len() > MAX_TIME_BYTES {
            return Err(TimeError::NotATime(truncated(text, MAX_TIME_BYTES).to_owned() + "…"));
        }
        if let Some(format) = &self.format {
            return format.read(text, self);
        }
        // The library would look for a zone's name in brackets in the tables of this machine.
        if !text.contains('[')
            && let Ok(timestamp) = PARSER.parse_timestamp(text)
        {
            return zone::checked(text, timestamp);
        }
        match text.parse::<Number>() {
            Ok(_) => self.number(text, record_ms),
            Err(_) => zone::in_parts(text, self),
        }
    }

    /// Reads a number in the reader's unit: milliseconds since 1970 without one, if that is
    /// plausible. `text` has the grammar of JSON numbers.
    ///
    /// # Errors
    ///
    /// A number that is not plausible or out of range, and digits below a nanosecond.
    pub fn number(&self, text: &str, record_ms: Option<i64>) -> Result<SentTime, TimeError> {
        if let Some(format) = &self.format {
            return format.read(text, self);
        }
        let in_unit = |unit: Unit| at(text, unit);
        match self.unit {
            Some(Unit::Auto) => {
                let mut read = Unit::ALL.into_iter().filter_map(|unit| in_unit(unit).ok());
                let found = read.find(|time| is_plausible(*time, record_ms));
                found.ok_or_else(|| TimeError::NoUnitFits(text.to_owned()))
            }
            Some(unit) => in_unit(unit),
            None => {
                let read = in_unit(Unit::Ms);
                if read.as_ref().is_ok_and(|time| is_plausible(*time, record_ms)) {
                    return read;
                }
                let mut others = Unit::ALL.into_iter().filter(|unit| *unit != Unit::Ms);
                let fits = |unit: Unit| {
                    let time = in_unit(unit).ok().filter(|time| is_plausible(*time, record_ms))?;
                    Some((unit, time))
                };
                Err(TimeError::Implausible {
                    number: text.to_owned(),
                    read: read.ok(),
                    likely: others.find_map(fits),
                })
            }
        }
    }
}

/// The instant that a number in a unit means.
fn at(text: &str, unit: Unit) -> Result<SentTime, TimeError> {
    let out_of_range = || TimeError::OutOfRange(text.to_owned());
    if let Ok(integer) = text.parse::<i64>() {
        let nanoseconds = i128::from(integer) * unit.nanoseconds();
        return SentTime::at(nanoseconds).ok_or_else(out_of_range);
    }
    let (significand, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    // An exponent beyond this range has no meaning for a time.
    let exponent: i16 = exponent.parse().map_err(|_| out_of_range())?;
    let scaled = format!("{significand}e{}", i32::from(exponent) + unit.digits());
    let nanoseconds = match number::integer_text(&scaled) {
        Some(nanoseconds) => nanoseconds.parse().map_err(|_| out_of_range())?,
        None if number::compare_texts(scaled.trim_start_matches('-'), "1e21").is_ge() => {
            return Err(out_of_range());
        }
        None => return Err(TimeError::TooFine(text.to_owned())),
    };
    SentTime::at(nanoseconds).ok_or_else(out_of_range)
}

/// True if a time can be meant by a number that says no unit: from 1990 on, until a year behind the
/// record.
fn is_plausible(time: SentTime, record_ms: Option<i64>) -> bool {
    let within = EARLIEST_PLAUSIBLE_TIME_MS..LATEST_PLAUSIBLE_TIME_MS;
    // Without a timestamp, or with one that is itself wrong, the fixed end counts.
    let record_ms = record_ms.filter(|ms| within.contains(ms));
    let end = record_ms.map_or(within.end, |ms| ms + MAX_PLAUSIBLE_AHEAD_MS);
    (within.start..=end).contains(&time.ms())
}

/// Reads a timestamp with an offset, in whole milliseconds since 1970: what [`TimeReader::text`]
/// reads as RFC 3339. For times that people and programs give, not devices.
///
/// # Errors
///
/// Any other text, and digits below a millisecond, which would be lost.
pub fn parse(text: &str) -> Result<i64, TimeError> {
    let time = instant(text)?;
    if time.below_ms_ns() > 0 {
        return Err(TimeError::BelowMilliseconds(truncated(text, MAX_TIME_BYTES).to_owned()));
    }
    Ok(time.ms())
}

/// Reads the same with all its digits.
///
/// # Errors
///
/// Any other text.
pub fn instant(text: &str) -> Result<SentTime, TimeError> {
    let cut = || truncated(text, MAX_TIME_BYTES).to_owned();
    if text.len() > MAX_TIME_BYTES || text.contains('[') {
        return Err(TimeError::NotATime(cut()));
    }
    match PARSER.parse_timestamp(text) {
        Ok(timestamp) => zone::checked(text, timestamp),
        Err(_) if zone::is_local(text) => Err(TimeError::NoOffset { text: cut(), hint: "" }),
        Err(_) => Err(TimeError::NotATime(cut())),
    }
}

/// Writes milliseconds since 1970 as RFC 3339 in UTC, always with three digits of a second:
/// `2017-01-04T11:11:33.601Z`. `None` outside the years 0 to 9999.
#[must_use]
pub fn format(ms: i64) -> Option<String> {
    SentTime::new(ms, 0).map(SentTime::text)
}

#[cfg(test)]
mod tests;
