//! Parts of the form that have a short and a long spelling.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{
    Entries, ExtensionForm, FieldForm, ForEachForm, FullFieldForm, FullForEachForm, OneOrMany,
};

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

struct EntriesVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
    type Value = Entries<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of names to values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Entries<T>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}

impl<T: JsonSchema> JsonSchema for Entries<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        <BTreeMap<String, T>>::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        <BTreeMap<String, T>>::json_schema(generator)
    }
}

impl<'de> Deserialize<'de> for FieldForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;

        impl<'de> Visitor<'de> for Form {
            type Value = FieldForm;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSONPath, or `path`, `constant` or `expression` with its options")
            }

            fn visit_str<E: Error>(self, path: &str) -> Result<FieldForm, E> {
                Ok(FieldForm::Path(path.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<FieldForm, A::Error> {
                let full = FullFieldForm::deserialize(MapAccessDeserializer::new(access))?;
                Ok(FieldForm::Full(Box::new(full)))
            }
        }

        deserializer.deserialize_any(Form)
    }
}

impl<'de> Deserialize<'de> for ForEachForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;

        impl<'de> Visitor<'de> for Form {
            type Value = ForEachForm;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSONPath, or `expression` with CEL that returns a list")
            }

            fn visit_str<E: Error>(self, path: &str) -> Result<ForEachForm, E> {
                Ok(ForEachForm::Path(path.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<ForEachForm, A::Error> {
                let full = FullForEachForm::deserialize(MapAccessDeserializer::new(access))?;
                Ok(ForEachForm::Full(full))
            }
        }

        deserializer.deserialize_any(Form)
    }
}

impl<'de> Deserialize<'de> for ExtensionForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;

        impl Visitor<'_> for Form {
            type Value = ExtensionForm;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, or a dotted name")
            }

            fn visit_bool<E: Error>(self, flag: bool) -> Result<ExtensionForm, E> {
                Ok(ExtensionForm::Flag(flag))
            }

            fn visit_str<E: Error>(self, target: &str) -> Result<ExtensionForm, E> {
                // Booleans in YAML 1.1, which hardly name a field.
                if ["yes", "no", "on", "off"].contains(&target.to_ascii_lowercase().as_str()) {
                    let message = format!("`{target}` is a string; `true` or `false` is expected");
                    return Err(E::custom(message));
                }
                Ok(ExtensionForm::Target(target.to_owned()))
            }
        }

        deserializer.deserialize_any(Form)
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;

        impl<'de> Visitor<'de> for Form {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany::One(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    texts.push(text);
                }
                Ok(OneOrMany::Many(texts))
            }
        }

        deserializer.deserialize_any(Form)
    }
}
