//! The collector's address, and one request to it after the other (OTLP/HTTP with protobuf).

use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{HeaderMap, Method, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;
use tokio::runtime::Runtime;

use crate::limits::{MAX_DETAIL_BYTES, MAX_TRACES_REPLY_BYTES, TRACES_TIMEOUT, truncated};
use crate::monitor::traces::TraceSettings;
use crate::outbound::{Bounds, Peer, Request, Trust};

/// The default path of traces (OTLP/HTTP).
const PATH: &str = "/v1/traces";
const PROTOBUF: &str = "application/x-protobuf";

/// A collector.
pub struct Collector {
    peer: Peer,
    path: String,
    headers: HeaderMap,
    runtime: Runtime,
}

/// Why a collector did not take traces, in words.
#[derive(Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// It may take the same later.
    Now(String),
    /// It will never take the same, or not all of it.
    Ever {
        /// The number of rejected spans, if reported.
        spans: Option<u64>,
        /// Why.
        reason: String,
    },
}

impl Collector {
    /// Looks at the address and the headers; asks nothing yet.
    pub fn open(settings: &TraceSettings) -> Result<Self, String> {
        let trust = Trust::in_authorities(settings.authorities.as_deref());
        let peer = Peer::new(&settings.endpoint, &trust)?;
        let path = if peer.url().path() == "/" { PATH } else { "" }.to_owned();
        let mut headers = HeaderMap::new();
        for name in [CONTENT_TYPE, ACCEPT] {
            headers.insert(name, HeaderValue::from_static(PROTOBUF));
        }
        for (name, value) in &settings.headers {
            let wrong = |what| format!("`headers`: {what} `{name}`");
            let known: HeaderName = name.parse().map_err(|_| wrong("there can be no header"))?;
            let mut value = HeaderValue::from_str(value.reveal())
                .map_err(|_| wrong("a header cannot hold the value of"))?;
            value.set_sensitive(true);
            if OURS.contains(&known) || headers.insert(known, value).is_some() {
                return Err(wrong("there is already a header"));
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        Ok(Self { peer, path, headers, runtime })
    }

    /// Gives it spans. Waits at most [`TRACES_TIMEOUT`].
    pub fn give(&self, request: &ExportTraceServiceRequest) -> Result<(), NotTaken> {
        let asked = Request {
            method: Method::POST,
            path: self.path.clone(),
            headers: self.headers.clone(),
            body: request.encode_to_vec(),
        };
        let bounds = Bounds { timeout: TRACES_TIMEOUT, max_bytes: MAX_TRACES_REPLY_BYTES };
        let reply = self.runtime.block_on(self.peer.send(asked, bounds));
        let reply = reply.map_err(|error| NotTaken::Now(error.to_string()))?;
        judge(reply.status, &reply.body)
    }
}

/// Headers that are ours to set.
const OURS: [HeaderName; 4] = [HOST, USER_AGENT, CONTENT_TYPE, ACCEPT];

/// The result of an answer (OTLP specification, "OTLP/HTTP Response").
fn judge(status: StatusCode, body: &[u8]) -> Result<(), NotTaken> {
    match status {
        status if status.is_success() => {}
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => {
            return Err(NotTaken::Now(format!("the answer is {status}")));
        }
        _ => {
            let reason = format!("the answer is {status}");
            return Err(NotTaken::Ever { spans: None, reason });
        }
    }
    // Some answer with an empty body, or with none of the kind; they have taken it.
    let partial =
        ExportTraceServiceResponse::decode(body).ok().and_then(|told| told.partial_success);
    match partial {
        Some(partial) if partial.rejected_spans > 0 => {
            let message = truncated(&partial.error_message, MAX_DETAIL_BYTES);
            let reason = message.escape_debug().to_string();
            Err(NotTaken::Ever { spans: u64::try_from(partial.rejected_spans).ok(), reason })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

    use crate::input::Property;

    fn open(endpoint: &str, headers: &[(&str, &str)]) -> Result<Collector, String> {
        let headers = headers.iter();
        Collector::open(&TraceSettings {
            endpoint: endpoint.to_owned(),
            headers: headers
                .map(|(name, value)| ((*name).to_owned(), Property::new(*value)))
                .collect(),
            authorities: None,
            share: 1.0,
            service: "ledgerline".to_owned(),
            attributes: BTreeMap::new(),
        })
    }

    #[test]
    fn an_address_without_a_path_gets_the_usual_one() {
        for (endpoint, path) in [
            ("http://127.0.0.1:4318", "/v1/traces"),
            ("http://collector:4318/", "/v1/traces"),
            ("http://[::1]:4318/otlp/v1/traces?team=1", ""),
        ] {
            assert_eq!(open(endpoint, &[]).map(|collector| collector.path), Ok(path.to_owned()));
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused_without_its_secret() {
        for (endpoint, headers, expected) in [
            ("collector:4318", &[][..], "http://"),
            ("ftp://collector", &[], "http://"),
            ("http://", &[], "`http://`"),
            ("http://collector", &[("x y", "secret")], "no header `x y`"),
            ("http://collector", &[("x", "secret\n")], "cannot hold the value of `x`"),
            ("http://collector", &[("Content-Type", "secret")], "already a header `Content-Type`"),
        ] {
            let reason = open(endpoint, headers).map(|_| ()).unwrap_err();
            assert!(reason.contains(expected), "{endpoint} {headers:?}: {reason}");
            assert!(!reason.contains("secret"), "{reason}");
        }
    }

    #[test]
    fn an_answer_says_whether_to_come_again() {
        let partial = |rejected_spans, error_message: &str| {
            let error_message = error_message.to_owned();
            let partial_success = Some(ExportTracePartialSuccess { rejected_spans, error_message });
            ExportTraceServiceResponse { partial_success }.encode_to_vec()
        };
        let now = |status: &str| Err(NotTaken::Now(format!("the answer is {status}")));
        let ever = |spans, reason: &str| Err(NotTaken::Ever { spans, reason: reason.to_owned() });
        for (status, body, expected) in [
            (200, vec![], Ok(())),
            (202, b"{}".to_vec(), Ok(())),
            (200, partial(0, "be slower"), Ok(())),
            (200, partial(3, "too\nold"), ever(Some(3), "too\\nold")),
            (429, vec![], now("429 Too Many Requests")),
            (503, vec![], now("503 Service Unavailable")),
            (400, vec![], ever(None, "the answer is 400 Bad Request")),
            (401, vec![], ever(None, "the answer is 401 Unauthorized")),
            (301, vec![], ever(None, "the answer is 301 Moved Permanently")),
        ] {
            assert_eq!(judge(StatusCode::from_u16(status).unwrap(), &body), expected, "{status}");
        }
    }
}
