//! One plan is one story: in one process, in two, and a world that cheats is found out. Many seeds are the suite's step
//! `determinism`.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::process::Command;

use quipu_sim::plan::Plan;
use quipu_sim::run::run;

/// The first seconds of what a seed has planned, all of it dense.
fn short(seed: u64) -> Plan {
    let mut plan = Plan::draw(seed);
    plan.load_ms = plan.load_ms.min(3_000);
    plan.tides.clear();
    plan
}

#[test]
fn two_processes_tell_the_same_story() {
    let path = std::env::temp_dir().join(format!("quipu-sim-plan-{}.json", std::process::id()));
    std::fs::write(&path, serde_json::to_string(&short(11)).unwrap()).unwrap();
    let told = || {
        let ran = Command::new(env!("CARGO_BIN_EXE_quipu-sim"))
            .args(["run", "--trace", "--plan"])
            .arg(&path)
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8_lossy(&ran.stdout).into_owned()
    };
    let (first, second) = (told(), told());
    std::fs::remove_file(&path).unwrap();
    assert!(first.lines().count() > 20, "{first}");
    assert_eq!(first, second);
}

#[test]
fn one_process_tells_the_same_story_twice() {
    for seed in [11, 12] {
        assert_eq!(run(short(seed), false), run(short(seed), false), "seed {seed}");
    }
}

/// A canary: chance that does not come from the seed must show in the hash.
#[test]
fn a_world_with_chance_of_its_own_is_found_out() {
    let cheat = || {
        let mut plan = short(13);
        plan.weather.spread_us += 1 + RandomState::new().hash_one(7) % 1_000_000;
        run(plan, false).hash
    };
    assert_ne!(cheat(), cheat());
}
