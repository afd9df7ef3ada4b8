//! The Kafka source as it is written in the configuration.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, de};

use crate::codec::yaml::Located;
use crate::input::kafka::property::Property;

/// Kafka as source.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaForm {
    /// Addresses of the cluster: `host:port`, several separated by commas.
    pub brokers: Located<String>,
    /// Consumer group. One ledger owns one group.
    pub group: Located<String>,
    /// Topics to read.
    pub topics: Located<Topics>,
    /// Start offset of a first start, in partitions that the ledger has not read.
    #[serde(default)]
    pub start: Start,
    /// Stream epochs of topics that were deleted and made again, or that lost records; 0 where not
    /// named.
    #[serde(default)]
    pub epochs: BTreeMap<String, Located<Epoch>>,
    /// Any other property of librdkafka, for example `security.protocol: SASL_SSL`.
    #[serde(default)]
    pub properties: BTreeMap<String, Located<Property>>,
}

/// The start offset of a first start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// With the oldest record that the broker still has.
    #[default]
    Earliest,
    /// With records that come after the first start. From the first start on, the group's offset
    /// keeps the place until the ledger has a record. A partition that is created later is read
    /// from its beginning.
    Latest,
}

/// The topics that are read.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(transparent)]
pub struct Topics(
    /// Their names; the text itself where the file has one text in place of a list.
    #[schemars(with = "Vec<String>")]
    pub Result<Vec<Located<String>>, String>,
);

impl Topics {
    /// The names, for resolving references in them.
    pub fn names_mut(&mut self) -> impl Iterator<Item = &mut Located<String>> {
        self.0.iter_mut().flatten()
    }
}

impl<'de> Deserialize<'de> for Topics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Topics;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of topics: `[telemetry]`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Topics, E> {
                Ok(Topics(Err(text.to_owned())))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Topics, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = list.next_element()? {
                    names.push(name);
                }
                Ok(Topics(Ok(names)))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A stream epoch: a number, or a number and where the epoch begins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Epoch {
    /// Counts the epochs of a topic, from 0.
    pub number: u32,
    /// The start offsets of the epoch's partitions; `None` starts them like a first start.
    pub continue_at: Option<BTreeMap<u32, u64>>,
}

/// A stream epoch with the offsets that it begins at.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EpochForm {
    /// Counts the epochs of the topic: one more than before.
    epoch: u32,
    /// Offset to begin at, by partition. A partition that is not named goes on where the epoch
    /// before ended, or at the first record that the topic still has.
    continue_at: BTreeMap<u32, u64>,
}

impl JsonSchema for Epoch {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Epoch".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let (number, form) =
            (generator.subschema_for::<u32>(), generator.subschema_for::<EpochForm>());
        schemars::json_schema!({ "anyOf": [number, form] })
    }
}

impl<'de> Deserialize<'de> for Epoch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Epoch;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or `{ epoch: 1, continue_at: { PARTITION: OFFSET } }`")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Epoch, E> {
                let number = u32::try_from(number)
                    .map_err(|_| E::custom(format_args!("{number} is too large for an epoch")))?;
                Ok(Epoch { number, continue_at: None })
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Epoch, E> {
                let number = u64::try_from(number)
                    .map_err(|_| E::custom(format_args!("{number} is below 0")))?;
                self.visit_u64(number)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Epoch, A::Error> {
                let form = EpochForm::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Epoch { number: form.epoch, continue_at: Some(form.continue_at) })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
