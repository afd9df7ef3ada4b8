//! Frames: the layout of blocks in a segment file, and the distinction between damage and a torn
//! tail.
//!
//! A frame is a mark, the length of its payload, the *durable length* of the segment when the frame
//! was written, a CRC32C over all of these and the payload, which is a block packed with LZ4. The
//! durable length is what tells an
//! interrupted write from damage: bytes before it had been acknowledged, bytes behind it had not.
//! Nothing here opens or changes a file.

use crate::limits::MAX_BLOCK_BYTES;

/// First bytes of a segment file.
pub const SEGMENT_MAGIC: &[u8; 16] = b"LEDGERLINE LOG 2";
/// First bytes of a frame.
pub const FRAME_MAGIC: &[u8; 4] = b"LLfr";
/// Bytes in front of a frame's payload.
pub const FRAME_HEADER_BYTES: usize = 4 + 4 + 8 + 4;

/// Most bytes of a payload: LZ4 makes what it cannot pack longer by a 255th at most.
const MAX_PACKED_BYTES: usize = MAX_BLOCK_BYTES + MAX_BLOCK_BYTES / 255 + 64;

/// Packs a block for its frame: its length in four bytes, least significant first, then an LZ4 block.
#[must_use]
pub fn pack(block: &[u8]) -> Vec<u8> {
    lz4_flex::block::compress_prepend_size(block)
}

/// The block in a frame's payload.
pub fn unpack(packed: &[u8]) -> Result<Vec<u8>, FrameError> {
    let len = fixed::<4>(packed, 0).map(u32::from_le_bytes).ok_or(FrameError::Packing)? as usize;
    if len > MAX_BLOCK_BYTES {
        return Err(FrameError::TooLong(len));
    }
    // No LZ4 block gives more: a forged length must not ask for memory.
    if len > packed.len().saturating_mul(255) {
        return Err(FrameError::Packing);
    }
    lz4_flex::block::decompress_size_prepended(packed).map_err(|_| FrameError::Packing)
}

/// Appends a frame. `durable` is the segment's length up to which everything was acknowledged.
pub fn encode(payload: &[u8], durable: u64, out: &mut Vec<u8>) {
    // A payload over the limit is refused by the executor before it comes here.
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
    let durable = durable.to_le_bytes();
    let crc = checksum(&len, &durable, payload).to_le_bytes();
    for part in [FRAME_MAGIC.as_slice(), &len, &durable, &crc, payload] {
        out.extend_from_slice(part);
    }
}

fn checksum(len: &[u8], durable: &[u8], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(len), durable), payload)
}

/// A checksum of the bytes from some place on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Checksum(u32);

impl Checksum {
    /// With these bytes behind it.
    #[must_use]
    pub fn append(self, bytes: &[u8]) -> Self {
        Self(crc32c::crc32c_append(self.0, bytes))
    }

    /// With so many zeros behind it, in a number of steps that grows with their logarithm.
    #[must_use]
    pub fn append_zeros(self, count: u64) -> Self {
        let mut count = usize::try_from(count).unwrap_or(usize::MAX);
        let (mut sum, mut zeros, mut len) = (self.0, crc32c::crc32c(&[0]), 1);
        while count > 0 {
            if count & 1 == 1 {
                sum = crc32c::crc32c_combine(sum, zeros, len);
            }
            count >>= 1;
            if count > 0 {
                zeros = crc32c::crc32c_combine(zeros, zeros, len);
                len <<= 1;
            }
        }
        Self(sum)
    }
}

/// The first bytes of a frame, not yet checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FrameHeader {
    /// Bytes of the payload.
    pub len: usize,
    /// Segment length that was durable when the frame was written.
    pub durable: u64,
    crc: u32,
}

/// An error of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The mark is not there.
    #[error("no frame starts here")]
    NoMark,
    /// The length is over the limit.
    #[error("the frame's length of {0} bytes is over the limit")]
    TooLong(usize),
    /// The file ends inside the frame.
    #[error("the file ends inside the frame")]
    Cut,
    /// The payload is no packed block, though its checksum fits.
    #[error("the frame does not contain a compressed block")]
    Packing,
    /// The checksum does not fit.
    #[error("the frame's checksum does not match its bytes")]
    Checksum,
}

