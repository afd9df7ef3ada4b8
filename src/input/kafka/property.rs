//! The value of one property of librdkafka.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

/// A property's value. It may be a secret and never shows.
#[derive(Clone, PartialEq, Eq, JsonSchema)]
#[schemars(transparent)]
pub struct Property(#[schemars(with = "serde_json::Value")] String);

impl Property {
    /// A value with its references to secrets resolved.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The value, for resolving references in it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl<'de> Deserialize<'de> for Property {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Property;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a number, true or false")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Property, E> {
                Ok(Property::new(value))
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Property, E> {
                Ok(Property::new(value.to_string()))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Property, E> {
                Ok(Property::new(value.to_string()))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Property, E> {
                Ok(Property::new(value.to_string()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
