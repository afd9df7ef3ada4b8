//! Public keys of an identity provider (JWK Set, RFC 7517). The kind of a key, and nothing that a
//! token says, decides how its signatures are checked (RFC 8725, 3.1): a key for RSA never takes part
//! in anything else, and secrets (`oct`) are no keys here.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;
use serde_json::Value;

use crate::limits::MAX_KEYS;

/// Signatures of RSA keys, by their names in tokens (RFC 7518, 3.1).
const RSA: [(&str, &RsaParameters); 6] = [
    ("RS256", &RSA_PKCS1_2048_8192_SHA256),
    ("RS384", &RSA_PKCS1_2048_8192_SHA384),
    ("RS512", &RSA_PKCS1_2048_8192_SHA512),
    ("PS256", &RSA_PSS_2048_8192_SHA256),
    ("PS384", &RSA_PSS_2048_8192_SHA384),
    ("PS512", &RSA_PSS_2048_8192_SHA512),
];

/// A key as its set has it. Members that are not named here do not matter (RFC 7517, 4).
#[derive(Debug, Deserialize)]
struct KeyForm {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    use_: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// The set as it is written. Keys that cannot be read are left out and not refused (RFC 7517, 5).
#[derive(Debug, Deserialize)]
struct SetForm {
    keys: Vec<Value>,
}

enum Material {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    Other { names: &'static [&'static str], key: UnparsedPublicKey<Vec<u8>> },
}

/// One key.
pub struct Key {
    id: Option<String>,
    /// The only name of a signature that it may make, where its set says one.
    only: Option<String>,
    material: Material,
}

/// All keys.
#[derive(Default)]
pub struct Keys {
    keys: Vec<Key>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.id)).finish()
    }
}

impl Keys {
    /// Reads a set; one without any key that can be used here is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let set: SetForm = serde_json::from_slice(bytes)
            .map_err(|error| format!("it is no key set (JWK Set, RFC 7517): {error}"))?;
        if set.keys.len() > MAX_KEYS {
            return Err(format!("it holds {} keys, the most are {MAX_KEYS}", set.keys.len()));
        }
        let forms = set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        let keys: Vec<_> = forms.filter_map(Key::new).collect();
        if keys.is_empty() {
            let known = "RSA from 2048 bits, EC on P-256 and P-384, Ed25519";
            return Err(format!("it holds no key that signs and is of a kind known here: {known}"));
        }
        Ok(Self { keys })
    }

    /// The key that a token names. Where it names none, the only one there is.
    pub fn find(&self, id: Option<&str>) -> Option<&Key> {
        match (id, &self.keys[..]) {
            (None, [only]) => Some(only),
            (None, _) => None,
            (Some(id), keys) => keys.iter().find(|key| key.id.as_deref() == Some(id)),
        }
    }
}

impl Key {
    fn new(form: KeyForm) -> Option<Self> {
        let is_to_sign = form.use_.as_deref().is_none_or(|purpose| purpose == "sig");
        let may_verify = form.key_ops.as_ref();
        let may_verify = may_verify.is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        if !is_to_sign || !may_verify {
            return None;
        }
        let material = Material::new(&form)?;
        Some(Self { id: form.kid, only: form.alg, material })
    }

    /// Whether it made this signature of this name.
    pub fn verifies(&self, name: &str, message: &[u8], signature: &[u8]) -> bool {
        if self.only.as_deref().is_some_and(|only| only != name) {
            return false;
        }
        match &self.material {
            Material::Rsa(key) => {
                let known = RSA.iter().find(|(known, _)| *known == name);
                known.is_some_and(|(_, how)| key.verify(how, message, signature).is_ok())
            }
            Material::Other { names, key } => {
                names.contains(&name) && key.verify(message, signature).is_ok()
            }
        }
    }
}

impl Material {
    fn new(form: &KeyForm) -> Option<Self> {
        let bytes = |text: &Option<String>| {
            text.as_ref().and_then(|text| BASE64_URL_SAFE_NO_PAD.decode(text).ok())
        };
        let other = |names, how: &'static dyn VerificationAlgorithm, key| Self::Other {
            names,
            key: UnparsedPublicKey::new(how, key),
        };
        let point = |length| {
            let (x, y) = (bytes(&form.x)?, bytes(&form.y)?);
            let is_whole = x.len() == length && y.len() == length;
            is_whole.then(|| [vec![4], x, y].concat())
        };
        Some(match (form.kty.as_str(), form.crv.as_deref()) {
            ("RSA", _) => {
                let n = bytes(&form.n)?;
                let (n, e) = (without_zeros(&n), bytes(&form.e)?);
                if n.len() < 256 {
                    return None;
                }
                Self::Rsa(RsaPublicKeyComponents {
                    n: n.to_owned(),
                    e: without_zeros(&e).to_owned(),
                })
            }
            ("EC", Some("P-256")) => other(&["ES256"], &ECDSA_P256_SHA256_FIXED, point(32)?),
            ("EC", Some("P-384")) => other(&["ES384"], &ECDSA_P384_SHA384_FIXED, point(48)?),
            ("OKP", Some("Ed25519")) => {
                let key = bytes(&form.x).filter(|key| key.len() == 32)?;
                // RFC 8037 and, for the same, RFC 9864.
                other(&["EdDSA", "Ed25519"], &ED25519, key)
            }
            _ => return None,
        })
    }
}

/// Some write a zero in front so that the number is not negative, which `ring` does not take.
fn without_zeros(number: &[u8]) -> &[u8] {
    let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    &number[start..]
}
