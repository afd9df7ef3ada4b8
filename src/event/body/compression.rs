//! Compression of whole values.

use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::event::{Cause, Format, Rejection};
use crate::limits::MAX_DECOMPRESSED_BYTES;

/// A compression of a whole value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// gzip (RFC 1952).
    Gzip,
}

/// The first bytes of gzip data.
pub(super) const GZIP: &[u8] = b"\x1f\x8b";

impl Compression {
    /// The decompressed bytes, bounded; `None` where the value is not compressed.
    pub(super) fn unpacked(
        self,
        value: &[u8],
        format: Format,
    ) -> Result<Option<Vec<u8>>, Rejection> {
        match self {
            Self::Gzip if value.starts_with(GZIP) => gunzip(value, format).map(Some),
            Self::Gzip => Ok(None),
        }
    }
}

fn gunzip(value: &[u8], format: Format) -> Result<Vec<u8>, Rejection> {
    let mut bytes = Vec::new();
    let most = MAX_DECOMPRESSED_BYTES as u64 + 1;
    MultiGzDecoder::new(value).take(most).read_to_end(&mut bytes).map_err(|error| {
        let message = format!("the gzip data is damaged: {error}");
        Rejection::of_record(format.0.malformed(), message)
    })?;
    if bytes.len() > MAX_DECOMPRESSED_BYTES {
        let message = format!(
            "the decompressed value has more than {MAX_DECOMPRESSED_BYTES} bytes, the limit"
        );
        return Err(Rejection::of_record(Cause::TooLarge, message));
    }
    Ok(bytes)
}
