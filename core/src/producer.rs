//! What a partition remembers of its idempotent producers: the last batches of each, to tell a duplicate from a gap.
//!
//! As Kafka's `ProducerStateEntry` and `ProducerAppendInfo`: five batches a producer, checked by (epoch, first sequence,
//! last sequence). Unlike Kafka all five survive a restart, and batches that are not committed yet are kept on top of the
//! five, so that a truncation to any offset that is restores the state exactly.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::ids::{Offset, ProducerId};
use crate::record::BatchHeader;
use crate::time::Timestamp;

/// Batches remembered a producer (Kafka: `NUM_BATCHES_TO_RETAIN`). A client has at most five in flight.
pub const BATCHES_KEPT: usize = 5;

/// The producers of one partition. A function of the log below its end, but for expiry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProducerTable {
    producers: BTreeMap<ProducerId, Producer>,
}

/// One producer as the partition knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Producer {
    batches: VecDeque<PastBatch>,
    /// When it was last heard of, for expiry.
    touched: Timestamp,
}

/// A batch that was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastBatch {
    /// The producer's epoch.
    pub epoch: i16,
    /// Sequence of its first record.
    pub first_sequence: i32,
    /// Sequence of its last record.
    pub last_sequence: i32,
    /// Offset of its first record.
    pub base_offset: Offset,
    /// Offset of its last record.
    pub last_offset: Offset,
    /// Its largest timestamp.
    pub timestamp: Timestamp,
}

/// What to do with a batch of an idempotent producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is the next one: append it.
    Next,
    /// It is in the log already: answer with where.
    Duplicate(PastBatch),
    /// Records are missing before it, or it is an old one that is no longer remembered (OUT_OF_ORDER_SEQUENCE_NUMBER).
    OutOfOrder {
        /// The sequence that would be next.
        expected: i32,
    },
    /// A newer epoch of this producer has written: this one is fenced (INVALID_PRODUCER_EPOCH).
    Fenced {
        /// The newest epoch.
        current: i16,
    },
}

impl ProducerTable {
    /// Judges a batch before it is appended (Kafka: `ProducerAppendInfo.checkSequence`). An unknown producer may start
    /// anywhere (KIP-360); a new epoch starts at 0.
    pub fn check(&self, batch: &BatchHeader) -> Admission {
        let Some(last) = self.producers.get(&batch.producer_id).and_then(|p| p.batches.back().copied())
        else {
            return Admission::Next;
        };
        if batch.producer_epoch < last.epoch {
            return Admission::Fenced { current: last.epoch };
        }
        if batch.producer_epoch > last.epoch {
            let starts = batch.base_sequence == 0;
            return if starts { Admission::Next } else { Admission::OutOfOrder { expected: 0 } };
        }
        if let Some(past) = self.duplicate_of(batch) {
            return Admission::Duplicate(past);
        }
        let expected = next_sequence(last.last_sequence);
        if batch.base_sequence == expected { Admission::Next } else { Admission::OutOfOrder { expected } }
    }

    fn duplicate_of(&self, batch: &BatchHeader) -> Option<PastBatch> {
        let kept = &self.producers.get(&batch.producer_id)?.batches;
        kept.iter().rev().take(BATCHES_KEPT).copied().find(|past| {
            past.epoch == batch.producer_epoch
                && past.first_sequence == batch.base_sequence
                && past.last_sequence == last_sequence(batch)
        })
    }

    /// Remembers a batch that was appended, already stamped. `at` is when; batches without a producer change nothing.
    pub fn append(&mut self, batch: &BatchHeader, at: Timestamp) {
        if !batch.has_producer() || batch.is_control() {
            return;
        }
        let past = PastBatch {
            epoch: batch.producer_epoch,
            first_sequence: batch.base_sequence,
            last_sequence: last_sequence(batch),
            base_offset: batch.base_offset,
            last_offset: batch.last_offset(),
            timestamp: batch.max_timestamp,
        };
        let producer = self
            .producers
            .entry(batch.producer_id)
            .or_insert_with(|| Producer { batches: VecDeque::new(), touched: at });
        if let Some(last) = producer.batches.back() {
            assert!(last.last_offset < past.base_offset, "producer batches in offset order");
        }
        producer.batches.push_back(past);
        producer.touched = producer.touched.max(at);
    }

    /// Forgets what lies beyond the last five batches and is never cut any more: below `fixed`.
    pub fn settle(&mut self, id: ProducerId, fixed: Offset) {
        if let Some(producer) = self.producers.get_mut(&id) {
            producer.settle(fixed);
        }
    }

    /// Forgets everything at `to` and beyond, as the log does.
    pub fn truncate(&mut self, to: Offset) {
        self.producers.retain(|_, producer| {
            producer.batches.retain(|b| b.base_offset < to);
            !producer.batches.is_empty()
        });
    }

    /// Forgets producers last heard of before `before` (`producer.id.expiration.ms`). Answers how many.
    pub fn expire(&mut self, before: Timestamp) -> usize {
        let had = self.producers.len();
        self.producers.retain(|_, p| p.touched >= before);
        had - self.producers.len()
    }

