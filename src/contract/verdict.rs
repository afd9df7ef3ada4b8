//! The verdict of a contract on a transaction.

use crate::codec::coded;

/// Valid, or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The writes stand.
    Valid,
    /// Nothing was written.
    Invalid {
        /// The kind of failure, for metrics.
        code: InvalidCode,
        /// Why, for people; at most [`crate::limits::MAX_DETAIL_BYTES`].
        detail: String,
    },
}

coded! {
    /// Reasons of invalid verdicts. Numbers stand in ledgers and are never reused.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum InvalidCode: u16 {
        /// The ledger runs no contract of this name.
        UnknownContract = 1 => "unknown_contract",
        /// The contract does not offer the function.
        UnknownFunction = 2 => "unknown_function",
        /// The arguments are not an object, or have no usable key.
        BadArguments = 3 => "bad_arguments",
        /// `create` of an asset that exists.
        AssetExists = 4 => "asset_exists",
        /// The asset does not exist and may not be created by this function.
        AssetAbsent = 5 => "asset_absent",
        /// The new state breaks the contract's schema.
        SchemaViolation = 6 => "schema_violation",
        /// A `reject` rule holds.
        Rejected = 7 => "rejected",
        /// A rule could not be evaluated.
        RuleFailed = 8 => "rule_failed",
        /// The new state is over its byte limit.
        StateTooLarge = 9 => "state_too_large",
        /// `deleteProperties` names the key or an absent path.
        BadPath = 10 => "bad_path",
        /// Schema and rules take more steps than a record may.
        Limit = 11 => "limit",
    }
}

impl Verdict {
    /// An invalid verdict; the detail is cut to its limit.
    #[must_use]
    pub fn invalid(code: InvalidCode, detail: impl AsRef<str>) -> Self {
        let detail = crate::limits::truncated(detail.as_ref(), crate::limits::MAX_DETAIL_BYTES);
        Self::Invalid { code, detail: detail.to_owned() }
    }

    /// True if the writes stand.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        matches!(self, Self::Valid)
    }

    /// `valid`, or the reason's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Invalid { code, .. } => code.name(),
        }
    }
}
