//! Cutting a log back. Durable before anything else is written to it, so that no batch of the part that was cut can ever
//! appear between batches written later.

use std::sync::Arc;

use super::error::ReadError;
use super::names::{self, FileKind};
use super::ops::LogFailure;
use super::point::Witness;
use super::state::{LogState, Shelf, View, read, stumbled, write};
use super::store::{Lane, Store, Trouble};
use super::walk::Walk;
use super::{frame, index::Indexes};
use crate::disk::Disk;
use crate::ids::{LogId, Offset};
use crate::time::Timestamp;

/// Where a log is to be cut, and what is then its last segment.
struct Cut {
    /// The segment that stays the last.
    segment: usize,
    position: u64,
    indexes: Indexes,
    last: Option<Witness>,
}

impl<D: Disk> Store<D> {
    pub(crate) fn truncate(&mut self, log: LogId, to: Offset) -> Result<(), Trouble> {
        let offline = read(&self.lane(log).state).offline.clone();
        if let Some(why) = offline {
            return Err(self.take_offline(log, why));
        }
        if let Some(rebirth) = self.lane(log).rebirth.clone() {
            return self.restart_again(log, rebirth, to);
        }
        let refused = match self.flush(log) {
            Ok(()) => None,
            Err(Trouble::Log(failure)) => Some(failure),
            Err(dead) => return Err(dead),
        };
        let state = Arc::clone(&self.lane(log).state);
        let before = read(&state).clone();
        if to > before.end {
            return Err(self.lacks(log, to, refused));
        }
        self.lane(log).full = false;
        assert!(to >= before.start, "{log:?} is cut to {to}, it begins at {}", before.start);
        if to == before.end {
            return Ok(());
        }
        let cut = match find(&self.shelf, log, &before, to) {
            Ok(cut) => cut,
            Err(ReadError::Io(e)) => return Err(e.into()),
            Err(damage) => return Err(self.take_offline(log, damage.to_string())),
        };
        self.lower(log, to, cut, before)
    }

    /// What was to stay has found no room: the cut was ordered before that was heard of. It is refused like an append behind the one that
    /// failed, and what follows waits for the cut that comes of that.
    fn lacks(&mut self, log: LogId, to: Offset, refused: Option<LogFailure>) -> Trouble {
        let lane = self.lane(log);
        assert!(refused.is_some() || lane.full, "{log:?} is cut to {to}, and ends before that");
        lane.full = true;
        let message = format!("there was no room for what {log:?} has below {to}");
        Trouble::Log(refused.unwrap_or(LogFailure { log, full: true, message }))
    }

    /// First the state, then (if it names more) the recovery point, then the files.
    fn lower(&mut self, log: LogId, to: Offset, cut: Cut, before: LogState) -> Result<(), Trouble> {
        // What is written and not synced may be what is cut: it goes to disk with the rest, as one state.
        self.settle_everything(false)?;
        let birth = self.next_birth();
        let gone: Vec<View> = (cut.segment..before.segments.len()).map(|i| before.view(log, i)).collect();
        let lane = self.lane(log);
        let was = (lane.last, lane.producers.clone(), lane.producer_files.clone());
        apply(lane, &cut, to, birth);
        if to < lane.point_end && !self.save_point(false)? {
            let lane = self.lane(log);
            (lane.last, lane.producers, lane.producer_files) = was;
            lane.full = true;
            *write(&lane.state) = before;
            let message =
                "the disk is too full to cut the log: there is no room for a new recovery point".to_string();
            return Err(Trouble::Log(LogFailure { log, full: true, message }));
        }
        self.cut_files(log, &cut, &gone, was.2)
    }

