//! Refusals: a problem document for programs, a page for people.

use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::monitor::http::answer::Problem;

/// Why a request does not pass.
#[derive(Debug)]
pub struct Refusal {
    problem: Problem,
    /// The challenge that would let it pass (RFC 9110, 11.6.1).
    challenge: Option<&'static str>,
    /// Seconds until it may be tried again.
    retry_after: Option<u64>,
}

impl Refusal {
    /// Whatever the caller says of itself, it will not pass.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { problem: Problem::new(status, detail), challenge: None, retry_after: None }
    }

    /// Nobody is said to ask.
    pub fn who(detail: String) -> Self {
        let challenge = Some("Bearer realm=\"ledgerline\"");
        Self { challenge, ..Self::new(StatusCode::UNAUTHORIZED, detail) }
    }

    /// The token is nobody's (RFC 6750, 3.1).
    pub fn bad_token(detail: String) -> Self {
        let challenge = Some("Bearer realm=\"ledgerline\", error=\"invalid_token\"");
        Self { challenge, ..Self::new(StatusCode::UNAUTHORIZED, detail) }
    }

    /// Too many at a time.
    pub fn too_many(wait: Duration) -> Self {
        let seconds = wait.as_secs() + 1;
        let detail = format!("too many requests; try again in {seconds} s");
        Self { retry_after: Some(seconds), ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }

    /// The problem, in words.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// The answer; `page` makes one for people of a problem, where a person asks. Someone who could log
    /// in is redirected to the login.
    pub fn answer(
        self,
        request: &Request,
        page: Option<impl FnOnce(&Problem) -> Response>,
    ) -> Response {
        if self.challenge.is_some()
            && page.is_some()
            && request.method().is_safe()
            && !request.headers().contains_key(header::AUTHORIZATION)
        {
            let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
            let next = utf8_percent_encode(target, NON_ALPHANUMERIC);
            return Redirect::to(&format!("/login?next={next}")).into_response();
        }
        let mut response = match page {
            Some(page) => page(&self.problem),
            None => self.problem.clone().into_response(),
        };
        self.mark(&mut response);
        response
    }

    /// Adds what else an answer says of it.
    pub fn mark(&self, response: &mut Response) {
        let headers = response.headers_mut();
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
    }
}
