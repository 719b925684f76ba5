//! A response frame, as our own client reads it: it is refused, or it says the same after it has been written and read again.

use bytes::Bytes;
use quipu_core::wire::{ApiKey, Out, Response, decode_response, encode_response};

/// Bytes of the length before each frame.
const LENGTH_BYTES: usize = 4;

/// The first byte of `data` chooses a request, the second its version, the rest is the answer without its length prefix.
pub fn run(data: &[u8]) {
    let [key, version, rest @ ..] = data else { return };
    let key = ApiKey::ALL[usize::from(*key) % ApiKey::ALL.len()];
    let versions = key.accepted();
    let version = versions.start() + i16::from(*version) % (versions.end() - versions.start() + 1);
    let frame = Bytes::copy_from_slice(rest);
    let (id, mut response) = match decode_response(key, version, &frame) {
        Ok(decoded) => decoded,
        Err(error) => {
            let _ = error.to_string();
            return;
        }
    };
    let mut out = Out::new();
    encode_response(&mut out, id, version, &response)
        .expect("what was read can be written in the same version");
    let written = out.take_joined().slice(LENGTH_BYTES..);
    let again = decode_response(key, version, &written).expect("what was written can be read");
    fill_records(&mut response);
    assert_eq!(again, (id, response), "a response says the same after it has been written and read again");
    encode_response(&mut out, again.0, version, &again.1)
        .expect("what was read can be written in the same version");
    assert_eq!(out.take_joined().slice(LENGTH_BYTES..), written, "the written form is settled");
}

/// No records may be read as null, and are always written as none.
fn fill_records(response: &mut Response) {
    let Response::Fetch(fetched) = response else { return };
    for partition in fetched.responses.iter_mut().flat_map(|topic| &mut topic.partitions) {
        partition.records.get_or_insert_default();
    }
}
