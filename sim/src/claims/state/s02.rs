//! S2: high watermark and log start never go back while a process lives, nor below what was committed after a restart.

use std::collections::{BTreeMap, BTreeSet};

use quipu_core::broker::door::Effect;
use quipu_core::ids::LogId;
use quipu_core::storage::ops::StoreOp;

use crate::claims::{Claim, Verdict};
use crate::ghost::Ghost;
use crate::watch::Scene;

/// The claim.
pub struct MarksAdvance {
    /// High watermark and start, by broker and log.
    seen: Vec<BTreeMap<LogId, (i64, i64)>>,
    /// Of what an operator has let go, committed records may be lacking.
    let_go: BTreeSet<LogId>,
}

impl MarksAdvance {
    /// For so many brokers.
    pub fn new(servers: usize) -> MarksAdvance {
        MarksAdvance { seen: vec![BTreeMap::new(); servers], let_go: BTreeSet::new() }
    }
}

impl Claim for MarksAdvance {
    fn id(&self) -> &'static str {
        "S2"
    }

    fn says(&self) -> &'static str {
        "high watermark and log start never go back"
    }

    fn let_go(&mut self, log: LogId) {
        self.let_go.insert(log);
    }

    fn told(&mut self, scene: &Scene<'_>, _: &Ghost, effect: &Effect) -> Verdict {
        match effect {
            // Who follows a leader that lacks what was committed begins with what that one has.
            Effect::Store { op: StoreOp::Restart { log, .. }, .. } if self.let_go.contains(log) => {
                self.seen[scene.server].remove(log);
            }
            // A partition that moves away may come back: what is made then is another log.
            Effect::Store { op: StoreOp::Remove { log }, .. } => drop(self.seen[scene.server].remove(log)),
            Effect::Store { op: StoreOp::Restart { log, at, .. }, .. } => {
                if let Some(marks) = self.seen[scene.server].get_mut(log) {
                    *marks = begun_anew(*marks, at.0);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn stepped(&mut self, scene: &Scene<'_>, ghost: &Ghost) -> Verdict {
        let several = self.seen.len() > 1;
        let seen = &mut self.seen[scene.server];
        for (log, topic, _) in scene.logs() {
            let now = (log.high().0, log.start().0);
            let before = seen.insert(log.id(), now).unwrap_or(now);
            advances(topic, log.id().partition, before, now)?;
            // Also what an earlier life of the process has committed, unless its disk was damaged. How much of the metadata log is
            // committed is known once the quorum has a leader again, and not before.
            let committed = ghost.logs.get(&log.id()).map_or(0, |known| known.committed);
            let known = log.id() != LogId::METADATA || scene.broker.is_ready();
            // Of several brokers none knows before the leader of a log tells it.
            let known = known && !several;
            if !scene.damaged && known {
                advances(topic, log.id().partition, (committed, now.1), now)?;
            }
        }
        Ok(())
    }

    fn ended(&mut self, server: usize, _: bool) {
        self.seen[server].clear();
    }
}

/// The marks that a log must not go below, once it begins anew at an offset. Where there is nothing in it, it may go back to where the
/// batch begins that its leader's log starts within.
fn begun_anew((high, start): (i64, i64), at: i64) -> (i64, i64) {
    if high == start { (high.min(at), start.min(at)) } else { (high, start) }
}

fn advances(topic: &str, partition: i32, before: (i64, i64), now: (i64, i64)) -> Verdict {
    if now.0 < before.0 {
        return Err(format!("{topic}-{partition}: the high watermark went from {} to {}", before.0, now.0));
    }
    if now.1 < before.1 {
        return Err(format!("{topic}-{partition}: the log start went from {} to {}", before.1, now.1));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{advances, begun_anew};

    #[test]
    fn a_mark_that_goes_back_is_seen_and_one_that_stays_is_fine() {
        assert!(advances("t", 0, (5, 0), (4, 0)).is_err());
        assert!(advances("t", 0, (5, 3), (5, 2)).is_err());
        assert!(advances("t", 0, (5, 3), (5, 3)).is_ok());
        assert!(advances("t", 0, (5, 3), (9, 5)).is_ok());
    }

    #[test]
    fn a_log_with_nothing_in_it_may_begin_within_a_batch_and_no_other_goes_back() {
        assert!(advances("t", 0, begun_anew((7, 7), 5), (5, 5)).is_ok());
        assert!(advances("t", 0, begun_anew((7, 7), 5), (4, 4)).is_err());
        assert!(advances("t", 0, begun_anew((8, 7), 5), (5, 5)).is_err());
        assert!(advances("t", 0, begun_anew((7, 7), 9), (7, 7)).is_ok());
    }
}
