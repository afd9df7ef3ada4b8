//! Frames in front of a body.

use schemars::JsonSchema;
use serde::Deserialize;

/// A frame in front of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// Confluent's schema registry: a zero byte and four bytes of a schema's id. The rest must be in
    /// the body's format, such as JSON as its JSON Schema serializer writes it.
    Confluent,
}

/// Bytes of Confluent's frame.
const CONFLUENT_BYTES: usize = 5;

/// A value taken apart.
pub(super) struct Framed<'a> {
    /// The schema's id in the frame.
    pub(super) schema_id: u32,
    /// The bytes behind the frame.
    pub(super) body: &'a [u8],
}

impl Framing {
    /// Frame and body; `None` where the value has no frame.
    pub(super) fn split(self, bytes: &[u8]) -> Option<Framed<'_>> {
        match self {
            // Neither a JSON text nor any other text of a device begins with a zero byte.
            Self::Confluent => {
                let (frame, body) = bytes.split_first_chunk::<CONFLUENT_BYTES>()?;
                let [0, id @ ..] = *frame else { return None };
                Some(Framed { schema_id: u32::from_be_bytes(id), body })
            }
        }
    }
}
