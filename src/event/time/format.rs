//! Formats of strptime, checked when they are loaded.
//!
//! The library reads more than a format says: a digit less in a run of numbers, a second 60 in any
//! minute. Both are refused here.

use jiff::Timestamp;
use jiff::fmt::strtime::{self, BrokenDownTime};

use super::zone::{self, Local};
use super::{SentTime, TimeError, TimeReader};

/// A checked format.
#[derive(Debug, Clone)]
pub(super) struct Format {
    text: String,
    packed: Vec<Packed>,
}

/// Numbers of a fixed width with nothing between them, such as `%Y%m%d`: with a digit less the others
/// would be read out of their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Packed {
    /// The start of the first directive in the format.
    start: usize,
    /// The end of the last directive.
    end: usize,
    /// Digits of all of them.
    digits: usize,
}

/// Why a format is not taken.
pub(super) struct FormatError {
    pub(super) message: String,
    pub(super) help: &'static str,
}

const HELP: &str = "use strptime directives, such as `%Y-%m-%d %H:%M:%S`, `%d.%m.%y %H:%M`, `%z`";

impl Format {
    /// Writes an example in the format and reads it back: what cannot be read again is no format for
    /// reading.
    pub(super) fn new(text: &str, has_zone: bool) -> Result<Self, FormatError> {
        let diagnostic = |message, help| Err(FormatError { message, help });
        let written = match strtime::format(text, &zone::example()) {
            Ok(written) => written,
            Err(error) => return diagnostic(format!("the format `{text}`: {error}"), HELP),
        };
        let read = match strtime::parse(text, &written) {
            Ok(read) => read,
            Err(error) => {
                return diagnostic(format!("the format `{text}` cannot be read: {error}"), HELP);
            }
        };
        let format = Self { text: text.to_owned(), packed: packed(text) };
        if read.timestamp().is_some() {
            return Ok(format);
        }
        if let Err(error) = read.to_datetime() {
            return diagnostic(format!("the format `{text}` does not yield a date: {error}"), HELP);
        }
        let names_instant = read.offset().is_some() || read.iana_time_zone().is_some();
        if names_instant || has_zone {
            return Ok(format);
        }
        let help = "set `zone` to the local time zone, such as `Europe/Berlin` or `UTC`";
        diagnostic(format!("the format `{text}` has no offset from UTC"), help)
    }

    /// Reads a string.
    pub(super) fn read(&self, text: &str, reader: &TimeReader) -> Result<SentTime, TimeError> {
        let refused = |reason: jiff::Error| self.refused(text, reason.to_string());
        let read = strtime::parse(&self.text, text).map_err(refused)?;
        if let Some(packed) = self.packed.iter().find(|packed| !self.is_filled(**packed, text)) {
            let directives = &self.text[packed.start..packed.end];
            let reason = format!("`{directives}` takes {} digits", packed.digits);
            return Err(self.refused(text, reason));
        }
        if let Some(timestamp) = read.timestamp() {
            return self.since_1970(text, timestamp, read.subsec_nanosecond().unwrap_or(0));
        }
        let zone = read.iana_time_zone().map(zone::of_text).transpose().map_err(refused)?;
        let local = read.to_datetime().map_err(refused)?;
        let (offset, is_leap) = (read.offset(), self.has_second_60(text, &read));
        Local { text, local, offset, zone, is_leap }.instant(reader)
    }

    fn refused(&self, text: &str, reason: String) -> TimeError {
        TimeError::NotInFormat { text: text.to_owned(), format: self.text.clone(), reason }
    }

    /// Seconds since 1970 with digits below them, which go further from 1970 on either side of it.
    fn since_1970(
        &self,
        text: &str,
        timestamp: Timestamp,
        below_ns: i32,
    ) -> Result<SentTime, TimeError> {
        let seconds = timestamp.as_second();
        // The library forgets the sign of `-0`.
        if seconds == 0 && below_ns > 0 && text.contains('-') {
            let reason = "a time less than a second before 1970 is ambiguous";
            return Err(self.refused(text, reason.to_owned()));
        }
        let below_ns = if seconds < 0 { -below_ns } else { below_ns };
        let ns = i128::from(seconds) * 1_000_000_000 + i128::from(below_ns);
        let time = Timestamp::from_nanosecond(ns).ok().and_then(SentTime::of);
        time.ok_or_else(|| TimeError::OutOfRange(text.to_owned()))
    }

    /// True if a run of numbers has all its digits in a string that fits the format.
    fn is_filled(&self, packed: Packed, text: &str) -> bool {
        let until = |end: usize| {
            BrokenDownTime::parse_prefix(&self.text[..end], text).map(|(_, length)| length)
        };
        match (until(packed.start), until(packed.end)) {
            (Ok(start), Ok(end)) => {
                let run = text.get(start..end).unwrap_or_default().trim_start();
                run.len() == packed.digits
            }
            _ => false,
        }
    }

    /// True if the second of a string is 60, which the library reads as 59: written again it is
    /// not.
    fn has_second_60(&self, text: &str, read: &BrokenDownTime) -> bool {
        let count = |text: &str| text.matches("60").count();
        let is_less = |again: String| count(&again) < count(text);
        read.second() == Some(59)
            && count(text) > 0
            && read.to_string(&self.text).is_ok_and(is_less)
    }
}

/// The runs of numbers in a format.
fn packed(format: &str) -> Vec<Packed> {
    let mut runs: Vec<(Packed, usize)> = Vec::new();
    let bytes = format.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'%' {
            at += 1;
            continue;
        }
        let Some(digits) = bytes.get(at + 1).and_then(|directive| digits_of(*directive)) else {
            // Also `%%`, and a directive with flags, whose letter is passed as text.
            at += 2;
            continue;
        };
        match runs.last_mut().filter(|(run, _)| run.end == at) {
            Some((run, count)) => {
                run.end = at + 2;
                run.digits += digits;
                *count += 1;
            }
            None => runs.push((Packed { start: at, end: at + 2, digits }, 1)),
        }
        at += 2;
    }
    runs.into_iter().filter(|(_, count)| *count > 1).map(|(run, _)| run).collect()
}

/// Digits of a directive that stands for a number of a fixed width.
fn digits_of(directive: u8) -> Option<usize> {
    match directive {
        b'Y' | b'G' => Some(4),
        b'j' => Some(3),
        b'm' | b'd' | b'H' | b'I' | b'M' | b'S' | b'y' | b'g' | b'C' | b'U' | b'V' | b'W' => {
            Some(2)
        }
        b'u' | b'w' => Some(1),
        _ => None,
    }
}
