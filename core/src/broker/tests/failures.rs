//! A disk that is full, nearly full, or dead.

use super::{Rig, batch, idempotent};
use crate::broker::door::{Input, Note};
use crate::ids::{LaneId, Mark};
use crate::storage::ops::Stored;
use crate::wire::messages::delete_records as dr;
use crate::wire::{ErrorCode, Response};

#[test]
fn an_append_that_finds_the_disk_full_is_refused_and_the_log_goes_on_from_where_it_was() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    let log = rig.log("t", 0);
    let first = rig.produce("t", -1, idempotent(0, 0, "a"));
    assert_eq!(rig.produced(first).base_offset, 0);
    rig.prompt = false;
    let lost = rig.produce("t", -1, idempotent(0, 1, "b"));
    let behind = rig.produce("t", -1, idempotent(0, 2, "c"));
    rig.complete(&[log]);
    for to in [lost, behind] {
        let refused = rig.produced(to);
        assert_eq!((refused.error_code, refused.base_offset), (ErrorCode::KAFKA_STORAGE_ERROR, -1));
        assert!(refused.error_message.unwrap().contains("No space left"));
    }
    rig.prompt = true;
    rig.complete(&[]);
    let again = rig.produce("t", -1, idempotent(0, 1, "b"));
    assert_eq!(
        rig.produced(again).base_offset,
        1,
        "the offset is given out again, the sequence is not remembered"
    );
}

#[test]
fn with_little_room_left_produce_is_refused_but_reads_and_deletes_go_on() {
    let mut rig = Rig::new(&[("quipu.disk.reserve.bytes", "1000000")]);
    rig.create("t", 1, &[]);
    let kept = rig.produce("t", -1, batch(&["a"]));
    assert_eq!(rig.produced(kept).error_code, ErrorCode::NONE);
    rig.free_bytes = 999_999;
    rig.create("other", 1, &[]);
    let refused = rig.produce("t", -1, batch(&["b"]));
    let refused = rig.produced(refused);
    assert_eq!(refused.error_code, ErrorCode::KAFKA_STORAGE_ERROR);
    assert!(refused.error_code.retriable() && refused.error_message.unwrap().contains("nearly full"));
    assert!(rig.notes.iter().any(|n| matches!(n, Note::Warn(text) if text.contains("nearly full"))));
    let request = rig.fetch_from("t", 0);
    assert!(matches!(rig.ask(request), crate::wire::Response::Fetch(_)));
    rig.free_bytes = 2_000_000;
    rig.create("third", 1, &[]);
    let again = rig.produce("t", -1, batch(&["b"]));
    assert_eq!(rig.produced(again).error_code, ErrorCode::NONE, "recovers without a restart");
}

#[test]
fn records_are_not_called_deleted_while_there_is_no_room_to_remember_it() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    rig.produce("t", -1, batch(&["a", "b"]));
    rig.prompt = false;
    let mut asked = |kept| {
        let partitions = vec![dr::DeleteRecordsPartition { partition_index: 0, offset: 1 }];
        let topics = vec![dr::DeleteRecordsTopic { name: "t".into(), partitions }];
        let to = rig.send(dr::DeleteRecordsRequest { topics, timeout_ms: 1000 });
        let done = rig.queued.drain(..).map(|(mark, _)| mark).max().unwrap_or(Mark(0));
        let (free_bytes, total_bytes) = (1 << 40, 1 << 40);
        let stored = Stored { done, failed: Vec::new(), kept, free_bytes, total_bytes };
        rig.step(Input::Stored { lane: LaneId(0), result: Ok(stored) });
        let Some(Response::DeleteRecords(r)) = rig.replies.remove(&to) else { panic!("no answer") };
        (r.topics[0].partitions[0].error_code, r.topics[0].partitions[0].low_watermark)
    };
    assert_eq!(asked(false), (ErrorCode::KAFKA_STORAGE_ERROR, -1));
    assert_eq!(asked(true), (ErrorCode::NONE, 1), "asked again, with room");
}

#[test]
fn after_a_sync_error_nothing_is_acknowledged_any_more() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    rig.prompt = false;
    let to = rig.produce("t", 1, batch(&["a"]));
    rig.step(Input::Stored { lane: LaneId(0), result: Err("sync of t-0: Input/output error".into()) });
    assert_eq!(rig.produced(to).error_code, ErrorCode::KAFKA_STORAGE_ERROR);
    assert!(rig.broker.status().dead.unwrap().contains("Input/output error"));
    rig.produce("t", 1, batch(&["b"]));
    assert!(rig.closed[0].contains("cannot serve"));
}

#[test]
fn a_log_that_goes_offline_fails_who_waited_for_it_and_the_others_go_on() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    rig.create("u", 1, &[]);
    let log = rig.log("t", 0);
    rig.prompt = false;
    let lost = rig.produce("t", 1, batch(&["a"]));
    let kept = rig.produce("u", 1, batch(&["b"]));
    rig.fail(log);
    assert_eq!(rig.produced(lost).error_code, ErrorCode::KAFKA_STORAGE_ERROR);
    assert_eq!(rig.produced(kept).error_code, ErrorCode::NONE);
    assert_eq!(rig.broker.status().offline, [(log, "00.log is shorter than it was".to_string())]);
}
