//! Committing, fetching and deleting offsets.

use super::*;
use crate::wire::messages::offset_delete as od;

#[test]
fn a_consumer_without_a_group_commits_while_nobody_is_in_it() {
    let mut w = World::quick();
    assert_eq!(w.fetched("g"), -1);
    assert_eq!(w.commit("g", "", -1), ErrorCode::NONE);
    assert_eq!(w.fetched("g"), 7);
    w.stable("g");
    assert_eq!(w.commit("g", "", -1), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(w.commit("", "", -1), ErrorCode::NONE, "an empty group id is old custom");
    assert_eq!(w.fetched(""), 7);
}

#[test]
fn a_commit_is_fenced_by_member_generation_and_state() {
    let mut w = World::new(GroupConfig::default());
    let (id, generation) = w.stable("g");
    assert_eq!(w.commit("g", &id, generation), ErrorCode::NONE);
    assert_eq!(w.commit("g", &id, generation - 1), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(w.commit("g", &id, generation + 1), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(w.commit("g", "x", generation), ErrorCode::UNKNOWN_MEMBER_ID);
    let (_, waiting) = w.enter("g");
    assert_eq!(w.commit("g", &id, generation), ErrorCode::NONE, "before it rejoins it may");
    w.ask(join("g", &id));
    assert_eq!(w.joined(waiting).generation_id, generation + 1);
    assert_eq!(w.commit("g", &id, generation), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(w.commit("g", &id, generation + 1), ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn a_commit_to_a_missing_group_has_the_error_that_its_version_knows() {
    let mut w = World::quick();
    for (version, expected) in [(8, ErrorCode::ILLEGAL_GENERATION), (9, ErrorCode::GROUP_ID_NOT_FOUND)] {
        let number = w.ask_in(version, commit("none", "m", 1));
        let Response::OffsetCommit(told) = w.answer(number) else { panic!() };
        assert_eq!(told.topics[0].partitions[0].error_code, expected);
    }
}

#[test]
fn each_partition_of_a_commit_is_judged_alone() {
    let mut w = World::quick();
    let partition = |partition_index: i32, note: &str| oc::OffsetCommitRequestPartition {
        partition_index,
        committed_offset: 5,
        committed_metadata: Some(note.into()),
        ..Default::default()
    };
    let long = "ä".repeat(4097);
    let just = "ä".repeat(4096);
    let topic = |name: &str, partitions| oc::OffsetCommitRequestTopic { name: name.into(), partitions };
    let topics = vec![
        topic(
            "t",
            vec![
                partition(0, ""),
                partition(1, &long),
                partition(2, &just),
                partition(4, ""),
                partition(-1, ""),
            ],
        ),
        topic("none", vec![partition(0, "")]),
    ];
    let number = w.ask(oc::OffsetCommitRequest { group_id: "g".into(), topics, ..Default::default() });
    let Response::OffsetCommit(told) = w.answer(number) else { panic!() };
    let errors: Vec<i16> = told.topics.iter().flat_map(|t| &t.partitions).map(|p| p.error_code.0).collect();
    assert_eq!(errors, [0, 12, 0, 3, 3, 3]);
    assert_eq!(w.log.len(), 2);
}

#[test]
fn an_offset_comes_back_with_its_leader_epoch_and_note_and_a_missing_one_is_no_error() {
    let mut w = World::quick();
    w.commit("g", "", -1);
    let asked = vec![of::OffsetFetchRequestTopic { name: "t".into(), partition_indexes: vec![0, 3] }];
    let request = |topics| of::OffsetFetchRequest { group_id: "g".into(), topics, ..Default::default() };
    for version in [1, 5, 7] {
        let number = w.ask_in(version, request(Some(asked.clone())));
        let Response::OffsetFetch(told) = w.answer(number) else { panic!() };
        let (known, missing) = (&told.topics[0].partitions[0], &told.topics[0].partitions[1]);
        assert_eq!((known.committed_offset, known.metadata.as_deref()), (7, Some("note")));
        assert_eq!(known.committed_leader_epoch, if version >= 5 { 3 } else { -1 });
        assert_eq!((missing.committed_offset, missing.error_code), (-1, ErrorCode::NONE));
        assert_eq!((missing.metadata.as_deref(), missing.committed_leader_epoch), (Some(""), -1));
    }
    let all = w.ask_in(2, request(None));
    let Response::OffsetFetch(told) = w.answer(all) else { panic!() };
    assert_eq!((told.topics.len(), told.topics[0].partitions.len()), (1, 1));
}

#[test]
fn several_groups_are_fetched_at_once_and_an_unknown_one_has_no_offsets() {
    let mut w = World::with_shards(GroupConfig::default(), 7);
    w.commit("g", "", -1);
    let group =
        |id: &str| of::OffsetFetchRequestGroup { group_id: id.into(), topics: None, ..Default::default() };
    let request = of::OffsetFetchRequest {
        groups: vec![group("g"), group("h")],
        require_stable: true,
        ..Default::default()
    };
    let number = w.ask(request);
    let Response::OffsetFetch(told) = w.answer(number) else { panic!() };
    let counts: Vec<_> =
        told.groups.iter().map(|g| (g.group_id.as_str(), g.topics.len(), g.error_code.0)).collect();
    assert_eq!(counts, [("g", 1, 0), ("h", 0, 0)]);
}

#[test]
fn offsets_of_topics_that_members_subscribe_to_cannot_be_deleted() {
    let mut w = World::quick();
    w.commit("g", "", -1);
    let delete = |w: &mut World, topic: &str| {
        let partitions = vec![od::OffsetDeleteRequestPartition { partition_index: 0 }];
        let topics = vec![od::OffsetDeleteRequestTopic { name: topic.into(), partitions }];
        let number = w.ask(od::OffsetDeleteRequest { group_id: "g".into(), topics });
        match w.answer(number) {
            Response::OffsetDelete(r) if r.error_code == ErrorCode::NONE => {
                r.topics[0].partitions[0].error_code
            }
            Response::OffsetDelete(r) => r.error_code,
            other => panic!("{other:?}"),
        }
    };
    let (id, _) = w.stable("g");
    assert_eq!(delete(&mut w, "t"), ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC);
    assert_eq!(delete(&mut w, "u"), ErrorCode::NONE, "nobody reads u");
    assert_eq!(delete(&mut w, "none"), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    w.leave("g", &id, None);
    assert_eq!((delete(&mut w, "t"), w.fetched("g")), (ErrorCode::NONE, -1));
    let odd = JoinGroupRequest { protocol_type: "connect".into(), ..join("g", "") };
    w.ask_in(3, odd);
    assert_eq!(delete(&mut w, "t"), ErrorCode::NON_EMPTY_GROUP, "who knows what they read");
    let number = w.ask(od::OffsetDeleteRequest { group_id: "none".into(), ..Default::default() });
    let Response::OffsetDelete(told) = w.answer(number) else { panic!() };
    assert_eq!(told.error_code, ErrorCode::GROUP_ID_NOT_FOUND);
}
