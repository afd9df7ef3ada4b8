//! Counts by mapping and contract in this process.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::codec::Digest;
use crate::ledger::{Block, Entry};

/// Transactions by verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// Valid ones.
    pub valid: u64,
    /// The others.
    pub invalid: u64,
}

impl Verdicts {
    fn add(&mut self, is_valid: bool) {
        match is_valid {
            true => self.valid += 1,
            false => self.invalid += 1,
        }
    }

    /// All.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.valid + self.invalid
    }
}

/// Counts by mapping and contract. There are as many of each as configurations ever named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DefinitionCounts {
    /// Transactions by the digest of the mapping that made them.
    pub mappings: BTreeMap<Digest, Verdicts>,
    /// Transactions by contract, manual calls included.
    pub contracts: BTreeMap<Arc<str>, Verdicts>,
    /// Records that a mapping took and could not carry out, by its name.
    pub rejected: BTreeMap<String, u64>,
}

impl DefinitionCounts {
    /// Adds what a block holds.
    pub fn add(&mut self, block: &Block) {
        for entry in &block.entries {
            let Entry::Transaction { transaction, verdict, .. } = entry else { continue };
            let is_valid = verdict.is_valid();
            if transaction.is_mapped() {
                self.mappings.entry(transaction.mapping_digest).or_default().add(is_valid);
            }
            match self.contracts.get_mut(&transaction.contract) {
                Some(verdicts) => verdicts.add(is_valid),
                None => {
                    self.contracts.entry(transaction.contract.clone()).or_default().add(is_valid)
                }
            }
        }
        for letter in &block.records.dead_letters {
            if let Some(mapping) = letter.rejection.mapping() {
                match self.rejected.get_mut(mapping) {
                    Some(count) => *count += 1,
                    None => _ = self.rejected.insert(mapping.to_owned(), 1),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::event::{Cause, Rejection};

    #[test]
    fn a_rejection_names_the_mapping_that_took_the_event() {
        let rejection = Rejection::new(Cause::FieldType, "$.a", "no `b`: c");
        assert_eq!(rejection.mapping(), None);
        let of_mapping = rejection.of_mapping("readings");
        assert_eq!(of_mapping.message, "mapping `readings`: no `b`: c");
        assert_eq!(of_mapping.mapping(), Some("readings"));
    }
}
