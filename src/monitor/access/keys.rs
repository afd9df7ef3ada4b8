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

use crate::codec::Digest;
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
    thumbprint: Digest,
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
            .map_err(|error| format!("it is not a key set (JWK Set, RFC 7517): {error}"))?;
        if set.keys.len() > MAX_KEYS {
            return Err(format!("it has {} keys, the limit is {MAX_KEYS}", set.keys.len()));
        }
        let forms = set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        let keys: Vec<_> = forms.filter_map(Key::new).collect();
        if keys.is_empty() {
            let known = "RSA from 2048 bits, EC on P-256 and P-384, Ed25519";
            return Err(format!("it has no signing key of a supported kind: {known}"));
        }
        Ok(Self { keys })
    }

    /// True if the key with this thumbprint is among them.
    pub fn holds(&self, thumbprint: &Digest) -> bool {
        self.keys.iter().any(|key| key.thumbprint == *thumbprint)
    }

    /// The keys that a token names: several may share a name (RFC 7517, 4.5). Where it names none,
    /// the only one there is.
    pub fn named(&self, id: Option<&str>) -> impl Iterator<Item = &Key> {
        let is_only = self.keys.len() == 1;
        self.keys.iter().filter(move |key| match id {
            Some(id) => key.id.as_deref() == Some(id),
            None => is_only,
        })
    }

    /// The first of them.
    #[cfg(test)]
    pub fn find(&self, id: Option<&str>) -> Option<&Key> {
        self.named(id).next()
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
        let (material, thumbprint) = (Material::new(&form)?, thumbprint(&form)?);
        Some(Self { id: form.kid, only: form.alg, thumbprint, material })
    }

    /// The digest that tells this key from every other, whatever its set calls it (RFC 7638).
    pub fn thumbprint(&self) -> Digest {
        self.thumbprint
    }

    /// True if it made this signature of this name.
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

fn decoded(text: Option<&String>) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text?).ok()
}

