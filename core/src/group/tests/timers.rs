//! Every deadline of a group, and that none of them is the wall clock's.

use super::*;

#[test]
fn the_first_rebalance_waits_for_more_members_as_long_as_they_keep_coming() {
    let mut w = World::new(GroupConfig::default());
    let (_, first) = w.enter("g");
    w.pass(2_999);
    assert!(w.waits(first));
    let (_, second) = w.enter("g");
    w.pass(1);
    assert!(w.waits(first), "someone came: 3 s more");
    w.pass(2_999);
    assert!(w.waits(first));
    w.pass(1);
    assert_eq!((w.joined(first).generation_id, w.joined(second).generation_id), (1, 1));
}

#[test]
fn the_initial_delay_is_never_extended_beyond_the_rebalance_timeout() {
    let mut w = World::new(GroupConfig::default());
    let brief = |id: &str| JoinGroupRequest { rebalance_timeout_ms: 7_000, ..join("g", id) };
    let first = w.ask_in(3, brief(""));
    for _ in 0..6 {
        w.pass(1_000);
        w.ask_in(3, brief(""));
    }
    assert!(w.waits(first));
    w.pass(1_000);
    assert_eq!(w.joined(first).members.len(), 7);
}

#[test]
fn an_initial_delay_of_zero_completes_the_first_join_at_once() {
    let mut w = World::quick();
    let (_, waiting) = w.enter("g");
    assert_eq!(w.joined(waiting).generation_id, 1);
}

#[test]
fn a_silent_member_is_out_after_its_session_timeout_and_a_heartbeat_renews_it() {
    let mut w = World::quick();
    let (id, generation) = w.stable("g");
    for _ in 0..5 {
        w.pass(9_999);
        assert_eq!(w.beat("g", &id, generation), ErrorCode::NONE);
    }
    w.pass(10_000);
    assert_eq!(
        (w.beat("g", &id, generation), w.state("g").as_str()),
        (ErrorCode::UNKNOWN_MEMBER_ID, "Empty")
    );
    let events: Vec<String> = w.groups.history("g").into_iter().map(|(_, event)| event).collect();
    assert!(events.iter().any(|e| e.ends_with("left: session timeout of 10000 ms")), "{events:?}");
}

#[test]
fn a_commit_is_as_good_as_a_heartbeat() {
    let mut w = World::quick();
    let (id, generation) = w.stable("g");
    for _ in 0..3 {
        w.pass(9_000);
        assert_eq!(w.commit("g", &id, generation), ErrorCode::NONE);
    }
    assert_eq!(w.state("g"), "Stable");
}

#[test]
fn a_jump_of_the_wall_clock_ends_no_session_and_no_rebalance() {
    let mut w = World::new(GroupConfig::default());
    let (id, generation) = w.stable("g");
    for jump in [3_600_000, -7_200_000] {
        w.now.wall.0 += jump;
        w.pass(5_000);
        assert_eq!(w.beat("g", &id, generation), ErrorCode::NONE);
    }
    let (_, waiting) = w.enter("g");
    w.now.wall.0 += 3_600_000;
    w.pass(0);
    assert!(w.waits(waiting));
}

#[test]
fn a_member_that_waits_in_join_or_sync_is_not_expired() {
    let mut w = World::quick();
    let (a, _) = w.stable("g");
    let (b, _) = w.enter("g");
    let leader = w.ask(join("g", &a));
    assert_eq!(w.joined(leader).generation_id, 2);
    let follower = w.ask(sync("g", &b, 2, &[]));
    w.pass(9_000);
    assert_eq!(w.beat("g", &a, 2), ErrorCode::NONE);
    w.pass(9_000);
    assert!(w.waits(follower), "18 s in a sync, with a session of 10 s");
    w.ask(sync("g", &a, 2, &[(&b, "b")]));
    assert_eq!(w.synced(follower).assignment, "b");
    let third = w.enter("g").1;
    let again = w.ask(join("g", &b));
    for _ in 0..3 {
        w.pass(9_000);
        assert_eq!(w.beat("g", &a, 2), ErrorCode::REBALANCE_IN_PROGRESS);
        assert!(w.waits(again) && w.waits(third));
    }
}

