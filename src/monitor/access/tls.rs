//! TLS of the endpoint: certificates and keys from files, and whose a client certificate is.
//!
//! It must never speak without having checked that key and certificate belong together, or take a
//! certificate for anyone whom the configuration does not name.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use subtle::ConstantTimeEq as _;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, DnsName, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use webpki::EndEntityCert;

use crate::codec::Digest;
use crate::monitor::access::caller::{Caller, How};
use crate::monitor::access::kept::{Contents, Kept};
use crate::monitor::access::settings::{CertificateMatch, CertificateRule, TlsSettings};
use crate::outbound::tls::{WallClock, authorities, certificates, provider};

/// Data of a handshake, from files that may change.
#[derive(Debug)]
pub struct Tls {
    config: Kept<ServerConfig>,
}

impl Tls {
    /// Reads the files.
    pub fn open(settings: &TlsSettings) -> Result<Self, String> {
        let TlsSettings { certificate, key, client_authorities, require_client } = settings.clone();
        let mut files = vec![certificate, key.clone()];
        files.extend(client_authorities);
        let make = move |contents: &[Option<Contents>]| {
            check_mode(&key, contents)?;
            server_config(contents, require_client)
        };
        let named: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        let config = Kept::open(files, make);
        config
            .map(|config| Self { config })
            .map_err(|reason| format!("{}: {reason}", named.join(", ")))
    }

    /// Reads files again that have changed.
    pub fn look(&self) {
        self.config.look();
    }

    /// The acceptor of the next connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.get())
    }
}

/// Refuses a private key that everyone on the machine can read. (Its group may: that is how keys are
/// shared with those who renew them.)
fn check_mode(key: &Path, contents: &[Option<Contents>]) -> Result<(), String> {
    // The key is the second file; a missing one is reported with the others.
    let mode = contents.get(1).and_then(Option::as_ref).map_or(0, |contents| contents.mode);
    if mode & 0o007 == 0 {
        return Ok(());
    }
    let key = key.display();
    Err(format!(
        "the key {key} has mode {mode:04o}, so everyone can read it; run `chmod 640 {key}`"
    ))
}

/// Certificate, key and, where there is a third, the clients' authorities.
fn server_config(files: &[Option<Contents>], require_client: bool) -> Result<ServerConfig, String> {
    let mut files = files.iter();
    let mut next = |what| match files.next() {
        Some(Some(contents)) => Ok(Some(contents.bytes.as_slice())),
        Some(None) => Err(format!("{what} file not found")),
        None => Ok(None),
    };
    let chain = certificates(next("certificate")?.unwrap_or_default())?;
    let key = PrivateKeyDer::from_pem_slice(next("key")?.unwrap_or_default());
    let key = key.map_err(|_| "the key file contains no PEM private key".to_owned())?;
    let verifier = next("client authorities")?.map(|bytes| verifier(bytes, require_client));
    let builder = ServerConfig::builder_with_details(provider(), Arc::new(WallClock))
        .with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    let asks_clients = verifier.is_some();
    let builder = match verifier.transpose()? {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| format!("certificate and key cannot be used together: {error}"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if asks_clients {
        // A resumed session takes over the client's certificate unchecked, also when it has expired.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(config)
}

fn verifier(bytes: &[u8], require: bool) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let roots = Arc::new(authorities(bytes)?);
    let builder = WebPkiClientVerifier::builder_with_provider(roots, provider());
    let builder = if require { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|error| error.to_string())
}

/// The caller of a certificate, if the configuration names it.
#[must_use]
pub fn caller(rules: &[CertificateRule], der: &[u8]) -> Option<Caller> {
    let digest = Digest::of(der);
    let der = CertificateDer::from(der);
    let certificate = EndEntityCert::try_from(&der).ok()?;
    let is_meant = |rule: &&CertificateRule| match &rule.which {
        CertificateMatch::Sha256(wanted) => bool::from(wanted.0.ct_eq(&digest.0)),
        CertificateMatch::Name(name) => has_name(&certificate, name),
    };
    let rule = rules.iter().filter(is_meant).max_by_key(|rule| rule.role)?;
    Caller::known(&rule.name, rule.role, How::Certificate)
}

/// True if a certificate bears exactly this name. A wildcard in it stands for servers of a domain
/// (RFC 9525): taken for a client, whoever has such a certificate would be every client there.
fn has_name(certificate: &EndEntityCert<'_>, wanted: &str) -> bool {
    match San::parse(wanted) {
        Some(San::Address(address)) => {
            let address = ServerName::IpAddress(address.into());
            certificate.verify_is_valid_for_subject_name(&address).is_ok()
        }
        Some(San::Uri(uri)) => certificate.valid_uri_names().any(|name| name == uri),
        Some(San::Dns(wanted)) => {
            let is_it = |name: &str| without_dot(name).eq_ignore_ascii_case(wanted);
            certificate.valid_dns_names().any(is_it)
        }
        None => false,
    }
}

/// A subject alternative name that a rule can name.
enum San<'a> {
    Address(IpAddr),
    Uri(&'a str),
    Dns(&'a str),
}

impl<'a> San<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self::Address(address.to_canonical()));
        }
        if let Some((scheme, rest)) = text.split_once(':') {
            let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.bytes().all(|c| c.is_ascii_alphanumeric() || b"+-.".contains(&c));
            return (is_scheme && !rest.is_empty()).then_some(Self::Uri(text));
        }
        let name = without_dot(text);
        DnsName::try_from(name).is_ok().then_some(Self::Dns(name))
    }
}

fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// Refuses a name that no certificate of a client could match.
pub fn check_san(text: &str) -> Result<(), String> {
    San::parse(text).map(drop).ok_or_else(|| {
        format!(
            "`{text}` is not a DNS name, an IP address or a URI; wildcards are not allowed, because they \
             do not identify one client"
        )
    })
}
