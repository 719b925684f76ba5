//! Faults at random: what is committed stays, no epoch has two leaders, and once all is healed everybody agrees.

use super::world::World;

/// Faults before a world is healed.
const FAULTS: u64 = 25;
const SEEDS: u64 = 150;

fn strike(world: &mut World, nodes: u64) {
    let id = world.draw(nodes) as i32 + 1;
    match world.draw(14) {
        0 | 1 => world.crash(id),
        2 | 3 if world.node(id).process.is_none() => world.start(id),
        2 => (1..=nodes as i32).for_each(|id| world.crash(id)),
        3 | 4 => {
            let other = world.draw(nodes) as i32 + 1;
            world.cuts.insert((id, other));
            if world.draw(2) == 0 {
                world.cuts.insert((other, id));
            }
        }
        5 | 6 => world.cuts.clear(),
        7 => {
            let ms = world.draw(5_000) as i64;
            world.pause(id, ms);
        }
        8 => world.node(id).slow_us = [200, 30_000, 900_000][id as usize % 3],
        9 => (world.loss, world.doubles) = (world.draw(30), world.draw(30)),
        10 => world.resign_leader(),
        11 => {
            // A leader that nobody hears goes on for a while, and nothing comes of it.
            if let Some(leader) = world.leader() {
                world.cut_off(leader);
                (0..3).for_each(|_| world.propose(leader));
            }
        }
        12 => {
            let gone = world.draw(nodes) as i32 + 1;
            (1..=nodes as i32).filter(|other| *other != gone).for_each(|other| world.lost(other, gone));
        }
        _ => (1..=nodes as i32).filter(|id| id % 2 == 0).for_each(|id| world.crash(id)),
    }
}

/// A round without snapshots, or with them.
fn round(seed: u64, snapshots: bool) -> World {
    let voters = [1, 3, 3, 5][seed as usize % 4];
    let nodes = voters + (seed / 4 % 3) as i32;
    let mut world = World::new(voters, nodes - voters, seed);
    world.run(6_000);
    for _ in 0..FAULTS {
        strike(&mut world, nodes as u64);
        for _ in 0..world.draw(6) {
            let ms = world.draw(500) as i64;
            world.run(ms);
            for id in 1..=nodes {
                if snapshots && world.draw(3) == 0 {
                    world.keep_snapshot(id);
                }
                if world.node(id).process.as_ref().is_some_and(|p| p.quorum.is_leader()) {
                    world.propose(id);
                }
            }
        }
        let ms = world.draw(3_000) as i64;
        world.run(ms);
    }
    world.heal();
    world.run(30_000);
    let story = |world: &World| world.story.join("\n");
    let leader = world.leader().unwrap_or_else(|| panic!("seed {seed}: nobody leads\n{}", story(&world)));
    world.propose(leader);
    world.run(3_000);
    let end = world.process(leader).log.end();
    for id in 1..=nodes {
        let log = &world.process(id).log;
        let marks = (log.end(), log.high(), log.flushed());
        assert_eq!(marks, (end, end, end), "seed {seed}: {id} is behind {leader}\n{}", story(&world));
    }
    assert_eq!(world.committed.len() as i64, end.0);
    for id in 1..=nodes {
        assert_eq!(world.process(id).facts(), world.committed, "seed {seed}: {id} has another history");
    }
    world
}

#[test]
fn what_is_committed_stays_and_all_agree_in_the_end() {
    let mut sums = (0, 0);
    for seed in 0..SEEDS {
        let world = round(seed, false);
        sums = (sums.0 + world.elections, sums.1 + world.truncations);
    }
    assert!(sums.1 > 0 && sums.0 > SEEDS as usize * 2, "nothing happened: {sums:?}");
}

#[test]
fn the_same_holds_where_everybody_trims_its_log_and_some_must_go_on_from_anothers_snapshot() {
    let (mut trims, mut caught_up, mut truncations, mut replaced) = (0, 0, 0, 0);
    for seed in 0..SEEDS {
        let world = round(seed, true);
        trims += world.trims;
        caught_up += world.caught_up;
        truncations += world.truncations;
        replaced += world.replaced;
    }
    let all = (trims, caught_up, truncations, replaced);
    assert!(trims > 1_000 && caught_up > 50 && truncations > 0 && replaced > 0, "nothing happened: {all:?}");
}
