//! Scenarios: each transcript comes out as it is written.
//!
//! With `SCENARIOS_REWRITE=1` the test writes what happens now into the files; the difference is then read like any other.

use std::fs;
use std::path::Path;

use quipu_sim::scenarios::{Cast, Departure, Scenario};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

/// Plays all of a kind, and says where what happens now is not what happened; or writes it there. One that cannot be played to its
/// end does not keep the rest from it.
fn compare(cast: Cast, at_least: usize) {
    let scenarios = Scenario::all(root(), cast).expect("the scenarios");
    assert!(scenarios.len() >= at_least, "there are scenarios to play");
    let wrong: Vec<String> = scenarios.iter().filter_map(|scenario| differs(scenario).err()).collect();
    assert!(wrong.is_empty(), "{} of {} scenarios:\n{}", wrong.len(), scenarios.len(), wrong.join("\n"));
}

fn differs(scenario: &Scenario) -> Result<(), String> {
    println!("{}", scenario.path.display());
    // Read only where a test fails: how far it came.
    let heard = |line: &str| println!("{line}");
    let departs = |departure: Departure| format!("{}: {departure}", scenario.name);
    if std::env::var_os("SCENARIOS_REWRITE").is_some() {
        let now = scenario.play(heard).map_err(departs)?;
        fs::write(&scenario.path, now).expect("the scenario can be written");
        return Ok(());
    }
    scenario.departure(heard).map_or(Ok(()), |departure| Err(departs(departure)))
}

#[test]
fn every_scenario_happens_as_it_is_written() {
    compare(Cast::Alone, 4);
}

#[test]
fn every_scenario_of_several_brokers_happens_as_it_is_written() {
    compare(Cast::Cluster, 32);
}

#[test]
fn a_scenario_that_goes_otherwise_is_seen() {
    let of = |text: &str, cast| Scenario { name: "x".into(), path: "x.txt".into(), text: text.into(), cast };
    for (text, cast) in [
        ("start\n----\nit sleeps\n\n", Cast::Alone),
        ("cluster 3\n----\n1 | leads everything\n\n", Cast::Cluster),
    ] {
        let departure = of(text, cast).departure(|_| {});
        assert!(matches!(departure, Some(Departure::Differs { line: 3, .. })), "{departure:?}");
    }
    let departure = of("dance\n----\n\n", Cast::Cluster).departure(|_| {});
    assert!(matches!(departure, Some(Departure::Stuck { .. })), "{departure:?}");
}

#[test]
fn a_scenario_is_found_by_its_name_whoever_plays_it() {
    let cast = |name: &str| Scenario::named(root(), name).map(|scenario| scenario.cast);
    assert_eq!(cast("figure-8"), Ok(Cast::Cluster));
    assert_eq!(cast("recovery"), Ok(Cast::Alone));
    assert!(cast("figure-9").is_err_and(|why| why.contains("no transcript figure-9.txt in tests/scenarios")));
}
