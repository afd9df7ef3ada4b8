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

use crate::codec::Digest;
use crate::limits::{CLOCK_LEEWAY, MAX_NAME_BYTES, MAX_TOKEN_BYTES, truncated};
use crate::monitor::access::caller::{Caller, How, Role};
use crate::monitor::access::keys::Keys;
use crate::monitor::access::settings::JwtSettings;

/// The kinds of tokens that let someone in; others, such as those of a logout, do not (RFC 8725,
/// 3.11).
const KINDS: [&str; 2] = ["jwt", "at+jwt"];

/// Why a signed token is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// It is not a signed token.
    #[error("not a signed token: {0}")]
    Form(&'static str),
    /// It names a key that is not in the set.
    #[error("no key of the set is named {0:?}")]
    UnknownKey(String),
    /// It was signed by someone else, or altered, or signed in a way that the key is not for.
    #[error("its signature is not one of the key that it names")]
    Signature,
    /// It is of another issuer.
    #[error("it has another issuer")]
    Issuer,
    /// It is for someone else.
    #[error("it is for another audience")]
    Audience,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// Its time has not come.
    #[error("it is not valid yet")]
    Early,
    /// A claim that must be there is not, or of another kind.
    #[error("it has no claim `{0}` of the right kind")]
    Claim(String),
    /// It gives nobody a role.
    #[error("its claim `{0}` grants no role in this service")]
    NoRole(String),
}

/// A token that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The caller that it identifies.
    pub caller: Caller,
    /// Expiry, in milliseconds since 1970.
    pub until_ms: i64,
    /// Thumbprint of the key that signed it.
    pub key: Digest,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    /// Extensions that must be understood; none is.
    crit: Option<Value>,
}

/// True if a string has the form of a signed token: three parts.
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
    let (claims, key) = signed_claims(keys, token)?;
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
    Ok(Accepted { caller, until_ms, key })
}

/// The claims, once the signature over them was found good, and the thumbprint of the key that made
/// it. Nothing in them is looked at before.
fn signed_claims(keys: &Keys, token: &str) -> Result<(Map<String, Value>, Digest), JwtError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(JwtError::Form("it is too long"));
    }
    let (message, signature) = token.rsplit_once('.').ok_or(JwtError::Form("it has one part"))?;
    let (header, claims) = message.split_once('.').ok_or(JwtError::Form("it has two parts"))?;
    let decoded =
        |text: &str, what| BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| JwtError::Form(what));
    let header: Header = serde_json::from_slice(&decoded(header, "its header is not base64url")?)
        .map_err(|_| JwtError::Form("its header cannot be read"))?;
    if header.crit.is_some() {
        return Err(JwtError::Form("it demands an extension"));
    }
    let kind = header.typ.as_deref().map(str::to_ascii_lowercase);
    let kind = kind.as_deref().map(|kind| kind.strip_prefix("application/").unwrap_or(kind));
    if kind.is_some_and(|kind| !KINDS.contains(&kind)) {
        return Err(JwtError::Form("this token type is not accepted"));
    }
    let mut named = keys.named(header.kid.as_deref()).peekable();
    if named.peek().is_none() {
        let name = truncated(header.kid.as_deref().unwrap_or_default(), MAX_NAME_BYTES);
        return Err(JwtError::UnknownKey(name.to_owned()));
    }
    let signature = decoded(signature, "its signature is not base64url")?;
    let key = named.find(|key| key.verifies(&header.alg, message.as_bytes(), &signature));
    let key = key.ok_or(JwtError::Signature)?;
    let claims = serde_json::from_slice(&decoded(claims, "its claims are not base64url")?)
        .map_err(|_| JwtError::Form("its claims cannot be read"))?;
    Ok((claims, key.thumbprint()))
}

/// A claim of a time (NumericDate, seconds since 1970) in milliseconds.
fn time_ms(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, JwtError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| (0.0..1e12).contains(seconds));
    let seconds = seconds.ok_or_else(|| JwtError::Claim(name.to_owned()))?;
    #[allow(clippy::cast_possible_truncation)] // between 0 and 10¹⁵
    Ok(Some((seconds * 1_000.0) as i64))
}