/// SHA-256 over the members that make up a key, in the one form of RFC 7638, section 3.
fn thumbprint(form: &KeyForm) -> Option<Digest> {
    let member = |text: &Option<String>| {
        Some(BASE64_URL_SAFE_NO_PAD.encode(without_zeros(&decoded(text.as_ref())?)))
    };
    let curve = form.crv.as_deref().unwrap_or_default();
    // The coordinates of a point have a fixed length, zeros included.
    let point = |text: &Option<String>| decoded(text.as_ref()).and(text.clone());
    let text = match form.kty.as_str() {
        "RSA" => {
            let (e, n) = (member(&form.e)?, member(&form.n)?);
            format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#)
        }
        "EC" => {
            let (x, y) = (point(&form.x)?, point(&form.y)?);
            format!(r#"{{"crv":"{curve}","kty":"EC","x":"{x}","y":"{y}"}}"#)
        }
        kty => {
            let x = point(&form.x)?;
            format!(r#"{{"crv":"{curve}","kty":"{kty}","x":"{x}"}}"#)
        }
    };
    Some(Digest::of(text.as_bytes()))
}

impl Material {
    fn new(form: &KeyForm) -> Option<Self> {
        let bytes = |text: &Option<String>| decoded(text.as_ref());
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    /// The RSA key of RFC 7515, A.2.1.
    pub const RFC_RSA_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4q\
        PCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bS\
        f63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6\
        _I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    /// The claims of RFC 7515, A.2 and A.3.
    const RFC_CLAIMS: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    /// RFC 7515, A.2.1.
    const RFC_RS256: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Q\
        c_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARN\
        PvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6I\
        eYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    /// RFC 7515, A.3.1.
    const RFC_ES256: &str = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqP\
        P3-Kg6NU1Q";
    /// RFC 8037, A.4.
    const RFC_EDDSA: &str = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvp\
        Ar_MuM0KAg";

    pub fn rsa(id: &str) -> Value {
        json!({"kty": "RSA", "kid": id, "n": RFC_RSA_N, "e": "AQAB"})
    }

    pub fn ec(id: &str) -> Value {
        json!({
            "kty": "EC", "crv": "P-256", "kid": id,
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        })
    }

    pub fn ed25519(id: &str) -> Value {
        json!({
            "kty": "OKP", "crv": "Ed25519", "kid": id,
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        })
    }

    /// An object with one member changed.
    pub fn with(mut object: Value, name: &str, value: Value) -> Value {
        object[name] = value;
        object
    }

    pub fn keys(keys: &[Value]) -> Result<Keys, String> {
        Keys::parse(json!({"keys": keys}).to_string().as_bytes())
    }

    #[test]
    fn signatures_of_the_standards_are_good_for_their_key_alone() {
        let set = keys(&[rsa("rsa"), ec("ec"), ed25519("ed")]).unwrap();
        let named = ["RS256", "RS384", "PS256", "ES256", "ES384", "EdDSA", "HS256", "none", ""];
        for (id, name, message, signature) in [
            ("rsa", "RS256", format!("eyJhbGciOiJSUzI1NiJ9.{RFC_CLAIMS}"), RFC_RS256),
            ("ec", "ES256", format!("eyJhbGciOiJFUzI1NiJ9.{RFC_CLAIMS}"), RFC_ES256),
            (
                "ed",
                "EdDSA",
                "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc".to_owned(),
                RFC_EDDSA,
            ),
        ] {
            let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
            for other in ["rsa", "ec", "ed"] {
                let key = set.find(Some(other)).unwrap();
                for said in named {
                    let is_good = key.verifies(said, message.as_bytes(), &signature);
                    assert_eq!(is_good, other == id && said == name, "{id}: {other} {said}");
                }
            }
            let key = set.find(Some(id)).unwrap();
            assert!(!key.verifies(name, &message.as_bytes()[1..], &signature));
            assert!(!key.verifies(name, message.as_bytes(), &[]));
            assert!(!key.verifies(name, message.as_bytes(), &vec![0; signature.len()]));
        }
    }

    #[test]
    fn only_what_may_check_signatures_is_a_key() {
        for (key, is_key) in [
            (rsa("k"), true),
            (with(rsa("k"), "use", json!("sig")), true),
            (with(rsa("k"), "use", json!("enc")), false),
            (with(rsa("k"), "key_ops", json!(["verify"])), true),
            (with(rsa("k"), "key_ops", json!(["encrypt"])), false),
            (with(rsa("k"), "n", json!("AQAB")), false),
            (with(rsa("k"), "n", json!("=".to_owned() + RFC_RSA_N)), false),
            (with(rsa("k"), "e", Value::Null), false),
            (with(ec("k"), "crv", json!("P-384")), false),
            (with(ec("k"), "crv", json!("secp256k1")), false),
            (with(ec("k"), "x", json!("AQAB")), false),
            (with(ed25519("k"), "crv", json!("X25519")), false),
            (json!({"kty": "oct", "kid": "k", "k": RFC_RSA_N}), false),
            (json!({"kid": "k"}), false),
            (json!(7), false),
        ] {
            assert_eq!(keys(std::slice::from_ref(&key)).is_ok(), is_key, "{key}");
            assert!(keys(&[key, ec("other")]).is_ok(), "the rest of a set stays good");
        }
        let modulus = BASE64_URL_SAFE_NO_PAD.decode(RFC_RSA_N).unwrap();
        let padded = BASE64_URL_SAFE_NO_PAD.encode([&[0], &modulus[..]].concat());
        let padded = keys(&[with(rsa("k"), "n", json!(padded))]).unwrap();
        let only = keys(&[with(rsa("k"), "alg", json!("PS256"))]).unwrap();
        let signature = BASE64_URL_SAFE_NO_PAD.decode(RFC_RS256).unwrap();
        let message = format!("eyJhbGciOiJSUzI1NiJ9.{RFC_CLAIMS}");
        let key = only.find(None).unwrap();
        assert!(!key.verifies("RS256", message.as_bytes(), &signature), "the set says PS256");
        let key = padded.find(None).unwrap();
        assert!(key.verifies("RS256", message.as_bytes(), &signature), "a zero in front");
        assert!(
            keys(&vec![ec("k"); MAX_KEYS]).is_ok() && keys(&vec![ec("k"); MAX_KEYS + 1]).is_err()
        );
        for text in ["", "[]", "{}", "{\"keys\": {}}", "{\"keys\": []}"] {
            assert!(Keys::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_token_names_its_key_where_there_are_several() {
        let (one, two) = (keys(&[ec("a")]).unwrap(), keys(&[ec("a"), rsa("b")]).unwrap());
        assert!(one.find(None).is_some() && one.find(Some("a")).is_some());
        assert!(one.find(Some("b")).is_none() && one.find(Some("")).is_none());
        assert!(two.find(None).is_none() && two.find(Some("b")).is_some());
    }

    #[test]
    fn a_key_is_known_by_its_thumbprint() {
        // RFC 7638, 3.1, and RFC 8037, A.3.
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_\
            BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2\
            QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6W\
            eZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let published = [
            (with(rsa("k"), "n", json!(n)), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
            (ed25519("k"), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
        ];
        for (key, expected) in published {
            let thumbprint = keys(&[key]).unwrap().find(None).unwrap().thumbprint();
            assert_eq!(BASE64_URL_SAFE_NO_PAD.encode(thumbprint.0), expected);
        }
        let of = |key: &Value| keys(std::slice::from_ref(key)).unwrap().keys[0].thumbprint;
        let modulus = BASE64_URL_SAFE_NO_PAD.decode(RFC_RSA_N).unwrap();
        let padded = BASE64_URL_SAFE_NO_PAD.encode([&[0], &modulus[..]].concat());
        let padded = with(rsa("other"), "n", json!(padded));
        assert_eq!(of(&rsa("k")), of(&padded), "neither its name nor a zero in front counts");
        let other = with(ec("k"), "x", ec("k")["y"].clone());
        let set = keys(&[rsa("a"), ec("k")]).unwrap();
        assert!(set.holds(&of(&rsa("b"))) && set.holds(&of(&ec("b"))));
        assert!(!set.holds(&of(&other)), "another key of the same name");
        assert!(!set.holds(&of(&ed25519("a"))));
    }
}
