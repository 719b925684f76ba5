//! A request frame: it is refused, or it says the same after it has been written and read again.
//!
//! Some old versions are read into the form of newer ones and cannot be written from it: these are written in the newest
//! version instead, and must say the same there.

use bytes::Bytes;
use quipu_core::wire::{ApiKey, Out, RequestHeader, decode_request, encode_request};

/// Bytes of the length before each frame.
const LENGTH_BYTES: usize = 4;

/// Takes `data` as a frame without its length prefix.
pub fn run(data: &[u8]) {
    let frame = Bytes::copy_from_slice(data);
    let (mut header, request) = match decode_request(&frame) {
        Ok(decoded) => decoded,
        Err(unreadable) => {
            // Its words and its correlation id are for every frame.
            let _ = (unreadable.to_string(), unreadable.correlation_id());
            return;
        }
    };
    if is_raised(&header) {
        header.version = *header.api_key.accepted().end();
    }
    let mut out = Out::new();
    encode_request(&mut out, &header, &request).expect("what was read can be written");
    let written = out.take_joined().slice(LENGTH_BYTES..);
    let again = decode_request(&written).expect("what was written can be read");
    assert_eq!(again, (header, request), "a request says the same after it has been written and read again");
    encode_request(&mut out, &again.0, &again.1).expect("what was read can be written again");
    assert_eq!(out.take_joined().slice(LENGTH_BYTES..), written, "the written form is settled");
}

/// Whether a request of that version comes out in the form of a newer one.
fn is_raised(header: &RequestHeader) -> bool {
    match header.api_key {
        ApiKey::LeaveGroup => header.version <= 2,
        ApiKey::FindCoordinator => header.version <= 3,
        ApiKey::DeleteTopics => header.version <= 5,
        ApiKey::OffsetFetch => header.version <= 7,
        _ => false,
    }
}
