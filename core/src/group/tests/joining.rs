//! Who is let into a group, and what they are told.

use super::*;

fn error(world: &mut World, request: JoinGroupRequest) -> ErrorCode {
    let number = world.ask(request);
    world.joined(number).error_code
}

#[test]
fn a_new_dynamic_member_is_told_its_id_before_it_may_join() {
    let mut w = World::quick();
    let first = w.ask(join("g", ""));
    let answer = w.joined(first);
    assert_eq!(answer.error_code, ErrorCode::MEMBER_ID_REQUIRED);
    assert!(answer.member_id.starts_with("c-"), "{}", answer.member_id);
    assert_eq!(answer.protocol_name, None);
    let second = w.ask(join("g", &answer.member_id));
    let joined = w.joined(second);
    assert_eq!((joined.error_code, joined.generation_id), (ErrorCode::NONE, 1));
    assert_eq!((joined.leader.as_str(), joined.member_id.as_str()), (&*answer.member_id, &*answer.member_id));
}

#[test]
fn clients_before_v4_join_without_being_told_an_id_first() {
    let mut w = World::quick();
    let number = w.ask_in(3, join("g", ""));
    let joined = w.joined(number);
    assert_eq!((joined.error_code, joined.members.len()), (ErrorCode::NONE, 1));
}

#[test]
fn v0_has_no_rebalance_timeout_and_its_session_timeout_counts() {
    let mut w = World::quick();
    let request = JoinGroupRequest { rebalance_timeout_ms: -1, ..join("g", "") };
    let number = w.ask_in(0, request);
    let first = w.joined(number).member_id;
    let synced = w.ask(sync("g", &first, 1, &[]));
    assert_eq!(w.synced(synced).error_code, ErrorCode::NONE);
    let waiting = w.ask_in(0, JoinGroupRequest { rebalance_timeout_ms: -1, ..join("g", "") });
    for _ in 0..2 {
        w.pass(4_000);
        assert_eq!(w.beat("g", &first, 1), ErrorCode::REBALANCE_IN_PROGRESS);
    }
    assert!(w.waits(waiting), "the rebalance waits for the first member");
    w.pass(2_000);
    assert_eq!(w.joined(waiting).generation_id, 2, "but no longer than its session timeout of 10 s");
}

#[test]
fn only_the_leader_is_told_who_else_is_in() {
    let mut w = World::new(GroupConfig::default());
    let (a, join_a) = w.enter("g");
    let (b, join_b) = w.enter("g");
    w.pass(6_000);
    let (a_told, b_told) = (w.joined(join_a), w.joined(join_b));
    assert_eq!((&a_told.leader, &b_told.leader), (&a, &a));
    let told: BTreeSet<_> = a_told.members.iter().map(|m| m.member_id.clone()).collect();
    assert_eq!(told, BTreeSet::from([a, b]));
    assert_eq!(a_told.members[0].metadata, subscription(&["t"]));
    assert!(b_told.members.is_empty());
    assert_eq!(
        (b_told.protocol_type.as_deref(), b_told.protocol_name.as_deref()),
        (Some("consumer"), Some("range"))
    );
}

#[test]
fn a_refused_join_has_a_null_protocol_only_where_the_version_allows_it() {
    let mut w = World::quick();
    let old = w.ask_in(6, join("g", "nobody"));
    assert_eq!(w.joined(old).protocol_name.as_deref(), Some(""));
    let new = w.ask_in(7, join("g", "nobody"));
    assert_eq!(w.joined(new).protocol_name, None);
}

#[test]
fn the_protocol_that_most_members_like_best_among_those_all_speak_is_chosen() {
    let mut w = World::new(GroupConfig::default());
    let speaks = |names: &[&str]| JoinGroupRequest {
        protocols: names.iter().map(|n| protocol(n, subscription(&["t"]))).collect(),
        ..join("g", "")
    };
    let numbers = [
        w.ask_in(3, speaks(&["x", "a", "b"])),
        w.ask_in(3, speaks(&["b", "a"])),
        w.ask_in(3, speaks(&["b", "a", "y"])),
    ];
    w.pass(10_000);
    for number in numbers {
        assert_eq!(w.joined(number).protocol_name.as_deref(), Some("b"));
    }
}

