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
    /// What was written first at each offset in each epoch.
    first: BTreeMap<LogId, BTreeMap<(i64, i32), Written>>,
}

impl Claim for ReplicasMatch {
    fn id(&self) -> &'static str {
        "S3"
    }

    fn says(&self) -> &'static str {
        "the same offset in the same leader epoch is the same batch everywhere"
    }

    fn told_among(&mut self, scene: &Scene<'_>, cluster: &Cluster<'_>, effect: &Effect) -> Verdict {
        let Effect::Store { op: StoreOp::Append { log, batches, .. }, .. } = effect else { return Ok(()) };
        // No checksum covers a batch's epoch: a damaged disk may serve any.
        if scene.damaged || cluster.ledger.forgot || *log == LogId::METADATA {
            return Ok(());
        }
        let known = self.first.entry(*log).or_default();
        batches.iter().filter_map(|b| batch::read(&b.to_bytes())).try_for_each(|b| matches(known, b))
    }
}

fn matches(known: &mut BTreeMap<(i64, i32), Written>, batch: Written) -> Verdict {
    let first = *known.entry((batch.base, batch.epoch)).or_insert(batch);
    if first == batch {
        return Ok(());
    }
    Err(format!("{batch:?} is written, and {first:?} was written elsewhere"))
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
        assert!(matches(&mut known, batch(0, 1, 7)).is_ok() && matches(&mut known, batch(0, 1, 7)).is_ok());
        assert!(matches(&mut known, batch(0, 2, 8)).is_ok());
        assert!(matches(&mut known, batch(0, 1, 8)).is_err());
    }
}
