//! Errors of times.

use super::{SentTime, Unit};

/// Why a value is not taken as a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// A string that is not a time.
    #[error(
        "`{0}` is not a time; one looks like `2017-01-04T13:11:33.601Z` or \
         `2017-01-04T13:11:33+02:00`"
    )]
    NotATime(String),
    /// A value that is neither text nor number.
    #[error("{0} is not a time; use a string or a number")]
    Type(&'static str),
    /// A local time of an unknown place.
    #[error(
        "`{text}` lacks an offset from UTC, so it is not an instant: it must end in `Z` or an offset \
         such as `+02:00`{hint}"
    )]
    NoOffset {
        /// The text.
        text: String,
        /// The option that helps, where there is one.
        hint: &'static str,
    },
    /// An offset that is not the zone's.
    #[error("`{text}` has an offset that {zone} does not have at that time")]
    WrongOffset {
        /// The text.
        text: String,
        /// The zone's name.
        zone: String,
    },
    /// A zone that does not exist.
    #[error("`{0}` names an unknown time zone")]
    NoSuchZone(String),
    /// A local time that the clocks skip.
    #[error("`{text}` does not exist in {zone}: the clocks skip it")]
    Skipped {
        /// The text.
        text: String,
        /// The zone's name.
        zone: String,
    },
    /// A local time that there is twice.
    #[error(
        "`{text}` happens twice in {zone}, before and after the clocks go back; the option \
         `ambiguous: earlier` or `ambiguous: later` chooses one"
    )]
    Twice {
        /// The text.
        text: String,
        /// The zone's name.
        zone: String,
    },
    /// A second 60 where there was no leap second.
    #[error("`{0}` has a second 60: leap seconds are at 23:59:60 UTC")]
    LeapSecond(String),
    /// A string in another format than the configured one.
    #[error("`{text}` is not a time in the format `{format}`: {reason}")]
    NotInFormat {
        /// The text.
        text: String,
        /// The format.
        format: String,
        /// The library's reason.
        reason: String,
    },
    /// A number without a unit that makes no sense in milliseconds.
    #[error(
        "the number {number}{}, before 1990 or more than a year after the record; the option `unit` \
         (`s`, `ms`, `us`, `ns` or `auto`) says which unit it is in{}",
        as_milliseconds(*read),
        as_likely(*likely)
    )]
    Implausible {
        /// The number.
        number: String,
        /// Its meaning in milliseconds, where there is one.
        read: Option<SentTime>,
        /// The unit in which it makes sense.
        likely: Option<(Unit, SentTime)>,
    },
    /// A number that makes no sense in any unit.
    #[error(
        "the number {0} is not a plausible time in seconds, milliseconds, microseconds or nanoseconds"
    )]
    NoUnitFits(String),
    /// A string or a number beyond the calendar.
    #[error("`{0}` is a time outside the years 0 to 9999, which end on December 30 at 22:00 UTC")]
    OutOfRange(String),
    /// A number with digits below a nanosecond.
    #[error("the number {0} has digits below a nanosecond, which would be lost")]
    TooFine(String),
    /// A string with digits below a millisecond, where whole milliseconds are needed.
    #[error("`{0}` has digits below a millisecond; this time has millisecond precision")]
    BelowMilliseconds(String),
}

fn as_milliseconds(read: Option<SentTime>) -> String {
    match read {
        Some(time) => format!(" in milliseconds is {time}"),
        None => " in milliseconds is outside the years 0 to 9999".to_owned(),
    }
}

fn as_likely(likely: Option<(Unit, SentTime)>) -> String {
    match likely {
        Some((unit, time)) => format!("; in `{}` it is {time}", unit.name()),
        None => String::new(),
    }
}
