//! JSON (RFC 8259): strict, every digit kept, duplicate keys refused.

use super::{BodyFormat, recognise};
use crate::codec::json::{self, JsonErrorKind, Value};
use crate::event::{BodyPart, Cause, Rejection, RejectionPlace};

/// The format `json`.
pub(super) struct Json;

impl BodyFormat for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn has_media_type(&self, media_type: &str) -> bool {
        media_type.ends_with("/json") || media_type.ends_with("+json")
    }

    fn decode(&self, body: &[u8]) -> Result<Value, Rejection> {
        json::parse(body).map_err(|error| {
            let (line, column) = (error.line, error.column);
            let place = RejectionPlace::Text { line, column, part: BodyPart::Value };
            if let Some(format) = recognise::recognised(body) {
                return Rejection::new(Cause::NotJson, place, format);
            }
            let cause = match error.kind {
                JsonErrorKind::NotUtf8 => Cause::NotUtf8,
                JsonErrorKind::Syntax => Cause::NotJson,
                JsonErrorKind::DuplicateKey => Cause::DuplicateKey,
                JsonErrorKind::TooDeep => Cause::TooDeep,
                JsonErrorKind::Number => Cause::Number,
            };
            Rejection::new(cause, place, error.message)
        })
    }

    fn malformed(&self) -> Cause {
        Cause::NotJson
    }
}