#[test]
fn members_that_do_not_rejoin_within_the_rebalance_timeout_are_out_and_another_leads() {
    let mut w = World::quick();
    let (a, _) = w.stable("g");
    let (b, waiting) = w.enter("g");
    for _ in 0..3 {
        w.pass(9_000);
        assert_eq!(w.beat("g", &a, 1), ErrorCode::REBALANCE_IN_PROGRESS);
    }
    assert!(w.waits(waiting));
    w.pass(3_000);
    let joined = w.joined(waiting);
    assert_eq!((joined.generation_id, joined.leader, joined.members.len()), (2, b, 1));
    assert_eq!(w.beat("g", &a, 1), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn an_id_given_out_is_waited_for_no_longer_than_its_session() {
    let mut w = World::quick();
    let (a, _) = w.stable("g");
    let pending = w.ask(join("g", ""));
    let pending = w.joined(pending).member_id;
    let leader = w.ask(join("g", &a));
    w.pass(9_999);
    assert!(w.waits(leader));
    w.pass(1);
    assert_eq!(w.joined(leader).generation_id, 2);
    let late = w.ask(join("g", &pending));
    assert_eq!(w.joined(late).error_code, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_member_that_does_not_know_its_id_is_out_after_five_minutes_in_a_join() {
    let mut w = World::new(GroupConfig { new_member_join_timeout_ms: 20_000, ..GroupConfig::default() });
    let (a, _) = w.stable("g");
    let waiting = w.ask_in(3, join("g", ""));
    for _ in 0..2 {
        w.pass(9_999);
        assert_eq!(w.beat("g", &a, 1), ErrorCode::REBALANCE_IN_PROGRESS);
    }
    w.pass(2);
    let told = w.joined(waiting);
    assert_eq!((told.error_code, told.member_id.as_str()), (ErrorCode::UNKNOWN_MEMBER_ID, ""));
}

#[test]
fn members_that_never_sync_are_out_after_the_rebalance_timeout() {
    let mut w = World::new(GroupConfig::default());
    let (a, _) = w.enter("g");
    let (b, _) = w.enter("g");
    w.pass(6_000);
    let follower = w.ask(sync("g", &b, 1, &[]));
    for _ in 0..3 {
        w.pass(9_000);
        assert_eq!(w.beat("g", &a, 1), ErrorCode::NONE, "the leader lives, it only never syncs");
    }
    w.pass(3_000);
    assert_eq!(w.synced(follower).error_code, ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(w.beat("g", &a, 1), ErrorCode::UNKNOWN_MEMBER_ID);
    let again = w.ask(join("g", &b));
    assert_eq!((w.joined(again).generation_id, w.joined(again).leader), (2, b));
}

#[test]
fn a_lost_connection_gets_no_answer_and_its_member_stays_until_its_session_ends() {
    let mut w = World::quick();
    let (a, _) = w.stable("g");
    let (b, waiting) = w.enter("g");
    w.gone(waiting);
    let leader = w.ask(join("g", &a));
    assert_eq!((w.joined(leader).generation_id, w.joined(leader).members.len()), (2, 2));
    w.ask(sync("g", &a, 2, &[(&a, "a"), (&b, "b")]));
    w.pass(9_999);
    assert_eq!(w.beat("g", &a, 2), ErrorCode::NONE);
    w.pass(1);
    assert_eq!(w.beat("g", &a, 2), ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn one_wake_does_a_bounded_amount_of_work_and_asks_for_the_next() {
    let mut w = World::quick();
    for number in 0..1_000 {
        w.ask(join(&format!("g{number}"), ""));
    }
    w.now.mono = w.now.mono.after_ms(10_000);
    w.groups.on_wake(w.now);
    let left = w.groups.shards[0].groups.len();
    assert!((500..1_000).contains(&left), "{left}");
    assert!(w.groups.next_deadline().is_some_and(|at| at <= w.now.mono));
    w.pass(0);
    assert_eq!(w.groups.shards[0].groups.len(), 0);
}
