//! The ledger.

pub mod checkpoint;
pub mod tiles;
pub mod tree;
