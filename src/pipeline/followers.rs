//! The followers of a pipeline: what each is, who looks on, and whether it is held up. Pipeline and
//! monitor share one list, so adding to it is all it takes for a new follower to run and to be seen.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::follower::Follower;
use crate::pipeline::observer::Observer;

/// Every follower of a pipeline.
#[derive(Default)]
pub struct Followers(RwLock<Vec<Arc<Following>>>);

/// A follower, and who looks on.
pub struct Following {
    follower: Arc<dyn Follower>,
    observers: Vec<Box<dyn Observer>>,
    hold: Mutex<Option<Hold>>,
}

/// The reason why a follower takes nothing in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// In words for a person.
    pub reason: String,
    /// Since when, in milliseconds since 1970.
    pub since_ms: i64,
}

impl Followers {
    /// Adds a follower. A pipeline runs those that were added before it starts.
    pub fn add(&self, follower: Arc<dyn Follower>) {
        self.add_observed(follower, Vec::new());
    }

    /// Adds a follower that others look on at.
    pub fn add_observed(&self, follower: Arc<dyn Follower>, observers: Vec<Box<dyn Observer>>) {
        let following = Arc::new(Following { follower, observers, hold: Mutex::default() });
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(following);
    }

    /// All of them, in the order in which they were added.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Following>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The follower of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Following>> {
        self.all().into_iter().find(|one| one.follower.name() == name)
    }

    /// A name that two of them have.
    pub(super) fn shared_name(&self) -> Option<String> {
        let all = self.all();
        let names: Vec<_> = all.iter().map(|one| one.follower.name()).collect();
        let shared = (1..).zip(&names).find(|(next, name)| names[*next..].contains(name));
        shared.map(|(_, name)| (*name).to_owned())
    }
}

impl Following {
    /// The follower.
    #[must_use]
    pub fn follower(&self) -> &dyn Follower {
        &*self.follower
    }

    pub(super) fn observers(&self) -> &[Box<dyn Observer>] {
        &self.observers
    }

    /// The reason why it takes nothing in; `None` where it does.
    #[must_use]
    pub fn held(&self) -> Option<Hold> {
        self.lock().clone()
    }

    /// Notes why it takes nothing in; the first time counts as the beginning.
    pub(super) fn hold(&self, reason: &str, now_ms: i64) {
        let mut hold = self.lock();
        let since_ms = hold.as_ref().map_or(now_ms, |known| known.since_ms);
        *hold = Some(Hold { reason: reason.to_owned(), since_ms });
    }

    /// Notes that it goes on.
    pub(super) fn release(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Hold>> {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::follower::FollowerError;
    use crate::ledger::Block;

    struct Named(&'static str);

    impl Follower for Named {
        fn name(&self) -> &str {
            self.0
        }

        fn next_block(&self) -> u64 {
            0
        }

        fn saved_block(&self) -> u64 {
            0
        }

        fn apply(&self, _: &Block) -> Result<(), FollowerError> {
            Ok(())
        }

        fn save_some(&self) -> Result<bool, FollowerError> {
            Ok(true)
        }
    }

    #[test]
    fn a_name_is_of_one_follower() {
        let followers = Followers::default();
        followers.add(Arc::new(Named("state")));
        followers.add(Arc::new(Named("webhook")));
        assert_eq!(followers.shared_name(), None);
        assert!(followers.get("webhook").is_some() && followers.get("web").is_none());
        followers.add(Arc::new(Named("webhook")));
        assert_eq!(followers.shared_name().as_deref(), Some("webhook"));
    }

    #[test]
    fn a_hold_keeps_the_time_of_its_beginning() {
        let followers = Followers::default();
        followers.add(Arc::new(Named("state")));
        let following = followers.get("state").unwrap();
        following.hold("away", 1_000);
        following.hold("still away", 2_000);
        let hold = Hold { reason: "still away".to_owned(), since_ms: 1_000 };
        assert_eq!(following.held(), Some(hold));
        following.release();
        assert_eq!(following.held(), None);
    }
}
