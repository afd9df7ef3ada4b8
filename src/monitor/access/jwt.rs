//! Signed tokens (JWT, RFC 7519, as RFC 8725 advises): who signed, for whom, for how long, and which
//! role follows. Pure: keys and time are arguments.
//!
//! Read here and not by a library: those at hand ask the system for the time and keep their
//! cryptography in a place that is one for the whole process, and here numbers of JSON keep their
//! digits, which they do not read. What is left is short; the signatures are `ring`'s.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::limits::{CLOCK_LEEWAY, MAX_TOKEN_BYTES};
use crate::monitor::access::caller::{Caller, How, Role};
use crate::monitor::access::keys::Keys;
use crate::monitor::access::settings::JwtSettings;

/// The kinds of tokens that let someone in; others, such as those of a logout, do not (RFC 8725,
/// 3.11).
const KINDS: [&str; 2] = ["jwt", "at+jwt"];

/// Why a signed token is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// It is no signed token.
    #[error("it is no signed token: {0}")]
    Form(&'static str),
    /// It names a key that is not in the set.
    #[error("no key of the set is named `{0}`")]
    UnknownKey(String),
    /// It was signed by someone else, or altered, or signed in a way that the key is not for.
    #[error("its signature is not one of the key that it names")]
    Signature,
    /// It is of another issuer.
    #[error("it is of another issuer")]
    Issuer,
    /// It is for someone else.
    #[error("it is for another audience")]
    Audience,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// Its time has not come.
    #[error("it is not good yet")]
    Early,
    /// A claim that must be there is not, or of another kind.
    #[error("it has no claim `{0}` of the right kind")]
    Claim(String),
    /// It gives nobody a role.
    #[error("its claim `{0}` gives no role here")]
    NoRole(String),
}

/// A token that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Whose it is.
    pub caller: Caller,
    /// When it ends, in milliseconds since 1970.
    pub until_ms: i64,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    /// Extensions that must be understood; none is.
    crit: Option<Value>,
}

/// Whether a text has the form of a signed token: three parts.
#[must_use]
pub fn is_signed(token: &str) -> bool {
    token.split('.').count() == 3
}

/// Reads and checks a token.
pub fn check(
    settings: &JwtSettings,
    keys: &Keys,
    token: &str,
    now_ms: i64,
) -> Result<Accepted, JwtError> {
    let claims = signed_claims(keys, token)?;
    let claim = |name: &str| claims.get(name);
    if claim("iss").and_then(Value::as_str) != Some(&settings.issuer) {
        return Err(JwtError::Issuer);
    }
    let audience = Value::from(settings.audience.as_str());
    let is_for_us = match claim("aud") {
        Some(Value::Array(all)) => all.contains(&audience),
        one => one == Some(&audience),
    };
    if !is_for_us {
        return Err(JwtError::Audience);
    }
    let leeway = i64::try_from(CLOCK_LEEWAY.as_millis()).unwrap_or(0);
    let until_ms = time_ms(&claims, "exp")?.ok_or_else(|| JwtError::Claim("exp".to_owned()))?;
    let until_ms = until_ms.saturating_add(leeway);
    if until_ms <= now_ms {
        return Err(JwtError::Expired);
    }
    if time_ms(&claims, "nbf")?.is_some_and(|from_ms| from_ms > now_ms.saturating_add(leeway)) {
        return Err(JwtError::Early);
    }
    let role = role(settings, &claims)?;
    let name = claim(&settings.name_claim).and_then(Value::as_str);
    let caller = name.and_then(|name| Caller::known(name, role, How::Jwt));
    let caller = caller.ok_or_else(|| JwtError::Claim(settings.name_claim.clone()))?;
    Ok(Accepted { caller, until_ms })
}

/// The claims, once the signature over them was found good. Nothing in them is looked at before.
fn signed_claims(keys: &Keys, token: &str) -> Result<Map<String, Value>, JwtError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(JwtError::Form("it is too long"));
    }
    let (message, signature) = token.rsplit_once('.').ok_or(JwtError::Form("it has one part"))?;
    let (header, claims) = message.split_once('.').ok_or(JwtError::Form("it has two parts"))?;
    let decoded =
        |text: &str, what| BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| JwtError::Form(what));
    let header: Header = serde_json::from_slice(&decoded(header, "its header is no base64url")?)
        .map_err(|_| JwtError::Form("its header cannot be read"))?;
    if header.crit.is_some() {
        return Err(JwtError::Form("it demands an extension"));
    }
    let kind = header.typ.as_deref().map(str::to_ascii_lowercase);
    let kind = kind.as_deref().map(|kind| kind.strip_prefix("application/").unwrap_or(kind));
    if kind.is_some_and(|kind| !KINDS.contains(&kind)) {
        return Err(JwtError::Form("it is of a kind that lets nobody in"));
    }
    let key = keys.find(header.kid.as_deref());
    let key = key.ok_or_else(|| JwtError::UnknownKey(header.kid.clone().unwrap_or_default()))?;
    let signature = decoded(signature, "its signature is no base64url")?;
    if !key.verifies(&header.alg, message.as_bytes(), &signature) {
        return Err(JwtError::Signature);
    }
    serde_json::from_slice(&decoded(claims, "its claims are no base64url")?)
        .map_err(|_| JwtError::Form("its claims cannot be read"))
}

/// A claim of a time (NumericDate, seconds since 1970) in milliseconds.
fn time_ms(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, JwtError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| (0.0..1e12).contains(seconds));
    let seconds = seconds.ok_or_else(|| JwtError::Claim(name.to_owned()))?;
    #[allow(clippy::cast_possible_truncation)] // between 0 and 10¹⁵
    Ok(Some((seconds * 1_000.0) as i64))
}

/// The highest role that a value of the claim gives: a text, words in a text (as in `scope`), or a
/// list.
fn role(settings: &JwtSettings, claims: &Map<String, Value>) -> Result<Role, JwtError> {
    let JwtSettings { role_claim, roles, .. } = settings;
    let found = claims.get(role_claim).or_else(|| {
        let mut steps = role_claim.split('.');
        let first = claims.get(steps.next()?)?;
        steps.try_fold(first, |value, step| value.get(step))
    });
    let of = |text: &str| roles.get(text).copied();
    let given = match found {
        Some(Value::String(text)) => of(text).max(text.split(' ').filter_map(of).max()),
        Some(Value::Array(all)) => all.iter().filter_map(|value| of(value.as_str()?)).max(),
        _ => None,
    };
    given.ok_or_else(|| JwtError::NoRole(role_claim.clone()))
}
