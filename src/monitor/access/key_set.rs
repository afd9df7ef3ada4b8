//! The keys of signed tokens: from a file that is read again when it changes, or from a URL that is
//! fetched at the start, periodically, and when a token names an unknown key. A request never waits
//! for it, and strangers cannot trigger it often. The last good set remains in use.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{ACCEPT, HeaderValue};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use crate::diagnostic::chain;
use crate::limits::{KEY_SET_EVERY, KEY_SET_PAUSE, KEY_SET_TIMEOUT, MAX_KEY_SET_BYTES};
use crate::monitor::access::kept::{Contents, Kept};
use crate::monitor::access::keys::Keys;
use crate::monitor::access::settings::KeySource;
use crate::outbound::{Bounds, Peer, Request, Trust};

/// A key set that follows its source.
#[derive(Debug)]
pub enum KeySet {
    /// A file.
    File(Kept<Keys>),
    /// An address.
    Remote(Remote),
}

/// A key set at an address.
pub struct Remote {
    url: String,
    /// Its files are read for each question: they may be renewed.
    trust: Trust,
    keys: RwLock<Arc<Keys>>,
    /// A token named a key that is not known.
    missed: Notify,
    pace: Pace,
}

/// Limits the rate of fetches.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// Again and again.
    every: Duration,
    /// At most.
    pause: Duration,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("url", &self.url).finish_non_exhaustive()
    }
}

impl KeySet {
    /// Reads a file; an address is asked once [`KeySet::follow`] runs.
    pub fn open(source: &KeySource, authorities: Option<&Path>) -> Result<Self, String> {
        match source {
            KeySource::File(file) => {
                let named = file.display().to_string();
                let make = |contents: &[Option<Contents>]| match contents {
                    [Some(contents)] => Keys::parse(&contents.bytes),
                    _ => Err("file not found".to_owned()),
                };
                let kept = Kept::open(vec![file.clone()], make);
                kept.map(Self::File).map_err(|reason| format!("{named}: {reason}"))
            }
            KeySource::Url(url) => Remote::new(url, authorities).map(Self::Remote),
        }
    }

    /// The last good keys.
    pub fn get(&self) -> Arc<Keys> {
        match self {
            Self::File(kept) => kept.get(),
            Self::Remote(remote) => {
                Arc::clone(&remote.keys.read().unwrap_or_else(PoisonError::into_inner))
            }
        }
    }

    /// Reads a file again that has changed.
    pub fn look(&self) {
        if let Self::File(kept) = self {
            kept.look();
        }
    }

    /// Tells that a token named a key that is not known.
    pub fn miss(&self) {
        if let Self::Remote(remote) = self {
            remote.missed.notify_one();
        }
    }

    /// Asks an address again and again.
    pub async fn follow(&self) {
        if let Self::Remote(remote) = self {
            remote.follow().await;
        }
    }
}

impl Remote {
    fn new(url: &str, authorities: Option<&Path>) -> Result<Self, String> {
        let trust = Trust::in_authorities(authorities);
        let peer = Peer::new(url, &trust)?;
        if !peer.is_secure() && !peer.is_local() {
            return Err(format!(
                "{url}: an attacker on the network could change the keys; use https"
            ));
        }
        let pace = Pace { every: KEY_SET_EVERY, pause: KEY_SET_PAUSE };
        let (url, keys, missed) = (url.to_owned(), RwLock::default(), Notify::new());
        Ok(Self { url, trust, keys, missed, pace })
    }

    async fn follow(&self) {
        loop {
            let is_good = match self.ask().await {
                Ok(keys) => {
                    *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
                    true
                }
                Err(reason) => {
                    tracing::warn!(
                        url = self.url,
                        reason,
                        "no key set; the last good one stays in use"
                    );
                    false
                }
            };
            let Pace { every, pause } = self.pace;
            sleep(pause).await;
            if is_good {
                // What was missed during the pause is asked for now.
                let _ = timeout(every.saturating_sub(pause), self.missed.notified()).await;
            }
        }
    }

