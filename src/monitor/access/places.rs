//! Quotas: bounded places for work of one kind, shared out so that no client takes them all and
//! callers whose name is known come first.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::MAX_LIMITED_CLIENTS;
use crate::monitor::access::limit::quota_key;

/// The sender of a request, as far as quotas go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asker {
    /// The client's network; `None` for programs on this machine, which have no quota of their own.
    client: Option<IpAddr>,
    /// True if the places kept for known callers are open to it.
    is_first: bool,
}

impl Asker {
    /// An asker at a client's address.
    #[must_use]
    pub fn new(client: IpAddr, is_first: bool) -> Self {
        Self { client: quota_key(client), is_first }
    }
}

/// The bounds of one kind of work.
#[derive(Debug, Clone, Copy)]
pub struct Quota {
    /// Places in all.
    pub all: usize,
    /// Of these, places that only known callers take.
    pub kept: usize,
    /// Places that one client takes at a time.
    pub per_client: usize,
}

/// The places of one kind of work.
#[derive(Debug)]
pub struct Places {
    all: Arc<Semaphore>,
    /// The places that anyone may take: callers who are not known hold one of these as well.
    open: Arc<Semaphore>,
    per_client: usize,
    /// The places of each client that holds or waits for one.
    clients: Mutex<HashMap<IpAddr, Arc<Semaphore>>>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub struct Place {
    _permits: [Option<OwnedSemaphorePermit>; 3],
}

impl Places {
    /// Free places.
    #[must_use]
    pub fn new(quota: Quota) -> Self {
        let Quota { all, kept, per_client } = quota;
        Self {
            all: Arc::new(Semaphore::new(all)),
            open: Arc::new(Semaphore::new(all.saturating_sub(kept))),
            per_client,
            clients: Mutex::default(),
        }
    }

    /// A place, once there is one for this asker.
    pub async fn take(&self, asker: Asker) -> Option<Place> {
        // Always in this order, so that nobody holds what another one waits for.
        let client = match self.of_client(asker) {
            Some(places) => Some(places.acquire_owned().await.ok()?),
            None => None,
        };
        let open = match asker.is_first {
            true => None,
            false => Some(Arc::clone(&self.open).acquire_owned().await.ok()?),
        };
        let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Place { _permits: [client, open, Some(all)] })
    }

    /// A place, where there is one for this asker now.
    pub fn try_take(&self, asker: Asker) -> Option<Place> {
        let client = match self.of_client(asker) {
            Some(places) => Some(places.try_acquire_owned().ok()?),
            None => None,
        };
        let open = match asker.is_first {
            true => None,
            false => Some(Arc::clone(&self.open).try_acquire_owned().ok()?),
        };
        let all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some(Place { _permits: [client, open, Some(all)] })
    }

    /// The places of the asker's own client.
    fn of_client(&self, asker: Asker) -> Option<Arc<Semaphore>> {
        let client = asker.client?;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= MAX_LIMITED_CLIENTS && !clients.contains_key(&client) {
            // Every place that is held or waited for holds its semaphore.
            clients.retain(|_, places| Arc::strong_count(places) > 1);
        }
        let new = || Arc::new(Semaphore::new(self.per_client));
        Some(Arc::clone(clients.entry(client).or_insert_with(new)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(number: u8, is_first: bool) -> Asker {
        Asker::new([203, 0, 113, number].into(), is_first)
    }

    #[test]
    fn no_client_takes_all_places_and_known_callers_come_first() {
        let places = Places::new(Quota { all: 6, kept: 2, per_client: 3 });
        let take = |asker| places.try_take(asker);
        let mut held: Vec<_> = (0..3).filter_map(|_| take(asker(1, false))).collect();
        assert_eq!(held.len(), 3);
        assert!(take(asker(1, false)).is_none(), "one client has its share");
        assert!(take(asker(1, true)).is_none(), "known or not");
        held.push(take(asker(2, false)).unwrap());
        assert!(take(asker(2, false)).is_none(), "the rest is for known callers");
        assert!(take(asker(3, false)).is_none());
        held.push(take(asker(3, true)).unwrap());
        held.push(take(asker(2, true)).unwrap());
        assert!(take(asker(4, true)).is_none(), "all are taken");
        held.remove(0);
        assert!(take(asker(4, false)).is_some() && take(asker(1, true)).is_some());
        drop(held);
        let here = Asker::new([127, 0, 0, 1].into(), false);
        let here: Vec<_> = (0..6).filter_map(|_| take(here)).collect();
        assert_eq!(here.len(), 4, "programs on this machine share what is open to anyone");
    }

    #[test]
    fn a_place_that_is_waited_for_is_given_on() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let places = Places::new(Quota { all: 1, kept: 0, per_client: 1 });
            let held = places.take(asker(1, false)).await.unwrap();
            let waiting = places.take(asker(2, false));
            tokio::pin!(waiting);
            tokio::select! {
                biased;
                _ = &mut waiting => panic!("the place is taken"),
                () = std::future::ready(()) => {}
            }
            drop(held);
            assert!(waiting.await.is_some());
        });
    }

    #[test]
    fn the_table_of_clients_does_not_grow() {
        let places = Places::new(Quota { all: 2, kept: 0, per_client: 1 });
        let held = places.try_take(asker(1, false)).unwrap();
        for number in 0..2 * u32::try_from(MAX_LIMITED_CLIENTS).unwrap() {
            let client = IpAddr::from((0x0a00_0000 + number).to_be_bytes());
            assert!(places.try_take(Asker::new(client, false)).is_some());
        }
        assert!(places.clients.lock().unwrap().len() <= MAX_LIMITED_CLIENTS);
        assert!(places.try_take(asker(1, false)).is_none(), "who holds a place is not forgotten");
        drop(held);
    }
}
