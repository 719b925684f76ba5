//! When a log's segments are full and when they are old: rolling and retention, decided from their outlines alone.

use std::collections::VecDeque;

use crate::ids::Offset;
use crate::record::BatchHeader;
use crate::storage::ops::SegmentSpan;
use crate::time::Timestamp;

/// When a segment is full (`segment.bytes`, `segment.ms`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Largest size in bytes.
    pub bytes: u64,
    /// Longest time between its first record and a new one, in milliseconds.
    pub age_ms: i64,
}

/// How much of a log is kept (`retention.ms`, `retention.bytes`); `None` for everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Milliseconds since a segment's largest timestamp.
    pub age_ms: Option<i64>,
    /// Bytes.
    pub bytes: Option<u64>,
}

/// The segments of a log in order; the last one is active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segments {
    spans: Vec<SegmentSpan>,
    must_roll: bool,
    /// The batches that may yet be cut off.
    unflushed: VecDeque<Before>,
}

/// What the active segment was before a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Before {
    batch: Offset,
    active: SegmentSpan,
    must_roll: bool,
}

const NONE: Timestamp = Timestamp(-1);

impl Segments {
    /// Those of a new log: one, empty.
    pub fn empty() -> Segments {
        Segments::new(vec![span_at(Offset(0))])
    }

    /// Those of a log that begins there: one, empty.
    pub fn begun_at(start: Offset) -> Segments {
        Segments::new(vec![span_at(start)])
    }

    /// Takes what recovery found.
    pub fn new(spans: Vec<SegmentSpan>) -> Segments {
        assert!(!spans.is_empty(), "a log without a segment");
        Segments { spans, must_roll: false, unflushed: VecDeque::new() }
    }

    /// Counts a batch in, in a new segment if the active one is full (Kafka: `LogSegment.shouldRoll`). Answers whether it was.
    pub fn append(&mut self, batch: &BatchHeader, size: u64, shape: Shape, now: Timestamp) -> bool {
        let roll = self.is_full(batch, size, shape, now);
        let (active, must_roll) = (*self.active(), self.must_roll);
        self.unflushed.push_back(Before { batch: batch.base_offset, active, must_roll });
        self.must_roll = false;
        if roll {
            self.spans.push(span_at(batch.base_offset));
        }
        let active = self.active_mut();
        if active.bytes == 0 {
            active.first_timestamp = batch.max_timestamp;
        }
        active.bytes += size;
        active.max_timestamp = active.max_timestamp.max(batch.max_timestamp);
        roll
    }

    fn is_full(&self, batch: &BatchHeader, size: u64, shape: Shape, now: Timestamp) -> bool {
        let active = self.active();
        if active.bytes == 0 {
            return false;
        }
        let newest = if batch.max_timestamp.0 >= 0 { batch.max_timestamp } else { now };
        let age = newest.0.saturating_sub(active.first_timestamp.0);
        let aged = active.first_timestamp.0 >= 0 && age > shape.age_ms;
        let too_far = batch.last_offset() - active.base > i64::from(i32::MAX);
        let large = active.bytes + size > shape.bytes;
        self.must_roll || aged || too_far || large
    }

    /// The next append begins a new segment, unless the active one is empty.
    pub fn roll_next(&mut self) {
        self.must_roll = true;
    }

    /// Everything below `to` is durable and stays.
    pub fn flushed(&mut self, to: Offset) {
        while self.unflushed.pop_front_if(|before| before.batch < to).is_some() {}
    }

    /// Forgets what lies at or beyond `end`, and what was not durable is as if it had never been. A segment that begins there
    /// stays, empty, if it was there before what is cut off. Of a segment cut further back than what was not durable the size
    /// is not known any more; it counts as it was.
    pub fn truncate(&mut self, end: Offset) {
        let first = self.unflushed.partition_point(|before| before.batch < end);
        let cut = self.unflushed.drain(first..).next().filter(|cut| cut.batch == end);
        let newest = cut.map_or(end, |cut| cut.active.base);
        while self.spans.len() > 1 && self.active().base > newest {
            self.spans.pop();
        }
        let active = self.active_mut();
        match cut {
            Some(cut) if active.base == cut.active.base => *active = cut.active,
            // The one before it has been trimmed away meanwhile.
            Some(_) => *active = span_at(active.base),
            None if active.base == end => *active = span_at(end),
            None => {}
        }
        self.must_roll |= cut.is_some_and(|cut| cut.must_roll);
    }

    /// Forgets segments that lie wholly below `start`. The active one stays.
    pub fn trim(&mut self, start: Offset) {
        let below = self.spans.windows(2).take_while(|w| w[1].base <= start).count();
        self.spans.drain(..below);
    }

    /// How far the start may move for the retention's sake, for a log that ends at `end` (Kafka: `UnifiedLog.deleteOldSegments`).
    /// By time even the active segment goes; by size whole segments go while the rest is still at least as large as asked.
    pub fn expired(&self, keep: Retention, now: Timestamp, end: Offset) -> Option<Offset> {
        let mut size = self.bytes();
        let mut start = None;
        for (i, span) in self.spans.iter().enumerate() {
            let sealed = i + 1 < self.spans.len();
            let old = keep.age_ms.is_some_and(|ms| {
                span.max_timestamp != NONE && now.0.saturating_sub(span.max_timestamp.0) > ms
            });
            let large = sealed && keep.bytes.is_some_and(|limit| size - span.bytes >= limit);
            if span.bytes == 0 || !(old || large) {
                break;
            }
            size -= span.bytes;
            start = Some(self.spans.get(i + 1).map_or(end, |next| next.base));
        }
        start
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        self.spans.iter().map(|s| s.bytes).sum()
    }

