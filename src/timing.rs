//! Durations, counted in buckets, for metrics and reports. Nothing here asks for the time.

use std::time::Duration;

/// Upper ends of the buckets, in microseconds.
pub const TIME_BUCKETS_US: [u64; 17] = [
    100,
    200,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    30_000,
    50_000,
    75_000,
    100_000,
    150_000,
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
        self.add_many(took, 1);
    }

    /// Adds so many that took the same time.
    pub fn add_many(&mut self, took: Duration, count: u32) {
        self.counts[bucket_of(took)] += u64::from(count);
        self.sum += took * count;
    }

    /// Upper end of the bucket that a share of all observations does not exceed; `None` where it is
    /// the last, which has no end, or nothing was observed.
    #[must_use]
    pub fn quantile(&self, per_mille: u64) -> Option<Duration> {
        let all: u64 = self.counts.iter().sum();
        let wanted = (all * per_mille).div_ceil(1_000).max(1);
        let mut seen = 0;
        let at = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        let end = TIME_BUCKETS_US[at];
        (end < u64::MAX).then(|| Duration::from_micros(end))
    }

    /// The observations made since `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let mut counts = self.counts;
        for (count, before) in counts.iter_mut().zip(before.counts) {
            *count = count.saturating_sub(before);
        }
        Self { counts, sum: self.sum.saturating_sub(before.sum) }
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
            (Duration::from_secs(1), 15),
            (Duration::from_secs(2), 16),
            (Duration::MAX, 16),
        ];
        for (took, bucket) in cases {
            assert_eq!(bucket_of(took), bucket, "{took:?}");
        }
        times.add(Duration::from_micros(150));
        times.add(Duration::from_micros(160));
        assert_eq!((times.counts[1], times.sum), (2, Duration::from_micros(310)));
    }

    #[test]
    fn a_quantile_is_the_end_of_its_bucket() {
        let mut times = TimeCounts::default();
        assert_eq!(times.quantile(500), None, "nothing was observed");
        times.add_many(Duration::from_micros(900), 99);
        times.add(Duration::from_millis(4));
        let quantiles = [500, 990, 991, 1_000].map(|per_mille| times.quantile(per_mille));
        let (short, long) = (Some(Duration::from_millis(1)), Some(Duration::from_millis(5)));
        assert_eq!(quantiles, [short, short, long, long]);
        let before = times;
        times.add(Duration::from_secs(9));
        assert_eq!(times.since(&before).quantile(500), None, "the last bucket has no end");
    }
}
