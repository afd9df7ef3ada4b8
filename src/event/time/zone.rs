//! Local times and zones, by a time zone database that is compiled in, so that every machine reads
//! the same.

use std::sync::LazyLock;

use jiff::civil::DateTime;
use jiff::fmt::temporal::{Pieces, PiecesOffset};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ZonedDateTime};

use super::{Ambiguous, PARSER, SentTime, TimeError, TimeReader};
use crate::diagnostic::did_you_mean;

/// The compiled-in database. The one of the machine is never asked.
static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// Hint for a string without an offset.
const ZONE_HINT: &str = "; for local times, set the option `zone`, such as `zone: Europe/Berlin`";

/// The zone of this name: of the IANA database, or a fixed offset such as `+08:00`. Where there is
/// none, what helps.
pub(super) fn named(name: &str) -> Result<TimeZone, String> {
    let is_within_a_day = |zone: &TimeZone| {
        zone.to_fixed_offset().map_or(true, |offset| offset.seconds().abs() < DAY_SECONDS)
    };
    let found = PARSER.parse_time_zone_with(&DATABASE, name);
    if let Some(zone) = found.ok().filter(is_within_a_day) {
        return Ok(zone);
    }
    let known: Vec<String> = DATABASE.available().map(|name| name.to_string()).collect();
    let closest = did_you_mean(name, known.iter().map(String::as_str));
    Err(match closest.starts_with("did you mean") {
        true => closest,
        false => "write a zone as `Europe/Berlin`, `UTC` or `+08:00`".to_owned(),
    })
}

/// A string that is not an instant by itself: with a zone in brackets, or local.
pub(super) fn in_parts(text: &str, reader: &TimeReader) -> Result<SentTime, TimeError> {
    let not_a_time = || TimeError::NotATime(text.to_owned());
    let parts = Pieces::parse(text).map_err(|_| not_a_time())?;
    let time = parts.time().ok_or_else(not_a_time)?;
    let local = parts.date().to_datetime(time);
    let no_such_zone = |_| TimeError::NoSuchZone(text.to_owned());
    let zone = parts.to_time_zone_with(&DATABASE).map_err(no_such_zone)?;
    let is_leap = has_second_60(text);
    let (offset, zone) = match parts.offset() {
        // `Z` says nothing about the offset of the zone behind it.
        Some(PiecesOffset::Zulu) => (Some(Offset::UTC), None),
        Some(offset) => (Some(offset.to_numeric_offset()), zone),
        None => (None, zone),
    };
    Local { text, local, offset, zone, is_leap }.instant(reader)
}

/// True if only the offset is missing for a string to be a time.
pub(super) fn is_local(text: &str) -> bool {
    Pieces::parse(text).is_ok_and(|parts| parts.time().is_some() && parts.offset().is_none())
}

/// The zone of this name in a string of the events.
pub(super) fn of_text(name: &str) -> Result<TimeZone, jiff::Error> {
    DATABASE.get(name)
}

/// A date and time as a string has it, before it is an instant.
#[derive(Debug)]
pub(super) struct Local<'a> {
    /// The text, for messages.
    pub(super) text: &'a str,
    /// By the clock of its place.
    pub(super) local: DateTime,
    /// The offset from UTC in the text.
    pub(super) offset: Option<Offset>,
    /// The zone in the text.
    pub(super) zone: Option<TimeZone>,
    /// True if its second is 60, which the library reads as 59.
    pub(super) is_leap: bool,
}

