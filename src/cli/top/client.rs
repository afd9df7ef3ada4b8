//! The client of `top`: one connection per round, bounded in time and bytes.

use hyper::StatusCode;
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::cli::top::answers::{Answers, Page, SafeText};
use crate::limits::{ANSWER_TIMEOUT, MAX_ANSWER_BYTES};
use crate::outbound::{Bounds, OutboundError, Peer, Request, Trust};

/// Why there is no overview.
#[derive(Debug, thiserror::Error)]
pub enum AwayError {
    /// Nobody listens there.
    #[error(
        "no answer from {url}; start the service there, or pass its `monitor.listen` address with \
         `--url`"
    )]
    Connect {
        /// Address of the endpoint.
        url: String,
        /// The system's error.
        #[source]
        error: OutboundError,
    },
    /// No TLS comes about, for the certificate is not believed or none is spoken.
    #[error(
        "cannot establish TLS with {url}; pass the authority of its certificate with `--ca`, and use \
         the host name in the certificate; a self-signed certificate must not be marked as an authority \
         (`basicConstraints=CA:FALSE`)"
    )]
    Tls {
        /// Address of the endpoint.
        url: String,
        /// The cause.
        #[source]
        error: OutboundError,
    },
    /// The connection broke, or it is no HTTP.
    #[error(
        "{url} is not an endpoint of Ledgerline; if it uses TLS, the address must start with https://"
    )]
    Http {
        /// Address of the endpoint.
        url: String,
        /// The cause.
        #[source]
        error: OutboundError,
    },
    /// The answer is an error.
    #[error("{url} answers with {status}: {detail}{}", token_help(*status))]
    Refused {
        /// The requested URL.
        url: String,
        /// Status code.
        status: StatusCode,
        /// The endpoint's explanation.
        detail: String,
    },
    /// The answer is of another form.
    #[error("{url} sent an unexpected answer; is it the same version of Ledgerline?")]
    Form {
        /// The requested URL.
        url: String,
        /// The cause.
        #[source]
        error: serde_json::Error,
    },
    /// The answer is too long.
    #[error("{url} answers with more than {MAX_ANSWER_BYTES} bytes")]
    TooLong {
        /// The requested URL.
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
    peer: Peer,
    /// The address without a slash at its end.
    url: String,
    /// The bearer token, as a header.
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
            "; pass a token with `--token-file FILE` or in the environment variable LEDGERLINE_TOKEN"
        }
        _ => "",
    }
}

impl Client {
    /// For an address such as `http://127.0.0.1:8780`, whose certificate leads to an authority of the
    /// file where one is named; why that is none in words.
    pub fn new(url: &str, trust: &Trust, runtime: Runtime) -> Result<Self, String> {
        let peer = Peer::new(url, trust).map_err(|error| {
            format!("{error}; the form is http://HOST:PORT or https://HOST:PORT")
        })?;
        let url = peer.url().as_str().trim_end_matches('/').to_owned();
        Ok(Self { peer, url, token: None, runtime })
    }

    /// Says with a token who asks; why it is none in words. It never goes over a network in the clear.
    pub fn with_token(mut self, token: &str) -> Result<Self, String> {
        if !self.peer.is_secure() && !self.peer.is_local() {
            return Err("a token is sent only over https, or on this machine".to_owned());
        }
        let header = HeaderValue::from_str(&format!("Bearer {}", token.trim()));
        let mut header = header.map_err(|_| "the token contains invalid characters".to_owned())?;
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
        let status = self.get("/api/v1/status").await?;
        let alerted: Page<_> = self.get("/api/v1/alerts?limit=50").await?;
        let blocks: Page<_> = self.get("/api/v1/blocks?limit=3").await?;
        let letters: Page<_> = self.get("/api/v1/deadletters?limit=20").await?;
        Ok(Answers { status, alerted: alerted.items, blocks: blocks.items, letters: letters.items })
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, AwayError> {
        let url = format!("{}{path}", self.url);
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.extend(self.token.clone().map(|token| (AUTHORIZATION, token)));
        let base = self.peer.url().path().trim_end_matches('/');
        let request = Request { headers, ..Request::get(&format!("{base}{path}")) };
        let bounds = Bounds { timeout: ANSWER_TIMEOUT, max_bytes: MAX_ANSWER_BYTES };
        let reply =
            self.peer.send(request, bounds).await.map_err(|error| self.away(error, &url))?;
        if reply.status != StatusCode::OK {
            let problem = serde_json::from_slice(&reply.body);
            let detail =
                problem.map_or("without a reason".to_owned(), |Problem { detail }| detail.0);
            return Err(AwayError::Refused { url, status: reply.status, detail });
        }
        serde_json::from_slice(&reply.body).map_err(|error| AwayError::Form { url, error })
    }

    fn away(&self, error: OutboundError, asked: &str) -> AwayError {
        let (url, asked) = (self.url.clone(), asked.to_owned());
        match error {
            OutboundError::Connect(_) => AwayError::Connect { url, error },
            OutboundError::Tls(_) => AwayError::Tls { url, error },
            OutboundError::Protocol(_) => AwayError::Http { url, error },
            OutboundError::TooLong(_) => AwayError::TooLong { url: asked },
            OutboundError::Timeout(_) => AwayError::Slow { url },
        }
    }
}
