//! Which values of a document anyone will ask for.

use std::hash::BuildHasher as _;

use foldhash::fast::FixedState;

use super::{Map, Text, Value};

/// Up to this many members a search from the first is faster than one by halves.
const FEW_MEMBERS: usize = 12;

/// What is kept of a document. Whatever it is, all of the document is read as strictly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// All of it.
    Everything,
    /// Of an object these members; what is no object as it is.
    Members(Vec<Member>),
}

/// One member that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub(super) name: Text,
    /// The hash of the name: nearly always, names that differ have hashes that differ.
    pub(super) hash: u64,
    /// What is kept of its value.
    pub(super) wanted: Wanted,
}

/// The hash of a member's name, the same for the same name.
pub(super) fn hash(name: &str) -> u64 {
    FixedState::default().hash_one(name)
}

/// The member of this name, of members sorted by name.
pub(super) fn find<'w>(wanted: &'w [Member], name: &str, hash: u64) -> Option<&'w Member> {
    if wanted.len() <= FEW_MEMBERS {
        return wanted.iter().find(|member| member.hash == hash && member.name == name);
    }
    wanted.binary_search_by(|member| member.name.as_str().cmp(name)).ok().map(|at| &wanted[at])
}

impl Wanted {
    /// No member of anything.
    pub const NOTHING: Self = Self::Members(Vec::new());

    /// Keeps the value at the end of these names too, with everything below it.
    pub fn add<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        let end = names.into_iter().fold(self, Self::below);
        *end = Self::Everything;
    }

    /// What is kept of a member, to change; a member of what is kept as a whole is as well.
    pub fn below(&mut self, name: &str) -> &mut Self {
        let Self::Members(members) = self else { return self };
        let found = members.binary_search_by(|member| member.name.as_str().cmp(name));
        let at = found.unwrap_or_else(|at| {
            members.insert(at, Member::new(name));
            at
        });
        &mut members[at].wanted
    }

    /// Keeps what another keeps too.
    pub fn extend(&mut self, other: &Self) {
        match other {
            Self::Everything => *self = Self::Everything,
            Self::Members(members) => {
                members.iter().for_each(|one| self.below(&one.name).extend(&one.wanted));
            }
        }
    }

    /// Of a value what is kept.
    pub(super) fn of(&self, value: Value) -> Value {
        match (self, value) {
            (Self::Members(wanted), Value::Object(members)) => {
                let kept = members.into_iter().filter_map(|(name, value)| {
                    let member = find(wanted, &name, hash(&name))?;
                    Some((name, member.wanted.of(value)))
                });
                Value::Object(kept.collect::<Map>())
            }
            (_, value) => value,
        }
    }
}

impl Member {
    fn new(name: &str) -> Self {
        Self { name: name.into(), hash: hash(name), wanted: Wanted::NOTHING }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::json::json;

    fn kept(paths: &[&[&str]], value: Value) -> Value {
        let mut wanted = Wanted::NOTHING;
        paths.iter().for_each(|names| wanted.add(names.iter().copied()));
        wanted.of(value)
    }

    #[test]
    fn what_is_wanted_is_kept_with_everything_below_it() {
        let value = || json!({"a": {"x": 1, "y": {"z": 2}}, "b": [{"x": 1}], "c": null});
        for (paths, expected) in [
            (&[][..], json!({})),
            (&[&[][..]], value()),
            (&[&["a", "y"]], json!({"a": {"y": {"z": 2}}})),
            (&[&["a", "y"], &["a"]], json!({"a": {"x": 1, "y": {"z": 2}}})),
            (&[&["a"], &["a", "y"]], json!({"a": {"x": 1, "y": {"z": 2}}})),
            (&[&["b", "x"], &["c", "x"]], json!({"b": [{"x": 1}], "c": null})),
            (&[&["d"], &["a", "w"]], json!({"a": {}})),
        ] {
            assert_eq!(kept(paths, value()), expected, "{paths:?}");
        }
    }

    #[test]
    fn both_are_kept_of_two() {
        let (mut left, mut right) = (Wanted::NOTHING, Wanted::NOTHING);
        left.add(["a", "x"]);
        right.add(["a", "y"]);
        right.add(["b"]);
        left.extend(&right);
        let value = json!({"a": {"x": 1, "y": 2, "z": 3}, "b": {"c": 4}, "d": 5});
        assert_eq!(left.of(value), json!({"a": {"x": 1, "y": 2}, "b": {"c": 4}}));
        left.extend(&Wanted::Everything);
        assert_eq!(left, Wanted::Everything);
    }
}
