//! One log as the machine sees it: its marks, epochs, segments, producers and hot tail. The bytes themselves are on disk.
//!
//! `start <= stable <= high <= end` and `flushed <= end`, always. `end` moves when the machine appends, `flushed` when the
//! disk says synced, `high` when every in-sync replica has flushed.

pub mod epochs;
mod pins;
pub mod segments;
pub mod tail;

use crate::ids::{LeaderEpoch, LogId, Offset};
use crate::log::epochs::Epochs;
use crate::log::segments::{Segments, Shape};
use crate::log::tail::{Tail, TailSpace};
use crate::producer::ProducerTable;
use crate::record::Batch;
use crate::storage::ops::{LogRange, RecoveredLog};
use crate::time::Timestamp;

/// A log. See the head of this room for what its marks mean.
#[derive(Debug)]
pub struct Log {
    id: LogId,
    start: Offset,
    high: Offset,
    flushed: Offset,
    end: Offset,
    epochs: Epochs,
    segments: Segments,
    producers: ProducerTable,
    tail: Tail,
    /// How often the log was cut back or began anew: a completion from before a cut says nothing about what came after it.
    cuts: u64,
    /// The start that the disk would come back with, or a later one.
    kept_start: Offset,
}

/// What an append came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the first record.
    pub base: Offset,
    /// Offset after the last record: the new end.
    pub end: Offset,
    /// Whether a new segment begins with it.
    pub roll: bool,
}

/// Where a read of a log finds its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slice {
    /// There is nothing between the offset and the limit.
    Empty,
    /// Whole batches from the hot tail.
    Held(Vec<bytes::Bytes>),
    /// On disk.
    OnDisk(LogRange),
}

/// Where what another broker is to get lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForReplica {
    /// Whole batches, shared with the hot tail; none where the log ends.
    Held(Vec<Batch>),
    /// On disk.
    OnDisk(LogRange),
}

impl Log {
    /// A log that has just been created.
    pub fn empty(id: LogId) -> Log {
        Log {
            id,
            start: Offset(0),
            high: Offset(0),
            flushed: Offset(0),
            end: Offset(0),
            epochs: Epochs::default(),
            segments: Segments::empty(),
            producers: ProducerTable::default(),
            tail: Tail::new(Offset(0)),
            cuts: 0,
            kept_start: Offset(0),
        }
    }

    /// A log that begins anew at `start`, empty, in place of another (Kafka: `truncateFullyAndStartAt`). Until the disk has done that,
    /// which [`Log::flushed_to`] the start says, nothing of it is flushed: the other may yet come back.
    pub fn begun_at(id: LogId, start: Offset) -> Log {
        Log {
            start,
            high: start,
            end: start,
            segments: Segments::begun_at(start),
            tail: Tail::new(start),
            ..Log::empty(id)
        }
    }

    /// A log as a start found it: everything in it is flushed. The high watermark is for the replica to find out.
    pub fn recovered(found: &RecoveredLog) -> Log {
        let log = Log {
            id: found.log,
            start: found.start,
            high: found.start,
            flushed: found.end,
            end: found.end,
            epochs: Epochs::new(found.epochs.clone()),
            segments: Segments::new(found.segments.clone()),
            producers: found.producers.clone(),
            tail: Tail::new(found.end),
            cuts: 0,
            kept_start: found.start,
        };
        log.assert_marks();
        log
    }

    /// Stamps the batch with the next offsets and the leader's epoch and takes it in. The caller stores it.
    pub fn append(&mut self, batch: &mut Batch, context: &AppendContext, space: &mut TailSpace) -> Appended {
        let base = self.end;
        batch.stamp(base, context.epoch);
        let header = *batch.header();
        assert!(
            header.last_offset_delta >= 0 && header.count > 0,
            "an empty batch reached the log {:?}",
            self.id
        );
        self.take_in(batch, context, space)
    }

    /// Takes a batch in as its leader has stamped it. The caller stores it.
    ///
    /// # Errors
    /// It does not follow what is here: nothing has changed, and the words are for people.
    pub fn follow(
        &mut self,
        batch: &Batch,
        shape: Shape,
        at: Timestamp,
        space: &mut TailSpace,
    ) -> Result<Appended, String> {
        let header = batch.header();
        let newest = self.epochs.last().map_or(LeaderEpoch(-1), |last| last.epoch);
        if header.base_offset != self.end || header.leader_epoch < newest || header.count <= 0 {
            return Err(format!(
                "{:?} ends at {} in epoch {newest}; a batch at {} of epoch {} does not follow that",
                self.id, self.end, header.base_offset, header.leader_epoch
            ));
        }
        Ok(self.take_in(batch, &AppendContext { epoch: header.leader_epoch, shape, at }, space))
    }

