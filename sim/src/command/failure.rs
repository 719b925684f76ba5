//! What is printed when a claim breaks: all that somebody needs to see it break again.

use std::process::Command;

use super::{run, shrink};
use crate::plan::Plan;
use crate::watch::Broken;

/// Prints a failure, with the smallest plan that still fails if `small` is wanted.
pub(super) fn print(plan: &Plan, broken: &Broken, small: bool) {
    println!("\nCLAIM BROKEN  {}: {}", broken.claim, broken.says);
    println!("  story    {}", broken.story);
    println!("  seed     {}", plan.seed);
    println!("  commit   {}", commit());
    let brokers = plan.servers.len();
    let among = if brokers > 1 { format!(" --brokers {brokers}") } else { String::new() };
    println!("  again    quipu-sim run --seed {}{among} --trace", plan.seed);
    if small {
        let shrunk = shrink::shrink(plan.clone(), broken.claim);
        println!(
            "  shrunk   {} of {} faults, {} of {} clients, {} of {} ms",
            shrunk.faults.len(),
            plan.faults.len(),
            shrunk.users.len(),
            plan.users.len(),
            shrunk.load_ms,
            plan.load_ms
        );
        println!("           as a plan for `quipu-sim run --plan FILE --trace`:\n{}", run::written(&shrunk));
    }
}

/// The commit that this was run on, as far as git knows.
fn commit() -> String {
    let asked = Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12"]).output();
    let told = asked
        .ok()
        .filter(|o| o.status.success())
        .map(|o| String::from_utf8_lossy(&o.stdout).trim().to_string());
    told.unwrap_or_else(|| "unknown".to_string())
}
