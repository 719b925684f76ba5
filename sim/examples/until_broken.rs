//! Runs every so manieth seed of a range until a claim breaks, and prints which: what a seeded bug is judged by.

use quipu_sim::plan::Plan;
use quipu_sim::run::run;

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let [from, to, step] = numbers[..] else { panic!("usage: until_broken FROM TO STEP") };
    // A panic is a claim that breaks; its words are in the story.
    std::panic::set_hook(Box::new(|_| {}));
    for seed in (from..to).step_by(step.max(1) as usize) {
        if let Some(broken) = run(Plan::draw(seed), false).broken {
            let told = serde_json::json!({ "seed": seed, "claim": broken.claim, "story": broken.story });
            return println!("{told}");
        }
    }
}
