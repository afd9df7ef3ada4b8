//! Bodies of requests: read within a bound of bytes, of time and of places, in the one form that the
//! handler expects.

use std::time::Duration;

use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::codec::json;
use crate::limits::{
    LOGIN_BODY_TIMEOUT, MAX_BODY_BYTES, MAX_BODY_VALUES, MAX_LOGIN_BODY_BYTES, REQUEST_TIMEOUT,
};
use crate::monitor::http::answer::Problem;
use crate::monitor::http::asking::App;
use crate::monitor::http::request::Parameters;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// Reads a body of JSON.
pub async fn json<T: DeserializeOwned>(app: &App, request: Request) -> Result<T, Problem> {
    let bytes = read(app, request, JSON).await?;
    let refused = |error: String| {
        Problem::new(StatusCode::BAD_REQUEST, format!("the body cannot be read: {error}"))
    };
    // A value in memory takes many times its text.
    if values_at_most(&bytes) > MAX_BODY_VALUES {
        return Err(refused(format!("it has more than {MAX_BODY_VALUES} values")));
    }
    // As strict as with records: nothing in it may have two meanings.
    json::parse(&bytes).map_err(|error| refused(error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| refused(error.to_string()))
}

/// Reads the fields of a form.
pub async fn form(app: &App, request: Request) -> Result<Parameters, Problem> {
    let bytes = read(app, request, FORM).await?;
    Ok(Parameters::of_form(&bytes)?)
}

/// Reads the fields of a form that anyone may send, who they are not being known yet.
pub async fn login_form(request: Request) -> Result<Parameters, Problem> {
    check_kind(request.headers(), FORM)?;
    let bytes = read_within(request, (MAX_LOGIN_BODY_BYTES, LOGIN_BODY_TIMEOUT)).await?;
    Ok(Parameters::of_form(&bytes)?)
}

async fn read(app: &App, request: Request, expected: &str) -> Result<Bytes, Problem> {
    check_kind(request.headers(), expected)?;
    let Some(_place) = app.places.bodies.try_take(app.asker) else {
        let detail = "too many concurrent uploads; try again";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    };
    read_within(request, (MAX_BODY_BYTES, REQUEST_TIMEOUT)).await
}

/// Reads a body of so many bytes at most, within a time.
async fn read_within(
    request: Request,
    (most_bytes, most_time): (usize, Duration),
) -> Result<Bytes, Problem> {
    match timeout(most_time, to_bytes(request.into_body(), most_bytes)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        // Longer than allowed, or its sender went away and hears no answer.
        Ok(Err(_)) => {
            let detail = format!("a body may have at most {most_bytes} bytes here");
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail))
        }
        Err(_) => {
            let detail = format!("the body took longer than {} s", most_time.as_secs());
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, detail))
        }
    }
}

/// An upper bound of the values in a string of JSON: what its brackets and commas outside of texts can
/// divide.
fn values_at_most(json: &[u8]) -> usize {
    let (mut values, mut in_text, mut is_escaped) = (1, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_text,
            b'"' => in_text = !in_text,
            b',' | b'[' | b'{' if !in_text => values += 1,
            _ => {}
        }
    }
    values
}

/// A body of another kind is refused: a page from elsewhere can send some kinds without being asked.
fn check_kind(headers: &HeaderMap, expected: &str) -> Result<(), Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    let detail = format!("the header content-type must be {expected}");
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_outside_of_texts() {
        for (json, values) in [
            ("", 1),
            ("7", 1),
            ("[1, 2]", 3),
            (r#"{"a": [1, {"b": 2}], "c": 3}"#, 6),
            (r#"{"value": "[1,2,3]"}"#, 2),
            (r#"{"value": "\"[1,2,3]"}"#, 2),
            (r#"["\\", 1]"#, 3),
        ] {
            assert_eq!(values_at_most(json.as_bytes()), values, "{json}");
        }
    }
}
