//! YAML with the place of each value, so that a fault names line and column.

use std::borrow::Cow;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::fault::{Fault, Place};
use crate::limits::MAX_DEFINITION_BYTES;

/// A value and where it stands in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Located<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = serde_saphyr::Spanned::<T>::deserialize(deserializer)?;
        let place = place_of(spanned.referenced);
        Ok(Self { value: spanned.value, place })
    }
}

impl<T: schemars::JsonSchema> schemars::JsonSchema for Located<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        generator.subschema_for::<T>()
    }
}

fn place_of(location: serde_saphyr::Location) -> Place {
    Place { line: location.line().max(1), column: location.column().max(1) }
}

/// Reads every document of a YAML text. The first fault of form ends the reading: what follows it
/// cannot be trusted.
pub fn parse<T: DeserializeOwned>(file: &Path, text: &str) -> Result<Vec<T>, Fault> {
    if text.len() > MAX_DEFINITION_BYTES {
        let message =
            format!("the file has {} bytes, the limit is {MAX_DEFINITION_BYTES}", text.len());
        return Err(Fault::error(file, Place::START, message));
    }
    serde_saphyr::from_multiple(text).map_err(|error| {
        let place = error.location().map_or(Place::START, place_of);
        let error = error.without_snippet();
        Fault::error(file, place, error.to_string())
    })
}
