//! The second half of a rebalance, heartbeats and leaving.

use super::*;

/// A group of two whose joins are answered. Leader, follower.
fn pair(w: &mut World) -> (String, String) {
    let (a, _) = w.enter("g");
    let (b, _) = w.enter("g");
    w.pass(6_000);
    assert_eq!(w.state("g"), "CompletingRebalance");
    (a, b)
}

#[test]
fn syncs_wait_for_the_leader_and_everyone_gets_the_share_it_gave() {
    let mut w = World::new(GroupConfig::default());
    let (a, b) = pair(&mut w);
    let follower = w.ask(sync("g", &b, 1, &[]));
    assert!(w.waits(follower));
    assert_eq!(w.log.len(), 0, "nothing is stored before the leader has spoken");
    let leader = w.ask(sync("g", &a, 1, &[(&a, "left"), (&b, "right")]));
    assert_eq!((w.synced(leader).assignment, w.synced(follower).assignment), ("left".into(), "right".into()));
    assert_eq!(w.synced(follower).protocol_name.as_deref(), Some("range"));
    assert_eq!((w.log.len(), w.state("g").as_str()), (1, "Stable"));
    let again = w.ask(sync("g", &b, 1, &[]));
    assert_eq!(w.synced(again).assignment, "right");
}

#[test]
fn answers_wait_for_the_facts_of_their_shard() {
    let mut w = World::with_shards(GroupConfig { initial_rebalance_delay_ms: 0, ..Default::default() }, 50);
    let shard = w.groups.shard_of("g");
    let from = Client { client_id: "c".into(), host: "/h".into(), advertised: ("h".into(), 9092) };
    let to = Caller { conn: ConnId(1), seq: 0 };
    let dialect = Dialect::of(ApiKey::OffsetCommit, 8);
    let decision = w.groups.handle(w.now, to, &from, dialect, commit("g", "", -1).into(), &w.topics);
    assert_eq!(decision.facts[0].0, shard);
    assert_eq!(decision.replies[0].after, [shard]);
}

#[test]
fn a_member_that_the_leader_forgot_gets_nothing_and_no_error() {
    let mut w = World::new(GroupConfig::default());
    let (a, b) = pair(&mut w);
    let follower = w.ask(sync("g", &b, 1, &[]));
    w.ask(sync("g", &a, 1, &[(&a, "all"), ("stranger", "x")]));
    let got = w.synced(follower);
    assert_eq!((got.error_code, got.assignment.len()), (ErrorCode::NONE, 0));
}

