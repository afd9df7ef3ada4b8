//! Open connections: how many there are, of which clients, and which one is closed for a new one
//! where there are too many. A connection whose caller is known is never closed for another.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::limits::{MAX_CLIENT_CONNECTIONS, MAX_CONNECTIONS};
use crate::monitor::access::limit::quota_key;

/// The best that a connection's requests have proved so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Nothing: no request was let in yet.
    Stranger,
    /// A request was let in that anyone may send.
    Guest,
    /// The caller is known by name.
    Known,
}

/// All connections that are open.
#[derive(Debug, Clone)]
pub struct Connections {
    table: Arc<Mutex<Table>>,
    most: usize,
    most_per_client: usize,
}

#[derive(Debug, Default)]
struct Table {
    /// By number: the oldest first.
    open: BTreeMap<u64, Open>,
    next: u64,
}

#[derive(Debug)]
struct Open {
    /// `None` for programs on this machine.
    client: Option<IpAddr>,
    standing: Standing,
    close: Arc<Notify>,
}

impl Default for Connections {
    fn default() -> Self {
        Self::new(MAX_CONNECTIONS, MAX_CLIENT_CONNECTIONS)
    }
}

impl Connections {
    fn new(most: usize, most_per_client: usize) -> Self {
        Self { table: Arc::default(), most, most_per_client }
    }

    /// Adds a connection of a client. Where there are too many, of this client or in all, one that
    /// proved less is closed for it; `None` where there is no such.
    pub fn enter(&self, client: IpAddr) -> Option<Connected> {
        let client = quota_key(client);
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let is_own = |open: &Open| client.is_some() && open.client == client;
        if table.open.values().filter(|open| is_own(open)).count() >= self.most_per_client {
            table.close_one(is_own)?;
        }
        if table.open.len() >= self.most {
            table.close_one(|_| true)?;
        }
        let (number, close) = (table.next, Arc::new(Notify::new()));
        table.next += 1;
        let open = Open { client, standing: Standing::Stranger, close: Arc::clone(&close) };
        table.open.insert(number, open);
        Some(Connected { table: Arc::clone(&self.table), number, close })
    }

    /// Closes the connection that proved least; whether there was one.
    pub fn close_one(&self) -> bool {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.close_one(|_| true).is_some()
    }
}

impl Table {
    /// Closes the connection that proved least; of several, the oldest of the client with the most.
    fn close_one(&mut self, is_candidate: impl Fn(&Open) -> bool) -> Option<()> {
        let mut counts = HashMap::<_, usize>::new();
        for open in self.open.values() {
            *counts.entry(open.client).or_default() += 1;
        }
        let candidates = self
            .open
            .iter()
            .filter(|(_, open)| open.standing < Standing::Known && is_candidate(open));
        let rank = |(number, open): &(&u64, &Open)| {
            (open.standing, Reverse(counts.get(&open.client).copied()), **number)
        };
        let number = *candidates.min_by_key(rank)?.0;
        self.open.remove(&number)?.close.notify_one();
        Some(())
    }
}

/// An open connection, until it is dropped.
#[derive(Debug)]
pub struct Connected {
    table: Arc<Mutex<Table>>,
    number: u64,
    close: Arc<Notify>,
}

impl Connected {
    /// Notes what a request on it has proved.
    pub fn prove(&self, standing: Standing) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = table.open.get_mut(&self.number) {
            open.standing = open.standing.max(standing);
        }
    }

    /// Waits until it is to be closed for another one.
    pub async fn is_closed(&self) {
        self.close.notified().await;
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.open.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u8) -> IpAddr {
        [203, 0, 113, number].into()
    }

    fn here() -> IpAddr {
        [127, 0, 0, 1].into()
    }

    /// Checks which connections are still open.
    fn open(connections: &[Connected]) -> Vec<bool> {
        let is_open = |one: &Connected| one.table.lock().unwrap().open.contains_key(&one.number);
        connections.iter().map(is_open).collect()
    }

    #[test]
    fn a_client_at_its_bound_loses_its_own_oldest() {
        let all = Connections::new(100, 3);
        let other = all.enter(client(2)).unwrap();
        let mut held: Vec<_> = (0..3).map(|_| all.enter(client(1)).unwrap()).collect();
        held[0].prove(Standing::Guest);
        held.push(all.enter(client(1)).unwrap());
        assert_eq!(open(&held), [true, false, true, true], "who was let in stays longest");
        held.iter().for_each(|one| one.prove(Standing::Known));
        assert!(all.enter(client(1)).is_none(), "none of its connections may be closed");
        assert_eq!(open(&[other]), [true]);
    }

    #[test]
    fn the_client_with_the_most_makes_room_when_all_are_taken() {
        let all = Connections::new(6, 100);
        let others = [all.enter(client(2)).unwrap(), all.enter(here()).unwrap()];
        let greedy: Vec<_> = (0..4).map(|_| all.enter(client(1)).unwrap()).collect();
        let late = all.enter(client(3)).unwrap();
        assert_eq!(open(&greedy), [false, true, true, true]);
        late.prove(Standing::Known);
        // Strangers go before those who were let in, however many these have.
        greedy[1..].iter().for_each(|one| one.prove(Standing::Guest));
        let _fourth = all.enter(client(4)).unwrap();
        assert_eq!(open(&others), [false, true]);
        assert_eq!(open(&greedy[1..]), [true, true, true]);
        assert_eq!(open(&[late]), [true]);
    }

    #[test]
    fn known_callers_are_never_closed_for_another() {
        let all = Connections::new(2, 100);
        let held = [all.enter(here()).unwrap(), all.enter(client(1)).unwrap()];
        held.iter().for_each(|one| one.prove(Standing::Known));
        held[0].prove(Standing::Stranger);
        assert!(all.enter(client(2)).is_none());
        assert_eq!(open(&held), [true, true]);
        drop(held);
        assert!(all.enter(client(2)).is_some(), "their places are free again");
        assert!(all.table.lock().unwrap().open.is_empty());
    }

    #[test]
    fn a_connection_hears_that_it_is_closed() {
        let all = Connections::new(1, 1);
        let first = all.enter(client(1)).unwrap();
        let _second = all.enter(client(2)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(first.is_closed());
    }
}
