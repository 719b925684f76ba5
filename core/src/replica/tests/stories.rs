//! Stories that chance seldom tells: brokers, a controller and what is under way between them.

use super::node::{Role, log_id};
use super::world::{CONTROLLER, Flight, Talk, World};
use crate::ids::{BrokerId, LogId, Offset};
use crate::replica::messages::News;

const MS: i64 = 1;

fn log() -> LogId {
    log_id(0)
}

/// Three brokers, all in sync, with a record that all have. Who leads, and who follows.
fn settled(seed: u64) -> (World, i32, [i32; 2]) {
    let mut world = World::new(3, 1, seed);
    world.run(3_000);
    let leader = world.leader(log()).expect("a leader");
    assert!(world.produce(leader, log()));
    world.run(1_000);
    assert_eq!(committed(&world), 1);
    let others: Vec<i32> = (1..=3).filter(|id| *id != leader).collect();
    (world, leader, others.try_into().expect("two of them"))
}

fn committed(world: &World) -> usize {
    world.ghosts[&log()].committed.len()
}

fn isr(world: &World) -> Vec<i32> {
    let mut isr: Vec<i32> = world.controller.image.partitions[&log()].isr.iter().map(|id| id.0).collect();
    isr.sort_unstable();
    isr
}

/// All is healed, and everybody comes to have the same.
fn ends_well(mut world: World) -> World {
    world.heal();
    world.run(15_000);
    let leader = world.leader(log()).expect("a leader");
    assert!(world.produce(leader, log()));
    world.run(1_000);
    world.check_converged();
    world
}

/// Takes what is under way and matches out of the network.
fn intercept(world: &mut World, which: impl Fn(&Flight) -> bool) -> Vec<Flight> {
    let keys: Vec<_> = world.flights.iter().filter(|(_, f)| which(f)).map(|(key, _)| *key).collect();
    keys.into_iter().map(|key| world.flights.remove(&key).expect("it is there")).collect()
}

#[test]
fn a_leader_that_was_cut_off_cuts_what_it_wrote_alone_by_epoch() {
    // KIP-101: nothing that is committed goes, whatever the high watermark that the old leader knows.
    let (mut world, old, _) = settled(1);
    world.cut_off(old);
    (0..3).for_each(|_| assert!(world.produce(old, log())));
    world.run(4_000);
    let new = world.leader(log()).expect("another leader");
    assert_ne!(new, old);
    (0..2).for_each(|_| assert!(world.produce(new, log())));
    world.run(500);
    assert_eq!(committed(&world), 3);
    let world = ends_well(world);
    assert_eq!((world.seen.cuts, committed(&world)), (1, 4));
}

#[test]
fn a_follower_that_knows_an_old_high_watermark_keeps_what_it_has_and_can_lead() {
    // KIP-101: it restarts before it hears that its records are committed, and then the leader dies.
    let (mut world, leader, [one, other]) = settled(2);
    world.crash(other, false);
    world.run(3_000);
    assert!(world.produce(leader, log()));
    while committed(&world) < 2 {
        world.run(MS);
    }
    assert!(world.replica(one, log()).log.high() < Offset(2), "it has not heard");
    world.crash(one, true);
    world.start(one);
    world.run(2_000);
    assert_eq!(isr(&world).len(), 2);
    world.crash(leader, true);
    world.run(4_000);
    assert_eq!((world.leader(log()), world.seen.cuts), (Some(one), 0));
    assert_eq!(committed(&ends_well(world)), 3);
}

#[test]
fn a_diverging_answer_that_comes_again_later_cuts_nothing() {
    let (mut world, old, _) = settled(3);
    world.cut_off(old);
    (0..3).for_each(|_| assert!(world.produce(old, log())));
    world.run(4_000);
    world.cuts.clear();
    let diverging = |f: &Flight| {
        let Talk::Answer(answer) = &f.talk else { return false };
        answer.partitions.iter().any(|(_, answer)| matches!(answer.news, News::Diverging(_)))
    };
    let stale = loop {
        if let Some(found) = intercept(&mut world, diverging).pop() {
            break found;
        }
        world.run(MS);
    };
    let copy = |f: &Flight| Flight { from: f.from, to: f.to, talk: f.talk.clone() };
    world.fly(world.now, copy(&stale));
    world.run(2_000);
    let leader = world.leader(log()).expect("a leader");
    (0..4).for_each(|_| assert!(world.produce(leader, log())));
    world.run(1_000);
    assert_eq!((world.seen.cuts, isr(&world).len()), (1, 3));
    let end = world.replica(old, log()).log.end();
    world.fly(world.now, copy(&stale));
    world.run(100);
    assert_eq!((world.seen.cuts, world.replica(old, log()).log.end()), (1, end));
    // The same in its next run, whose fetches are numbered alike.
    world.crash(old, true);
    world.start(old);
    for _ in 0..200 {
        world.fly(world.now, copy(&stale));
        world.run(MS);
    }
    assert_eq!((world.seen.cuts, world.replica(old, log()).log.end()), (1, end));
    ends_well(world);
}

