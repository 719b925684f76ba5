//! Looking records up by their time: the indexes narrow it down, the batches themselves decide.

use std::sync::RwLock;

use super::error::ReadError;
use super::names::FileKind;
use super::ops::{Found, Lookup};
use super::reader::{Reader, view_at};
use super::state::{LogState, View, read, stumbled};
use super::walk::{Step, Walk};
use crate::disk::Disk;
use crate::ids::{LogId, Offset};
use crate::record::compress::CEILING_BYTES;
use crate::record::iter::{RecordError, Records};
use crate::record::{Batch, search};
use crate::time::Timestamp;

/// Bytes read at once while headers are looked through.
const CHUNK: usize = 16 << 10;

/// A batch by its place.
struct Spot {
    time: Timestamp,
    last: Offset,
}

impl<D: Disk> Reader<D> {
    /// Answers a question to the time index of a log, for records from its start on and in batches wholly below `below`
    /// (Kafka: `UnifiedLog.fetchOffsetByTimestamp`). `None`: there is no such record.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn look(&self, log: LogId, what: Lookup, below: Offset) -> Result<Option<Found>, ReadError> {
        let mut last_error = None;
        for _ in 0..3 {
            let state = self.shelf.log(log).ok_or_else(|| ReadError::Gone(format!("{log:?} is not here")))?;
            let shape = shape(&state);
            let answer = match what {
                Lookup::AtOrAfter(time) => self.at_or_after(&state, log, time, below),
                Lookup::MaxTimestamp => self.max_timestamp(&state, log, below),
            };
            // Cut or trimmed meanwhile, the log is asked again as it is now.
            match answer {
                Err(ReadError::Io(e)) => return Err(ReadError::Io(e)),
                answer if shape_still(&state, &shape) => return answer,
                Err(e) => last_error = Some(e),
                Ok(_) => {}
            }
        }
        Err(last_error.unwrap_or_else(|| ReadError::Gone(format!("{log:?} changes too fast to be read"))))
    }

    fn at_or_after(
        &self,
        state: &RwLock<LogState>,
        log: LogId,
        time: Timestamp,
        below: Offset,
    ) -> Result<Option<Found>, ReadError> {
        let (start, views) = views(state, log)?;
        for view in views.iter().filter(|v| v.span.max_timestamp >= time && v.span.base < below) {
            let known_older = self.shelf_older_than(state, view, time)?;
            let from = known_older.map_or(view.span.base, |o| o).max(start);
            let mut walk = self.walk_to(state, view, from, CHUNK)?;
            while let Some(step) = next(&mut walk, view, from)? {
                if step.header.last_offset() >= below {
                    return Ok(None);
                }
                if step.header.max_timestamp < time || step.header.last_offset() < start {
                    continue;
                }
                let batch = step.batch.as_ref().expect("a walk over whole batches");
                let found = search::first_at_or_after(batch, time, start);
                if let Some(found) = found.map_err(|e| unreadable(view, &step, &e))? {
                    return Ok(Some(answer(found, batch)));
                }
            }
        }
        Ok(None)
    }

    fn max_timestamp(
        &self,
        state: &RwLock<LogState>,
        log: LogId,
        below: Offset,
    ) -> Result<Option<Found>, ReadError> {
        let (start, views) = views(state, log)?;
        let mut best: Option<(Timestamp, Found)> = None;
        for view in views.iter().filter(|v| v.span.base < below) {
            if best.as_ref().is_some_and(|(time, _)| view.span.max_timestamp <= *time) {
                continue;
            }
            let Some(spot) = self.peak(state, view, (start, below))? else { continue };
            if best.as_ref().is_some_and(|(time, _)| spot.time <= *time) {
                continue;
            }
            if let Some(found) = self.peak_record(state, view, &spot, start)? {
                best = Some((found.timestamp, found));
            }
        }
        Ok(best.map(|(_, found)| found))
    }

    /// The first batch of a segment with the largest timestamp that lies within the bounds.
    fn peak(
        &self,
        state: &RwLock<LogState>,
        view: &View,
        bounds: (Offset, Offset),
    ) -> Result<Option<Spot>, ReadError> {
        let (start, below) = bounds;
        let known = self.with_indexes(state, view, |i| i.peak_below(below))?;
        let mut best = known.filter(|(_, at)| *at >= start).map(|(time, last)| Spot { time, last });
        if best.as_ref().is_some_and(|b| b.time == view.span.max_timestamp) {
            return Ok(best);
        }
        let from = best.as_ref().map_or(start, |b| b.last).max(view.span.base);
        let mut walk = self.walk_to(state, view, from, CHUNK)?;
        while let Some(step) = walk.next_header().map_err(|s| stumbled(view, from, s))? {
            let (last, time) = (step.header.last_offset(), step.header.max_timestamp);
            if last >= below {
                break;
            }
            if last >= start && time.0 >= 0 && best.as_ref().is_none_or(|b| time > b.time) {
                best = Some(Spot { time, last });
            }
        }
        Ok(best.filter(|b| b.time.0 >= 0))
    }

    fn peak_record(
        &self,
        state: &RwLock<LogState>,
        view: &View,
        spot: &Spot,
        start: Offset,
    ) -> Result<Option<Found>, ReadError> {
        let mut walk = self.walk_to(state, view, spot.last, CHUNK)?;
        while let Some(step) = next(&mut walk, view, spot.last)? {
            if step.header.last_offset() < spot.last {
                continue;
            }
            let batch = step.batch.as_ref().expect("a walk over whole batches");
            let found = if batch.header().base_offset >= start {
                search::of_max_timestamp(batch)
            } else {
                max_from(batch, start)
            };
            return Ok(found.map_err(|e| unreadable(view, &step, &e))?.map(|f| answer(f, batch)));
        }
        Ok(None)
    }

    fn shelf_older_than(
        &self,
        state: &RwLock<LogState>,
        view: &View,
        time: Timestamp,
    ) -> Result<Option<Offset>, ReadError> {
        self.with_indexes(state, view, |i| i.older_than(time))
    }
}

