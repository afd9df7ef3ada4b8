//! Rate limits for each client: of requests, and of failed authentications. Each client has a token
//! bucket that refills with time (generic cell rate algorithm, ITU-T I.371): a burst passes, a
//! flood does not. Programs on this machine are not counted: anyone there can do worse.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::limits::{
    FAILED_LOGIN_BURST, FAILED_LOGIN_EVERY, MAX_LIMITED_CLIENTS, REQUEST_BURST, REQUEST_EVERY,
};

/// One limit for many clients.
#[derive(Debug)]
struct Limit {
    /// Time in which one request comes back.
    every: Duration,
    /// Time that a whole burst takes to come back.
    whole: Duration,
    /// The time at which a client's bucket is full. Clients with a full bucket need no entry.
    full_at: Mutex<HashMap<IpAddr, Duration>>,
}

impl Limit {
    fn new(every: Duration, burst: u32) -> Self {
        Self { every, whole: every * burst, full_at: Mutex::default() }
    }

    /// Takes one from a client's store; where it is empty, how long until there is one.
    fn take(&self, client: IpAddr, now: Duration) -> Result<(), Duration> {
        let mut table = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = table.get(&client).copied().unwrap_or(now).max(now) + self.every;
        if let Some(wait) = full_at.checked_sub(now + self.whole).filter(|wait| !wait.is_zero()) {
            return Err(wait);
        }
        if table.len() >= MAX_LIMITED_CLIENTS && !table.contains_key(&client) {
            table.retain(|_, full_at| *full_at > now);
            if table.len() >= MAX_LIMITED_CLIENTS {
                // The one that asked least is forgotten.
                let least = table.iter().min_by_key(|(_, full_at)| **full_at);
                let least = least.map(|(client, _)| *client);
                least.map(|client| table.remove(&client));
            }
        }
        table.insert(client, full_at);
        Ok(())
    }
}

/// The limits of every client.
#[derive(Debug)]
pub struct Limits {
    requests: Limit,
    failures: Limit,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests: Limit::new(REQUEST_EVERY, REQUEST_BURST),
            failures: Limit::new(FAILED_LOGIN_EVERY, FAILED_LOGIN_BURST),
        }
    }
}

impl Limits {
    /// Counts a request; where there were too many, how long to wait.
    pub fn request(&self, client: IpAddr, now: Duration) -> Result<(), Duration> {
        quota_key(client).map_or(Ok(()), |client| self.requests.take(client, now))
    }

    /// Counts a token that was not taken; where there were too many, how long to wait.
    pub fn failure(&self, client: IpAddr, now: Duration) -> Result<(), Duration> {
        self.failures.take(network(client), now)
    }
}

/// The network that quotas count as one client; `None` for programs on this machine, which are not
/// counted.
pub fn quota_key(client: IpAddr) -> Option<IpAddr> {
    (!client.to_canonical().is_loopback()).then(|| network(client))
}

/// The network of one client: an IPv4 address, or the upper 64 bits of an IPv6 address, because it
/// can use all of them.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn client(number: u32) -> IpAddr {
        IpAddr::from((0xcb00_7100 + number).to_be_bytes())
    }

    #[test]
    fn a_burst_passes_and_a_flood_does_not() {
        let limit = Limit::new(SECOND, 3);
        for (at, passes) in [
            (10_000, true),
            (10_000, true),
            (10_000, true),
            (10_000, false),
            (10_999, false),
            (11_000, true),
            (11_000, false),
            (60_000, true),
            (60_000, true),
            (60_000, true),
            (60_000, false),
        ] {
            let taken = limit.take(client(1), Duration::from_millis(at));
            assert_eq!(taken.is_ok(), passes, "{at}: {taken:?}");
        }
        let wait = limit.take(client(1), Duration::from_millis(60_400)).unwrap_err();
        assert_eq!(wait, Duration::from_millis(600));
        assert!(limit.take(client(2), Duration::from_millis(60_400)).is_ok(), "each for itself");
    }

    #[test]
    fn the_table_does_not_grow_and_keeps_the_worst() {
        let limit = Limit::new(SECOND, 2);
        let now = 100 * SECOND;
        assert!(limit.take(client(0), now).is_ok() && limit.take(client(0), now).is_ok());
        let many = u32::try_from(MAX_LIMITED_CLIENTS).unwrap() + 100;
        for number in 1..=many {
            assert!(limit.take(client(number), now).is_ok());
        }
        assert_eq!(limit.full_at.lock().unwrap().len(), MAX_LIMITED_CLIENTS);
        assert!(limit.take(client(0), now).is_err());
        assert!(limit.take(client(many + 1), now + 10 * SECOND).is_ok());
        assert_eq!(
            limit.full_at.lock().unwrap().len(),
            1,
            "those that are full again need no line"
        );
    }

    #[test]
    fn clients_are_networks_and_this_machine_is_none() {
        let limits = Limits::default();
        for (one, other, same) in [
            ("2001:db8::1", "2001:db8::2", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
        ] {
            let [one, other] = [one, other].map(|address| network(address.parse().unwrap()));
            assert_eq!(one == other, same, "{one} {other}");
        }
        for here in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            for _ in 0..2 * REQUEST_BURST {
                assert!(limits.request(here.parse().unwrap(), SECOND).is_ok(), "{here}");
            }
        }
        let there = client(1);
        let passed = (0..2 * REQUEST_BURST).filter(|_| limits.request(there, SECOND).is_ok());
        assert_eq!(passed.count(), usize::try_from(REQUEST_BURST).unwrap());
        let failed = (0..2 * FAILED_LOGIN_BURST)
            .filter(|_| limits.failure("127.0.0.1".parse().unwrap(), SECOND).is_ok());
        assert_eq!(failed.count(), usize::try_from(FAILED_LOGIN_BURST).unwrap());
    }
}
