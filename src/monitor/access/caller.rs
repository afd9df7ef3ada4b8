//! Callers and their roles.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::StatusCode;
use axum::http::request::Parts;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits::MAX_CALLER_NAME_BYTES;
use crate::monitor::http::answer::Problem;

/// The role of a caller. Each role includes those before it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// See everything, try events without submitting them.
    Viewer,
    /// Submit signed manual calls.
    Operator,
    /// Everything that there is.
    Admin,
}

impl Role {
    /// All, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// Its name in files and on pages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no role `{0}`; known are viewer, operator and admin")]
pub struct NoRole(String);

impl FromStr for Role {
    type Err = NoRole;

    fn from_str(text: &str) -> Result<Self, NoRole> {
        let found = Self::ALL.into_iter().find(|role| role.name() == text);
        found.ok_or_else(|| NoRole(text.to_owned()))
    }
}

/// The means of authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Nothing: what anyone may do.
    Anonymous,
    /// A token from the file of tokens.
    Token,
    /// A signed token (JWT) of an identity provider.
    Jwt,
    /// A client certificate.
    Certificate,
}

/// The sender of a request. Every request that reaches a handler of a protected route carries one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    name: Arc<str>,
    role: Role,
    how: How,
}

impl Caller {
    /// Someone who is known; `None` where the name cannot stand in a ledger ([`is_name`]).
    #[must_use]
    pub fn known(name: &str, role: Role, how: How) -> Option<Self> {
        is_name(name).then(|| Self { name: name.into(), role, how })
    }

    /// Someone who said nothing about who it is.
    #[must_use]
    pub fn anonymous(role: Role) -> Self {
        Self { name: "anonymous".into(), role, how: How::Anonymous }
    }

    /// The name under which what it does goes into the ledger: visible characters, at most
    /// [`MAX_CALLER_NAME_BYTES`].
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The most that it may do.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The means of authentication.
    #[must_use]
    pub fn how(&self) -> How {
        self.how
    }

    /// True if it is known by name.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.how != How::Anonymous
    }

    /// True if it may do what a role may.
    #[must_use]
    pub fn may(&self, role: Role) -> bool {
        self.role >= role
    }
}

/// True if a string can name a caller: it goes into the ledger and onto pages, and must read there
/// as what it is. `anonymous` is nobody's name.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let is_fine = |letter: char| letter.is_alphanumeric() || "-_.@:|/+=#~".contains(letter);
    !text.is_empty()
        && text.len() <= MAX_CALLER_NAME_BYTES
        && text != "anonymous"
        && text.chars().all(is_fine)
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Problem::new(StatusCode::UNAUTHORIZED, "authentication is required"))
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_do_what_those_below_may() {
        for (at, role) in Role::ALL.into_iter().enumerate() {
            assert_eq!(role.name().parse(), Ok(role));
            let caller = Caller::known("someone", role, How::Token).unwrap();
            let may = Role::ALL.map(|other| caller.may(other));
            assert_eq!(may, [true, at >= 1, at >= 2], "{role}");
        }
        assert!("root".parse::<Role>().unwrap_err().to_string().contains("viewer, operator"));
    }

    #[test]
    fn a_name_reads_as_what_it_is() {
        let long = "x".repeat(MAX_CALLER_NAME_BYTES + 1);
        for (name, is_fine) in [
            ("ada", true),
            ("ada.lovelace@example.com", true),
            ("auth0|5f7c8ec7c33c6c004bbafe82", true),
            ("Zoë", true),
            ("", false),
            ("anonymous", false),
            ("ada lovelace", false),
            ("ada\u{202e}", false),
            ("ada\n", false),
            ("<b>", false),
            (&long, false),
            (&long[1..], true),
        ] {
            assert_eq!(is_name(name), is_fine, "{name:?}");
            assert_eq!(Caller::known(name, Role::Viewer, How::Jwt).is_some(), is_fine);
        }
    }
}
