//! Asks another server by HTTP or HTTPS: one connection, bounded in time by whoever asks.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use hyper::Uri;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::monitor::access::tls::client_config;

/// A connection, encrypted or not.
pub trait Connection: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Connection for T {}

/// A server that can be asked.
#[derive(Clone)]
pub struct Server {
    host: String,
    port: u16,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl Server {
    /// The server of an address `http://…` or `https://…`, whose certificate must lead to an authority
    /// of a PEM file, or of the system where none is named; why that is none in words.
    pub fn new(uri: &Uri, authorities: Option<&Path>) -> Result<Self, String> {
        let is_secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err("it must begin with http:// or https://".to_owned()),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or("it has no host")?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let tls = match is_secure {
            false => None,
            true => {
                let name = ServerName::try_from(host.clone());
                let name = name.map_err(|_| format!("`{host}` is no name of a server"))?;
                Some((client_config(authorities)?, name))
            }
        };
        Ok(Self { host, port, tls })
    }

    /// Whether it is asked over TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether only this machine can be meant.
    #[must_use]
    pub fn is_here(&self) -> bool {
        self.host == "localhost"
            || self.host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
    }

    /// Connects.
    pub async fn connect(&self) -> std::io::Result<Pin<Box<dyn Connection>>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        Ok(match &self.tls {
            None => Box::pin(stream),
            Some((config, name)) => {
                let connector = TlsConnector::from(Arc::clone(config));
                Box::pin(connector.connect(name.clone(), stream).await?)
            }
        })
    }
}
