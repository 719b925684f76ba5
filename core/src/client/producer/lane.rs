//! The batches of one partition, in order: collected, sealed, numbered, sent, and sent again.
//!
//! A batch gets its sequence number when it is first sent and keeps it for as long as it may be in the log. When a
//! number is lost for good (a batch refused or given up), the lane *drains*: what may be in the log is resolved under its
//! own number, then the epoch is raised and the rest is numbered from 0 (Kafka bumps the epoch likewise, KIP-360). Brokers
//! check epoch and sequence per partition, so each lane raises its own.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::ids::{BrokerId, ProducerId};
use crate::producer::BATCHES_KEPT;
use crate::record::{BatchBuilder, Codec};
use crate::time::{Instant, Timestamp};

use crate::client::door::{Failure, NewRecord};
use crate::client::net::AskId;

/// A record on its way.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) tag: u64,
    pub(crate) record: NewRecord,
    pub(crate) timestamp: Timestamp,
    pub(crate) taken: Instant,
    /// An upper bound of its bytes in a batch.
    pub(crate) size: usize,
}

/// A producer id with an epoch.
pub(crate) type Identity = (ProducerId, i16);

/// The batches of one partition.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    open: Vec<Pending>,
    open_bytes: usize,
    pub(crate) queue: VecDeque<Sealed>,
    identity: Option<Identity>,
    next_sequence: i32,
    draining: bool,
    /// While draining: a number that was given up may have been written, or may yet be by a request that is still on its
    /// way. Then so may the numbers after it.
    doubtful: bool,
    /// The epochs of this lane's producer id are used up.
    spent: bool,
    /// Whether the broker has taken a batch of this producer id. Before that it knows nothing of the producer and takes any
    /// sequence number for the first (KIP-360): a second batch in flight could overtake a first one that failed.
    proven: bool,
    pub(crate) retry_at: Instant,
    pub(crate) attempts: u32,
    next_id: u64,
    /// How many batches have been numbered.
    numbered: u64,
    /// Where what is in flight went.
    sent_to: Option<BrokerId>,
}

/// A batch that takes no more records.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) id: u64,
    pub(crate) records: Vec<Pending>,
    bytes: Option<Bytes>,
    pub(crate) sequence: Option<i32>,
    /// How many batches were numbered before it.
    nth: u64,
    /// Whether it may be in the log: it was sent, and no answer ruled that out.
    pub(crate) may_exist: bool,
    in_flight: Option<AskId>,
    /// What went wrong last.
    pub(crate) last: Option<Failure>,
}

impl Lane {
    pub(crate) fn add(&mut self, pending: Pending) {
        self.open_bytes += pending.size;
        self.open.push(pending);
    }

    /// Whether a record of that size no longer fits into the open batch.
    pub(crate) fn is_full_for(&self, size: usize, batch_bytes: usize) -> bool {
        !self.open.is_empty() && self.open_bytes + size > batch_bytes
    }

    /// When the open batch has waited long enough.
    pub(crate) fn lingers_until(&self, linger_ms: i64) -> Option<Instant> {
        self.open.first().map(|p| p.taken.after_ms(linger_ms))
    }

    /// Closes the open batch.
    pub(crate) fn seal(&mut self) {
        let records = std::mem::take(&mut self.open);
        self.open_bytes = 0;
        if !records.is_empty() {
            let sealed = self.sealed(records);
            self.queue.push_back(sealed);
        }
    }

    fn sealed(&mut self, records: Vec<Pending>) -> Sealed {
        let id = self.next_id;
        self.next_id += 1;
        Sealed {
            id,
            records,
            bytes: None,
            sequence: None,
            nth: 0,
            may_exist: false,
            in_flight: None,
            last: None,
        }
    }

