//! The ledger.

pub mod checkpoint;
pub mod tree;
