//! Views of what follows the ledger.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::Service;
use crate::ledger::LedgerReader;
use crate::pipeline::DeadLetterTopic;
use crate::query::views::time_text;
use crate::state::World;

/// Progress of a follower of the ledger.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct FollowerView {
    /// Its name.
    pub name: String,
    /// Number of the block that it needs next.
    pub next_block: u64,
    /// Number of the block that it would need next after a crash.
    pub saved_block: u64,
    /// Blocks that it has not taken in yet.
    pub lag_blocks: u64,
    /// The reason why it takes nothing in; null where it does.
    pub held: Option<HeldView>,
}

/// Why a follower takes nothing in.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct HeldView {
    /// In words for a person.
    pub reason: String,
    /// Since when.
    pub since: String,
    /// The same, in milliseconds since 1970.
    #[serde(skip)]
    pub since_ms: i64,
}

impl FollowerView {
    /// True if it has its own findings and alerts; the others share theirs.
    #[must_use]
    pub fn has_own_findings(&self) -> bool {
        [World::NAME, DeadLetterTopic::NAME].contains(&&*self.name)
    }
}

impl Service {
    /// Everything that follows the ledger.
    #[must_use]
    pub fn follower_views(&self) -> Vec<FollowerView> {
        let followers = self.followers.all();
        let view = |one: &std::sync::Arc<crate::pipeline::Following>| {
            let follower = one.follower();
            let (saved_block, next_block) = (follower.saved_block(), follower.next_block());
            FollowerView {
                name: follower.name().to_owned(),
                next_block,
                saved_block,
                lag_blocks: self.behind(follower),
                held: one.held().map(|hold| HeldView {
                    reason: hold.reason,
                    since: time_text(hold.since_ms),
                    since_ms: hold.since_ms,
                }),
            }
        };
        followers.iter().map(view).collect()
    }

    /// The savepoint of each follower that lacks blocks in it.
    pub(in crate::monitor) fn unsaved(&self) -> BTreeMap<String, u64> {
        let height = self.queries.ledger().head().height;
        let followers = self.followers.all();
        let saved = followers.iter().map(|one| {
            let follower = one.follower();
            (follower.name().to_owned(), follower.saved_block())
        });
        saved.filter(|(_, saved)| *saved < height).collect()
    }
}
