//! Who may see and do what. One layer asks it for every request, before any route is looked at: it
//! finds out who asks ([`Caller`]), what the request needs ([`rules`]), and lets it pass or not.
//!
//! It must never let pass what it does not know, say more to a stranger than that it is one, keep or
//! print a secret, or wait for a network or a disk while a request waits.

mod caller;
mod headers;
mod origin;
mod rules;

pub use caller::{Caller, How, NoRole, Role, is_name};
pub use rules::needed;

use std::net::{IpAddr, SocketAddr};

use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};

use crate::monitor::answer::Problem;

/// How the endpoint is reached, and by whom.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What someone may do who says nothing about who it is; `None` for nothing.
    pub anonymous: Option<Role>,
}

impl Settings {
    /// Without a token, everyone who reaches this address may look.
    #[must_use]
    pub fn open(listen: SocketAddr) -> Self {
        Self { listen, anonymous: Some(Role::Viewer) }
    }
}

/// The other end of a connection. Every request carries it.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
}

/// Decides on every request.
pub struct Access {
    anonymous: Option<Role>,
}

/// Why a request does not pass.
#[derive(Debug)]
pub struct Refusal {
    problem: Problem,
    /// Whether who it is would change it.
    asks_who: bool,
}

impl Refusal {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { problem: Problem::new(status, detail), asks_who: false }
    }

    /// The answer: a problem for programs, a page for people.
    pub fn answer(self, request: &Request, page: impl FnOnce(&Problem) -> Response) -> Response {
        let path = request.uri().path();
        let is_page = rules::is_page(path);
        if self.asks_who && is_page && request.method().is_safe() {
            return Redirect::to("/login").into_response();
        }
        let mut response = match is_page {
            true => page(&self.problem),
            false => self.problem.into_response(),
        };
        if self.asks_who {
            let challenge = HeaderValue::from_static("Bearer realm=\"ledgerline\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl Access {
    /// As settings say.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self { anonymous: settings.anonymous }
    }

    /// Lets a request pass with its [`Caller`], or says why not.
    pub fn admit(&self, request: &mut Request) -> Result<(), Refusal> {
        if !request.method().is_safe() && origin::is_foreign(request.headers()) {
            let detail = "this request comes from a page of another site";
            return Err(Refusal::new(StatusCode::FORBIDDEN, detail));
        }
        let caller = self.anonymous.map(Caller::anonymous);
        if let Some(needed) = rules::needed(request.method(), request.uri().path()) {
            self.check(caller.as_ref(), needed)?;
        }
        if let Some(caller) = caller {
            request.extensions_mut().insert(caller);
        }
        Ok(())
    }

    fn check(&self, caller: Option<&Caller>, needed: Role) -> Result<(), Refusal> {
        match caller {
            Some(caller) if caller.may(needed) => Ok(()),
            Some(caller) => {
                let (name, role) = (caller.name(), caller.role());
                let detail = format!("this needs the role {needed}, and {name} has {role}");
                Err(Refusal::new(StatusCode::FORBIDDEN, detail))
            }
            None => {
                let detail = format!("this needs the role {needed}: say who you are with a token");
                Err(Refusal { asks_who: true, ..Refusal::new(StatusCode::UNAUTHORIZED, detail) })
            }
        }
    }

    /// Says on an answer what a browser may do with it.
    pub fn protect(&self, response: &mut Response) {
        headers::protect(response.headers_mut());
    }
}
