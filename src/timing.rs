//! How long things took, counted in buckets: for metrics and reports. Nothing here asks for the
//! time.

use std::time::Duration;

/// Upper ends of the buckets, in microseconds.
pub const TIME_BUCKETS_US: [u64; 14] = [
    100,
    200,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    u64::MAX,
];

/// The bucket of a time.
#[must_use]
pub fn bucket_of(took: Duration) -> usize {
    let micros = took.as_nanos().div_ceil(1_000);
    let is_in = |end: &u64| micros <= u128::from(*end);
    TIME_BUCKETS_US.iter().position(is_in).unwrap_or(TIME_BUCKETS_US.len() - 1)
}

/// Times by bucket of [`TIME_BUCKETS_US`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeCounts {
    /// Observations in each bucket.
    pub counts: [u64; TIME_BUCKETS_US.len()],
    /// All of them together.
    pub sum: Duration,
}

impl TimeCounts {
    /// Adds one.
    pub fn add(&mut self, took: Duration) {
        self.counts[bucket_of(took)] += 1;
        self.sum += took;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_counts_in_the_first_bucket_that_takes_it() {
        let mut times = TimeCounts::default();
        let cases = [
            (Duration::ZERO, 0),
            (Duration::from_micros(100), 0),
            (Duration::from_nanos(100_001), 1),
            (Duration::from_micros(1_000), 3),
            (Duration::from_secs(1), 12),
            (Duration::from_secs(2), 13),
            (Duration::MAX, 13),
        ];
        for (took, bucket) in cases {
            assert_eq!(bucket_of(took), bucket, "{took:?}");
        }
        times.add(Duration::from_micros(150));
        times.add(Duration::from_micros(160));
        assert_eq!((times.counts[1], times.sum), (2, Duration::from_micros(310)));
    }
}
