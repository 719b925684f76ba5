//! The sparse indexes of a segment: from an offset to a place in the file, from a time to an offset.
//!
//! Kafka's formats (`OffsetIndex`, `TimeIndex`): 8-byte entries of relative last offset and position, 12-byte entries of
//! the largest timestamp so far and the relative last offset of the batch that first reached it. Neither has a checksum,
//! so the recovery point keeps one beside them, and an index that does not match is made again from the log.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::ids::Offset;
use crate::record::BatchHeader;
use crate::record::batch::crc32c;
use crate::time::Timestamp;

/// Both indexes of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Indexes {
    base: Offset,
    offsets: Vec<(u32, u32)>,
    times: Vec<(i64, u32)>,
    /// The largest timestamp so far and the last offset of the first batch that has it.
    peak: Option<(Timestamp, Offset)>,
    /// Bytes appended since the last entry.
    since: u64,
}

/// What the index files of a segment must look like to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IndexSum {
    offsets_bytes: u32,
    offsets_crc: u32,
    times_bytes: u32,
    times_crc: u32,
}

/// A place in a segment file where a batch begins, and the last offset of that batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) last: Offset,
    pub(crate) position: u64,
}

impl Indexes {
    /// The indexes of an empty segment.
    pub(crate) fn new(base: Offset) -> Indexes {
        Indexes { base, offsets: Vec::new(), times: Vec::new(), peak: None, since: 0 }
    }

    /// Takes in a batch at the end of the segment. What a relative offset or a position cannot express (Kafka would roll,
    /// KAFKA-6264) simply gets no entry: a search then walks on from the last one.
    pub(crate) fn note(&mut self, header: &BatchHeader, place: (u64, u64), interval: u32) {
        let (position, size) = place;
        if self.peak.is_none_or(|(largest, _)| header.max_timestamp > largest) {
            self.peak = Some((header.max_timestamp, header.last_offset()));
        }
        let relative = u32::try_from(header.last_offset() - self.base).ok().filter(|r| *r <= i32::MAX as u32);
        let position = u32::try_from(position).ok().filter(|p| *p <= i32::MAX as u32);
        if self.since > u64::from(interval)
            && let (Some(relative), Some(position)) = (relative, position)
        {
            self.offsets.push((relative, position));
            self.note_peak();
            self.since = 0;
        }
        self.since = self.since.saturating_add(size);
    }

    /// Writes the peak down as an entry, unless the last entry says so already. Done at every index entry and when a
    /// segment is left, so that its last time entry is its peak.
    pub(crate) fn note_peak(&mut self) {
        let Some((largest, at)) = self.peak else { return };
        let Ok(relative) = u32::try_from(at - self.base) else { return };
        if relative <= i32::MAX as u32 && self.times.last().is_none_or(|(t, _)| largest.0 > *t) {
            self.times.push((largest.0, relative));
        }
    }

    /// The last place known at or before the batch with this offset; `None`: the start of the segment.
    pub(crate) fn place(&self, offset: Offset) -> Option<Place> {
        let n = self.offsets.partition_point(|(relative, _)| self.base + i64::from(*relative) <= offset);
        let (relative, position) = *self.offsets.get(n.checked_sub(1)?)?;
        Some(Place { last: self.base + i64::from(relative), position: u64::from(position) })
    }

    /// An offset up to which every record is known to be older than `time`; `None`: nothing is known.
    pub(crate) fn older_than(&self, time: Timestamp) -> Option<Offset> {
        let n = self.times.partition_point(|(t, _)| *t < time.0);
        let (_, relative) = *self.times.get(n.checked_sub(1)?)?;
        Some(self.base + i64::from(relative))
    }

    /// The last of the time entries that lies below `below`: no batch up to it has a larger timestamp than its.
    pub(crate) fn peak_below(&self, below: Offset) -> Option<(Timestamp, Offset)> {
        let entries =
            self.times.iter().map(|(t, relative)| (Timestamp(*t), self.base + i64::from(*relative)));
        entries.chain(self.peak).rfind(|(_, at)| *at < below)
    }

    /// Forgets what lies at `to` and beyond. The batches from the answered place on (or from the start of the segment)
    /// must then be noted again by [`Indexes::renote`].
    pub(crate) fn truncate(&mut self, to: Offset) -> Option<Place> {
        self.offsets.retain(|(relative, _)| self.base + i64::from(*relative) < to);
        self.times.retain(|(_, relative)| self.base + i64::from(*relative) < to);
        self.restart();
        let (relative, position) = *self.offsets.last()?;
        Some(Place { last: self.base + i64::from(relative), position: u64::from(position) })
    }

    /// Notes a batch that may be the one the last entry is about.
    pub(crate) fn renote(&mut self, header: &BatchHeader, place: (u64, u64), interval: u32) {
        let known = self.offsets.last().is_some_and(|(_, at)| u64::from(*at) == place.0);
        if known { self.since = place.1 } else { self.note(header, place, interval) }
    }

    fn restart(&mut self) {
        self.peak = self.times.last().map(|(t, relative)| (Timestamp(*t), self.base + i64::from(*relative)));
        self.since = 0;
    }

