//! Conditional requests (RFC 9110, section 13): whoever has an answer already says so by its entity
//! tag, and is told that it still holds instead of being sent it again.
//!
//! A tag is made of the answer's bytes, so it can neither be forgotten when the form of an answer
//! changes nor stand for two answers.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use crate::codec::Digest;

/// Hexadecimal digits of a tag: 128 bits.
const TAG_DIGITS: usize = 32;

/// The strong entity tag of an answer.
pub fn tag(bytes: &[u8]) -> HeaderValue {
    let digest = Digest::of(bytes).to_string();
    let tag = format!("\"{}\"", &digest[..TAG_DIGITS]);
    HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\""))
}

/// The conditions of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Tags that it has, with their quotes and without `W/`; `*` for any.
    has: Vec<String>,
}

impl Condition {
    /// Of a request's `If-None-Match`, which may stand several times. What is no list of tags is no
    /// condition.
    pub fn of(request: &Request) -> Self {
        let lines = request.headers().get_all(header::IF_NONE_MATCH).iter();
        let lines = lines.filter_map(|line| line.to_str().ok());
        Self { has: lines.flat_map(tags).collect() }
    }

    /// The answer, or that the one which the client has still holds.
    pub fn answer(self, response: Response) -> Response {
        let is_known = |tag: &HeaderValue| {
            let holds = |known: &String| known == "*" || known.as_bytes() == tag.as_bytes();
            self.has.iter().any(holds)
        };
        let has_it = response.headers().get(header::ETAG).is_some_and(is_known);
        if !has_it || response.status() != StatusCode::OK {
            return response;
        }
        let (mut head, _) = response.into_parts();
        head.status = StatusCode::NOT_MODIFIED;
        // What is left out is known from the answer that the client has.
        head.headers.remove(header::CONTENT_TYPE);
        head.headers.remove(header::CONTENT_LENGTH);
        Response::from_parts(head, Body::empty())
    }
}

/// The tags of a list, such as `"a", W/"b,c"`; none from where it is no list any more.
fn tags(line: &str) -> Vec<String> {
    if line.trim() == "*" {
        return vec!["*".to_owned()];
    }
    let mut tags = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        rest = rest.strip_prefix("W/").unwrap_or(rest);
        let Some((tag, behind)) = rest.strip_prefix('"').and_then(|rest| rest.split_once('"'))
        else {
            return tags;
        };
        tags.push(format!("\"{tag}\""));
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_tags_are_read() {
        for (line, expected) in [
            ("*", vec!["*"]),
            ("\"a\"", vec!["\"a\""]),
            (" \"a\",W/\"b,c\" , ,\"\"", vec!["\"a\"", "\"b,c\"", "\"\""]),
            ("", vec![]),
            ("a", vec![]),
            ("\"a", vec![]),
            ("\"a\", b, \"c\"", vec!["\"a\""]),
            ("w/\"a\"", vec![]),
            ("\"*\"", vec!["\"*\""]),
        ] {
            assert_eq!(tags(line), expected, "{line}");
        }
    }

    #[test]
    fn an_answer_that_is_known_is_not_sent_again() {
        let bytes = b"{}";
        let own = tag(bytes).to_str().unwrap().to_owned();
        let weak = format!("W/{own}");
        let many = format!("\"x\", {own}");
        for (has, status, expected) in [
            (vec![own.as_str()], 200, 304),
            (vec![&weak], 200, 304),
            (vec![&many], 200, 304),
            (vec!["\"x\"", &own], 200, 304),
            (vec!["*"], 200, 304),
            (vec!["\"x\""], 200, 200),
            (vec![], 200, 200),
            (vec![&own], 503, 503),
        ] {
            let mut request = Request::new(Body::empty());
            for line in &has {
                request.headers_mut().append(header::IF_NONE_MATCH, line.parse().unwrap());
            }
            let response = Response::builder()
                .status(status)
                .header(header::ETAG, tag(bytes))
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(bytes.as_slice()))
                .unwrap();
            let answered = Condition::of(&request).answer(response);
            assert_eq!(answered.status().as_u16(), expected, "{has:?}");
            assert_eq!(answered.headers().get(header::ETAG), Some(&tag(bytes)));
            assert_eq!(answered.headers().contains_key(header::CONTENT_TYPE), expected != 304);
        }
    }
}
