//! Making a plan small: faults, clients and time are taken away as long as the same claim still breaks.

use std::path::Path;

use super::run::written;
use crate::plan::fault::Fault;
use crate::plan::{Deeds, Plan};
use crate::run;

/// Runs that a shrink may take.
const MOST_RUNS: usize = 400;

/// `quipu-sim shrink`. Whether the claims of the plan hold.
pub(super) fn command(plan: Plan, out: Option<&Path>) -> Result<bool, String> {
    let Some(broken) = run::run(plan.clone(), false).broken else {
        println!("all claims hold for seed {}: there is nothing to shrink", plan.seed);
        return Ok(true);
    };
    let shrunk = shrink(plan, broken.claim);
    eprintln!(
        "{} breaks with {} faults and {} clients",
        broken.claim,
        shrunk.faults.len(),
        shrunk.users.len()
    );
    match out {
        None => println!("{}", written(&shrunk)),
        Some(path) => std::fs::write(path, written(&shrunk))
            .map_err(|e| format!("the plan cannot be written to {}: {e}", path.display()))?,
    }
    Ok(false)
}

/// The smallest plan found for which the claim breaks.
pub(super) fn shrink(plan: Plan, claim: &str) -> Plan {
    let mut search = Search { claim, runs: 0 };
    let mut best = plan;
    loop {
        let before = (best.faults.len(), best.users.len(), best.load_ms);
        best = search.fewer_faults(best);
        best = search.fewer_users(best);
        best = search.less_time(best);
        if before == (best.faults.len(), best.users.len(), best.load_ms) || search.runs >= MOST_RUNS {
            return best;
        }
    }
}

struct Search<'a> {
    claim: &'a str,
    runs: usize,
}

impl Search<'_> {
    fn breaks(&mut self, plan: &Plan) -> bool {
        self.runs += 1;
        self.runs <= MOST_RUNS && run::run(plan.clone(), false).broken.is_some_and(|b| b.claim == self.claim)
    }

    /// Takes away stretches of faults, half of them at first, then less.
    fn fewer_faults(&mut self, mut best: Plan) -> Plan {
        let mut stretch = best.faults.len().div_ceil(2);
        while stretch > 0 {
            let mut at = 0;
            while at < best.faults.len() {
                let mut fewer = best.clone();
                fewer.faults.drain(at..(at + stretch).min(best.faults.len()));
                if self.breaks(&fewer) { best = fewer } else { at += stretch }
            }
            stretch = if stretch == 1 { 0 } else { stretch.div_ceil(2) };
        }
        best
    }

    fn fewer_users(&mut self, mut best: Plan) -> Plan {
        for user in (0..best.users.len()).rev() {
            if !matches!(best.users[user].does, Deeds::Operate(_)) {
                let fewer = without(&best, user);
                if self.breaks(&fewer) {
                    best = fewer;
                }
            }
        }
        best
    }

    fn less_time(&mut self, best: Plan) -> Plan {
        let half = Plan { load_ms: best.load_ms / 2, ..best.clone() };
        if half.load_ms > 200 && self.breaks(&half) { half } else { best }
    }
}

/// The plan without one client; faults that strike it are gone too, and the others keep their targets.
fn without(plan: &Plan, gone: usize) -> Plan {
    let mut plan = plan.clone();
    plan.users.remove(gone);
    plan.faults.retain_mut(|fault| match &mut fault.what {
        Fault::Cut { user, .. } | Fault::Reset { user, .. } | Fault::KillUser { user, .. } => {
            let stays = *user != gone;
            *user -= usize::from(*user > gone);
            stays
        }
        _ => true,
    });
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_other_clients_keep_their_targets() {
        let plan = (0..).map(Plan::draw).find(|p| p.users.len() > 4).expect("some plan has five clients");
        let cut =
            |user| crate::plan::fault::FaultPlan { at_ms: 1, what: Fault::KillUser { user, down_ms: 1 } };
        let plan = Plan { faults: vec![cut(1), cut(2), cut(4)], ..plan };
        let left: Vec<usize> = without(&plan, 2)
            .faults
            .iter()
            .map(|f| match f.what {
                Fault::KillUser { user, .. } => user,
                _ => usize::MAX,
            })
            .collect();
        assert_eq!(left, [1, 3]);
    }
}
