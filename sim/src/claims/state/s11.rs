//! S11: the batches of a log follow each other without a gap or an overlap, and their counts agree with their offsets.

use quipu_core::broker::door::Effect;
use quipu_core::storage::ops::StoreOp;

use crate::batch::{self, Written};
use crate::claims::{Claim, Verdict};
use crate::ghost::Ghost;
use crate::watch::Scene;

/// The claim.
pub struct OffsetsAreDense;

impl Claim for OffsetsAreDense {
    fn id(&self) -> &'static str {
        "S11"
    }

    fn says(&self) -> &'static str {
        "offsets are dense and given out once"
    }

    fn told(&mut self, scene: &Scene<'_>, before: &Ghost, effect: &Effect) -> Verdict {
        let Effect::Store { op: StoreOp::Append { log, batches, .. }, .. } = effect else { return Ok(()) };
        let mut last = before.logs.get(log).filter(|g| !g.has_hole).and_then(|g| g.batches.last().copied());
        for batch in batches {
            let batch = batch::read(&batch.to_bytes()).ok_or("what is written is no batch")?;
            // No checksum covers the epoch of a batch: on a damaged disk it may be any.
            let last_epoch = last.map(|l| l.epoch).filter(|_| !scene.damaged);
            follows(last.as_ref(), last_epoch, &batch).map_err(|why| format!("{log:?}: {why}"))?;
            last = Some(batch);
        }
        Ok(())
    }
}

/// Whether a batch may come after the last one, and after one of an epoch.
fn follows(last: Option<&Written>, last_epoch: Option<i32>, batch: &Written) -> Verdict {
    if batch.next - batch.base != i64::from(batch.count) {
        return Err(format!(
            "{batch:?} has {} records over {} offsets",
            batch.count,
            batch.next - batch.base
        ));
    }
    match last {
        Some(last) if last.next != batch.base => Err(format!("{batch:?} follows {last:?}")),
        Some(last) if last_epoch.is_some_and(|epoch| epoch > batch.epoch) => {
            Err(format!("{batch:?} follows the epoch of {last:?}"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(base: i64, count: i32, epoch: i32) -> Written {
        Written {
            base,
            next: base + 2,
            size: 100,
            epoch,
            producer: -1,
            producer_epoch: -1,
            sequence: -1,
            count,
            max_timestamp: 0,
            hash: 0,
        }
    }

    #[test]
    fn a_gap_an_overlap_an_older_epoch_and_a_wrong_count_are_seen() {
        let last = batch(4, 2, 3);
        assert!(follows(Some(&last), Some(last.epoch), &batch(7, 2, 3)).is_err());
        assert!(follows(Some(&last), Some(last.epoch), &batch(5, 2, 3)).is_err());
        assert!(follows(Some(&last), Some(last.epoch), &batch(6, 2, 2)).is_err());
        assert!(follows(Some(&last), Some(last.epoch), &batch(6, 1, 3)).is_err());
    }

    #[test]
    fn the_next_offset_in_the_same_or_a_newer_epoch_is_fine() {
        let last = batch(4, 2, 3);
        assert!(follows(Some(&last), Some(last.epoch), &batch(6, 2, 3)).is_ok());
        assert!(follows(Some(&last), Some(last.epoch), &batch(6, 2, 7)).is_ok());
        assert!(follows(Some(&last), None, &batch(6, 2, 2)).is_ok(), "its epoch may be damaged");
        assert!(follows(None, None, &batch(9, 2, 0)).is_ok());
    }
}
