//! Scans a string eight bytes at a time.

/// Every byte 1.
const ONES: u64 = u64::from_le_bytes([1; 8]);

/// The top bits of bytes that are below a bound of at most 128, and of no other up to the first of them:
/// behind it a carry may show one that is not.
#[inline]
pub(super) fn below(word: u64, bound: u8) -> u64 {
    word.wrapping_sub(ONES * u64::from(bound)) & !word & (ONES << 7)
}

/// The same of bytes that are this one.
#[inline]
pub(super) fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ (ONES * u64::from(byte)), 1)
}
