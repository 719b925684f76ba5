//! `quipu-sim run`: one plan, told as a story if wanted.

use std::path::Path;

use super::failure;
use crate::plan::Plan;
use crate::plan::brokers::Brokers;
use crate::run;

/// The plan of a seed, or of a file.
pub(super) fn plan_of(seed: Option<(u64, Brokers)>, file: Option<&Path>) -> Result<Plan, String> {
    match (file, seed) {
        (Some(path), _) => {
            let text = std::fs::read_to_string(path)
                .map_err(|e| format!("the plan {} cannot be read: {e}", path.display()))?;
            serde_json::from_str(&text).map_err(|e| format!("{} is no plan: {e}", path.display()))
        }
        (None, Some((seed, brokers))) => Ok(brokers.plan(seed)),
        (None, None) => Err("a seed or a plan is needed: --seed N or --plan FILE".to_string()),
    }
}

/// Runs it. Whether all claims held.
pub(super) fn run(plan: Plan, trace: bool, show_plan: bool) -> Result<bool, String> {
    if show_plan {
        println!("{}", written(&plan));
        return Ok(true);
    }
    let outcome = run::run(plan.clone(), trace);
    println!(
        "seed {}: {:.1} simulated seconds, {} events, {} steps of brokers, {} elections, {} records acknowledged, {} read, {} faults, hash {:016x}",
        plan.seed,
        outcome.seconds,
        outcome.events,
        outcome.steps,
        outcome.elections,
        outcome.acknowledged,
        outcome.read,
        outcome.struck.values().sum::<u64>(),
        outcome.hash
    );
    if let Some(why) = outcome.discarded {
        println!("it proves nothing: {why}");
    }
    match &outcome.broken {
        None => Ok(true),
        Some(broken) => {
            failure::print(&plan, broken, false);
            Ok(false)
        }
    }
}

/// A plan as it is written to files.
pub(super) fn written(plan: &Plan) -> String {
    serde_json::to_string_pretty(plan).expect("a plan can be written")
}
