//! When a log's segments are full and when they are old: rolling and retention, decided from their outlines alone.

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
}

const NONE: Timestamp = Timestamp(-1);

impl Segments {
    /// Those of a new log: one, empty.
    pub fn empty() -> Segments {
        Segments { spans: vec![span_at(Offset(0))], must_roll: false }
    }

    /// Takes what recovery found.
    pub fn new(spans: Vec<SegmentSpan>) -> Segments {
        assert!(!spans.is_empty(), "a log without a segment");
        Segments { spans, must_roll: false }
    }

    /// Counts a batch in, in a new segment if the active one is full (Kafka: `LogSegment.shouldRoll`). Answers whether it was.
    pub fn append(&mut self, batch: &BatchHeader, size: u64, shape: Shape, now: Timestamp) -> bool {
        let roll = self.is_full(batch, size, shape, now);
        if roll {
            self.spans.push(span_at(batch.base_offset));
            self.must_roll = false;
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

    /// Forgets what lies at or beyond `end`. Sizes of the segment cut into are not known any more to the byte; it counts as it was.
    pub fn truncate(&mut self, end: Offset) {
        while self.spans.len() > 1 && self.active().base >= end {
            self.spans.pop();
        }
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

    #[test]
    fn a_clock_that_jumps_back_expires_nothing() {
        let s = segments(&[(100, 9_000)]);
        assert_eq!(s.expired(keep(Some(5), None), Timestamp(i64::MIN), Offset(10)), None);
    }
}
