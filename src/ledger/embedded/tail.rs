//! The bytes after the last complete block of a segment: an interrupted write, or damage.
//!
//! They are damage where any later frame was written after everything in front had been acknowledged.
//! Such frames are found in one pass over the bytes, whatever stands there: checksums of any range
//! follow from the checksums up to its ends, so no byte is read twice and no frame is kept.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::ledger::embedded::frame::{Checksum, FRAME_HEADER_BYTES, FrameHeader, find_mark};
use crate::limits::MAX_TAIL_FRAMES;

/// Bytes behind a piece that are given with it, so that no frame's header is cut in two.
pub const LOOK_AHEAD_BYTES: usize = FRAME_HEADER_BYTES;

/// A pass over the bytes behind a place where no good frame stands.
#[derive(Debug)]
pub struct Tail {
    /// The end of the intact frames.
    good_len: u64,
    file_len: u64,
    /// Next byte of the pass, and the checksum of all before it.
    at: u64,
    checksum: Checksum,
    /// Places where a payload begins or ends, the next one first.
    stops: BinaryHeap<Reverse<Stop>>,
    frames: usize,
    found: bool,
}

/// A place where a frame's payload begins, or ends.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Stop {
    at: u64,
    header: FrameHeader,
    /// The checksum at the payload's begin, once the pass was there.
    begun: Option<Checksum>,
}

impl Tail {
    /// Begins behind `good_len` bytes of a file of `file_len` bytes.
    #[must_use]
    pub fn new(good_len: u64, file_len: u64) -> Self {
        Self {
            good_len,
            file_len,
            at: good_len,
            checksum: Checksum::default(),
            stops: BinaryHeap::new(),
            frames: 0,
            found: false,
        }
    }

    /// Next byte of the pass.
    #[must_use]
    pub fn at(&self) -> u64 {
        self.at
    }

    /// True if what is known so far decides: these bytes are damage.
    #[must_use]
    pub fn is_acknowledged(&self) -> bool {
        self.found || self.frames > MAX_TAIL_FRAMES
    }

    /// Takes in the next `len` bytes. `bytes` holds [`LOOK_AHEAD_BYTES`] more, where the file has them.
    pub fn push(&mut self, bytes: &[u8], len: usize) {
        let begin = self.at;
        let mut at = 0;
        while let Some(found) = bytes.get(at..).and_then(find_mark) {
            at += found;
            if at >= len || self.is_acknowledged() {
                break;
            }
            if let Ok(header) = FrameHeader::parse(bytes.get(at..).unwrap_or_default()) {
                self.note(begin + at as u64, header);
            }
            at += 1;
        }
        let end = begin + len as u64;
        let piece = |from: u64, to: u64| {
            let index = |at: u64| usize::try_from(at - begin).unwrap_or(usize::MAX);
            bytes.get(index(from)..index(to)).unwrap_or_default()
        };
        self.advance(end, |checksum, from, to| checksum.append(piece(from, to)));
    }

    /// Takes in zeros up to a place.
    pub fn push_zeros(&mut self, end: u64) {
        self.advance(end, |checksum, from, to| checksum.append_zeros(to - from));
    }

    /// Notes a frame that claims to have been written after the good ones were durable.
    fn note(&mut self, at: u64, header: FrameHeader) {
        let begin = at + FRAME_HEADER_BYTES as u64;
        // It may stand before the place where it was written: bytes in front of it may be gone.
        let claims = self.good_len < header.durable;
        if claims && begin + header.len as u64 <= self.file_len {
            self.frames += 1;
            self.stops.push(Reverse(Stop { at: begin, header, begun: None }));
        }
    }