/// The highest role that a value of the claim gives: a string, words in a string (as in `scope`), or a
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::access::keys::tests::{RFC_RSA_N, ec, ed25519, keys, rsa, with};
    use crate::monitor::access::settings::KeySource;
    use proptest::prelude::*;
    use ring::hmac;
    use ring::signature::Ed25519KeyPair;
    use serde_json::json;

    const NOW: i64 = 1_800_000_000;

    fn settings() -> JwtSettings {
        let roles = [("readers", Role::Viewer), ("crew", Role::Operator), ("chiefs", Role::Admin)];
        JwtSettings {
            issuer: "https://id.example".to_owned(),
            audience: "ledgerline".to_owned(),
            keys: KeySource::File("keys.json".into()),
            authorities: None,
            name_claim: "sub".to_owned(),
            role_claim: "groups".to_owned(),
            roles: roles.map(|(name, role)| (name.to_owned(), role)).into(),
        }
    }

    fn claims() -> Value {
        json!({
            "iss": "https://id.example", "aud": "ledgerline", "sub": "ada", "exp": NOW + 300,
            "nbf": NOW - 300, "groups": ["all", "crew"],
        })
    }

    fn encoded(part: impl AsRef<[u8]>) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(part)
    }

    /// Signed by the key of RFC 8037, A.1.
    fn signed(header: &Value, claims: &Value) -> String {
        let seed = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
        let seed = BASE64_URL_SAFE_NO_PAD.decode(seed).unwrap();
        let key = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        let message = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
        format!("{message}.{}", encoded(key.sign(message.as_bytes())))
    }

    fn header() -> Value {
        json!({"alg": "EdDSA", "kid": "ed", "typ": "JWT"})
    }

    fn try_token(token: &str) -> Result<Accepted, JwtError> {
        let keys = keys(&[rsa("rsa"), ec("ec"), ed25519("ed")]).unwrap();
        check(&settings(), &keys, token, NOW * 1_000)
    }

    #[test]
    fn keys_may_share_a_name() {
        let token = signed(&header(), &claims());
        let try_keys = |set: &[Value]| check(&settings(), &keys(set).unwrap(), &token, NOW * 1_000);
        let alone = try_keys(&[ed25519("ed")]).unwrap();
        for set in [[ed25519("ed"), rsa("ed")], [rsa("ed"), ed25519("ed")]] {
            assert_eq!(try_keys(&set), Ok(alone.clone()));
        }
        assert_eq!(try_keys(&[rsa("ed"), ec("ed")]), Err(JwtError::Signature));
        assert_eq!(try_keys(&[rsa("ed"), ed25519("other")]), Err(JwtError::Signature));
    }

    #[test]
    fn claims_decide_who_it_is_and_for_how_long() {
        let good = try_token(&signed(&header(), &claims())).unwrap();
        assert_eq!((good.caller.name(), good.caller.role()), ("ada", Role::Operator));
        assert_eq!(good.until_ms, (NOW + 300 + 60) * 1_000);
        let no = |claim: &str| JwtError::Claim(claim.to_owned());
        let no_role = || JwtError::NoRole("groups".to_owned());
        for (name, value, expected) in [
            ("iss", json!("https://id.example/"), Err(JwtError::Issuer)),
            ("iss", json!(["https://id.example"]), Err(JwtError::Issuer)),
            ("iss", Value::Null, Err(JwtError::Issuer)),
            ("aud", json!(["other", "ledgerline"]), Ok(Role::Operator)),
            ("aud", json!(["other"]), Err(JwtError::Audience)),
            ("aud", json!("ledgerline2"), Err(JwtError::Audience)),
            ("aud", Value::Null, Err(JwtError::Audience)),
            ("exp", json!(NOW - 59), Ok(Role::Operator)),
            ("exp", json!(NOW - 60), Err(JwtError::Expired)),
            ("exp", json!(0), Err(JwtError::Expired)),
            ("exp", json!(1_800_000_100.5), Ok(Role::Operator)),
            ("exp", json!(1e300), Err(no("exp"))),
            ("exp", json!(-1), Err(no("exp"))),
            ("exp", json!("1800000300"), Err(no("exp"))),
            ("exp", Value::Null, Err(no("exp"))),
            ("nbf", json!(NOW + 60), Ok(Role::Operator)),
            ("nbf", json!(NOW + 61), Err(JwtError::Early)),
            ("nbf", json!("soon"), Err(no("nbf"))),
            ("sub", json!("a b"), Err(no("sub"))),
            ("sub", json!("anonymous"), Err(no("sub"))),
            ("sub", json!(7), Err(no("sub"))),
            ("groups", json!("crew"), Ok(Role::Operator)),
            ("groups", json!("all readers crew"), Ok(Role::Operator)),
            ("groups", json!(["readers"]), Ok(Role::Viewer)),
            ("groups", json!(["readers", "chiefs", 7, "crew"]), Ok(Role::Admin)),
            ("groups", json!(["admin"]), Err(no_role())),
            ("groups", json!("Crew"), Err(no_role())),
            ("groups", json!([]), Err(no_role())),
            ("groups", json!({"crew": true}), Err(no_role())),
        ] {
            let token = signed(&header(), &with(claims(), name, value.clone()));
            let found = try_token(&token).map(|accepted| accepted.caller.role());
            assert_eq!(found, expected, "{name}: {value}");
        }
        let mut without = claims();
        without.as_object_mut().unwrap().remove("exp");
        assert_eq!(try_token(&signed(&header(), &without)), Err(no("exp")));
        without = claims();
        without.as_object_mut().unwrap().remove("nbf");
        assert!(try_token(&signed(&header(), &without)).is_ok());
    }

    #[test]
    fn a_role_may_stand_deep_within() {
        let keys = keys(&[ed25519("ed")]).unwrap();
        let deep = with(claims(), "realm_access", json!({"roles": ["chiefs"]}));
        let deep = with(deep, "https://id.example/roles", json!("readers"));
        let token = signed(&header(), &deep);
        for (claim, expected) in [
            ("realm_access.roles", Some(Role::Admin)),
            ("https://id.example/roles", Some(Role::Viewer)),
            ("realm_access", None),
            ("realm_access.roles.0", None),
            ("", None),
        ] {
            let settings = JwtSettings { role_claim: claim.to_owned(), ..settings() };
            let found = check(&settings, &keys, &token, NOW * 1_000);
            assert_eq!(found.ok().map(|accepted| accepted.caller.role()), expected, "{claim}");
        }
    }

    #[test]
    fn nothing_but_the_key_decides_how_it_is_checked() {
        let part = |header: &Value| {
            format!("{}.{}", encoded(header.to_string()), encoded(claims().to_string()))
        };
        let none = |name: &str| format!("{}.", part(&json!({"alg": name, "kid": "rsa"})));
        let modulus = BASE64_URL_SAFE_NO_PAD.decode(RFC_RSA_N).unwrap();
        let secret_is_public = |secret: &[u8], id: &str| {
            let message = part(&json!({"alg": "HS256", "kid": id}));
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
            format!("{message}.{}", encoded(hmac::sign(&key, message.as_bytes())))
        };
        for token in [
            none("none"),
            none("None"),
            none(""),
            none("RS256"),
            secret_is_public(&modulus, "rsa"),
            secret_is_public(RFC_RSA_N.as_bytes(), "rsa"),
            secret_is_public(rsa("rsa").to_string().as_bytes(), "rsa"),
            secret_is_public(b"", "ed"),
            signed(&with(header(), "alg", json!("RS256")), &claims()),
            signed(&with(header(), "alg", json!("none")), &claims()),
            signed(&with(header(), "kid", json!("ec")), &claims()),
            signed(&with(header(), "kid", json!("rsa")), &claims()),
        ] {
            assert_eq!(try_token(&token), Err(JwtError::Signature), "{token}");
        }
        for (id, expected) in [(json!("x"), "x"), (Value::Null, "")] {
            let token = signed(&with(header(), "kid", id), &claims());
            assert_eq!(try_token(&token), Err(JwtError::UnknownKey(expected.to_owned())));
        }
        let own = with(header(), "jwk", ed25519("mine"));
        assert!(try_token(&signed(&own, &claims())).is_ok(), "a key in a token is not looked at");
    }

    #[test]
    fn what_is_altered_is_refused() {
        let token = signed(&header(), &claims());
        assert!(try_token(&token).is_ok());
        for at in 0..token.len() {
            let (before, after) = token.split_at(at);
            let altered = if after.starts_with('A') { 'B' } else { 'A' };
            let changed = format!("{before}{altered}{}", &after[1..]);
            assert!(try_token(&changed).is_err(), "{at}");
            assert!(try_token(&format!("{before}{}", &after[1..])).is_err(), "{at}");
        }
        for other in
            ["", ".", "..", "...", "a.b", "a.b.c.d", &format!("{token}="), &format!(" {token}")]
        {
            assert!(try_token(other).is_err(), "{other}");
        }
        let long = with(claims(), "x", json!("x".repeat(MAX_TOKEN_BYTES)));
        assert_eq!(try_token(&signed(&header(), &long)), Err(JwtError::Form("it is too long")));
    }

    #[test]
    fn kinds_that_let_nobody_in_and_demands_are_refused() {
        for (name, value, is_taken) in [
            ("typ", json!("at+jwt"), true),
            ("typ", json!("application/at+JWT"), true),
            ("typ", Value::Null, true),
            ("typ", json!("logout+jwt"), false),
            ("typ", json!("dpop+jwt"), false),
            ("crit", json!(["b64"]), false),
            ("crit", json!([]), false),
        ] {
            let token = signed(&with(header(), name, value.clone()), &claims());
            assert_eq!(try_token(&token).is_ok(), is_taken, "{name}: {value}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_sent_is_refused(
            token in prop_oneof![
                "\\PC{0,200}",
                "[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,90}",
            ],
            header in prop_oneof![Just("{\"alg\":\"ES256\",\"kid\":\"ec\"}".to_owned()), "\\PC{0,80}"],
            signature in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            prop_assert!(try_token(&token).is_err());
            let claims = encoded(claims().to_string());
            let forged = format!("{}.{claims}.{}", encoded(header), encoded(signature));
            prop_assert!(try_token(&forged).is_err());
        }
    }
}
