//! The shape of a YAML document, whatever its form: names and elements with their places.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::Located;
use crate::diagnostic::Place;

/// A value with the places of its parts.
#[derive(Debug)]
pub(super) enum Outline {
    Mapping(Vec<(Located<Name>, Located<Outline>)>),
    List(Vec<Located<Outline>>),
    Scalar,
}

/// A key as text; `None` for null.
pub(super) type Name = Option<String>;

impl Outline {
    /// Calls back with every key that its mapping has already.
    pub(super) fn duplicates(&self, found: &mut impl FnMut(Place, &str)) {
        match self {
            Self::Mapping(entries) => {
                let mut known = HashSet::new();
                for (name, value) in entries {
                    if !known.insert(&name.value) {
                        found(name.place, name.value.as_deref().unwrap_or("null"));
                    }
                    value.value.duplicates(found);
                }
            }
            Self::List(elements) => {
                elements.iter().for_each(|element| element.value.duplicates(found));
            }
            Self::Scalar => {}
        }
    }

    /// The places of the parts, in order.
    pub(super) fn places(&self) -> Vec<Place> {
        match self {
            Self::Mapping(entries) => entries.iter().map(|(name, _)| name.place).collect(),
            Self::List(elements) => elements.iter().map(|element| element.place).collect(),
            Self::Scalar => Vec::new(),
        }
    }
}

impl<'de> Deserialize<'de> for Outline {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OutlineVisitor)
    }
}

struct OutlineVisitor;

/// Methods that take any scalar.
macro_rules! scalar {
    ($($method:ident($($value:ty)?))*) => {
        $(fn $method<E: Error>(self, $(_: $value)?) -> Result<Outline, E> {
            Ok(Outline::Scalar)
        })*
    };
}

impl<'de> Visitor<'de> for OutlineVisitor {
    type Value = Outline;

    scalar! {
        visit_unit() visit_bool(bool) visit_i64(i64) visit_i128(i128) visit_u64(u64)
        visit_u128(u128) visit_f64(f64) visit_str(&str)
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Outline, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = list.next_element()? {
            elements.push(element);
        }
        Ok(Outline::List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut mapping: A) -> Result<Outline, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = mapping.next_entry()? {
            entries.push(entry);
        }
        Ok(Outline::Mapping(entries))
    }
}
