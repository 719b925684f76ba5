//! Static members (KIP-345): who restarts within its session takes its place again.

use super::*;

/// A stable group of one static member; its id.
fn stable(w: &mut World) -> String {
    let number = w.ask(static_join("g", "", "i"));
    w.pass(3_000);
    let joined = w.joined(number);
    assert_eq!((joined.error_code, joined.generation_id), (ErrorCode::NONE, 1));
    let id = joined.member_id;
    let request =
        SyncGroupRequest { group_instance_id: Some("i".into()), ..sync("g", &id, 1, &[(&id, "all")]) };
    let synced = w.ask(request);
    assert_eq!(w.synced(synced).assignment, "all");
    id
}

fn beat(w: &mut World, id: &str) -> ErrorCode {
    let number = w.ask(HeartbeatRequest {
        group_id: "g".into(),
        generation_id: 1,
        member_id: id.into(),
        group_instance_id: Some("i".into()),
    });
    match w.answer(number) {
        Response::Heartbeat(r) => r.error_code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_static_member_needs_no_id_first_and_its_id_begins_with_its_instance() {
    let mut w = World::quick();
    assert!(stable(&mut w).starts_with("i-"));
}

#[test]
fn a_static_member_that_comes_back_keeps_its_assignment_without_a_rebalance() {
    let mut w = World::quick();
    let old = stable(&mut w);
    let number = w.ask(static_join("g", "", "i"));
    let back = w.joined(number);
    assert_ne!(back.member_id, old);
    assert_eq!(
        (back.generation_id, back.leader.clone(), back.skip_assignment),
        (1, back.member_id.clone(), true)
    );
    assert_eq!(back.members.len(), 1, "a leader may look at the others, but need not assign");
    let synced = w.ask(sync("g", &back.member_id, 1, &[]));
    assert_eq!(w.synced(synced).assignment, "all");
    assert_eq!(beat(&mut w, &old), ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(beat(&mut w, &back.member_id), ErrorCode::NONE);
}

#[test]
fn before_v9_a_leader_that_comes_back_is_not_told_that_it_leads() {
    let mut w = World::quick();
    let old = stable(&mut w);
    let number = w.ask_in(8, static_join("g", "", "i"));
    let back = w.joined(number);
    assert_eq!((back.leader, back.members.len(), back.skip_assignment), (old, 0, false));
}

#[test]
fn that_a_static_member_came_back_survives_a_failover() {
    let mut w = World::quick();
    let old = stable(&mut w);
    let number = w.ask(static_join("g", "", "i"));
    let new = w.joined(number).member_id;
    w.fail_over();
    assert_eq!(beat(&mut w, &old), ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(beat(&mut w, &new), ErrorCode::NONE);
    let synced = w.ask(sync("g", &new, 1, &[]));
    assert_eq!(w.synced(synced).assignment, "all");
}

#[test]
fn a_static_consumer_that_comes_back_for_other_topics_starts_a_rebalance() {
    let mut w = World::quick();
    stable(&mut w);
    let other = JoinGroupRequest {
        protocols: vec![protocol("range", subscription(&["t", "u"]))],
        ..static_join("g", "", "i")
    };
    let number = w.ask(other);
    assert_eq!(w.joined(number).generation_id, 2);
}

#[test]
fn a_static_member_that_changes_the_chosen_protocol_starts_a_rebalance() {
    let mut w = World::quick();
    stable(&mut w);
    let other = JoinGroupRequest {
        protocols: vec![protocol("a", subscription(&["t"])), protocol("range", subscription(&["t"]))],
        ..static_join("g", "", "i")
    };
    let number = w.ask(other);
    assert_eq!((w.joined(number).generation_id, w.joined(number).protocol_name.as_deref()), (2, Some("a")));
}

#[test]
fn a_static_member_that_comes_back_while_its_assignment_is_awaited_starts_over() {
    let mut w = World::new(GroupConfig::default());
    let (a, _) = w.enter("g");
    let first = w.ask(static_join("g", "", "i"));
    w.pass(6_000);
    let old = w.joined(first).member_id;
    let waiting = w.ask(sync("g", &old, 1, &[]));
    let second = w.ask(static_join("g", "", "i"));
    assert_eq!(w.synced(waiting).error_code, ErrorCode::FENCED_INSTANCE_ID);
    assert!(w.waits(second));
    let late = w.ask(sync("g", &a, 1, &[(&old, "lost")]));
    assert_eq!(w.synced(late).error_code, ErrorCode::REBALANCE_IN_PROGRESS);
    let leader = w.ask(join("g", &a));
    assert_eq!((w.joined(second).generation_id, w.joined(leader).members.len()), (2, 2));
}

#[test]
fn of_two_that_are_one_static_member_the_first_is_fenced_even_while_both_wait() {
    let mut w = World::new(GroupConfig::default());
    let first = w.ask(static_join("g", "", "i"));
    let second = w.ask(static_join("g", "", "i"));
    assert_eq!(w.joined(first).error_code, ErrorCode::FENCED_INSTANCE_ID);
    w.pass(6_000);
    assert_eq!((w.joined(second).error_code, w.joined(second).members.len()), (ErrorCode::NONE, 1));
}

#[test]
fn a_stale_static_member_is_fenced_everywhere() {
    let mut w = World::quick();
    let old = stable(&mut w);
    let number = w.ask(static_join("g", "", "i"));
    let new = w.joined(number).member_id;
    let joins = w.ask(static_join("g", &old, "i"));
    assert_eq!(w.joined(joins).error_code, ErrorCode::FENCED_INSTANCE_ID);
    let request = SyncGroupRequest { group_instance_id: Some("i".into()), ..sync("g", &old, 1, &[]) };
    let syncs = w.ask(request);
    assert_eq!(w.synced(syncs).error_code, ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(w.leave("g", &old, Some("i")), ErrorCode::FENCED_INSTANCE_ID);
    let commits =
        w.ask(oc::OffsetCommitRequest { group_instance_id: Some("i".into()), ..commit("g", &old, 1) });
    let Response::OffsetCommit(told) = w.answer(commits) else { panic!() };
    assert_eq!(told.topics[0].partitions[0].error_code, ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(w.leave("g", &new, Some("other")), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn an_administrator_removes_a_static_member_by_its_instance_alone() {
    let mut w = World::quick();
    stable(&mut w);
    assert_eq!(w.leave("g", "", Some("nobody")), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(w.leave("g", "", Some("i")), ErrorCode::NONE);
    assert_eq!(w.state("g"), "Empty");
}

#[test]
fn a_static_member_that_is_late_for_a_rebalance_stays_until_its_session_ends() {
    let mut w = World::quick();
    let old = stable(&mut w);
    let (b, waiting) = w.enter("g");
    for _ in 0..3 {
        w.pass(9_000);
        assert_eq!(beat(&mut w, &old), ErrorCode::REBALANCE_IN_PROGRESS);
    }
    w.pass(3_000);
    let joined = w.joined(waiting);
    assert_eq!((joined.leader, joined.members.len()), (b, 2));
    w.pass(7_000);
    let left: Vec<String> = w.groups.history("g").into_iter().map(|(_, event)| event).collect();
    assert!(left.iter().any(|e| e.starts_with(&format!("member {old} left"))), "{left:?}");
}
