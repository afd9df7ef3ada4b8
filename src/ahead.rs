//! Work that needs no order, done on other threads a few steps ahead, with its results in order.
//!
//! Reading a log is mostly hashing and decoding, block by block; only a small part of it needs the
//! block before. Nothing here knows what the work is.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Builder;

use crate::limits::MAX_AHEAD_BYTES;

/// Items that one thread may have waiting: enough that it need not wait for the next.
const WAITING: usize = 4;

/// Threads at work, and results that are under way.
pub struct Ahead<'p, T, U> {
    lanes: Vec<(SyncSender<T>, Receiver<U>)>,
    prepare: &'p (dyn Fn(T) -> U + Sync),
    /// Lane of the next item, and of the oldest result.
    lane_in: usize,
    lane_out: usize,
    under_way: usize,
    /// Bytes of each item under way, and of all of them.
    bytes: VecDeque<usize>,
    all_bytes: usize,
}

/// Runs `take_all` with as many threads as there are processors, each of which does `prepare`.
pub fn ahead<T: Send, U: Send, R>(
    prepare: impl Fn(T) -> U + Sync,
    take_all: impl FnOnce(&mut Ahead<'_, T, U>) -> R,
) -> R {
    ahead_on(1, prepare, take_all)
}

/// The same with so many threads a processor, for work that partly waits.
pub fn ahead_on<T: Send, U: Send, R>(
    threads: usize,
    prepare: impl Fn(T) -> U + Sync,
    take_all: impl FnOnce(&mut Ahead<'_, T, U>) -> R,
) -> R {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let count = processors * threads;
    let prepare = &prepare;
    std::thread::scope(|scope| {
        let mut lanes = Vec::with_capacity(count);
        for _ in 0..count {
            let (items_in, items) = sync_channel::<T>(WAITING);
            let (results_in, results) = sync_channel(WAITING);
            let work = move || {
                while let Ok(item) = items.recv() {
                    if results_in.send(prepare(item)).is_err() {
                        break;
                    }
                }
            };
            // Where no thread is to be had, those that there are do the work, or the caller does.
            if Builder::new().name("ahead".to_owned()).spawn_scoped(scope, work).is_ok() {
                lanes.push((items_in, results));
            }
        }
        let mut ahead = Ahead {
            lanes,
            prepare,
            lane_in: 0,
            lane_out: 0,
            under_way: 0,
            bytes: VecDeque::new(),
            all_bytes: 0,
        };
        take_all(&mut ahead)
    })
}

impl<T, U> Ahead<'_, T, U> {
    /// The oldest result, as long as another item of so many bytes would be too much at a time. To be
    /// asked until there is none, before an item is handed on that may be large.
    pub fn make_room(&mut self, bytes: usize) -> Option<U> {
        let is_full = self.all_bytes.saturating_add(bytes) > MAX_AHEAD_BYTES;
        is_full.then(|| self.take()).flatten()
    }

    /// Hands an item on. Gives the oldest result once enough are under way.
    pub fn push(&mut self, item: T) -> Option<U> {
        self.push_sized(item, 0)
    }

    /// The same for an item of so many bytes; see [`Ahead::make_room`].
    pub fn push_sized(&mut self, item: T, bytes: usize) -> Option<U> {
        if self.lanes.is_empty() {
            return Some((self.prepare)(item));
        }
        let oldest = (self.under_way >= self.lanes.len() * WAITING).then(|| self.take()).flatten();
        // A lane ends early only by a panic, which the scope passes on.
        if self.lanes[self.lane_in].0.send(item).is_ok() {
            self.under_way += 1;
            self.bytes.push_back(bytes);
            self.all_bytes += bytes;
        }
        self.lane_in = (self.lane_in + 1) % self.lanes.len();
        oldest
    }

    /// The oldest result under way; `None` where there is none.
    pub fn take(&mut self) -> Option<U> {
        self.under_way = self.under_way.checked_sub(1)?;
        self.all_bytes -= self.bytes.pop_front().unwrap_or_default();
        let result = self.lanes[self.lane_out].1.recv().ok();
        self.lane_out = (self.lane_out + 1) % self.lanes.len();
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_result_comes_once_and_in_order(items in proptest::collection::vec(any::<u32>(), 0..200)) {
            let twice = |item: u32| u64::from(item) * 2;
            let results = ahead(twice, |ahead| {
                let mut results = Vec::new();
                for item in &items {
                    results.extend(ahead.push(*item));
                }
                results.extend(std::iter::from_fn(|| ahead.take()));
                results
            });
            prop_assert_eq!(results, items.into_iter().map(twice).collect::<Vec<_>>());
        }

        #[test]
        fn large_items_go_few_at_a_time(sizes in proptest::collection::vec(0_usize..4, 0..60)) {
            let third = MAX_AHEAD_BYTES / 3;
            let taken = ahead(|size: usize| size, |ahead| {
                let mut taken = Vec::new();
                for size in &sizes {
                    taken.extend(std::iter::from_fn(|| ahead.make_room(size * third)));
                    assert!(ahead.all_bytes == 0 || ahead.all_bytes + size * third <= MAX_AHEAD_BYTES);
                    taken.extend(ahead.push_sized(*size, size * third));
                }
                taken.extend(std::iter::from_fn(|| ahead.take()));
                assert_eq!(ahead.all_bytes, 0);
                taken
            });
            prop_assert_eq!(taken, sizes);
        }

        #[test]
        fn it_may_end_before_its_results(count in 0_usize..100) {
            ahead(|item: usize| item, |ahead| (0..count).for_each(|item| _ = ahead.push(item)));
        }
    }
}
