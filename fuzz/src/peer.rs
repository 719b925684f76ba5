//! What comes from another broker: a frame or a greeting is refused, or it says the same after it has been written and read again.

use std::fmt::Debug;

use bytes::Bytes;
use quipu_core::ids::{LeaderEpoch, Offset};
use quipu_core::peer::frame::{PREFIX_BYTES, decode, encode};
use quipu_core::peer::front::{self, FRONT};
use quipu_core::peer::hello::{Hello, Reception};
use quipu_core::peer::message::PeerMessage;
use quipu_core::quorum::messages::{Answer, Body, Message};
use quipu_core::record::Batch;
use quipu_core::record::batch::{HEADER_BYTES, LENGTH_OVERHEAD, crc32c};

/// The first byte of `data` says what the rest is.
pub fn run(data: &[u8]) {
    let [form, rest @ ..] = data else { return };
    match form % 5 {
        0 => judge(Bytes::copy_from_slice(rest)),
        1 => carry(rest),
        2 => greet(Hello::read(rest), Hello::to_bytes, Hello::read),
        3 => greet(Reception::read(rest), Reception::to_bytes, Reception::read),
        _ => {
            if let Some(first) = rest.first_chunk() {
                let _ = front::check(*first);
            }
        }
    }
}

/// What is read can be written, and is then read as the same.
fn judge(frame: Bytes) {
    let Ok(message) = decode(frame) else { return };
    // It may be shown in a log.
    let _ = format!("{message:?}");
    let written = Bytes::from(encode(&message).expect("what was read can be written").concat());
    let again = decode(written.slice(PREFIX_BYTES..)).expect("what was written can be read");
    let settled = encode(&again).expect("what was read can be written").concat();
    assert_eq!(settled, written, "a message says the same after it has been written and read again");
}

/// The bytes as a batch, with length, format and checksum put right, so that what lies behind these three is reached.
fn carry(bytes: &[u8]) {
    if bytes.len() < HEADER_BYTES {
        return;
    }
    let mut bytes = bytes.to_vec();
    let length = (bytes.len() - LENGTH_OVERHEAD) as u32;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[16] = 2;
    let crc = crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    let batch = Batch::take(&mut Bytes::from(bytes)).expect("its header is right");
    let body = Body::Answer(Answer::Records { batches: vec![batch], high: Offset(0) });
    let message = PeerMessage::Quorum(Message { correlation: 1, epoch: LeaderEpoch(1), body });
    let frame = Bytes::from(encode(&message).expect("it is small enough").concat());
    judge(frame.slice(PREFIX_BYTES..));
}

fn greet<T: PartialEq + Debug>(
    read: Result<T, String>,
    write: impl Fn(&T) -> Vec<u8>,
    again: impl Fn(&[u8]) -> Result<T, String>,
) {
    let Ok(greeting) = read else { return };
    let written = write(&greeting);
    assert_eq!(again(&written[FRONT.len() + PREFIX_BYTES..]), Ok(greeting));
}
