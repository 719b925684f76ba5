//! One seed is one story: in one process, in two, and a world that cheats is found out.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::process::Command;

use quipu_sim::plan::Plan;
use quipu_sim::run::run;

fn hash_of_all(seeds: &str) -> String {
    let ran =
        Command::new(env!("CARGO_BIN_EXE_quipu-sim")).args(["sweep", "--seeds", seeds]).output().unwrap();
    let told = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{told}");
    let (_, hash) = told.split_once("hash of all ").expect("a hash is printed");
    hash.lines().next().unwrap_or_default().to_string()
}

#[test]
fn two_processes_tell_the_same_story() {
    let first = hash_of_all("0..2");
    assert_eq!(first.len(), 16);
    assert_eq!(first, hash_of_all("0..2"));
    assert_ne!(first, hash_of_all("2..3"));
}

#[test]
fn one_process_tells_the_same_story_twice() {
    for seed in [11, 12] {
        assert_eq!(run(Plan::draw(seed), false), run(Plan::draw(seed), false), "seed {seed}");
    }
}

/// A canary: chance that does not come from the seed must show in the hash.
#[test]
fn a_world_with_chance_of_its_own_is_found_out() {
    let cheat = || {
        let mut plan = Plan::draw(13);
        plan.weather.spread_us += 1 + RandomState::new().hash_one(7) % 1_000_000;
        run(plan, false).hash
    };
    assert_ne!(cheat(), cheat());
}
