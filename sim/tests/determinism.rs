//! One seed is one story: in one process, in two, and a world that cheats is found out.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::process::Command;

use quipu_sim::plan::Plan;
use quipu_sim::run::run;

fn told(arguments: &[&str]) -> String {
    let ran = Command::new(env!("CARGO_BIN_EXE_quipu-sim")).args(arguments).output().unwrap();
    let told = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{told}");
    told
}

#[test]
fn two_processes_tell_the_same_story() {
    assert!(told(&["determinism", "--seeds", "0..4"]).contains("every hash is the same"));
    let hashes = told(&["hashes", "--seeds", "0..3"]);
    assert_eq!(hashes.lines().collect::<std::collections::BTreeSet<_>>().len(), 3, "{hashes}");
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
