//! The structure of a payload's arguments, fixed before the first event.

use crate::codec::json::{Map, Text, Value};

use super::field::Field;

/// The places of a mapping's fields.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// The names in order, where none stands within another.
    names: Vec<Text>,
    /// The place of each field among the names, in the order of the file.
    places: Vec<usize>,
}

impl Layout {
    /// The layout of these fields.
    pub fn of(fields: &[Field]) -> Self {
        let names = fields.iter().map(|field| match field.names.as_slice() {
            [name] => Some(name.as_str()),
            _ => None,
        });
        let Some(names) = names.collect::<Option<Vec<&str>>>() else { return Self::default() };
        let mut sorted = names.clone();
        sorted.sort_unstable();
        let places = names.iter().filter_map(|name| sorted.binary_search(name).ok()).collect();
        Self { names: sorted.into_iter().map(Text::new).collect(), places }
    }

    /// Arguments in which every place is free.
    pub fn free(&self) -> Map {
        Map::of_nulls(&self.names)
    }

    /// The place of a field, which is the one of this number. Compiling made sure that no value stands
    /// on the way.
    pub fn place<'a>(&self, arguments: &'a mut Map, number: usize, field: &Field) -> &'a mut Value {
        match self.places.get(number) {
            Some(place) => arguments.value_at(*place),
            None => at(arguments, &field.names),
        }
    }
}

/// The slot for these names.
pub(super) fn at<'a>(arguments: &'a mut Map, names: &[String]) -> &'a mut Value {
    let mut names = names.iter();
    let first = names.next().map_or("", String::as_str);
    let mut place = arguments.get_or_insert(first, || Value::Null);
    for name in names {
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        place = match place {
            Value::Object(inner) => inner.get_or_insert(name, || Value::Null),
            other => other,
        };
    }
    place
}
