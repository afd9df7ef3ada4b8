//! The readers' share of the processors while records are waiting. A few readers do not slow
//! ingestion; a thousand wait for each other instead of holding it up.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::limits::{READ_SHARE_BURST, READ_SHARE_PER_MILLE};

/// Processor time that readers may take.
#[derive(Debug)]
pub struct ReadShare {
    /// Processor time that comes back in a second.
    a_second: Duration,
    /// The time at which the share is fully replenished.
    whole_at: Mutex<Duration>,
}

impl ReadShare {
    /// The share of a machine with so many processors.
    #[must_use]
    pub fn of(processors: u32) -> Self {
        let a_second = Duration::from_millis(u64::from(READ_SHARE_PER_MILLE)) * processors.max(1);
        Self { a_second, whole_at: Mutex::default() }
    }

    /// The wait of the next reader.
    #[must_use]
    pub fn wait(&self, now: Duration) -> Duration {
        let whole_at = *self.whole_at.lock().unwrap_or_else(PoisonError::into_inner);
        whole_at.saturating_sub(now).saturating_sub(self.time_for(READ_SHARE_BURST))
    }

    /// Takes processor time that was spent.
    pub fn take(&self, spent: Duration, now: Duration) {
        let mut whole_at = self.whole_at.lock().unwrap_or_else(PoisonError::into_inner);
        *whole_at = (*whole_at).max(now) + self.time_for(spent);
    }

    /// The time in which processor time is replenished.
    fn time_for(&self, spent: Duration) -> Duration {
        spent.div_f64(self.a_second.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_burst_passes_and_a_flood_waits() {
        let share = ReadShare::of(2);
        let now = Duration::from_secs(9);
        assert_eq!(share.wait(now), Duration::ZERO);
        share.take(READ_SHARE_BURST, now);
        assert_eq!(share.wait(now), Duration::ZERO, "within the burst");
        share.take(share.a_second, now);
        assert_eq!(share.wait(now), Duration::from_secs(1));
        assert_eq!(share.wait(now + Duration::from_secs(1)), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn readers_never_take_more_than_their_share(spent in proptest::collection::vec(1_u64..20_000, 1..400)) {
            let share = ReadShare::of(2);
            let (mut now, mut taken) = (Duration::ZERO, Duration::ZERO);
            for micros in spent {
                now += share.wait(now);
                let spent = Duration::from_micros(micros);
                share.take(spent, now);
                taken += spent;
                let most = share.a_second.mul_f64(now.as_secs_f64()) + READ_SHARE_BURST + spent;
                prop_assert!(taken <= most + Duration::from_millis(1), "{taken:?} by {now:?}");
            }
        }
    }
}
