//! S1: what was committed stays as it is: it is never cut off, and a start finds it again byte for byte.

use quipu_core::broker::door::Effect;
use quipu_core::ids::LogId;
use quipu_core::storage::ops::{Recovered, StoreOp};

use crate::batch::Written;
use crate::claims::{Claim, Verdict};
use crate::disk::SimDisk;
use crate::ghost::{self, Ghost, GhostLog};
use crate::watch::Scene;

/// The claim.
pub struct CommittedStays {
    /// One of several disks has forgotten what it had acknowledged, and does not know it: who follows that broker cuts what it lacks.
    /// Whether metadata may go then is for M4 to say.
    is_excused: bool,
    several: bool,
}

impl CommittedStays {
    /// For so many brokers.
    pub fn new(servers: usize) -> CommittedStays {
        CommittedStays { is_excused: false, several: servers > 1 }
    }
}

impl Claim for CommittedStays {
    fn id(&self) -> &'static str {
        "S1"
    }

    fn says(&self) -> &'static str {
        "the committed prefix of a log never changes"
    }

    fn forgets(&mut self, _: usize) {
        self.is_excused = self.several;
    }

    fn told(&mut self, _: &Scene<'_>, before: &Ghost, effect: &Effect) -> Verdict {
        // Also a log that begins anew does so where everything below was committed, or further on.
        let Effect::Store {
            op: StoreOp::Truncate { log, to } | StoreOp::Restart { log, at: to, .. }, ..
        } = effect
        else {
            return Ok(());
        };
        if self.is_excused {
            return Ok(());
        }
        match before.logs.get(log) {
            Some(ghost) if to.0 < ghost.committed => {
                Err(format!("{log:?} is cut back to {to}, but {} was committed", ghost.committed))
            }
            _ => Ok(()),
        }
    }

    fn started(
        &mut self,
        _: usize,
        before: &Ghost,
        disk: &SimDisk,
        found: &Recovered,
        damaged: bool,
    ) -> Verdict {
        if damaged {
            // What was damaged is wrong on the disk; that it is not served is for S9 and H8 to see.
            return Ok(());
        }
        let files = disk.paths();
        let excused = self.is_excused;
        for (id, ghost) in before.logs.iter().filter(|_| !excused) {
            let Some(log) = found.logs.iter().find(|l| l.log == *id) else {
                // A removal that was ordered may have been done although the process did not live to say so.
                lost_whole(*id, ghost)?;
                continue;
            };
            if let Some(damage) = &log.damage {
                return Err(format!("{id:?} is offline, and nothing was damaged: {damage}"));
            }
            let now = ghost::on_disk(disk, &files, *id);
            same(*id, ghost, log.start.0, &now)?;
            if log.end.0 < ghost.committed {
                return Err(format!(
                    "{id:?}: a start found the end at {}, but everything below {} was committed",
                    log.end, ghost.committed
                ));
            }
        }
        Ok(())
    }
}

fn lost_whole(id: LogId, ghost: &GhostLog) -> Verdict {
    let below = ghost.batches.iter().filter(|b| b.next <= ghost.committed && b.next > ghost.start).count();
    if below == 0 {
        return Ok(());
    }
    Err(format!("{id:?} is gone, with {below} committed batches below {}", ghost.committed))
}

/// Whether everything that was committed at or beyond `start` is among `now`.
pub(crate) fn same(id: LogId, ghost: &GhostLog, start: i64, now: &[Written]) -> Verdict {
    let wanted =
        ghost.batches.iter().filter(|b| b.next <= ghost.committed && b.next > start.max(ghost.start));
    for batch in wanted {
        match now.iter().find(|b| b.base == batch.base) {
            Some(found) if found == batch => {}
            Some(found) => {
                return Err(format!("{id:?}: the committed batch {batch:?} is now {found:?}"));
            }
            None => return Err(format!("{id:?}: the committed batch {batch:?} is gone")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use quipu_core::ids::TopicId;

    const LOG: LogId = LogId { topic: TopicId([1; 16]), partition: 0 };

    fn batch(base: i64, hash: u64) -> Written {
        Written {
            base,
            next: base + 2,
            size: 100,
            epoch: 0,
            producer: -1,
            producer_epoch: -1,
            sequence: -1,
            count: 2,
            max_timestamp: 0,
            hash,
        }
    }

    fn ghost(committed: i64) -> GhostLog {
        GhostLog::of(vec![batch(0, 1), batch(2, 2), batch(4, 3)], committed)
    }

    #[test]
    fn a_committed_batch_that_is_missing_or_different_is_seen() {
        assert!(same(LOG, &ghost(4), 0, &[batch(0, 1)]).is_err(), "missing");
        assert!(same(LOG, &ghost(4), 0, &[batch(0, 1), batch(2, 9)]).is_err(), "different");
        assert!(same(LOG, &ghost(6), 0, &[batch(0, 1), batch(2, 2)]).is_err(), "the last one");
        assert!(lost_whole(LOG, &ghost(2)).is_err());
    }

    #[test]
    fn what_was_not_committed_or_lies_below_the_start_may_go() {
        assert!(same(LOG, &ghost(4), 0, &[batch(0, 1), batch(2, 2)]).is_ok(), "not committed");
        assert!(same(LOG, &ghost(6), 2, &[batch(2, 2), batch(4, 3)]).is_ok(), "below the start");
        assert!(lost_whole(LOG, &ghost(0)).is_ok());
    }
}