    /// How many producers are known.
    pub fn len(&self) -> usize {
        self.producers.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.producers.is_empty()
    }

    /// All batches remembered of each producer, oldest first: what a checker compares with the log.
    pub fn batches(&self) -> impl Iterator<Item = (ProducerId, impl DoubleEndedIterator<Item = &PastBatch>)> {
        self.producers.iter().map(|(id, p)| (*id, p.batches.iter()))
    }

    /// The producers in order of id, each with its newest batch and when it was last heard of (DescribeProducers).
    pub fn iter(&self) -> impl Iterator<Item = (ProducerId, PastBatch, Timestamp)> + '_ {
        self.producers.iter().filter_map(|(id, p)| p.batches.back().map(|b| (*id, *b, p.touched)))
    }
}

impl Producer {
    /// Keeps every batch that a truncation to `fixed` or later would need: the five newest below it, and all above.
    fn settle(&mut self, fixed: Offset) {
        let fixed = self.batches.iter().filter(|b| b.last_offset < fixed).count();
        self.batches.drain(..fixed.saturating_sub(BATCHES_KEPT));
    }
}

/// Sequence of the last record of a batch: sequences wrap from 2^31-1 to 0.
fn last_sequence(batch: &BatchHeader) -> i32 {
    advance(batch.base_sequence, batch.last_offset_delta)
}

/// The sequence after `sequence`.
fn next_sequence(sequence: i32) -> i32 {
    advance(sequence, 1)
}

fn advance(sequence: i32, by: i32) -> i32 {
    ((i64::from(sequence) + i64::from(by)) % (i64::from(i32::MAX) + 1)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::LeaderEpoch;

    fn batch(epoch: i16, sequence: i32, count: i32, at: i64) -> BatchHeader {
        BatchHeader {
            base_offset: Offset(at),
            leader_epoch: LeaderEpoch(0),
            crc: 0,
            attributes: 0,
            last_offset_delta: count - 1,
            base_timestamp: Timestamp(1),
            max_timestamp: Timestamp(1),
            producer_id: ProducerId(7),
            producer_epoch: epoch,
            base_sequence: sequence,
            count,
        }
    }

    fn table(batches: &[(i16, i32, i32, i64)]) -> ProducerTable {
        let mut t = ProducerTable::default();
        for (epoch, sequence, count, at) in batches {
            let b = batch(*epoch, *sequence, *count, *at);
            assert_eq!(t.check(&b), Admission::Next);
            t.append(&b, Timestamp(1));
        }
        t
    }

    #[test]
    fn a_duplicate_of_the_last_five_is_answered_with_its_first_offset() {
        let t = table(&[(0, 0, 2, 0), (0, 2, 1, 2), (0, 3, 1, 3), (0, 4, 1, 4), (0, 5, 1, 5)]);
        let Admission::Duplicate(past) = t.check(&batch(0, 0, 2, 0)) else {
            panic!("not seen as a duplicate")
        };
        assert_eq!((past.base_offset, past.last_offset), (Offset(0), Offset(1)));
        let more =
            table(&[(0, 0, 2, 0), (0, 2, 1, 2), (0, 3, 1, 3), (0, 4, 1, 4), (0, 5, 1, 5), (0, 6, 1, 6)]);
        assert_eq!(more.check(&batch(0, 0, 2, 0)), Admission::OutOfOrder { expected: 7 });
    }

    #[test]
    fn sequences_wrap_at_the_largest_int() {
        let mut t = ProducerTable::default();
        t.append(&batch(0, i32::MAX - 1, 2, 0), Timestamp(1));
        assert_eq!(t.check(&batch(0, 0, 1, 2)), Admission::Next);
        t.append(&batch(0, 0, 1, 2), Timestamp(1));
        let mut across = ProducerTable::default();
        across.append(&batch(0, i32::MAX, 3, 0), Timestamp(1));
        assert_eq!(across.check(&batch(0, 2, 1, 3)), Admission::Next);
    }

    #[test]
    fn an_older_epoch_is_fenced_and_a_newer_one_starts_at_zero() {
        let t = table(&[(3, 0, 1, 0)]);
        assert_eq!(t.check(&batch(2, 1, 1, 1)), Admission::Fenced { current: 3 });
        assert_eq!(t.check(&batch(4, 1, 1, 1)), Admission::OutOfOrder { expected: 0 });
        assert_eq!(t.check(&batch(4, 0, 1, 1)), Admission::Next);
    }

    #[test]
    fn a_truncation_to_a_durable_offset_restores_the_state_exactly() {
        let mut t = ProducerTable::default();
        for i in 0..6 {
            t.append(&batch(0, i, 1, i64::from(i)), Timestamp(1));
        }
        t.settle(ProducerId(7), Offset(6));
        let durable = t.clone();
        for i in 6..20 {
            t.append(&batch(0, i, 1, i64::from(i)), Timestamp(1));
            t.settle(ProducerId(7), Offset(6));
        }
        t.truncate(Offset(6));
        assert_eq!(t, durable);
    }
}
