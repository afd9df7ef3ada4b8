//! Compact sequences of rising numbers: indexes that grow with every block must be small.

use crate::codec::{Reader, Writer};

/// Every so many rows one stands in full.
const STRIDE: usize = 64;

/// Rows whose first numbers never fall. Each row is kept as what it adds to the one before.
#[derive(Debug)]
pub struct Rising<const N: usize> {
    /// Every [`STRIDE`]th row, and where the steps behind it begin.
    anchors: Vec<([u64; N], usize)>,
    steps: Vec<u8>,
    last: [u64; N],
    len: usize,
}

impl<const N: usize> Default for Rising<N> {
    fn default() -> Self {
        Self { anchors: Vec::new(), steps: Vec::new(), last: [0; N], len: 0 }
    }
}

impl<const N: usize> Rising<N> {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Appends a row.
    pub fn push(&mut self, row: [u64; N]) {
        if self.len.is_multiple_of(STRIDE) {
            self.anchors.push((row, self.steps.len()));
        } else {
            let mut writer = Writer::onto(std::mem::take(&mut self.steps));
            for (now, before) in row.iter().zip(self.last) {
                // A number behind the first may fall; adding with wrapping takes that back.
                writer.uint(now.wrapping_sub(before));
            }
            self.steps = writer.into_bytes();
        }
        self.last = row;
        self.len += 1;
    }

    /// A row.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<[u64; N]> {
        self.group(index / STRIDE).nth(index % STRIDE)
    }

    /// The last row whose first number is not above this, and its index.
    #[must_use]
    pub fn last_up_to(&self, first: u64) -> Option<(usize, [u64; N])> {
        let group = self.groups_up_to(first).checked_sub(1)?;
        let rows = (group * STRIDE..).zip(self.group(group));
        rows.take_while(|(_, row)| row[0] <= first).last()
    }

    /// Rows whose first number is below this, the last one first.
    pub fn below(&self, first: u64) -> impl Iterator<Item = [u64; N]> {
        (0..self.groups_up_to(first)).rev().flat_map(move |group| {
            let rows: Vec<_> = self.group(group).take_while(|row| row[0] < first).collect();
            rows.into_iter().rev()
        })
    }

    /// Number of the groups that begin with a first number not above this.
    fn groups_up_to(&self, first: u64) -> usize {
        self.anchors.partition_point(|(row, _)| row[0] <= first)
    }

    /// The rows from an anchor to the next.
    fn group(&self, group: usize) -> impl Iterator<Item = [u64; N]> {
        let anchor = self.anchors.get(group);
        let end = self.anchors.get(group + 1).map_or(self.steps.len(), |(_, end)| *end);
        let steps = anchor.and_then(|(_, start)| self.steps.get(*start..end)).unwrap_or_default();
        let mut reader = Reader::new(steps);
        std::iter::successors(anchor.map(|(row, _)| *row), move |before| {
            let mut row = *before;
            for number in &mut row {
                // The end of the steps is the end of the rows.
                *number = number.wrapping_add(reader.uint("step").ok()?);
            }
            Some(row)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_are_found_as_in_a_plain_list(
            steps in proptest::collection::vec((0_u64..3, any::<u64>()), 0..400),
            asked in 0_u64..900,
        ) {
            let mut first = 5;
            let mut plain = Vec::new();
            let mut rising = Rising::<2>::default();
            for (step, other) in steps {
                first += step;
                plain.push([first, other]);
                rising.push([first, other]);
            }
            prop_assert_eq!(rising.len(), plain.len());
            let rows: Vec<_> = (0..plain.len() + 70).map_while(|at| rising.get(at)).collect();
            prop_assert_eq!(&rows, &plain);
            let found = plain.iter().rposition(|row| row[0] <= asked).map(|at| (at, plain[at]));
            prop_assert_eq!(rising.last_up_to(asked), found);
            let below: Vec<_> = plain.iter().rev().filter(|row| row[0] < asked).copied().collect();
            prop_assert_eq!(rising.below(asked).collect::<Vec<_>>(), below);
        }
    }
}
