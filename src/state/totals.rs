//! Counts over the whole ledger: dispositions of all records.

use std::collections::BTreeMap;

use crate::codec::{DecodeError, Reader, Writer};
use crate::contract::{InvalidCode, Verdict};
use crate::event::Cause;
use crate::ledger::{Block, Entry};

/// Counts since the first block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Records read from the source.
    pub records: u64,
    /// Records that no mapping matched.
    pub filtered: u64,
    /// Valid transactions.
    pub valid: u64,
    /// Invalid transactions by code.
    pub invalid: BTreeMap<u16, u64>,
    /// Dead letters by cause.
    pub dead_letters: BTreeMap<u16, u64>,
    /// Assets written or deleted.
    pub writes: u64,
}

impl Totals {
    /// Adds a block. What a forged one says may be beyond all counts.
    pub fn add(&mut self, block: &Block) {
        let records = &block.records;
        for progress in &records.progress {
            self.records = self.records.saturating_add(progress.records);
        }
        for filtered in &records.filtered {
            self.filtered = self.filtered.saturating_add(filtered.count());
        }
        for letter in &records.dead_letters {
            *self.dead_letters.entry(letter.rejection.cause.code()).or_default() += 1;
        }
        for entry in &block.entries {
            let Entry::Transaction { verdict, writes, .. } = entry else { continue };
            self.writes += writes.len() as u64;
            match verdict {
                Verdict::Valid => self.valid += 1,
                Verdict::Invalid { code, .. } => {
                    *self.invalid.entry(code.code()).or_default() += 1;
                }
            }
        }
    }

    /// Dead letters in all.
    #[must_use]
    pub fn dead_letter_count(&self) -> u64 {
        self.dead_letters.values().sum()
    }

    /// Invalid transactions in all.
    #[must_use]
    pub fn invalid_count(&self) -> u64 {
        self.invalid.values().sum()
    }

    /// Invalid transactions by the reason's name.
    pub fn invalid_by_name(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let name = |code: u16| InvalidCode::from_code(code).map_or("unknown", InvalidCode::name);
        self.invalid.iter().map(move |(code, count)| (name(*code), *count))
    }

    /// Dead letters by the cause's name.
    pub fn dead_letters_by_name(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let name = |code: u16| Cause::from_code(code).map_or("unknown", Cause::name);
        self.dead_letters.iter().map(move |(code, count)| (name(*code), *count))
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        for count in [self.records, self.filtered, self.valid, self.writes] {
            writer.uint(count);
        }
        for counts in [&self.invalid, &self.dead_letters] {
            writer.uint(counts.len() as u64);
            for (code, count) in counts {
                writer.uint(u64::from(*code));
                writer.uint(*count);
            }
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut count = || reader.uint("total");
        let (records, filtered, valid, writes) = (count()?, count()?, count()?, count()?);
        let mut counts = || -> Result<BTreeMap<u16, u64>, DecodeError> {
            let len = reader.count("totals")?;
            (0..len).map(|_| Ok((reader.small("code")?, reader.uint("total")?))).collect()
        };
        let (invalid, dead_letters) = (counts()?, counts()?);
        Ok(Self { records, filtered, valid, invalid, dead_letters, writes })
    }
}