    fn cut_files(
        &mut self,
        log: LogId,
        cut: &Cut,
        gone: &[View],
        producers: Vec<Offset>,
    ) -> Result<(), Trouble> {
        let state = Arc::clone(&self.lane(log).state);
        let view = {
            let state = read(&state);
            state.view(log, state.segments.len() - 1)
        };
        let kept = self.lane(log).producer_files.clone();
        for old in gone {
            self.shelf.files.forget(&old.key);
            self.shelf.indexes.forget(&old.key);
        }
        let disk = self.shelf.disk.clone();
        for old in gone.iter().skip(1).rev() {
            disk.remove(&old.path(FileKind::Log))?;
        }
        for old in gone {
            frame::remove_if_there(&disk, &old.path(FileKind::Index))?;
            frame::remove_if_there(&disk, &old.path(FileKind::TimeIndex))?;
        }
        for at in producers.into_iter().filter(|at| !kept.contains(at)) {
            frame::remove_if_there(&disk, &names::file(&view.dir, at, FileKind::Producers))?;
        }
        let file = self.shelf.file(&view)?;
        disk.set_len(&file, cut.position)?;
        self.lane(log).reach = 0;
        Ok(disk.sync(&[file], &[&view.dir])?)
    }
}

/// Finds the place of an offset.
///
/// # Errors
/// No batch ends there, or it cannot be read.
fn find<D: Disk>(shelf: &Shelf<D>, log: LogId, state: &LogState, to: Offset) -> Result<Cut, ReadError> {
    // A segment that begins at `to` stays, empty: the recovery point may name it.
    let segment = state.segment_of(to);
    let view = state.view(log, segment);
    let mut indexes = match &state.segments[segment].loaded {
        Some(loaded) => (**loaded).clone(),
        None => (*shelf.whole_indexes(&view)?).clone(),
    };
    let place = indexes.truncate(to);
    let file = shelf.file(&view).map_err(ReadError::Io)?;
    let (mut next, mut last) = (place.map_or(view.span.base, |p| p.last), None);
    let mut walk = Walk::headers(&shelf.disk, file, place.map_or(0, |p| p.position), view.span.bytes);
    let mut position = walk.position();
    while next < to {
        let Some(step) = walk.next().map_err(|s| stumbled(&view, next, s))? else { break };
        next = step.header.next_offset();
        position = step.position + step.size;
        indexes.renote(&step.header, (step.position, step.size), state.interval);
        let crc = step.header.crc;
        last = Some(Witness { base: step.header.base_offset, position: step.position, size: step.size, crc });
    }
    if next != to {
        // By the epochs of both logs they agree up to there. Two histories of one epoch: a disk came back with less than it had kept.
        return Err(ReadError::Damaged(format!(
            "it should be cut to offset {to}, as its leader's log is, but here that is inside a batch that ends at {next}: one of the              two disks has lost what it had said was written. Nothing was cut; stop this broker, empty its data directory, and it              takes a copy from the others"
        )));
    }
    Ok(Cut { segment, position, indexes, last })
}

fn apply(lane: &mut Lane, cut: &Cut, to: Offset, birth: u64) {
    let mut state = write(&lane.state);
    state.segments.truncate(cut.segment + 1);
    state.end = to;
    let epochs = state.epochs.len();
    state.epochs.retain(|e| e.start < to);
    lane.epochs_changed |= epochs != state.epochs.len();
    let first = state.segments[0].span.base;
    let active = state.active();
    active.span.bytes = cut.position;
    active.span.max_timestamp = cut.indexes.peak_below(to).map_or(Timestamp(-1), |(t, _)| t);
    if cut.position == 0 {
        active.span.first_timestamp = Timestamp(-1);
    }
    (active.birth, active.filed, active.filed_bytes) = (birth, None, 0);
    active.loaded = Some(Box::new(cut.indexes.clone()));
    lane.last = cut.last;
    lane.producer_files.retain(|at| *at <= to);
    if lane.producers.at.is_some_and(|at| at > to) {
        lane.producers.at = lane.producer_files.last().copied();
        lane.producers.replay_from = Some(lane.producers.at.unwrap_or(first)).filter(|from| *from < to);
    } else {
        lane.producers.replay_from = lane.producers.replay_from.filter(|from| *from < to);
    }
}
