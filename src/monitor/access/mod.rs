//! Access control. The gate asks it for every request, before any handler runs: it finds the caller
//! ([`Caller`]) and admits it where it has the role that the table of routes requires.
//!
//! It must never let pass what it does not know, say more to a stranger than that it is one, keep or
//! print a secret, or wait for a network or a disk while a request waits.

mod caller;
mod client;
mod connections;
mod headers;
mod jwt;
pub mod kept;
mod key_set;
mod keys;
mod limit;
mod origin;
mod places;
mod refusal;
mod sessions;
mod settings;
pub mod tls;
pub mod tokens;

pub use caller::{Caller, How, NoRole, Role, is_name};
pub use client::{Client, Peer};
pub use connections::Connected;
pub use key_set::KeySet;
pub use places::{Asker, Place, Places, Quota};
pub use refusal::Refusal;
pub use settings::{
    AccessSettings, CertificateMatch, CertificateRule, JwtSettings, KeySource, Settings,
    TlsSettings,
};

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use tokio::time::sleep;

use crate::clock::Clock;
use crate::limits::ACCESS_FILES_EVERY;
use crate::monitor::access::connections::{Connections, Standing};
use crate::monitor::access::jwt::JwtError;
use crate::monitor::access::kept::Kept;
use crate::monitor::access::limit::Limits;
use crate::monitor::access::sessions::{Proof, Sessions};
use crate::monitor::access::tls::Tls;
use crate::monitor::access::tokens::{BadToken, Tokens};
use crate::monitor::http::base_path::BasePath;

/// Decides on every request.
pub struct Access {
    settings: AccessSettings,
    behind_proxy: bool,
    base_path: BasePath,
    tls: Option<Tls>,
    tokens: Option<Kept<Tokens>>,
    key_set: Option<KeySet>,
    sessions: Sessions,
    limits: Limits,
    connections: Connections,
    clock: Arc<dyn Clock>,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("access to the endpoint cannot be set up: {0}")]
pub struct AccessError(String);

/// Why a token is not taken.
struct Refused {
    /// As its sender may know it.
    told: Told,
    /// The reason, for the log only, because strangers could learn from it.
    reason: String,
}

/// The explanation given to the sender of a refused token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Told {
    #[error("unknown token")]
    Unknown,
    #[error("the token has expired")]
    Expired,
    #[error("the token is valid but grants no role in this service")]
    NoRole,
}

impl From<JwtError> for Refused {
    fn from(error: JwtError) -> Self {
        let told = match error {
            JwtError::Expired => Told::Expired,
            JwtError::NoRole(_) => Told::NoRole,
            _ => Told::Unknown,
        };
        Self { told, reason: error.to_string() }
    }
}

impl From<BadToken> for Refused {
    fn from(bad: BadToken) -> Self {
        let told = match bad {
            BadToken::Unknown => Told::Unknown,
            BadToken::Expired => Told::Expired,
        };
        Self { told, reason: told.to_string() }
    }
}

/// The result of identifying the sender of a request.
enum Found {
    Someone(Caller),
    Nobody,
    Unknown(Refused),
}