    async fn ask(&self) -> Result<Keys, String> {
        let (url, trust) = (self.url.clone(), self.trust.clone());
        let peer = spawn_blocking(move || Peer::new(&url, &trust));
        let peer = peer.await.map_err(|error| chain(&error))??;
        let headers = [(ACCEPT, HeaderValue::from_static("application/json"))];
        let request = Request { headers: headers.into_iter().collect(), ..Request::get("") };
        let bounds = Bounds { timeout: KEY_SET_TIMEOUT, max_bytes: MAX_KEY_SET_BYTES };
        let reply = peer.send(request, bounds).await.map_err(|error| error.to_string())?;
        if reply.status != StatusCode::OK {
            return Err(format!("the reply is {}", reply.status));
        }
        Keys::parse(&reply.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::access::keys::tests::{ec, ed25519, rsa};
    use serde_json::{Value, json};
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    /// Answers one question after another, each with its own words; then it has gone.
    fn serve(answers: Vec<String>) -> (String, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/keys?v=1", listener.local_addr().unwrap());
        let work = move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut head = [0; 1_024];
                let length = stream.read(&mut head).unwrap();
                assert!(head[..length].starts_with(b"GET /keys?v=1 HTTP/1.1\r\n"));
                // Who got enough may be gone before the end.
                let _ = stream.write_all(answer.as_bytes());
            }
        };
        (url, std::thread::spawn(work))
    }

    fn found(keys: &[Value]) -> String {
        let body = json!({"keys": keys}).to_string();
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    }

    /// Looks until there is such a key.
    async fn until(set: &KeySet, id: &str) {
        while set.get().find(Some(id)).is_none() {
            tokio::task::yield_now().await;
        }
    }

    /// Follows until something was seen.
    fn follow(set: &KeySet, seen: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            tokio::select! {
                () = set.follow() => panic!("it never ends"),
                () = seen => {}
                () = sleep(Duration::from_secs(60)) => panic!("it never came"),
            }
        });
    }

    fn paced(url: &str, every: Duration) -> KeySet {
        let mut remote = Remote::new(url, None).unwrap();
        remote.pace = Pace { every, pause: Duration::ZERO };
        KeySet::Remote(remote)
    }

    #[test]
    fn the_last_good_set_stays_until_there_is_another() {
        let too_long = "x".repeat(MAX_KEY_SET_BYTES + 1);
        let length = too_long.len();
        let (url, serving) = serve(vec![
            found(&[rsa("a"), ec("b")]),
            "HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n".to_owned(),
            "HTTP/1.1 302 Found\r\nlocation: /other\r\ncontent-length: 0\r\n\r\n".to_owned(),
            found(&[]),
            "nonsense".to_owned(),
            format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{too_long}"),
            found(&[ed25519("c")]),
        ]);
        let set = paced(&url, Duration::ZERO);
        follow(&set, async {
            until(&set, "a").await;
            assert!(set.get().find(Some("b")).is_some());
            until(&set, "c").await;
            assert!(set.get().find(Some("a")).is_none(), "what was taken out is out");
        });
        serving.join().unwrap();
    }

    #[test]
    fn a_name_that_nobody_knows_makes_it_ask() {
        let (url, serving) = serve(vec![found(&[ec("old")]), found(&[ec("old"), rsa("new")])]);
        let set = paced(&url, Duration::from_secs(3_600));
        follow(&set, async {
            until(&set, "old").await;
            assert!(set.get().find(Some("new")).is_none());
            set.miss();
            until(&set, "new").await;
        });
        serving.join().unwrap();
    }

    #[test]
    fn only_who_cannot_be_changed_on_the_way_is_asked() {
        for (url, is_taken) in [
            ("http://127.0.0.1:1/keys", true),
            ("http://[::1]:1/keys", true),
            ("http://localhost/keys", true),
            ("http://id.example/keys", false),
            ("http://127.0.0.1.evil.example/keys", false),
            ("ftp://127.0.0.1/keys", false),
            ("https:///keys", false),
            ("/keys", false),
        ] {
            let opened = KeySet::open(&KeySource::Url(url.to_owned()), None);
            assert_eq!(opened.is_ok(), is_taken, "{url}: {opened:?}");
        }
    }
}
