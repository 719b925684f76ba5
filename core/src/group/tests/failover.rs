//! Leadership of a shard: who is told what before, while and after it is loaded, and what survives.

use super::*;

#[test]
fn a_new_coordinator_goes_on_where_the_log_ends_and_members_get_a_fresh_session() {
    let mut w = World::quick();
    let (id, generation) = w.stable("g");
    w.commit("g", &id, generation);
    w.pass(9_000);
    w.fail_over();
    assert_eq!((w.state("g").as_str(), w.fetched("g")), ("Stable", 7));
    w.pass(9_000);
    assert_eq!(w.beat("g", &id, generation), ErrorCode::NONE, "18 s of silence, but 9 s since the load");
    let synced = w.ask(sync("g", &id, generation, &[]));
    assert_eq!(w.synced(synced).assignment, "all");
    w.pass(10_000);
    assert_eq!(w.state("g"), "Empty");
}

#[test]
fn a_generation_that_was_not_stored_is_void_after_a_failover() {
    let mut w = World::quick();
    let (id, generation) = w.stable("g");
    let again = w.ask(join("g", &id));
    assert_eq!(w.joined(again).generation_id, generation + 1);
    w.fail_over();
    let late = w.ask(sync("g", &id, generation + 1, &[(&id, "stale")]));
    assert_eq!(w.synced(late).error_code, ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(w.commit("g", &id, generation + 1), ErrorCode::ILLEGAL_GENERATION);
}

#[test]
fn who_waits_when_the_shard_is_lost_is_sent_to_the_new_coordinator() {
    let mut w = World::new(GroupConfig::default());
    let (_, joins) = w.enter("g");
    let (_, other) = w.enter("h");
    w.pass(3_000);
    let id = w.joined(other).member_id;
    let follower = w.ask(static_join("h", "", "i"));
    w.ask(join("h", &id));
    let follower = w.joined(follower).member_id;
    let syncs = w.ask(sync("h", &follower, 2, &[]));
    let (_, joins_again) = w.enter("k");
    for answer in w.groups.resign(0) {
        assert!(answer.after.is_empty(), "there is nothing to wait for any more");
        w.absorb(Decision { facts: Vec::new(), replies: vec![answer] });
    }
    assert_eq!(w.joined(joins).error_code, ErrorCode::NONE, "answered before");
    assert_eq!(w.joined(joins_again).error_code, ErrorCode::NOT_COORDINATOR);
    assert_eq!(w.synced(syncs).error_code, ErrorCode::NOT_COORDINATOR);
    assert_eq!((w.unanswered(), w.groups.next_deadline()), (vec![], None));
    assert_eq!(w.beat("h", &id, 2), ErrorCode::NOT_COORDINATOR);
}

#[test]
fn while_a_shard_loads_nothing_stale_is_served_and_heartbeats_are_fine() {
    let mut w = World::quick();
    let (id, generation) = w.stable("g");
    w.groups.resign(0);
    w.groups.lead(0);
    assert_eq!(w.beat("g", &id, generation), ErrorCode::NONE);
    assert_eq!(w.commit("g", &id, generation), ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    let number = w.ask(join("g", ""));
    assert_eq!(w.joined(number).error_code, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    for version in [1, 7, 9] {
        let asked = vec![of::OffsetFetchRequestTopic { name: "t".into(), partition_indexes: vec![0] }];
        let request = if version < 8 {
            of::OffsetFetchRequest { group_id: "g".into(), topics: Some(asked), ..Default::default() }
        } else {
            let group =
                of::OffsetFetchRequestGroup { group_id: "g".into(), topics: None, ..Default::default() };
            of::OffsetFetchRequest { groups: vec![group], ..Default::default() }
        };
        let number = w.ask_in(version, request);
        let Response::OffsetFetch(told) = w.answer(number) else { panic!() };
        let error = match version {
            1 => told.topics[0].partitions[0].error_code,
            7 => told.error_code,
            _ => told.groups[0].error_code,
        };
        assert_eq!(error, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, "version {version}");
    }
    let listed = w.ask(crate::wire::messages::list_groups::ListGroupsRequest::default());
    let Response::ListGroups(told) = w.answer(listed) else { panic!() };
    assert_eq!(told.error_code, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
}

#[test]
fn tombstones_before_their_facts_and_facts_of_other_kinds_do_not_stop_a_load() {
    let mut w = World::quick();
    w.commit("g", "", -1);
    let written = w.log[0].1.clone();
    w.groups.resign(0);
    w.groups.lead(0);
    let mut replay = |key: Bytes, value: Option<Bytes>| w.groups.replay(0, key, value, START);
    replay(written.key.clone(), None);
    replay(Bytes::from_static(b"\0\x02\0\x01g"), None);
    replay(Bytes::from_static(b"\0\x03\0\x01g"), Some(Bytes::from_static(b"\0\0\0\0\0\x07")));
    replay(Bytes::from_static(b"junk"), Some(Bytes::new()));
    replay(written.key, written.value);
    let decision = w.groups.loaded(w.now, 0, &w.topics);
    w.absorb(decision);
    assert_eq!((w.groups.skipped(0), w.fetched("g")), (2, 7));
}

#[test]
fn a_group_loaded_larger_than_allowed_rebalances_so_that_members_can_commit() {
    let mut w = World::quick();
    let (a, _) = w.stable("g");
    let (b, _) = w.enter("g");
    w.ask(join("g", &a));
    w.ask(sync("g", &a, 2, &[(&a, "a"), (&b, "b")]));
    w.groups.config.max_size = 1;
    w.fail_over();
    assert_eq!(w.beat("g", &a, 2), ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(w.commit("g", &b, 2), ErrorCode::NONE);
    let first = w.ask(join("g", &a));
    let second = w.ask(join("g", &b));
    assert_eq!(w.joined(second).error_code, ErrorCode::GROUP_MAX_SIZE_REACHED);
    assert_eq!((w.joined(first).generation_id, w.joined(first).members.len()), (3, 1));
}

#[test]
fn a_prepared_answer_can_be_taken_back_when_its_facts_cannot_be_appended() {
    let mut w = World::quick();
    let (id, generation) = w.stable("g");
    let requests: Vec<Request> = vec![
        join("g", "").into(),
        sync("g", &id, generation, &[]).into(),
        commit("g", &id, generation).into(),
        crate::wire::messages::describe_groups::DescribeGroupsRequest {
            groups: vec!["g".into()],
            ..Default::default()
        }
        .into(),
        crate::wire::messages::delete_groups::DeleteGroupsRequest { groups_names: vec!["g".into()] }.into(),
        crate::wire::messages::list_groups::ListGroupsRequest::default().into(),
    ];
    for request in requests {
        let number = w.ask(request);
        let taken_back = super::super::not_coordinator(w.answer(number).clone()).unwrap();
        assert!(format!("{taken_back:?}").contains("NOT_COORDINATOR"), "{taken_back:?}");
    }
}