impl Access {
    /// As settings say; reads the files that they name.
    pub fn new(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, AccessError> {
        let Settings { behind_proxy, base_path, tls, access, .. } = settings.clone();
        let tls = tls.as_ref().map(Tls::open).transpose().map_err(AccessError)?;
        let tokens = access.tokens.as_deref().map(keep_tokens).transpose().map_err(AccessError)?;
        let key_set = access.jwt.as_ref();
        let key_set = key_set.map(|jwt| KeySet::open(&jwt.keys, jwt.authorities.as_deref()));
        let key_set = key_set.transpose().map_err(AccessError)?;
        let (sessions, limits, connections) = Default::default();
        Ok(Self {
            settings: access,
            behind_proxy,
            base_path,
            tls,
            tokens,
            key_set,
            sessions,
            limits,
            connections,
            clock,
        })
    }

    /// Adds a connection of a client. Where there are too many, another one is closed for it; `None`
    /// where none may be. All that come by a proxy are one client, and its own affair.
    #[must_use]
    pub fn connect(&self, client: IpAddr) -> Option<Connected> {
        let client = if self.behind_proxy { Ipv4Addr::LOCALHOST.into() } else { client };
        self.connections.enter(client)
    }

    /// Closes the connection that proved least; whether there was one.
    pub fn close_one(&self) -> bool {
        self.connections.close_one()
    }

    /// Path under which a proxy serves the endpoint.
    #[must_use]
    pub fn base_path(&self) -> &BasePath {
        &self.base_path
    }

    /// TLS, where it is spoken here.
    #[must_use]
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// The caller of a client certificate.
    #[must_use]
    pub fn certified(&self, der: &[u8]) -> Option<Caller> {
        tls::caller(&self.settings.certificates, der)
    }

    /// True if someone can log in with a token.
    #[must_use]
    pub fn takes_tokens(&self) -> bool {
        self.tokens.is_some() || self.key_set.is_some()
    }

    /// Follows the files and the key set until it is dropped.
    pub async fn follow(self: Arc<Self>) {
        let files = async {
            loop {
                sleep(ACCESS_FILES_EVERY).await;
                let access = Arc::clone(&self);
                // A panic there was reported by its thread; the next look is a new one.
                let _ = tokio::task::spawn_blocking(move || access.look()).await;
            }
        };
        let keys = async {
            if let Some(key_set) = &self.key_set {
                key_set.follow().await;
            }
        };
        tokio::join!(files, keys);
    }

    fn look(&self) {
        self.tls.iter().for_each(Tls::look);
        self.tokens.iter().for_each(Kept::look);
        self.key_set.iter().for_each(KeySet::look);
    }

    /// Counts a request, whatever its form; refuses it where its client sends too many.
    pub fn limit(&self, request: &Request) -> Result<(), Refusal> {
        let client = self.client(request);
        self.limits.request(client.address, self.clock.monotonic()).map_err(Refusal::too_many)
    }

    /// Lets a request that was counted ([`Access::limit`]) pass with its [`Caller`] and its
    /// [`Asker`], or says why not. It passes where its caller has the role that is needed, or none
    /// is.
    pub fn admit(&self, request: &mut Request, needed: Option<Role>) -> Result<(), Refusal> {
        let client = self.client(request);
        let is_foreign = || origin::is_foreign(request.headers(), self.behind_proxy);
        if !request.method().is_safe() && is_foreign() {
            let detail = "refused: this request comes from a page of another site";
            return Err(Refusal::new(StatusCode::FORBIDDEN, detail));
        }
        let found = self.find(request, &client);
        if let Some(needed) = needed {
            self.check(&found, needed, &client)?;
        }
        let is_known = matches!(&found, Found::Someone(caller) if caller.is_known());
        // Where nobody can say who they are, nobody comes first.
        let is_first = is_known || !self.settings.knows_anyone();
        request.extensions_mut().insert(Asker::new(client.address, is_first));
        if is_known {
            client.prove(Standing::Known);
        } else if needed.is_some() {
            client.prove(Standing::Guest);
        }
        if let Found::Someone(caller) = found {
            request.extensions_mut().insert(caller);
        }
        Ok(())
    }

    /// Identifies the caller: by token, login or certificate, in this order.
    fn find(&self, request: &Request, client: &Client) -> Found {
        if let Some(token) = bearer(request.headers()) {
            return match self.prove(token) {
                Ok((caller, _)) => Found::Someone(caller),
                Err(refused) => Found::Unknown(refused),
            };
        }
        let known = self.logged_in(request.headers(), client).or_else(|| client.certified.clone());
        let anyone = || self.settings.anonymous.map(Caller::anonymous);
        known.or_else(anyone).map_or(Found::Nobody, Found::Someone)
    }

    fn logged_in(&self, headers: &HeaderMap, client: &Client) -> Option<Caller> {
        let now_ms = self.clock.now_ms();
        match self.sessions.find(client.cookie(headers, &self.base_path)?, now_ms)? {
            Proof::Token(digest) => self.tokens.as_ref()?.get().of_digest(&digest, now_ms),
            // A key that its set no longer holds vouches for nobody.
            Proof::Signed { caller, key, .. } => {
                self.key_set.as_ref()?.get().holds(&key).then_some(caller)
            }
        }
    }

    /// The caller of a token.
    fn prove(&self, token: &str) -> Result<(Caller, Proof), Refused> {
        let now_ms = self.clock.now_ms();
        if let (Some(settings), Some(key_set)) = (&self.settings.jwt, &self.key_set)
            && jwt::is_signed(token)
        {
            let accepted = jwt::check(settings, &key_set.get(), token, now_ms);
            if let Err(JwtError::UnknownKey(_)) = accepted {
                key_set.miss();
            }
            let jwt::Accepted { caller, until_ms, key } = accepted?;
            return Ok((caller.clone(), Proof::Signed { caller, until_ms, key }));
        }
        let tokens = self.tokens.as_ref().ok_or(BadToken::Unknown)?.get();
        let (caller, digest) = tokens.find(token, now_ms)?;
        Ok((caller, Proof::Token(digest)))
    }

    fn check(&self, found: &Found, needed: Role, client: &Client) -> Result<(), Refusal> {
        match found {
            Found::Someone(caller) if caller.may(needed) => Ok(()),
            Found::Someone(caller) if caller.is_known() || !self.settings.knows_anyone() => {
                let (name, role) = (caller.name(), caller.role());
                let mut detail = format!("this requires the role {needed}, and {name} has {role}");
                if !self.settings.knows_anyone() {
                    detail.push_str(&format!(
                        "; create a token with `ledgerline token NAME --role {needed} \
                         --file tokens.yaml`, and set `monitor.access.tokens` to that file"
                    ));
                }
                Err(Refusal::new(StatusCode::FORBIDDEN, detail))
            }
            Found::Someone(_) | Found::Nobody => {
                let detail =
                    format!("this requires the role {needed}; log in or send a bearer token");
                Err(Refusal::who(detail))
            }
            Found::Unknown(refused) => Err(self.count(refused, client)),
        }
    }

    /// Counts a token that was not taken, and says so.
    fn count(&self, refused: &Refused, client: &Client) -> Refusal {
        if let Err(wait) = self.limits.failure(client.address, self.clock.monotonic()) {
            return Refusal::too_many(wait);
        }
        tracing::info!(client = %client.address, reason = refused.reason, "a token was refused");
        let detail = refused.told.to_string();
        match refused.told {
            Told::NoRole => Refusal::new(StatusCode::FORBIDDEN, detail),
            Told::Unknown | Told::Expired => Refusal::bad_token(detail),
        }
    }

    /// The client of a request, as far as the connection identifies it.
    #[must_use]
    pub fn client(&self, request: &Request) -> Client {
        Client::of(request, self.behind_proxy)
    }

    /// Logs a browser in with a token; the cookie that says so.
    pub fn log_in(&self, client: &Client, token: &str) -> Result<header::HeaderValue, Refusal> {
        let (caller, proof) = self.prove(token).map_err(|refused| self.count(&refused, client))?;
        let session = self.sessions.begin(&caller, proof, self.clock.now_ms()).ok();
        let cookie = session
            .and_then(|text| client.set_cookie(&text, &self.base_path))
            .ok_or_else(|| {
                let detail = "cannot get random bytes from the system, so nobody can log in";
                Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
            })?;
        let (name, role) = (caller.name(), caller.role());
        tracing::info!(client = %client.address, name, %role, "logged in");
        Ok(cookie)
    }

    /// Logs a browser out; the cookie that says so.
    pub fn log_out(&self, client: &Client, headers: &HeaderMap) -> Option<header::HeaderValue> {
        if let Some(cookie) = client.cookie(headers, &self.base_path) {
            self.sessions.end(cookie);
        }
        client.set_cookie("", &self.base_path)
    }

    /// Says on an answer what a browser and what stands between may do with it.
    pub fn protect(&self, response: &mut Response) {
        let is_for_all = self.settings.anonymous.is_some();
        headers::protect(response.headers_mut(), self.tls.is_some(), is_for_all);
        headers::date(response.headers_mut(), self.clock.now_ms());
    }
}

fn keep_tokens(path: &Path) -> Result<Kept<Tokens>, String> {
    let diagnostic = |diagnostic: crate::diagnostic::Diagnostic| diagnostic.to_string();
    tokens::read(path).map_err(diagnostic)?;
    let named = path.to_owned();
    Kept::open(vec![path.to_owned()], move |contents| match contents {
        // A file that was taken away lets nobody in.
        [Some(_)] => tokens::read(&named).map_err(diagnostic),
        _ => Ok(Tokens::default()),
    })
}

/// The token of a request (RFC 6750, 2.1). Other schemes belong to the login of a proxy.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get_all(header::AUTHORIZATION).iter().find_map(|line| {
        let (scheme, token) = line.as_bytes().split_at_checked(6)?;
        let is_bearer = scheme.eq_ignore_ascii_case(b"bearer");
        let is_whole = token.first().is_none_or(|next| *next == b' ');
        // Other characters than those of ASCII are in no token: such a string is nobody's.
        let token = std::str::from_utf8(token).unwrap_or_default();
        (is_bearer && is_whole).then(|| token.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_bearer_token_is_taken_in_any_form_and_other_schemes_are_not() {
        for (lines, expected) in [
            (&["Bearer x"][..], Some("x")),
            (&["bEARER  x "], Some("x")),
            (&["Bearer"], Some("")),
            (&["Bearer "], Some("")),
            (&["Bearer \u{e9}"], Some("\u{e9}")),
            (&["Basic YTpi", "Bearer x"], Some("x")),
            (&["Basic YTpi"], None),
            (&["Bearerx"], None),
            (&["Bear"], None),
            (&[""], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                let line = header::HeaderValue::from_bytes(line.as_bytes()).unwrap();
                headers.append(header::AUTHORIZATION, line);
            }
            assert_eq!(bearer(&headers), expected, "{lines:?}");
        }
        let line = header::HeaderValue::from_bytes(b"Bearer \xff").unwrap();
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, line)]);
        assert_eq!(bearer(&headers), Some(""), "a token that is nobody's, and not none");
    }

    #[test]
    fn a_token_taken_back_in_a_file_with_the_wrong_mode_ends_once_the_mode_is_right() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.yaml");
        let set_mode = |mode| std::fs::set_permissions(&path, Permissions::from_mode(mode));
        let [ada, bob] =
            ["ada", "bob"].map(|name| tokens::add(&path, (name, Role::Viewer), 0, None).unwrap());
        let kept = keep_tokens(&path).unwrap();
        let known = || [&ada, &bob].map(|token| kept.get().find(token, 0).is_ok());
        let text = std::fs::read_to_string(&path).unwrap();
        let without_ada = text.lines().filter(|line| !line.contains("ada"));
        std::fs::write(&path, without_ada.collect::<Vec<_>>().join("\n")).unwrap();
        set_mode(0o666).unwrap();
        kept.look();
        assert_eq!(known(), [true, true], "anyone could have written it");
        set_mode(0o600).unwrap();
        kept.look();
        assert_eq!(known(), [false, true]);
    }
}
