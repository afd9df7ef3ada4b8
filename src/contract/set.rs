//! The contracts of a configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::budget::Budget;
use crate::contract::{Call, Contract, Effects, InvalidCode, StateView, Verdict, compile};
use crate::diagnostic::{Diagnostic, Place, TestResult};

/// Every contract of a configuration.
#[derive(Debug, Default)]
pub struct ContractSet {
    contracts: BTreeMap<Arc<str>, Contract>,
}

impl ContractSet {
    /// Compiles the contracts in these files, given as path and text. What has an error is left
    /// out; warnings are among the faults too.
    #[must_use]
    pub fn load(files: &[(PathBuf, String)]) -> (Self, Vec<Diagnostic>) {
        let mut set = Self::default();
        let mut diagnostics = Vec::new();
        for (file, text) in files {
            for (contract, place) in compile::file(file, text, &mut diagnostics) {
                set.insert(contract, place, &mut diagnostics);
            }
        }
        (set, diagnostics)
    }

    fn insert(&mut self, contract: Contract, place: Place, diagnostics: &mut Vec<Diagnostic>) {
        if let Some(other) = self.contracts.get(&contract.name) {
            let name = &contract.name;
            let message = format!("duplicate contract `{name}`, also in {}", other.file.display());
            diagnostics.push(
                Diagnostic::error(&contract.file, place, message)
                    .help("keep one version; earlier ones stay readable on the ledger"),
            );
            return;
        }
        self.contracts.insert(contract.name.clone(), contract);
    }

    /// The contract with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Contract> {
        self.contracts.get(name)
    }

    /// Runs a call of the contract with this name; an invalid verdict where there is none.
    #[must_use]
    pub fn execute(&self, name: &str, call: Call<'_>, view: &dyn StateView) -> Effects {
        self.execute_within(name, call, view, &Budget::new())
    }

    /// The same with a budget that the calls of one record share.
    #[must_use]
    pub fn execute_within(
        &self,
        name: &str,
        call: Call<'_>,
        view: &dyn StateView,
        budget: &Budget,
    ) -> Effects {
        if let Some(contract) = self.get(name) {
            return contract.execute_within(call, view, budget);
        }
        let detail = format!("there is no contract `{name}`");
        let verdict = Verdict::invalid(InvalidCode::UnknownContract, detail);
        Effects { verdict, writes: Vec::new() }
    }

    /// Every contract, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Contract> {
        self.contracts.values()
    }

    /// Every contract, by name, for good.
    pub fn into_contracts(self) -> impl Iterator<Item = Contract> {
        self.contracts.into_values()
    }

    /// Number of contracts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.contracts.len()
    }

    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.contracts.is_empty()
    }

    /// Runs the tests that stand in the contracts' files, in the order of names and files.
    #[must_use]
    pub fn run_tests(&self) -> Vec<TestResult> {
        self.iter().flat_map(Contract::run_tests).collect()
    }
}
