//! Browsers that have logged in. A cookie holds a random text, the table its digest, so that neither
//! the table nor the time of a look-up gives a cookie away. What was proved at the login is asked for
//! again at every request: a token that is taken back ends its sessions.
//!
//! Sessions are in memory only: after a start everyone logs in again.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::codec::Digest;
use crate::limits::{MAX_CALLER_SESSIONS, MAX_SESSIONS, SESSION_LIFETIME};
use crate::monitor::access::caller::{Caller, How};
use crate::monitor::access::tokens::{TokenError, random_text};

/// The credentials of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// A token of the file, by its digest.
    Token(Digest),
    /// A signed token, which is good until its own end.
    Signed {
        /// The caller of the session.
        caller: Caller,
        /// Expiry, in milliseconds since 1970.
        until_ms: i64,
        /// Thumbprint of the key that signed it.
        key: Digest,
    },
}

#[derive(Debug)]
struct Session {
    holder: Holder,
    proof: Proof,
    until_ms: i64,
}

/// The one whose sessions are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Holder {
    name: Arc<str>,
    how: How,
}

/// All sessions.
#[derive(Debug, Default)]
pub struct Sessions {
    table: Mutex<HashMap<Digest, Session>>,
}

impl Sessions {
    /// Begins a session of a caller; its cookie's value. Where the caller has
    /// [`MAX_CALLER_SESSIONS`], its own oldest ends; where there are [`MAX_SESSIONS`], the oldest of
    /// the caller with the most.
    pub fn begin(&self, caller: &Caller, proof: Proof, now_ms: i64) -> Result<String, TokenError> {
        let text = random_text()?;
        let lifetime = i64::try_from(SESSION_LIFETIME.as_millis()).unwrap_or(i64::MAX);
        let most = now_ms.saturating_add(lifetime);
        let until_ms = match &proof {
            Proof::Token(_) => most,
            Proof::Signed { until_ms, .. } => most.min(*until_ms),
        };
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.retain(|_, session| session.until_ms > now_ms);
        let holder = Holder { name: caller.name().into(), how: caller.how() };
        make_room(&mut table, &holder);
        table.insert(Digest::of(text.as_bytes()), Session { holder, proof, until_ms });
        Ok(text)
    }

    /// The credentials of a cookie's session, until it expires.
    #[must_use]
    pub fn find(&self, cookie: &str, now_ms: i64) -> Option<Proof> {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let session = table.get(&Digest::of(cookie.as_bytes()))?;
        (session.until_ms > now_ms).then(|| session.proof.clone())
    }

    /// Ends the session of a cookie.
    pub fn end(&self, cookie: &str) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.remove(&Digest::of(cookie.as_bytes()));
    }
}

/// Ends the sessions that one more of this holder has no room beside: never another's while the holder
/// has too many, so that nobody logs everyone else out.
fn make_room(table: &mut HashMap<Digest, Session>, holder: &Holder) {
    let mut counts = HashMap::<&Holder, usize>::new();
    for session in table.values() {
        *counts.entry(&session.holder).or_default() += 1;
    }
    let count = |holder: &Holder| counts.get(holder).copied().unwrap_or_default();
    let is_own = |session: &Session| session.holder == *holder;
    let candidates: Vec<_> = if count(holder) >= MAX_CALLER_SESSIONS {
        table.iter().filter(|(_, session)| is_own(session)).collect()
    } else if table.len() >= MAX_SESSIONS {
        table.iter().collect()
    } else {
        return;
    };
    let rank =
        |(_, session): &&(&Digest, &Session)| (Reverse(count(&session.holder)), session.until_ms);
    let oldest = candidates.iter().min_by_key(rank).map(|(key, _)| **key);
    oldest.map(|key| table.remove(&key));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::access::caller::Role;

    const NOW_MS: i64 = 1_800_000_000_000;

    fn token(number: u64) -> Proof {
        Proof::Token(Digest::of(&number.to_le_bytes()))
    }

    #[test]
    fn a_session_lasts_for_its_time_and_not_longer() {
        let sessions = Sessions::default();
        let lifetime = i64::try_from(SESSION_LIFETIME.as_millis()).unwrap();
        let caller = Caller::known("ada", Role::Viewer, How::Jwt).unwrap();
        let key = Digest::of(b"key");
        let signed = |until_ms| Proof::Signed { caller: caller.clone(), until_ms, key };
        for (proof, lasts) in [
            (token(1), lifetime),
            (signed(NOW_MS + 1_000), 1_000),
            (signed(NOW_MS + 10 * lifetime), lifetime),
        ] {
            let cookie = sessions.begin(&caller, proof.clone(), NOW_MS).unwrap();
            assert_eq!(sessions.find(&cookie, NOW_MS + lasts - 1), Some(proof));
            assert_eq!(sessions.find(&cookie, NOW_MS + lasts), None);
            assert_eq!(sessions.find(&cookie[1..], NOW_MS), None);
            sessions.end(&cookie);
            assert_eq!(sessions.find(&cookie, NOW_MS), None);
        }
    }

    fn caller(name: &str) -> Caller {
        Caller::known(name, Role::Viewer, How::Token).unwrap()
    }

    /// Checks which sessions are still valid.
    fn live(sessions: &Sessions, cookies: &[String]) -> Vec<bool> {
        cookies.iter().map(|cookie| sessions.find(cookie, NOW_MS + 5_000).is_some()).collect()
    }

    #[test]
    fn a_caller_with_too_many_loses_its_own_oldest() {
        let sessions = Sessions::default();
        let begin = |caller: &Caller, at_ms| {
            let proof = token(u64::try_from(at_ms).unwrap());
            sessions.begin(caller, proof, NOW_MS + at_ms).unwrap()
        };
        let same_name = Caller::known("ada", Role::Viewer, How::Jwt).unwrap();
        let others = [begin(&caller("bob"), 0), begin(&same_name, 1)];
        let most = i64::try_from(MAX_CALLER_SESSIONS).unwrap();
        let many = 2 * i64::try_from(MAX_SESSIONS).unwrap();
        let own: Vec<_> = (0..many).map(|number| begin(&caller("ada"), 2 + number)).collect();
        assert_eq!(live(&sessions, &others), [true, true], "nobody logs others out");
        let expected: Vec<_> = (0..many).map(|number| number >= many - most).collect();
        assert_eq!(live(&sessions, &own), expected, "the newest stay");
    }

    #[test]
    fn the_caller_with_the_most_makes_room_when_all_are_taken() {
        let sessions = Sessions::default();
        let begin =
            |name: &str, at_ms| sessions.begin(&caller(name), token(0), NOW_MS + at_ms).unwrap();
        let greedy = [begin("greedy", 1), begin("greedy", 2)];
        let oldest = begin("oldest", 0);
        let others = MAX_SESSIONS - greedy.len() - 1;
        for number in 0..others {
            begin(&format!("other-{number}"), 3);
        }
        let late = begin("late", 4);
        assert_eq!(sessions.table.lock().unwrap().len(), MAX_SESSIONS);
        assert_eq!(live(&sessions, &greedy), [false, true]);
        assert_eq!(live(&sessions, &[oldest.clone(), late]), [true, true]);
        begin("later", 4);
        assert_eq!(live(&sessions, &[oldest]), [false], "of those with one, the oldest");
    }
}
