//! The keys that may sign, according to the ledger's own entries.

use std::collections::BTreeSet;

use crate::ledger::{Definition, DefinitionKind};
use crate::transaction::KeyId;

/// Role of the key that seals blocks and signs checkpoints.
pub const LEDGER_ROLE: &str = "ledger";
/// Role of a key that signs submissions.
pub const SUBMITTER_ROLE: &str = "submitter";

/// The keys in force, by role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyRegistry {
    active: BTreeSet<(String, KeyId)>,
}

impl KeyRegistry {
    /// Applies a definition; other kinds change nothing.
    pub fn apply(&mut self, definition: &Definition) {
        let Some(key) = key_of(definition) else { return };
        let entry = (definition.name.clone(), key);
        match definition.kind {
            DefinitionKind::Key => _ = self.active.insert(entry),
            DefinitionKind::KeyEnd => _ = self.active.remove(&entry),
            DefinitionKind::Ledger | DefinitionKind::Mapping | DefinitionKind::Contract => {}
        }
    }

    /// True if a key may sign in a role.
    #[must_use]
    pub fn allows(&self, role: &str, key: KeyId) -> bool {
        self.active.iter().any(|(active, id)| active == role && *id == key)
    }

    /// The keys of a role.
    pub fn of_role<'a>(&'a self, role: &'a str) -> impl Iterator<Item = KeyId> + 'a {
        self.active.iter().filter(move |(active, _)| active == role).map(|(_, key)| *key)
    }
}

/// The definition that registers a key, or ends it.
#[must_use]
pub fn definition(kind: DefinitionKind, role: &str, key: KeyId) -> Definition {
    Definition { kind, name: role.to_owned(), version: 0, text: key.to_string().into() }
}

/// The key that a definition speaks of.
#[must_use]
pub fn key_of(definition: &Definition) -> Option<KeyId> {
    let is_key = matches!(definition.kind, DefinitionKind::Key | DefinitionKind::KeyEnd);
    let mut key = [0; 32];
    (is_key && hex::decode_to_slice(&*definition.text, &mut key).is_ok()).then_some(KeyId(key))
}
