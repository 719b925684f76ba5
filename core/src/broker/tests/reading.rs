//! Fetch, ListOffsets and epochs: what consumers see, and when.

use super::{Rig, batch};
use crate::broker::door::Input;
use crate::ids::{LeaderEpoch, Offset};
use crate::storage::ops::{Found, Lookup};
use crate::time::Timestamp;
use crate::wire::messages::fetch::PartitionData;
use crate::wire::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use crate::wire::{ErrorCode, Records, Response};

fn partition(response: Response) -> PartitionData {
    let Response::Fetch(mut fetch) = response else { panic!("not an answer to Fetch") };
    assert_eq!((fetch.error_code, fetch.session_id), (ErrorCode::NONE, 0));
    fetch.responses.remove(0).partitions.remove(0)
}

#[test]
fn a_consumer_never_sees_what_is_not_durable() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    rig.prompt = false;
    rig.produce("t", 1, batch(&["a"]));
    let request = rig.fetch_from("t", 0);
    let waiting = rig.send(request);
    assert!(!rig.replies.contains_key(&waiting));
    rig.complete(&[]);
    let answer = rig.answer(waiting);
    let got = partition(answer);
    assert_eq!(got.high_watermark, 1);
    assert!(matches!(got.records, Some(Records::Held(chunks)) if !chunks.is_empty()));
}

#[test]
fn a_long_poll_ends_with_an_empty_but_present_records_field() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    let request = rig.fetch_from("t", 0);
    let waiting = rig.send(request);
    rig.pass_ms(499);
    assert!(!rig.replies.contains_key(&waiting));
    rig.pass_ms(1);
    let answer = rig.answer(waiting);
    assert_eq!(partition(answer).records, Some(Records::Held(Vec::new())));
}

#[test]
fn a_fetch_waits_until_min_bytes_are_there() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    let size = batch(&["a"]).size() as i32;
    let mut request = rig.fetch_from("t", 0);
    request.min_bytes = 2 * size;
    let waiting = rig.send(request);
    rig.produce("t", 1, batch(&["a"]));
    assert!(!rig.replies.contains_key(&waiting));
    rig.produce("t", 1, batch(&["b"]));
    assert!(rig.replies.contains_key(&waiting));
}

#[test]
fn an_offset_outside_the_log_is_out_of_range_and_the_end_is_not() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    rig.produce("t", 1, batch(&["a"]));
    for (offset, code) in [(-1, ErrorCode::OFFSET_OUT_OF_RANGE), (2, ErrorCode::OFFSET_OUT_OF_RANGE)] {
        let request = rig.fetch_from("t", offset);
        let got = partition(rig.ask(request));
        assert_eq!((got.error_code, got.high_watermark), (code, -1));
    }
    let mut request = rig.fetch_from("t", 1);
    request.max_wait_ms = 0;
    assert_eq!(partition(rig.ask(request)).error_code, ErrorCode::NONE);
}

#[test]
fn a_client_that_claims_to_be_a_follower_is_refused() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    let mut request = rig.fetch_from("t", 0);
    request.replica_state.replica_id = 2;
    let Response::Fetch(answer) = rig.ask(request) else { panic!() };
    assert_eq!(answer.error_code, ErrorCode::CLUSTER_AUTHORIZATION_FAILED);
}

#[test]
fn a_client_with_another_leader_epoch_is_told() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    for (epoch, code) in [(9, ErrorCode::UNKNOWN_LEADER_EPOCH), (0, ErrorCode::NONE)] {
        let mut request = rig.fetch_from("t", 0);
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        request.max_wait_ms = 0;
        assert_eq!(partition(rig.ask(request)).error_code, code);
    }
}

#[test]
fn a_fetch_by_an_id_that_no_topic_has_gets_unknown_topic_id() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    let mut request = rig.fetch_from("t", 0);
    request.topics[0].topic_id = crate::ids::TopicId([9; 16]);
    assert_eq!(partition(rig.ask(request)).error_code, ErrorCode::UNKNOWN_TOPIC_ID);
}

#[test]
fn what_left_the_tail_is_read_from_disk_up_to_where_the_tail_begins() {
    let mut rig = Rig::new(&[("quipu.hot.tail.bytes", "1000")]);
    rig.create("t", 1, &[]);
    for _ in 0..20 {
        rig.produce("t", 1, batch(&["some value that takes room"]));
    }
    let request = rig.fetch_from("t", 0);
    let got = partition(rig.ask(request));
    let Some(Records::OnDisk(range)) = got.records else { panic!("{:?}", got.records) };
    assert_eq!((range.from, range.log), (Offset(0), rig.log("t", 0)));
    assert!(range.below > Offset(10) && range.below < Offset(20) && range.at_least_one);
}

