//! Plain text in UTF-8, such as the `23.5` of a simple sensor: the whole body is one string.

use super::{BodyFormat, recognise};
use crate::codec::json::Value;
use crate::event::{BodyPart, Cause, Rejection, RejectionPlace};

/// The format `text`. Nothing is trimmed: the string has the body's bytes.
pub(super) struct PlainText;

impl BodyFormat for PlainText {
    fn name(&self) -> &'static str {
        "text"
    }

    fn has_media_type(&self, media_type: &str) -> bool {
        media_type == "text/plain"
    }

    fn decode(&self, body: &[u8]) -> Result<Value, Rejection> {
        std::str::from_utf8(body).map(Value::from).map_err(|error| {
            let offset = error.valid_up_to();
            let place = RejectionPlace::Byte { offset, part: BodyPart::Value };
            let message = recognise::packed_text(body).unwrap_or("the body is not text in UTF-8");
            Rejection::new(Cause::NotUtf8, place, message)
        })
    }
}
