//! Runs order-independent work on other threads, a few steps ahead, and returns the results in
//! order.
//!
//! Reading a log is mostly hashing and decoding, block by block; only a small part of it needs the
//! block before. Nothing here knows what the work is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Builder;

use crate::limits::MAX_AHEAD_BYTES;

/// Items that one thread may have waiting: enough that it need not wait for the next.
const WAITING: usize = 4;

/// Bytes of memory that an item takes: first those that were set aside for it, then those that its
/// result was found to take.
#[derive(Debug, Clone, Default)]
pub struct Weight(Arc<AtomicUsize>);

impl Weight {
    /// Says what the result takes, once that is known.
    pub fn set(&self, bytes: usize) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// An item on its way to a thread.
type Weighed<T> = (T, Weight);

/// Threads at work, and results that are under way.
pub struct Ahead<'p, T, U> {
    lanes: Vec<(SyncSender<Weighed<T>>, Receiver<U>)>,
    prepare: &'p (dyn Fn(T, &Weight) -> U + Sync),
    /// Lane of the next item, and of the oldest result.
    lane_in: usize,
    lane_out: usize,
    under_way: usize,
    /// The weight of each item in progress.
    weights: VecDeque<Weight>,
}

/// Runs `take_all` with as many threads as there are processors, each of which does `prepare`, which
/// may say what its result weighs.
pub fn ahead<T: Send, U: Send, R>(
    prepare: impl Fn(T, &Weight) -> U + Sync,
    take_all: impl FnOnce(&mut Ahead<'_, T, U>) -> R,
) -> R {
    ahead_on(1, prepare, take_all)
}

/// The same with so many threads a processor, for work that partly waits.
pub fn ahead_on<T: Send, U: Send, R>(
    threads: usize,
    prepare: impl Fn(T, &Weight) -> U + Sync,
    take_all: impl FnOnce(&mut Ahead<'_, T, U>) -> R,
) -> R {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let count = processors * threads;
    let prepare = &prepare;
    std::thread::scope(|scope| {
        let mut lanes = Vec::with_capacity(count);
        for _ in 0..count {
            let (items_in, items) = sync_channel::<Weighed<T>>(WAITING);
            let (results_in, results) = sync_channel(WAITING);
            let work = move || {
                while let Ok((item, weight)) = items.recv() {
                    if results_in.send(prepare(item, &weight)).is_err() {
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
            weights: VecDeque::new(),
        };
        take_all(&mut ahead)
    })
}

impl<T, U> Ahead<'_, T, U> {
    fn bytes(&self) -> usize {
        self.weights.iter().map(Weight::bytes).fold(0, usize::saturating_add)
    }

    /// The oldest result, as long as another item that takes so many bytes would be too much at a
    /// time. To be asked until there is none, before an item is handed on that may be large.
    pub fn make_room(&mut self, bytes: usize) -> Option<U> {
        let is_full = self.bytes().saturating_add(bytes) > MAX_AHEAD_BYTES;
        is_full.then(|| self.take()).flatten()
    }

    /// Hands an item on. Gives the oldest result once enough are under way.
    pub fn push(&mut self, item: T) -> Option<U> {
        self.push_sized(item, 0)
    }

    /// The same for an item that takes so many bytes; see [`Ahead::make_room`].
    pub fn push_sized(&mut self, item: T, bytes: usize) -> Option<U> {
        let weight = Weight::default();
        weight.set(bytes);
        if self.lanes.is_empty() {
            return Some((self.prepare)(item, &weight));
        }
        let oldest = (self.under_way >= self.lanes.len() * WAITING).then(|| self.take()).flatten();
        // A lane ends early only by a panic, which the scope passes on.
        if self.lanes[self.lane_in].0.send((item, weight.clone())).is_ok() {
            self.under_way += 1;
            self.weights.push_back(weight);
        }
        self.lane_in = (self.lane_in + 1) % self.lanes.len();
        oldest
    }

    /// The oldest result under way; `None` where there is none.
    pub fn take(&mut self) -> Option<U> {
        self.under_way = self.under_way.checked_sub(1)?;
        self.weights.pop_front();
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
            let results = ahead(|item, _| twice(item), |ahead| {
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
            let taken = ahead(|size: usize, _| size, |ahead| {
                let mut taken = Vec::new();
                for size in &sizes {
                    taken.extend(std::iter::from_fn(|| ahead.make_room(size * third)));
                    assert!(ahead.bytes() == 0 || ahead.bytes() + size * third <= MAX_AHEAD_BYTES);
                    taken.extend(ahead.push_sized(*size, size * third));
                }
                taken.extend(std::iter::from_fn(|| ahead.take()));
                assert_eq!(ahead.bytes(), 0);
                taken
            });
            prop_assert_eq!(taken, sizes);
        }

        #[test]
        fn results_count_as_they_turn_out(weights in proptest::collection::vec(0_usize..4, 1..60)) {
            // Whatever was set aside for them, two results of three thirds are never there at once.
            let third = MAX_AHEAD_BYTES / 3;
            ahead(|size: usize, weight| weight.set(size * third), |ahead| {
                for size in &weights {
                    while ahead.make_room(0).is_some() {}
                    assert!(ahead.bytes() <= MAX_AHEAD_BYTES || ahead.under_way == 0);
                    // The next one waits until it is known what this one takes.
                    _ = ahead.push_sized(*size, MAX_AHEAD_BYTES + 1);
                }
                while ahead.take().is_some() {}
                assert_eq!(ahead.bytes(), 0);
            });
        }

        #[test]
        fn it_may_end_before_its_results(count in 0_usize..100) {
            ahead(|item: usize, _| item, |ahead| (0..count).for_each(|item| _ = ahead.push(item)));
        }
    }
}
