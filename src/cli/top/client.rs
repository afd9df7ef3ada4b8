//! Asks an endpoint: one connection a round, bounded in time and bytes.

use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::pin::Pin;

use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{ACCEPT, AUTHORIZATION, HOST, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::cli::top::answers::{Answers, Page, SafeText};
use crate::limits::{
    ANSWER_TIMEOUT, MAX_ANSWER_BYTES, MAX_REQUEST_HEAD_BYTES, MAX_REQUEST_HEADERS,
};
use crate::monitor::access::outgoing::Server;

/// Why there is no overview.
#[derive(Debug, thiserror::Error)]
pub enum AwayError {
    /// Nobody listens there.
    #[error(
        "nobody answers at {url}; start the service there, or name the `monitor.listen` of its \
         configuration with `--url`"
    )]
    Connect {
        /// Address of the endpoint.
        url: String,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// No TLS comes about, for the certificate is not believed or none is spoken.
    #[error(
        "cannot establish TLS with {url}; name the authority of its certificate with `--ca`, and the \
         host as the certificate does; a certificate of its own must not be marked as an authority \
         (`basicConstraints=CA:FALSE`)"
    )]
    Tls {
        /// Address of the endpoint.
        url: String,
        /// What is wrong.
        #[source]
        error: io::Error,
    },
    /// The connection broke, or it is no HTTP.
    #[error(
        "{url} does not answer as an endpoint of Ledgerline does; if it speaks TLS, its address begins with https://"
    )]
    Http {
        /// Address of the endpoint.
        url: String,
        /// What is wrong.
        #[source]
        error: hyper::Error,
    },
    /// The answer is an error.
    #[error("{url} answers with {status}: {detail}{}", token_help(*status))]
    Refused {
        /// What was asked.
        url: String,
        /// Status code.
        status: StatusCode,
        /// What the endpoint says of it.
        detail: String,
    },
    /// The answer is of another form.
    #[error("{url} gives no answer of Ledgerline's; is it of this version?")]
    Form {
        /// What was asked.
        url: String,
        /// What is wrong.
        #[source]
        error: serde_json::Error,
    },
    /// The answer is too long.
    #[error("{url} answers with more than {MAX_ANSWER_BYTES} bytes")]
    TooLong {
        /// What was asked.
        url: String,
    },
    /// The answers took too long.
    #[error("{url} did not answer within {} s; it may be busy", ANSWER_TIMEOUT.as_secs())]
    Slow {
        /// Address of the endpoint.
        url: String,
    },
}

/// An endpoint that can be asked.
pub struct Client {
    server: Server,
    /// Host and port.
    authority: String,
    /// The address without a slash at its end.
    url: String,
    /// Path in front of every other, without a slash at its end.
    path: String,
    /// What says who asks, as a header.
    token: Option<HeaderValue>,
    runtime: Runtime,
}

/// The endpoint's own words for an error (RFC 9457).
#[derive(Deserialize)]
struct Problem {
    detail: SafeText,
}

/// Help for answers that want a token.
fn token_help(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => {
            "; give a token with `--token-file FILE`, or in the variable LEDGERLINE_TOKEN"
        }
        _ => "",
    }
}

impl Client {
    /// For an address such as `http://127.0.0.1:8780`, whose certificate leads to an authority of the
    /// file where one is named; why that is none in words.
    pub fn new(url: &str, authorities: Option<&Path>, runtime: Runtime) -> Result<Self, String> {
        let help = "the form is http://HOST:PORT or https://HOST:PORT";
        let uri: Uri = url.parse().map_err(|error| format!("{error}; {help}"))?;
        let server = Server::new(&uri, authorities).map_err(|error| format!("{error}; {help}"))?;
        let host = uri.host().unwrap_or_default();
        let (scheme, port) = if server.is_secure() { ("https", 443) } else { ("http", 80) };
        let authority = format!("{host}:{}", uri.port_u16().unwrap_or(port));
        let path = uri.path().trim_end_matches('/').to_owned();
        let url = format!("{scheme}://{authority}{path}");
        Ok(Self { server, authority, url, path, token: None, runtime })
    }

