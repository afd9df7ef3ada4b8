//! Queries for mappings and contracts as the ledger recorded them.

use std::collections::BTreeSet;

use crate::codec::Digest;
use crate::contract::ContractSet;
use crate::diagnostic::did_you_mean;
use crate::ledger::{Definition, DefinitionKind};
use crate::mapping::MappingSet;
use crate::query::views::{DefinitionView, Page, TestView};
use crate::query::{Queries, QueryError, joined, not_found};

impl Queries {
    /// Definitions of a kind behind the entry `after`, in the order they were recorded, without
    /// their texts.
    #[must_use]
    pub fn definitions(
        &self,
        kind: DefinitionKind,
        after: Option<u64>,
        limit: usize,
    ) -> Page<DefinitionView> {
        let definitions = self.ledger.definitions();
        let mut of_kind = definitions
            .iter()
            .filter(|(_, definition)| definition.kind == kind)
            .filter(|(entry, _)| after.is_none_or(|after| *entry > after));
        let view = |(entry, definition): &_| DefinitionView::new(*entry, definition, false);
        let items: Vec<_> = of_kind.by_ref().take(limit).map(view).collect();
        let next = of_kind.next().and(items.last()).map(|last| last.entry.to_string());
        Page { items, next }
    }

    /// The newest definition of a kind with this name, with its text; or the one with this digest.
    pub fn definition(
        &self,
        kind: DefinitionKind,
        name: &str,
        digest: Option<&str>,
    ) -> Result<DefinitionView, QueryError> {
        let definitions = self.ledger.definitions();
        let of_kind = definitions.iter().rev().filter(|(_, definition)| definition.kind == kind);
        let is_it = |digest: &str, found: String| found == digest;
        let found = of_kind.clone().find(|(_, definition)| {
            definition.name == name
                && digest.is_none_or(|digest| is_it(digest, definition.digest().to_string()))
        });
        let Some((entry, definition)) = found else {
            let help = did_you_mean(name, of_kind.map(|(_, definition)| definition.name.as_str()));
            let kind = kind.name();
            let message = format!("the ledger has no such {kind} `{name}`");
            return Err(not_found(joined(message, &help)));
        };
        Ok(DefinitionView::new(*entry, definition, true))
    }

    /// Results of a definition's own tests, run by this version of the program.
    pub fn definition_tests(
        &self,
        kind: DefinitionKind,
        name: &str,
        digest: Option<&str>,
    ) -> Result<Vec<TestView>, QueryError> {
        let text = self.definition(kind, name, digest)?.text.unwrap_or_default();
        let files = [(name.into(), text)];
        let results = match kind {
            DefinitionKind::Contract => ContractSet::load(&files).0.run_tests(),
            _ => MappingSet::from_texts(&files).0.run_tests(),
        };
        Ok(results.into_iter().map(TestView::from).collect())
    }

    /// Names of a kind, in order.
    #[must_use]
    pub fn names(&self, kind: DefinitionKind) -> BTreeSet<String> {
        let definitions = self.ledger.definitions();
        let of_kind = definitions.into_iter().filter(|(_, definition)| definition.kind == kind);
        of_kind.map(|(_, definition)| definition.name).collect()
    }

    /// Every version of a name, the newest first, without their texts.
    #[must_use]
    pub fn versions(&self, kind: DefinitionKind, name: &str) -> Vec<DefinitionView> {
        let definitions = self.ledger.definitions();
        let is_it = |(_, definition): &&(u64, Definition)| {
            definition.kind == kind && definition.name == name
        };
        let view = |(entry, definition): &_| DefinitionView::new(*entry, definition, false);
        definitions.iter().rev().filter(is_it).map(view).collect()
    }

    /// Name of the definition whose text has a digest.
    #[must_use]
    pub fn definition_named(&self, kind: DefinitionKind, digest: &Digest) -> Option<String> {
        let definitions = self.ledger.definitions();
        let is_it = |(_, definition): &(u64, Definition)| {
            definition.kind == kind && definition.digest() == *digest
        };
        definitions.into_iter().find(is_it).map(|(_, definition)| definition.name)
    }

    /// The version of a contract that held at an entry, without its text.
    #[must_use]
    pub fn contract_before(&self, name: &str, entry: u64) -> Option<DefinitionView> {
        let versions = self.versions(DefinitionKind::Contract, name);
        versions.into_iter().find(|version| version.entry < entry)
    }
}