    fn take_in(&mut self, batch: &Batch, context: &AppendContext, space: &mut TailSpace) -> Appended {
        let (base, header) = (self.end, *batch.header());
        let roll = self.segments.append(&header, batch.size() as u64, context.shape, context.at);
        // A log whose records had all been deleted still had its active segment: now it is sealed and can go.
        self.segments.trim(self.start);
        self.epochs.assign(context.epoch, base);
        self.producers.append(&header, context.at);
        // What is not committed may be cut, flushed or not.
        self.producers.settle(header.producer_id, self.high.min(self.flushed));
        self.tail.push(self.id, batch, space);
        self.end = header.next_offset();
        self.assert_marks();
        Appended { base, end: self.end, roll }
    }

    /// The disk has synced everything below `to`.
    pub fn flushed_to(&mut self, to: Offset) {
        assert!(to <= self.end, "{:?}: flushed {to} beyond the end {}", self.id, self.end);
        if self.flushed < self.start && self.start <= to {
            // It has begun anew, and the disk has that now.
            self.kept_start = self.start;
        }
        self.flushed = self.flushed.max(to);
        self.segments.flushed(to);
        self.assert_marks();
    }

    /// Every in-sync replica has flushed everything below `to`.
    pub fn raise_high(&mut self, to: Offset) -> bool {
        assert!(to <= self.end, "{:?}: high watermark {to} beyond the end {}", self.id, self.end);
        let moved = to > self.high;
        self.high = self.high.max(to);
        self.assert_marks();
        moved
    }

    /// Cuts the log back to `to`, as after an append that the disk refused. What was flushed never goes.
    pub fn truncate(&mut self, to: Offset, space: &mut TailSpace) {
        assert!(
            self.high <= to && to <= self.end,
            "{:?}: cut to {to} below the high watermark {}",
            self.id,
            self.high
        );
        self.end = to;
        self.flushed = self.flushed.min(to);
        self.epochs.truncate(to);
        self.segments.truncate(to);
        self.producers.truncate(to);
        self.tail.truncate(to, space);
        self.cuts += 1;
        self.assert_marks();
    }

    /// Gives up everything and begins anew, empty, at `at` (Kafka: `truncateFullyAndStartAt`). `epoch` is the leader epoch of what lies
    /// before that, where it is known. Everything below is taken for committed: a log begins where its leader's or a snapshot
    /// says so, and neither reaches beyond what is. Nothing of the new log is flushed before its [`Log::flushed_to`] says so:
    /// until then the disk may come back with the old one. What was sent to the disk before says nothing about it.
    pub fn restart(&mut self, at: Offset, epoch: Option<LeaderEpoch>, space: &mut TailSpace) {
        self.tail.clear(at, space);
        // The disk comes back with the old log or with the new one.
        let (cuts, kept_start) = (self.cuts + 1, self.kept_start.min(at));
        *self = Log { cuts, kept_start, ..Log::begun_at(self.id, at) };
        if let Some(epoch) = epoch {
            self.epochs.assign(epoch, at);
        }
        self.assert_marks();
    }

    /// Moves the start forward, as retention and DeleteRecords do. Answers whether it moved.
    pub fn raise_start(&mut self, to: Offset) -> bool {
        assert!(to <= self.high, "{:?}: start {to} beyond the high watermark {}", self.id, self.high);
        if to <= self.start {
            return false;
        }
        self.start = to;
        self.epochs.trim(to);
        self.segments.trim(to);
        self.assert_marks();
        true
    }

    /// The disk would come back with this start, or with a later one, of a log that it was given before it may have begun anew. What is
    /// beyond the start as it is now does not count.
    pub fn start_kept(&mut self, to: Offset) {
        self.kept_start = self.kept_start.max(to.min(self.start));
    }

    /// Where the records from `range.from` on are, below `range.below`. Pure.
    pub fn read(&self, range: LogRange) -> Slice {
        assert!(
            range.below <= self.flushed,
            "{:?}: read up to {}, flushed is {}",
            self.id,
            range.below,
            self.flushed
        );
        if range.from >= range.below {
            return Slice::Empty;
        }
        if range.from < self.tail.start() {
            return Slice::OnDisk(LogRange { below: range.below.min(self.tail.start()), ..range });
        }
        match self.tail.read(&range) {
            chunks if chunks.is_empty() => Slice::Empty,
            chunks => Slice::Held(chunks),
        }
    }

    /// What another broker that keeps this log gets from `from` on, about `max_bytes` of it: also what is not flushed here yet. Pure.
    pub fn read_for_replica(&self, from: Offset, max_bytes: usize) -> ForReplica {
        let range = LogRange { log: self.id, from, below: self.end, max_bytes, at_least_one: true };
        if from >= self.tail.start() {
            return ForReplica::Held(self.tail.batches(&range));
        }
        // What has left the tail before it was flushed is to be had once it is.
        let below = self.flushed.min(self.tail.start());
        if from >= below {
            ForReplica::Held(Vec::new())
        } else {
            ForReplica::OnDisk(LogRange { below, ..range })
        }
    }

