//! Filters of a search for transactions.

use crate::contract::{InvalidCode, Verdict};
use crate::diagnostic::did_you_mean;
use crate::ledger::Entry;

/// A filter for transactions.
#[derive(Debug, Clone, Default)]
pub struct TransactionFilter {
    /// Type of the device.
    pub device_type: Option<String>,
    /// Id of the device.
    pub device_id: Option<String>,
    /// Name of the contract.
    pub contract: Option<String>,
    /// `valid`, `invalid` or the name of a reason.
    pub verdict: Option<VerdictFilter>,
    /// Only of blocks made at this time or later, in milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// Only of blocks made before this time.
    pub until_ms: Option<i64>,
}

/// A filter for verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerdictFilter {
    /// Valid ones.
    Valid,
    /// All that are not valid.
    Invalid,
    /// Invalid for this reason.
    Code(InvalidCode),
}

impl std::str::FromStr for VerdictFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let code = InvalidCode::ALL.into_iter().find(|code| code.name() == text);
        match (text, code) {
            ("valid", _) => Ok(Self::Valid),
            ("invalid", _) => Ok(Self::Invalid),
            (_, Some(code)) => Ok(Self::Code(code)),
            (_, None) => {
                let names = InvalidCode::ALL.into_iter().map(InvalidCode::name);
                Err(did_you_mean(text, ["valid", "invalid"].into_iter().chain(names)))
            }
        }
    }
}

impl TransactionFilter {
    /// True if it takes an entry.
    #[must_use]
    pub fn takes(&self, entry: &Entry) -> bool {
        let Entry::Transaction { transaction, verdict, .. } = entry else { return false };
        let has_verdict = |wanted: VerdictFilter| match (wanted, verdict) {
            (VerdictFilter::Valid, verdict) => verdict.is_valid(),
            (VerdictFilter::Invalid, verdict) => !verdict.is_valid(),
            (VerdictFilter::Code(wanted), Verdict::Invalid { code, .. }) => *code == wanted,
            (VerdictFilter::Code(_), Verdict::Valid) => false,
        };
        let device = &transaction.device;
        self.device_type.as_ref().is_none_or(|wanted| *wanted == *device.device_type)
            && self.device_id.as_ref().is_none_or(|wanted| *wanted == *device.id)
            && self.contract.as_ref().is_none_or(|contract| **contract == *transaction.contract)
            && self.verdict.is_none_or(has_verdict)
    }
}
