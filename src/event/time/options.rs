//! The options of a time in a YAML file, and the resulting reader.

use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;

use super::format::{Format, FormatError};
use super::{TimeReader, zone};
use crate::codec::yaml::Located;
use crate::diagnostic::Diagnostic;

/// The unit of a number that is a time since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Seconds.
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
    /// Nanoseconds.
    Ns,
    /// The one of these in which the number lies between 1990 and a year after the record.
    Auto,
}

impl Unit {
    /// The units that are one.
    pub(super) const ALL: [Self; 4] = [Self::S, Self::Ms, Self::Us, Self::Ns];

    /// The name in YAML.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::S => "s",
            Self::Ms => "ms",
            Self::Us => "us",
            Self::Ns => "ns",
            Self::Auto => "auto",
        }
    }

    /// The power of ten that makes nanoseconds of it.
    pub(super) fn digits(self) -> i32 {
        match self {
            Self::S => 9,
            Self::Ms | Self::Auto => 6,
            Self::Us => 3,
            Self::Ns => 0,
        }
    }

    /// Nanoseconds of one.
    pub(super) fn nanoseconds(self) -> i128 {
        match self {
            Self::S => 1_000_000_000,
            Self::Ms | Self::Auto => 1_000_000,
            Self::Us => 1_000,
            Self::Ns => 1,
        }
    }
}

/// The reading of a local time that there is twice, when the clocks are put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ambiguous {
    /// The value is refused.
    #[default]
    Refuse,
    /// The first of the two, before the clocks are put back.
    Earlier,
    /// The second, after it.
    Later,
}

/// The options as a file has them.
#[derive(Debug, Clone, Copy)]
pub struct TimeOptions<'a> {
    /// `unit`.
    pub unit: Option<&'a Located<Unit>>,
    /// `zone`.
    pub zone: Option<&'a Located<String>>,
    /// `format`.
    pub format: Option<&'a Located<String>>,
    /// `ambiguous`.
    pub ambiguous: Option<&'a Located<Ambiguous>>,
}

impl TimeOptions<'_> {
    /// True if none is given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first_place().is_none()
    }

    /// The place of the first one that is given.
    #[must_use]
    pub fn first_place(&self) -> Option<crate::diagnostic::Place> {
        let places = [
            self.unit.map(|unit| unit.place),
            self.zone.map(|zone| zone.place),
            self.format.map(|format| format.place),
            self.ambiguous.map(|ambiguous| ambiguous.place),
        ];
        places.into_iter().flatten().min()
    }

    /// The reader with these options, or every fault in them.
    ///
    /// # Errors
    ///
    /// An unknown zone, a format that cannot be read or lacks its zone, options that exclude each
    /// other.
    pub fn reader(&self, file: &Path) -> Result<TimeReader, Vec<Diagnostic>> {
        let mut diagnostics = Vec::new();
        let mut zone = None;
        if let Some(named) = self.zone {
            match zone::named(&named.value) {
                Ok(found) => zone = Some(found),
                Err(help) => {
                    let message = format!("there is no time zone `{}`", named.value);
                    diagnostics.push(Diagnostic::error(file, named.place, message).help(help));
                }
            }
        }
        if let (Some(unit), Some(_)) = (self.unit, self.format) {
            let message = "`unit` is for numbers and `format` for text";
            diagnostics
                .push(Diagnostic::error(file, unit.place, message).help("remove one of them"));
        }
        let mut format = None;
        if let Some(written) = self.format {
            match Format::new(&written.value, self.zone.is_some()) {
                Ok(checked) => format = Some(checked),
                Err(FormatError { message, help }) => {
                    diagnostics.push(Diagnostic::error(file, written.place, message).help(help));
                }
            }
        }
        if !diagnostics.is_empty() {
            return Err(diagnostics);
        }
        Ok(TimeReader {
            unit: self.unit.map(|unit| unit.value),
            zone,
            format,
            ambiguous: self.ambiguous.map(|located| located.value).unwrap_or_default(),
        })
    }
}
