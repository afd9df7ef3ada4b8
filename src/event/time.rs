//! Timestamps in text and in milliseconds since 1970.
//!
//! Time is data here: nothing asks what time it is.

use jiff::Timestamp;
use jiff::fmt::temporal::{DateTimeParser, DateTimePrinter};

static PARSER: DateTimeParser = DateTimeParser::new();
static PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// Longest text that is taken as a timestamp, in bytes.
const MAX_BYTES: usize = 64;

/// A text that is no timestamp.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no timestamp; one looks like `2017-01-04T13:11:33.601Z` or `2017-01-04T13:11:33+02:00`, always with `Z` or an offset"
)]
pub struct TimeError(pub String);

/// Reads a timestamp: RFC 3339, and the platform's offsets without minutes (`+02`).
///
/// A time without offset is refused, because it names no instant. Digits below a millisecond are
/// cut off, towards the past. A leap second counts as the second before it.
pub fn parse(text: &str) -> Result<i64, TimeError> {
    parse_ms(text).ok_or_else(|| TimeError(text.chars().take(MAX_BYTES).collect()))
}

fn parse_ms(text: &str) -> Option<i64> {
    // The library also knows a time zone's name in brackets; the answer would hang on its tables.
    if text.len() > MAX_BYTES || text.contains('[') {
        return None;
    }
    let timestamp = PARSER.parse_timestamp(text).ok()?;
    i64::try_from(timestamp.as_nanosecond().div_euclid(1_000_000)).ok()
}

/// Writes milliseconds since 1970 as RFC 3339 in UTC, always with three digits of a second:
/// `2017-01-04T11:11:33.601Z`. `None` outside the years -9999 to 9999.
#[must_use]
pub fn format(ms: i64) -> Option<String> {
    let timestamp = Timestamp::from_millisecond(ms).ok()?;
    Some(PRINTER.timestamp_to_string(&timestamp))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_to_milliseconds() {
        let table = [
            ("2017-01-04T13:11:33.601+02", 1_483_528_293_601),
            ("2017-01-04T13:11:33.601+02:00", 1_483_528_293_601),
            ("2017-01-04T11:11:33.601Z", 1_483_528_293_601),
            ("2017-01-04t11:11:33.601z", 1_483_528_293_601),
            ("2017-01-04 11:11:33.601Z", 1_483_528_293_601),
            ("2017-01-04T05:41:33.601-0530", 1_483_528_293_601),
            ("2018-04-05T03:56:24Z", 1_522_900_584_000),
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59.9999Z", -1),
            ("2016-12-31T23:59:60Z", 1_483_228_799_000),
            ("2024-02-29T00:00:00.123456789Z", 1_709_164_800_123),
        ];
        for (text, ms) in table {
            assert_eq!(parse(text), Ok(ms), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let table = [
            "",
            "now",
            "1483528293601",
            "2017-01-04",
            "2017-01-04T13:11:33",
            "2017-01-04T13:11:33[Europe/Berlin]",
            "2017-01-04T13:11:33+02[Europe/Berlin]",
            "2017-02-29T00:00:00Z",
            "2017-01-04T24:00:00Z",
            "2017-01-04T13:11:33+99:00",
            "2017-01-04T13:11:33Z ",
        ];
        for text in table {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&"9".repeat(1_000_000)).unwrap_err().0.len() <= MAX_BYTES);
    }

    #[test]
    fn milliseconds_to_text() {
        assert_eq!(format(1_483_528_293_601).as_deref(), Some("2017-01-04T11:11:33.601Z"));
        assert_eq!(format(0).as_deref(), Some("1970-01-01T00:00:00.000Z"));
        assert_eq!(format(i64::MAX), None);
    }

    proptest! {
        #[test]
        fn there_and_back(ms in -62_135_596_800_000_i64..253_402_207_200_000) {
            prop_assert_eq!(parse(&format(ms).unwrap()), Ok(ms));
        }

        #[test]
        fn any_text_is_judged(text in "\\PC*") {
            let _ = parse(&text);
        }
    }
}
