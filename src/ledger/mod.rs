//! The ledger.

pub mod tree;
