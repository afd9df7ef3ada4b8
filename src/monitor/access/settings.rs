//! Address and access of the endpoint, once the configuration was checked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::codec::Digest;
use crate::monitor::access::caller::Role;
use crate::monitor::http::base_path::BasePath;

/// Address and access of the endpoint.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The address that it listens on.
    pub listen: SocketAddr,
    /// True if only a proxy reaches it, whose word counts for the client's address.
    pub behind_proxy: bool,
    /// Path under which a proxy serves it.
    pub base_path: BasePath,
    /// TLS, where it is spoken here.
    pub tls: Option<TlsSettings>,
    /// Access rules.
    pub access: AccessSettings,
}

/// Certificate and key of the endpoint, and whose certificates clients may show.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    /// PEM file of the certificate and those that lead to its authority.
    pub certificate: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
    /// PEM file of the authorities of client certificates.
    pub client_authorities: Option<PathBuf>,
    /// True if a client without such a certificate is turned away at once.
    pub require_client: bool,
}

/// Access rules.
#[derive(Debug, Clone, Default)]
pub struct AccessSettings {
    /// Role of an anonymous caller; `None` for no access.
    pub anonymous: Option<Role>,
    /// The file of tokens.
    pub tokens: Option<PathBuf>,
    /// Signed tokens of an identity provider.
    pub jwt: Option<JwtSettings>,
    /// Client certificates.
    pub certificates: Vec<CertificateRule>,
}

impl AccessSettings {
    /// True if there is a way to say who one is.
    #[must_use]
    pub fn knows_anyone(&self) -> bool {
        self.tokens.is_some() || self.jwt.is_some() || !self.certificates.is_empty()
    }
}

/// Signed tokens (JWT, RFC 7519) of an identity provider.
#[derive(Debug, Clone)]
pub struct JwtSettings {
    /// Required value of `iss`.
    pub issuer: String,
    /// Required value of `aud`, or a member of it.
    pub audience: String,
    /// The source of the keys (RFC 7517).
    pub keys: KeySource,
    /// PEM file of the authorities of the key set's server; the system's where not named.
    pub authorities: Option<PathBuf>,
    /// The claim that names the caller.
    pub name_claim: String,
    /// The claim whose values give roles: its name, or a dotted way to it.
    pub role_claim: String,
    /// Role of each value of that claim.
    pub roles: BTreeMap<String, Role>,
}

/// The source of a key set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// In a file, read again when it changes.
    File(PathBuf),
    /// At an address, asked again now and then.
    Url(String),
}

/// The caller of a client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRule {
    /// Name of the caller.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// The certificate that it matches.
    pub which: CertificateMatch,
}

/// Matches a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateMatch {
    /// One with exactly this DNS name, IP address or URI among its subject alternative names. A
    /// common name is none (RFC 9525), and a wildcard matches nothing.
    Name(String),
    /// The one with this SHA-256 over its DER form.
    Sha256(Digest),
}

impl Settings {
    /// Without a token, everyone who reaches this address may look.
    #[must_use]
    pub fn open(listen: SocketAddr) -> Self {
        let access = AccessSettings { anonymous: Some(Role::Viewer), ..AccessSettings::default() };
        Self { listen, behind_proxy: false, base_path: BasePath::default(), tls: None, access }
    }
}
