//! Objects: one sorted list of members.

use super::value::{ABSENT, end, write_text};
use super::{NUMBER_NAME, Text, Unreadable, Value};

/// An object: members sorted by name, each name once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Map {
    members: Vec<(Text, Value)>,
}

/// Up to this many members a search from the first is faster than one by halves.
const FEW_MEMBERS: usize = 12;

impl Map {
    /// An empty object.
    #[must_use]
    pub const fn new() -> Self {
        Self { members: Vec::new() }
    }

    /// An empty object with room for so many members.
    #[must_use]
    pub fn with_capacity(members: usize) -> Self {
        Self { members: Vec::with_capacity(members) }
    }

    /// An object of nulls under these names, which are sorted, each once.
    pub(crate) fn of_nulls(names: &[Text]) -> Self {
        debug_assert!(names.is_sorted_by(|left, right| left < right));
        Self { members: names.iter().map(|name| (name.clone(), Value::Null)).collect() }
    }

    /// The value of the member at a place in the order of names, to change.
    pub(crate) fn value_at(&mut self, place: usize) -> &mut Value {
        &mut self.members[place].1
    }

    /// Takes the members out whose value is null.
    pub(crate) fn remove_nulls(&mut self) {
        self.members.retain(|(_, value)| !value.is_null());
    }

    /// Takes members in any order; `Err` where a name stands twice.
    pub(super) fn from_members(mut members: Vec<(Text, Value)>) -> Result<Self, ()> {
        if !members.is_sorted_by(|left, right| left.0 < right.0) {
            members.sort_unstable_by(|left, right| left.0.cmp(&right.0));
            if members.windows(2).any(|pair| pair[0].0 == pair[1].0) {
                return Err(());
            }
        }
        Ok(Self { members })
    }

    /// Appends a member whose name is behind all others; a caller that cannot promise this uses
    /// [`Map::insert`].
    pub(crate) fn push_last(&mut self, name: Text, value: Value) {
        debug_assert!(self.members.last().is_none_or(|(last, _)| *last < name));
        self.members.push((name, value));
    }

    /// The index of a name, or the index at which it would be inserted.
    fn find(&self, name: &str) -> Result<usize, usize> {
        self.members.binary_search_by(|(member, _)| member.as_str().cmp(name))
    }

    /// The index of a name.
    fn position(&self, name: &str) -> Option<usize> {
        position(&self.members, name)
    }

    /// Number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// True if there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.position(name).map(|at| &self.members[at].1)
    }

    /// The value of a name and its place in the order of names, looked for from a place on.
    pub(crate) fn get_from(&self, place: usize, name: &str) -> Option<(usize, &Value)> {
        let members = self.members.get(place..)?;
        let at = position(members, name)?;
        Some((place + at, &members[at].1))
    }

    /// The value of a name, to change.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.position(name).map(|at| &mut self.members[at].1)
    }

    /// True if it has the name.
    #[must_use]
    pub fn contains_key(&self, name: &str) -> bool {
        self.position(name).is_some()
    }

    /// Puts a value under a name; gives the one before. Takes time with the number of members: many
    /// are better collected.
    pub fn insert(&mut self, name: impl Into<Text>, value: Value) -> Option<Value> {
        let name = name.into();
        if self.members.last().is_none_or(|(last, _)| *last < name) {
            self.members.push((name, value));
            return None;
        }
        match self.find(&name) {
            Ok(at) => Some(std::mem::replace(&mut self.members[at].1, value)),
            Err(at) => {
                self.members.insert(at, (name, value));
                None
            }
        }
    }

    /// The value of a name, put there where it is absent.
    pub fn get_or_insert(&mut self, name: &str, value: impl FnOnce() -> Value) -> &mut Value {
        let is_last = self.members.last().is_none_or(|(last, _)| last.as_str() < name);
        let found = if is_last { Err(self.members.len()) } else { self.find(name) };
        let at = found.unwrap_or_else(|at| {
            self.members.insert(at, (name.into(), value()));
            at
        });
        &mut self.members[at].1
    }

    /// Takes a member out.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        self.find(name).ok().map(|at| self.members.remove(at).1)
    }

    /// The members in order of their names.
    pub fn iter(&self) -> Iter<'_> {
        self.members.iter().map(|(name, value)| (name, value))
    }

    /// The names in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &Text> {
        self.members.iter().map(|(name, _)| name)
    }

    /// The values in order of their names.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &Value> {
        self.members.iter().map(|(_, value)| value)
    }

    /// The members in order of their names.
    #[must_use]
    pub fn as_slice(&self) -> &[(Text, Value)] {
        &self.members
    }
}

/// The index of a name among members. With few members, most differ in length or in the first
/// bytes.
fn position(members: &[(Text, Value)], name: &str) -> Option<usize> {
    match members.len() <= FEW_MEMBERS {
        true => members.iter().position(|(member, _)| member.as_str() == name),
        false => members.binary_search_by(|(member, _)| member.as_str().cmp(name)).ok(),
    }
}

/// The members of an object in order of their names.
pub type Iter<'a> = std::iter::Map<
    std::slice::Iter<'a, (Text, Value)>,
    fn(&'a (Text, Value)) -> (&'a Text, &'a Value),
>;

impl<'a> IntoIterator for &'a Map {
    type Item = (&'a Text, &'a Value);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl IntoIterator for Map {
    type Item = (Text, Value);
    type IntoIter = std::vec::IntoIter<(Text, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.members.into_iter()
    }
}

/// Of equal names the last holds.
impl<T: Into<Text>> FromIterator<(T, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (T, Value)>>(members: I) -> Self {
        let mut members: Vec<_> =
            members.into_iter().map(|(name, value)| (name.into(), value)).collect();
        if !members.is_sorted_by(|left: &(Text, Value), right| left.0 < right.0) {
            members.sort_by(|left, right| left.0.cmp(&right.0));
            members.reverse();
            members.dedup_by(|left, right| left.0 == right.0);
            members.reverse();
        }
        Self { members }
    }
}

impl Map {
    /// Appends the canonical bytes.
    pub fn write_to(&self, bytes: &mut Vec<u8>) {
        // Without bounds nothing is refused.
        let _ = self.write::<false>(usize::MAX, bytes);
    }

    pub(super) fn write<const READABLE: bool>(
        &self,
        depth_left: usize,
        bytes: &mut Vec<u8>,
    ) -> Result<(), Unreadable> {
        let depth_left = depth_left.checked_sub(1).ok_or(Unreadable::TooDeep)?;
        let mut separator = b'{';
        for (name, value) in &self.members {
            if READABLE && name == NUMBER_NAME {
                return Err(Unreadable::ReservedName);
            }
            bytes.push(separator);
            separator = b',';
            write_text(name, bytes);
            bytes.push(b':');
            value.write::<READABLE>(depth_left, bytes)?;
        }
        end(separator, b"{}", bytes);
        Ok(())
    }
}

/// The value of a name; `null` where there is none.
impl std::ops::Index<&str> for Map {
    type Output = Value;

    fn index(&self, name: &str) -> &Value {
        self.get(name).unwrap_or(&ABSENT)
    }
}
