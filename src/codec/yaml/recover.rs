//! Recovery from errors, so that all of them are reported and not only the first.
//!
//! The YAML library reads straight into a form and stops at the first value that does not fit.
//! Such a document is read repeatedly: each reading steps over the faults of the readings before,
//! until one succeeds. An entry with an unknown name is skipped; a value of the wrong type, and one
//! that is missing, is replaced by a [`Hole`], which takes whatever shape the form asks for. So
//! each fault is reported once and causes no others. A form with holes serves to find more faults
//! and nothing else.

mod hole;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use hole::Hole;

/// Path from the root to a node: its number at each level, even for keys, odd for values.
type Path = Vec<usize>;

/// The faults of the readings so far.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    /// Values to replace and keys to skip, with the number of replacements that did not fit.
    holes: BTreeMap<Path, usize>,
    /// Names to add to a mapping.
    missing: BTreeMap<Path, Vec<String>>,
    /// The innermost node that the present reading failed at, and whether it was a hole.
    failed: Option<(Path, bool)>,
}

/// Relation of a newly found error to earlier ones.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A fault of the document, in the mapping or list at this path.
    New(Path),
    /// A replacement that did not fit; another was noted.
    Known,
    /// A fault of the document as a whole, which nothing can step over.
    Last,
    /// A node that no replacement fits.
    Stuck,
}

impl Recovery {
    /// Wraps the library's deserializer for a reading that steps over the known faults.
    pub(super) fn root<D>(this: &RefCell<Self>, inner: D) -> Node<'_, D> {
        this.borrow_mut().failed = None;
        Node { inner, at: At { recovery: this, path: Path::new() } }
    }

    /// Notes what the next reading must step over: the node that this one failed at or, for a
    /// mapping that lacks a name, that name.
    pub(super) fn note(&mut self, missing: Option<&str>) -> Found {
        let (path, is_hole) = self.failed.take().unwrap_or_default();
        let parent = path[..path.len().saturating_sub(1)].to_vec();
        let known = if is_hole { Found::Known } else { Found::New(parent.clone()) };
        if let Some(name) = missing {
            let names = self.missing.entry(path.clone()).or_default();
            if names.iter().any(|known| known == name) {
                return Found::Stuck;
            }
            names.push(name.to_owned());
            return if is_hole { known } else { Found::New(path) };
        }
        if path.is_empty() {
            return Found::Last;
        }
        let failures = self.holes.entry(path).or_default();
        *failures += usize::from(is_hole);
        if *failures >= hole::REPLACEMENTS {
            if parent.is_empty() {
                return Found::Stuck;
            }
            self.holes.entry(parent).or_default();
        }
        known
    }
}

/// A node of the document.
#[derive(Clone)]
struct At<'s> {
    recovery: &'s RefCell<Recovery>,
    path: Path,
}

impl<'s> At<'s> {
    fn child(&self, number: usize) -> Self {
        let mut path = self.path.clone();
        path.push(number);
        Self { recovery: self.recovery, path }
    }

    /// The number of replacements that did not fit, for a node that is a hole.
    fn hole(&self) -> Option<usize> {
        self.recovery.borrow().holes.get(&self.path).copied()
    }

    /// A name to add to the mapping here, by its number.
    fn missing(&self, number: usize) -> Option<String> {
        self.recovery.borrow().missing.get(&self.path)?.get(number).cloned()
    }

    /// Passes a result on. The first node that fails is the innermost one.
    fn watch<T, E>(&self, result: Result<T, E>, is_hole: bool) -> Result<T, E> {
        if result.is_err() {
            let mut recovery = self.recovery.borrow_mut();
            recovery.failed.get_or_insert_with(|| (self.path.clone(), is_hole));
        }
        result
    }

    /// Reads a node that is not in the document.
    fn fill<'de, S: DeserializeSeed<'de>, E: Error>(&self, seed: S) -> Result<S::Value, E> {
        let failures = self.hole().unwrap_or_default();
        self.watch(seed.deserialize(Hole::new(self.clone(), failures)), true)
    }
}

/// A deserializer, visitor or seed, with the path of its node.
pub(super) struct Node<'s, D> {
    inner: D,
    at: At<'s>,
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Node<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        let Self { inner: seed, at } = self;
        if at.hole().is_some() {
            at.watch(serde::Deserialize::deserialize(deserializer).map(|IgnoredAny| ()), true)?;
            return at.fill(seed);
        }
        let node = Node { inner: deserializer, at: at.clone() };
        at.watch(seed.deserialize(node), false)
    }
}

