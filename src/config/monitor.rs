//! The endpoint's part of the configuration: address, TLS, access.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::codec::Digest;
use crate::codec::yaml::Located;
use crate::diagnostic::{Diagnostic, Place};
use crate::monitor::access::tls::{Tls, check_san};
use crate::monitor::access::{
    AccessSettings, CertificateMatch, CertificateRule, JwtSettings, KeySet, KeySource, Role,
    Settings, TlsSettings, is_name, tokens,
};
use crate::monitor::http::base_path::BasePath;

/// The endpoint.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MonitorForm {
    /// Address and port; `null` for no endpoint. Beyond loopback it needs `tls` and `access`, or
    /// `behind_proxy`.
    pub listen: Option<Located<String>>,
    /// Says that only a proxy reaches it, which speaks TLS and asks who is there; its
    /// `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host` count.
    pub behind_proxy: bool,
    /// Path under which a proxy serves it, such as `/ledger`: links, forms, redirects and the cookie
    /// of a login begin with it. Requests are taken with it and without it, so the proxy may strip it.
    pub base_path: Option<Located<String>>,
    /// TLS.
    pub tls: Option<Located<TlsForm>>,
    /// Access rules. Without them, everyone who reaches the endpoint may read.
    pub access: Option<Located<AccessForm>>,
}

/// TLS of the endpoint. Files are in PEM form, and read again when they change.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsForm {
    /// The certificate and those that lead to its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Authorities of client certificates.
    pub client_authorities: Option<PathBuf>,
    /// True if a client without such a certificate is turned away at once.
    #[serde(default)]
    pub require_client: bool,
}

/// Access rules.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccessForm {
    /// Role of a caller without a token or certificate. Default: behind a proxy `viewer` if the
    /// configuration admits nobody else either, else `viewer` on a loopback address and `none`
    /// elsewhere.
    pub anonymous: Option<Anonymous>,
    /// File of tokens, as `ledgerline token` writes it; read again when it changes.
    pub tokens: Option<Located<PathBuf>>,
    /// Signed tokens of an identity provider (JWT).
    pub jwt: Option<Located<JwtForm>>,
    /// Client certificates. They need `tls.client_authorities`.
    pub certificates: Vec<Located<CertificateForm>>,
}

/// Role of an anonymous caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Anonymous {
    /// Nothing.
    None,
    /// Look.
    Viewer,
}

/// Signed tokens of an identity provider (OpenID Connect, JWT).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JwtForm {
    /// Required value of `iss`.
    pub issuer: String,
    /// Required value of `aud`, or a member of it.
    pub audience: String,
    /// The key set (JWK Set): a file, or an address with https.
    pub keys: Located<String>,
    /// Authorities of that address in PEM form; the system's where not named.
    pub authorities: Option<PathBuf>,
    /// The claim that names the caller.
    #[serde(default = "subject")]
    pub name_claim: String,
    /// The claim that gives roles: its name, or a dotted way to it, such as `realm_access.roles`.
    pub role_claim: String,
    /// Role of each value of that claim. The highest counts.
    pub roles: Located<BTreeMap<String, Role>>,
}

fn subject() -> String {
    "sub".to_owned()
}

/// A client certificate, by exactly one of `san` and `sha256`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateForm {
    /// Name of the caller.
    pub name: Located<String>,
    /// Its role.
    pub role: Role,
    /// A DNS name, IP address or URI among its subject alternative names; wildcards match nothing.
    pub san: Option<String>,
    /// SHA-256 of the certificate, in hexadecimal digits, with colons or without.
    pub sha256: Option<String>,
}

impl Default for MonitorForm {
    fn default() -> Self {
        let place = Place::START;
        let listen = Some(Located { value: "127.0.0.1:8780".to_owned(), place });
        Self { listen, behind_proxy: false, base_path: None, tls: None, access: None }
    }
}

