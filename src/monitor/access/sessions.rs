//! Browsers that have logged in. A cookie holds a random text, the table its digest, so that neither
//! the table nor the time of a look-up gives a cookie away. What was proved at the login is asked for
//! again at every request: a token that is taken back ends its sessions.
//!
//! Sessions are in memory only: after a start everyone logs in again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::codec::Digest;
use crate::limits::{MAX_SESSIONS, SESSION_LIFETIME};
use crate::monitor::access::caller::Caller;
use crate::monitor::access::tokens::{TokenError, random_text};

/// What was shown at the login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// A token of the file, by its digest.
    Token(Digest),
    /// A signed token, which is good until its own end.
    Signed {
        /// Whose it is.
        caller: Caller,
        /// When it ends, in milliseconds since 1970.
        until_ms: i64,
        /// Thumbprint of the key that signed it.
        key: Digest,
    },
}

#[derive(Debug)]
struct Session {
    proof: Proof,
    until_ms: i64,
}

/// All sessions.
#[derive(Debug, Default)]
pub struct Sessions {
    table: Mutex<HashMap<Digest, Session>>,
}

impl Sessions {
    /// Begins a session; its cookie's value. Where there are [`MAX_SESSIONS`], the oldest ends.
    pub fn begin(&self, proof: Proof, now_ms: i64) -> Result<String, TokenError> {
        let text = random_text()?;
        let lifetime = i64::try_from(SESSION_LIFETIME.as_millis()).unwrap_or(i64::MAX);
        let most = now_ms.saturating_add(lifetime);
        let until_ms = match &proof {
            Proof::Token(_) => most,
            Proof::Signed { until_ms, .. } => most.min(*until_ms),
        };
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.retain(|_, session| session.until_ms > now_ms);
        if table.len() >= MAX_SESSIONS {
            let oldest = table.iter().min_by_key(|(_, session)| session.until_ms);
            let oldest = oldest.map(|(key, _)| *key);
            oldest.map(|key| table.remove(&key));
        }
        table.insert(Digest::of(text.as_bytes()), Session { proof, until_ms });
        Ok(text)
    }

    /// What the session of a cookie has proved, while it lasts.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::access::caller::{How, Role};

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
            let cookie = sessions.begin(proof.clone(), NOW_MS).unwrap();
            assert_eq!(sessions.find(&cookie, NOW_MS + lasts - 1), Some(proof));
            assert_eq!(sessions.find(&cookie, NOW_MS + lasts), None);
            assert_eq!(sessions.find(&cookie[1..], NOW_MS), None);
            sessions.end(&cookie);
            assert_eq!(sessions.find(&cookie, NOW_MS), None);
        }
    }

    #[test]
    fn the_oldest_of_too_many_ends() {
        let sessions = Sessions::default();
        let begin = |number: u64| {
            let now_ms = NOW_MS + i64::try_from(number).unwrap();
            sessions.begin(token(number), now_ms).unwrap()
        };
        let cookies: Vec<_> = (0..=MAX_SESSIONS as u64).map(begin).collect();
        assert_eq!(sessions.table.lock().unwrap().len(), MAX_SESSIONS);
        let live = |cookie: &String| sessions.find(cookie, NOW_MS + 5_000).is_some();
        assert!(!live(&cookies[0]) && cookies[1..].iter().all(live));
    }
}