#[test]
fn the_high_watermark_waits_for_a_follower_that_is_about_to_be_let_in() {
    // KIP-497: the expansion is under way, its member dies, and the controller lets it in all the same.
    let (mut world, leader, [_, away]) = settled(4);
    world.crash(away, false);
    world.run(4_000);
    assert_eq!(isr(&world).len(), 2);
    world.start(away);
    let expands = |f: &Flight| matches!(&f.talk, Talk::Propose(_, _, p) if p.isr.len() == 3);
    let proposal = loop {
        if let Some(found) = intercept(&mut world, expands).pop() {
            break found;
        }
        world.run(MS);
    };
    world.cuts.insert((leader, CONTROLLER));
    let before = committed(&world);
    world.node(away).paused = world.now.after_ms(1_500);
    assert!(world.produce(leader, log()));
    world.run(600);
    assert_eq!(committed(&world), before, "it may be in sync already");
    world.fly(world.now, proposal);
    world.run(MS * 5);
    assert_eq!(isr(&world).len(), 3);
    world.crash(leader, true);
    assert_eq!(committed(&ends_well(world)), before + 1 + 1, "what the leader had is not lost either");
}

#[test]
fn a_proposal_that_comes_true_late_finds_that_its_member_has_been_waited_for() {
    // The member is fenced and is back before the proposal arrives: the partition epoch has not moved meanwhile.
    let (mut world, leader, [_, away]) = settled(12);
    world.crash(away, false);
    world.run(4_000);
    world.start(away);
    let expands = |f: &Flight| matches!(&f.talk, Talk::Propose(_, _, p) if p.isr.len() == 3);
    let proposal = loop {
        if let Some(found) = intercept(&mut world, expands).pop() {
            break found;
        }
        world.run(MS);
    };
    world.cuts.extend([(leader, CONTROLLER), (away, CONTROLLER)]);
    world.node(away).paused = world.now.after_ms(600);
    world.controller.fence(BrokerId(away));
    world.announce();
    world.run(20);
    let before = committed(&world);
    assert!(world.produce(leader, log()));
    world.run(400);
    assert_eq!(committed(&world), before);
    world.cuts.clear();
    world.cuts.insert((leader, away));
    world.run(600);
    assert!(world.controller.image.alive.contains_key(&BrokerId(away)));
    world.fly(world.now, proposal);
    world.run(MS * 5);
    assert_eq!(isr(&world).len(), 3);
    ends_well(world);
}

#[test]
fn a_change_of_the_in_sync_replicas_that_races_a_change_of_leaders_comes_to_nothing() {
    let (mut world, leader, [_, away]) = settled(5);
    world.crash(away, false);
    let shrinks = |f: &Flight| matches!(&f.talk, Talk::Propose(_, _, p) if p.isr.len() < 3);
    world.cuts.insert((away, CONTROLLER));
    assert!(world.produce(leader, log()));
    world.run(1_900);
    world.start(away);
    world.cuts.clear();
    world.node(away).slow_us = 9_000_000;
    for _ in 0..50 {
        world.produce(leader, log());
        world.run(100);
    }
    let mut late = intercept(&mut world, shrinks);
    world.controller.move_leader(log(), 1);
    world.announce();
    late.into_iter().for_each(|flight| world.fly(world.now, flight));
    world.run(500);
    let next = world.leader(log()).expect("a leader");
    late = intercept(&mut world, |f| matches!(f.talk, Talk::Propose(..)));
    world.controller.move_leader(log(), 1);
    world.announce();
    late.into_iter().for_each(|flight| world.fly(world.now, flight));
    world.run(500);
    assert!(world.produce(next, log()) || world.leader(log()) != Some(next));
    ends_well(world);
}