    /// Whether nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.open.is_empty() && self.queue.is_empty()
    }

    /// The place in the queue of the batch to send next to `leader`, if one may be sent now. Batches go in order, and to
    /// another broker only after everything sent to the former has been answered. No more are numbered behind one whose
    /// fate is unknown than brokers remember: a repetition must never look like a gap.
    pub(crate) fn next(&self, leader: BrokerId, limit: usize) -> Option<usize> {
        let in_flight = self.queue.iter().filter(|b| b.in_flight.is_some()).count();
        let limit = if self.proven { limit } else { 1 };
        if in_flight >= limit || in_flight > 0 && self.sent_to != Some(leader) {
            return None;
        }
        let wanted = |b: &Sealed| b.in_flight.is_none() && (!self.draining || b.sequence.is_some());
        let at = self.queue.iter().position(wanted)?;
        let oldest = self.queue.iter().filter(|b| b.sequence.is_some()).map(|b| b.nth).min();
        let beyond = oldest.is_some_and(|oldest| self.numbered - oldest >= BATCHES_KEPT as u64);
        (self.queue[at].sequence.is_some() || !beyond).then_some(at)
    }

    /// Makes sure that the lane can number batches; `false`: not now.
    pub(crate) fn align(&mut self, current: Identity) -> bool {
        if self.draining && self.queue.iter().all(|b| b.sequence.is_none()) {
            (self.draining, self.doubtful, self.next_sequence) = (false, false, 0);
            match self.identity {
                Some((id, epoch)) if epoch < i16::MAX - 1 => self.identity = Some((id, epoch + 1)),
                _ => self.spent = true,
            }
        }
        if self.spent || self.identity.is_none() {
            if self.identity.is_some_and(|(id, _)| id == current.0) {
                return false;
            }
            self.identity = Some(current);
            self.next_sequence = 0;
            (self.spent, self.proven) = (false, false);
        }
        true
    }

    /// The producer id whose epochs this lane has used up: another is needed.
    pub(crate) fn spent_id(&self) -> Option<ProducerId> {
        self.identity.filter(|_| self.spent).map(|(id, _)| id)
    }

    /// The bytes of a batch; built and, for an idempotent producer, numbered when it is first sent.
    pub(crate) fn bytes(&mut self, at: usize, codec: Codec, idempotent: bool) -> Bytes {
        let batch = &mut self.queue[at];
        if let Some(bytes) = &batch.bytes {
            return bytes.clone();
        }
        let mut builder = BatchBuilder::new().compression(codec, None);
        if idempotent && let Some((id, epoch)) = self.identity {
            builder = builder.producer(id, epoch, self.next_sequence);
            (batch.sequence, batch.nth) = (Some(self.next_sequence), self.numbered);
            self.numbered += 1;
            self.next_sequence = advance(self.next_sequence, batch.records.len());
        }
        for pending in &batch.records {
            let (record, timestamp) = (&pending.record, pending.timestamp);
            let headers: Vec<(&[u8], Option<&[u8]>)> =
                record.headers.iter().map(|h| (h.key.as_ref(), h.value.as_deref())).collect();
            builder.push_with_headers(timestamp, record.key.as_deref(), record.value.as_deref(), &headers);
        }
        let bytes = builder.build().to_bytes();
        batch.bytes = Some(bytes.clone());
        bytes
    }

    /// A batch has been handed to a broker.
    pub(crate) fn sent(&mut self, at: usize, ask: AskId, to: BrokerId) {
        self.queue[at].in_flight = Some(ask);
        self.sent_to = Some(to);
    }

    /// Where what is in flight went.
    pub(crate) fn sent_to(&self) -> Option<BrokerId> {
        self.sent_to
    }

    /// The place of a batch that was sent with that request; `None` when it is no longer waited for.
    pub(crate) fn find(&self, id: u64, ask: AskId) -> Option<usize> {
        self.queue.iter().position(|b| b.id == id && b.in_flight == Some(ask))
    }

    /// Takes a batch out that is in the log.
    pub(crate) fn written(&mut self, at: usize) -> Option<Sealed> {
        (self.attempts, self.proven) = (0, true);
        self.queue.remove(at)
    }

    /// Takes a batch out that is given up. Its number is lost with it. `unknown`: it may be in the log.
    pub(crate) fn given_up(&mut self, at: usize, unknown: bool) -> Option<Sealed> {
        let mut batch = self.queue.remove(at)?;
        batch.may_exist |= unknown;
        self.draining |= batch.sequence.is_some();
        self.doubtful |= batch.sequence.is_some() && batch.may_exist;
        Some(batch)
    }

    /// Puts a batch back to be sent again. `unknown`: it may be in the log.
    pub(crate) fn again(&mut self, at: usize, unknown: bool, why: Failure) {
        let draining = self.draining;
        let batch = &mut self.queue[at];
        batch.in_flight = None;
        batch.may_exist |= unknown;
        batch.last = Some(why);
        if draining && !batch.may_exist {
            batch.unnumber();
        }
    }

    /// The broker says that a batch's number is not the next. `true`: it must be given up, as nobody can tell whether it is
    /// in the log.
    pub(crate) fn out_of_order(&mut self, at: usize, why: Failure) -> bool {
        let expected = self.draining || at > 0;
        if expected && !self.draining {
            // One before it has failed and goes first; then its number will be right.
            self.again(at, false, why);
            return false;
        }
        // An earlier copy of it may still be on its way, and be taken after the answer that ruled it out.
        if self.queue[at].may_exist && (self.doubtful || !expected) {
            return true;
        }
        self.doubtful |= !expected;
        self.draining = true;
        self.queue[at].may_exist = false;
        self.again(at, false, why);
        // What is not in the log needs no answer under its old number.
        self.queue.iter_mut().filter(|b| !b.may_exist && b.in_flight.is_none()).for_each(Sealed::unnumber);
        false
    }

    /// Cuts a refused batch in two that are sent instead. Only for one that is not in the log.
    pub(crate) fn split(&mut self, at: usize) {
        let Some(mut batch) = self.given_up(at, false) else { return };
        let second = batch.records.split_off(batch.records.len() / 2);
        let (first, second) = (self.sealed(batch.records), self.sealed(second));
        self.queue.insert(at, second);
        self.queue.insert(at, first);
    }

    /// Whether the first batch waits to be sent.
    pub(crate) fn waits(&self) -> bool {
        self.queue.front().is_some_and(|b| b.in_flight.is_none())
    }

    /// Whether any batch waits to be sent.
    pub(crate) fn waits_anywhere(&self) -> bool {
        self.queue.iter().any(|b| b.in_flight.is_none())
    }

    /// Gives up numbers that need no answer while the lane drains.
    pub(crate) fn settle(&mut self) {
        if self.draining {
            self.queue
                .iter_mut()
                .filter(|b| !b.may_exist && b.in_flight.is_none())
                .for_each(Sealed::unnumber);
        }
    }
}

