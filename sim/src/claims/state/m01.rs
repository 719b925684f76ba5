//! M1: what brokers call committed of the metadata log is the same on all of them, byte for byte.

use quipu_core::broker::door::{Effect, Note};
use quipu_core::ids::LogId;

use crate::canon::Canon;
use crate::claims::{Claim, Cluster, Verdict};
use crate::ghost::GhostLog;
use crate::watch::Scene;

/// The claim.
pub struct LogsMatch;

impl Claim for LogsMatch {
    fn id(&self) -> &'static str {
        "M1"
    }

    fn says(&self) -> &'static str {
        "committed metadata is the same on all brokers"
    }

    fn told_among(&mut self, scene: &Scene<'_>, cluster: &Cluster<'_>, effect: &Effect) -> Verdict {
        let Effect::Note(Note::Committed { log: LogId::METADATA, high }) = effect else { return Ok(()) };
        // What its disk holds need not be what it once wrote.
        if scene.damaged || cluster.canon.torn {
            return Ok(());
        }
        let log = cluster.ghosts[scene.server].logs.get(&LogId::METADATA).ok_or("it has no metadata log")?;
        same(cluster.canon, log, high.0)
    }
}

fn same(canon: &Canon, log: &GhostLog, high: i64) -> Verdict {
    let Some(at) = canon.parts_ways(log, high) else { return Ok(()) };
    let (committed, here) = (canon.batches[at], log.at(canon.batches[at].base));
    if canon.is_safe(&committed) {
        return Err(format!(
            "{here:?} is committed here, and was {committed:?} where it was committed first"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Written;

    fn batch(base: i64, epoch: i32, hash: u64) -> Written {
        let (producer, producer_epoch, sequence, max_timestamp) = (-1, -1, -1, 0);
        let (next, size, count) = (base + 1, 100, 1);
        Written { base, next, size, epoch, producer, producer_epoch, sequence, count, max_timestamp, hash }
    }

    fn canon(by: usize) -> Canon {
        let mut canon = Canon::formed(3);
        let all = [batch(0, 1, 10), batch(1, 1, 11)];
        all.iter().for_each(|b| (0..by).for_each(|server| canon.hold(server, b)));
        canon.commit(&GhostLog::of(all.to_vec(), 2), 2, 1);
        canon
    }

    #[test]
    fn another_batch_in_the_place_of_a_committed_one_is_seen() {
        let other = GhostLog::of(vec![batch(0, 1, 10), batch(1, 2, 12)], 2);
        assert!(same(&canon(2), &other, 2).is_err());
        let epoch_alone = GhostLog::of(vec![batch(0, 1, 10), batch(1, 2, 11)], 2);
        assert!(same(&canon(2), &epoch_alone, 2).is_err());
    }

    #[test]
    fn the_same_batches_a_tail_that_is_not_committed_and_what_no_majority_had_are_fine() {
        let longer = GhostLog::of(vec![batch(0, 1, 10), batch(1, 1, 11), batch(2, 3, 13)], 3);
        assert!(same(&canon(2), &longer, 3).is_ok());
        let tail = GhostLog::of(vec![batch(0, 1, 10), batch(1, 2, 12)], 1);
        assert!(same(&canon(2), &tail, 1).is_ok());
        let other = GhostLog::of(vec![batch(0, 1, 10), batch(1, 2, 12)], 2);
        assert!(same(&canon(1), &other, 2).is_ok(), "one disk of three is no majority");
    }
}
