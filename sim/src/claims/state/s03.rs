//! S3: the same offset in the same leader epoch is the same batch on every replica of a partition.

use std::collections::BTreeMap;

use quipu_core::broker::door::Effect;
use quipu_core::ids::LogId;
use quipu_core::storage::ops::StoreOp;

use crate::batch::{self, Written};
use crate::claims::{Claim, Cluster, Verdict};
use crate::watch::Scene;

/// The claim.
#[derive(Default)]
pub struct ReplicasMatch {
    /// What was written first at each offset in each epoch, and who has not cut it off since, a bit for each.
    first: BTreeMap<LogId, Known>,
}

type Known = BTreeMap<(i64, i32), (Written, u32)>;

impl Claim for ReplicasMatch {
    fn id(&self) -> &'static str {
        "S3"
    }

    fn says(&self) -> &'static str {
        "the same offset in the same leader epoch is the same batch everywhere"
    }

    fn told_among(&mut self, scene: &Scene<'_>, cluster: &Cluster<'_>, effect: &Effect) -> Verdict {
        let Effect::Store { op, .. } = effect else { return Ok(()) };
        let server = scene.server;
        match op {
            // No checksum covers a batch's epoch: a damaged disk may serve any.
            StoreOp::Append { log, batches, .. }
                if !scene.damaged && !cluster.ledger.forgot && *log != LogId::METADATA =>
            {
                let known = self.first.entry(*log).or_default();
                let written = batches.iter().filter_map(|b| batch::read(&b.to_bytes()));
                written.into_iter().try_for_each(|b| matches(known, server, b))
            }
            StoreOp::Truncate { log, to } => self.cut(server, *log, to.0),
            StoreOp::Restart { log, .. } | StoreOp::Remove { log } => self.cut(server, *log, 0),
            _ => Ok(()),
        }
    }
}

impl ReplicasMatch {
    fn cut(&mut self, server: usize, log: LogId, to: i64) -> Verdict {
        if let Some(known) = self.first.get_mut(&log) {
            cut(known, server, to);
        }
        Ok(())
    }
}

fn matches(known: &mut Known, server: usize, batch: Written) -> Verdict {
    let (first, holders) = known.entry((batch.base, batch.epoch)).or_insert((batch, 0));
    *holders |= 1 << server;
    if *first == batch {
        return Ok(());
    }
    Err(format!("{batch:?} is written, and {first:?} was written elsewhere"))
}

/// What nobody else has, may be written again as something else.
fn cut(known: &mut Known, server: usize, to: i64) {
    known.retain(|(base, _), (_, holders)| {
        *holders &= if *base >= to { !(1 << server) } else { u32::MAX };
        *holders != 0
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(base: i64, epoch: i32, hash: u64) -> Written {
        let (producer, producer_epoch, sequence, max_timestamp) = (-1, -1, -1, 0);
        let (next, size, count) = (base + 1, 100, 1);
        Written { base, next, size, epoch, producer, producer_epoch, sequence, count, max_timestamp, hash }
    }

    #[test]
    fn another_batch_at_the_same_offset_of_an_epoch_is_seen_and_one_of_another_epoch_is_fine() {
        let mut known = BTreeMap::new();
        assert!(
            matches(&mut known, 0, batch(0, 1, 7)).is_ok() && matches(&mut known, 1, batch(0, 1, 7)).is_ok()
        );
        assert!(matches(&mut known, 2, batch(0, 2, 8)).is_ok());
        assert!(matches(&mut known, 2, batch(0, 1, 8)).is_err());
    }

    #[test]
    fn what_only_one_had_and_cut_off_may_be_another_and_what_others_have_may_not() {
        let mut known = BTreeMap::new();
        assert!(matches(&mut known, 0, batch(4, 1, 7)).is_ok());
        cut(&mut known, 0, 4);
        assert!(
            matches(&mut known, 0, batch(4, 1, 8)).is_ok() && matches(&mut known, 1, batch(4, 1, 8)).is_ok()
        );
        cut(&mut known, 0, 4);
        assert!(matches(&mut known, 0, batch(4, 1, 9)).is_err());
    }
}