/// Methods that hand the visitor to the library, unwrapped for values without parts.
macro_rules! read {
    ($($leaf:ident)*; $($nested:ident($($argument:ident: $type:ty),*))*) => {
        $(fn $leaf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$leaf(visitor)
        })*
        $(fn $nested<V: Visitor<'de>>(
            self, $($argument: $type,)* visitor: V,
        ) -> Result<V::Value, D::Error> {
            self.inner.$nested($($argument,)* Node { inner: visitor, at: self.at })
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Node<'_, D> {
    type Error = D::Error;

    read! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char deserialize_str
        deserialize_string deserialize_bytes deserialize_byte_buf deserialize_unit
        deserialize_identifier deserialize_ignored_any;
        deserialize_any() deserialize_option() deserialize_seq() deserialize_map()
        deserialize_unit_struct(name: &'static str)
        deserialize_newtype_struct(name: &'static str)
        deserialize_tuple(length: usize)
        deserialize_tuple_struct(name: &'static str, length: usize)
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// Methods that hand a value without parts to the form.
macro_rules! give {
    ($($method:ident: $type:ty,)*) => {
        $(fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$method(value)
        })*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Node<'_, V> {
    type Value = V::Value;

    give! {
        visit_bool: bool, visit_i64: i64, visit_i128: i128, visit_u64: u64, visit_u128: u128,
        visit_f64: f64, visit_char: char, visit_str: &str, visit_borrowed_str: &'de str,
        visit_string: String, visit_bytes: &[u8], visit_byte_buf: Vec<u8>,
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(Node { inner, at: self.at })
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(Node { inner, at: self.at })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_seq(Parts { inner, at: self.at, number: 0, added: 0 })
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Parts { inner, at: self.at, number: 0, added: 0 })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(Node { inner, at: self.at })
    }
}

/// The elements of a list, or the entries of a mapping and then those that it lacks.
struct Parts<'s, A> {
    inner: A,
    at: At<'s>,
    /// The parts that were asked for.
    number: usize,
    /// Those of them that the mapping lacks.
    added: usize,
}

impl<'s, A> Parts<'s, A> {
    fn key<S>(&self, inner: S) -> Node<'s, S> {
        Node { inner, at: self.at.child(2 * self.number) }
    }

    fn value<S>(&self, inner: S) -> Node<'s, S> {
        Node { inner, at: self.at.child(2 * self.number + 1) }
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Parts<'_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let seed = self.value(seed);
        self.number += 1;
        self.inner.next_element_seed(seed)
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Parts<'_, A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        while self.added == 0 && self.key(()).at.hole().is_some() {
            self.inner.next_entry::<IgnoredAny, IgnoredAny>()?;
            self.number += 1;
        }
        let mut seed = Some(seed);
        if self.added == 0 {
            let once = Once { seed: &mut seed, at: self.key(()).at };
            if let Some(key) = self.inner.next_key_seed(once)? {
                return Ok(Some(key));
            }
        }
        let (Some(name), Some(seed)) = (self.at.missing(self.added), seed) else { return Ok(None) };
        self.added += 1;
        seed.deserialize(serde::de::value::StringDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        let Node { inner: seed, at } = self.value(seed);
        self.number += 1;
        if self.added > 0 {
            return at.fill(seed);
        }
        self.inner.next_value_seed(Node { inner: seed, at })
    }
}

/// The seed of a key. It is left in place where the document has no further entry.
struct Once<'s, 'k, S> {
    seed: &'k mut Option<S>,
    at: At<'s>,
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Once<'_, '_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        let Some(seed) = self.seed.take() else {
            return Err(Error::custom("a key is read once"));
        };
        self.at.watch(seed.deserialize(deserializer), false)
    }
}

impl<'de, 's, A: EnumAccess<'de>> EnumAccess<'de> for Node<'s, A> {
    type Error = A::Error;
    type Variant = Node<'s, A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), A::Error> {
        let (name, inner) = self.inner.variant_seed(seed)?;
        Ok((name, Node { inner, at: self.at }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Node<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.newtype_variant_seed(Node { inner: seed, at: self.at.child(1) })
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, v: V) -> Result<V::Value, A::Error> {
        self.inner.tuple_variant(length, Node { inner: v, at: self.at })
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.inner.struct_variant(fields, Node { inner: visitor, at: self.at })
    }
}
