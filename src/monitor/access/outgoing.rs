//! Asks another server by HTTP or HTTPS: one connection, bounded in time by whoever asks.

use std::future::poll_fn;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::fault::chain;
use crate::limits::{MAX_ACCESS_FILE_BYTES, MAX_REQUEST_HEAD_BYTES};
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

    /// Asks on a connection of its own: status and body of the answer, or in words why there is none.
    /// A body that is longer than [`MAX_ACCESS_FILE_BYTES`] is none.
    pub async fn ask(&self, request: Request<Body>) -> Result<(StatusCode, Vec<u8>), String> {
        let stream = self.connect().await.map_err(|error| chain(&error))?;
        let broken = |error: hyper::Error| chain(&error);
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_REQUEST_HEAD_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        // Its error comes out of the answer that is being waited for.
        tokio::spawn(connection);
        let answer = sender.send_request(request).await.map_err(broken)?;
        Ok((answer.status(), read(answer.into_body()).await?))
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

async fn read(mut body: Incoming) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        if let Ok(data) = frame.map_err(|error| chain(&error))?.into_data() {
            if (bytes.len() + data.len()) as u64 > MAX_ACCESS_FILE_BYTES {
                return Err(format!("the answer has more than {MAX_ACCESS_FILE_BYTES} bytes"));
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}