#[test]
fn a_member_that_shares_no_protocol_or_type_is_refused_and_harms_nobody() {
    let mut w = World::quick();
    let (id, generation) = w.stable("g");
    let other = JoinGroupRequest { protocols: vec![protocol("sticky", "")], ..join("g", "") };
    assert_eq!(error(&mut w, other), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    let other = JoinGroupRequest { protocol_type: "connect".into(), ..join("g", "") };
    assert_eq!(error(&mut w, other), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    let none = JoinGroupRequest { protocols: vec![], ..join("h", "") };
    assert_eq!(error(&mut w, none), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    assert_eq!(w.state("h"), "Dead");
    assert_eq!(w.beat("g", &id, generation), ErrorCode::NONE);
}

#[test]
fn protocol_types_other_than_consumer_are_opaque() {
    for protocol_type in ["connect", "sr"] {
        let mut w = World::quick();
        let opaque = JoinGroupRequest {
            protocol_type: protocol_type.into(),
            protocols: vec![protocol("v0", Bytes::from_static(&[0xff, 0x00, 0xfe]))],
            ..join("g", "")
        };
        let number = w.ask_in(3, opaque);
        let joined = w.joined(number);
        assert_eq!(
            (joined.error_code, &joined.members[0].metadata[..]),
            (ErrorCode::NONE, &[0xff, 0, 0xfe][..])
        );
        let request = sync("g", &joined.member_id, 1, &[(&joined.member_id, "opaque")]);
        let synced = w.ask_in(4, SyncGroupRequest { protocol_type: None, protocol_name: None, ..request });
        assert_eq!(w.synced(synced).assignment, "opaque");
    }
}

#[test]
fn requests_that_cannot_be_valid_are_refused_before_the_group_sees_them() {
    let mut w = World::quick();
    assert_eq!(error(&mut w, join("", "")), ErrorCode::INVALID_GROUP_ID);
    for session_timeout_ms in [0, -1, 5_999, 1_800_001] {
        let request = JoinGroupRequest { session_timeout_ms, ..join("g", "") };
        assert_eq!(error(&mut w, request), ErrorCode::INVALID_SESSION_TIMEOUT);
    }
    assert_eq!(error(&mut w, join("g", "nobody")), ErrorCode::UNKNOWN_MEMBER_ID, "no group");
    w.stable("g");
    assert_eq!(error(&mut w, join("g", "nobody")), ErrorCode::UNKNOWN_MEMBER_ID, "no such member");
    assert_eq!(w.beat("", "m", 1), ErrorCode::INVALID_GROUP_ID);
    assert_eq!(w.leave("", "m", None), ErrorCode::INVALID_GROUP_ID);
}

#[test]
fn a_full_group_takes_no_further_member() {
    let mut w = World::new(GroupConfig { max_size: 2, initial_rebalance_delay_ms: 0, ..Default::default() });
    let (id, generation) = w.stable("g");
    let (_, second) = w.enter("g");
    let leader = w.ask(join("g", &id));
    assert_eq!(w.joined(leader).generation_id, generation + 1);
    assert_eq!(w.joined(second).error_code, ErrorCode::NONE);
    assert_eq!(error(&mut w, join("g", "")), ErrorCode::GROUP_MAX_SIZE_REACHED);
    let again = w.ask(join("g", &id));
    assert_eq!(w.joined(again).error_code, ErrorCode::NONE, "who is in stays in");
}

#[test]
fn a_group_takes_no_member_whose_metadata_would_not_fit_its_fact() {
    let config = GroupConfig { max_fact_bytes: 2_000, initial_rebalance_delay_ms: 0, ..Default::default() };
    let mut w = World::new(config);
    let (id, generation) = w.stable("g");
    let huge = JoinGroupRequest { protocols: vec![protocol("range", vec![0; 1_900])], ..join("g", "") };
    assert_eq!(error(&mut w, huge), ErrorCode::GROUP_MAX_SIZE_REACHED);
    assert_eq!(w.beat("g", &id, generation), ErrorCode::NONE);
}

#[test]
fn ids_given_out_and_groups_are_bounded_and_refused_retriably() {
    let mut w =
        World::new(GroupConfig { max_pending_members: 2, max_groups_per_shard: 1, ..Default::default() });
    for _ in 0..2 {
        assert_eq!(error(&mut w, join("g", "")), ErrorCode::MEMBER_ID_REQUIRED);
    }
    assert_eq!(error(&mut w, join("g", "")), ErrorCode::COORDINATOR_NOT_AVAILABLE);
    assert_eq!(error(&mut w, join("h", "")), ErrorCode::COORDINATOR_NOT_AVAILABLE);
    assert_eq!(w.commit("h", "", -1), ErrorCode::COORDINATOR_NOT_AVAILABLE);
    w.pass(10_000);
    assert_eq!(error(&mut w, join("h", "")), ErrorCode::MEMBER_ID_REQUIRED, "room comes back");
}

#[test]
fn a_join_sent_twice_answers_both_and_the_member_is_in_once() {
    let mut w = World::new(GroupConfig::default());
    let (id, first) = w.enter("g");
    let second = w.ask(join("g", &id));
    assert_eq!(w.joined(first).error_code, ErrorCode::REBALANCE_IN_PROGRESS);
    w.pass(3_000);
    assert_eq!((w.joined(second).error_code, w.joined(second).members.len()), (ErrorCode::NONE, 1));
}

#[test]
fn the_leader_joining_again_starts_a_rebalance_and_a_follower_unchanged_does_not() {
    let mut w = World::new(GroupConfig::default());
    let (a, _) = w.enter("g");
    let (b, _) = w.enter("g");
    w.pass(6_000);
    for id in [&b, &a] {
        w.ask(sync("g", id, 1, &[(&a, "1"), (&b, "2")]));
    }
    let follower = w.ask(join("g", &b));
    assert_eq!((w.joined(follower).generation_id, w.state("g").as_str()), (1, "Stable"));
    let leader = w.ask(join("g", &a));
    assert!(w.waits(leader));
    assert_eq!(w.beat("g", &b, 1), ErrorCode::REBALANCE_IN_PROGRESS);
    let changed =
        JoinGroupRequest { protocols: vec![protocol("range", subscription(&["u"]))], ..join("g", &b) };
    let follower = w.ask(changed);
    assert_eq!((w.joined(leader).generation_id, w.joined(follower).generation_id), (2, 2));
}

#[test]
fn while_the_assignment_is_awaited_a_lost_join_answer_is_given_again_and_other_metadata_rebalances() {
    let mut w = World::quick();
    let (id, first) = w.enter("g");
    assert_eq!(w.joined(first).generation_id, 1);
    let again = w.ask(join("g", &id));
    assert_eq!((w.joined(again).generation_id, w.joined(again).members.len()), (1, 1));
    let waiting = w.ask(sync("g", "nobody", 1, &[]));
    assert_eq!(w.synced(waiting).error_code, ErrorCode::UNKNOWN_MEMBER_ID);
    let changed =
        JoinGroupRequest { protocols: vec![protocol("range", subscription(&["u"]))], ..join("g", &id) };
    let again = w.ask(changed);
    assert_eq!(w.joined(again).generation_id, 2);
}
