//! How the endpoint is reached and by whom, once the configuration was checked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::codec::Digest;
use crate::monitor::access::caller::Role;
use crate::monitor::http::base_path::BasePath;

/// How the endpoint is reached, and by whom.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Whether only a proxy reaches it, whose word counts for the client's address.
    pub behind_proxy: bool,
    /// Path under which a proxy serves it.
    pub base_path: BasePath,
    /// TLS, where it is spoken here.
    pub tls: Option<TlsSettings>,
    /// Who may do what.
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
    /// Whether a client without such a certificate is turned away at once.
    pub require_client: bool,
}

/// Who may do what.
#[derive(Debug, Clone, Default)]
pub struct AccessSettings {
    /// What someone may do who says nothing about who it is; `None` for nothing.
    pub anonymous: Option<Role>,
    /// The file of tokens.
    pub tokens: Option<PathBuf>,
    /// Signed tokens of an identity provider.
    pub jwt: Option<JwtSettings>,
    /// Client certificates.
    pub certificates: Vec<CertificateRule>,
}

impl AccessSettings {
    /// Whether there is a way to say who one is.
    #[must_use]
    pub fn knows_anyone(&self) -> bool {
        self.tokens.is_some() || self.jwt.is_some() || !self.certificates.is_empty()
    }
}

/// Signed tokens (JWT, RFC 7519) of an identity provider.
#[derive(Debug, Clone)]
pub struct JwtSettings {
    /// What `iss` must be.
    pub issuer: String,
    /// What `aud` must be or hold.
    pub audience: String,
    /// Where the keys are (RFC 7517).
    pub keys: KeySource,
    /// PEM file of the authorities of the key set's server; the system's where not named.
    pub authorities: Option<PathBuf>,
    /// The claim that names the caller.
    pub name_claim: String,
    /// The claim whose values give roles: its name, or a dotted way to it.
    pub role_claim: String,
    /// What a value of that claim gives.
    pub roles: BTreeMap<String, Role>,
}

/// Where a key set is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// In a file, read again when it changes.
    File(PathBuf),
    /// At an address, asked again now and then.
    Url(String),
}

/// Whose a client certificate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRule {
    /// Name of the caller.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Which certificate.
    pub which: CertificateMatch,
}

/// Which certificate is meant.
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