impl FrameHeader {
    /// Reads a frame's first [`FRAME_HEADER_BYTES`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FrameError> {
        let (Some(mark), Some(len), Some(durable), Some(crc)) = (
            bytes.get(..4),
            fixed::<4>(bytes, 4).map(u32::from_le_bytes),
            fixed::<8>(bytes, 8).map(u64::from_le_bytes),
            fixed::<4>(bytes, 16).map(u32::from_le_bytes),
        ) else {
            return Err(FrameError::Cut);
        };
        let len = len as usize;
        match mark == FRAME_MAGIC {
            false => Err(FrameError::NoMark),
            true if len > MAX_PACKED_BYTES => Err(FrameError::TooLong(len)),
            true => Ok(Self { len, durable, crc }),
        }
    }

    /// True if a payload has the frame's checksum, from the checksums of what stands before it and
    /// of that and the payload.
    #[must_use]
    pub fn fits(&self, before: Checksum, with_payload: Checksum) -> bool {
        let len = u32::try_from(self.len).unwrap_or(u32::MAX).to_le_bytes();
        let header = checksum(&len, &self.durable.to_le_bytes(), &[]);
        // A checksum of A and B is that of A, moved on by the length of B, and that of B added.
        let found = match self.len {
            0 => header,
            len => crc32c::crc32c_combine(header ^ before.0, with_payload.0, len),
        };
        found == self.crc
    }

    /// Checks the payload against the checksum.
    pub fn check(&self, payload: &[u8]) -> Result<(), FrameError> {
        let len = u32::try_from(self.len).unwrap_or(u32::MAX).to_le_bytes();
        let fits = payload.len() == self.len
            && checksum(&len, &self.durable.to_le_bytes(), payload) == self.crc;
        fits.then_some(()).ok_or(FrameError::Checksum)
    }
}

fn fixed<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// The whole frame at the start of these bytes: its header and payload.
pub fn whole(bytes: &[u8]) -> Result<(FrameHeader, &[u8]), FrameError> {
    let header = FrameHeader::parse(bytes)?;
    let end = FRAME_HEADER_BYTES + header.len;
    let payload = bytes.get(FRAME_HEADER_BYTES..end).ok_or(FrameError::Cut)?;
    header.check(payload)?;
    Ok((header, payload))
}

/// The offset of the next frame mark.
#[must_use]
pub fn find_mark(bytes: &[u8]) -> Option<usize> {
    bytes.windows(FRAME_MAGIC.len()).position(|window| window == FRAME_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_frame_comes_back_and_any_flipped_bit_is_seen(
            payload: Vec<u8>, durable: u64, at: prop::sample::Index, bit in 0..8,
        ) {
            let mut bytes = Vec::new();
            encode(&payload, durable, &mut bytes);
            let (header, read) = whole(&bytes).unwrap();
            prop_assert_eq!((header.durable, read), (durable, payload.as_slice()));
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            prop_assert!(whole(&bytes).is_err());
        }

        #[test]
        fn a_block_comes_back_and_a_forged_one_is_judged(
            block: Vec<u8>, times in 1_usize..200, forged: Vec<u8>,
        ) {
            let block = block.repeat(times);
            prop_assert_eq!(unpack(&pack(&block)), Ok(block));
            // Whatever it says of its length, it cannot ask for more than it could hold.
            let unpacked = unpack(&forged).map_or(0, |block| block.len());
            prop_assert!(unpacked <= forged.len() * 255);
        }
    }

    proptest! {
        #[test]
        fn a_payload_is_checked_by_the_sums_at_its_ends(
            before: Vec<u8>, zeros in 0_usize..5_000, payload: Vec<u8>, durable: u64,
        ) {
            let payload = [vec![0; zeros], payload].concat();
            let mut bytes = Vec::new();
            encode(&payload, durable, &mut bytes);
            let header = FrameHeader::parse(&bytes).unwrap();
            let begin = Checksum::default().append(&before);
            let end = begin.append_zeros(zeros as u64).append(&payload[zeros..]);
            prop_assert_eq!(end, begin.append(&payload));
            prop_assert!(header.fits(begin, end));
            prop_assert!(!header.fits(begin, end.append(b"x")));
            let other = FrameHeader { durable: durable ^ 1, ..header };
            prop_assert!(!other.fits(begin, end));
        }
    }
}
