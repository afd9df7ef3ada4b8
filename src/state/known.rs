//! A filter of the assets that the store may contain. A new asset is recognised without a read of
//! the store, which would wait for writes in progress.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{PoisonError, RwLock};

use crate::limits::MAX_KNOWN_ASSETS;

/// Hashes of all keys that the store may hold, as long as they are not too many.
#[derive(Debug)]
pub struct Known {
    hasher: RandomState,
    /// `None` once there were too many: then any may be there.
    hashes: RwLock<Option<HashSet<u64>>>,
    max: usize,
}

impl Default for Known {
    fn default() -> Self {
        Self::up_to(MAX_KNOWN_ASSETS)
    }
}

impl Known {
    fn up_to(max: usize) -> Self {
        Self { hasher: RandomState::new(), hashes: RwLock::new(Some(HashSet::new())), max }
    }

    /// Takes a key in, before the store holds it.
    pub fn add(&self, key: &[u8]) {
        let mut known = self.hashes.write().unwrap_or_else(PoisonError::into_inner);
        let Some(hashes) = &mut *known else { return };
        hashes.insert(self.hasher.hash_one(key));
        if hashes.len() > self.max {
            *known = None;
        }
    }

    /// True if the store may hold a key; where not, it does not.
    #[must_use]
    pub fn may_hold(&self, key: &[u8]) -> bool {
        let known = self.hashes.read().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().is_none_or(|hashes| hashes.contains(&self.hasher.hash_one(key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_in_may_be_held_and_nothing_else() {
        let known = Known::up_to(100);
        for number in 0..100_u32 {
            let key = number.to_be_bytes();
            assert!(!known.may_hold(&key));
            known.add(&key);
            known.add(&key);
            assert!((0..=number).all(|earlier| known.may_hold(&earlier.to_be_bytes())));
        }
        assert!(!known.may_hold(b"other"));
        known.add(b"one more");
        assert!(known.may_hold(b"other"), "with too many, any may be there");
    }
}
