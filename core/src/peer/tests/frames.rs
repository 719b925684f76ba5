//! Frames say what was said, share the bytes of records, and are refused with words when they are damaged.

use bytes::Bytes;

use super::{batch, every_kind, joined, message, records, rest};
use crate::ids::Offset;
use crate::peer::frame::{LARGEST_FRAME, decode, encode, length};
use crate::peer::message::PeerMessage;
use crate::quorum::messages::{Answer, Body, Question};
use crate::record::Batch;
use crate::record::batch::PREFIX_BYTES;

fn batches_of(message: PeerMessage) -> Vec<Batch> {
    match message {
        PeerMessage::Quorum(message) => match message.body {
            Body::Answer(Answer::Records { batches, .. }) => batches,
            other => panic!("no records: {other:?}"),
        },
        other => panic!("not of the quorum: {other:?}"),
    }
}

fn lies_within(part: &[u8], whole: &[u8]) -> bool {
    let (part, whole) = (part.as_ptr_range(), whole.as_ptr_range());
    whole.start <= part.start && part.end <= whole.end
}

#[test]
fn every_kind_of_message_comes_out_as_it_went_in() {
    for (name, message) in every_kind() {
        let again = decode(rest(&message)).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(format!("{again:?}"), format!("{message:?}"), "{name}");
        assert_eq!(joined(&again), joined(&message), "{name}");
    }
}

#[test]
fn the_length_before_a_frame_is_that_of_what_follows() {
    for (name, message) in every_kind() {
        let bytes = joined(&message);
        let claimed = length(*bytes.first_chunk().unwrap(), LARGEST_FRAME);
        assert_eq!(claimed, Ok(bytes.len() - 4), "{name}");
    }
}

#[test]
fn records_are_shared_when_a_frame_is_written_and_when_it_is_read() {
    let sent = batch(10, &[9; 5000]);
    let pieces = encode(&records(vec![sent.clone()])).unwrap();
    let body = sent.body();
    assert!(pieces.iter().any(|piece| lies_within(&body, piece)), "written without a copy");
    let frame = rest(&records(vec![sent.clone(), batch(11, b"two")]));
    let read = batches_of(decode(frame.clone()).unwrap());
    assert!(read.iter().all(|batch| lies_within(&batch.body(), &frame)), "read without a copy");
    assert_eq!(read[0].to_bytes(), sent.to_bytes());
    assert_eq!(read[1].header().base_offset, Offset(11), "as it was stamped");
}

#[test]
fn a_flipped_bit_in_a_batch_refuses_the_frame() {
    let sent = batch(10, b"some value of some record");
    let whole = rest(&records(vec![sent.clone()]));
    // The place in the log lies before the CRC, and is the machine's to compare with its own.
    let from = whole.len() - sent.size() + PREFIX_BYTES + 1;
    for at in from..whole.len() {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 1;
        let why = decode(Bytes::from(bytes)).unwrap_err();
        assert!(why.contains("CRC"), "a flip at {at}: {why}");
    }
}

#[test]
fn a_place_in_the_log_that_cannot_be_refuses_the_frame() {
    for offset in [-1, i64::MIN, i64::MAX] {
        let why = decode(rest(&records(vec![batch(offset, b"x")]))).unwrap_err();
        assert!(why.contains("cannot be"), "{why}");
    }
}

#[test]
fn a_frame_that_ends_early_or_late_is_refused() {
    for (name, message) in every_kind() {
        let whole = rest(&message);
        for end in 0..whole.len() {
            assert!(decode(whole.slice(..end)).is_err(), "{name} cut after {end}");
        }
        let longer = Bytes::from([&whole[..], &[0]].concat());
        assert!(decode(longer).unwrap_err().contains("1 bytes of a frame"), "{name}");
    }
}

/// A frame whose header is these bytes.
fn framed(header: &[u8], payload: &[u8]) -> Bytes {
    Bytes::from([&(header.len() as u32).to_be_bytes()[..], header, payload].concat())
}

#[test]
fn records_without_a_list_for_them_and_lists_without_records_are_refused() {
    let header = |sizes: &[u64], message: &PeerMessage| postcard::to_stdvec(&(sizes, message)).unwrap();
    let question = message(Body::Question(Question::Begin));
    let payload = batch(10, b"x").to_bytes();
    let size = payload.len() as u64;
    for (header, words) in [
        (header(&[size], &question), "room for 0 lists"),
        (header(&[], &records(Vec::new())), "room for 1 lists"),
        (header(&[size, size], &records(Vec::new())), "comes with 2"),
        (header(&[size + 1], &records(Vec::new())), "more records"),
        (header(&[u64::MAX], &records(Vec::new())), "more records"),
        (header(&[size - 1], &records(Vec::new())), "cut short"),
        (header(&[0], &records(Vec::new())), "belong to nothing"),
        ([header(&[size], &records(Vec::new())), vec![0]].concat(), "1 bytes follow the message"),
    ] {
        let why = decode(framed(&header, &payload)).unwrap_err();
        assert!(why.contains(words), "{words}: {why}");
    }
}

#[test]
fn a_length_over_the_limit_is_refused_at_the_prefix() {
    assert_eq!(length([0, 0, 0, 100], 100), Ok(100));
    assert!(length([0, 0, 0, 101], 100).unwrap_err().contains("101"));
    assert!(length([0xff; 4], LARGEST_FRAME).is_err());
}

#[test]
fn a_message_too_large_for_a_frame_is_an_error_and_no_frame() {
    let large = batch(0, &vec![1; 43 << 20]);
    assert!(encode(&records(vec![large.clone(), large.clone()])).is_ok());
    let why = encode(&records(vec![large.clone(), large.clone(), large])).unwrap_err();
    assert!(why.contains("too large"), "{why}");
}