#[test]
fn a_sync_of_the_wrong_generation_member_or_protocol_is_refused() {
    let mut w = World::new(GroupConfig::default());
    let (a, _) = pair(&mut w);
    let mut refused = |request: SyncGroupRequest| {
        let number = w.ask(request);
        w.synced(number).error_code
    };
    assert_eq!(refused(sync("g", &a, 0, &[])), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(refused(sync("g", &a, 2, &[])), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(refused(sync("g", "x", 1, &[])), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(refused(sync("none", "x", 1, &[])), ErrorCode::UNKNOWN_MEMBER_ID);
    let other = SyncGroupRequest { protocol_name: Some("sticky".into()), ..sync("g", &a, 1, &[]) };
    assert_eq!(refused(other), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    let other = SyncGroupRequest { protocol_type: Some("connect".into()), ..sync("g", &a, 1, &[]) };
    assert_eq!(refused(other), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    assert_eq!(
        refused(SyncGroupRequest { group_id: String::new(), ..Default::default() }),
        ErrorCode::INVALID_GROUP_ID
    );
}

#[test]
fn a_new_member_sends_waiting_syncs_back_to_join() {
    let mut w = World::new(GroupConfig::default());
    let (a, b) = pair(&mut w);
    let follower = w.ask(sync("g", &b, 1, &[]));
    let (_, third) = w.enter("g");
    assert_eq!(w.synced(follower).error_code, ErrorCode::REBALANCE_IN_PROGRESS);
    let late = w.ask(sync("g", &a, 1, &[(&a, "all")]));
    assert_eq!(w.synced(late).error_code, ErrorCode::REBALANCE_IN_PROGRESS);
    let (join_a, join_b) = (w.ask(join("g", &a)), w.ask(join("g", &b)));
    for number in [third, join_a, join_b] {
        assert_eq!((w.joined(number).error_code, w.joined(number).generation_id), (ErrorCode::NONE, 2));
    }
}

#[test]
fn an_assignment_too_large_to_be_stored_fails_the_syncs_and_starts_over() {
    let mut w = World::new(GroupConfig { max_fact_bytes: 600, ..Default::default() });
    let (a, b) = pair(&mut w);
    let follower = w.ask(sync("g", &b, 1, &[]));
    let huge: &'static str = "x".repeat(600).leak();
    let leader = w.ask(sync("g", &a, 1, &[(&a, huge)]));
    for number in [leader, follower] {
        assert_eq!(w.synced(number).error_code, ErrorCode::UNKNOWN_SERVER_ERROR);
    }
    assert_eq!((w.log.len(), w.state("g").as_str()), (0, "PreparingRebalance"));
}

#[test]
fn heartbeats_tell_a_member_where_its_group_stands() {
    let mut w = World::new(GroupConfig::default());
    let (a, b) = pair(&mut w);
    assert_eq!(w.beat("g", &a, 1), ErrorCode::NONE, "CompletingRebalance");
    assert_eq!(w.beat("g", &a, 0), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(w.beat("g", "x", 1), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(w.beat("none", &a, 1), ErrorCode::UNKNOWN_MEMBER_ID);
    w.ask(sync("g", &a, 1, &[]));
    assert_eq!(w.beat("g", &a, 1), ErrorCode::NONE, "Stable");
    assert_eq!(w.leave("g", &b, None), ErrorCode::NONE);
    assert_eq!(w.beat("g", &a, 1), ErrorCode::REBALANCE_IN_PROGRESS, "PreparingRebalance");
    assert_eq!(w.beat("g", &b, 1), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn the_last_member_to_leave_empties_the_group_and_that_is_stored() {
    let mut w = World::quick();
    let (id, generation) = w.stable("g");
    assert_eq!(w.leave("g", &id, None), ErrorCode::NONE);
    assert_eq!(w.state("g"), "Empty");
    let stored = super::super::facts::read_group(w.log.last().unwrap().1.value.as_ref().unwrap()).unwrap();
    assert_eq!((stored.generation, stored.members.len(), stored.leader), (generation + 1, 0, None));
    assert_eq!(stored.protocol_type.as_deref(), Some("consumer"));
    assert_eq!(w.leave("g", &id, None), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn each_member_of_a_batched_leave_has_its_own_answer() {
    let mut w = World::new(GroupConfig::default());
    let (a, b) = pair(&mut w);
    let who = |id: &str| MemberIdentity { member_id: id.into(), ..Default::default() };
    let members = vec![who(&a), who("stranger"), who(&b)];
    let number = w.ask(LeaveGroupRequest { group_id: "g".into(), members, ..Default::default() });
    let Response::LeaveGroup(left) = w.answer(number) else { panic!() };
    let errors: Vec<_> = left.members.iter().map(|m| m.error_code).collect();
    assert_eq!(errors, [ErrorCode::NONE, ErrorCode::UNKNOWN_MEMBER_ID, ErrorCode::NONE]);
    assert_eq!((left.error_code, w.state("g").as_str()), (ErrorCode::NONE, "Empty"));
}

#[test]
fn before_v3_a_leave_has_one_member_and_its_error_is_the_whole_s() {
    let mut w = World::quick();
    let (id, _) = w.stable("g");
    for (member_id, expected) in [("x", ErrorCode::UNKNOWN_MEMBER_ID), (&id, ErrorCode::NONE)] {
        let request =
            LeaveGroupRequest { group_id: "g".into(), member_id: member_id.into(), ..Default::default() };
        let number = w.ask_in(1, request);
        let Response::LeaveGroup(left) = w.answer(number) else { panic!() };
        assert_eq!((left.error_code, left.members.len()), (expected, 0));
    }
}

#[test]
fn an_id_given_out_can_be_given_back_and_nobody_waits_for_it() {
    let mut w = World::quick();
    let (a, _) = w.stable("g");
    let pending = w.ask(join("g", ""));
    let pending = w.joined(pending).member_id;
    let leader = w.ask(join("g", &a));
    assert!(w.waits(leader), "the new member is expected");
    assert_eq!(w.leave("g", &pending, None), ErrorCode::NONE);
    assert_eq!(w.joined(leader).generation_id, 2);
}

#[test]
fn who_leaves_while_it_waits_is_answered() {
    let mut w = World::new(GroupConfig::default());
    let (a, waiting) = w.enter("g");
    assert_eq!(w.leave("g", &a, None), ErrorCode::NONE);
    assert_eq!(w.joined(waiting).error_code, ErrorCode::UNKNOWN_MEMBER_ID);
    w.pass(3_000);
    let (_, b) = pair(&mut w);
    let waiting = w.ask(sync("g", &b, w_generation(&w), &[]));
    assert!(w.waits(waiting));
    assert_eq!(w.leave("g", &b, None), ErrorCode::NONE);
    assert_eq!(w.synced(waiting).error_code, ErrorCode::UNKNOWN_MEMBER_ID);
}

fn w_generation(w: &World) -> i32 {
    w.groups.shards[0].groups["g"].generation
}