    fn advance(&mut self, end: u64, append: impl Fn(Checksum, u64, u64) -> Checksum) {
        while let Some(Reverse(stop)) = self.stops.pop() {
            if stop.at > end || self.is_acknowledged() {
                self.stops.push(Reverse(stop));
                break;
            }
            // A header that reaches into the look-ahead has its payload's begin there.
            self.checksum = append(self.checksum, self.at, stop.at);
            self.at = stop.at;
            let Stop { at, header, begun } = stop;
            match begun {
                None => {
                    let at = at + header.len as u64;
                    self.stops.push(Reverse(Stop { at, header, begun: Some(self.checksum) }));
                }
                Some(begun) => self.found |= header.fits(begun, self.checksum),
            }
        }
        self.checksum = append(self.checksum, self.at, end);
        self.at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::embedded::frame::{SEGMENT_MAGIC, encode, whole};
    use proptest::prelude::*;

    /// By the definition: any whole frame that was written after everything in front.
    fn by_definition(file: &[u8], good_len: usize) -> bool {
        (good_len..file.len()).any(|at| {
            let claims = |durable| durable > good_len as u64;
            whole(&file[at..]).is_ok_and(|(header, _)| claims(header.durable))
        })
    }

    /// In pieces of these lengths; where `skips`, ranges of zeros are told and not given.
    fn in_pieces(file: &[u8], good_len: usize, pieces: &[usize], skips: bool) -> bool {
        let mut tail = Tail::new(good_len as u64, file.len() as u64);
        let mut pieces = pieces.iter().cycle();
        while let Some(at) = usize::try_from(tail.at()).ok().filter(|at| *at < file.len()) {
            let zeros = file[at..].iter().take_while(|byte| **byte == 0).count();
            if skips && zeros > LOOK_AHEAD_BYTES {
                tail.push_zeros((at + zeros) as u64);
                continue;
            }
            let len = (*pieces.next().unwrap()).min(file.len() - at);
            let given = (at + len + LOOK_AHEAD_BYTES).min(file.len());
            tail.push(&file[at..given], len);
        }
        tail.is_acknowledged()
    }

    fn part() -> impl Strategy<Value = (Vec<u8>, Option<u64>, bool)> {
        let payload = prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..60),
            (0_usize..200).prop_map(|len| vec![0; len]),
            Just(b"LLfrLLfr".to_vec()),
        ];
        (payload, proptest::option::of(0_u64..600), any::<bool>())
    }

    proptest! {
        #[test]
        fn one_pass_decides_as_a_look_at_every_place(
            good_len in SEGMENT_MAGIC.len()..60,
            parts in proptest::collection::vec(part(), 0..8),
            pieces in proptest::collection::vec(1_usize..90, 1..5),
        ) {
            let mut file = vec![7; good_len];
            for (bytes, durable, damaged) in parts {
                let begin = file.len();
                match durable {
                    Some(durable) => encode(&bytes, durable, &mut file),
                    None => file.extend(bytes),
                }
                if damaged && file.len() > begin {
                    let last = file.len() - 1;
                    file[last] ^= 1;
                }
            }
            let expected = by_definition(&file, good_len);
            for skips in [false, true] {
                prop_assert_eq!(in_pieces(&file, good_len, &pieces, skips), expected);
            }
        }
    }

    #[test]
    fn only_a_later_acknowledged_frame_makes_damage() {
        let file = |durable: u64, rubbish: &[u8]| {
            let mut file = [&[7; 16], rubbish].concat();
            encode(b"a block", durable, &mut file);
            file
        };
        let whole = file(16, b"LLfr rubbish");
        assert!(!in_pieces(&whole, 16, &[5], false), "written with the torn frame");
        let later = file(20, b"LLfr rubbish");
        assert!(in_pieces(&later, 16, &[5], false), "written when the damaged frame was durable");
        let moved = file(4_000, b"");
        assert!(in_pieces(&moved, 16, &[5], false), "what stood between them is gone");
    }

    #[test]
    fn forged_headers_without_end_are_damage_and_cost_one_pass() {
        let mut file = vec![7; 16];
        for _ in 0..100_000 {
            let durable = (file.len() as u64).max(17).to_le_bytes();
            let len = 1_000_000_u32.to_le_bytes();
            file.extend([b"LLfr", len.as_slice(), &durable, &[1, 2, 3, 4]].concat());
        }
        file.resize(file.len() + 1_000_000, 1);
        let mut tail = Tail::new(16, file.len() as u64);
        tail.push(&file[16..], file.len() - 16);
        assert!(tail.is_acknowledged());
        assert!(tail.stops.len() <= MAX_TAIL_FRAMES + 1);
    }
}
