//! Cuts chunks of a file into lines, in bounded memory.

use crate::codec::Digest;
use crate::input::InputError;
use crate::limits::{MAX_DEAD_LETTER_BYTES, MAX_LINE_BYTES};

/// One line without its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawLine<'a> {
    /// From 0.
    pub(super) number: u64,
    /// Without the line feed.
    pub(super) bytes: &'a [u8],
    /// Length and digest of the whole line, where `bytes` is only its beginning.
    pub(super) cut: Option<(u64, Digest)>,
}

/// Cuts chunks into lines, in bounded memory.
#[derive(Debug, Default)]
pub(super) struct Lines {
    number: u64,
    partial: Vec<u8>,
    /// Bytes of the present line beyond what is kept, and their digest's state.
    over: Option<(u64, sha2::Sha256)>,
}

impl Lines {
    /// Takes the next chunk.
    pub(super) fn feed(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(RawLine<'_>) -> Result<(), InputError>,
    ) -> Result<(), InputError> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (head, rest) = bytes.split_at(end);
            bytes = &rest[1..];
            if self.partial.is_empty() && self.over.is_none() && head.len() <= MAX_LINE_BYTES {
                let line = RawLine { number: self.number, bytes: without_return(head), cut: None };
                self.number += 1;
                each(line)?;
                continue;
            }
            self.extend(head);
            self.end_line(&mut each)?;
        }
        self.extend(bytes);
        Ok(())
    }

    /// Takes the end of the file.
    pub(super) fn finish(
        &mut self,
        mut each: impl FnMut(RawLine<'_>) -> Result<(), InputError>,
    ) -> Result<(), InputError> {
        if self.partial.is_empty() { Ok(()) } else { self.end_line(&mut each) }
    }

    fn extend(&mut self, bytes: &[u8]) {
        use sha2::Digest as _;
        if let Some((len, hasher)) = &mut self.over {
            *len += bytes.len() as u64;
            hasher.update(bytes);
            return;
        }
        self.partial.extend_from_slice(bytes);
        if self.partial.len() > MAX_LINE_BYTES {
            let hasher = sha2::Sha256::new_with_prefix(&self.partial);
            self.over = Some((self.partial.len() as u64, hasher));
            self.partial.truncate(MAX_DEAD_LETTER_BYTES);
        }
    }

    fn end_line(
        &mut self,
        each: &mut impl FnMut(RawLine<'_>) -> Result<(), InputError>,
    ) -> Result<(), InputError> {
        use sha2::Digest as _;
        let number = self.number;
        self.number += 1;
        let partial = std::mem::take(&mut self.partial);
        let cut = self.over.take().map(|(len, hasher)| (len, Digest(hasher.finalize().into())));
        let bytes = if cut.is_some() { &partial } else { without_return(&partial) };
        each(RawLine { number, bytes, cut })
    }
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(chunks: &[&[u8]]) -> Vec<(u64, Vec<u8>, Option<u64>)> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        let mut each = |line: RawLine<'_>| {
            found.push((line.number, line.bytes.to_vec(), line.cut.map(|(len, _)| len)));
            Ok(())
        };
        for chunk in chunks {
            lines.feed(chunk, &mut each).unwrap();
        }
        lines.finish(&mut each).unwrap();
        found
    }

    #[test]
    fn a_long_line_is_cut_and_its_digest_kept() {
        let long = vec![b'x'; MAX_LINE_BYTES + 5];
        let found = lines(&[b"a\n", &long[..9], &long[9..], b"yz\nb"]);
        let kept = vec![b'x'; MAX_DEAD_LETTER_BYTES];
        let length = MAX_LINE_BYTES as u64 + 7;
        let expected =
            [(0, b"a".to_vec(), None), (1, kept, Some(length)), (2, b"b".to_vec(), None)];
        assert!(found == expected);
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(text in "[a\\r\\n]{0,40}", cuts in proptest::collection::vec(0_usize..40, 0..6)) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(lines(&chunks), lines(&[bytes]));
        }
    }
}
