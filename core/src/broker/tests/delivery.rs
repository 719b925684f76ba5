//! Produce: what is acknowledged when, what is refused, and what an idempotent producer is told.

use super::{Rig, batch, idempotent};
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
