//! One run from its plan to its verdict.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::claims::history;
use crate::history::{Fate, History};
use crate::panics;
use crate::plan::Plan;
use crate::probe::{self, Counts};
use crate::watch::Broken;
use crate::world::World;

/// What a run came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The first claim that broke, if one did.
    pub broken: Option<Broken>,
    /// The hash of everything that happened.
    pub hash: u64,
    /// Seconds of simulated time.
    pub seconds: f64,
    /// Things that happened.
    pub events: u64,
    /// Steps of brokers.
    pub steps: u64,
    /// Elections won in the metadata quorum of several brokers.
    pub elections: u64,
    /// Records acknowledged.
    pub acknowledged: u64,
    /// Records read.
    pub read: u64,
    /// What clients did and were told: records sent, polls, commits, deletions, offsets asked for and seen.
    pub operations: u64,
    /// How often each kind of fault struck.
    pub struck: BTreeMap<&'static str, u64>,
    /// How often each rare situation of [`probe::NAMES`] came up.
    pub probes: Counts<&'static str>,
    /// How often each kind of fault struck while each kind of thing was under way.
    pub crossings: Counts<(&'static str, &'static str)>,
    /// Why the run says nothing, if so little happened in it.
    pub discarded: Option<&'static str>,
}

/// Fewer acknowledged records than this prove nothing.
const LEAST_ACKNOWLEDGED: usize = 10;

/// Fewer elections than this prove nothing where nobody does anything but elect.
const LEAST_ELECTIONS: u64 = 2;

/// Runs a plan. A panic is a claim that broke, too.
pub fn run(plan: Plan, aloud: bool) -> Outcome {
    probe::take();
    let mut world = World::new(plan, aloud);
    let ran = catch_unwind(AssertUnwindSafe(|| world.run()));
    let broken = match ran {
        Ok(broken) => broken.or_else(|| check_history(&world)),
        Err(panic) => Some(Broken {
            claim: "P1",
            says: "nothing panics",
            story: panics::last().unwrap_or_else(|| told(&*panic)),
        }),
    };
    let (probes, crossings) = probe::take();
    Outcome {
        broken,
        probes,
        crossings,
        hash: world.watch.trace.hash(),
        seconds: world.seconds(),
        events: world.events(),
        steps: world.watch.steps,
        elections: world.watch.elections(),
        acknowledged: world.history.acknowledged() as u64,
        read: world.history.polls.iter().map(|p| p.records.len() as u64).sum(),
        operations: world.history.operations() as u64,
        struck: world.struck.clone(),
        discarded: guard(&world),
    }
}

/// Why a run in which nothing broke says little: a claim that nothing was held against holds of itself.
fn guard(world: &World) -> Option<&'static str> {
    if world.plan().users.is_empty() {
        return (world.watch.elections() < LEAST_ELECTIONS).then_some("hardly anybody was elected");
    }
    let History { sends, logs, .. } = &world.history;
    let told = sends.iter().filter(|s| s.fate != Fate::Open).count();
    let failed = sends.iter().filter(|s| matches!(s.fate, Fate::Failed | Fate::Unknown)).count();
    let read = logs.len() == world.plan().partitions().len() && logs.values().all(|l| l.unreadable.is_none());
    match () {
        () if world.history.acknowledged() < LEAST_ACKNOWLEDGED => Some("hardly anything was acknowledged"),
        () if failed * 2 > told => Some("most records failed"),
        () if !read => Some("not everything could be read in the end"),
        () => None,
    }
}

fn told(panic: &(dyn std::any::Any + Send)) -> String {
    let text =
        panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic").to_string()
}

fn check_history(world: &World) -> Option<Broken> {
    let broken = history::ALL.iter().find_map(|claim| {
        let story = (claim.check)(&world.history).err()?;
        Some(Broken { claim: claim.id, says: claim.says, story })
    });
    // With power lost, a lost record is the headline claim: H12.
    broken.map(|b| if b.claim == "H1" && world.lost_power { Broken { claim: "H12", ..b } } else { b })
}
