//! Offset retention (KIP-211), and offsets of topics that are gone.

use super::*;

const DAY: u64 = 24 * 3_600_000;
const CHECK: u64 = 600_000;

fn keep_alive(w: &mut World, id: &str, generation: i32, days: u64) {
    for _ in 0..days * DAY / 1_500_000 {
        w.pass(1_500_000);
        assert_eq!(w.beat("g", id, generation), ErrorCode::NONE);
    }
}

/// A stable group whose session outlasts half an hour, with an offset in t-0.
fn patient(w: &mut World, topics: &[&str]) -> (String, i32) {
    let patient = |id: &str| JoinGroupRequest {
        session_timeout_ms: 1_800_000,
        protocols: vec![protocol("range", subscription(topics))],
        ..join("g", id)
    };
    let number = w.ask_in(3, patient(""));
    let joined = w.joined(number);
    let (id, generation) = (joined.member_id, joined.generation_id);
    w.ask(sync("g", &id, generation, &[]));
    assert_eq!(w.commit("g", &id, generation), ErrorCode::NONE);
    (id, generation)
}

#[test]
fn offsets_in_topics_that_members_read_do_not_expire_and_others_do() {
    for (topics, expected) in [(["t"], 7), (["u"], -1)] {
        let mut w = World::quick();
        let (id, generation) = patient(&mut w, &topics);
        keep_alive(&mut w, &id, generation, 8);
        assert_eq!(w.fetched("g"), expected, "{topics:?}");
    }
}

#[test]
fn an_empty_group_keeps_its_offsets_for_seven_days_from_when_it_became_empty() {
    let mut w = World::quick();
    let (id, generation) = patient(&mut w, &["t"]);
    keep_alive(&mut w, &id, generation, 8);
    w.leave("g", &id, None);
    w.pass(7 * DAY - CHECK);
    assert_eq!(w.fetched("g"), 7);
    w.fail_over();
    w.pass(CHECK / 2);
    assert_eq!(w.fetched("g"), 7, "a reload does not shorten it");
    w.pass(2 * CHECK);
    assert_eq!((w.fetched("g"), w.state("g").as_str()), (-1, "Dead"));
}

#[test]
fn a_group_that_is_found_empty_as_old_offsets_are_looked_for_keeps_its_offsets() {
    let daily = GroupConfig {
        initial_rebalance_delay_ms: 0,
        offsets_retention_check_interval_ms: DAY as i64,
        ..GroupConfig::default()
    };
    let mut w = World::new(daily);
    let (id, generation) = patient(&mut w, &["t"]);
    keep_alive(&mut w, &id, generation, 9);
    w.pass(1_000_000);
    assert_eq!(w.beat("g", &id, generation), ErrorCode::NONE);
    // The broker stands still: its member's session ends, and then a look for old offsets is due, in one and the same wake.
    w.stand_still(DAY);
    w.pass(1);
    assert_eq!((w.fetched("g"), w.state("g").as_str()), (7, "Empty"));
    w.pass(6 * DAY);
    assert_eq!(w.fetched("g"), 7);
    w.pass(2 * DAY);
    assert_eq!((w.fetched("g"), w.state("g").as_str()), (-1, "Dead"));
}

#[test]
fn offsets_without_a_group_expire_seven_days_after_their_commit() {
    let mut w = World::quick();
    w.commit("g", "", -1);
    w.pass(4 * DAY);
    w.commit("g", "", -1);
    w.pass(6 * DAY);
    assert_eq!(w.fetched("g"), 7);
    w.pass(DAY + CHECK);
    assert_eq!((w.fetched("g"), w.state("g").as_str()), (-1, "Dead"));
}

#[test]
fn a_retention_that_an_old_client_asked_for_is_kept_over_a_failover() {
    let mut w = World::quick();
    let request = oc::OffsetCommitRequest { retention_time_ms: 3_600_000, ..commit("g", "", -1) };
    w.ask_in(4, request);
    w.fail_over();
    w.pass(3_600_000 - CHECK);
    assert_eq!(w.fetched("g"), 7);
    w.pass(2 * CHECK);
    assert_eq!(w.fetched("g"), -1);
}

#[test]
fn a_long_look_for_expired_offsets_is_cut_into_pieces() {
    let mut w = World::quick();
    for number in 0..350 {
        w.commit(&format!("g{number}"), "", -1);
    }
    w.now.mono = w.now.mono.after_ms(CHECK as i64);
    w.now.wall.0 += 8 * DAY as i64;
    let decision = w.groups.on_wake(w.now);
    let first = decision.facts.len();
    w.absorb(decision);
    assert_eq!(first, 100);
    w.pass(1);
    assert!(w.groups.shards[0].groups.is_empty());
}

#[test]
fn offsets_die_with_their_topic() {
    let mut w = World::with_shards(GroupConfig::default(), 5);
    for group in ["g", "h", "k"] {
        w.commit(group, "", -1);
    }
    w.topics.0.remove("t");
    let decision = w.groups.topic_deleted(w.now, "t");
    assert_eq!(decision.facts.len(), 3);
    w.absorb(decision);
    w.topics.0.insert("t".into(), 4);
    assert_eq!(["g", "h", "k"].map(|g| w.fetched(g)), [-1, -1, -1], "a topic of the same name begins anew");
}

#[test]
fn offsets_of_a_topic_deleted_while_nobody_led_the_shard_are_forgotten_at_the_load() {
    let mut w = World::quick();
    w.commit("g", "", -1);
    w.topics.0.remove("t");
    w.fail_over();
    w.topics.0.insert("t".into(), 4);
    assert_eq!(w.fetched("g"), -1);
    w.fail_over();
    assert_eq!(w.fetched("g"), -1);
}
