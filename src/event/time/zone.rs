//! Local times and zones, by a time zone database that is compiled in, so that every machine reads
//! the same.

use std::sync::LazyLock;

use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::fmt::temporal::{Pieces, PiecesOffset};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, Zoned};

use super::{Ambiguous, PARSER, SentTime, TimeError, TimeReader};
use crate::fault::did_you_mean;

/// The compiled-in database. The one of the machine is never asked.
static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// What helps where a text has no offset.
const ZONE_HINT: &str =
    "; for local times the option `zone: Europe/Berlin` names the place whose clocks they follow";

/// The zone of this name: of the IANA database, or a fixed offset such as `+08:00`. Where there is
/// none, what helps.
pub(super) fn named(name: &str) -> Result<TimeZone, String> {
    if let Ok(zone) = PARSER.parse_time_zone_with(&DATABASE, name) {
        return Ok(zone);
    }
    let known: Vec<String> = DATABASE.available().map(|name| name.to_string()).collect();
    let closest = did_you_mean(name, known.iter().map(String::as_str));
    Err(match closest.starts_with("did you mean") {
        true => closest,
        false => "a zone is written `Europe/Berlin`, `UTC` or `+08:00`".to_owned(),
    })
}

/// A text that is not an instant by itself: with a zone in brackets, or local.
pub(super) fn in_parts(text: &str, reader: &TimeReader) -> Result<SentTime, TimeError> {
    let not_a_time = || TimeError::NotATime(text.to_owned());
    let parts = Pieces::parse(text).map_err(|_| not_a_time())?;
    let time = parts.time().ok_or_else(not_a_time)?;
    let local = parts.date().to_datetime(time);
    let no_such_zone = |_| TimeError::NoSuchZone(text.to_owned());
    let zone = parts.to_time_zone_with(&DATABASE).map_err(no_such_zone)?;
    match parts.offset() {
        Some(PiecesOffset::Zulu) => instant(text, local, Offset::UTC),
        Some(offset) => {
            let offset = offset.to_numeric_offset();
            let time = instant(text, local, offset)?;
            match zone {
                Some(zone) if zone.to_offset(time.0) != offset => {
                    Err(TimeError::WrongOffset { text: text.to_owned(), zone: name(&zone) })
                }
                _ => Ok(time),
            }
        }
        None => in_zone(text, local, zone.as_ref().or(reader.zone.as_ref()), reader.ambiguous),
    }
}

/// Whether only the offset is missing for a text to be a time.
pub(super) fn is_local(text: &str) -> bool {
    Pieces::parse(text).is_ok_and(|parts| parts.time().is_some() && parts.offset().is_none())
}

/// A text in a format of strptime.
pub(super) fn formatted(
    format: &str,
    text: &str,
    reader: &TimeReader,
) -> Result<SentTime, TimeError> {
    let refused = |reason: jiff::Error| TimeError::NotInFormat {
        text: text.to_owned(),
        format: format.to_owned(),
        reason: reason.to_string(),
    };
    let read = strtime::parse(format, text).map_err(refused)?;
    if let Some(timestamp) = read.timestamp() {
        return Ok(SentTime(timestamp));
    }
    if read.iana_time_zone().is_some() {
        let zoned = read.to_zoned_with(&DATABASE).map_err(refused)?;
        return Ok(SentTime(zoned.timestamp()));
    }
    if read.offset().is_some() {
        return read.to_timestamp().map(SentTime).map_err(refused);
    }
    let local = read.to_datetime().map_err(refused)?;
    in_zone(text, local, reader.zone.as_ref(), reader.ambiguous)
}

/// The instant of a local time by the clocks of a zone.
fn in_zone(
    text: &str,
    local: DateTime,
    zone: Option<&TimeZone>,
    ambiguous: Ambiguous,
) -> Result<SentTime, TimeError> {
    let text_of = || text.to_owned();
    let Some(zone) = zone else {
        return Err(TimeError::NoOffset { text: text_of(), hint: ZONE_HINT });
    };
    let offset = match (zone.to_ambiguous_timestamp(local).offset(), ambiguous) {
        (AmbiguousOffset::Unambiguous { offset }, _) => offset,
        (AmbiguousOffset::Fold { before, .. }, Ambiguous::Earlier) => before,
        (AmbiguousOffset::Fold { after, .. }, Ambiguous::Later) => after,
        (AmbiguousOffset::Fold { .. }, Ambiguous::Refuse) => {
            return Err(TimeError::Twice { text: text_of(), zone: name(zone) });
        }
        (AmbiguousOffset::Gap { .. }, _) => {
            return Err(TimeError::Skipped { text: text_of(), zone: name(zone) });
        }
    };
    instant(text, local, offset)
}

fn instant(text: &str, local: DateTime, offset: Offset) -> Result<SentTime, TimeError> {
    let timestamp = offset.to_timestamp(local);
    timestamp.map(SentTime).map_err(|_| TimeError::NotATime(text.to_owned()))
}

fn name(zone: &TimeZone) -> String {
    match zone.iana_name() {
        Some(name) => name.to_owned(),
        None => "its zone".to_owned(),
    }
}

/// An instant that has no part in common with another, to try a format on.
pub(super) fn example() -> Zoned {
    Timestamp::constant(981_209_716, 123_456_789).to_zoned(TimeZone::UTC)
}
