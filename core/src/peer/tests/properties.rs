//! Whatever the bytes, a frame is read or refused, and nothing else happens.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{batch, every_kind, joined, records, rest};
use crate::peer::frame::decode;
use crate::peer::hello::{Hello, Reception};

/// What was read can be written, and is then read as the same.
fn check(frame: Bytes) {
    if let Ok(message) = decode(frame) {
        let written = joined(&message);
        let again = decode(rest(&message)).expect("what was written can be read");
        assert_eq!(joined(&again), written);
        let _ = format!("{again:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..400), header in 0..40u32) {
        check(Bytes::from(bytes.clone()));
        check(Bytes::from([&header.to_be_bytes()[..], &bytes].concat()));
        let _ = (Hello::read(&bytes), Reception::read(&bytes));
    }

    #[test]
    fn a_frame_that_was_tampered_with_is_read_or_refused(
        kind in 0..12usize,
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let kinds = every_kind();
        let mut bytes = rest(&kinds[kind].1).to_vec();
        for (at, to) in changes {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        check(Bytes::from(bytes.clone()));
        bytes.truncate(cut.index(bytes.len()));
        check(Bytes::from(bytes));
    }

    #[test]
    fn batches_of_any_size_come_out_as_they_went_in(values in vec(vec(any::<u8>(), 0..300), 0..20)) {
        let batches = (0..).zip(&values).map(|(offset, value)| batch(offset, value)).collect();
        let message = records(batches);
        let again = decode(rest(&message)).expect("it was just written");
        prop_assert_eq!(joined(&again), joined(&message));
    }
}
