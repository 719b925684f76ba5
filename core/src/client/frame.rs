//! Between messages and frames, as a client sees them.

use bytes::Bytes;

use crate::wire::frame::{RequestHeader, decode_response, encode_request};
use crate::wire::{ApiKey, ErrorCode, Out, Request, Response, WireError};

/// A request as a frame, its length included.
pub(crate) fn encode(
    request: &Request,
    version: i16,
    correlation_id: i32,
    client_id: &str,
) -> Result<Vec<Bytes>, WireError> {
    let client_id = Some(client_id.to_string());
    let header = RequestHeader { api_key: request.key(), version, correlation_id, client_id };
    let (mut out, mut chunks) = (Out::new(), Vec::new());
    encode_request(&mut out, &header, request)?;
    out.take(&mut chunks);
    Ok(chunks)
}

/// The answer in a frame without its length.
pub(crate) fn decode(key: ApiKey, version: i16, frame: &Bytes) -> Result<Response, WireError> {
    decode_response(key, version, frame).map(|(_, response)| response)
}

/// Whether an answer to ApiVersions says, in version 0, that the version asked in is not known (KIP-511).
pub(crate) fn is_unsupported(frame: &[u8]) -> bool {
    frame.get(4..6) == Some(&ErrorCode::UNSUPPORTED_VERSION.0.to_be_bytes()[..])
}
