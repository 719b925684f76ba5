//! The hot tail: the newest batches of the logs kept in memory for consumers that keep up, bounded for the whole node.
//!
//! Batches leave in the order they came, over all logs. Small batches, and the stamped prefixes of large ones, are copied
//! into shared chunks, so that a batch of a hundred bytes does not pin the frame of a megabyte that it arrived in; what a
//! large one does pin is counted.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};

use crate::ids::{LogId, Offset};
use crate::log::pins::{FrameId, Pins};
use crate::record::Batch;
use crate::storage::ops::LogRange;

/// Batches smaller than this are copied whole: frames as small as that may share the memory they arrive in.
const COPIED_BELOW_BYTES: usize = 16 * 1024;
/// Memory that a batch costs beside its bytes: its entries here and in the order of eviction.
const KEPT_OVERHEAD_BYTES: usize = 128;
/// Size of the shared chunks.
const CHUNK_BYTES: usize = 64 * 1024;

/// The memory of all tails together.
#[derive(Debug)]
pub struct TailSpace {
    limit: usize,
    copied: usize,
    pins: Pins,
    /// What is kept, by when it came.
    order: BTreeMap<u64, (LogId, Offset)>,
    next: u64,
    chunk: BytesMut,
}

impl TailSpace {
    /// Room for `limit` bytes of batches.
    pub fn new(limit: usize) -> TailSpace {
        TailSpace {
            limit,
            copied: 0,
            pins: Pins::default(),
            order: BTreeMap::new(),
            next: 0,
            chunk: BytesMut::new(),
        }
    }

    /// The batches that follow are slices of a frame of that size; with `None`, each has its own memory.
    pub fn arrive(&mut self, frame_bytes: Option<usize>) {
        self.pins.arrive(frame_bytes);
    }

    /// The batch that has to go next, while the tails are larger than they may be.
    pub fn overdue(&self) -> Option<(LogId, Offset)> {
        if self.used() <= self.limit { None } else { self.order.first_key_value().map(|(_, oldest)| *oldest) }
    }

    /// Bytes held.
    pub fn used(&self) -> usize {
        self.copied + self.pins.bytes()
    }

    fn keep(&mut self, log: LogId, base: Offset, copied: usize, pinned: usize) -> (u64, Option<FrameId>) {
        let at = self.next;
        self.next += 1;
        self.copied += copied + KEPT_OVERHEAD_BYTES;
        self.order.insert(at, (log, base));
        (at, (pinned > 0).then(|| self.pins.pin(pinned)))
    }

    fn drop(&mut self, kept: &Kept) {
        self.copied -= kept.head.len() + KEPT_OVERHEAD_BYTES;
        self.order.remove(&kept.at);
        if let Some(frame) = kept.frame {
            self.pins.unpin(frame);
        }
    }

    fn copy(&mut self, parts: &[&[u8]]) -> Bytes {
        let size = parts.iter().map(|p| p.len()).sum();
        if self.chunk.capacity() - self.chunk.len() < size {
            self.chunk = BytesMut::with_capacity(CHUNK_BYTES.max(size));
        }
        parts.iter().for_each(|p| self.chunk.extend_from_slice(p));
        self.chunk.split().freeze()
    }
}

/// The newest batches of one log.
#[derive(Debug)]
pub struct Tail {
    start: Offset,
    batches: VecDeque<Kept>,
}

#[derive(Debug)]
struct Kept {
    base: Offset,
    next: Offset,
    /// The whole batch when it is small, else its first 16 bytes.
    head: Bytes,
    /// The batch itself, in the frame it arrived in, when it is not small.
    shared: Option<Batch>,
    /// Its place in the order of eviction.
    at: u64,
    frame: Option<FrameId>,
}

impl Kept {
    fn size(&self) -> usize {
        self.shared.as_ref().map_or(self.head.len(), Batch::size)
    }

    fn batch(&self) -> Batch {
        match &self.shared {
            Some(batch) => batch.clone(),
            None => Batch::take(&mut self.head.clone()).expect("it was a batch when it was copied"),
        }
    }
}

impl Tail {
    /// An empty tail of a log that ends at `end`.
    pub fn new(end: Offset) -> Tail {
        Tail { start: end, batches: VecDeque::new() }
    }

    /// The first offset it holds; the log's end when it holds none.
    pub fn start(&self) -> Offset {
        self.start
    }

    /// Keeps a stamped batch.
    pub fn push(&mut self, log: LogId, batch: &Batch, space: &mut TailSpace) {
        let header = batch.header();
        let (prefix, rest) = (batch.prefix(), batch.rest());
        let (head, shared) = if batch.size() < COPIED_BELOW_BYTES {
            (space.copy(&[&prefix, &rest]), None)
        } else {
            (space.copy(&[&prefix]), Some(batch.clone()))
        };
        let pinned = if shared.is_some() { rest.len() } else { 0 };
        let (at, frame) = space.keep(log, header.base_offset, head.len(), pinned);
        let (base, next) = (header.base_offset, header.next_offset());
        self.batches.push_back(Kept { base, next, head, shared, at, frame });
    }

    /// Whole batches from the one that holds `range.from` on, while they fit. The caller has checked that it is here.
    pub fn read(&self, range: &LogRange) -> Vec<Bytes> {
        let mut chunks = Vec::new();
        for kept in self.fitting(range) {
            chunks.push(kept.head.clone());
            chunks.extend(kept.shared.as_ref().map(Batch::rest));
        }
        chunks
    }

