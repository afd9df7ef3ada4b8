//! Parts of the identity's form that have a short and a long spelling.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::{FullTimeForm, FullTopicForm, TimeForm, TopicForm, TopicKey};

impl<'de> Deserialize<'de> for TimeForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;

        impl<'de> Visitor<'de> for Form {
            type Value = TimeForm;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path or an expression, with or without options")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<TimeForm, E> {
                Ok(TimeForm::Short(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<TimeForm, A::Error> {
                let full = FullTimeForm::deserialize(MapAccessDeserializer::new(access))?;
                Ok(TimeForm::Full(Box::new(full)))
            }
        }

        deserializer.deserialize_any(Form)
    }
}

impl<'de> Deserialize<'de> for TopicForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;

        impl<'de> Visitor<'de> for Form {
            type Value = TopicForm;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`key`, or `template`, `header` or `path`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<TopicForm, E> {
                match text {
                    "key" => Ok(TopicForm::Short(TopicKey::Key)),
                    _ => Err(E::custom(format!(
                        "`{text}` is not a source of a topic; only `key` is"
                    ))),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<TopicForm, A::Error> {
                let full = FullTopicForm::deserialize(MapAccessDeserializer::new(access))?;
                Ok(TopicForm::Full(full))
            }
        }

        deserializer.deserialize_any(Form)
    }
}
