//! Client TLS: trusted authorities and the client certificate.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::crypto::{self, CryptoProvider};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::time_provider::TimeProvider;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::clock::{Clock as _, SystemClock};
use crate::limits::MAX_ACCESS_FILE_BYTES;

/// Trusted authorities and the client's identity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// PEM file of the authorities of the server's certificate; the system's where absent.
    pub authorities: Option<PathBuf>,
    /// PEM files of our certificate and its key, for servers that ask for one.
    pub identity: Option<Identity>,
}

impl Trust {
    /// Trusts the authorities of a file, or the system's, and shows no certificate.
    #[must_use]
    pub fn in_authorities(file: Option<&Path>) -> Self {
        Self { authorities: file.map(Path::to_owned), identity: None }
    }
}

/// A client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// PEM file of the certificate and those that lead to its authority.
    pub certificate: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
}

/// The cryptography, named each time so that nothing else that is linked in decides it.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(crypto::ring::default_provider())
}

/// The clock that certificates are checked with. The library's own panics before 1970.
#[derive(Debug)]
pub struct WallClock;

impl TimeProvider for WallClock {
    fn current_time(&self) -> Option<UnixTime> {
        let now_ms = u64::try_from(SystemClock::new().now_ms()).unwrap_or(0);
        Some(UnixTime::since_unix_epoch(Duration::from_millis(now_ms)))
    }
}

/// The certificates of a PEM text, at least one.
pub fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err("the certificate file contains no PEM certificate".to_owned()),
        Err(error) => Err(format!("a certificate cannot be read: {error}")),
    }
}

/// The authorities of a PEM text.
pub fn authorities(bytes: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(bytes)? {
        roots
            .add(certificate)
            .map_err(|error| format!("a certificate authority cannot be used: {error}"))?;
    }
    Ok(roots)
}

/// The TLS settings of a client.
pub(super) fn client_config(trust: &Trust) -> Result<ClientConfig, String> {
    let roots = match &trust.authorities {
        Some(file) => in_file(file, authorities)?,
        None => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            roots
        }
    };
    if roots.is_empty() {
        return Err(
            "this system has no trusted authorities; configure a file of authorities".to_owned()
        );
    }
    let builder = ClientConfig::builder_with_details(provider(), Arc::new(WallClock))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let Some(Identity { certificate, key: key_file }) = &trust.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = in_file(certificate, certificates)?;
    let key = in_file(key_file, |bytes| {
        PrivateKeyDer::from_pem_slice(bytes)
            .map_err(|_| "the file contains no PEM private key".to_owned())
    })?;
    let together = |error| {
        let (certificate, key) = (certificate.display(), key_file.display());
        format!("{certificate} and {key} cannot be used together: {error}")
    };
    builder.with_client_auth_cert(chain, key).map_err(together)
}

/// Settings that trust nobody, for servers that are asked without TLS.
pub(super) fn plain_config() -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_details(provider(), Arc::new(WallClock))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

fn in_file<T>(file: &Path, parse: impl FnOnce(&[u8]) -> Result<T, String>) -> Result<T, String> {
    let name = file.display();
    let mut bytes = Vec::new();
    let read = File::open(file)
        .and_then(|file| file.take(MAX_ACCESS_FILE_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(format!("{name} not found"));
        }
        Err(error) => return Err(format!("{name} cannot be read: {error}")),
        Ok(length) if length as u64 > MAX_ACCESS_FILE_BYTES => {
            return Err(format!("{name} has more than {MAX_ACCESS_FILE_BYTES} bytes"));
        }
        Ok(_) => {}
    }
    parse(&bytes).map_err(|reason| format!("{name}: {reason}"))
}
