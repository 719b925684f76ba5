//! Stories that chance seldom tells: whole quorums.

use super::world::{TIMES, World};

/// Voters with a leader and a record that all have.
fn settled(voters: i32, seed: u64) -> (World, i32) {
    let mut world = World::new(voters, 0, seed);
    world.run(8_000);
    let leader = world.leader().expect("a leader");
    world.propose(leader);
    world.run(1_000);
    (world, leader)
}

fn others(of: i32, voters: i32) -> Vec<i32> {
    (1..=voters).filter(|id| *id != of).collect()
}

#[test]
fn a_quorum_forms_only_with_all_of_its_voters() {
    let mut world = World::new(3, 0, 1);
    world.crash(3);
    world.run(20_000);
    assert_eq!(world.leader(), None, "the third could have been wiped");
    world.start(3);
    world.run(8_000);
    assert!(world.leader().is_some());
}

#[test]
fn a_wiped_voter_elects_nobody() {
    let (mut world, leader) = settled(3, 2);
    let [behind, wiped] = others(leader, 3)[..] else { unreachable!("three of them") };
    // What is committed now is on the leader and on the one that is about to be wiped.
    world.cut_off(behind);
    world.propose(leader);
    world.run(1_000);
    assert_eq!(world.committed.len(), 3);
    world.crash(leader);
    world.crash(wiped);
    world.wipe(wiped);
    world.start(wiped);
    world.cuts.clear();
    world.run(30_000);
    assert_eq!(world.leader(), None, "a majority of nodes, but not of those that formed the quorum");
    world.start(leader);
    world.run(10_000);
    assert_eq!(world.leader(), Some(leader), "who has it all");
}

#[test]
fn a_leader_that_no_majority_hears_gives_up_and_what_it_took_alone_is_cut() {
    let (mut world, leader) = settled(3, 3);
    world.cut_off(leader);
    world.propose(leader);
    world.run(2_500);
    assert!(world.process(leader).quorum.is_leader(), "it has not missed them for long enough");
    world.run(800);
    assert!(!world.process(leader).quorum.is_leader(), "one and a half fetch time-outs");
    world.run(8_000);
    let next = world.leader().expect("the others have elected one");
    assert_ne!(next, leader);
    world.propose(next);
    world.cuts.clear();
    world.run(10_000);
    let end = world.process(next).log.end();
    assert_eq!((world.process(leader).log.end(), world.process(leader).log.high()), (end, end));
    assert_eq!(world.truncations, 1);
}

#[test]
fn a_node_that_comes_back_disturbs_nobody() {
    let (mut world, leader) = settled(3, 4);
    let away = others(leader, 3)[0];
    let epoch = world.process(leader).quorum.epoch();
    world.cut_off(away);
    world.run(30_000);
    world.cuts.clear();
    world.run(5_000);
    assert_eq!((world.leader(), world.process(leader).quorum.epoch()), (Some(leader), epoch));
    assert_eq!(world.process(away).quorum.leader().map(|id| id.0), Some(leader));
}

#[test]
fn a_leader_that_resigns_has_a_successor_at_once() {
    let (mut world, leader) = settled(5, 5);
    world.resign(leader);
    world.run(100);
    let next = world.leader().expect("no time-out was waited for");
    assert_ne!(next, leader);
    assert!(world.process(leader).quorum.next_deadline().is_some());
}

#[test]
fn voters_that_find_their_leader_gone_elect_another_before_its_silence_is_too_long() {
    for (voters, seed) in [(3, 7), (5, 8)] {
        let (mut world, leader) = settled(voters, seed);
        world.crash(leader);
        others(leader, voters).into_iter().for_each(|id| world.lost(id, leader));
        world.run(300);
        let next = world.leader().expect("no time-out was waited for");
        world.propose(next);
        world.run(300);
        let log = &world.process(next).log;
        assert_eq!((log.high(), next == leader), (log.end(), false));
    }
}

#[test]
fn voters_that_heard_from_a_leader_at_the_same_moment_do_not_all_stand_at_the_same_moment_for_its_place() {
    for seed in 10..40 {
        let (mut world, leader) = settled(3, seed);
        let epoch = world.process(leader).quorum.epoch();
        world.late = 0;
        // The answers to what waits at it leave together.
        world.propose(leader);
        world.run(100);
        world.crash(leader);
        world.run(TIMES.fetch.as_millis() as i64 + 300);
        let next = world.leader().unwrap_or_else(|| panic!("nobody was elected at once, seed {seed}"));
        assert_eq!(world.process(next).quorum.epoch().0, epoch.0 + 1, "seed {seed}");
    }
}

#[test]
fn a_leader_that_some_take_for_gone_stays() {
    let (mut world, leader) = settled(3, 9);
    let epoch = world.process(leader).quorum.epoch();
    let wrong = others(leader, 3)[0];
    world.lost(wrong, leader);
    world.run(5_000);
    assert_eq!((world.leader(), world.process(leader).quorum.epoch()), (Some(leader), epoch));
    assert_eq!(world.process(wrong).quorum.leader().map(|id| id.0), Some(leader), "it follows it again");
}

#[test]
fn an_observer_that_takes_its_leader_for_gone_finds_it_again_though_there_is_nothing_new() {
    let mut world = World::new(3, 1, 11);
    world.run(8_000);
    let leader = world.leader().expect("a leader");
    world.propose(leader);
    world.run(1_000);
    assert!(world.process(4).quorum.has_leader());
    world.lost(4, leader);
    assert!(!world.process(4).quorum.has_leader());
    world.run(2_000);
    assert!(world.process(4).quorum.has_leader(), "it asks more often than a fetch is parked");
}

#[test]
fn a_record_is_committed_once_the_slow_disks_have_it_too() {
    let (mut world, leader) = settled(3, 6);
    let [one, other] = others(leader, 3)[..] else { unreachable!("three of them") };
    world.node(one).slow_us = 1_000_000;
    world.cut_off(other);
    // The first write of a slow disk takes a while; the second waits for it.
    world.propose(leader);
    world.propose(leader);
    world.run(20);
    let (log, theirs) = (&world.process(leader).log, &world.process(one).log);
    assert_eq!(
        (log.flushed(), theirs.end()),
        (log.end(), log.end()),
        "both have it, one of them not on disk"
    );
    assert!(log.high() < log.end());
    world.run(2_200);
    assert_eq!(world.process(leader).log.high(), world.process(leader).log.end());
}
