//! What can be seen of a running or resting ledger: JSON views, the HTTP endpoint, metrics and a
//! small page.
//!
//! Nothing here writes or decides. The endpoint runs on threads of its own and reads durable blocks
//! and the state folded from them.

pub mod json;
pub mod query;
pub mod views;

pub use query::{Queries, QueryError, TransactionFilter, VerdictFilter};
