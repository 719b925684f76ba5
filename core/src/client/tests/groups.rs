//! The group member: joining, assigning, committing, rebalancing, leaving.

use bytes::Bytes;

use crate::client::MemberSettings;
use crate::client::door::{Command, Event, Outcome, TopicPartition};
use crate::client::testing::{Bench, Heard};
use crate::ids::Offset;
use crate::wire::consumer_protocol::{decode_assignment, encode_assignment};
use crate::wire::messages::consumer_protocol::{AssignmentTopicPartition, ConsumerProtocolAssignment};
use crate::wire::messages::heartbeat::HeartbeatResponse;
use crate::wire::messages::join_group::{JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember};
use crate::wire::messages::leave_group::LeaveGroupResponse;
use crate::wire::messages::offset_commit::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use crate::wire::messages::offset_fetch::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use crate::wire::messages::sync_group::SyncGroupResponse;
use crate::wire::{ApiKey, ErrorCode, Request};

fn at(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn share(partitions: &[i32]) -> Bytes {
    let topic = AssignmentTopicPartition { topic: "t".into(), partitions: partitions.to_vec() };
    let assignment = ConsumerProtocolAssignment { assigned_partitions: vec![topic], user_data: None };
    encode_assignment(1, &assignment).unwrap()
}

fn join_request(heard: &Heard) -> &JoinGroupRequest {
    match &heard.request {
        Request::JoinGroup(r) => r,
        other => panic!("{other:?}"),
    }
}

fn joined(heard: &Heard, generation_id: i32, leader: &str) -> JoinGroupResponse {
    let r = join_request(heard);
    let metadata = r.protocols[0].metadata.clone();
    let member = |id: &str| JoinGroupResponseMember {
        member_id: id.into(),
        group_instance_id: None,
        metadata: metadata.clone(),
    };
    JoinGroupResponse {
        generation_id,
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        leader: leader.into(),
        member_id: "m1".into(),
        members: if leader == "m1" { vec![member("m1"), member("m2")] } else { Vec::new() },
        ..Default::default()
    }
}

fn offsets(found: &[(i32, i64)]) -> OffsetFetchResponse {
    let part = |(partition_index, committed_offset): &(i32, i64)| OffsetFetchResponsePartitions {
        partition_index: *partition_index,
        committed_offset: *committed_offset,
        ..Default::default()
    };
    let topic = OffsetFetchResponseTopics { name: "t".into(), partitions: found.iter().map(part).collect() };
    let group = OffsetFetchResponseGroup { group_id: "g".into(), topics: vec![topic], ..Default::default() };
    OffsetFetchResponse { groups: vec![group], ..Default::default() }
}

fn committed(heard: &Heard, error_code: ErrorCode) -> OffsetCommitResponse {
    let Request::OffsetCommit(r) = &heard.request else { panic!("no commit") };
    let part = |p: i32| OffsetCommitResponsePartition { partition_index: p, error_code };
    let topic =
        |t: &crate::wire::messages::offset_commit::OffsetCommitRequestTopic| OffsetCommitResponseTopic {
            name: t.name.clone(),
            partitions: t.partitions.iter().map(|p| part(p.partition_index)).collect(),
        };
    OffsetCommitResponse { topics: r.topics.iter().map(topic).collect(), ..Default::default() }
}

/// A member of group g, stable in generation 3, that reads partition 0 from offset 5 on.
fn stable() -> Bench {
    let mut bench = Bench::with_topic("t", &[1, 1]);
    bench.command(Command::Join(MemberSettings::new("g", vec!["t".into()])));
    let join = bench.heard(ApiKey::JoinGroup);
    bench.answer(&join, joined(&join, 3, "m2"));
    let sync = bench.heard(ApiKey::SyncGroup);
    bench.answer(&sync, SyncGroupResponse { assignment: share(&[0]), ..Default::default() });
    let fetch = bench.heard(ApiKey::OffsetFetch);
    bench.answer(&fetch, offsets(&[(0, 5)]));
    bench
}

#[test]
fn a_member_takes_the_id_it_is_given_and_joins_with_it() {
    let mut bench = Bench::with_topic("t", &[1]);
    bench.command(Command::Join(MemberSettings::new("g", vec!["t".into()])));
    let first = bench.heard(ApiKey::JoinGroup);
    assert_eq!(join_request(&first).member_id, "");
    let given = JoinGroupResponse {
        error_code: ErrorCode::MEMBER_ID_REQUIRED,
        member_id: "m1".into(),
        ..Default::default()
    };
    bench.answer(&first, given);
    assert_eq!(join_request(&bench.heard(ApiKey::JoinGroup)).member_id, "m1");
}

#[test]
fn the_leader_assigns_every_partition() {
    let mut bench = Bench::with_topic("t", &[1, 2, 1]);
    bench.command(Command::Join(MemberSettings::new("g", vec!["t".into()])));
    let join = bench.heard(ApiKey::JoinGroup);
    bench.answer(&join, joined(&join, 1, "m1"));
    let sync = bench.heard(ApiKey::SyncGroup);
    let Request::SyncGroup(r) = &sync.request else { panic!("no sync") };
    let parts = |i: usize| {
        let (_, assignment) = decode_assignment(&r.assignments[i].assignment).unwrap();
        (r.assignments[i].member_id.clone(), assignment.assigned_partitions[0].partitions.clone())
    };
    assert_eq!([parts(0), parts(1)], [("m1".into(), vec![0, 1]), ("m2".into(), vec![2])]);
}

#[test]
fn a_member_goes_on_where_the_group_has_committed() {
    let mut bench = stable();
    let told = bench.news();
    assert!(
        matches!(&told[..], [Event::Assigned(a)] if a.generation == 3 && a.partitions == [at(0)]),
        "{told:?}"
    );
    bench.command(Command::Poll);
    let fetch = bench.find(ApiKey::Fetch).expect("it reads");
    assert!(matches!(&fetch.request, Request::Fetch(r) if r.topics[0].partitions[0].fetch_offset == 5));
}

#[test]
fn in_a_rebalance_what_is_processed_is_committed_before_the_member_joins_again() {
    let mut bench = stable();
    bench.news();
    bench.command(Command::Processed { partition: at(0), next: Offset(8) });
    bench.pass(3_000);
    let beat = bench.heard(ApiKey::Heartbeat);
    let rebalance = ErrorCode::REBALANCE_IN_PROGRESS;
    bench.answer(&beat, HeartbeatResponse { error_code: rebalance, ..Default::default() });
    assert!(matches!(&bench.news()[..], [Event::Revoked { lost: false, .. }]));
    let commit = bench.heard(ApiKey::OffsetCommit);
    let Request::OffsetCommit(r) = &commit.request else { panic!("no commit") };
    assert_eq!((r.generation_id_or_member_epoch, r.topics[0].partitions[0].committed_offset), (3, 8));
    bench.quiet();
    bench.command(Command::Processed { partition: at(0), next: Offset(9) });
    bench.answer(&commit, committed(&commit, ErrorCode::NONE));
    let join = bench.heard(ApiKey::JoinGroup);
    assert_eq!(join_request(&join).member_id, "m1");
    bench.quiet();
}

#[test]
fn a_member_that_was_forgotten_gives_its_partitions_up_as_lost_and_joins_anew() {
    let mut bench = stable();
    bench.news();
    bench.command(Command::Processed { partition: at(0), next: Offset(8) });
    bench.pass(3_000);
    let beat = bench.heard(ApiKey::Heartbeat);
    bench.answer(&beat, HeartbeatResponse { error_code: ErrorCode::UNKNOWN_MEMBER_ID, ..Default::default() });
    assert!(matches!(&bench.news()[..], [Event::Revoked { lost: true, .. }]));
    assert_eq!(join_request(&bench.heard(ApiKey::JoinGroup)).member_id, "", "no commit in another's name");
}

#[test]
fn a_commit_is_repeated_at_the_new_coordinator() {
    let mut bench = stable();
    bench.command(Command::Processed { partition: at(0), next: Offset(8) });
    bench.command(Command::Commit { tag: 6 });
    let commit = bench.heard(ApiKey::OffsetCommit);
    bench.coordinator = 2;
    bench.answer(&commit, committed(&commit, ErrorCode::NOT_COORDINATOR));
    bench.pass(500);
    let again = bench.heard(ApiKey::OffsetCommit);
    assert_ne!(again.conn, commit.conn);
    bench.answer(&again, committed(&again, ErrorCode::NONE));
    let told = bench.news().pop();
    let Some(Event::Committed { tag: Some(6), outcome: Outcome::Done(offsets) }) = told else {
        panic!("{told:?}")
    };
    assert_eq!(offsets, [(at(0), Offset(8))]);
}

#[test]
fn a_commit_of_an_old_generation_fails_and_the_member_joins_again() {
    let mut bench = stable();
    bench.command(Command::Processed { partition: at(0), next: Offset(8) });
    bench.command(Command::Commit { tag: 6 });
    let commit = bench.heard(ApiKey::OffsetCommit);
    bench.news();
    bench.answer(&commit, committed(&commit, ErrorCode::ILLEGAL_GENERATION));
    let told = bench.news();
    assert!(
        matches!(
            &told[..],
            [Event::Committed { outcome: Outcome::Failed(_), .. }, Event::Revoked { lost: true, .. }]
        ),
        "{told:?}"
    );
    bench.heard(ApiKey::JoinGroup);
}

#[test]
fn a_leaving_member_commits_first() {
    let mut bench = stable();
    bench.news();
    bench.command(Command::Processed { partition: at(0), next: Offset(8) });
    bench.command(Command::Leave);
    let commit = bench.heard(ApiKey::OffsetCommit);
    bench.quiet();
    bench.answer(&commit, committed(&commit, ErrorCode::NONE));
    let leave = bench.heard(ApiKey::LeaveGroup);
    bench.answer(&leave, LeaveGroupResponse::default());
    let told = bench.news();
    assert!(matches!(&told[..], [Event::Committed { tag: None, .. }, Event::Left]), "{told:?}");
    bench.pass(60_000);
    bench.quiet();
}

#[test]
fn a_member_that_leaves_without_an_answer_or_joins_anew_reads_nothing_any_more() {
    let mut left = stable();
    left.command(Command::Processed { partition: at(0), next: Offset(8) });
    left.command(Command::Leave);
    left.heard(ApiKey::OffsetCommit);
    left.pass(60_000);
    assert!(left.news().iter().any(|e| matches!(e, Event::Left)));
    let mut anew = stable();
    anew.command(Command::Join(MemberSettings::new("g", vec!["t".into()])));
    for mut bench in [left, anew] {
        bench.take_heard();
        bench.command(Command::Poll);
        bench.pass(1);
        assert!(bench.find(ApiKey::Fetch).is_none(), "the partitions may be somebody else's already");
    }
}

#[test]
fn processed_records_are_committed_from_time_to_time() {
    let mut bench = stable();
    bench.command(Command::Processed { partition: at(0), next: Offset(8) });
    bench.pass(3_000);
    let beat = bench.heard(ApiKey::Heartbeat);
    bench.answer(&beat, HeartbeatResponse::default());
    bench.pass(2_000);
    let commit = bench.heard(ApiKey::OffsetCommit);
    bench.answer(&commit, committed(&commit, ErrorCode::NONE));
    bench.pass(5_000);
    assert!(bench.find(ApiKey::OffsetCommit).is_none(), "nothing new, nothing to commit");
}

#[test]
fn joining_anew_answers_the_commit_that_the_old_member_had_under_way() {
    let mut bench = stable();
    bench.news();
    bench.command(Command::Processed { partition: at(0), next: Offset(8) });
    bench.command(Command::Commit { tag: 6 });
    bench.heard(ApiKey::OffsetCommit);
    bench.command(Command::Join(MemberSettings::new("g", vec!["t".into()])));
    let told = bench.news();
    let unknown = |e: &Event| matches!(e, Event::Committed { tag: Some(6), outcome: Outcome::Unknown(_) });
    assert_eq!(told.iter().filter(|e| unknown(e)).count(), 1, "{told:?}");
}