    /// The same as batches, for another broker.
    pub fn batches(&self, range: &LogRange) -> Vec<Batch> {
        self.fitting(range).map(Kept::batch).collect()
    }

    fn fitting(&self, range: &LogRange) -> impl Iterator<Item = &Kept> {
        let first = self.batches.partition_point(|b| b.next <= range.from);
        let (below, most, mut forced, mut size) = (range.below, range.max_bytes, range.at_least_one, 0);
        self.batches.range(first..).take_while(move |kept| {
            size += kept.size();
            let whatever_its_size = std::mem::take(&mut forced);
            kept.next <= below && (size <= most || whatever_its_size)
        })
    }

    /// Drops the batch at `base` if it is the oldest one here.
    pub fn evict(&mut self, base: Offset, space: &mut TailSpace) {
        if let Some(kept) = self.batches.pop_front_if(|kept| kept.base == base) {
            space.drop(&kept);
            self.start = kept.next;
        }
    }

    /// Drops what lies at or beyond `end`.
    pub fn truncate(&mut self, end: Offset, space: &mut TailSpace) {
        while let Some(kept) = self.batches.pop_back_if(|kept| kept.base >= end) {
            space.drop(&kept);
        }
        self.start = if self.batches.is_empty() { end } else { self.start };
    }

    /// Drops everything, before the log goes.
    pub fn clear(&mut self, end: Offset, space: &mut TailSpace) {
        self.batches.drain(..).for_each(|kept| space.drop(&kept));
        self.start = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::LeaderEpoch;
    use crate::ids::TopicId;
    use crate::record::build::BatchBuilder;
    use crate::time::Timestamp;

    const LOG: LogId = LogId { topic: TopicId([7; 16]), partition: 0 };

    fn batch(at: i64, value: &[u8]) -> Batch {
        let mut b = BatchBuilder::plain(Timestamp(1), &[(None, Some(Bytes::copy_from_slice(value)))]);
        b.stamp(Offset(at), LeaderEpoch(3));
        b
    }

    fn range(from: i64, below: i64, max_bytes: usize) -> LogRange {
        LogRange { log: LOG, from: Offset(from), below: Offset(below), max_bytes, at_least_one: true }
    }

    fn joined(chunks: Vec<Bytes>) -> Vec<u8> {
        chunks.concat()
    }

    #[test]
    fn batches_are_read_back_as_they_were_stamped_whether_copied_or_shared() {
        let mut space = TailSpace::new(1 << 20);
        let mut tail = Tail::new(Offset(0));
        let batches = [batch(0, b"small"), batch(1, &[9; 30_000]), batch(2, b"small again")];
        batches.iter().for_each(|b| tail.push(LOG, b, &mut space));
        let all: Vec<u8> = batches.iter().flat_map(|b| b.to_bytes().to_vec()).collect();
        assert_eq!(joined(tail.read(&range(0, 3, usize::MAX))), all);
        assert_eq!(joined(tail.read(&range(1, 2, usize::MAX))), batches[1].to_bytes());
    }

    #[test]
    fn the_first_batch_is_read_even_when_it_is_larger_than_asked() {
        let mut space = TailSpace::new(1 << 20);
        let mut tail = Tail::new(Offset(0));
        let batches = [batch(0, &[1; 9_000]), batch(1, &[2; 9_000])];
        batches.iter().for_each(|b| tail.push(LOG, b, &mut space));
        assert_eq!(joined(tail.read(&range(0, 2, 10))), batches[0].to_bytes());
        assert!(tail.read(&LogRange { at_least_one: false, ..range(0, 2, 10) }).is_empty());
    }

    #[test]
    fn the_oldest_batches_of_all_logs_go_first_and_the_memory_stays_bounded() {
        let mut space = TailSpace::new(50_000);
        let mut tail = Tail::new(Offset(0));
        for at in 0..100 {
            tail.push(LOG, &batch(at, &[at as u8; 5_000]), &mut space);
            while let Some((_, base)) = space.overdue() {
                tail.evict(base, &mut space);
            }
            assert!(space.used() <= 50_000);
        }
        assert!(tail.start() > Offset(85));
        assert_eq!(joined(tail.read(&range(99, 100, 1))), batch(99, &[99; 5_000]).to_bytes());
    }

    #[test]
    fn a_batch_counts_with_the_frame_that_it_keeps_in_memory() {
        let mut space = TailSpace::new(50 << 20);
        let mut tail = Tail::new(Offset(0));
        for at in 0..20 {
            space.arrive(Some(8 << 20));
            tail.push(LOG, &batch(at, &[1; 20_000]), &mut space);
            while let Some((_, base)) = space.overdue() {
                tail.evict(base, &mut space);
            }
        }
        assert_eq!(tail.start(), Offset(14), "six frames of 8 MiB fit into 50 MiB");
    }

    #[test]
    fn a_cut_tail_begins_where_the_log_ends() {
        let mut space = TailSpace::new(1 << 20);
        let mut tail = Tail::new(Offset(0));
        (0..4).for_each(|at| tail.push(LOG, &batch(at, b"x"), &mut space));
        tail.truncate(Offset(2), &mut space);
        assert_eq!((tail.start(), tail.read(&range(0, 2, usize::MAX)).len()), (Offset(0), 2));
        tail.truncate(Offset(0), &mut space);
        assert_eq!((tail.start(), space.used()), (Offset(0), 0));
        tail.push(LOG, &batch(0, b"y"), &mut space);
        tail.clear(Offset(1), &mut space);
        assert_eq!((tail.start(), space.used()), (Offset(1), 0));
    }
}
