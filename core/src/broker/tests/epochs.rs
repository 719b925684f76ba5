//! Leader epochs: one truth in every answer, the epoch of a record and not of its leader, and stale clients told.

use super::start::restart;
use super::{Rig, batch};
use crate::wire::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use crate::wire::messages::metadata::{MetadataRequest, MetadataResponse};
use crate::wire::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use crate::wire::{ErrorCode, Response};

fn all_topics(rig: &mut Rig) -> MetadataResponse {
    let Response::Metadata(r) = rig.ask(MetadataRequest { topics: None, ..Default::default() }) else {
        panic!()
    };
    r
}

/// Two records of epoch 0 and one of epoch 1, which is the leader's.
fn two_lives() -> Rig {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    rig.produce("t", 1, batch(&["a", "b"]));
    let mut rig = restart(rig);
    rig.wake();
    rig.produce("t", 1, batch(&["c"]));
    rig
}

/// Offset and epoch of a special timestamp, asked with the leader epoch that the client knows.
fn list(rig: &mut Rig, timestamp: i64, known: i32) -> (ErrorCode, i64, i32) {
    let asked = ListOffsetsPartition { partition_index: 0, current_leader_epoch: known, timestamp };
    let topics = vec![ListOffsetsTopic { name: "t".into(), partitions: vec![asked] }];
    let Response::ListOffsets(r) = rig.ask(ListOffsetsRequest { topics, ..Default::default() }) else {
        panic!()
    };
    let p = &r.topics[0].partitions[0];
    (p.error_code, p.offset, p.leader_epoch)
}

/// Where an epoch ends, asked with the leader epoch that the client knows.
fn end_of(rig: &mut Rig, leader_epoch: i32, known: i32) -> (ErrorCode, i32, i64) {
    let asked = OffsetForLeaderPartition { partition: 0, current_leader_epoch: known, leader_epoch };
    let topics = vec![OffsetForLeaderTopic { topic: "t".into(), partitions: vec![asked] }];
    let Response::OffsetForLeaderEpoch(r) =
        rig.ask(OffsetForLeaderEpochRequest { topics, ..Default::default() })
    else {
        panic!()
    };
    let p = &r.topics[0].partitions[0];
    (p.error_code, p.leader_epoch, p.end_offset)
}

#[test]
fn the_leader_epoch_of_metadata_grows_with_each_life_and_is_the_one_that_batches_get() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    for life in 0..3 {
        assert_eq!(all_topics(&mut rig).topics[0].partitions[0].leader_epoch, life);
        rig.produce("t", 1, batch(&["a"]));
        assert_eq!(rig.disk[&rig.log("t", 0)].last().unwrap().header().leader_epoch.0, life);
        assert_eq!(list(&mut rig, -1, life), (ErrorCode::NONE, i64::from(life) + 1, life));
        rig = restart(rig);
        rig.wake();
    }
}

#[test]
fn an_offset_comes_with_the_epoch_of_its_record_and_not_of_the_leader() {
    let mut rig = two_lives();
    assert_eq!(list(&mut rig, -2, -1), (ErrorCode::NONE, 0, 0));
    assert_eq!(list(&mut rig, -4, -1), (ErrorCode::NONE, 0, 0));
    assert_eq!(list(&mut rig, -1, -1), (ErrorCode::NONE, 3, 1), "no record yet: the leader's");
}

#[test]
fn an_epoch_ends_where_the_next_begins_and_one_that_never_was_is_undefined() {
    let mut rig = two_lives();
    assert_eq!(end_of(&mut rig, 0, -1), (ErrorCode::NONE, 0, 2));
    assert_eq!(end_of(&mut rig, 1, -1), (ErrorCode::NONE, 1, 3));
    assert_eq!(end_of(&mut rig, 2, -1), (ErrorCode::NONE, -1, -1));
    assert_eq!(end_of(&mut rig, -1, -1), (ErrorCode::NONE, -1, -1));
}

#[test]
fn a_client_that_knows_an_older_leader_is_fenced_and_one_that_knows_a_newer_is_ahead() {
    let mut rig = two_lives();
    let (older, newer) = (ErrorCode::FENCED_LEADER_EPOCH, ErrorCode::UNKNOWN_LEADER_EPOCH);
    for (known, code) in [(0, older), (1, ErrorCode::NONE), (2, newer), (-1, ErrorCode::NONE)] {
        let mut request = rig.fetch_from("t", 0);
        request.topics[0].partitions[0].current_leader_epoch = known;
        let Response::Fetch(fetch) = rig.ask(request) else { panic!() };
        let told = [
            fetch.responses[0].partitions[0].error_code,
            list(&mut rig, -1, known).0,
            end_of(&mut rig, 0, known).0,
        ];
        assert_eq!(told, [code; 3], "in Fetch, ListOffsets and OffsetForLeaderEpoch of epoch {known}");
    }
}
