//! The verdict of a contract on a transaction.

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

/// Reasons of invalid verdicts. Numbers stand in ledgers and are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum InvalidCode {
    /// The ledger runs no contract of this name.
    UnknownContract = 1,
    /// The contract does not offer the function.
    UnknownFunction = 2,
    /// The arguments are not an object, or have no usable key.
    BadArguments = 3,
    /// `create` of an asset that exists.
    AssetExists = 4,
    /// The asset does not exist and may not be created by this function.
    AssetAbsent = 5,
    /// The new state breaks the contract's schema.
    SchemaViolation = 6,
    /// A `reject` rule holds.
    Rejected = 7,
    /// A rule could not be evaluated.
    RuleFailed = 8,
    /// The new state is over its byte limit.
    StateTooLarge = 9,
    /// `deleteProperties` names the key or an absent path.
    BadPath = 10,
    /// Schema and rules take more steps than a record may.
    Limit = 11,
}

impl InvalidCode {
    /// Every code, in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::UnknownContract,
        Self::UnknownFunction,
        Self::BadArguments,
        Self::AssetExists,
        Self::AssetAbsent,
        Self::SchemaViolation,
        Self::Rejected,
        Self::RuleFailed,
        Self::StateTooLarge,
        Self::BadPath,
        Self::Limit,
    ];

    /// The number that stands in the ledger.
    #[must_use]
    pub fn code(self) -> u16 {
        self as u16
    }

    /// The reason with this number.
    #[must_use]
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// The name in JSON, metrics and contract tests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownContract => "unknown_contract",
            Self::UnknownFunction => "unknown_function",
            Self::BadArguments => "bad_arguments",
            Self::AssetExists => "asset_exists",
            Self::AssetAbsent => "asset_absent",
            Self::SchemaViolation => "schema_violation",
            Self::Rejected => "rejected",
            Self::RuleFailed => "rule_failed",
            Self::StateTooLarge => "state_too_large",
            Self::BadPath => "bad_path",
            Self::Limit => "limit",
        }
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