#[test]
fn the_last_one_in_sync_loses_nothing_with_its_power() {
    // What it has acknowledged alone it has flushed; what it has not flushed was never committed.
    let (mut world, leader, others) = settled(6);
    others.into_iter().for_each(|id| world.crash(id, true));
    world.run(3_000);
    assert_eq!(isr(&world), [leader]);
    assert!(world.produce(leader, log()));
    world.run(100);
    assert_eq!(committed(&world), 2);
    world.node(leader).slow_us = 60_000_000;
    (0..5).for_each(|_| assert!(world.produce(leader, log())));
    world.run(100);
    assert_eq!(committed(&world), 2);
    world.crash(leader, true);
    others.into_iter().for_each(|id| world.start(id));
    world.run(5_000);
    assert_eq!(world.leader(log()), None, "the others lack what is committed");
    let world = ends_well(world);
    assert!(committed(&world) >= 3);
}

#[test]
fn who_ends_below_the_leaders_start_begins_anew() {
    let (mut world, leader, [_, away]) = settled(7);
    world.crash(away, false);
    world.run(3_000);
    (0..5).for_each(|_| assert!(world.produce(leader, log())));
    world.run(1_000);
    world.trim(leader, log());
    world.start(away);
    world.run(3_000);
    assert_eq!((world.seen.restarts, world.replica(away, log()).log.start()), (1, Offset(6)));
    assert_eq!(isr(&world).len(), 3);
    ends_well(world);
}

#[test]
fn who_has_begun_anew_is_not_in_sync_before_its_disk_has_too() {
    let (mut world, leader, [_, away]) = settled(8);
    world.crash(away, false);
    world.run(3_000);
    (0..5).for_each(|_| assert!(world.produce(leader, log())));
    world.run(1_000);
    world.trim(leader, log());
    world.node(away).slow_us = 1_000_000_000;
    world.start(away);
    world.run(1_000);
    // Even in the next epoch.
    world.controller.move_leader(log(), 0);
    world.announce();
    world.run(2_000);
    assert_eq!((world.seen.restarts, isr(&world).len()), (1, 2));
    world.crash(away, true);
    ends_well(world);
}

#[test]
fn a_disk_that_stalls_leaves_the_in_sync_replicas_and_comes_back() {
    let (mut world, leader, [_, slow]) = settled(9);
    world.node(slow).slow_us = 60_000_000;
    for _ in 0..10 {
        assert!(world.produce(leader, log()));
        world.run(500);
    }
    assert_eq!(isr(&world).len(), 2);
    assert!(world.replica(slow, log()).log.end() > world.replica(slow, log()).log.flushed());
    assert!(committed(&world) >= 10, "the others go on");
    world.crash(slow, true);
    ends_well(world);
}

#[test]
fn a_leader_that_restarts_fast_leads_in_another_epoch() {
    // With its unflushed end gone, the same offsets would hold other records in the same epoch.
    let (mut world, leader, _) = settled(10);
    world.node(leader).slow_us = 60_000_000;
    (0..3).for_each(|_| assert!(world.produce(leader, log())));
    world.run(20);
    let epoch = world.controller.image.partitions[&log()].epoch;
    world.crash(leader, true);
    world.start(leader);
    world.node(leader).slow_us = 3_000;
    world.run(2_000);
    assert!(world.controller.image.partitions[&log()].epoch > epoch);
    let leads = |id: i32| matches!(world.replica(id, log()).role, Role::Leads(_));
    assert_eq!((1..=3).filter(|id| leads(*id)).count(), 1);
    assert!(world.controller.image.partitions[&log()].leader.is_some_and(|id| id != BrokerId(leader)));
    ends_well(world);
}

#[test]
fn with_two_demanded_a_leader_alone_commits_nothing() {
    let (mut world, leader, others) = settled(11);
    world.min_isr = 2;
    assert!(world.produce(leader, log()));
    others.into_iter().for_each(|id| world.crash(id, true));
    let before = committed(&world);
    world.run(5_000);
    assert_eq!((isr(&world), committed(&world)), (vec![leader], before));
    assert!(!world.produce(leader, log()), "nor does it take anything");
    ends_well(world);
}