fn next<D: Disk>(walk: &mut Walk<'_, D>, view: &View, from: Offset) -> Result<Option<Step>, ReadError> {
    walk.next().map_err(|s| stumbled(view, from, s))
}

/// The segments of a log, and its start.
fn views(state: &RwLock<LogState>, log: LogId) -> Result<(Offset, Vec<View>), ReadError> {
    let start = read(state).start;
    view_at(state, log, start)?;
    let state = read(state);
    Ok((state.start, (0..state.segments.len()).map(|i| state.view(log, i)).collect()))
}

/// The largest timestamp among the records of a batch from an offset on (the log may start inside a batch).
fn max_from(batch: &Batch, start: Offset) -> Result<Option<(Offset, Timestamp)>, RecordError> {
    let mut best: Option<(Offset, Timestamp)> = None;
    for record in Records::open(batch, CEILING_BYTES)? {
        let record = record?;
        if record.offset >= start && best.is_none_or(|(_, time)| record.timestamp > time) {
            best = Some((record.offset, record.timestamp));
        }
    }
    Ok(best)
}

fn answer(found: (Offset, Timestamp), batch: &Batch) -> Found {
    Found { offset: found.0, timestamp: found.1, epoch: batch.header().leader_epoch }
}

fn unreadable(view: &View, step: &Step, e: &RecordError) -> ReadError {
    let (path, at) = (view.path(FileKind::Log), step.position);
    ReadError::Damaged(format!("{path}, byte {at} (offset {}): {e}", step.header.base_offset))
}

fn shape(state: &RwLock<LogState>) -> (Offset, Vec<(Offset, u64)>) {
    let state = read(state);
    (state.start, state.segments.iter().map(|s| (s.span.base, s.birth)).collect())
}

/// Whether the log still has the segments it had, perhaps with more after them.
fn shape_still(state: &RwLock<LogState>, before: &(Offset, Vec<(Offset, u64)>)) -> bool {
    let now = shape(state);
    now.0 == before.0 && now.1.starts_with(&before.1)
}