impl Sealed {
    /// When its first record was taken.
    pub(crate) fn taken(&self) -> Instant {
        self.records.first().map_or(Instant::default(), |p| p.taken)
    }

    fn unnumber(&mut self) {
        self.sequence = None;
        self.bytes = None;
    }
}

/// Sequence numbers wrap from 2^31-1 to 0.
fn advance(sequence: i32, by: usize) -> i32 {
    ((i64::from(sequence) + by as i64) % (i64::from(i32::MAX) + 1)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Batch;

    fn lane(records: usize) -> Lane {
        let mut lane = Lane { proven: true, identity: Some((ProducerId(9), 0)), ..Lane::default() };
        for tag in 0..records as u64 {
            let record =
                NewRecord { topic: "t".into(), value: Some(Bytes::from_static(b"v")), ..Default::default() };
            lane.add(Pending { tag, record, timestamp: Timestamp(1), taken: Instant(1), size: 10 });
            lane.seal();
        }
        lane
    }

    fn send(lane: &mut Lane, ask: u64) -> Option<(u64, i64, i32)> {
        lane.settle();
        assert!(lane.align((ProducerId(9), 0)));
        let at = lane.next(BrokerId(1), 5)?;
        let header = *Batch::take(&mut lane.bytes(at, Codec::None, true)).unwrap().header();
        lane.sent(at, AskId(ask), BrokerId(1));
        Some((lane.queue[at].id, i64::from(header.producer_epoch), header.base_sequence))
    }

    #[test]
    fn a_batch_that_is_sent_again_keeps_its_number_and_goes_before_later_ones() {
        let mut lane = lane(3);
        assert_eq!([send(&mut lane, 1), send(&mut lane, 2)], [Some((0, 0, 0)), Some((1, 0, 1))]);
        lane.again(0, true, Failure::local("cut"));
        assert!(!lane.out_of_order(1, Failure::local("gap")));
        assert_eq!([send(&mut lane, 3), send(&mut lane, 4)], [Some((0, 0, 0)), Some((1, 0, 1))]);
        assert_eq!(send(&mut lane, 5), Some((2, 0, 2)));
    }

    #[test]
    fn a_lost_number_is_followed_by_a_new_epoch_once_the_rest_is_resolved() {
        let mut lane = lane(3);
        let _ = (send(&mut lane, 1), send(&mut lane, 2));
        assert!(lane.given_up(0, false).is_some(), "the first is refused");
        assert_eq!(send(&mut lane, 3), None, "nothing new while the second is in flight");
        lane.again(0, true, Failure::local("cut"));
        assert_eq!(
            send(&mut lane, 4),
            Some((1, 0, 1)),
            "what may be in the log is asked for under its own number"
        );
        assert!(!lane.out_of_order(0, Failure::local("gap")));
        assert_eq!([send(&mut lane, 5), send(&mut lane, 6)], [Some((1, 1, 0)), Some((2, 1, 1))]);
    }

    #[test]
    fn a_batch_that_may_be_in_the_log_is_not_numbered_anew() {
        let mut lane = lane(1);
        let _ = send(&mut lane, 1);
        lane.again(0, true, Failure::local("cut"));
        let _ = send(&mut lane, 2);
        assert!(lane.out_of_order(0, Failure::local("gap")), "only giving it up is safe");
    }

    #[test]
    fn behind_a_number_that_may_yet_be_written_a_batch_with_a_copy_on_its_way_is_given_up() {
        let mut lane = lane(2);
        let _ = (send(&mut lane, 1), send(&mut lane, 2));
        assert!(lane.given_up(0, true).is_some_and(|b| b.may_exist));
        lane.again(0, true, Failure::local("cut"));
        assert!(send(&mut lane, 3).is_some());
        assert!(lane.out_of_order(0, Failure::local("gap")), "its first copy may follow the other's");
    }

    #[test]
    fn no_more_batches_follow_an_unresolved_one_than_brokers_remember() {
        let mut lane = lane(8);
        (0..5).for_each(|ask| assert!(send(&mut lane, ask).is_some()));
        lane.again(0, true, Failure::local("written, but not everywhere"));
        (0..4).for_each(|_| assert!(lane.written(1).is_some()));
        assert_eq!([send(&mut lane, 9), send(&mut lane, 10)], [Some((0, 0, 0)), None]);
        assert!(lane.written(0).is_some());
        assert_eq!(send(&mut lane, 11), Some((5, 0, 5)));
    }

    #[test]
    fn nothing_overtakes_the_first_batch_that_a_broker_gets_of_a_producer() {
        let mut lane = Lane { identity: None, proven: false, ..lane(3) };
        assert_eq!([send(&mut lane, 1), send(&mut lane, 2)], [Some((0, 0, 0)), None]);
        assert!(lane.written(0).is_some());
        assert_eq!([send(&mut lane, 3), send(&mut lane, 4)], [Some((1, 0, 1)), Some((2, 0, 2))]);
    }

    #[test]
    fn numbers_wrap_after_the_largest() {
        assert_eq!(advance(i32::MAX, 1), 0);
        assert_eq!(advance(i32::MAX - 1, 3), 1);
    }

    #[test]
    fn another_leader_is_sent_nothing_before_the_former_has_answered() {
        let mut lane = lane(2);
        let _ = send(&mut lane, 1);
        assert_eq!(lane.next(BrokerId(2), 5), None);
        lane.again(0, true, Failure::local("cut"));
        assert_eq!(lane.next(BrokerId(2), 5), Some(0));
    }
}
