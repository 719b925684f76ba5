//! `quipu-sim sweep`: many seeds, on all processors, with a line on how it goes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::coverage::Coverage;
use super::failure;
use crate::plan::brokers::Brokers;
use crate::probe::Counts;
use crate::run::{self, Outcome};
use crate::watch::Broken;

/// In how long a seed must come to its end: no step of a broker may go on for ever.
const PATIENCE: Duration = Duration::from_secs(300);

/// How to sweep.
pub(super) struct Options {
    pub(super) brokers: Brokers,
    pub(super) jobs: Option<usize>,
    pub(super) twice_every: u64,
    pub(super) keep_going: bool,
}

/// What a sweep came to.
#[derive(Default)]
pub(super) struct Swept {
    seeds: u64,
    /// The seeds that run now, and since when.
    running: BTreeMap<u64, Instant>,
    /// Seeds that prove nothing, by the guard that says so.
    discarded: BTreeMap<&'static str, u64>,
    twice: u64,
    seconds: f64,
    events: u64,
    steps: u64,
    elections: u64,
    acknowledged: u64,
    read: u64,
    operations: u64,
    coverage: Coverage,
    /// Of the hashes of all runs, whatever their order.
    hash: u64,
    broken: BTreeMap<u64, Broken>,
}

/// Runs them all.
pub(super) fn sweep(seeds: &Range<u64>, options: &Options) -> Swept {
    let jobs =
        options.jobs.or_else(|| std::thread::available_parallelism().ok().map(usize::from)).unwrap_or(1);
    let (next, stop) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let swept = Mutex::new(Swept::default());
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    let seed = next.fetch_add(1, Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    one(seed, options, &swept, &stop);
                }
            });
        }
        scope.spawn(|| tell(seeds, &swept, &stop, began));
    });
    let swept = swept.into_inner().expect("no panic under this lock");
    swept.print(began.elapsed());
    swept
}

fn one(seed: u64, options: &Options, swept: &Mutex<Swept>, stop: &AtomicBool) {
    swept.lock().expect("no panic under this lock").running.insert(seed, Instant::now());
    let plan = options.brokers.plan(seed);
    let mut outcome = run::run(plan.clone(), false);
    let twice = seed.is_multiple_of(options.twice_every.max(1)) && outcome.broken.is_none();
    if twice {
        let again = run::run(plan.clone(), false);
        if again.hash != outcome.hash {
            outcome.broken = Some(Broken {
                claim: "P10",
                says: "one seed is one story",
                story: format!("the hashes of two runs are {:016x} and {:016x}", outcome.hash, again.hash),
            });
        }
    }
    let broken = outcome.broken.clone();
    swept.lock().expect("no panic under this lock").add(seed, outcome, twice);
    if let Some(broken) = broken
        && (options.keep_going || !stop.swap(true, Relaxed))
    {
        failure::print(&plan, &broken, !options.keep_going);
    }
}

fn tell(seeds: &Range<u64>, swept: &Mutex<Swept>, stop: &AtomicBool, began: Instant) {
    let all = seeds.end - seeds.start;
    let mut told = Instant::now();
    loop {
        std::thread::sleep(Duration::from_millis(50));
        let swept = swept.lock().expect("no panic under this lock");
        if swept.seeds >= all || stop.load(Relaxed) {
            return;
        }
        if let Some((seed, since)) = swept.running.iter().find(|(_, since)| since.elapsed() > PATIENCE) {
            // Nothing can stop what runs in there but the end of the process.
            println!("SEED {seed} has not come to its end in {} s", since.elapsed().as_secs());
            println!("  again    quipu-sim run --seed {seed} --trace");
            std::process::exit(1);
        }
        if told.elapsed() >= Duration::from_secs(10) {
            told = Instant::now();
            eprintln!("{} of {all} seeds: {}", swept.seeds, swept.rates(began.elapsed()));
        }
    }
}

impl Swept {
    fn add(&mut self, seed: u64, outcome: Outcome, twice: bool) {
        self.seeds += 1;
        self.running.remove(&seed);
        self.twice += u64::from(twice);
        outcome.discarded.into_iter().for_each(|why| *self.discarded.entry(why).or_insert(0) += 1);
        self.seconds += outcome.seconds;
        self.events += outcome.events;
        self.steps += outcome.steps;
        self.elections += outcome.elections;
        self.acknowledged += outcome.acknowledged;
        self.read += outcome.read;
        self.operations += outcome.operations;
        self.hash ^= outcome.hash.wrapping_mul(seed | 1).rotate_left((seed % 63) as u32);
        let Outcome { struck, probes, crossings, .. } = outcome;
        self.coverage.add(Coverage { struck, probes, crossings });
        self.broken.extend(outcome.broken.map(|broken| (seed, broken)));
    }

    /// Whether all claims held.
    pub(super) fn is_good(&self) -> bool {
        self.broken.is_empty()
    }

    fn rates(&self, took: Duration) -> String {
        let took = took.as_secs_f64().max(0.001);
        let proves_nothing: u64 = self.discarded.values().sum();
        format!(
            "{:.1} simulated hours, {} faults, {} operations, {proves_nothing} seeds prove nothing; \
             a second: {:.0} simulated seconds, {:.0} steps, {:.0} events, {:.0} operations",
            self.seconds / 3600.0,
            self.coverage.struck.values().sum::<u64>(),
            self.operations,
            self.seconds / took,
            self.steps as f64 / took,
            self.events as f64 / took,
            self.operations as f64 / took,
        )
    }

    fn print(&self, took: Duration) {
        println!("{} seeds in {:.1} s: {}", self.seeds, took.as_secs_f64(), self.rates(took));
        println!(
            "{} ran twice; {} steps of brokers; {} elections; {} records acknowledged and {} read; hash of all {:016x}",
            self.twice, self.steps, self.elections, self.acknowledged, self.read, self.hash
        );
        println!("faults: {}", listed(&self.coverage.struck));
        println!(
            "{} probes {} times, {} faults with something under way {} times",
            self.coverage.probes.len(),
            self.coverage.probes.values().sum::<u64>(),
            self.coverage.crossings.len(),
            self.coverage.crossings.values().sum::<u64>()
        );
        println!("prove nothing and do not count: {}", listed(&self.discarded));
        let mut claims: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        self.broken.iter().for_each(|(seed, broken)| claims.entry(broken.claim).or_default().push(*seed));
        claims
            .iter()
            .for_each(|(claim, seeds)| println!("BROKEN {claim} in {} seeds: {seeds:?}", seeds.len()));
        let failed = self.broken.len() as u64;
        let proved = self.seeds - self.discarded.values().sum::<u64>();
        println!("checks: {} passed, {failed} failed, 0 skipped", proved.saturating_sub(failed));
    }

    /// What happened, and what never did.
    pub(super) fn coverage(&self) -> String {
        self.coverage.told()
    }
}

fn listed(counts: &Counts<&'static str>) -> String {
    let each: Vec<String> = counts.iter().map(|(what, times)| format!("{what} {times}")).collect();
    if each.is_empty() { "none".to_string() } else { each.join(", ") }
}