    /// The contents of both files.
    pub(crate) fn encode(&self) -> (Bytes, Bytes) {
        let offsets = self.offsets.iter().flat_map(|(r, p)| {
            let entry = (u64::from(*r) << 32) | u64::from(*p);
            entry.to_be_bytes()
        });
        let times = self.times.iter().flat_map(|(t, r)| {
            let mut entry = [0; 12];
            entry[..8].copy_from_slice(&t.to_be_bytes());
            entry[8..].copy_from_slice(&r.to_be_bytes());
            entry
        });
        (offsets.collect(), times.collect())
    }

    /// Reads both files, if they are what `sum` says.
    pub(crate) fn decode(base: Offset, files: (&[u8], &[u8]), sum: &IndexSum) -> Option<Indexes> {
        if IndexSum::of(files.0, files.1) != *sum {
            return None;
        }
        let word = |b: &[u8]| u32::from_be_bytes([b[0], b[1], b[2], b[3]]);
        let long = |b: &[u8]| (i64::from(word(b)) << 32) | i64::from(word(&b[4..]));
        let mut indexes = Indexes::new(base);
        indexes.offsets = files.0.chunks_exact(8).map(|e| (word(e), word(&e[4..]))).collect();
        indexes.times = files.1.chunks_exact(12).map(|e| (long(e), word(&e[8..]))).collect();
        indexes.restart();
        Some(indexes)
    }

    /// About how much memory they take.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Indexes>() + self.offsets.len() * 8 + self.times.len() * 16
    }
}

impl IndexSum {
    /// What the two files look like.
    pub(crate) fn of(offsets: &[u8], times: &[u8]) -> IndexSum {
        IndexSum {
            offsets_bytes: offsets.len() as u32,
            offsets_crc: crc32c(offsets),
            times_bytes: times.len() as u32,
            times_crc: crc32c(times),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{LeaderEpoch, ProducerId};

    fn header(base: i64, records: i32, time: i64) -> BatchHeader {
        BatchHeader {
            base_offset: Offset(base),
            leader_epoch: LeaderEpoch(0),
            crc: 0,
            attributes: 0,
            last_offset_delta: records - 1,
            base_timestamp: Timestamp(time),
            max_timestamp: Timestamp(time),
            producer_id: ProducerId(-1),
            producer_epoch: -1,
            base_sequence: -1,
            count: records,
        }
    }

    fn filled() -> Indexes {
        let mut indexes = Indexes::new(Offset(100));
        for i in 0..50 {
            let time = if i % 3 == 0 { 1000 + i } else { 500 };
            indexes.note(&header(100 + i * 2, 2, time), (i as u64 * 100, 100), 250);
        }
        indexes
    }

    #[test]
    fn a_place_is_never_beyond_what_is_looked_for_and_never_far_before_it() {
        let indexes = filled();
        for offset in 100..200 {
            let at = indexes.place(Offset(offset)).map_or(0, |p| p.position as i64);
            let wanted = (offset - 100) / 2 * 100;
            assert!(at <= wanted && wanted - at <= 500, "{offset}: {at} {wanted}");
        }
    }

    #[test]
    fn both_files_read_back_and_a_flipped_bit_is_noticed() {
        let mut indexes = filled();
        indexes.note_peak();
        let (offsets, times) = indexes.encode();
        let sum = IndexSum::of(&offsets, &times);
        let back = Indexes::decode(Offset(100), (&offsets, &times), &sum).expect("as written");
        assert_eq!((back.offsets, back.times), (indexes.offsets.clone(), indexes.times.clone()));
        let mut bad = times.to_vec();
        bad[3] ^= 1;
        assert_eq!(Indexes::decode(Offset(100), (&offsets, &bad), &sum), None);
    }

    #[test]
    fn the_peak_names_the_first_batch_that_reached_it() {
        let mut indexes = Indexes::new(Offset(0));
        for (i, time) in [5, 9, 9, 3].into_iter().enumerate() {
            indexes.note(&header(i as i64, 1, time), (i as u64 * 100, 100), 50);
        }
        assert_eq!(indexes.peak_below(Offset(4)), Some((Timestamp(9), Offset(1))));
        assert_eq!(indexes.older_than(Timestamp(9)), None, "the first batch got no entry");
        assert_eq!(indexes.older_than(Timestamp(10)), Some(Offset(1)));
    }

    #[test]
    fn offsets_that_do_not_fit_get_no_entry() {
        let mut indexes = Indexes::new(Offset(0));
        indexes.note(&header(0, 1, 1), (0, 100), 10);
        indexes.note(&header(i64::from(i32::MAX) + 5, 1, 2), (100, 100), 10);
        assert_eq!(indexes.place(Offset(i64::MAX)), None);
    }

    #[test]
    fn a_cut_and_the_same_batches_again_give_the_same_indexes() {
        let (whole, mut cut) = (filled(), filled());
        let from = cut.truncate(Offset(160)).expect("an entry").position;
        for i in 0..50 {
            let (at, time) = (i as u64 * 100, if i % 3 == 0 { 1000 + i } else { 500 });
            if at >= from {
                cut.renote(&header(100 + i * 2, 2, time), (at, 100), 250);
            }
        }
        assert_eq!(cut, whole);
    }
}
