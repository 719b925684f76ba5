//! Produce: what is acknowledged when, what is refused, and what an idempotent producer is told.

use super::{Rig, batch, idempotent};
use crate::record::check::{Refused, RefusedKind};
use crate::time::Timestamp;
use crate::wire::ErrorCode;

#[test]
fn nothing_is_acknowledged_before_the_disk_has_synced_it() {
    for acks in [1, -1] {
        let mut rig = Rig::new(&[]);
        rig.create("t", 1, &[]);
        rig.prompt = false;
        let to = rig.produce("t", acks, batch(&["a", "b"]));
        assert!(!rig.replies.contains_key(&to), "acks={acks} was answered before the sync");
        rig.complete(&[]);
        let done = rig.produced(to);
        assert_eq!((done.error_code, done.base_offset, done.log_start_offset), (ErrorCode::NONE, 0, 0));
    }
}

#[test]
fn acks_0_has_no_answer_and_an_error_closes_the_connection() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    let to = rig.produce("t", 0, batch(&["a"]));
    assert!(!rig.replies.contains_key(&to) && rig.closed.is_empty());
    rig.produce("nowhere", 0, batch(&["a"]));
    assert!(rig.closed[0].contains("nowhere-0"), "{:?}", rig.closed);
}

#[test]
fn acks_other_than_0_1_and_all_are_invalid() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    let to = rig.produce("t", 2, batch(&["a"]));
    assert_eq!(rig.produced(to).error_code, ErrorCode::INVALID_REQUIRED_ACKS);
}

#[test]
fn a_duplicate_is_answered_with_its_first_offset_and_not_appended_again() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    let log = rig.log("t", 0);
    let offsets: Vec<i64> = (0..5)
        .map(|sequence| {
            let to = rig.produce("t", -1, idempotent(0, sequence, "x"));
            rig.produced(to).base_offset
        })
        .collect();
    assert_eq!(offsets, [0, 1, 2, 3, 4]);
    for sequence in 0..5 {
        let to = rig.produce("t", -1, idempotent(0, sequence, "x"));
        let again = rig.produced(to);
        assert_eq!((again.error_code, again.base_offset), (ErrorCode::NONE, i64::from(sequence)));
    }
    assert_eq!(rig.disk[&log].len(), 5);
}

#[test]
fn the_time_of_the_append_is_told_only_where_the_broker_gives_the_times_and_to_duplicates_too() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    for again in [false, true] {
        let to = rig.produce("t", -1, idempotent(0, 0, "x"));
        assert_eq!(rig.produced(to).log_append_time_ms, -1, "again: {again}");
    }
    let stamped = |sequence, now| {
        let mut header = *idempotent(0, sequence, "x").header();
        header.set_log_append_time(Timestamp(now));
        idempotent(0, sequence, "x").with_header(header)
    };
    let first = rig.produce("t", -1, stamped(1, 5_000));
    assert_eq!(rig.produced(first).log_append_time_ms, 5_000);
    let again = rig.produce("t", -1, stamped(1, 6_000));
    let again = rig.produced(again);
    assert_eq!((again.base_offset, again.log_append_time_ms), (1, 5_000), "when it was appended");
}

#[test]
fn records_at_fault_are_named_in_the_answer() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    let refused = Refused {
        kind: RefusedKind::InvalidRecord,
        message: "no key".into(),
        record_errors: vec![(0, Some("no key".into())), (3, None)],
    };
    let to = rig.produce_in("t", 0, -1, Err(refused));
    let told = rig.produced(to);
    assert_eq!((told.error_code, told.base_offset), (ErrorCode::INVALID_RECORD, -1));
    let named: Vec<_> =
        told.record_errors.iter().map(|e| (e.batch_index, e.batch_index_error_message.as_deref())).collect();
    assert_eq!(
        (named, told.error_message.as_deref()),
        (vec![(0, Some("no key")), (3, None)], Some("no key"))
    );
}

#[test]
fn offset_and_leader_epoch_are_stamped_without_touching_what_the_checksum_covers() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    for _ in 0..2 {
        rig.produce("t", -1, batch(&["a", "b"]));
    }
    let stored = &rig.disk[&rig.log("t", 0)][1];
    assert_eq!((stored.header().base_offset.0, stored.header().leader_epoch.0), (2, 0));
    assert_eq!(stored.check_crc(), Ok(()));
    assert_eq!(stored.rest(), batch(&["a", "b"]).rest());
}

#[test]
fn a_duplicate_of_a_batch_that_is_not_durable_yet_waits_like_the_first_one() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    rig.prompt = false;
    let first = rig.produce("t", -1, idempotent(0, 0, "x"));
    let again = rig.produce("t", -1, idempotent(0, 0, "x"));
    assert!(rig.replies.is_empty());
    rig.complete(&[]);
    assert_eq!((rig.produced(first).base_offset, rig.produced(again).base_offset), (0, 0));
}

#[test]
fn a_gap_and_a_fenced_epoch_are_refused() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    let first = rig.produce("t", -1, idempotent(1, 0, "x"));
    assert_eq!(rig.produced(first).error_code, ErrorCode::NONE);
    let gap = rig.produce("t", -1, idempotent(1, 2, "x"));
    assert_eq!(rig.produced(gap).error_code, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    let zombie = rig.produce("t", -1, idempotent(0, 1, "x"));
    assert_eq!(rig.produced(zombie).error_code, ErrorCode::INVALID_PRODUCER_EPOCH);
}

#[test]
fn min_insync_replicas_counts_no_more_replicas_than_there_are() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[("min.insync.replicas", "2")]);
    let to = rig.produce("t", -1, batch(&["a"]));
    assert_eq!(rig.produced(to).error_code, ErrorCode::NONE);
}

#[test]
fn a_produce_that_the_disk_does_not_finish_in_time_says_so() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    rig.prompt = false;
    let to = rig.produce("t", -1, batch(&["a"]));
    rig.pass_ms(999);
    assert!(!rig.replies.contains_key(&to));
    rig.pass_ms(1);
    assert_eq!(rig.produced(to).error_code, ErrorCode::REQUEST_TIMED_OUT);
    rig.complete(&[]);
    assert!(rig.replies.is_empty(), "answered twice");
}

#[test]
fn internal_topics_are_written_by_the_broker_alone() {
    let mut rig = Rig::new(&[]);
    rig.create("__consumer_offsets", 1, &[]);
    let to = rig.produce("__consumer_offsets", 1, batch(&["a"]));
    assert_eq!(rig.produced(to).error_code, ErrorCode::INVALID_TOPIC_EXCEPTION);
}
