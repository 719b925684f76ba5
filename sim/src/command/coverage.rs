//! What `quipu-sim coverage` tells of a sweep: which rare situations came up, what faults struck during what, what never did.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::plan::fault::Fault;
use crate::probe::{self, Counts};

/// What came up in many runs.
#[derive(Default)]
pub(super) struct Coverage {
    /// How often each kind of fault struck.
    pub(super) struck: Counts<&'static str>,
    /// How often each rare situation came up.
    pub(super) probes: Counts<&'static str>,
    /// How often each kind of fault struck while each kind of thing was under way.
    pub(super) crossings: Counts<(&'static str, &'static str)>,
}

impl Coverage {
    /// Adds what came up in another run.
    pub(super) fn add(&mut self, run: Coverage) {
        add(&mut self.struck, run.struck);
        add(&mut self.probes, run.probes);
        add(&mut self.crossings, run.crossings);
    }

    /// All of it, in words.
    pub(super) fn told(&self) -> String {
        let mut told = String::new();
        self.tell_probes(&mut told).and_then(|()| self.tell_crossings(&mut told)).expect("a string takes it");
        told
    }

    fn tell_probes(&self, out: &mut String) -> std::fmt::Result {
        let never = missing(probe::NAMES, &self.probes);
        writeln!(out, "{} of {} probes came up:", probe::NAMES.len() - never.len(), probe::NAMES.len())?;
        let width = probe::NAMES.iter().map(|name| name.len()).max().unwrap_or(0);
        self.probes.iter().try_for_each(|(name, times)| writeln!(out, "  {name:<width$} {times:>9}"))?;
        tell_missing(out, "probes that never came up", &never)?;
        tell_missing(out, "faults that never struck", &missing(Fault::NAMES, &self.struck))
    }

    fn tell_crossings(&self, out: &mut String) -> std::fmt::Result {
        let kinds: BTreeSet<&str> = self.crossings.keys().map(|(_, kind)| *kind).collect();
        let all = Fault::NAMES.len() * kinds.len();
        writeln!(
            out,
            "{} of {all} crossings came up: a fault that strikes while something is under way",
            self.crossings.len()
        )?;
        let mut never: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for fault in Fault::NAMES {
            let times = |kind: &&str| self.crossings.get(&(fault, kind)).copied();
            let came: Vec<String> =
                kinds.iter().filter_map(|kind| times(kind).map(|times| format!("{kind} {times}"))).collect();
            writeln!(out, "  {fault}: {}", if came.is_empty() { "never".into() } else { came.join(", ") })?;
            let missed: Vec<&str> = kinds.iter().filter(|kind| times(kind).is_none()).copied().collect();
            if !missed.is_empty() {
                never.insert(fault, missed);
            }
        }
        let never = never.iter().map(|(fault, kinds)| format!("\n  {fault}: {}", kinds.join(", ")));
        let never: String = never.collect();
        if never.is_empty() { Ok(()) } else { writeln!(out, "crossings that never came up:{never}") }
    }
}

fn add<K: Ord>(all: &mut Counts<K>, run: Counts<K>) {
    run.into_iter().for_each(|(key, times)| *all.entry(key).or_insert(0) += times);
}

fn missing<const N: usize>(names: [&'static str; N], counts: &Counts<&'static str>) -> Vec<&'static str> {
    names.into_iter().filter(|name| !counts.contains_key(name)).collect()
}

fn tell_missing(out: &mut String, what: &str, names: &[&str]) -> std::fmt::Result {
    if names.is_empty() { Ok(()) } else { writeln!(out, "{what}: {}", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_up_is_added_up_and_what_never_did_is_named() {
        let run = || Coverage {
            struck: Counts::from([("kill", 2), ("storm", 1)]),
            probes: Counts::from([(probe::NAMES[0], 3)]),
            crossings: Counts::from([
                (("kill", "append"), 2),
                (("kill", "trim"), 1),
                (("storm", "append"), 1),
            ]),
        };
        let mut coverage = run();
        coverage.add(run());
        let told = coverage.told();
        let has =
            |line: &str| assert!(told.lines().any(|l| l.trim_end() == line), "{line}\nis not in\n{told}");
        has(&format!("1 of {} probes came up:", probe::NAMES.len()));
        has(&format!("probes that never came up: {}", probe::NAMES[1..].join(", ")));
        has(&format!(
            "3 of {} crossings came up: a fault that strikes while something is under way",
            Fault::NAMES.len() * 2
        ));
        has("  kill: append 4, trim 2");
        has("  storm: append 2");
        has("  pause: never");
        assert!(
            told.contains("crossings that never came up:\n") && told.contains("\n  storm: trim\n"),
            "{told}"
        );
        let never = told.lines().find(|l| l.starts_with("faults that never struck")).expect("most never did");
        assert!(never.contains("power loss") && !never.contains("storm"), "{never}");
    }
}