    /// Gives up the part of the tail that begins with the batch at `base`, if it is still the oldest.
    pub fn evict(&mut self, base: Offset, space: &mut TailSpace) {
        self.tail.evict(base, space);
    }

    /// Gives up the whole tail, before the log goes.
    pub fn clear_tail(&mut self, space: &mut TailSpace) {
        self.tail.clear(self.end, space);
    }

    /// What it is called.
    pub fn id(&self) -> LogId {
        self.id
    }

    /// The first offset that can be read.
    pub fn start(&self) -> Offset {
        self.start
    }

    /// The start that is durable: after a crash the log begins there or later. Behind [`Log::start`] until a checkpoint has kept that.
    pub fn kept_start(&self) -> Offset {
        self.kept_start
    }

    /// The last stable offset: what read_committed consumers read below. Without transactions, the high watermark.
    pub fn stable(&self) -> Offset {
        self.high
    }

    /// The high watermark.
    pub fn high(&self) -> Offset {
        self.high
    }

    /// The offset below which this replica's disk has everything.
    pub fn flushed(&self) -> Offset {
        self.flushed
    }

    /// The log end offset.
    pub fn end(&self) -> Offset {
        self.end
    }

    /// How often it was cut back or began anew.
    pub fn cuts(&self) -> u64 {
        self.cuts
    }

    /// Where its leader epochs begin.
    pub fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    /// Its segments.
    pub fn segments(&self) -> &Segments {
        &self.segments
    }

    /// Its producers.
    pub fn producers(&self) -> &ProducerTable {
        &self.producers
    }

    /// Forgets producers that were last heard of before `before`. Answers how many.
    pub fn expire_producers(&mut self, before: Timestamp) -> usize {
        self.producers.expire(before)
    }

    /// The next append begins a new segment.
    pub fn roll_next(&mut self) {
        self.segments.roll_next();
    }

    fn assert_marks(&self) {
        let (start, stable, high, flushed, end) =
            (self.start, self.stable(), self.high, self.flushed, self.end);
        assert!(
            start <= stable && stable <= high && high <= end && flushed <= end,
            "{:?}: start {start}, stable {stable}, high {high}, flushed {flushed}, end {end}",
            self.id
        );
    }
}

/// What an append needs to know beside the batch.
#[derive(Clone, Copy, Debug)]
pub struct AppendContext {
    /// The leader's epoch.
    pub epoch: LeaderEpoch,
    /// When a segment is full.
    pub shape: Shape,
    /// The wall clock.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ProducerId, TopicId};
    use crate::record::BatchBuilder;

    const LOG: LogId = LogId { topic: TopicId([7; 16]), partition: 0 };

    #[test]
    fn a_log_that_begins_anew_has_nothing_of_before_and_follows_on_from_there() {
        for (at, epoch) in [(9, Some(LeaderEpoch(4))), (1, None), (0, None)] {
            let (mut log, mut space) = (Log::empty(LOG), TailSpace::new(1 << 20));
            let shape = Shape { bytes: 1, age_ms: i64::MAX };
            let context = AppendContext { epoch: LeaderEpoch(2), shape, at: Timestamp(1) };
            for sequence in 0..3 {
                let mut builder = BatchBuilder::new().producer(ProducerId(9), 0, sequence);
                builder.push(Timestamp(1), None, Some(b"v"));
                log.append(&mut builder.build(), &context, &mut space);
            }
            log.flushed_to(Offset(3));
            log.raise_high(Offset(2));
            let cuts = log.cuts();
            log.restart(Offset(at), epoch, &mut space);
            let marks = [log.start(), log.stable(), log.high(), log.end(), log.flushed()];
            assert_eq!(marks, [at, at, at, at, 0].map(Offset));
            assert_eq!((log.cuts(), space.used(), log.producers().len()), (cuts + 1, 0, 0));
            assert_eq!(
                log.epochs().last().map(|last| (last.epoch, last.start)),
                epoch.map(|e| (e, Offset(at)))
            );
            assert_eq!(log.segments(), &Segments::begun_at(Offset(at)));
            let mut builder = BatchBuilder::new();
            builder.push(Timestamp(1), None, Some(b"w"));
            let mut batch = builder.build();
            batch.stamp(Offset(at), LeaderEpoch(5));
            let appended = log.follow(&batch, shape, Timestamp(1), &mut space).expect("it follows");
            assert_eq!((appended.base, appended.roll), (Offset(at), false));
            assert!(matches!(log.read_for_replica(Offset(at), 1), ForReplica::Held(held) if held.len() == 1));
        }
    }
}
