//! Faults at random: what is committed stays, every epoch has one leader, and once all is healed everybody is in sync.

use super::node::log_id;
use super::world::World;
use crate::ids::BrokerId;

/// Faults before a world is healed.
const FAULTS: u64 = 30;
const SEEDS: u64 = 80;
const BROKERS: u64 = 3;
const LOGS: u64 = 2;

fn strike(world: &mut World) {
    let id = world.draw(BROKERS) as i32 + 1;
    let log = log_id(world.draw(LOGS) as u8);
    match world.draw(17) {
        0 => world.crash(id, false),
        1 => world.crash(id, true),
        2..=4 => {
            let down = (1..=BROKERS as i32).filter(|id| world.node(*id).process.is_none());
            down.collect::<Vec<_>>().into_iter().for_each(|id| world.start(id));
        }
        5 => (1..=BROKERS as i32).for_each(|id| world.crash(id, true)),
        6 => {
            world.crash(id, true);
            world.start(id);
        }
        7 => {
            let other = world.draw(BROKERS + 1) as i32;
            world.cuts.insert((id, other));
            if world.draw(2) == 0 {
                world.cuts.insert((other, id));
            }
        }
        8 => world.cut_off(id),
        9 | 10 => world.cuts.clear(),
        11 => world.node(id).paused = world.now.after_ms(id as i64 * 1_500),
        12 => world.node(id).slow_us = [200, 30_000, 900_000, 5_000_000][world.draw(4) as usize],
        13 => (world.loss, world.doubles) = (world.draw(25), world.draw(25)),
        14 => {
            let turn = world.draw(BROKERS) as usize;
            world.controller.move_leader(log, turn);
            world.announce();
        }
        15 => {
            // It lives, and comes back with its next heartbeat.
            world.controller.fence(BrokerId(id));
            world.announce();
        }
        _ => {
            if let Some(leader) = world.leader(log) {
                world.trim(leader, log);
            }
        }
    }
}

/// One world, to its end.
pub(super) fn round(seed: u64) -> World {
    let mut world = World::new(BROKERS as i32, LOGS as u8, seed);
    world.min_isr = 1 + (seed % 2) as usize;
    world.run(2_000);
    for _ in 0..FAULTS {
        strike(&mut world);
        for _ in 0..world.draw(8) {
            let ms = world.draw(300) as i64;
            world.run(ms);
            for id in 1..=BROKERS as i32 {
                for log in 0..LOGS as u8 {
                    world.produce(id, log_id(log));
                }
            }
        }
        let ms = world.draw(2_500) as i64;
        world.run(ms);
    }
    world.heal();
    world.run(20_000);
    for log in 0..LOGS as u8 {
        let leader = world.leader(log_id(log)).unwrap_or_else(|| panic!("nobody leads\n{}", world.told()));
        assert!(world.produce(leader, log_id(log)), "too few are in sync\n{}", world.told());
    }
    world.run(3_000);
    world.check_converged();
    world
}

#[test]
fn what_is_committed_stays_and_all_are_in_sync_in_the_end() {
    let mut sums = [0; 7];
    for seed in 0..SEEDS {
        let seen = round(seed).seen;
        let isr = [seen.shrinks, seen.expansions, seen.deletions];
        let of = [seen.acked, seen.elections, seen.cuts, seen.restarts].into_iter().chain(isr);
        sums.iter_mut().zip(of).for_each(|(sum, n)| *sum += n);
    }
    assert!(sums.iter().all(|sum| *sum > SEEDS as usize / 10), "too little happened: {sums:?}");
}

#[test]
fn the_same_seed_is_the_same_story() {
    assert_eq!(round(7).story, round(7).story);
}
