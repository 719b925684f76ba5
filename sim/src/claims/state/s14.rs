//! S14: of each producer id, sequences in a partition follow each other modulo 2^31 and epochs never fall.

use quipu_core::broker::door::Effect;
use quipu_core::storage::ops::StoreOp;

use crate::batch::{self, Written};
use crate::claims::{Claim, Verdict};
use crate::ghost::Ghost;
use crate::watch::Scene;

/// The claim.
pub struct SequencesFollow {
    /// A producer that is silent for so long may be forgotten, in milliseconds of the wall clock. Who finds a disk as it was
    /// earlier then goes on where that disk does not.
    silent_ms: i64,
}

impl SequencesFollow {
    /// For brokers that may forget producers that are silent for so many milliseconds.
    pub fn new(silent_ms: i64) -> SequencesFollow {
        SequencesFollow { silent_ms }
    }
}

impl Claim for SequencesFollow {
    fn id(&self) -> &'static str {
        "S14"
    }

    fn says(&self) -> &'static str {
        "a producer's sequences in a partition follow each other"
    }

    fn told(&mut self, scene: &Scene<'_>, before: &Ghost, effect: &Effect) -> Verdict {
        let Effect::Store { op: StoreOp::Append { log, batches, .. }, .. } = effect else { return Ok(()) };
        let known = before.logs.get(log).filter(|g| !g.has_hole);
        // Of several brokers one that began anew does not know whose records were deleted before; a producer that is new to it
        // begins with any sequence, as in Kafka (KIP-360).
        let several = !scene.broker.image().voters().is_empty();
        let from = known.filter(|_| several).map_or(0, |g| g.batches.partition_point(|b| b.next <= g.start));
        let old = known.map(|g| &g.batches[from..]).unwrap_or_default();
        let silent_since = scene.now.wall.0 - self.silent_ms;
        let forgotten = |b: &&Written| scene.damaged && b.max_timestamp < silent_since;
        let mut new: Vec<Written> = Vec::new();
        for batch in batches {
            let batch = batch::read(&batch.to_bytes()).ok_or("what is written is no batch")?;
            if batch.producer < 0 {
                continue;
            }
            let last = old.iter().chain(&new).rev().find(|b| b.producer == batch.producer);
            follows(last.filter(|b| !forgotten(b)), &batch).map_err(|why| format!("{log:?}: {why}"))?;
            new.push(batch);
        }
        Ok(())
    }
}

/// Whether a producer's batch may come after its last one in the log, if there is one.
fn follows(last: Option<&Written>, batch: &Written) -> Verdict {
    // A producer that is new here, or was forgotten with all its records, begins with any sequence.
    let Some(last) = last else { return Ok(()) };
    if batch.producer_epoch < last.producer_epoch {
        return Err(format!("{batch:?} has an older epoch than {last:?}"));
    }
    let expected = if batch.producer_epoch > last.producer_epoch {
        0
    } else {
        ((i64::from(last.sequence) + i64::from(last.count)) % (1 << 31)) as i32
    };
    if batch.sequence == expected {
        Ok(())
    } else {
        Err(format!("{batch:?} should have sequence {expected}, after {last:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(producer_epoch: i16, sequence: i32, count: i32) -> Written {
        Written {
            base: 0,
            next: 0,
            size: 100,
            epoch: 0,
            producer: 5,
            producer_epoch,
            sequence,
            count,
            max_timestamp: 0,
            hash: 0,
        }
    }

    #[test]
    fn a_repeated_a_skipped_and_a_fenced_sequence_are_seen() {
        let last = batch(1, 10, 3);
        assert!(follows(Some(&last), &batch(1, 10, 3)).is_err());
        assert!(follows(Some(&last), &batch(1, 14, 1)).is_err());
        assert!(follows(Some(&last), &batch(0, 13, 1)).is_err());
        assert!(follows(Some(&last), &batch(2, 13, 1)).is_err(), "a new epoch begins at 0");
    }

    #[test]
    fn the_next_sequence_also_over_the_end_of_the_numbers_is_fine() {
        assert!(follows(Some(&batch(1, 10, 3)), &batch(1, 13, 1)).is_ok());
        assert!(follows(Some(&batch(1, i32::MAX - 1, 3)), &batch(1, 1, 1)).is_ok());
        assert!(follows(Some(&batch(1, 10, 3)), &batch(2, 0, 1)).is_ok());
        assert!(follows(None, &batch(1, 77, 1)).is_ok());
    }
}