fn list(rig: &mut Rig, timestamp: i64) -> (ErrorCode, i64, i32) {
    let asked = ListOffsetsPartition { partition_index: 0, current_leader_epoch: -1, timestamp };
    let topics = vec![ListOffsetsTopic { name: "t".into(), partitions: vec![asked] }];
    let Response::ListOffsets(r) =
        rig.ask(ListOffsetsRequest { replica_id: -1, topics, ..Default::default() })
    else {
        panic!()
    };
    let p = &r.topics[0].partitions[0];
    (p.error_code, p.offset, p.leader_epoch)
}

#[test]
fn list_offsets_knows_both_ends_and_refuses_what_it_does_not_know() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    rig.produce("t", 1, batch(&["a", "b", "c"]));
    assert_eq!(list(&mut rig, -1), (ErrorCode::NONE, 3, 0));
    assert_eq!(list(&mut rig, -2), (ErrorCode::NONE, 0, 0));
    assert_eq!(list(&mut rig, -4), (ErrorCode::NONE, 0, 0));
    assert_eq!(list(&mut rig, -5), (ErrorCode::NONE, -1, -1));
    assert_eq!(list(&mut rig, -6).0, ErrorCode::UNSUPPORTED_VERSION);
}

#[test]
fn a_partition_asked_for_twice_is_an_invalid_request() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    let asked = ListOffsetsPartition { partition_index: 0, current_leader_epoch: -1, timestamp: -1 };
    let topics = vec![ListOffsetsTopic { name: "t".into(), partitions: vec![asked.clone(), asked] }];
    let Response::ListOffsets(r) = rig.ask(ListOffsetsRequest { topics, ..Default::default() }) else {
        panic!()
    };
    let codes: Vec<_> = r.topics[0].partitions.iter().map(|p| p.error_code).collect();
    assert_eq!(codes, [ErrorCode::INVALID_REQUEST; 2], "both times");
}

#[test]
fn a_special_timestamp_that_came_later_than_the_version_is_unsupported_for_its_partition() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    let mut ask = |version, timestamp| {
        let asked = ListOffsetsPartition { partition_index: 0, current_leader_epoch: -1, timestamp };
        let topics = vec![ListOffsetsTopic { name: "t".into(), partitions: vec![asked] }];
        let to = rig.send_in(version, ListOffsetsRequest { topics, ..Default::default() });
        // The largest timestamp is looked up in an index.
        if let Some((lookup, _)) = rig.looks.pop() {
            rig.step(Input::Looked { lookup, result: Ok(None) });
        }
        let Response::ListOffsets(r) = rig.answer(to) else { panic!() };
        r.topics[0].partitions[0].error_code
    };
    for (timestamp, since) in [(-3, 7), (-4, 8), (-5, 9)] {
        assert_eq!(ask(since - 1, timestamp), ErrorCode::UNSUPPORTED_VERSION, "{timestamp}");
        assert_eq!(ask(since, timestamp), ErrorCode::NONE, "{timestamp}");
    }
}

#[test]
fn a_time_later_than_every_record_has_no_offset_and_no_error() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    let asked = ListOffsetsPartition { partition_index: 0, current_leader_epoch: -1, timestamp: 1_000 };
    let topics = vec![ListOffsetsTopic { name: "t".into(), partitions: vec![asked] }];
    for found in [None, Some(Found { offset: Offset(7), timestamp: Timestamp(1_001), epoch: LeaderEpoch(3) })]
    {
        let to = rig.send(ListOffsetsRequest { topics: topics.clone(), ..Default::default() });
        let (lookup, what) = rig.looks.pop().unwrap();
        assert_eq!(what, Lookup::AtOrAfter(Timestamp(1_000)));
        rig.step(Input::Looked { lookup, result: Ok(found) });
        let Response::ListOffsets(r) = rig.answer(to) else { panic!() };
        let p = &r.topics[0].partitions[0];
        let expected = found.map_or((-1, -1, -1), |_| (1_001, 7, 3));
        assert_eq!((p.error_code, (p.timestamp, p.offset, p.leader_epoch)), (ErrorCode::NONE, expected));
    }
}
