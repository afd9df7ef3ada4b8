//! Threads that the system gives this process. A limit on tasks (`TasksMax=` of a unit, `pids` of a
//! container, `ulimit -u` of a user) is found before work begins: libraries in here cannot all say
//! afterwards that they got no thread.

use std::sync::{Mutex, PoisonError};
use std::thread::Builder;

/// The system gives fewer threads than are needed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this program needs {needed} more threads, but the system allows {found}: raise the limit on \
     tasks (`TasksMax=` of the unit, `--pids-limit` of the container, `ulimit -u` of the user)"
)]
pub struct TooFewThreads {
    needed: usize,
    found: usize,
}

/// Refuses where the system gives fewer threads than these: it starts them all and ends them.
pub fn check(needed: usize) -> Result<(), TooFewThreads> {
    let gate = Mutex::new(());
    let found = std::thread::scope(|scope| {
        let closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = || drop(gate.lock());
        // With the usual stack: the allocator sets itself up on it too.
        let start = |_| Builder::new().name("probe".to_owned()).spawn_scoped(scope, wait).is_ok();
        let found = (0..needed).map(start).take_while(|is_started| *is_started).count();
        drop(closed);
        found
    });
    if found < needed { Err(TooFewThreads { needed, found }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_gives_is_enough() {
        assert_eq!(check(0), Ok(()));
        assert_eq!(check(8), Ok(()));
    }
}
