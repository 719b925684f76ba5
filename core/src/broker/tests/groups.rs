//! Groups over their log: answers wait for it, and what becomes of them when it fails or cannot be read.

use bytes::Bytes;

use super::Rig;
use super::start::restart;
use crate::broker::door::Note;
use crate::ids::{LeaderEpoch, LogId};
use crate::record::build::BatchBuilder;
use crate::time::Timestamp;
use crate::wire::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use crate::wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use crate::wire::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestGroup};
use crate::wire::{ErrorCode, Response};

/// A broker with one shard of groups and a topic to commit in.
fn rig() -> (Rig, LogId) {
    let mut rig = Rig::new(&[]);
    rig.create("__consumer_offsets", 1, &[]);
    rig.create("t", 1, &[]);
    let shard = rig.log("__consumer_offsets", 0);
    (rig, shard)
}

/// The commit of a consumer that is alone in its group.
fn commit(offset: i64) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
    let topics = vec![OffsetCommitRequestTopic { name: "t".into(), partitions: vec![partition] }];
    OffsetCommitRequest { group_id: "g".into(), topics, ..Default::default() }
}

fn committed(response: Response) -> ErrorCode {
    let Response::OffsetCommit(r) = response else { panic!("not an answer to OffsetCommit") };
    r.topics[0].partitions[0].error_code
}

/// The error of the group and the offset it has in the topic.
fn offset(rig: &mut Rig) -> (ErrorCode, Option<i64>) {
    let group = OffsetFetchRequestGroup { group_id: "g".into(), topics: None, ..Default::default() };
    let Response::OffsetFetch(r) = rig.ask(OffsetFetchRequest { groups: vec![group], ..Default::default() })
    else {
        panic!()
    };
    let group = &r.groups[0];
    (group.error_code, group.topics.first().map(|t| t.partitions[0].committed_offset))
}

#[test]
fn a_commit_that_finds_the_disk_full_goes_to_look_for_its_coordinator_and_leaves_nothing_behind() {
    let (mut rig, shard) = rig();
    assert_eq!(committed(rig.ask(commit(3))), ErrorCode::NONE);
    rig.prompt = false;
    let lost = rig.send(commit(7));
    assert!(!rig.replies.contains_key(&lost), "a commit is answered once it is durable");
    rig.complete(&[shard]);
    assert_eq!(committed(rig.answer(lost)), ErrorCode::NOT_COORDINATOR);
    assert!(rig.closed.is_empty(), "{:?}", rig.closed);
    rig.prompt = true;
    rig.complete(&[]);
    assert_eq!(offset(&mut rig), (ErrorCode::NONE, Some(3)), "what was not stored is not in force");
    assert_eq!(committed(rig.ask(commit(8))), ErrorCode::NONE, "and the shard goes on");
}

#[test]
fn when_the_log_of_groups_goes_offline_who_waits_is_told_that_the_coordinator_is_not_here() {
    let (mut rig, shard) = rig();
    rig.prompt = false;
    let waiting = rig.send(commit(7));
    rig.fail(shard);
    assert_eq!(committed(rig.answer(waiting)), ErrorCode::NOT_COORDINATOR);
    assert!(rig.closed.is_empty(), "{:?}", rig.closed);
    rig.prompt = true;
    assert_eq!(offset(&mut rig).0, ErrorCode::NOT_COORDINATOR);
}

#[test]
fn an_answer_that_has_no_place_for_the_failure_still_closes_its_connection() {
    let mut rig = Rig::new(&[]);
    rig.prompt = false;
    let topic =
        CreatableTopic { name: "t".into(), num_partitions: 1, replication_factor: 1, ..Default::default() };
    let waiting = rig.send(CreateTopicsRequest { topics: vec![topic], ..Default::default() });
    rig.complete(&[LogId::METADATA]);
    assert!(
        !rig.replies.contains_key(&waiting) && rig.closed[0].contains("CreateTopics"),
        "{:?}",
        rig.closed
    );
}

#[test]
fn facts_of_groups_that_cannot_be_read_are_counted_in_a_warning() {
    let (mut rig, shard) = rig();
    assert_eq!(committed(rig.ask(commit(3))), ErrorCode::NONE);
    let junk: Vec<_> = (0..2).map(|_| (Some(Bytes::from_static(b"junk")), Some(Bytes::new()))).collect();
    let warned = |rig: &Rig| {
        rig.notes.iter().any(|n| matches!(n, Note::Warn(w) if w.contains("__consumer_offsets-0: 2 records")))
    };
    let mut good = restart(rig);
    good.wake();
    assert!(!warned(&good), "{:?}", good.notes);
    let mut next = BatchBuilder::plain(Timestamp(1_700_000_000_000), &junk);
    next.stamp(good.disk[&shard].last().unwrap().header().next_offset(), LeaderEpoch(0));
    good.disk.get_mut(&shard).unwrap().push(next);
    let mut bad = restart(good);
    bad.wake();
    assert!(warned(&bad), "{:?}", bad.notes);
    assert_eq!(offset(&mut bad), (ErrorCode::NONE, Some(3)), "what can be read counts");
}