    /// Says with a token who asks; why it is none in words. It never goes over a network in the clear.
    pub fn with_token(mut self, token: &str) -> Result<Self, String> {
        if !self.server.is_secure() && !self.server.is_here() {
            return Err("a token is sent by https only, or on this machine".to_owned());
        }
        let header = HeaderValue::from_str(&format!("Bearer {}", token.trim()));
        let mut header = header.map_err(|_| "the token has letters that none has".to_owned())?;
        header.set_sensitive(true);
        self.token = Some(header);
        Ok(self)
    }

    /// The endpoint's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Asks for everything that is shown.
    pub fn ask(&self) -> Result<Answers, AwayError> {
        let url = || self.url.clone();
        self.runtime.block_on(async {
            match timeout(ANSWER_TIMEOUT, self.round()).await {
                Ok(answers) => answers,
                Err(_) => Err(AwayError::Slow { url: url() }),
            }
        })
    }

    async fn round(&self) -> Result<Answers, AwayError> {
        let connect = |error: io::Error| match error.kind() {
            io::ErrorKind::InvalidData => AwayError::Tls { url: self.url.clone(), error },
            _ => AwayError::Connect { url: self.url.clone(), error },
        };
        let stream = self.server.connect().await.map_err(connect)?;
        let (mut sender, connection) = Builder::new()
            .max_buf_size(MAX_REQUEST_HEAD_BYTES)
            .max_headers(MAX_REQUEST_HEADERS)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.broken(error))?;
        // Its error comes out of the answer that is being waited for.
        tokio::spawn(connection);
        let sender = &mut sender;
        let status = self.get(sender, "/api/v1/status").await?;
        let alerted: Page<_> = self.get(sender, "/api/v1/alerts?limit=50").await?;
        let blocks: Page<_> = self.get(sender, "/api/v1/blocks?limit=3").await?;
        let letters: Page<_> = self.get(sender, "/api/v1/deadletters?limit=20").await?;
        Ok(Answers { status, alerted: alerted.items, blocks: blocks.items, letters: letters.items })
    }

    fn broken(&self, error: hyper::Error) -> AwayError {
        AwayError::Http { url: self.url.clone(), error }
    }

    async fn get<T: DeserializeOwned>(
        &self,
        sender: &mut SendRequest<String>,
        path: &str,
    ) -> Result<T, AwayError> {
        let mut request = Request::new(String::new());
        let url = format!("{}{path}", self.url);
        // What stands in front was a path of an address, and the rest is ours.
        *request.uri_mut() = format!("{}{path}", self.path).parse().unwrap_or_default();
        let headers = request.headers_mut();
        headers.extend(self.authority.parse().map(|host| (HOST, host)));
        headers.extend("application/json".parse().map(|kind| (ACCEPT, kind)));
        headers.extend(self.token.clone().map(|token| (AUTHORIZATION, token)));
        let answer = sender.send_request(request).await.map_err(|error| self.broken(error))?;
        let status = answer.status();
        let bytes = match read(answer.into_body()).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(AwayError::TooLong { url }),
            Err(error) => return Err(self.broken(error)),
        };
        if status != StatusCode::OK {
            let problem = serde_json::from_slice(&bytes);
            let detail =
                problem.map_or("without a reason".to_owned(), |Problem { detail }| detail.0);
            return Err(AwayError::Refused { url, status, detail });
        }
        serde_json::from_slice(&bytes).map_err(|error| AwayError::Form { url, error })
    }
}

/// Reads a body; `None` where it is too long.
async fn read(mut body: Incoming) -> Result<Option<Vec<u8>>, hyper::Error> {
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        if let Ok(data) = frame?.into_data() {
            if bytes.len() + data.len() > MAX_ANSWER_BYTES {
                return Ok(None);
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(Some(bytes))
}