impl Local<'_> {
    /// The instant, by what the text says of its place, else by the reader's zone.
    pub(super) fn instant(self, reader: &TimeReader) -> Result<SentTime, TimeError> {
        let text = || self.text.to_owned();
        let offset = match self.offset {
            Some(offset) => offset,
            None => {
                self.offset_by(self.zone.as_ref().or(reader.zone.as_ref()), reader.ambiguous)?
            }
        };
        if offset.seconds().abs() >= DAY_SECONDS {
            return Err(TimeError::NotATime(text()));
        }
        let timestamp = offset.to_timestamp(self.local);
        let timestamp = timestamp.map_err(|_| TimeError::OutOfRange(text()))?;
        if let Some(zone) = self.zone.filter(|zone| zone.to_offset(timestamp) != offset) {
            return Err(TimeError::WrongOffset { text: text(), zone: name(&zone) });
        }
        if self.is_leap && !ends_a_day(timestamp) {
            return Err(TimeError::LeapSecond(text()));
        }
        SentTime::of(timestamp).ok_or_else(|| TimeError::OutOfRange(text()))
    }

    /// The offset of the clocks of a zone.
    fn offset_by(
        &self,
        zone: Option<&TimeZone>,
        ambiguous: Ambiguous,
    ) -> Result<Offset, TimeError> {
        let text = || self.text.to_owned();
        let Some(zone) = zone else {
            return Err(TimeError::NoOffset { text: text(), hint: ZONE_HINT });
        };
        match (zone.to_ambiguous_timestamp(self.local).offset(), ambiguous) {
            (AmbiguousOffset::Unambiguous { offset }, _) => Ok(offset),
            (AmbiguousOffset::Fold { before, .. }, Ambiguous::Earlier) => Ok(before),
            (AmbiguousOffset::Fold { after, .. }, Ambiguous::Later) => Ok(after),
            (AmbiguousOffset::Fold { .. }, Ambiguous::Refuse) => {
                Err(TimeError::Twice { text: text(), zone: name(zone) })
            }
            (AmbiguousOffset::Gap { .. }, _) => {
                Err(TimeError::Skipped { text: text(), zone: name(zone) })
            }
        }
    }
}

const DAY_SECONDS: i32 = 24 * 60 * 60;

/// True if a leap second may follow: leap seconds are inserted behind 23:59:59 UTC.
fn ends_a_day(timestamp: Timestamp) -> bool {
    // Whole seconds of the library are towards 1970.
    let second = SentTime(timestamp).ms().div_euclid(1_000);
    second.rem_euclid(i64::from(DAY_SECONDS)) == i64::from(DAY_SECONDS - 1)
}

/// A timestamp that the library read out of a string in RFC 3339. The library reads a second 60 in any
/// minute as 59, and offsets of more than a day.
pub(super) fn checked(text: &str, timestamp: Timestamp) -> Result<SentTime, TimeError> {
    // `2017-01-04T13:11:33.601Z` and the like need no further look.
    let is_plain = match text.as_bytes() {
        [_, _, _, _, b'-', .., b'Z'] => {
            text.as_bytes().get(16..18).is_some_and(|bytes| bytes[0] == b':' && bytes[1] != b'6')
        }
        _ => false,
    };
    if !is_plain {
        if has_second_60(text) && !ends_a_day(timestamp) {
            return Err(TimeError::LeapSecond(text.to_owned()));
        }
        if offset_hours(text).is_some_and(|hours| hours >= 24) {
            return Err(TimeError::NotATime(text.to_owned()));
        }
    }
    SentTime::of(timestamp).ok_or_else(|| TimeError::OutOfRange(text.to_owned()))
}

/// The part of a string in ISO 8601 behind its date.
fn time_part(text: &str) -> &str {
    text.split_once(['T', 't', ' ']).map_or("", |(_, time)| time)
}

fn has_second_60(text: &str) -> bool {
    let clock = time_part(text).split(['.', ',', 'Z', 'z', '+', '-', '[']).next();
    let mut digits = clock.unwrap_or_default().chars().filter(char::is_ascii_digit).skip(4);
    (digits.next(), digits.next()) == (Some('6'), Some('0'))
}

fn offset_hours(text: &str) -> Option<u32> {
    let (_, offset) = time_part(text).split_once(['+', '-'])?;
    offset.get(..2)?.parse().ok()
}

fn name(zone: &TimeZone) -> String {
    match zone.iana_name() {
        Some(name) => name.to_owned(),
        None => "its zone".to_owned(),
    }
}

/// An instant that has no part in common with another, to try a format on.
pub(super) fn example() -> ZonedDateTime {
    Timestamp::constant(981_209_716, 123_456_789).to_zoned_datetime(TimeZone::UTC)
}