    /// The segments, oldest first.
    pub fn spans(&self) -> &[SegmentSpan] {
        &self.spans
    }

    fn active(&self) -> &SegmentSpan {
        self.spans.last().expect("a log has a segment")
    }

    fn active_mut(&mut self) -> &mut SegmentSpan {
        self.spans.last_mut().expect("a log has a segment")
    }
}

fn span_at(base: Offset) -> SegmentSpan {
    SegmentSpan { base, bytes: 0, first_timestamp: NONE, max_timestamp: NONE }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::LeaderEpoch;
    use crate::record::BatchBuilder;

    fn segments(sizes_and_times: &[(u64, i64)]) -> Segments {
        let span = |(i, (bytes, at)): (usize, &(u64, i64))| SegmentSpan {
            base: Offset(i as i64 * 10),
            bytes: *bytes,
            first_timestamp: Timestamp(*at),
            max_timestamp: Timestamp(*at),
        };
        Segments::new(sizes_and_times.iter().enumerate().map(span).collect())
    }

    fn keep(age_ms: Option<i64>, bytes: Option<u64>) -> Retention {
        Retention { age_ms, bytes }
    }

    #[test]
    fn retention_by_size_keeps_at_least_what_was_asked() {
        let s = segments(&[(100, 0), (100, 0), (100, 0)]);
        assert_eq!(s.expired(keep(None, Some(150)), Timestamp(0), Offset(30)), Some(Offset(10)));
        assert_eq!(s.expired(keep(None, Some(200)), Timestamp(0), Offset(30)), Some(Offset(10)));
        assert_eq!(s.expired(keep(None, Some(201)), Timestamp(0), Offset(30)), None);
        assert_eq!(
            s.expired(keep(None, Some(0)), Timestamp(0), Offset(30)),
            Some(Offset(20)),
            "the active one stays"
        );
    }

    #[test]
    fn retention_by_time_takes_the_active_segment_too_but_stops_at_the_first_young_one() {
        let s = segments(&[(100, 1_000), (100, 9_000), (100, 2_000)]);
        assert_eq!(s.expired(keep(Some(5_000), None), Timestamp(10_000), Offset(30)), Some(Offset(10)));
        assert_eq!(s.expired(keep(Some(5_000), None), Timestamp(20_000), Offset(30)), Some(Offset(30)));
        assert_eq!(s.expired(keep(Some(5_000), None), Timestamp(3_000), Offset(30)), None);
    }

    fn header(at: i64, timestamp: i64) -> BatchHeader {
        let mut builder = BatchBuilder::new();
        builder.push(Timestamp(timestamp), None, Some(b"v"));
        let mut batch = builder.build();
        batch.stamp(Offset(at), LeaderEpoch(0));
        *batch.header()
    }

    #[test]
    fn what_is_cut_off_before_it_was_durable_is_as_if_it_had_never_been() {
        let shape = Shape { bytes: 250, age_ms: i64::MAX };
        for (flushed, cut) in (0..6).flat_map(|f| (f..6).map(move |c| (f, c))) {
            let mut s = Segments::empty();
            s.roll_next();
            let mut states = vec![s.clone()];
            for at in 0..5 {
                s.append(&header(at, 10 - at), 100, shape, Timestamp(0));
                states.push(s.clone());
            }
            s.flushed(Offset(flushed));
            s.truncate(Offset(cut));
            let wanted = &states[cut as usize];
            assert_eq!((s.spans(), s.must_roll), (wanted.spans(), wanted.must_roll), "{flushed} {cut}");
            let again = (cut..5).map(|at| s.append(&header(at, 10 - at), 100, shape, Timestamp(0)));
            assert_eq!(again.filter(|rolled| *rolled).count(), s.spans().len() - wanted.spans().len());
            assert_eq!(s.spans(), states[5].spans(), "{flushed} {cut}");
        }
    }

    #[test]
    fn a_segment_whose_elder_was_trimmed_is_empty_once_its_only_batch_is_cut_off() {
        let shape = Shape { bytes: 100, age_ms: i64::MAX };
        let mut s = Segments::empty();
        let rolls = [0, 1].map(|at| s.append(&header(at, 1), 100, shape, Timestamp(0)));
        assert_eq!(rolls, [false, true]);
        s.flushed(Offset(1));
        s.trim(Offset(1));
        s.truncate(Offset(1));
        assert_eq!(s.spans(), [span_at(Offset(1))]);
    }

    #[test]
    fn an_empty_segment_that_a_start_has_found_stays_when_its_first_batch_is_cut_off_and_the_one_before_it_is_as_it_was()
     {
        let found = [(100, 7), (0, -1)].into_iter().enumerate().map(|(i, (bytes, at))| SegmentSpan {
            base: Offset(i as i64 * 10),
            bytes,
            first_timestamp: Timestamp(at),
            max_timestamp: Timestamp(at),
        });
        let found: Vec<SegmentSpan> = found.collect();
        let mut s = Segments::new(found.clone());
        s.append(&header(10, 1), 50, Shape { bytes: 250, age_ms: i64::MAX }, Timestamp(0));
        s.truncate(Offset(10));
        assert_eq!(s.spans(), found, "the batch found no room");
        s.truncate(Offset(10));
        assert_eq!(s.spans(), found, "and there was nothing to cut");
    }

    #[test]
    fn a_clock_that_jumps_back_expires_nothing() {
        let s = segments(&[(100, 9_000)]);
        assert_eq!(s.expired(keep(Some(5), None), Timestamp(i64::MIN), Offset(10)), None);
    }
}