/// Checks the endpoint's part; `None` for no endpoint.
pub fn check_monitor(
    path: &Path,
    form: &MonitorForm,
    at: &impl Fn(&Path) -> PathBuf,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Settings> {
    let listen = form.listen.as_ref()?;
    let Ok(address) = listen.value.parse::<SocketAddr>() else {
        let message = format!("`{}` is not an address to listen on", listen.value);
        let help = "use an IP address and a port, such as 127.0.0.1:8780";
        diagnostics.push(Diagnostic::error(path, listen.place, message).help(help));
        return None;
    };
    let tls = form.tls.as_ref().map(|form| check_tls(path, form, at, diagnostics));
    let given = form.access.as_ref().map(|access| access.value.clone()).unwrap_or_default();
    let is_here = address.ip().is_loopback();
    let has_authorities = tls.as_ref().is_some_and(|tls| tls.client_authorities.is_some());
    let mut access = check_access(path, &given, at, has_authorities, diagnostics);
    // Behind a proxy, callers come from anywhere: only where the proxy alone decides who gets in,
    // nothing is asked twice.
    let is_open = if form.behind_proxy { !access.knows_anyone() } else { is_here };
    access.anonymous = match given.anonymous {
        Some(Anonymous::Viewer) => Some(Role::Viewer),
        Some(Anonymous::None) => None,
        None => is_open.then_some(Role::Viewer),
    };
    let place = listen.place;
    let mut refuse = |message: String, help: &str| {
        diagnostics.push(Diagnostic::error(path, place, message).help(help));
    };
    if !is_here && !form.behind_proxy && tls.is_none() {
        refuse(
            format!("`{}` is reachable from other machines without encryption", listen.value),
            "set `tls: { certificate, key }`, or listen on 127.0.0.1; if only a proxy reaches \
             this port, set `behind_proxy: true`",
        );
    } else if access.anonymous.is_none() && !access.knows_anyone() {
        refuse(
            format!("nobody could sign in at `{}`", listen.value),
            "name a file of tokens: `access: { tokens: tokens.yaml }` (`ledgerline token` creates it), \
             or `jwt`, or `certificates`; `access: { anonymous: viewer }` gives everyone read access",
        );
    }
    let base_path = check_base_path(path, form.base_path.as_ref(), diagnostics);
    Some(Settings { listen: address, behind_proxy: form.behind_proxy, base_path, tls, access })
}

fn check_base_path(
    path: &Path,
    form: Option<&Located<String>>,
    diagnostics: &mut Vec<Diagnostic>,
) -> BasePath {
    let Some(given) = form else { return BasePath::default() };
    given.value.parse().unwrap_or_else(|error| {
        let message = format!("`base_path` cannot be `{}`: it {error}", given.value);
        let help = "use a path such as `/ledger`; leave it out if the endpoint has its own host";
        diagnostics.push(Diagnostic::error(path, given.place, message).help(help));
        BasePath::default()
    })
}

fn check_tls(
    path: &Path,
    form: &Located<TlsForm>,
    at: &impl Fn(&Path) -> PathBuf,
    diagnostics: &mut Vec<Diagnostic>,
) -> TlsSettings {
    let TlsForm { certificate, key, client_authorities, require_client } = &form.value;
    let settings = TlsSettings {
        certificate: at(certificate),
        key: at(key),
        client_authorities: client_authorities.as_deref().map(at),
        require_client: *require_client,
    };
    if let Err(reason) = Tls::open(&settings) {
        diagnostics.push(Diagnostic::error(path, form.place, format!("`tls`: {reason}")));
    }
    if settings.require_client && settings.client_authorities.is_none() {
        let message = "`require_client` needs `client_authorities`: the authorities whose certificates are accepted";
        diagnostics.push(Diagnostic::error(path, form.place, message));
    }
    settings
}

fn check_access(
    path: &Path,
    form: &AccessForm,
    at: &impl Fn(&Path) -> PathBuf,
    has_authorities: bool,
    diagnostics: &mut Vec<Diagnostic>,
) -> AccessSettings {
    let tokens = form.tokens.as_ref().map(|file| at(&file.value));
    if let (Some(file), Some(named)) = (&tokens, &form.tokens)
        && let Err(diagnostic) = tokens::read(file)
    {
        let diagnostic = match file.exists() {
            true => diagnostic,
            false => Diagnostic::error(
                path,
                named.place,
                format!("file {} not found", file.display()),
            )
            .help(format!(
                "`ledgerline token NAME --role viewer --file {}` creates a token and the file",
                file.display()
            )),
        };
        diagnostics.push(diagnostic);
    }
    if let (Some(first), false) = (form.certificates.first(), has_authorities) {
        let message = "client certificates are not requested without `tls.client_authorities`";
        diagnostics.push(Diagnostic::error(path, first.place, message));
    }
    AccessSettings {
        anonymous: None,
        tokens,
        jwt: form.jwt.as_ref().map(|form| check_jwt(path, form, at, diagnostics)),
        certificates: form
            .certificates
            .iter()
            .filter_map(|form| check_certificate(path, form, diagnostics))
            .collect(),
    }
}

fn check_jwt(
    path: &Path,
    form: &Located<JwtForm>,
    at: &impl Fn(&Path) -> PathBuf,
    diagnostics: &mut Vec<Diagnostic>,
) -> JwtSettings {
    let JwtForm { issuer, audience, keys, name_claim, role_claim, roles, .. } = &form.value;
    for (name, value) in [("issuer", issuer), ("audience", audience), ("role_claim", role_claim)] {
        if value.is_empty() {
            let message = format!("`{name}` is empty, so a token from anyone would be accepted");
            diagnostics.push(Diagnostic::error(path, form.place, message));
        }
    }
    if roles.value.is_empty() {
        let help = "such as `roles: { ledger-viewers: viewer, ledger-operators: operator }`";
        diagnostics.push(
            Diagnostic::error(path, roles.place, "`roles` assigns no role to anyone").help(help),
        );
    }
    let is_address = keys.value.contains("://");
    let source = match is_address {
        true => KeySource::Url(keys.value.clone()),
        false => KeySource::File(at(Path::new(&keys.value))),
    };
    let authorities = form.value.authorities.as_deref().map(at);
    if let Err(reason) = KeySet::open(&source, authorities.as_deref()) {
        diagnostics.push(Diagnostic::error(path, keys.place, format!("`keys`: {reason}")));
    }
    JwtSettings {
        issuer: issuer.clone(),
        audience: audience.clone(),
        keys: source,
        authorities,
        name_claim: name_claim.clone(),
        role_claim: role_claim.clone(),
        roles: roles.value.clone(),
    }
}

fn check_certificate(
    path: &Path,
    form: &Located<CertificateForm>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<CertificateRule> {
    let CertificateForm { name, role, san, sha256 } = &form.value;
    if !is_name(&name.value) {
        let message = tokens::TokenError::Name(name.value.clone()).to_string();
        diagnostics.push(Diagnostic::error(path, name.place, message));
    }
    let which = match (san, sha256) {
        (Some(san), None) => check_san(san).map(|()| CertificateMatch::Name(san.clone())),
        (None, Some(digits)) => match Digest::from_hex(&digits.replace(':', "").to_lowercase()) {
            Some(digest) => Ok(CertificateMatch::Sha256(digest)),
            None => Err("`sha256` is not a SHA-256 in 64 hexadecimal digits".to_owned()),
        },
        _ => Err("a certificate is identified by exactly one of `san` and `sha256`".to_owned()),
    };
    let which = which
        .map_err(|message| diagnostics.push(Diagnostic::error(path, form.place, message)))
        .ok()?;
    Some(CertificateRule { name: name.value.clone(), role: *role, which })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::yaml;

    #[test]
    fn callers_without_a_token_look_only_where_nobody_else_decides() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = folder.path().join("tokens.yaml");
        tokens::add(&tokens, ("ada", Role::Viewer), 0, None).unwrap();
        let tokens = format!("access: {{ tokens: {} }}", tokens.display());
        for (listen, proxy, access, expected) in [
            ("127.0.0.1:1", false, "", Some(Role::Viewer)),
            ("127.0.0.1:1", false, &*tokens, Some(Role::Viewer)),
            ("127.0.0.1:1", true, "", Some(Role::Viewer)),
            ("127.0.0.1:1", true, &tokens, None),
            ("0.0.0.0:1", true, "", Some(Role::Viewer)),
            ("0.0.0.0:1", true, &tokens, None),
            ("127.0.0.1:1", true, "access: { anonymous: viewer }", Some(Role::Viewer)),
        ] {
            let text = format!("listen: '{listen}'\nbehind_proxy: {proxy}\n{access}\n");
            let form = yaml::parse::<MonitorForm>(Path::new("c.yaml"), &text).unwrap();
            let mut diagnostics = Vec::new();
            let settings =
                check_monitor(Path::new("c.yaml"), &form[0], &Path::to_owned, &mut diagnostics);
            assert_eq!(settings.unwrap().access.anonymous, expected, "{text}");
            assert!(diagnostics.is_empty(), "{text}: {diagnostics:?}");
        }
    }
}
